/**
 * The neighbour table: Ethernet addresses of the next hops on the server side, resolved by the NF itself (RFC 826,
 * RFC 1122 2.3.2). It lies in memory that all lanes share. A row is 8 words:
 *
 *     word 0  ADDRESS    IPv4; 0: nobody's row                    writer: control
 *          1  STATE      below                                    writer: lane 0
 *          2  MAC_HIGH   upper 16 bits                            writer: lane 0
 *          3  MAC_LOW    lower 32 bits                            writer: lane 0
 *          4  WANTED     1: a lane has a frame for it             set by any lane, cleared by lane 0
 *          5  DUE        ms of the clock: next retry or expiry    writer: lane 0
 *          6  TRIES      requests sent since the last answer      writer: lane 0
 *
 * Word 0 of the table itself is the number of rows, nobody's among them; rows begin at word 8.
 *
 *     EMPTY       ─wanted→  INCOMPLETE (ask)
 *     INCOMPLETE  ─answer→  REACHABLE;   ─retry time→ ask again;  ─tries used up→ FAILED
 *     REACHABLE   ─lifetime over→ STALE (ask; the old address stays in use)
 *     STALE       ─answer→  REACHABLE;   ─retry time→ ask again;  ─tries used up→ FAILED
 *     FAILED      ─answer→  REACHABLE;   ─wanted, after the retry time→ INCOMPLETE (ask)
 *     any         ─nobody's→ EMPTY: lane 0 wipes what it wrote, then control may give the row to another next hop
 *
 * A frame sent by another lane while lane 0 writes a *changed* address may carry half of it, and is lost as any frame
 * under way to the old one is.
 */

export const NEIGHBOUR_ROW_WORDS = 8;
const ROWS = 8;
const ADDRESS = 0;
const STATE = 1;
const MAC_HIGH = 2;
const MAC_LOW = 3;
const WANTED = 4;
const DUE = 5;
const TRIES = 6;

export const EMPTY = 0;
export const INCOMPLETE = 1;
export const REACHABLE = 2;
export const STALE = 3;
export const FAILED = 4;
export const NEIGHBOUR_STATE_NAMES = ['empty', 'incomplete', 'reachable', 'stale', 'failed'] as const;

export function neighboursByteLength(rows: number): number {
  return (ROWS + rows * NEIGHBOUR_ROW_WORDS) * 4;
}

export interface NeighbourTimes {
  retryMs: number;
  retries: number;
  lifetimeMs: number;
}

export class Neighbours {
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #times: NeighbourTimes;

  constructor(words: Int32Array, base: number, times: NeighbourTimes) {
    this.#words = words;
    this.#base = base;
    this.#times = times;
  }

  /**
   * Control: the row for this next hop, given to it when it has none. Wanted at once, so that the first request need not
   * wait.
   */
  add(address: number): number {
    const known = this.#find(address);
    if (known >= 0) return known;
    const row = this.#findBlank();
    const word = this.#row(row);
    Atomics.store(this.#words, word + ADDRESS, address);
    this.#words[word + WANTED] = 1;
    if (row === this.count) Atomics.store(this.#words, this.#base, row + 1);
    return row;
  }

  /** Control: the row is nobody's. No table in use may name it, and no parked frame wait for it. */
  remove(row: number): void {
    Atomics.store(this.#words, this.#row(row) + ADDRESS, 0);
  }

  /** Control: whether `add` may give the row away: lane 0 has wiped it. */
  isBlank(row: number): boolean {
    const word = this.#row(row);
    return this.#words[word + ADDRESS] === 0 && this.#words[word + STATE] === EMPTY && this.#words[word + WANTED] === 0;
  }

  #find(address: number): number {
    for (let row = 0; row < this.count; row++) if (this.address(row) === address) return row;
    return -1;
  }

  /** A blank row, or the one after the last. */
  #findBlank(): number {
    for (let row = 0; row < this.count; row++) if (this.isBlank(row)) return row;
    return this.count;
  }

  get count(): number {
    return Atomics.load(this.#words, this.#base);
  }

  address(row: number): number {
    return this.#words[this.#row(row) + ADDRESS];
  }

  state(row: number): number {
    return this.#words[this.#row(row) + STATE];
  }

  /** Whether frames can be sent to it now. */
  isUsable(row: number): boolean {
    const state = this.state(row);
    return state === REACHABLE || state === STALE;
  }

  hasFailed(row: number): boolean {
    return this.state(row) === FAILED;
  }

  macHigh(row: number): number {
    return this.#words[this.#row(row) + MAC_HIGH];
  }

  macLow(row: number): number {
    return this.#words[this.#row(row) + MAC_LOW];
  }

  /** Any lane: a frame is waiting for this row. */
  want(row: number): void {
    this.#words[this.#row(row) + WANTED] = 1;
  }

  /** Lane 0: the sender fields of an ARP packet. Returns 1 when they are those of a row, else 0. */
  learn(address: number, macHigh: number, macLow: number, nowMs: number): number {
    if (address === 0) return 0; // an ARP probe (RFC 5227): its sender has none yet
    for (let row = 0; row < this.count; row++) {
      if (this.address(row) === address) return this.#resolve(this.#row(row), macHigh, macLow, nowMs);
    }
    return 0;
  }

  /** Lane 0, every few ms: moves the row's state on; returns whether an ARP request for it is due now. */
  advance(row: number, nowMs: number): boolean {
    const words = this.#words;
    const word = this.#row(row);
    if (words[word + ADDRESS] === 0) return this.#wipe(row);
    const state = words[word + STATE];
    const due = ((nowMs - words[word + DUE]) | 0) >= 0;
    if (state === EMPTY) return words[word + WANTED] === 1 && this.#ask(word, INCOMPLETE, nowMs);
    if (!due) return false;
    if (state === REACHABLE) return this.#ask(word, STALE, nowMs);
    if (state === FAILED && words[word + WANTED] === 0) return this.#rest(word, nowMs);
    if (state === FAILED) return this.#ask(word, INCOMPLETE, nowMs);
    return words[word + TRIES] < this.#times.retries ? this.#ask(word, state, nowMs) : this.#fail(word, nowMs);
  }

  #ask(word: number, state: number, nowMs: number): boolean {
    const words = this.#words;
    words[word + TRIES] = words[word + STATE] === state ? words[word + TRIES] + 1 : 1;
    words[word + STATE] = state;
    words[word + DUE] = (nowMs + this.#times.retryMs) | 0;
    return true;
  }

  #fail(word: number, nowMs: number): false {
    this.#words[word + WANTED] = 0;
    this.#words[word + STATE] = FAILED;
    this.#words[word + DUE] = (nowMs + this.#times.retryMs) | 0;
    return false;
  }

  /** Nobody's row: what was known of its last owner is forgotten, once; from then on control may write to it. */
  #wipe(row: number): false {
    const word = this.#row(row);
    if (!this.isBlank(row)) this.#words.fill(0, word + STATE, word + NEIGHBOUR_ROW_WORDS);
    return false;
  }

  /** Nobody wants it: may be asked for from now on. DUE follows the clock, or after 25 days it would seem to lie ahead. */
  #rest(word: number, nowMs: number): false {
    this.#words[word + DUE] = nowMs;
    return false;
  }

  #resolve(word: number, macHigh: number, macLow: number, nowMs: number): 1 {
    const words = this.#words;
    words[word + MAC_HIGH] = macHigh;
    words[word + MAC_LOW] = macLow;
    words[word + WANTED] = 0;
    words[word + TRIES] = 0;
    words[word + DUE] = (nowMs + this.#times.lifetimeMs) | 0;
    Atomics.store(words, word + STATE, REACHABLE);
    return 1;
  }

  #row(row: number): number {
    return this.#base + ROWS + row * NEIGHBOUR_ROW_WORDS;
  }
}
