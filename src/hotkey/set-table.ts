/**
 * The table of rows under the lossy counters: sets of ten rows, two cache lines a set.
 *
 *     word  0        COUNT        N                                                          writer of all: the lane
 *           1        EPOCH        epochs ended, 30 bits
 *           2        WORST        largest BOUND of any set
 *           3        DISPLACED    rows that had to go before their time
 *          32 …      sets, 32 words each, a power of two of them
 *
 *     set, word
 *           0        SET_EPOCH    epoch that its counts are of; −1 while they are being brought to another
 *           1        BOUND        no key of this set that is absent has more, for reasons of this set
 *           2 … 11   HASH         of each row
 *          12 … 21   UPPER        f̂ + Δ; 0: the row is free
 *          22 … 31   LOWER        f̂
 *
 * A key belongs to one set. If it has no row there, the row with the least UPPER gives way, so nothing is ever swept,
 * moved or refused. A lossy counter drops rows with f̂ + Δ ≤ b at the end of each bucket; here such a row is merely the
 * first to give way, when its place is needed. That is sound: dropping is never a duty. A guarantee needs only that a key
 * without a row has no more than the Δ it would come back with, and a row that stays longer than it must has a Δ that is no
 * worse than the one it would come back with. `entries` counts the rows with UPPER > b, those the algorithm would hold.
 *
 * When all ten rows of a set are above b the table is full for this set. The least row goes all the same, `displaced`
 * counts it, and the set's BOUND remembers its UPPER: what a returning key may have had. This is Space-Saving (Metwally,
 * Agrawal, El Abbadi 2005) on ten counters. As there, the UPPERs of a set sum to at most the weight N' that fell into it, so
 * its least is at most N'/10; and with the j heaviest keys set aside, at most (N' less theirs)/(10 − j).
 * So a full set costs the keys of that set some accuracy, and `epsilon` says how much: max(ε, WORST/N).
 *
 * Halving is done per set, when it is touched: BOUND, UPPER and LOWER are shifted by the number of epochs missed. From
 * f̂ ≤ f ≤ UPPER follows ⌊f̂/2⌋ ≤ ⌊f/2⌋ ≤ ⌊UPPER/2⌋, so rows stay right; UPPER − f̂ may be rounded up by one.
 *
 * **Another thread** reads whole sets (`collect`): it waits while SET_EPOCH is −1 and reads again if it changed. A row
 * that is replaced or counted up at that very moment may be seen with its predecessor's hash or counts. Both belong to the
 * least row of the set, so a name may be wrong or missing only for a key with no more than the set's least, and only
 * in this one reading; rows above that, the ones that matter, are off by at most the update under way. Nothing here may be
 * read as proof about one request.
 *
 * A hash is spread over the sets by an odd multiplier from `seed`, so that nobody who does not know it can choose keys
 * that share a set.
 */

import { mix32 } from '../mem/mix.ts';
import { COUNT_MAX, type Detector, DetectorConfigError, demandWithin, READING_WORDS } from './detector.ts';

export const COUNT = 0;
export const EPOCH = 1;
export const WORST = 2;
export const DISPLACED = 3;
export const HEADER_WORDS = 32;

export const SET_WORDS_SHIFT = 5;
export const SET_WORDS = 32;
export const SET_ROWS = 10;
export const SET_EPOCH = 0;
export const BOUND = 1;
export const HASHES = 2;
/** From a row's HASH word to its others. */
export const UPPER = 10;
export const LOWER = 20;

export const EPOCH_MASK = 0x3fffffff;
const AGEING = -1;
/** Looks at a set that is being brought to another epoch, which takes its writer well under a microsecond unless it is descheduled. */
const LOOKS_MAX = 1000;
const SETS_LOG2_MAX = 20;
const DEFAULT_SEED = 0x2545f491;

export interface SetTableOptions {
  /** Decides which keys share a set. Default: a constant; give a random one where keys come from strangers. */
  readonly seed?: number;
}

/** log2 of the sets that hold at least `rows` rows. @throws DetectorConfigError */
export function setsLog2For(rows: number): number {
  demandWithin('rows', rows, 1, SET_ROWS << SETS_LOG2_MAX);
  return Math.max(1, Math.ceil(Math.log2(rows / SET_ROWS)));
}

/** log2 of the sets that fit in `bytes`. @throws DetectorConfigError */
export function setsLog2Within(bytes: number): number {
  const setBytes = 4 * SET_WORDS;
  if (!(bytes >= 2 * setBytes)) throw new DetectorConfigError('bytes', bytes, `must be at least ${2 * setBytes}`);
  return Math.min(SETS_LOG2_MAX, Math.floor(Math.log2(bytes / setBytes)));
}

export function setTableByteLength(setsLog2: number): number {
  return 4 * (HEADER_WORDS + (SET_WORDS << setsLog2));
}

export abstract class SetTable implements Detector {
  protected readonly words: Int32Array;
  /** Word of the header. */
  protected readonly base: number;
  protected readonly setsWord: number;
  protected readonly sets: number;
  readonly #multiplier: number;
  readonly #shift: number;

  /** @param base word index of `setTableByteLength` zeroed bytes, a multiple of 16 (better 32), on every thread the same */
  protected constructor(words: Int32Array, base: number, setsLog2: number, seed = DEFAULT_SEED) {
    if (base % 16 !== 0) throw new RangeError(`detector: base is word ${base}; it must lie on a cache line`);
    this.words = words;
    this.base = base;
    this.setsWord = base + HEADER_WORDS;
    this.sets = 1 << setsLog2;
    this.#multiplier = mix32(seed) | 1;
    this.#shift = 32 - setsLog2;
  }

  /** b: rows with no more than this are as good as gone; no key may be absent with more, but for BOUND. */
  protected abstract bucket(): number;
  /** Δ of a key that has no row in `set`. */
  protected abstract absentError(set: number, hash: number): number;
  /** The row at `row` of `set`, the one with the least UPPER, is about to be given to another key. */
  protected abstract depart(set: number, row: number): void;
  /** ε in force. */
  abstract get epsilon(): number;

  update(hash: number, weight: number): number {
    const words = this.words;
    const base = this.base;
    const set = this.setOf(hash);
    if (words[set + SET_EPOCH] !== words[base + EPOCH]) this.#age(set);
    const end = set + HASHES + SET_ROWS;
    let row = set + HASHES;
    while (row < end && words[row] !== hash) row++;
    if (row === end) row = this.#admit(set, hash);
    words[row + UPPER] += weight;
    const lower = (words[row + LOWER] + weight) | 0;
    words[row + LOWER] = lower;
    const count = (words[base + COUNT] + weight) | 0;
    words[base + COUNT] = count;
    if (count >= COUNT_MAX) this.decay();
    return lower;
  }

  decay(): void {
    const { words, base } = this;
    words[base + COUNT] = (words[base + COUNT] + 1) >> 1;
    words[base + WORST] >>= 1;
    Atomics.store(words, base + EPOCH, (words[base + EPOCH] + 1) & EPOCH_MASK);
  }

  estimate(hash: number): number {
    const set = this.setOf(hash);
    const row = this.rowOf(set, hash);
    return row < 0 ? 0 : this.#now(set, row + LOWER);
  }

  error(hash: number): number {
    const set = this.setOf(hash);
    const row = this.rowOf(set, hash);
    return row < 0 ? this.absentError(set, hash) : this.#now(set, row + UPPER) - this.#now(set, row + LOWER);
  }

  get count(): number {
    return this.words[this.base + COUNT];
  }

  get displaced(): number {
    return this.words[this.base + DISPLACED] >>> 0;
  }

  get entries(): number {
    return this.#scan(Math.max(1, this.bucket() + 1), undefined);
  }

  collect(threshold: number, out: Int32Array): number {
    return this.#scan(threshold, out);
  }

  /** Word of the set that a hash belongs to. */
  protected setOf(hash: number): number {
    return this.setsWord + ((Math.imul(hash, this.#multiplier) >>> this.#shift) << SET_WORDS_SHIFT);
  }

  /** Word of the key's HASH, −1 when it has no row. */
  protected rowOf(set: number, hash: number): number {
    for (let row = set + HASHES; row < set + HASHES + SET_ROWS; row++) if (this.words[row] === hash) return row;
    return -1;
  }

  /** BOUND of a set, in counts of the present epoch. */
  protected boundOf(set: number): number {
    return this.#now(set, set + BOUND);
  }

  /** BOUND of a set grows to the UPPER of a row that goes. */
  protected raiseBound(set: number, upper: number): void {
    const { words, base } = this;
    if (upper <= words[set + BOUND]) return;
    words[set + BOUND] = upper;
    if (upper > words[base + WORST]) words[base + WORST] = upper;
  }

  /** What the full sets make of ε. */
  protected get worstShare(): number {
    return this.count === 0 ? 0 : this.words[this.base + WORST] / this.count;
  }

  /** Gives the least row of a set to a key; returns its HASH word. */
  #admit(set: number, hash: number): number {
    const words = this.words;
    let least = set + HASHES;
    for (let row = least + 1; row < set + HASHES + SET_ROWS; row++) {
      if (words[row + UPPER] < words[least + UPPER]) least = row;
    }
    // Before the departure: the newcomer is not the one that goes.
    const error = this.absentError(set, hash);
    if (words[least + UPPER] > 0) this.depart(set, least);
    words[least + LOWER] = 0;
    words[least + UPPER] = error;
    words[least] = hash;
    return least;
  }

  /** A count of a set, as it is in the present epoch. */
  #now(set: number, word: number): number {
    return this.words[word] >> this.#missed(this.words[set + SET_EPOCH]);
  }

  /** Epochs that ended since `epoch`, as a shift. */
  #missed(epoch: number): number {
    return epoch === AGEING ? 0 : Math.min(31, (this.words[this.base + EPOCH] - epoch) & EPOCH_MASK);
  }

  #age(set: number): void {
    const { words, base } = this;
    const shift = this.#missed(words[set + SET_EPOCH]);
    Atomics.store(words, set + SET_EPOCH, AGEING);
    words[set + BOUND] >>= shift;
    for (let word = set + HASHES + UPPER; word < set + SET_WORDS; word++) words[word] >>= shift;
    Atomics.store(words, set + SET_EPOCH, words[base + EPOCH]);
  }

  /** Rows with UPPER ≥ `threshold`, written to `out` as far as they fit. */
  #scan(threshold: number, out: Int32Array | undefined): number {
    let found = 0;
    for (let set = this.setsWord; set < this.setsWord + this.sets * SET_WORDS; set += SET_WORDS) {
      found = this.#scanSet(set, threshold, out, found);
    }
    return found;
  }

  /** @returns `found` and what this set adds to it */
  #scanSet(set: number, threshold: number, out: Int32Array | undefined, found: number): number {
    const { words } = this;
    for (let look = 0; look < LOOKS_MAX; look++) {
      const epoch = Atomics.load(words, set + SET_EPOCH);
      if (epoch === AGEING) continue;
      let total = found;
      for (let row = set + HASHES; row < set + HASHES + SET_ROWS; row++) {
        const upper = words[row + UPPER] >> this.#missed(epoch);
        if (upper < threshold || upper === 0) continue;
        const lower = Math.min(upper, words[row + LOWER] >> this.#missed(epoch));
        if (out !== undefined && (total + 1) * READING_WORDS <= out.length) {
          out[total * READING_WORDS] = words[row];
          out[total * READING_WORDS + 1] = lower;
          out[total * READING_WORDS + 2] = upper - lower;
        }
        total++;
      }
      if (Atomics.load(words, set + SET_EPOCH) === epoch) return total;
    }
    return found;
  }
}
