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
 * A key belongs to one set. If it has no row there, another row of the set gives way, so nothing is ever swept, moved or
 * refused. A lossy counter drops rows with f̂ + Δ ≤ b at the end of each bucket, b = ⌊εN⌋; here such a row is merely the
 * first to give way, when its place is needed. That is sound: dropping is never a duty. A guarantee needs only that a key
 * without a row has no more than the Δ it would come back with, and a row that stays longer than it must has a Δ that is no
 * worse than the one it would come back with. `entries` counts the rows with UPPER > b, those the algorithm would hold.
 *
 * When all ten rows of a set are above b the table is full for this set. The row with the least UPPER goes all the same,
 * `displaced` counts it, and the set's BOUND remembers its UPPER, what a returning key may have had: Δ of a newcomer is
 * max(b, BOUND). So a full set costs the keys of that set some accuracy; for all, ε in force is max(ε, WORST/N).
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
  readonly #epsilon: number;
  readonly #multiplier: number;
  readonly #shift: number;

  /**
   * @param base word index of `setTableByteLength` zeroed bytes, a multiple of 16 (better 32), on every thread the same
   * @param epsilon 0: no bucket ever ends
   */
  protected constructor(words: Int32Array, base: number, setsLog2: number, epsilon: number, seed = DEFAULT_SEED) {
    if (base % 16 !== 0) throw new RangeError(`detector: base is word ${base}; it must lie on a cache line`);
    this.words = words;
    this.base = base;
    this.setsWord = base + HEADER_WORDS;
    this.sets = 1 << setsLog2;
    this.#epsilon = epsilon;
    this.#multiplier = mix32(seed) | 1;
    this.#shift = 32 - setsLog2;
  }

  /** Most that a key without a row may have, when its set has this BOUND. */
  protected absentUpper(bound: number, _hash: number): number {
    return Math.max(this.bucket(), bound);
  }

  /** What a key without a row has at least. */
  protected absentLower(_hash: number): number {
    return 0;
  }

  /** A key has lost its row. */
  protected departed(_hash: number, _lower: number, _upper: number): void {}

  update(hash: number, weight: number): number {
    const words = this.words;
    const base = this.base;
    const set = this.#setOf(hash);
    if (words[set + SET_EPOCH] !== words[base + EPOCH]) this.#age(set);
    let row = this.#rowOf(set, hash);
    if (row < 0) row = this.#admit(set, hash);
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
    const set = this.#setOf(hash);
    const row = this.#rowOf(set, hash);
    return row < 0 ? this.absentLower(hash) : this.#now(set, row + LOWER);
  }

  error(hash: number): number {
    const set = this.#setOf(hash);
    const row = this.#rowOf(set, hash);
    if (row < 0) return this.absentUpper(this.#now(set, set + BOUND), hash) - this.absentLower(hash);
    return this.#now(set, row + UPPER) - this.#now(set, row + LOWER);
  }

  get epsilon(): number {
    const { count } = this;
    return count === 0 ? this.#epsilon : Math.max(this.#epsilon, this.words[this.base + WORST] / count);
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

  /** b: buckets that are over. */
  protected bucket(): number {
    return (this.words[this.base + COUNT] * this.#epsilon) | 0;
  }

  /** Word of the set that a hash belongs to. */
  #setOf(hash: number): number {
    return this.setsWord + ((Math.imul(hash, this.#multiplier) >>> this.#shift) << SET_WORDS_SHIFT);
  }

  /** The key's HASH word, −1 when it has no row. Written out: a loop costs twice as much, and this is all that most calls do. */
  #rowOf(set: number, hash: number): number {
    const words = this.words;
    if (words[set + 2] === hash) return set + 2;
    if (words[set + 3] === hash) return set + 3;
    if (words[set + 4] === hash) return set + 4;
    if (words[set + 5] === hash) return set + 5;
    if (words[set + 6] === hash) return set + 6;
    if (words[set + 7] === hash) return set + 7;
    if (words[set + 8] === hash) return set + 8;
    if (words[set + 9] === hash) return set + 9;
    if (words[set + 10] === hash) return set + 10;
    if (words[set + 11] === hash) return set + 11;
    return -1;
  }

  /** Gives the least row of a set of this epoch to a key; returns its HASH word. */
  #admit(set: number, hash: number): number {
    const words = this.words;
    const row = (leastOf(words, set + HASHES + UPPER) - UPPER) | 0;
    const upper = words[row + UPPER];
    if (upper > words[set + BOUND] && upper > this.bucket()) this.#displace(set, upper);
    if (upper > 0) this.departed(words[row], words[row + LOWER], upper);
    words[row + LOWER] = this.absentLower(hash);
    words[row + UPPER] = this.absentUpper(words[set + BOUND], hash);
    words[row] = hash;
    return row;
  }

  /** A row goes before its time: BOUND grows to what it had. */
  #displace(set: number, upper: number): void {
    const { words, base } = this;
    words[base + DISPLACED]++;
    words[set + BOUND] = upper;
    if (upper > words[base + WORST]) words[base + WORST] = upper;
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

/** Word of the least of ten counts from `at` on. No branches, since which it is cannot be foretold: a tournament. */
function leastOf(words: Int32Array, at: number): number {
  const first = lesser(words, lesser(words, at, at + 1), lesser(words, at + 2, at + 3));
  const second = lesser(words, lesser(words, at + 4, at + 5), lesser(words, at + 6, at + 7));
  return lesser(words, lesser(words, first, second), lesser(words, at + 8, at + 9));
}

/** That of two words which has the lesser count, neither negative. */
function lesser(words: Int32Array, a: number, b: number): number {
  return (a + ((b - a) & (((words[b] - words[a]) | 0) >> 31))) | 0;
}
