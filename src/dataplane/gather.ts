/**
 * Multi-key requests: taken apart (gather-split.ts), their parts collected (gather-collect.ts), and answered by one reply
 * (gather-merge.ts). What waits meanwhile lies in a table (gather-table.ts) and a store (gather-store.ts) of fixed size.
 *
 *     get a b c ──▶ get a ─▶ node 1 ─▶ VALUE a …                ┐
 *                   get b ─▶ node 2 ─▶ END            (a miss)  ├─▶ VALUE a … VALUE c … END
 *                   get c ─▶ node 1 ─▶ VALUE c … (0 of 3, 1, 2) ┘
 *
 * Time passes in steps of a quarter of the time-out. After a step in which no long value went on, keys without an answer
 * are asked for again, each ASKED_AGAIN_MAX times at most: a burst of long values overruns a receive ring easily, and
 * what is lost is lost to one datagram of hundreds. Long values one at a time, then. After STEPS such steps in a row the
 * keys that are left are misses. So a node that says nothing holds up the others for the time-out and no longer, and a
 * long value on its way is awaited. All retries together are a tenth of all keys: a slow node is not asked to death.
 *
 * Values that there is no room for make the whole request an error: memcached says the same when it cannot hold a reply,
 * and a miss would be a lie.
 */
import { FRAME_HEADER_BYTES, requestId } from '../memcached/frame-header.ts';
import { OUT_PROTOCOL, PROTOCOL_BINARY } from '../memcached/located.ts';
import { REFUSED_MULTIGET_BUSY, REFUSED_MULTIGET_MEMORY } from '../memcached/refusals.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT, REFUSED_FIRST } from './counters.ts';
import { Collector, PART_DROPPED, PART_LAST, PART_NO_ROOM } from './gather-collect.ts';
import { ASKED_OPCODE, ASKED_SLOT } from './gather-keys.ts';
import { Merger } from './gather-merge.ts';
import { SCRATCH_REQUEST_BYTES, Splitter } from './gather-split.ts';
import { ChunkStore, chunkStoreByteLength, NO_CHUNK } from './gather-store.ts';
import {
  ASKED_AGAIN,
  ASKED_AGAIN_MASK,
  GATHER_CHUNKS,
  GATHER_CLIENT,
  GATHER_CLIENT_MAC,
  GATHER_CLIENT_PORT,
  GATHER_DEADLINE,
  GATHER_DRAINING,
  GATHER_ID,
  GATHER_KEYS,
  GATHER_OPEN,
  GATHER_PROGRESS,
  GATHER_QUIET,
  GATHER_STATE,
  GATHER_TAIL,
  GATHER_TAIL_BYTES,
  GATHER_WAITING,
  GatherTable,
  gatherTableByteLength,
  ID_BINARY,
  KEY_ASKED,
  KEY_BYTES,
  KEY_COME,
  KEY_EXPECTED,
  KEY_FIRST,
  KEY_LAST,
  KEY_OPCODE_SHIFT,
  KEY_REQUEST,
  KEY_SLOT,
  KEY_STATE,
  KEY_STATE_MASK,
  KEY_TOTAL,
  KEY_WAITING,
  NO_GATHER,
} from './gather-table.ts';
import { writeEnd, writeLastResponse, writeNoRoom } from './gather-tail.ts';
import type { Path } from './path.ts';
import { SLOT_GATHER_RECORD } from './slot-table.ts';

export interface MultigetSetup {
  /** Requests in progress at a time, per lane. */
  gathers: number;
  /** Keys of one request. */
  keysMax: number;
  /** Of CHUNK_BYTES, for the values of all gathers of a lane. */
  chunks: number;
  timeoutMs: number;
}

/** Steps of the time-out. */
const STEPS = 4;
const ASKED_AGAIN_MAX = 2;
/** Datagrams of a reply that make it a long one. */
const LONG_DATAGRAMS = 32;
/** What a key that is asked for earns, and what one that is asked for again costs: a tenth of them may. */
const RETRY_COST = 10;
const RETRY_CREDIT_MAX = 256 * RETRY_COST;
/** Room to write the frame of a key's request, or a tail; and behind it, the answer to one from the cache. */
const SCRATCH_BYTES = SCRATCH_REQUEST_BYTES + 1536;
/** One request may hold this part of all chunks, so that it does not take the room of all others. */
const SHARE = 2;
/** Datagrams of one reply that leave in one go, and of all replies in one cycle. */
const DATAGRAMS_AT_ONCE = 32;
const DATAGRAMS_PER_CYCLE = 64;
/** How long a reply may take to leave, once it has begun. */
const DRAIN_MS_MAX = 1000;

/** Bytes of the lane's arena. */
export function gathersByteLength({ gathers, keysMax, chunks }: MultigetSetup): number {
  return SCRATCH_BYTES + chunkStoreByteLength(chunks) + gatherTableByteLength(gathers, keysMax);
}

export class Gathers {
  readonly table: GatherTable;
  readonly store: ChunkStore;
  readonly #path: Path;
  readonly #stepMs: number;
  readonly #scratch: number;
  readonly #splitter: Splitter;
  readonly #collector: Collector;
  readonly #merger: Merger;
  /** Datagrams that may still leave in this cycle. */
  #left = DATAGRAMS_PER_CYCLE;
  #retryCredit = RETRY_CREDIT_MAX;

  /** @param offset of `gathersByteLength(setup)` bytes in the lane's arena: zeroed, or left by a lane before this one */
  constructor(path: Path, setup: MultigetSetup, offset: number) {
    const { view, words } = path.memory;
    const storeOffset = offset + SCRATCH_BYTES;
    const tableOffset = storeOffset + chunkStoreByteLength(setup.chunks);
    this.#path = path;
    this.#stepMs = Math.ceil(setup.timeoutMs / STEPS);
    this.#scratch = offset;
    this.table = new GatherTable(words, tableOffset >> 2, setup.gathers, setup.keysMax);
    this.store = new ChunkStore(view, words, storeOffset, setup.chunks);
    this.#splitter = new Splitter(path, this.table, this.store, this.#scratch);
    this.#collector = new Collector(path, this.table, this.store, Math.ceil(setup.chunks / SHARE));
    this.#merger = new Merger(path, this.table, this.store);
  }

  /**
   * Takes the request of the frame at `offset` apart and asks the nodes. `located` is what parseRequest found.
   * Returns 0, or the reason to refuse it.
   */
  ask(offset: number, ipOffset: number, udpOffset: number, end: number, located: Int32Array): number {
    const gather = this.table.take();
    if (gather === NO_GATHER) return REFUSED_MULTIGET_BUSY;
    const start = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    const reason = this.#splitter.prepare(start, end, located) || this.#begin(gather, located);
    if (reason !== 0) {
      this.table.giveBack(gather);
      return reason;
    }
    this.#noteClient(gather, offset, ipOffset, udpOffset, located[OUT_PROTOCOL] === PROTOCOL_BINARY);
    this.table.waiting.push(gather);
    this.#countKeys(gather);
    this.#splitter.ask(gather, this.#collector);
    if (this.#path.memory.words[gather + GATHER_OPEN] === 0) this.#answer(gather);
    return 0;
  }

  /**
   * A datagram of a reply, from its frame header at `header` to `end`, for a slot with the gather bit. Returns false when
   * it is dropped (and counted).
   */
  collect(slot: number, header: number, end: number): boolean {
    const said = this.#collector.take(slot, header, end);
    const gather = this.#path.memory.words[slot + SLOT_GATHER_RECORD];
    if (said === PART_LAST) this.#answer(gather);
    else if (said === PART_NO_ROOM) this.#refuseLate(gather);
    return said !== PART_DROPPED;
  }

  /** The end of every cycle: deadlines, and replies that are on their way. Returns the work done. */
  tend(): number {
    let work = 0;
    const { waiting } = this.table;
    for (let turns = waiting.count; turns > 0 && this.#isStepOver(waiting.first); turns--) {
      this.#step(waiting.first);
      work++;
    }
    work += this.#drain();
    this.#left = DATAGRAMS_PER_CYCLE;
    return work;
  }

  #countKeys(gather: number): void {
    const { memory, gate, nowMs } = this.#path;
    const keys = memory.words[gather + GATHER_KEYS];
    this.#retryCredit = Math.min(this.#retryCredit + keys, RETRY_CREDIT_MAX);
    memory.counters[COUNT.multigets] += 1;
    memory.counters[COUNT.multiget_keys] += keys;
    gate.chargeKeys(memory.words[gather + GATHER_CLIENT], keys, nowMs);
  }

  /** Notes what the reply will need of the request; returns 0, or the reason to refuse it. */
  #begin(gather: number, located: Int32Array): number {
    const isBinary = located[OUT_PROTOCOL] === PROTOCOL_BINARY;
    const { bytes } = this.#path.memory;
    const tailBytes = isBinary
      ? writeLastResponse(bytes, this.#scratch, this.#splitter.keys.lastPacket)
      : writeEnd(bytes, this.#scratch);
    if (!this.#setTail(gather, tailBytes)) {
      this.#splitter.cancel();
      return REFUSED_MULTIGET_BUSY;
    }
    this.#noteKeys(gather);
    return 0;
  }

  /** Keeps the tail that stands in the scratch place; false when there is no room. */
  #setTail(gather: number, tailBytes: number): boolean {
    const { words } = this.#path.memory;
    const tail = tailBytes === 0 ? NO_CHUNK : this.store.put(this.#scratch, tailBytes, 0);
    words[gather + GATHER_TAIL] = tail;
    words[gather + GATHER_TAIL_BYTES] = tailBytes;
    return tailBytes === 0 || tail !== NO_CHUNK;
  }

  #noteKeys(gather: number): void {
    const { words } = this.#path.memory;
    const { keys } = this.#splitter;
    words[gather + GATHER_KEYS] = keys.count;
    words[gather + GATHER_OPEN] = keys.count;
    words[gather + GATHER_CHUNKS] = 0;
    for (let i = 0; i < keys.count; i++) {
      const key = this.table.key(gather, i);
      words[key + KEY_STATE] = KEY_WAITING | (keys.words[keys.row(i) + ASKED_OPCODE] << KEY_OPCODE_SHIFT);
      words[key + KEY_SLOT] = keys.words[keys.row(i) + ASKED_SLOT];
      words[key + KEY_FIRST] = NO_CHUNK;
      words[key + KEY_LAST] = NO_CHUNK;
      words[key + KEY_TOTAL] = 0;
      words[key + KEY_COME] = 0;
      words[key + KEY_EXPECTED] = 0;
      words[key + KEY_BYTES] = 0;
      words[key + KEY_REQUEST] = NO_CHUNK;
      words[key + KEY_ASKED] = 0;
    }
  }

  #noteClient(gather: number, offset: number, ipOffset: number, udpOffset: number, isBinary: boolean): void {
    const { bytes, view, words } = this.#path.memory;
    const id = requestId(bytes, udpOffset + udp.HEADER_BYTES);
    words[gather + GATHER_STATE] = GATHER_WAITING;
    words[gather + GATHER_DEADLINE] = (this.#path.nowMs + this.#stepMs) | 0;
    words[gather + GATHER_QUIET] = 0;
    words[gather + GATHER_PROGRESS] = 0;
    words[gather + GATHER_CLIENT] = ipv4.source(view, ipOffset);
    words[gather + GATHER_CLIENT_PORT] = udp.sourcePort(view, udpOffset) | (ethernet.sourceHigh(view, offset) << 16);
    words[gather + GATHER_CLIENT_MAC] = ethernet.sourceLow(view, offset);
    words[gather + GATHER_ID] = isBinary ? id | ID_BINARY : id;
  }

  #isDue(gather: number): boolean {
    return ((this.#path.nowMs - this.#path.memory.words[gather + GATHER_DEADLINE]) | 0) >= 0;
  }

  /** While frames of the nodes are still waiting to be received, a step may take twice its time. */
  #isStepOver(gather: number): boolean {
    const { memory, nowMs, serverDrained } = this.#path;
    const over = (nowMs - memory.words[gather + GATHER_DEADLINE]) | 0;
    return over >= (serverDrained ? 0 : this.#stepMs);
  }

  /** A lane that was held up for long takes one step a millisecond: what came meanwhile is still being read. */
  #step(gather: number): void {
    const { memory, nowMs } = this.#path;
    const { words } = memory;
    const isQuiet = words[gather + GATHER_PROGRESS] === 0;
    words[gather + GATHER_PROGRESS] = 0;
    words[gather + GATHER_QUIET] = isQuiet ? words[gather + GATHER_QUIET] + 1 : 0;
    if (words[gather + GATHER_QUIET] === STEPS) return this.#expire(gather);
    const next = (words[gather + GATHER_DEADLINE] + this.#stepMs) | 0;
    words[gather + GATHER_DEADLINE] = ((next - nowMs) | 0) > 0 ? next : (nowMs + 1) | 0;
    this.table.waiting.remove(gather);
    this.table.waiting.push(gather);
    if (isQuiet) this.#askAgain(gather);
  }

  #askAgain(gather: number): void {
    const { words } = this.#path.memory;
    let hasLong = false;
    for (let key = 0; key < words[gather + GATHER_KEYS] && this.#retryCredit >= RETRY_COST; key++) {
      const row = this.table.key(gather, key);
      const isLong = words[row + KEY_TOTAL] > LONG_DATAGRAMS;
      if (!this.#mayAskAgain(row) || (isLong && hasLong)) continue;
      if (!this.#splitter.again(gather, key)) continue;
      this.#collector.restart(gather, row);
      this.#retryCredit -= RETRY_COST;
      hasLong = hasLong || isLong;
    }
  }

  #mayAskAgain(row: number): boolean {
    const { words } = this.#path.memory;
    if ((words[row + KEY_STATE] & KEY_STATE_MASK) !== KEY_WAITING) return false;
    return (words[row + KEY_ASKED] & ASKED_AGAIN_MASK) < ASKED_AGAIN_MAX * ASKED_AGAIN;
  }

  #expire(gather: number): void {
    const { counters } = this.#path.memory;
    counters[COUNT.multiget_unanswered] += this.#collector.giveUp(gather);
    this.#answer(gather);
  }

  #refuseLate(gather: number): void {
    const { memory } = this.#path;
    memory.count(REFUSED_FIRST + REFUSED_MULTIGET_MEMORY);
    this.#collector.forget(gather);
    const tail = memory.words[gather + GATHER_TAIL];
    const isBinary = (memory.words[gather + GATHER_ID] & ID_BINARY) !== 0;
    // A run of quiet requests alone has no response that could carry the error.
    const isSilent = isBinary && tail === NO_CHUNK;
    const lineBytes = isSilent ? 0 : writeNoRoom(memory.bytes, this.#scratch, isBinary ? this.store.offset(tail) : -1);
    this.store.release(tail);
    this.#setTail(gather, lineBytes);
    this.#reply(gather);
  }

  #answer(gather: number): void {
    this.#path.memory.count(COUNT.multiget_answers);
    this.#reply(gather);
  }

  /**
   * Every key is settled: sends the first datagrams, which is all of nearly every reply. The client is charged for all of
   * them before one leaves: half a reply would be of no use to it.
   */
  #reply(gather: number): void {
    const { memory, gate, nowMs } = this.#path;
    const { words } = memory;
    this.table.waiting.remove(gather);
    const bytes = this.#merger.begin(gather);
    if (!gate.charge(words[gather + GATHER_CLIENT], bytes, nowMs)) return this.#withhold(gather);
    this.#send(gather);
    if (this.#merger.isDone(gather)) return this.#free(gather);
    words[gather + GATHER_STATE] = GATHER_DRAINING;
    words[gather + GATHER_DEADLINE] = (this.#path.nowMs + DRAIN_MS_MAX) | 0;
    this.table.draining.push(gather);
  }

  /** The client has had as many bytes as it may. */
  #withhold(gather: number): void {
    this.#path.memory.count(COUNT.answers_withheld);
    this.#free(gather);
  }

  #send(gather: number): number {
    const sent = this.#merger.send(gather, Math.min(this.#left, DATAGRAMS_AT_ONCE));
    this.#left -= sent;
    return sent;
  }

  /** Each reply in turn sends a few more datagrams; returns the number of all. */
  #drain(): number {
    const { draining } = this.table;
    let sent = 0;
    for (let turns = draining.count; turns > 0 && this.#left > 0; turns--) {
      const gather = draining.first;
      draining.remove(gather);
      sent += this.#send(gather);
      if (this.#merger.isDone(gather)) this.#free(gather);
      else if (this.#isDue(gather)) this.#abandon(gather);
      else draining.push(gather);
    }
    return sent;
  }

  /** The port has not taken the rest of it in all that time. */
  #abandon(gather: number): void {
    this.#path.memory.count(COUNT.multiget_abandoned);
    this.#free(gather);
  }

  #free(gather: number): void {
    this.#collector.forget(gather);
    this.store.release(this.#path.memory.words[gather + GATHER_TAIL]);
    this.table.giveBack(gather);
  }
}
