/**
 * Values that prove themselves: every byte follows from (key, writer, version), and so does the length.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *   0 |                           key index                           |
 *     +-------------------------------+-------------------------------+
 *   4 |            writer             |       check (of the rest)     |
 *     +-------------------------------+-------------------------------+
 *   8 |                            version                            |
 *     +---------------------------------------------------------------+
 *  12 |  filler: a linear congruential sequence begun at the seed
 *
 * The seed mixes key, writer and version. So a value under another key, of a version that nobody wrote, cut short,
 * spliced from two values, or with a single bit changed is found out.
 */
import { mix32 } from './random.ts';

export const VALUE_BYTES_MIN = 12;
/** The writer of a sink's values, which no generator may be. */
export const SINK_WRITER = 0xffff;

/** `ValueRule.check`: the value is right. */
export const VALUE_RIGHT = 0;
/** Of another key. */
export const VALUE_OF_OTHER_KEY = 1;
/** Not as long as this version of the key is. */
export const VALUE_LENGTH_WRONG = 2;
/** A byte differs. */
export const VALUE_BYTES_WRONG = 3;

const MULTIPLIER = 1664525;
const INCREMENT = 1013904223;
const UNIT = 1 / 4294967296;

function seedOf(key: number, writer: number, version: number): number {
  return mix32(Math.imul(key, 0x9e3779b1) ^ mix32(Math.imul(version, 0x85ebca77) + writer));
}

/** The values of one run: how long they are. */
export class ValueRule {
  readonly bytesMin: number;
  readonly bytesMax: number;

  constructor(bytesMin: number, bytesMax: number) {
    this.bytesMin = bytesMin;
    this.bytesMax = bytesMax;
  }

  /** Bytes of a version of a key; between `bytesMin` and `bytesMax`, all equally likely. */
  lengthOf(key: number, writer: number, version: number): number {
    const span = this.bytesMax - this.bytesMin + 1;
    if (span === 1) return this.bytesMin;
    return this.bytesMin + (((mix32(seedOf(key, writer, version)) >>> 0) * UNIT * span) | 0);
  }

  /** Writes `length` bytes (what `lengthOf` said). */
  write(view: DataView, offset: number, length: number, key: number, writer: number, version: number): void {
    const seed = seedOf(key, writer, version);
    view.setInt32(offset, key);
    view.setInt32(offset + 4, (writer << 16) | (seed >>> 16));
    view.setInt32(offset + 8, version);
    const end = offset + length;
    let word = seed;
    let at = offset + VALUE_BYTES_MIN;
    for (; at + 4 <= end; at += 4) {
      word = (Math.imul(word, MULTIPLIER) + INCREMENT) | 0;
      view.setInt32(at, word);
    }
    word = (Math.imul(word, MULTIPLIER) + INCREMENT) | 0;
    for (; at < end; at++, word <<= 8) view.setUint8(at, word >>> 24);
  }

  /** Is this a value of `key`, whole and exact? `length` ≥ VALUE_BYTES_MIN. Returns VALUE_*. */
  check(view: DataView, offset: number, length: number, key: number): number {
    if (view.getInt32(offset) !== key) return VALUE_OF_OTHER_KEY;
    const writer = writerOf(view, offset);
    const version = versionOf(view, offset);
    if (length !== this.lengthOf(key, writer, version)) return VALUE_LENGTH_WRONG;
    const seed = seedOf(key, writer, version);
    let difference = view.getUint16(offset + 6) ^ (seed >>> 16);
    const end = offset + length;
    let word = seed;
    let at = offset + VALUE_BYTES_MIN;
    for (; at + 4 <= end; at += 4) {
      word = (Math.imul(word, MULTIPLIER) + INCREMENT) | 0;
      difference |= view.getInt32(at) ^ word;
    }
    word = (Math.imul(word, MULTIPLIER) + INCREMENT) | 0;
    for (; at < end; at++, word <<= 8) difference |= view.getUint8(at) ^ (word >>> 24);
    return difference === 0 ? VALUE_RIGHT : VALUE_BYTES_WRONG;
  }
}

export function writerOf(view: DataView, offset: number): number {
  return view.getUint16(offset + 4);
}

export function versionOf(view: DataView, offset: number): number {
  return view.getInt32(offset + 8);
}
