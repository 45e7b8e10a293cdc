/** The short way for plain gets takes only what the parser would locate alike. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePlainGet } from '../../src/memcached/plain-get.ts';
import { OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_WORDS, parseRequest } from '../../src/memcached/request.ts';

const OFFSET = 3;

function take(text: string | Uint8Array) {
  const request = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  const bytes = new Uint8Array(OFFSET + request.length + 8).fill(0xa5);
  bytes.set(request, OFFSET);
  const out = new Int32Array(OUT_WORDS).fill(77);
  const taken = parsePlainGet(new DataView(bytes.buffer), OFFSET, OFFSET + request.length, out);
  return { bytes, taken, out, end: OFFSET + request.length };
}

describe('taken', () => {
  test.each(['abcd', 'abcde', 'key:000000000042', 'k\x7fk\x7f', '\xff\x80\xfe\x81', 'x'.repeat(249), 'x'.repeat(250)])(
    'key %j',
    key => {
      const { taken, out } = take(`get ${key}\r\n`);
      expect(taken).toBe(true);
      expect([out[OUT_KEY_OFFSET], out[OUT_KEY_LENGTH]]).toEqual([OFFSET + 4, key.length]);
    },
  );
});

describe('left to the parser', () => {
  test.each([
    ['', 'nothing'],
    ['get \r\n', 'no key'],
    ['get abc\r\n', 'a key shorter than a word'],
    [`get ${'x'.repeat(251)}\r\n`, 'a key too long'],
    ['get abcd\n', 'a bare newline'],
    ['get abcde\rx', 'no newline'],
    ['get abcd efgh\r\n', 'two keys'],
    ['get  abcd\r\n', 'two spaces'],
    ['get abcd \r\n', 'a space behind'],
    ['get ab\x00de\r\n', 'a zero byte'],
    ['get abcdefgh\x10\r\n', 'a control byte in the last word'],
    ['Get abcd\r\n', 'a capital'],
    ['gets abcd\r\n', 'another verb'],
    ['get abcd\r\nget efgh\r\n', 'two commands'],
  ])('%j: %s', text => expect(take(text).taken).toBe(false));
});

test('what is taken is located as parseRequest locates it', () => {
  const byte = fc.oneof(fc.integer({ min: 0x1f, max: 0x22 }), fc.integer({ min: 0x7e, max: 0x81 }), fc.nat(255));
  const key = fc
    .uint8Array({ minLength: 1, maxLength: 40 })
    .chain(bytes => fc.array(byte, { minLength: bytes.length, maxLength: bytes.length }));
  let taken = 0;
  fc.assert(
    fc.property(key, bytes => {
      const request = Uint8Array.from([...Buffer.from('get '), ...bytes, 13, 10]);
      const quick = take(request);
      if (!quick.taken) return;
      taken++;
      const out = new Int32Array(OUT_WORDS);
      expect(parseRequest(quick.bytes, OFFSET, quick.end, out)).toBe(0);
      expect([...quick.out]).toEqual([...out]);
    }),
    { numRuns: 3000 },
  );
  expect(taken).toBeGreaterThan(100);
});
