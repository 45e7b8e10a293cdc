import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashKey } from '../../src/mem/murmur3.ts';
import { vectorHashes, vectorKeys } from '../steer/vectors/libmemcached.ts';

/** Hash of `key` laid at `offset` of a buffer that ends with the key, filled up with `filler`. */
function hashAt(key: Uint8Array, offset: number, filler: number, slack = 0): number {
  const bytes = new Uint8Array(offset + key.length + slack).fill(filler);
  bytes.set(key, offset);
  return hashKey(bytes, new DataView(bytes.buffer), offset, key.length);
}

/** MurmurHash3_x86_32 as on paper, with BigInt. */
function slowMurmur3(key: Uint8Array): number {
  const u32 = (n: bigint) => n & 0xffffffffn;
  const rotl = (n: bigint, by: bigint) => u32((n << by) | (n >> (32n - by)));
  const scramble = (k: bigint) => u32(rotl(u32(k * 0xcc9e2d51n), 15n) * 0x1b873593n);
  let h = u32(0xdeadbeefn * BigInt(key.length));
  for (let at = 0; at < key.length; at += 4) {
    const word = [...key.subarray(at, at + 4)].reduce((sum, byte, i) => sum | (BigInt(byte) << BigInt(8 * i)), 0n);
    h ^= scramble(word);
    if (at + 4 <= key.length) h = u32(rotl(h, 13n) * 5n + 0xe6546b64n);
  }
  h ^= BigInt(key.length);
  h = u32((h ^ (h >> 16n)) * 0x85ebca6bn);
  h = u32((h ^ (h >> 13n)) * 0xc2b2ae35n);
  return Number(BigInt.asIntN(32, h ^ (h >> 16n)));
}

const key = fc.uint8Array({ minLength: 0, maxLength: 300 });

describe('hashKey', () => {
  it('is libmemcached’s MEMCACHED_HASH_MURMUR3 for every vector', () => {
    expect(vectorKeys.length).toBe(2000);
    expect(vectorKeys.map(k => hashAt(k, 0, 0))).toEqual(vectorHashes('murmur3'));
  });

  it('is MurmurHash3_x86_32 with seed 0xdeadbeef · length', () => {
    fc.assert(fc.property(key, k => hashAt(k, 0, 0) === slowMurmur3(k)));
  });

  it('depends on nothing but the bytes of the key: not on alignment, nor on what lies beside it', () => {
    const layout = [fc.nat(7), fc.nat(255), fc.nat(7)] as const;
    fc.assert(
      fc.property(key, ...layout, (k, offset, filler, slack) => hashAt(k, offset, filler, slack) === slowMurmur3(k)),
    );
  });

  it('returns int32', () => {
    fc.assert(fc.property(key, k => hashAt(k, 0, 0) === (hashAt(k, 0, 0) | 0)));
  });
});
