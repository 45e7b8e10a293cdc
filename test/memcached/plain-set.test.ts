/** The short way for plain sets takes only what the parser would locate alike. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePlainSet } from '../../src/memcached/plain-set.ts';
import {
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_VALUE_LENGTH,
  OUT_VALUE_OFFSET,
  OUT_WORDS,
  parseRequest,
} from '../../src/memcached/request.ts';

const OFFSET = 3;

function take(text: string | Uint8Array, behind = 0xa5) {
  const request = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  const bytes = new Uint8Array(OFFSET + request.length + 16).fill(behind);
  bytes.set(request, OFFSET);
  const out = new Int32Array(OUT_WORDS).fill(77);
  const end = OFFSET + request.length;
  return { bytes, taken: parsePlainSet(new DataView(bytes.buffer), OFFSET, end, out), out, end };
}

describe('taken', () => {
  test.each([
    ['k', '0 0', ''],
    ['abcd', '4294967 0', 'x'],
    ['key:000000000042', '0 2592000', 'v'.repeat(64)],
    ['a!', '0 0', 'x'],
    ['abc!!!!', '9 9', 'x'],
    ['abcd', '10 0', 'x'],
    ['abcd', '0 10', 'x'],
    ['\xff\x80\xfe', '0 0', '\r\n set a 0 0 1\r\n'],
    ['x'.repeat(250), '0 0', 'v'.repeat(1000)],
  ])('key %j, %j, %j', (key, numbers, value) => {
    const head = `set ${key} ${numbers} ${value.length}\r\n`;
    const { taken, out } = take(`${head}${value}\r\n`);
    expect(taken).toBe(true);
    expect([out[OUT_KEY_OFFSET], out[OUT_KEY_LENGTH]]).toEqual([OFFSET + 4, key.length]);
    expect([out[OUT_VALUE_OFFSET], out[OUT_VALUE_LENGTH]]).toEqual([OFFSET + head.length, value.length]);
  });
});

describe('left to the parser', () => {
  test.each([
    ['', 'nothing'],
    ['set  0 0 1\r\nx\r\n', 'no key'],
    [`set ${'x'.repeat(251)} 0 0 1\r\nx\r\n`, 'a key too long'],
    ['set k 0 0 2\r\nx\r\n', 'a value shorter than declared: it would poison a node'],
    ['set k 0 0 1\r\nxy\r\n', 'a longer one'],
    ['set k 0 0 1\r\nx', 'no line end'],
    ['set k 0 0 1\nx\r\n', 'a bare newline'],
    ['set k 0 0 1 noreply\r\nx\r\n', 'noreply'],
    ['set k 0 -1 1\r\nx\r\n', 'a sign'],
    ['set k : 0 1\r\nx\r\n', 'no digit'],
    ['set k 0 ? 1\r\nx\r\n', 'no digit, either'],
    ['set k 4294967295 0 1\r\nx\r\n', 'ten digits'],
    ['set k 0 0 1000000000\r\nx\r\n', 'ten digits of length'],
    ['set k  0 0 1\r\nx\r\n', 'two spaces'],
    ['set k\x000 0 0 1\r\nx\r\n', 'a zero byte'],
    ['add k 0 0 1\r\nx\r\n', 'another verb'],
    ['set k 0 0\r\n0 1\r\nx\r\n', 'a line that ends too soon'],
  ])('%j: %s', text => {
    expect(take(text).taken).toBe(false);
    expect(take(text, 0x30).taken).toBe(false);
    expect(take(text, 0x20).taken).toBe(false);
  });
});

test('what is taken is located as parseRequest locates it', () => {
  const part = fc.oneof(
    fc.nat(12).map(String),
    fc.constantFrom('k', 'key:1', '\x21\x7f', '\x1f', ' ', '\r\n', '', '00', '-1'),
  );
  const line = fc.array(part, { minLength: 3, maxLength: 6 }).map(parts => `set ${parts.join(' ')}\r\n`);
  const value = fc.nat(12).map(length => `${'v'.repeat(length)}\r\n`);
  let taken = 0;
  fc.assert(
    fc.property(line, value, (head, tail) => {
      const quick = take(head + tail);
      if (!quick.taken) return;
      taken++;
      const out = new Int32Array(OUT_WORDS);
      expect(parseRequest(quick.bytes, OFFSET, quick.end, out)).toBe(0);
      expect([...quick.out]).toEqual([...out]);
    }),
    { numRuns: 30_000, seed: 7 },
  );
  expect(taken).toBeGreaterThan(20);
});
