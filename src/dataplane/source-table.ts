/**
 * Who has asked lately: a table of fixed size, so that no flood makes it grow.
 *
 *     set = 8 rows, row = 8 words, half a cache line
 *
 *     word 0  SOURCE    IPv4 address, 0: no row
 *          1  SEEN      ms of the lane's clock when the row was last brought up to date: with budgets, when it last
 *                       asked or was answered; without, to the second, when it last asked
 *          2  STATE     bit 0: 1 known, 0 on probation; other bits: the edition of the rules it was judged by
 *          3  REQUESTS  thousandths of requests that may still be made; on probation: ms when it began
 *          4  BYTES     response bytes that may still be sent
 *          5  CREDIT    response bytes that the request bytes have earned
 *          6  SHARED    ms when its share of the slots was last estimated
 *          7  HOLDS     1: it was too large then
 *
 * The set of a source is a hash of its address and two secret words: who does not know them cannot aim at a set.
 *
 *     (none) ─asks→ PROBATION ─asks again, KNOWN_AFTER_MS later→ KNOWN
 *     KNOWN or PROBATION, another edition of the rules and not allowed any more ─asks→ (none)
 *     PROBATION ─a new source needs a row: the one longest on probation→ (none)
 *     KNOWN, idle for IDLE_MS ─a new source needs a row→ (none)
 *     forbidden: KNOWN, not idle ─a new source needs a row→ (none): else a flood of forged sources would wash out the
 *     honest ones. With 8 such rows in a set, the newcomer gets none.
 *
 * Row 0, before the sets, stands for all sources without a known row together.
 */

const WAY_SHIFT = 3;
const ROW_SHIFT = 3;
export const SOURCE_ROW_WORDS = 1 << ROW_SHIFT;
const SET_SHIFT = WAY_SHIFT + ROW_SHIFT;
/** Words before the first set: the newcomers' row, and a cache line's rest. */
const HEADER_WORDS = 16;

export const SOURCE = 0;
export const SEEN = 1;
export const STATE = 2;
export const REQUESTS = 3;
export const BYTES = 4;
export const CREDIT = 5;
export const SHARED = 6;
export const HOLDS = 7;

export const STATE_KNOWN = 1;
/** An edition, shifted beside the bit above. */
export const EDITION_SHIFT = 1;

/**
 * A source is known once it has asked twice, so far apart. Forged addresses, each used once or a few times in a row, do
 * not get that far: their row goes to the next one before.
 */
export const KNOWN_AFTER_MS = 10;
/** A known source that has not asked for so long may lose its row. */
export const IDLE_MS = 60_000;

/** Bytes of a table of `rows` rows (a power of two, 8 or more). */
export function sourceTableByteLength(rows: number): number {
  return (HEADER_WORDS + (rows << ROW_SHIFT)) * 4;
}

export class SourceTable {
  /** First word of the newcomers' row. */
  readonly newcomers: number;
  readonly #words: Int32Array;
  readonly #sets: number;
  readonly #setMask: number;
  readonly #seedA: number;
  readonly #seedB: number;
  /** The source asked for last, and its row: requests often come in runs. */
  #lastSource = 0;
  #lastRow = -1;

  /**
   * @param base first word of the table (zeroed, or left by a lane before this one)
   * @param rows a power of two, 8 or more
   * @param seedA,seedB secret words, the same for every lane that uses this memory
   */
  constructor(words: Int32Array, base: number, rows: number, seedA: number, seedB: number) {
    this.#words = words;
    this.newcomers = base;
    this.#sets = base + HEADER_WORDS;
    this.#setMask = (rows >> WAY_SHIFT) - 1;
    this.#seedA = seedA;
    this.#seedB = seedB;
  }

  /** First word of the source's row, known or on probation; −1 when it has none. */
  find(source: number): number {
    if (source === this.#lastSource) return this.#lastRow;
    const row = this.#search(source);
    if (row >= 0) this.#remember(source, row);
    return row;
  }

  /** Gives the source a row on probation; −1 when none can be had. It must not have one. */
  place(source: number, nowMs: number, edition: number): number {
    const words = this.#words;
    const row = this.#victim(source, nowMs);
    if (row < 0) return -1;
    for (let field = 0; field < SOURCE_ROW_WORDS; field++) words[row + field] = 0;
    words[row + SOURCE] = source;
    words[row + SEEN] = nowMs;
    words[row + STATE] = edition << EDITION_SHIFT;
    words[row + REQUESTS] = nowMs;
    this.#remember(source, row);
    return row;
  }

  remove(row: number): void {
    this.#words[row + SOURCE] = 0;
    this.#remember(0, -1);
  }

  #remember(source: number, row: number): void {
    this.#lastSource = source;
    this.#lastRow = row;
  }

  #search(source: number): number {
    const words = this.#words;
    const set = this.#set(source);
    for (let row = set; row < set + (1 << SET_SHIFT); row += SOURCE_ROW_WORDS) {
      if (words[row + SOURCE] === source) return row;
    }
    return -1;
  }

  #set(source: number): number {
    let hash = Math.imul(source ^ this.#seedA, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ this.#seedB, 0x85ebca6b);
    return this.#sets + (((hash ^ (hash >>> 13)) & this.#setMask) << SET_SHIFT);
  }

  /** The row that a new source may take, by the table of states above. */
  #victim(source: number, nowMs: number): number {
    const words = this.#words;
    const set = this.#set(source);
    let victim = -1;
    let ageMax = -1;
    for (let row = set; row < set + (1 << SET_SHIFT); row += SOURCE_ROW_WORDS) {
      if (words[row + SOURCE] === 0) return row;
      const age = this.#replaceableAge(row, nowMs);
      if (age > ageMax) {
        ageMax = age;
        victim = row;
      }
    }
    return victim;
  }

  /** −1: must stay; else the greater, the sooner it goes. A known row that is idle goes before any on probation. */
  #replaceableAge(row: number, nowMs: number): number {
    const words = this.#words;
    const isKnown = (words[row + STATE] & STATE_KNOWN) !== 0;
    if (!isKnown) return Math.min((nowMs - words[row + REQUESTS]) & AGE_MASK, IDLE_MS);
    const idleMs = (nowMs - words[row + SEEN]) & AGE_MASK;
    return idleMs < IDLE_MS ? -1 : idleMs;
  }
}
/** The clock wraps after 2^31 ms (24 days). */
const AGE_MASK = 0x7fffffff;
