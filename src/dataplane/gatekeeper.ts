/**
 * Who may ask, and how much: the first thing that happens to a request, and the last to a reply.
 *
 * What it promises, per lane, with L = slots of the lane, R, B, N = the rates of gate-table.ts:
 *
 *  1. Its memory never grows: one table of sources (source-table.ts), whatever comes.
 *  2. A source that asks at least every IDLE_MS (60 s), once known, stays known, whatever other sources do.
 *  3. All sources that are not known hold at most L / 4 slots together, which known ones never use. So a flood of forged
 *     sources takes no slot from them, and adds at most N requests per second (if limited) to the nodes' load.
 *  4. A source has at most L / 8 slots outstanding.
 *  5. In any time t a known source makes at most R · (t + 1 s) requests, and is sent at most B · (t + 1 s) bytes.
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
import { actionAt } from './commands.ts';
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
  GATE_SHARE,
  GATE_WATCHES,
  NEWCOMERS_AS_SOURCES,
} from './gate-table.ts';
import { isInRanges } from './source-ranges.ts';
import {
  BYTES,
  CREDIT,
  EDITION_SHIFT,
  KNOWN_AFTER_MS,
  REQUESTS,
  SEEN,
  SourceTable,
  STATE,
  STATE_KNOWN,
  WAITED,
  WAITING,
} from './source-table.ts';

const US_PER_MS = 1000;
/** Budgets are refilled by at most so much time at once, and hold no more: a second's worth. */
const REFILL_MS_MAX = 1000;
/** What one request costs: REQUEST_RATE is granted a thousandth of it each ms. */
const REQUEST_COST = 1000;
/** Response bytes that a source has before it has earned any. */
export const CREDIT_START = 65_536;
const CREDIT_MAX = 1 << 30;

export class Gatekeeper {
  /** Whether the last request that was let in came from a source that is not known: its slots are taken elsewhere. */
  isNewcomer = false;
  readonly #words: Int32Array;
  readonly #sources: SourceTable;
  readonly #gateWords: Int32Array;
  readonly #gateBase: number;
  readonly #lane: number;
  readonly #windowShift: number;
  #table = 0;
  #edition = 0;
  #watches = false;
  #hasBudgets = false;
  #requestRate = 0;
  #byteRate = 0;
  #ratio = 0;
  #newcomerRate = 0;
  #share = 0;
  /** Row of the last request let in, or of the last reply charged. */
  #row = 0;

  /**
   * @param words with the lane's own table of sources from word `base`
   * @param gateWords with the rules that all lanes share from word `gateBase`
   * @param lifetimeMs how long a slot can be outstanding
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
    lifetimeMs: number,
  ) {
    this.#words = words;
    this.#sources = new SourceTable(words, base, rows, seedA, seedB);
    this.#gateWords = gateWords;
    this.#gateBase = gateBase;
    this.#lane = lane;
    this.#windowShift = 32 - Math.clz32(lifetimeMs);
    this.#row = base;
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

  /** What is to be done with a verb: ACTION_*. */
  action(verb: number, verbClass: number): number {
    return this.#gateWords[this.#table + GATE_ACTIONS + actionAt(verb, verbClass)];
  }

  /** How long the nodes have to answer a broadcast, ms. */
  get broadcastMs(): number {
    return this.#gateWords[this.#table + GATE_BROADCAST_MS];
  }

  /** A request has come: 0 when it may go on, else REFUSED_*. */
  admit(source: number, requestBytes: number, nowMs: number): number {
    if (!this.#watches) return 0;
    const row = this.#judge(source, nowMs);
    if (row < 0) return REFUSED_SOURCE;
    this.#touch(row, nowMs);
    this.#row = row;
    this.isNewcomer = row === this.#sources.newcomers;
    if (this.#words[row + WAITING] + this.#words[row + WAITED] >= this.#share && !this.isNewcomer) return REFUSED_SHARE;
    return this.#hasBudgets ? this.#spend(row, requestBytes) : 0;
  }

  /** The request just let in has taken a slot. */
  noteSlot(): void {
    if (this.#watches) this.#words[this.#row + WAITING] += 1;
  }

  /** A datagram is about to be sent to `source`: whether it may be. */
  charge(source: number, responseBytes: number, nowMs: number): boolean {
    if (!this.#watches) return true;
    const row = this.#knownRow(source);
    this.#touch(row, nowMs);
    this.#row = row;
    return !this.#hasBudgets || this.#pay(row, responseBytes);
  }

  /** The slot of the reply just charged is outstanding no more; it was taken `ageUs` ago. */
  noteAnswer(ageUs: number): void {
    if (!this.#watches) return;
    const words = this.#words;
    const seenMs = words[this.#row + SEEN];
    const takenMs = seenMs - ((ageUs / US_PER_MS) | 0);
    const field = this.#window(takenMs) === this.#window(seenMs) ? WAITING : WAITED;
    if (words[this.#row + field] > 0) words[this.#row + field] -= 1;
  }

  #readRules(table: number): void {
    const words = this.#gateWords;
    this.#edition = words[table + GATE_EDITION];
    this.#watches = words[table + GATE_WATCHES] !== 0;
    this.#requestRate = words[table + GATE_REQUEST_RATE];
    this.#byteRate = words[table + GATE_BYTE_RATE];
    this.#ratio = words[table + GATE_RATIO];
    this.#newcomerRate = words[table + GATE_NEWCOMER_RATE];
    this.#share = words[table + GATE_SHARE];
    this.#hasBudgets = (this.#requestRate | this.#byteRate | this.#ratio | this.#newcomerRate) !== 0;
    this.isNewcomer = false;
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

  /** Brings a row up to date: what time has granted, and whose slots have become late. */
  #touch(row: number, nowMs: number): void {
    const words = this.#words;
    const seenMs = words[row + SEEN];
    if (seenMs === nowMs) return;
    words[row + SEEN] = nowMs;
    const windows = (this.#window(nowMs) - this.#window(seenMs)) | 0;
    if (windows !== 0) this.#turnWindows(row, windows);
    if (this.#hasBudgets) this.#refill(row, Math.min((nowMs - seenMs) >>> 0, REFILL_MS_MAX));
  }

  /** A window is at least as long as a slot can be outstanding, so after two of them all are late. */
  #window(ms: number): number {
    return ms >> this.#windowShift;
  }

  #turnWindows(row: number, windows: number): void {
    const words = this.#words;
    words[row + WAITED] = windows === 1 ? words[row + WAITING] : 0;
    words[row + WAITING] = 0;
  }

  #refill(row: number, elapsedMs: number): void {
    const words = this.#words;
    const requestRate = this.#requestRateOf(row);
    const byteRate = this.#byteRateOf(row);
    words[row + REQUESTS] = Math.min(words[row + REQUESTS] + requestRate * elapsedMs, requestRate * REFILL_MS_MAX);
    words[row + BYTES] = Math.min(words[row + BYTES] + byteRate * elapsedMs, byteRate * REFILL_MS_MAX);
  }

  /** What is refused for its bytes has cost no request, but has earned its credit. */
  #spend(row: number, requestBytes: number): number {
    const words = this.#words;
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

  #pay(row: number, responseBytes: number): boolean {
    const words = this.#words;
    if (this.#byteRate !== 0 && words[row + BYTES] < responseBytes) return false;
    if (this.#ratio !== 0 && words[row + CREDIT] < responseBytes) return false;
    if (this.#byteRate !== 0) words[row + BYTES] -= responseBytes;
    if (this.#ratio !== 0) words[row + CREDIT] -= responseBytes;
    return true;
  }
}
