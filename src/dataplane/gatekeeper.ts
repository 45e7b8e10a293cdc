/**
 * Who may ask, and how much: the first thing that happens to a request, and the last to a reply.
 *
 * What it promises, per lane, with L = slots of the lane, R, B, N = the rates of gate-table.ts:
 *
 *  1. Its memory never grows: one table of sources (source-table.ts), whatever comes.
 *  2. A source that asks at least every IDLE_MS (60 s), once known, stays known, whatever other sources do.
 *  3. All sources that are not known hold at most L / 4 slots together, which known ones never use. So a flood of forged
 *     sources takes no slot from them, and adds at most N requests per second (if limited) to the nodes' load.
 *  4. While seven in eight of the slots for known sources wait for replies, a source that holds a quarter of them gets no
 *     more: the last eighth is for the others. (By a sample of 64 slots, looked at again after SHARE_MS.)
 *  5. In any time t a known source makes at most R · (t + 1 s) requests, and is sent at most B · (t + 1 s) bytes. A request
 *     for several keys counts once for each; the last one may exceed that.
 *  6. A known source is sent at most ratio · (bytes it sent) + 64 KiB. So a forged source is little hurt by what
 *     it is made to receive. For sources that are not known, 5 (with their own rates) and 6 hold for all of them together.
 *
 * What it does not promise: who forges few addresses (fewer than there are rows) and keeps on using them makes them known;
 * then 4, 5 and 6 bound each of them. Only the allow-list, and a network that drops forged sources, keep them out.
 *
 * Times are ms of the lane's clock. A request beyond a budget is dropped in silence: an answer would add to a flood.
 */
import { enterTable, leaveTable } from '../mem/generation.ts';
import {
  REFUSED_NEWCOMERS,
  REFUSED_RATE,
  REFUSED_RATIO,
  REFUSED_RESPONSE_BYTES,
  REFUSED_SHARE,
  REFUSED_SOURCE,
} from '../memcached/refusals.ts';
import { CLASS_NAMES, VERB_COUNT } from '../memcached/verbs.ts';
import { actionAt, VERBS_MAX } from './commands.ts';
import {
  BYTE_RATE_MAX,
  GATE_ACTIONS,
  GATE_BROADCAST_MS,
  GATE_BYTE_RATE,
  GATE_EDITION,
  GATE_NEWCOMER_RATE,
  GATE_RANGE_COUNT,
  GATE_RANGES,
  GATE_RATIO,
  GATE_REQUEST_RATE,
  GATE_WATCHES,
  NEWCOMERS_AS_SOURCES,
} from './gate-table.ts';
import { SHARE_SAMPLES } from './slot-table.ts';
import { isInRanges } from './source-ranges.ts';
import {
  BYTES,
  CREDIT,
  EDITION_SHIFT,
  HOLDS,
  KNOWN_AFTER_MS,
  REQUESTS,
  SEEN,
  SHARED,
  SourceTable,
  STATE,
  STATE_KNOWN,
} from './source-table.ts';

const US_PER_MS = 1000;
/** Budgets are refilled by at most so much time at once, and hold no more: a second's worth. */
const REFILL_MS_MAX = 1000;
/** What one request costs: REQUEST_RATE is granted a thousandth of it each ms. */
const REQUEST_COST = 1000;
/** Response bytes that a source has before it has earned any. */
export const CREDIT_START = 65_536;
const CREDIT_MAX = 1 << 30;
/** How long an estimate of a source's share of the slots is good. */
export const SHARE_MS = 10;
/** Of the samples: a quarter. */
const SHARE_MAX = SHARE_SAMPLES / 4;
/** Where there are no budgets, SEEN need not be exact. */
const SEEN_STEP_MS = 1000;

/** What the gatekeeper asks of the slot table. */
export interface SlotShares {
  readonly isShort: boolean;
  shareOf(client: number, nowUs: number): number;
}

export class Gatekeeper {
  /** Whether anybody looks at sources at all. */
  watches = false;
  /** Whether there is anything to count. */
  hasBudgets = false;
  /** Whether the request last let in is from a source that is not known: its slots are taken elsewhere. */
  isNewcomer = false;
  /** What is to be done with a verb of a class: ACTION_*, at class × VERBS_MAX + verb. */
  readonly actions = new Uint8Array(CLASS_NAMES.length * VERBS_MAX);
  readonly #words: Int32Array;
  readonly #sources: SourceTable;
  readonly #gateWords: Int32Array;
  readonly #gateBase: number;
  readonly #lane: number;
  readonly #slots: SlotShares;
  #table = 0;
  #edition = 0;
  #requestRate = 0;
  #byteRate = 0;
  #ratio = 0;
  #newcomerRate = 0;

  /**
   * @param words with the lane's own table of sources from word `base`
   * @param gateWords with the rules that all lanes share from word `gateBase`
   */
  constructor(
    words: Int32Array,
    base: number,
    rows: number,
    seedA: number,
    seedB: number,
    gateWords: Int32Array,
    gateBase: number,
    lane: number,
    slots: SlotShares,
  ) {
    this.#words = words;
    this.#sources = new SourceTable(words, base, rows, seedA, seedB);
    this.#gateWords = gateWords;
    this.#gateBase = gateBase;
    this.#lane = lane;
    this.#slots = slots;
  }

  /** Begins a cycle: takes up the rules in use. */
  enter(nowMs: number): void {
    const table = enterTable(this.#gateWords, this.#gateBase, this.#lane);
    if (table === this.#table) return;
    this.#table = table;
    this.#readRules(table);
    this.#openNewcomers(nowMs);
  }

  /** Before the lane sleeps or ends: new rules need not wait for it. */
  leave(): void {
    leaveTable(this.#gateWords, this.#gateBase, this.#lane);
  }

  /** How long the nodes have to answer a broadcast, ms. */
  get broadcastMs(): number {
    return this.#gateWords[this.#table + GATE_BROADCAST_MS];
  }

  /** Whether the known source last let in may send any number of requests now. */
  get letsInAll(): boolean {
    return !this.hasBudgets && !this.isNewcomer && !this.#slots.isShort;
  }

  /** A request has come: 0 when it may go on, else REFUSED_*. */
  admit(source: number, requestBytes: number, nowMs: number): number {
    if (!this.watches) return 0;
    const row = this.#judge(source, nowMs);
    if (row < 0) return REFUSED_SOURCE;
    this.isNewcomer = row === this.#sources.newcomers;
    if (this.#slots.isShort && !this.isNewcomer && this.#hasShare(row, source, nowMs)) return REFUSED_SHARE;
    if (this.hasBudgets) return this.#spend(row, requestBytes, nowMs);
    if ((nowMs - this.#words[row + SEEN]) >>> 0 >= SEEN_STEP_MS) this.#words[row + SEEN] = nowMs;
    return 0;
  }

  /** A datagram is about to be sent to `source`: whether it may be. */
  charge(source: number, responseBytes: number, nowMs: number): boolean {
    return !this.hasBudgets || this.#pay(this.#knownRow(source), responseBytes, nowMs);
  }

  /**
   * A request of `source` that was let in asks for `keys` keys, and the nodes as often: each counts. What the source has
   * not got is a debt, at most that of one request, which is paid off before the next one is let in.
   */
  chargeKeys(source: number, keys: number, nowMs: number): void {
    if (!this.hasBudgets) return;
    const row = this.#knownRow(source);
    this.#touch(row, nowMs);
    if (this.#requestRateOf(row) !== 0) this.#words[row + REQUESTS] -= (keys - 1) * REQUEST_COST;
  }

  /** Whether a source has what it may have while slots are short. */
  #hasShare(row: number, source: number, nowMs: number): boolean {
    const words = this.#words;
    if ((nowMs - words[row + SHARED]) >>> 0 >= SHARE_MS) {
      words[row + SHARED] = nowMs;
      words[row + HOLDS] = this.#slots.shareOf(source, (nowMs * US_PER_MS) | 0) >= SHARE_MAX ? 1 : 0;
    }
    return words[row + HOLDS] !== 0;
  }

  #readRules(table: number): void {
    const words = this.#gateWords;
    this.#edition = words[table + GATE_EDITION];
    this.watches = words[table + GATE_WATCHES] !== 0;
    this.#requestRate = words[table + GATE_REQUEST_RATE];
    this.#byteRate = words[table + GATE_BYTE_RATE];
    this.#ratio = words[table + GATE_RATIO];
    this.#newcomerRate = words[table + GATE_NEWCOMER_RATE];
    const limits = this.#requestRate | this.#byteRate | this.#ratio | this.#newcomerRate;
    this.hasBudgets = this.watches && limits !== 0;
    this.isNewcomer = false;
    this.#readActions(table + GATE_ACTIONS);
  }

  #readActions(base: number): void {
    for (let verbClass = 0; verbClass < CLASS_NAMES.length; verbClass++) {
      for (let verb = 0; verb < VERB_COUNT; verb++) {
        this.actions[verbClass * VERBS_MAX + verb] = this.#gateWords[base + actionAt(verb, verbClass)];
      }
    }
  }

  /** New rules, new budgets: the newcomers begin with full ones. */
  #openNewcomers(nowMs: number): void {
    const { newcomers } = this.#sources;
    this.#words[newcomers + SEEN] = nowMs;
    this.#fill(newcomers);
  }

  /** The row that the source is served by: its own when it is known, else the newcomers'; −1 when it may not ask. */
  #judge(source: number, nowMs: number): number {
    const row = this.#sources.find(source);
    if (row < 0) return this.#judgeStranger(source, nowMs);
    const state = this.#words[row + STATE];
    if (state >>> EDITION_SHIFT !== this.#edition) return this.#judgeAgain(row, source, nowMs);
    return (state & STATE_KNOWN) !== 0 ? row : this.#judgeProbation(row, nowMs);
  }

  #judgeStranger(source: number, nowMs: number): number {
    if (!this.#isAllowed(source)) return -1;
    this.#sources.place(source, nowMs, this.#edition);
    return this.#sources.newcomers;
  }

  #judgeProbation(row: number, nowMs: number): number {
    const words = this.#words;
    if ((nowMs - words[row + REQUESTS]) >>> 0 < KNOWN_AFTER_MS) return this.#sources.newcomers;
    words[row + STATE] |= STATE_KNOWN;
    words[row + SEEN] = nowMs;
    this.#fill(row);
    return row;
  }

  /** The rules have changed since the source was judged. */
  #judgeAgain(row: number, source: number, nowMs: number): number {
    if (!this.#isAllowed(source)) {
      this.#sources.remove(row);
      return -1;
    }
    const known = this.#words[row + STATE] & STATE_KNOWN;
    this.#words[row + STATE] = (this.#edition << EDITION_SHIFT) | known;
    if (known === 0) return this.#judgeProbation(row, nowMs);
    this.#fill(row);
    return row;
  }

  #isAllowed(source: number): boolean {
    const words = this.#gateWords;
    return isInRanges(words, this.#table + GATE_RANGES, words[this.#table + GATE_RANGE_COUNT], source);
  }

  #knownRow(source: number): number {
    const row = this.#sources.find(source);
    return row >= 0 && (this.#words[row + STATE] & STATE_KNOWN) !== 0 ? row : this.#sources.newcomers;
  }

  /** Full budgets. */
  #fill(row: number): void {
    this.#words[row + REQUESTS] = this.#requestRateOf(row) * REFILL_MS_MAX;
    this.#words[row + BYTES] = this.#byteRateOf(row) * REFILL_MS_MAX;
    this.#words[row + CREDIT] = CREDIT_START;
  }

  #requestRateOf(row: number): number {
    return row === this.#sources.newcomers ? this.#newcomerRate : this.#requestRate;
  }

  #byteRateOf(row: number): number {
    if (row !== this.#sources.newcomers) return this.#byteRate;
    return Math.min(this.#byteRate * NEWCOMERS_AS_SOURCES, BYTE_RATE_MAX);
  }

  /** Brings a row up to date: grants what time has. */
  #touch(row: number, nowMs: number): void {
    const words = this.#words;
    const elapsedMs = (nowMs - words[row + SEEN]) >>> 0;
    if (elapsedMs === 0) return;
    words[row + SEEN] = nowMs;
    this.#refill(row, Math.min(elapsedMs, REFILL_MS_MAX));
  }

  #refill(row: number, elapsedMs: number): void {
    const words = this.#words;
    const requestRate = this.#requestRateOf(row);
    const byteRate = this.#byteRateOf(row);
    words[row + REQUESTS] = Math.min(words[row + REQUESTS] + requestRate * elapsedMs, requestRate * REFILL_MS_MAX);
    words[row + BYTES] = Math.min(words[row + BYTES] + byteRate * elapsedMs, byteRate * REFILL_MS_MAX);
  }

  /** What is refused for its bytes has cost no request, but has earned its credit. */
  #spend(row: number, requestBytes: number, nowMs: number): number {
    const words = this.#words;
    this.#touch(row, nowMs);
    if (this.#ratio !== 0) {
      words[row + CREDIT] = Math.min(words[row + CREDIT] + requestBytes * this.#ratio, CREDIT_MAX);
    }
    const isRated = this.#requestRateOf(row) !== 0;
    if (isRated && words[row + REQUESTS] < REQUEST_COST) return this.isNewcomer ? REFUSED_NEWCOMERS : REFUSED_RATE;
    if (this.#byteRate !== 0 && words[row + BYTES] <= 0) return REFUSED_RESPONSE_BYTES;
    if (this.#ratio !== 0 && words[row + CREDIT] <= 0) return REFUSED_RATIO;
    if (isRated) words[row + REQUESTS] -= REQUEST_COST;
    return 0;
  }

  #pay(row: number, responseBytes: number, nowMs: number): boolean {
    const words = this.#words;
    this.#touch(row, nowMs);
    if (this.#byteRate !== 0 && words[row + BYTES] < responseBytes) return false;
    if (this.#ratio !== 0 && words[row + CREDIT] < responseBytes) return false;
    if (this.#byteRate !== 0) words[row + BYTES] -= responseBytes;
    if (this.#ratio !== 0) words[row + CREDIT] -= responseBytes;
    return true;
  }
}
