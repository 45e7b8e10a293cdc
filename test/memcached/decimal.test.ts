import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeAddress, writeDecimal } from '../../src/memcached/decimal.ts';

const OFFSET = 7;
const DIRT = 0xc5;

/** What was written, and that nothing else was. */
function written(write: (bytes: Uint8Array, offset: number) => number): string {
  const bytes = new Uint8Array(40).fill(DIRT);
  const stop = write(bytes, OFFSET);
  expect(bytes.slice(0, OFFSET).every(byte => byte === DIRT)).toBe(true);
  expect(bytes.slice(stop).every(byte => byte === DIRT)).toBe(true);
  return Buffer.from(bytes.slice(OFFSET, stop)).toString('latin1');
}

test.each([0, 1, 9, 10, 99, 100, 999_999_999, 1e9, 1_000_000_001, 2 ** 31, 2 ** 32, 1e18 / 1000, 2 ** 53 - 1, 2 ** 53])(
  '%d is written as its digits',
  number => {
    expect(written((bytes, offset) => writeDecimal(bytes, offset, number))).toBe(`${number}`);
  },
);

test('any counter is written as its digits', () => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeNat(), fc.nat(), fc.nat(2000)), number => {
      expect(written((bytes, offset) => writeDecimal(bytes, offset, number))).toBe(`${number}`);
    }),
  );
});

test('an address is written with dots', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), ([a, b, c, d]) => {
      const address = (a! << 24) | (b! << 16) | (c! << 8) | d!;
      expect(written((bytes, offset) => writeAddress(bytes, offset, address))).toBe(`${a}.${b}.${c}.${d}`);
    }),
  );
});
