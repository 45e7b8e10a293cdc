/**
 * Numbers as decimal digits, written into bytes: no string is made on the way. Numbers up to 2^53 are exact, which is
 * what a counter can hold.
 */
const ZERO = 0x30;
/** A number is written in groups of nine digits, so that every group is an int32. */
const GROUP = 1e9;
const GROUP_DIGITS = 9;

/** Writes a whole number ≥ 0 at `offset`; returns the offset behind its last digit. */
export function writeDecimal(bytes: Uint8Array, offset: number, number: number): number {
  if (number < GROUP) return writeDigits(bytes, offset, number | 0, digitsOf(number | 0));
  const upper = Math.floor(number / GROUP);
  const stop = writeDecimal(bytes, offset, upper);
  return writeDigits(bytes, stop, (number - upper * GROUP) | 0, GROUP_DIGITS);
}

/** Digits of a whole number from 0 to 999,999,999. */
function digitsOf(number: number): number {
  let digits = 1;
  for (let rest = (number / 10) | 0; rest > 0; rest = (rest / 10) | 0) digits++;
  return digits;
}

function writeDigits(bytes: Uint8Array, offset: number, number: number, digits: number): number {
  let rest = number;
  for (let at = offset + digits - 1; at >= offset; at--) {
    const tenth = (rest / 10) | 0;
    bytes[at] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return offset + digits;
}

/** Writes an IPv4 address as a.b.c.d; returns the offset behind it. */
export function writeAddress(bytes: Uint8Array, offset: number, address: number): number {
  let at = offset;
  for (let shift = 24; shift >= 0; shift -= 8) {
    at = writeDecimal(bytes, at, (address >>> shift) & 0xff);
    if (shift > 0) bytes[at++] = DOT;
  }
  return at;
}
const DOT = 0x2e;
