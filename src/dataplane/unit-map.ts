/** Which units of 8 bytes of a datagram are there: a bit each, for several datagrams. */
import { FRAGMENT_UNIT_BYTES, TOTAL_BYTES_MAX } from '../wire/ipv4.ts';

const UNIT_SHIFT = 3;
/** 8,192 bits hold every unit of the longest datagram. */
const MAP_WORDS = (TOTAL_BYTES_MAX + 1) / FRAGMENT_UNIT_BYTES / 32;

/** `look`: none of the units is there, all of them, or some. */
export const UNITS_MISSING = 0;
export const UNITS_THERE = 1;
export const UNITS_MIXED = 2;

export class UnitMap {
  readonly #bits: Int32Array;

  constructor(datagrams: number) {
    this.#bits = new Int32Array(datagrams * MAP_WORDS);
  }

  clear(datagram: number): void {
    this.#bits.fill(0, datagram * MAP_WORDS, (datagram + 1) * MAP_WORDS);
  }

  /** Of the bytes `at` (a multiple of 8) … `end` − 1. */
  look(datagram: number, at: number, end: number): number {
    const base = datagram * MAP_WORDS;
    const last = (end - 1) >> UNIT_SHIFT;
    let some = 0;
    let absent = 0;
    for (let unit = at >> UNIT_SHIFT; unit <= last; unit = (unit | 31) + 1) {
      const mask = maskOf(unit, last);
      const there = this.#bits[base + (unit >> 5)] & mask;
      some |= there;
      absent |= there ^ mask;
    }
    if (some === 0) return UNITS_MISSING;
    return absent === 0 ? UNITS_THERE : UNITS_MIXED;
  }

  /** Bytes `at` … `end` − 1 are there now. */
  set(datagram: number, at: number, end: number): void {
    const base = datagram * MAP_WORDS;
    const last = (end - 1) >> UNIT_SHIFT;
    for (let unit = at >> UNIT_SHIFT; unit <= last; unit = (unit | 31) + 1) {
      this.#bits[base + (unit >> 5)] |= maskOf(unit, last);
    }
  }
}

/** Units that `bytes` bytes, from the start of a datagram, take up. */
export function unitsOf(bytes: number): number {
  return (bytes + FRAGMENT_UNIT_BYTES - 1) >> UNIT_SHIFT;
}

/** Bits of the word of `unit`, from that unit to `last` or to the word's end. */
function maskOf(unit: number, last: number): number {
  const upTo = last - (unit & ~31);
  const upper = upTo >= 31 ? -1 : (1 << (upTo + 1)) - 1;
  return upper & (-1 << (unit & 31));
}
