/**
 * Counts every key exactly: what the others are held against. It needs a row for every key there is, so it is for tests and
 * simulations. Open addressing, 4 words a row: HASH, TAKEN, F, unused; halving looks at every row.
 */

import { COUNT_MAX, type Detector, demandWithin, READING_WORDS } from './detector.ts';

const COUNT = 0;
const ENTRIES = 1;
const HEADER_WORDS = 16;
const ROW_WORDS = 4;
const TAKEN = 1;
const F = 2;
const SPREAD = 0x9e3779b1 | 0;

export interface ExactOptions {
  /** Distinct keys there may be. */
  readonly rows: number;
}

export class Exact implements Detector {
  readonly epsilon = 0;
  readonly displaced = 0;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #rowsMax: number;
  readonly #log2: number;

  static byteLength({ rows }: ExactOptions): number {
    return 4 * (HEADER_WORDS + (ROW_WORDS << log2Of(rows)));
  }

  constructor(words: Int32Array, base: number, { rows }: ExactOptions) {
    this.#words = words;
    this.#base = base;
    this.#rowsMax = rows;
    this.#log2 = log2Of(rows);
  }

  /** @throws RangeError for a key too many */
  update(hash: number, weight: number): number {
    const words = this.#words;
    const row = this.#rowOf(hash);
    if (words[row + TAKEN] === 0) this.#take(row, hash);
    words[row + F] += weight;
    const f = words[row + F];
    words[this.#base + COUNT] += weight;
    if (words[this.#base + COUNT] >= COUNT_MAX) this.decay();
    return f;
  }

  decay(): void {
    const words = this.#words;
    words[this.#base + COUNT] = (words[this.#base + COUNT] + 1) >> 1;
    for (let row = 0; row < 1 << this.#log2; row++) words[this.#rowWord(row) + F] >>= 1;
  }

  estimate(hash: number): number {
    const row = this.#rowOf(hash);
    return this.#words[row + TAKEN] === 0 ? 0 : this.#words[row + F];
  }

  error(_hash: number): number {
    return 0;
  }

  get count(): number {
    return this.#words[this.#base + COUNT];
  }

  get entries(): number {
    return this.#words[this.#base + ENTRIES];
  }

  collect(threshold: number, out: Int32Array): number {
    const words = this.#words;
    let found = 0;
    for (let row = 0; row < 1 << this.#log2; row++) {
      const at = this.#rowWord(row);
      if (words[at + F] < Math.max(1, threshold)) continue;
      if ((found + 1) * READING_WORDS <= out.length) {
        out[found * READING_WORDS] = words[at];
        out[found * READING_WORDS + 1] = words[at + F];
        out[found * READING_WORDS + 2] = 0;
      }
      found++;
    }
    return found;
  }

  #take(row: number, hash: number): void {
    const words = this.#words;
    if (words[this.#base + ENTRIES] >= this.#rowsMax) throw new RangeError(`exact: more than ${this.#rowsMax} keys`);
    words[row] = hash;
    words[row + TAKEN] = 1;
    words[this.#base + ENTRIES]++;
  }

  #rowWord(row: number): number {
    return this.#base + HEADER_WORDS + row * ROW_WORDS;
  }

  #rowOf(hash: number): number {
    const words = this.#words;
    let row = Math.imul(hash, SPREAD) >>> (32 - this.#log2);
    for (;;) {
      const at = this.#rowWord(row);
      if (words[at + TAKEN] === 0 || words[at] === hash) return at;
      row = (row + 1) & ((1 << this.#log2) - 1);
    }
  }
}

function log2Of(rows: number): number {
  demandWithin('rows', rows, 1, 1 << 24);
  return Math.max(1, Math.ceil(Math.log2(2 * rows)));
}
