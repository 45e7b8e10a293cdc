/** Unsigned 64-bit numbers (CAS ids, counters) as two words of 32 bits, and as decimal digits. No BigInt is made. */
import { writeDecimal } from './decimal.ts';

const WORD = 4294967296;
const LIMB = 65536;
/** High words below this make a number below 2^53. */
const EXACT_HIGH = 0x200000;
const GROUP = 1e9;
const GROUP_DIGITS = 9;
const ZERO = 0x30;

/** Digits of the largest. */
export const UINT64_DIGITS_MAX = 20;

/** Writes a number in decimal at `offset`; returns the offset behind its last digit. The words may be int32. */
export function writeUint64(bytes: Uint8Array, offset: number, high: number, low: number): number {
  if (high >>> 0 < EXACT_HIGH) return writeDecimal(bytes, offset, high * WORD + (low >>> 0));
  return writeLarge(bytes, offset, high, low);
}

/** Long division by 10^9, 16 bits at a time: a remainder × 2^16 stays below 2^53. */
function writeLarge(bytes: Uint8Array, offset: number, high: number, low: number): number {
  let quotient = 0;
  let rest = 0;
  for (let limb = 0; limb < 4; limb++) {
    const word = limb < 2 ? high : low;
    const dividend = rest * LIMB + ((limb & 1) === 0 ? word >>> 16 : word & 0xffff);
    const digit = Math.floor(dividend / GROUP);
    rest = dividend - digit * GROUP;
    quotient = quotient * LIMB + digit;
  }
  const stop = writeDecimal(bytes, offset, quotient) + GROUP_DIGITS;
  for (let at = stop - 1; at >= stop - GROUP_DIGITS; at--) {
    bytes[at] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return stop;
}

/** Writes the number that `length` decimal digits are, big endian, 8 bytes at `offset`; modulo 2^64. */
export function writeUint64Bytes(from: DataView, at: number, length: number, to: Uint8Array, offset: number): void {
  let high = 0;
  let low = 0;
  for (let index = at; index < at + length; index++) {
    const grown = low * 10 + from.getUint8(index) - ZERO;
    low = grown % WORD;
    high = (high * 10 + Math.floor(grown / WORD)) % WORD;
  }
  writeWord(to, offset, high);
  writeWord(to, offset + 4, low);
}

/** Writes 32 bits, big endian. */
export function writeWord(bytes: Uint8Array, offset: number, word: number): void {
  bytes[offset] = word >>> 24;
  bytes[offset + 1] = word >>> 16;
  bytes[offset + 2] = word >>> 8;
  bytes[offset + 3] = word;
}

/** What `readUint64` leaves: high and low word. */
export const NUMBER = new Int32Array(2);

/** Reads the decimal digits at `offset` into NUMBER, modulo 2^64; returns the offset behind them. */
export function readUint64(bytes: Uint8Array, offset: number): number {
  let high = 0;
  let low = 0;
  let at = offset;
  for (let digit = bytes[at] - ZERO; digit >= 0 && digit <= 9; digit = bytes[++at] - ZERO) {
    const grown = low * 10 + digit;
    low = grown % WORD;
    high = (high * 10 + Math.floor(grown / WORD)) % WORD;
  }
  NUMBER[0] = high | 0;
  NUMBER[1] = low | 0;
  return at;
}
