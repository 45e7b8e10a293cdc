import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashKey } from '../../src/mem/murmur3.ts';
import { hashText, KEY_HASHES, steerHash } from '../../src/steer/hash.ts';
import { md5, md5DigestWord } from '../../src/steer/md5.ts';
import { oneAtATime } from '../../src/steer/one-at-a-time.ts';
import { hashOf, nodesOf, tableOf } from './tables.ts';
import { type HashName, vectorHashes, vectorKeys } from './vectors/libmemcached.ts';

const HASHES: HashName[] = ['murmur3', 'md5', 'one_at_a_time'];

/** MD5 of `key`, laid at `offset` among `filler` bytes, as hex. */
function md5Hex(key: Uint8Array, offset = 0, filler = 0): string {
  const bytes = new Uint8Array(offset + key.length + offset).fill(filler);
  bytes.set(key, offset);
  md5(bytes, new DataView(bytes.buffer), offset, key.length);
  const digest = Buffer.alloc(16);
  for (let word = 0; word < 4; word++) digest.writeInt32LE(md5DigestWord(word), word * 4);
  return digest.toString('hex');
}

function cryptoHex(key: Uint8Array): string {
  return createHash('md5').update(key).digest('hex');
}

describe('key hashes', () => {
  it.each(HASHES)('%s is what libmemcached computes, for every vector', name => {
    expect(vectorKeys.map(key => hashOf(key, name))).toEqual(vectorHashes(name));
  });

  it.each(HASHES)('%s returns int32 and sees nothing beside the key', name => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 250 });
    fc.assert(
      fc.property(key, fc.nat(9), fc.nat(255), (k, offset, filler) => {
        const bytes = new Uint8Array(offset + k.length + 5).fill(filler);
        bytes.set(k, offset);
        const hash = KEY_HASHES[name](bytes, new DataView(bytes.buffer), offset, k.length);
        expect(hash).toBe(hashOf(k, name));
        expect(hash).toBe(hash | 0);
      }),
    );
  });
});

describe('md5', () => {
  // RFC 1321 §A.5
  it.each([
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a', '0cc175b9c0f1b6a831c399e269772661'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    [
      '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
      '57edf4a22be3c955ac49da2e2107b67a',
    ],
  ])('of %j is %s', (text, hex) => {
    expect(md5Hex(Buffer.from(text))).toBe(hex);
  });

  it('is node:crypto’s at every length around the block boundaries', () => {
    for (let length = 0; length <= 330; length++) {
      const key = Uint8Array.from({ length }, (_, i) => (i * 73 + length) & 255);
      expect(md5Hex(key)).toBe(cryptoHex(key));
    }
  });

  it('is node:crypto’s for any bytes, anywhere', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9), fc.nat(255), (key, offset, filler) => {
        expect(md5Hex(key, offset, filler)).toBe(cryptoHex(key));
      }),
    );
  });
});

describe('one_at_a_time', () => {
  // libmemcached, x86: bytes from 0x80 up are added with their sign.
  it.each([
    ['plain ASCII', [0x61], 0xca2e9442],
    ['nothing', [], 0],
  ])('of %s', (_, key, hash) => {
    expect(oneAtATime(Uint8Array.from(key), new DataView(new ArrayBuffer(0)), 0, key.length)).toBe(hash | 0);
  });
});

describe('hashText', () => {
  it('hashes the UTF-8 of the text', () => {
    expect(hashText('čaj-7', md5)).toBe(hashOf(Buffer.from('čaj-7', 'utf8'), 'md5'));
  });

  it('refuses a text it would have to cut', () => {
    expect(() => hashText('x'.repeat(513), md5)).toThrow('more than 512 bytes');
    expect(hashText('x'.repeat(512), md5)).toBe(hashOf(Buffer.from('x'.repeat(512)), 'md5'));
  });
});

describe('steerHash', () => {
  const key = Buffer.from('user:42:profile');
  const bytes = Uint8Array.from(key);
  const view = new DataView(bytes.buffer);
  const keyHash = hashKey(bytes, view, 0, key.length);

  it.each(HASHES)('is %s when the table says so', name => {
    const { words, current } = tableOf(nodesOf(1, 1), { algorithm: 'ketama', hash: name });
    expect(steerHash(words, current, keyHash, bytes, view, 0, key.length)).toBe(hashOf(key, name));
  });

  it('takes the key hash at hand rather than hash again', () => {
    const { words, current } = tableOf(nodesOf(1), { algorithm: 'maglev', hash: 'murmur3' });
    expect(steerHash(words, current, 12345, bytes, view, 0, key.length)).toBe(12345);
  });
});
