/**
 * The instant detector: names a key at its k-th request among the last m at most. The others tell shares to a part in
 * 10^5 and take their time; this one tells "suddenly very hot" within a few hundred requests, from 8 KiB.
 *
 * The stream is cut into windows of m requests. A direct-mapped table holds one key a row, with votes (Boyer and Moore): a
 * request for the key is a vote for it, one for another key of the row a vote against, and at 0 the other takes the row. A
 * row carries the number of its window, so a new window starts without a sweep: rows of older windows count as free.
 *
 *     word  0   SEEN      requests of this window                      writer of all, and only reader: the lane
 *           1   WINDOW    number of this window, 23 bits
 *          16 …           rows, 2 words each: HASH; STATE = window << 9 | named << 8 | votes
 *
 * **What it promises.** Votes never exceed the requests of the key in this window, so a key that is named had k of the last
 * m (or is the twin of one by its 32-bit hash: m keys at a time make that about m · 2^−32). Nothing cold is ever named but
 * by a real burst, and a key with share p bursts to k in a window with probability at most
 *
 *     P(Bin(m, p) ≥ k) ≤ C(m, k) p^k ≤ (e m p / k)^k                    `burstBound`
 *
 * With m = 1024 and k = 16, a key with 0.1 % of the requests: below 10^−12 a window. At most m/k keys are named a
 * window, each once. A key is missed only while others of its row take its votes: those get 1/rows of the other requests.
 * A key with share p is named after about k/p requests: with 5 %, 320 of them, which is 32 ms at 10,000 requests/s. A run
 * of m requests with 2k − 1 of a key (and votes against) has k in one of the two windows that it lies in.
 *
 * A window's number comes round after 2^23 windows; a row untouched for exactly so long would be taken for current.
 */

import { mix32 } from '../mem/mix.ts';
import { demandWithin } from './detector.ts';

const SEEN = 0;
const WINDOW = 1;
const HEADER_WORDS = 16;
const NAMED = 0x100;
const VOTES_MASK = 0xff;
const WINDOW_SHIFT = 9;
const WINDOW_MASK = 0x7fffff;
const DEFAULT_SEED = 0x2545f491;

export interface InstantOptions {
  /** m: requests in a window. Default 1024. */
  readonly window?: number;
  /** k: requests in a window from which a key is named, 2 to 255. Default 16. */
  readonly threshold?: number;
  /** Rows of the table, a power of two. Default 1024. */
  readonly rows?: number;
  /** Decides which keys share a row. */
  readonly seed?: number;
}

const DEFAULTS = { window: 1024, threshold: 16, rows: 1024, seed: DEFAULT_SEED } as const;

/** Probability, at most, that a key with share `share` is named in one window. */
export function burstBound(window: number, threshold: number, share: number): number {
  return Math.min(1, ((Math.E * window * share) / threshold) ** threshold);
}

export class InstantDetector {
  readonly window: number;
  readonly threshold: number;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #multiplier: number;
  readonly #shift: number;

  static byteLength({ rows = DEFAULTS.rows }: InstantOptions = {}): number {
    return 4 * (HEADER_WORDS + 2 * rows);
  }

  /** @param base word index of `byteLength` zeroed bytes. @throws DetectorConfigError */
  constructor(words: Int32Array, base: number, options: InstantOptions = {}) {
    const { window, threshold, rows, seed } = { ...DEFAULTS, ...options };
    demandWithin('window', window, 2, 1 << 20);
    demandWithin('threshold', threshold, 2, Math.min(window, VOTES_MASK));
    demandWithin('rows', rows, 2, 1 << 16);
    demandWithin('log2 of rows', Math.log2(rows) % 1, 0, 0);
    this.window = window;
    this.threshold = threshold;
    this.#words = words;
    this.#base = base;
    this.#multiplier = mix32(seed) | 1;
    this.#shift = 32 - Math.log2(rows);
  }

  /** Counts a request. True when it is the one by which the key is named in this window: once a window and key, as a rule. */
  note(hash: number): boolean {
    const words = this.#words;
    const window = this.#advance();
    const row = this.#base + HEADER_WORDS + ((Math.imul(hash, this.#multiplier) >>> this.#shift) << 1);
    const state = words[row + 1];
    if (state >>> WINDOW_SHIFT !== window) return this.#take(row, hash, window);
    if (words[row] === hash) return this.#voteFor(row, state);
    if ((state & VOTES_MASK) <= 1) return this.#take(row, hash, window);
    words[row + 1] = state - 1;
    return false;
  }

  /** Counts a request in its window; returns the window's number. */
  #advance(): number {
    const words = this.#words;
    const base = this.#base;
    if (words[base + SEEN] === this.window) {
      words[base + SEEN] = 0;
      words[base + WINDOW] = (words[base + WINDOW] + 1) & WINDOW_MASK;
    }
    words[base + SEEN]++;
    return words[base + WINDOW];
  }

  #voteFor(row: number, state: number): boolean {
    const votes = state & VOTES_MASK;
    if (votes === VOTES_MASK) return false;
    const isNamed = votes + 1 >= this.threshold && (state & NAMED) === 0;
    this.#words[row + 1] = (state + 1) | (isNamed ? NAMED : 0);
    return isNamed;
  }

  #take(row: number, hash: number, window: number): boolean {
    this.#words[row] = hash;
    this.#words[row + 1] = (window << WINDOW_SHIFT) | 1;
    return false;
  }
}
