/**
 * What the gatekeeper and the command policy go by. It lies twice in shared memory (src/mem/generation.ts), so that a
 * reload swaps it whole; control fills it, lanes read it.
 *
 *     word  0   EDITION       counts publications: a source judged under another edition is judged anew
 *           1   WATCHES       1: there is a table of sources (gatekeeper.ts); 0: everybody may ask, as much as they like
 *           2   REQUEST_RATE  of one source, requests per second and lane; 0: no limit
 *           3   BYTE_RATE     of one source, response bytes per millisecond and lane; 0: no limit
 *           4   RATIO         response bytes for each request byte of a source; 0: no limit
 *           5   NEWCOMER_RATE of all sources that are not known yet, requests per second and lane; 0: no limit
 *           6   RANGE_COUNT
 *           7   BROADCAST_MS  how long the nodes have to answer a command that went to all of them
 *          16   actions       commands.ts, ACTION_WORDS words
 *         144   ranges        source-ranges.ts, RANGE_WORDS words each
 */
import {
  canWrite,
  generationByteLength,
  initGeneration,
  publishTable,
  spareTable,
  tableInUse,
} from '../mem/generation.ts';
import { ACTION_WORDS, type CommandPolicy, writeActions } from './commands.ts';
import { type AddressRange, RANGE_WORDS, writeRanges } from './source-ranges.ts';

export const GATE_EDITION = 0;
export const GATE_WATCHES = 1;
export const GATE_REQUEST_RATE = 2;
export const GATE_BYTE_RATE = 3;
export const GATE_RATIO = 4;
export const GATE_NEWCOMER_RATE = 5;
export const GATE_RANGE_COUNT = 6;
export const GATE_BROADCAST_MS = 7;
export const GATE_ACTIONS = 16;
export const GATE_RANGES = GATE_ACTIONS + ACTION_WORDS;

/** Blocks of an allow-list, as the configuration bounds them. */
export const ALLOW_MAX = 1024;
/** Every denied address may cut a range in two: nodes, and our own subnets' ends. */
export const RANGES_MAX = 4096;
const TABLE_WORDS = GATE_RANGES + RANGES_MAX * RANGE_WORDS;

/** Highest rates, so that a second's worth and a second's refill stay int32. */
export const REQUEST_RATE_MAX = 1_000_000;
export const BYTE_RATE_MAX = 1_000_000;
export const RATIO_MAX = 10_000;
/** What newcomers may have together where nothing else is said: as much as this many known sources. */
export const NEWCOMERS_AS_SOURCES = 16;

/** Budgets of all lanes together; 0 for no limit. */
export interface GateOptions {
  readonly watches: boolean;
  readonly requestsPerSecond: number;
  readonly responseBytesPerSecond: number;
  readonly responseRatioMax: number;
  /** 0: NEWCOMERS_AS_SOURCES times `requestsPerSecond`. */
  readonly newcomersPerSecond: number;
  readonly lanes: number;
  readonly ranges: readonly AddressRange[];
  readonly commands: CommandPolicy;
  readonly broadcastMs: number;
}

/** The control side. One GateTable per region. */
export class GateTable {
  readonly words: Int32Array;
  /** What lanes hand to `enterTable` together with their number. */
  readonly base: number;
  #edition = 0;

  /** Bytes to allocate, aligned to 64. */
  static byteLength(lanesMax: number): number {
    return generationByteLength(lanesMax, TABLE_WORDS);
  }

  /** @param byteOffset of a zeroed, 64-byte aligned region of `byteLength(lanesMax)` bytes */
  constructor(buffer: SharedArrayBuffer, byteOffset: number, lanesMax: number) {
    this.words = new Int32Array(buffer);
    this.base = byteOffset >> 2;
    initGeneration(this.words, this.base, lanesMax, TABLE_WORDS);
  }

  /** Word index of the table in use, for this thread only. */
  get current(): number {
    return tableInUse(this.words, this.base);
  }

  /** Whether `publish` would go through now: every lane has moved on to the table in use. */
  get canPublish(): boolean {
    return canWrite(this.words, this.base);
  }

  /**
   * Puts new rules in use; lanes take them up at their next cycle. Returns false, with nothing changed, while a lane
   * still uses the table before the current one.
   * @throws RangeError with nothing changed
   */
  publish(options: GateOptions): boolean {
    checkOptions(options);
    if (!this.canPublish) return false;
    const table = spareTable(this.words, this.base);
    this.words[table + GATE_EDITION] = ++this.#edition;
    writeBudgets(this.words, table, options);
    writeActions(this.words, table + GATE_ACTIONS, options.commands);
    writeRanges(this.words, table + GATE_RANGES, options.ranges);
    publishTable(this.words, this.base);
    return true;
  }
}

/** A lane's part of a budget is rounded up: no source is left without any. */
function writeBudgets(words: Int32Array, table: number, options: GateOptions): void {
  const { requestsPerSecond, responseBytesPerSecond, newcomersPerSecond, lanes } = options;
  const newcomers = newcomersPerSecond || requestsPerSecond * NEWCOMERS_AS_SOURCES;
  words[table + GATE_WATCHES] = options.watches ? 1 : 0;
  words[table + GATE_REQUEST_RATE] = Math.ceil(requestsPerSecond / lanes);
  words[table + GATE_BYTE_RATE] = Math.ceil(responseBytesPerSecond / MS_PER_SECOND / lanes);
  words[table + GATE_RATIO] = options.responseRatioMax;
  words[table + GATE_NEWCOMER_RATE] = Math.min(Math.ceil(newcomers / lanes), REQUEST_RATE_MAX);
  words[table + GATE_RANGE_COUNT] = options.ranges.length;
  words[table + GATE_BROADCAST_MS] = options.broadcastMs;
}
const MS_PER_SECOND = 1000;

function checkOptions(options: GateOptions): void {
  const within = (name: string, value: number, max: number) => {
    if (!(Number.isInteger(value) && value >= 0 && value <= max)) {
      throw new RangeError(`gate: ${name} is ${value}; it must be 0 to ${max}`);
    }
  };
  within('requestsPerSecond', options.requestsPerSecond, REQUEST_RATE_MAX);
  within('newcomersPerSecond', options.newcomersPerSecond, REQUEST_RATE_MAX);
  within('responseBytesPerSecond', options.responseBytesPerSecond, BYTE_RATE_MAX * MS_PER_SECOND);
  within('responseRatioMax', options.responseRatioMax, RATIO_MAX);
  within('number of ranges', options.ranges.length, RANGES_MAX);
}
