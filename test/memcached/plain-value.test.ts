/** The short way for values takes only what the parser would locate alike. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_VALUE_LENGTH,
  OUT_VALUE_OFFSET,
  OUT_WORDS,
} from '../../src/memcached/located.ts';
import { parsePlainValue } from '../../src/memcached/plain-value.ts';
import { parseReply, REPLY_VALUE } from '../../src/memcached/reply.ts';

const OFFSET = 3;

function take(text: string | Uint8Array, behind = 0xa5) {
  const reply = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  const bytes = new Uint8Array(OFFSET + reply.length + 8).fill(behind);
  bytes.set(reply, OFFSET);
  const out = new Int32Array(OUT_WORDS).fill(77);
  const taken = parsePlainValue(new DataView(bytes.buffer), OFFSET, OFFSET + reply.length, out);
  return { bytes, taken, out, end: OFFSET + reply.length };
}

describe('taken', () => {
  test.each([
    'abcd',
    'abc',
    'a',
    'key:000000000042',
    'k\x7fk\x7f',
    '\xff\x80\xfe\x81',
    'x'.repeat(249),
    'x'.repeat(250),
  ])('key %j', key => {
    for (const text of [`VALUE ${key} 4294967 10\r\n0123456789\r\nEND\r\n`, `VALUE ${key} 0 10\r\n012`]) {
      const { taken, out } = take(text);
      expect(taken).toBe(true);
      expect([out[OUT_KEY_OFFSET], out[OUT_KEY_LENGTH], out[OUT_VALUE_LENGTH]]).toEqual([OFFSET + 6, key.length, 10]);
      expect(out[OUT_VALUE_OFFSET]).toBe(OFFSET + text.indexOf('\n') + 1);
    }
  });
});

describe('left to the parser', () => {
  test.each([
    ['', 'nothing'],
    ['END\r\n', 'a miss'],
    ['VALUE  0 10\r\n0123456789\r\nEND\r\n', 'no key'],
    [`VALUE ${'x'.repeat(251)} 0 1\r\nx\r\nEND\r\n`, 'a key too long'],
    ['VALUE abcd 0 1 77\r\nx\r\nEND\r\n', 'a CAS'],
    ['VALUE abcd 0 1\nx\r\nEND\r\n', 'a bare newline'],
    ['VALUE abcd x 1\r\nx\r\nEND\r\n', 'flags that are no number'],
    ['VALUE abcd 0 -1\r\nx\r\nEND\r\n', 'a length that is none'],
    ['VALUE abcd 0 1234567890\r\nx', 'a length of ten digits'],
    ['VALUE abcd 4294967295 1\r\nx\r\nEND\r\n', 'flags of ten digits'],
    ['VALUE abcd 0 12', 'a line that ends too soon'],
    ['VALUE abcdefghijklmnopqrstuvwxyz', 'a key that does not end'],
    ['VALUE ab\x00de 0 1\r\nx\r\nEND\r\n', 'a zero byte'],
    ['VALUE ab\x10de 0 1\r\nx\r\nEND\r\n', 'a control byte'],
    ['value abcd 0 1\r\nx\r\nEND\r\n', 'small letters'],
    ['VALUES abcd 0 1\r\nx\r\nEND\r\n', 'another word'],
  ])('%j: %s', text => expect(take(text).taken).toBe(false));

  test('what lies behind the datagram completes nothing', () => {
    for (const text of ['VALUE abcdefgh 0 1', 'VALUE abcdefgh 0 1\r', 'VALUE abcdefgh 0 ', 'VALUE abcdefgh '])
      for (const behind of [0x31, 0x0d, 0x0a, 0x20]) expect(take(text, behind).taken).toBe(false);
  });
});

test('what is taken is located as parseReply locates it', () => {
  const byte = fc.oneof(fc.integer({ min: 0x1f, max: 0x22 }), fc.integer({ min: 0x7e, max: 0x81 }), fc.nat(255));
  const key = fc
    .uint8Array({ minLength: 1, maxLength: 40 })
    .chain(bytes => fc.array(byte, { minLength: bytes.length, maxLength: bytes.length }));
  const digits = fc.oneof({ weight: 3, arbitrary: fc.nat(999).map(String) }, fc.stringMatching(/^[0-9 \r]{0,11}$/));
  const tail = fc.constantFrom('\r\n', '\r\nabc\r\nEND\r\n', '\n', '', ' 7\r\nx');
  let taken = 0;
  fc.assert(
    fc.property(key, digits, digits, tail, (bytes, flags, length, rest) => {
      const quick = take(
        Uint8Array.from([...Buffer.from('VALUE '), ...bytes, ...Buffer.from(` ${flags} ${length}${rest}`)]),
      );
      if (!quick.taken) return;
      taken++;
      const out = new Int32Array(OUT_WORDS);
      expect(parseReply(quick.bytes, OFFSET, quick.end, out)).toBe(REPLY_VALUE);
      expect([...quick.out]).toEqual([...out]);
    }),
    { numRuns: 10_000 },
  );
  expect(taken).toBeGreaterThan(100);
});
