/**
 * Space-Saving (A. Metwally, D. Agrawal, A. El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data
 * Streams", ICDT 2005): the yardstick for the others.
 *
 * m = ⌈1/ε⌉ counters. A key without a counter takes over the least of all, with count c: it gets c + weight, of which
 * c is its error. All counters together sum to N at most, so the least is at most N/m, and
 *
 *     count − error ≤ f ≤ count,   error ≤ least ≤ N/m ≤ εN,   a key without a counter has f ≤ least
 *
 * In the terms of `Detector`: estimate = count − error. Optimal in counters, for every stream; what it pays is a heap: each
 * update of a counter moves it down, and a uniform stream moves it all the way, in memory that is far apart.
 *
 *     header   0 COUNT, 1 EPOCH, 2 USED counters, 3 DISPLACED
 *     rows     m × 4 words: HASH, UPPER (the count), LOWER (count − error), ROW_EPOCH      never move
 *     heap     m words: rows, least UPPER first
 *     places   m words: where in the heap a row is
 *     index    2^k ≥ 2m words: row + 1 by hash, linear probing, holes closed at once
 *
 * Halving is lazy, as a row is met; it keeps the order of the heap (⌊a/2⌋ ≤ ⌊b/2⌋ when a ≤ b). Another thread may read rows
 * (`collect`): one that is being replaced or halved may be seen half-way, once. `estimate` and `error` are the writer's.
 */

import { mix32 } from '../mem/mix.ts';
import { COUNT_MAX, type Detector, demandWithin, READING_WORDS } from './detector.ts';

const COUNT = 0;
const EPOCH = 1;
const USED = 2;
const DISPLACED = 3;
const HEADER_WORDS = 16;
const ROW_WORDS_SHIFT = 2;
const HASH = 0;
const UPPER = 1;
const LOWER = 2;
const ROW_EPOCH = 3;
const EPOCH_MASK = 0x3fffffff;
const EPSILON_MIN = 1e-6;
const DEFAULT_SEED = 0x2545f491;

export interface SpaceSavingOptions {
  /** Error allowed, a share of the count: 1e-6 to 0.5. There are 1/ε counters. */
  readonly epsilon: number;
  readonly seed?: number;
}

function countersOf({ epsilon }: SpaceSavingOptions): number {
  demandWithin('epsilon', epsilon, EPSILON_MIN, 0.5);
  return Math.ceil(1 / epsilon);
}

function indexLog2Of(counters: number): number {
  return Math.ceil(Math.log2(2 * counters));
}

export class SpaceSaving implements Detector {
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #counters: number;
  readonly #rows: number;
  readonly #heap: number;
  readonly #places: number;
  readonly #index: number;
  readonly #indexMask: number;
  readonly #indexShift: number;
  readonly #multiplier: number;

  static byteLength(options: SpaceSavingOptions): number {
    const counters = countersOf(options);
    return 4 * (HEADER_WORDS + 6 * counters + (1 << indexLog2Of(counters)));
  }

  /** @param base word index of `byteLength` zeroed bytes */
  constructor(words: Int32Array, base: number, options: SpaceSavingOptions) {
    const counters = countersOf(options);
    this.#words = words;
    this.#base = base;
    this.#counters = counters;
    this.#rows = base + HEADER_WORDS;
    this.#heap = this.#rows + (counters << ROW_WORDS_SHIFT);
    this.#places = this.#heap + counters;
    this.#index = this.#places + counters;
    this.#indexMask = (1 << indexLog2Of(counters)) - 1;
    this.#indexShift = 32 - indexLog2Of(counters);
    this.#multiplier = mix32(options.seed ?? DEFAULT_SEED) | 1;
  }

  update(hash: number, weight: number): number {
    const words = this.#words;
    const entry = this.#entryOf(hash);
    const row = words[entry] === 0 ? this.#admit(hash, entry) : words[entry] - 1;
    const at = this.#rowWord(row);
    this.#bringUp(at);
    words[at + UPPER] += weight;
    const lower = (words[at + LOWER] + weight) | 0;
    words[at + LOWER] = lower;
    this.#sink(words[this.#places + row], row);
    words[this.#base + COUNT] += weight;
    if (words[this.#base + COUNT] >= COUNT_MAX) this.decay();
    return lower;
  }

  decay(): void {
    const words = this.#words;
    words[this.#base + COUNT] = (words[this.#base + COUNT] + 1) >> 1;
    Atomics.store(words, this.#base + EPOCH, (words[this.#base + EPOCH] + 1) & EPOCH_MASK);
  }

  estimate(hash: number): number {
    const row = this.#words[this.#entryOf(hash)] - 1;
    return row < 0 ? 0 : this.#now(this.#rowWord(row), LOWER);
  }

  error(hash: number): number {
    const row = this.#words[this.#entryOf(hash)] - 1;
    if (row < 0) return this.#least();
    return this.#now(this.#rowWord(row), UPPER) - this.#now(this.#rowWord(row), LOWER);
  }

  get count(): number {
    return this.#words[this.#base + COUNT];
  }

  get entries(): number {
    return this.#words[this.#base + USED];
  }

  get displaced(): number {
    return this.#words[this.#base + DISPLACED] >>> 0;
  }

  get epsilon(): number {
    return 1 / this.#counters;
  }

  collect(threshold: number, out: Int32Array): number {
    const words = this.#words;
    let found = 0;
    for (let row = 0; row < words[this.#base + USED]; row++) {
      const at = this.#rowWord(row);
      const upper = this.#now(at, UPPER);
      if (upper < threshold || upper === 0) continue;
      const lower = Math.min(upper, this.#now(at, LOWER));
      if ((found + 1) * READING_WORDS <= out.length) {
        out[found * READING_WORDS] = words[at + HASH];
        out[found * READING_WORDS + 1] = lower;
        out[found * READING_WORDS + 2] = upper - lower;
      }
      found++;
    }
    return found;
  }

  /** Most that a key without a counter may have. */
  #least(): number {
    const words = this.#words;
    if (words[this.#base + USED] < this.#counters) return 0;
    return this.#now(this.#rowWord(words[this.#heap]), UPPER);
  }

  /** Gives the key a counter of its own, or the least of all. @param entry free entry of the index for it */
  #admit(hash: number, entry: number): number {
    const words = this.#words;
    const used = words[this.#base + USED];
    return used < this.#counters ? this.#takeFree(hash, entry, used) : this.#takeOver(hash);
  }

  /** Fresh counters come in at the end of the heap; their epoch is the present one. */
  #takeFree(hash: number, entry: number, row: number): number {
    const words = this.#words;
    const at = this.#rowWord(row);
    words[at + HASH] = hash;
    words[at + ROW_EPOCH] = words[this.#base + EPOCH];
    words[entry] = row + 1;
    words[this.#base + USED] = row + 1;
    this.#rise(row, row);
    return row;
  }

  #takeOver(hash: number): number {
    const words = this.#words;
    const row = words[this.#heap];
    const at = this.#rowWord(row);
    this.#bringUp(at);
    if (words[at + UPPER] > 0) words[this.#base + DISPLACED]++;
    this.#removeEntry(this.#entryOf(words[at + HASH]));
    words[at + LOWER] = 0;
    words[at + HASH] = hash;
    words[this.#entryOf(hash)] = row + 1;
    return row;
  }

  #rowWord(row: number): number {
    return this.#rows + (row << ROW_WORDS_SHIFT);
  }

  #now(at: number, field: number): number {
    return this.#words[at + field] >> this.#missed(at);
  }

  #missed(at: number): number {
    return Math.min(31, (this.#words[this.#base + EPOCH] - this.#words[at + ROW_EPOCH]) & EPOCH_MASK);
  }

  #bringUp(at: number): void {
    const words = this.#words;
    const shift = this.#missed(at);
    if (shift === 0) return;
    words[at + UPPER] >>= shift;
    words[at + LOWER] >>= shift;
    words[at + ROW_EPOCH] = words[this.#base + EPOCH];
  }

  #upperOf(row: number): number {
    return this.#now(this.#rowWord(row), UPPER);
  }

  /** Moves a row whose count has grown away from the root. */
  #sink(place: number, row: number): void {
    const words = this.#words;
    const used = words[this.#base + USED];
    const upper = this.#upperOf(row);
    let hole = place;
    for (let child = 2 * hole + 1; child < used; child = 2 * hole + 1) {
      const right = child + 1;
      if (right < used && this.#upperOf(words[this.#heap + right]) < this.#upperOf(words[this.#heap + child]))
        child = right;
      if (this.#upperOf(words[this.#heap + child]) >= upper) break;
      this.#put(hole, words[this.#heap + child]);
      hole = child;
    }
    this.#put(hole, row);
  }

  /** Moves a fresh row, whose count is 0, towards the root. */
  #rise(place: number, row: number): void {
    const words = this.#words;
    let hole = place;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (this.#upperOf(words[this.#heap + parent]) === 0) break;
      this.#put(hole, words[this.#heap + parent]);
      hole = parent;
    }
    this.#put(hole, row);
  }

  #put(place: number, row: number): void {
    this.#words[this.#heap + place] = row;
    this.#words[this.#places + row] = place;
  }

  #homeOf(hash: number): number {
    return Math.imul(hash, this.#multiplier) >>> this.#indexShift;
  }

  /** Word of the index entry of a key, or of the free one where it would go. */
  #entryOf(hash: number): number {
    const words = this.#words;
    let entry = this.#homeOf(hash);
    for (;;) {
      const row = words[this.#index + entry] - 1;
      if (row < 0 || words[this.#rowWord(row) + HASH] === hash) return this.#index + entry;
      entry = (entry + 1) & this.#indexMask;
    }
  }

  /** Empties an entry and closes the hole (Knuth, TAOCP 3, 6.4, algorithm R). */
  #removeEntry(word: number): void {
    const words = this.#words;
    let hole = word - this.#index;
    for (
      let next = (hole + 1) & this.#indexMask;
      words[this.#index + next] !== 0;
      next = (next + 1) & this.#indexMask
    ) {
      const home = this.#homeOf(words[this.#rowWord(words[this.#index + next] - 1) + HASH]);
      if (((next - home) & this.#indexMask) < ((next - hole) & this.#indexMask)) continue;
      words[this.#index + hole] = words[this.#index + next];
      hole = next;
    }
    words[this.#index + hole] = 0;
  }
}
