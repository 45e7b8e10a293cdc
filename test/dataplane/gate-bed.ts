/** A gatekeeper with its tables, and time that the test turns. */
import { DEFAULT_POLICY } from '../../src/dataplane/commands.ts';
import { type GateOptions, GateTable } from '../../src/dataplane/gate-table.ts';
import { Gatekeeper } from '../../src/dataplane/gatekeeper.ts';
import { sourceRanges } from '../../src/dataplane/source-ranges.ts';
import { KNOWN_AFTER_MS, sourceTableByteLength } from '../../src/dataplane/source-table.ts';
import { REFUSAL_NAMES } from '../../src/memcached/refusals.ts';
import { address } from '../support/lane-bed.ts';

export const NO_LIMITS: GateOptions = {
  watches: true,
  requestsPerSecond: 0,
  responseBytesPerSecond: 0,
  responseRatioMax: 0,
  newcomersPerSecond: 0,
  lanes: 1,
  ranges: sourceRanges([], []),
  commands: DEFAULT_POLICY,
  broadcastMs: 500,
};

export class GateBed {
  readonly gate: Gatekeeper;
  readonly table: GateTable;
  /** Canaries stand around the table of sources. */
  readonly words: Int32Array;
  readonly #base = 64;
  readonly #tableWords: number;
  nowMs = 5000;
  /** What the slot table would say: whether slots are short, and how many of 64 samples each source holds. */
  readonly slots = {
    isShort: false,
    shares: new Map<number, number>(),
    shareOf: (source: number) => this.slots.shares.get(source) ?? 0,
  };

  constructor(options: Partial<GateOptions> = {}, { rows = 1024 } = {}) {
    this.#tableWords = sourceTableByteLength(rows) / 4;
    this.words = new Int32Array(this.#base + this.#tableWords + 64).fill(-1);
    this.words.fill(0, this.#base, this.#base + this.#tableWords);
    this.table = new GateTable(new SharedArrayBuffer(GateTable.byteLength(1)), 0, 1);
    this.publish(options);
    const { words, base } = this.table;
    this.gate = new Gatekeeper(this.words, this.#base, rows, 0x1234567, -99, words, base, 0, this.slots);
    this.gate.enter(this.nowMs);
  }

  /** New rules; the lane takes them up. */
  publish(options: Partial<GateOptions>): void {
    if (!this.table.publish({ ...NO_LIMITS, ...options })) throw new Error('the lane is behind');
    this.gate?.enter(this.nowMs);
  }

  wait(ms: number): void {
    this.nowMs += ms;
    this.gate.enter(this.nowMs);
  }

  /** 'ok', or why not. */
  ask(source: string | number, bytes = 60): string {
    return REFUSAL_NAMES[this.gate.admit(number(source), bytes, this.nowMs)]!;
  }

  /** Whether the answer may be sent. */
  tell(source: string | number, bytes: number): boolean {
    return this.gate.charge(number(source), bytes, this.nowMs);
  }

  /** Makes a source known: two requests, far enough apart. */
  introduce(source: string | number): void {
    this.ask(source, 0);
    this.wait(KNOWN_AFTER_MS);
    this.ask(source, 0);
  }

  /** Whether a word outside the table was touched. */
  get spilt(): boolean {
    const stop = this.#base + this.#tableWords;
    return [...this.words.subarray(0, this.#base), ...this.words.subarray(stop)].some(word => word !== -1);
  }
}

function number(source: string | number): number {
  return typeof source === 'number' ? source : address(source);
}
