/**
 * gateway mode: by which Ethernet address a client is reached. There is no slot that would know it, so every request
 * teaches it. In memory that all lanes share: one sub-table for each lane, which that lane alone writes and all read, as a
 * node's reply comes to whichever lane the kernel chose.
 *
 *     sub-table = sets of 4 rows, row = 4 words
 *
 *     word 0  ADDRESS   IPv4, 0: nobody's
 *          1  MAC_HIGH  upper 16 bits of the Ethernet address that its last request came from
 *          2  MAC_LOW   lower 32 bits
 *          3  SEEN      ms of the lanes' clock when that was, wrapping
 *
 * The set of a client is a hash of its address and two secret words: who does not know them cannot aim at a set.
 *
 *     (none)  ─asks→ row: a blank one of its set, or the one not seen for longest, if FRESH_MS or more ago
 *     row     ─asks→ row, with the new Ethernet address: a client that moves is followed at once
 *     forbidden: a row seen less than FRESH_MS ago ─another client asks→ that client's. So a flood of forged sources cannot
 *     push out clients that ask. A newcomer that finds no place is not served (drop_client_no_place), and asks again.
 *     Sources that the gatekeeper does not know have but the last two rows of a set: they leave the others to those it does.
 *
 * A lane that reads a row while its owner gives it to another client finds ADDRESS changed and takes it for none. One that
 * reads while only the Ethernet address changes may get half of each; the frame is lost as any under way to the old one.
 */
import { mix32 } from '../mem/mix.ts';

const WAYS = 4;
const ROW_SHIFT = 2;
const ROW_WORDS = 1 << ROW_SHIFT;
const SET_WORDS = WAYS * ROW_WORDS;
const ADDRESS = 0;
const MAC_HIGH = 1;
const MAC_LOW = 2;
const SEEN = 3;
/** First row of a set that a source which is not known may take. */
const NEWCOMERS_FROM = 2 * ROW_WORDS;

/** Rows of a lane. */
export const CLIENT_ROWS = 4096;
/** A row that was seen less than this ago stays with its client, ms. */
export const FRESH_MS = 10_000;

/** Bytes of the sub-tables of all lanes. */
export function clientTableByteLength(lanes: number, rows = CLIENT_ROWS): number {
  return lanes * rows * ROW_WORDS * 4;
}

export class ClientTable {
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #lanes: number;
  readonly #lane: number;
  readonly #laneWords: number;
  readonly #setMask: number;
  readonly #seedA: number;
  readonly #seedB: number;

  /**
   * @param base first word of the sub-tables (zeroed, or left by lanes before these)
   * @param lane whose sub-table this one writes
   * @param seeds secret words, the same for all lanes
   * @param rows of a lane: a power of two, 4 or more
   */
  constructor(
    words: Int32Array,
    base: number,
    lanes: number,
    lane: number,
    seeds: readonly [number, number],
    rows = CLIENT_ROWS,
  ) {
    this.#words = words;
    this.#base = base;
    this.#lanes = lanes;
    this.#lane = lane;
    this.#laneWords = rows * ROW_WORDS;
    this.#setMask = rows / WAYS - 1;
    [this.#seedA, this.#seedB] = seeds;
  }

  /**
   * A request of `client` (not 0) came from this Ethernet address.
   * @returns false when the client has no row and none can be had
   */
  learn(client: number, macHigh: number, macLow: number, nowMs: number, isNewcomer: boolean): boolean {
    const words = this.#words;
    const set = this.#setOf(client, this.#lane);
    let row = this.#findIn(set, client);
    if (row < 0) {
      row = this.#victim(set, nowMs, isNewcomer);
      if (row < 0) return false;
      Atomics.store(words, row + ADDRESS, 0); // before the rest changes: other lanes may be reading
    }
    words[row + MAC_HIGH] = macHigh;
    words[row + MAC_LOW] = macLow;
    words[row + SEEN] = nowMs;
    if (words[row + ADDRESS] !== client) Atomics.store(words, row + ADDRESS, client);
    return true;
  }

  /**
   * First word of the client's row, −1: none. The lane's own, as long as it is fresh; else whichever lane heard the client
   * last.
   */
  find(client: number, nowMs: number): number {
    if (client === 0) return -1;
    const own = this.#findIn(this.#setOf(client, this.#lane), client);
    if (own >= 0 && this.#ageMs(own, nowMs) < FRESH_MS) return own;
    return this.#findYoungest(client, nowMs);
  }

  /** Whether the row is still this client's: to be asked once its Ethernet address was read. */
  isOf(row: number, client: number): boolean {
    return this.#words[row + ADDRESS] === client;
  }

  macHigh(row: number): number {
    return this.#words[row + MAC_HIGH];
  }

  macLow(row: number): number {
    return this.#words[row + MAC_LOW];
  }

  #findYoungest(client: number, nowMs: number): number {
    let youngest = -1;
    for (let lane = 0; lane < this.#lanes; lane++) {
      const row = this.#findIn(this.#setOf(client, lane), client);
      if (row < 0) continue;
      if (youngest < 0 || this.#ageMs(row, nowMs) < this.#ageMs(youngest, nowMs)) youngest = row;
    }
    return youngest;
  }

  #findIn(set: number, client: number): number {
    for (let row = set; row < set + SET_WORDS; row += ROW_WORDS) if (this.#words[row] === client) return row;
    return -1;
  }

  /** A row of the set that a new client may have. */
  #victim(set: number, nowMs: number, isNewcomer: boolean): number {
    const first = isNewcomer ? set + NEWCOMERS_FROM : set;
    let oldest = -1;
    for (let row = first; row < set + SET_WORDS; row += ROW_WORDS) {
      if (this.#words[row] === 0) return row;
      if (this.#ageMs(row, nowMs) < FRESH_MS) continue;
      if (oldest < 0 || this.#ageMs(row, nowMs) > this.#ageMs(oldest, nowMs)) oldest = row;
    }
    return oldest;
  }

  /** Of a row that another lane has just written, by a clock that is ahead of ours, the age is 0. */
  #ageMs(row: number, nowMs: number): number {
    const age = (nowMs - this.#words[row + SEEN]) | 0;
    return age < 0 && age > -FRESH_MS ? 0 : age >>> 0;
  }

  #setOf(client: number, lane: number): number {
    const hash = mix32(mix32(client ^ this.#seedA) ^ this.#seedB);
    return this.#base + lane * this.#laneWords + (hash & this.#setMask) * SET_WORDS;
  }
}
