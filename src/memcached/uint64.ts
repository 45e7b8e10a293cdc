/** Unsigned 64-bit numbers as two int32 words (high, low): CAS ids and counters, without BigInt. */
const ZERO = 0x30;
const DIGITS_MAX = 20;
const LIMB = 0x10000;

/** What `readUint64` and `addUint64` leave. */
export const NUMBER = new Int32Array(2);
const LIMBS = new Int32Array(4);
const DIGITS = new Uint8Array(DIGITS_MAX);

/** Reads the decimal digits at `offset` (at least one) into NUMBER, modulo 2^64; returns the offset behind them. */
export function readUint64(bytes: Uint8Array, offset: number): number {
  LIMBS.fill(0);
  let at = offset;
  for (let digit = bytes[at] - ZERO; digit >= 0 && digit <= 9; digit = bytes[++at] - ZERO) {
    let carry = digit;
    for (let limb = 0; limb < 4; limb++) {
      const product = LIMBS[limb] * 10 + carry;
      LIMBS[limb] = product & 0xffff;
      carry = product >>> 16;
    }
  }
  NUMBER[0] = (LIMBS[3] << 16) | LIMBS[2];
  NUMBER[1] = (LIMBS[1] << 16) | LIMBS[0];
  return at;
}

/** Writes the number as decimal digits at `offset`; returns the offset behind them. */
export function writeUint64(bytes: Uint8Array, offset: number, high: number, low: number): number {
  LIMBS[3] = high >>> 16;
  LIMBS[2] = high & 0xffff;
  LIMBS[1] = low >>> 16;
  LIMBS[0] = low & 0xffff;
  let digits = 0;
  do {
    let rest = 0;
    for (let limb = 3; limb >= 0; limb--) {
      const value = rest * LIMB + LIMBS[limb];
      LIMBS[limb] = (value / 10) | 0;
      rest = value % 10;
    }
    DIGITS[digits++] = ZERO + rest;
  } while ((LIMBS[0] | LIMBS[1] | LIMBS[2] | LIMBS[3]) !== 0);
  for (let digit = 0; digit < digits; digit++) bytes[offset + digit] = DIGITS[digits - 1 - digit];
  return offset + digits;
}
