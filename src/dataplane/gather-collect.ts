/**
 * Takes the datagrams that nodes answer with, a key at a time, in any order, until each key of a gather is settled.
 *
 * What is kept of a hit is what the client will see of it: of a text reply all but its END; of a binary response, asked
 * for by getk, all but the key where the client's opcode does not want it.
 */
import * as binary from '../memcached/binary.ts';
import { FRAME_HEADER_BYTES, sequence, total } from '../memcached/frame-header.ts';
import { isKeyed } from '../memcached/key-list.ts';
import { OUT_KEY_LENGTH, OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET, OUT_WORDS } from '../memcached/located.ts';
import { parseReply, REPLY_BINARY, REPLY_END, REPLY_VALUE } from '../memcached/reply.ts';
import { COUNT } from './counters.ts';
import { type ChunkStore, chunksFor, NO_CHUNK } from './gather-store.ts';
import {
  GATHER_CHUNKS,
  GATHER_GENERATION,
  GATHER_ID,
  GATHER_KEYS,
  GATHER_OPEN,
  GATHER_PROGRESS,
  GATHER_STATE,
  GATHER_WAITING,
  type GatherTable,
  ID_BINARY,
  KEY_BYTES,
  KEY_COME,
  KEY_EXPECTED,
  KEY_FIRST,
  KEY_HIT,
  KEY_LAST,
  KEY_MISS,
  KEY_OPCODE_SHIFT,
  KEY_REQUEST,
  KEY_SLOT,
  KEY_STATE,
  KEY_STATE_MASK,
  KEY_TOTAL,
  KEY_WAITING,
} from './gather-table.ts';
import type { Path } from './path.ts';
import { SLOT_GATHER_GENERATION, SLOT_GATHER_RECORD, SLOT_ID_SHIFT, SLOT_KEY_HASH, SLOT_STATE } from './slot-table.ts';

/** `END\r\n`, and with the CRLF of the value before it. */
const END_BYTES = 5;
const VALUE_END_BYTES = 7;
/** Status of a binary response that has a value, and of a miss. */
const STATUS_SUCCESS = 0;
const STATUS_NOT_FOUND = 1;
/** Extras of every hit. */
const FLAGS_BYTES = 4;
const HIT_HEAD_BYTES = binary.BINARY_HEADER_BYTES + FLAGS_BYTES;

/** What `take` says. */
export const PART_TAKEN = 0;
/** The last key is settled: the gather is complete. */
export const PART_LAST = 1;
/** There is no room for it. */
export const PART_NO_ROOM = 2;
/** Not for us: the frame is counted as dropped. */
export const PART_DROPPED = 3;

export class Collector {
  readonly #path: Path;
  readonly #table: GatherTable;
  readonly #store: ChunkStore;
  readonly #chunksMax: number;
  readonly #located = new Int32Array(OUT_WORDS);

  /** @param chunksMax that one gather may hold */
  constructor(path: Path, table: GatherTable, store: ChunkStore, chunksMax: number) {
    this.#path = path;
    this.#table = table;
    this.#store = store;
    this.#chunksMax = chunksMax;
  }

  /**
   * A datagram, from its frame header at `header` to `end`, that has come for a slot with the gather bit: from the right
   * node, in time, and under the right key if it names one. Returns PART_*.
   */
  take(slot: number, header: number, end: number): number {
    const { words, bytes } = this.#path.memory;
    const gather = words[slot + SLOT_GATHER_RECORD];
    const key = this.#table.key(gather, words[slot + SLOT_STATE] >>> SLOT_ID_SHIFT);
    const of = total(bytes, header);
    if (!this.#isAwaited(slot, gather, key, of)) return this.#drop(COUNT.drop_multiget_late);
    if (words[key + KEY_TOTAL] === 0) words[key + KEY_TOTAL] = of;
    else if (words[key + KEY_TOTAL] !== of) return this.#drop(COUNT.drop_multiget_part);
    return this.#takePart(gather, key, sequence(bytes, header), header + FRAME_HEADER_BYTES, end);
  }

  /** A whole answer to key `key`, at `start` … `end` − 1 of the arena, is there without a node. */
  takeHere(gather: number, key: number, start: number, end: number): number {
    const row = this.#table.key(gather, key);
    this.#path.memory.words[row + KEY_TOTAL] = 1;
    return this.#takePart(gather, row, 0, start, end);
  }

  /** Every key that is still waited for becomes a miss; returns their number. */
  giveUp(gather: number): number {
    const { memory, hotLane } = this.#path;
    const { words } = memory;
    const given = words[gather + GATHER_OPEN];
    for (let i = 0; words[gather + GATHER_OPEN] > 0; i++) {
      const key = this.#table.key(gather, i);
      if ((words[key + KEY_STATE] & KEY_STATE_MASK) !== KEY_WAITING) continue;
      // A miss that no node said: whoever is told of it must not meet the cached value again.
      hotLane?.missed(words[words[key + KEY_SLOT] + SLOT_KEY_HASH]);
      this.#settle(gather, key, KEY_MISS);
    }
    return given;
  }

  /** What has come for the key is forgotten: it is asked again. */
  restart(gather: number, key: number): void {
    const { words } = this.#path.memory;
    this.#release(gather, key);
    words[key + KEY_TOTAL] = 0;
    words[key + KEY_COME] = 0;
    words[key + KEY_EXPECTED] = 0;
    words[key + KEY_BYTES] = 0;
  }

  /** Every key becomes a miss, whatever has come of it, and the chunks are free. */
  forget(gather: number): void {
    const { words } = this.#path.memory;
    for (let i = 0; i < words[gather + GATHER_KEYS]; i++) {
      const key = this.#table.key(gather, i);
      this.#release(gather, key);
      this.#releaseRequest(key);
      words[key + KEY_STATE] = KEY_MISS;
    }
  }

  /** Once a key is asked again, of the older reply only a whole one counts: two may be of different values. */
  #isAwaited(slot: number, gather: number, key: number, total: number): boolean {
    const { words } = this.#path.memory;
    if (words[gather + GATHER_GENERATION] !== words[slot + SLOT_GATHER_GENERATION]) return false;
    if (words[gather + GATHER_STATE] !== GATHER_WAITING) return false;
    if (words[key + KEY_SLOT] !== slot && total !== 1) return false;
    return (words[key + KEY_STATE] & KEY_STATE_MASK) === KEY_WAITING;
  }

  #takePart(gather: number, key: number, at: number, payload: number, end: number): number {
    const before = this.#placeOf(key, at);
    if (before !== NO_CHUNK && this.#store.sequence(before) === at) return this.#drop(COUNT.drop_multiget_part);
    let start = payload;
    if (at === 0) {
      const kind = parseReply(this.#path.memory.bytes, payload, end, this.#located);
      if (!this.#isHit(gather, kind, payload)) return this.#settleMiss(gather, key, kind);
      start = this.#noteHead(gather, key, kind, payload);
      if (start < 0) return PART_NO_ROOM;
    }
    if (start >= end) return this.#drop(COUNT.drop_multiget_part);
    return this.#keep(gather, key, at, start, end - start, before);
  }

  /** The piece that datagram `at` comes behind, its twin if there is one; nearly always the last one. */
  #placeOf(key: number, at: number): number {
    const { words } = this.#path.memory;
    const last = words[key + KEY_LAST];
    if (last === NO_CHUNK || this.#store.sequence(last) < at) return last;
    return this.#store.pieceBefore(words[key + KEY_FIRST], at);
  }

  #isHit(gather: number, kind: number, payload: number): boolean {
    const { words, bytes } = this.#path.memory;
    if ((words[gather + GATHER_ID] & ID_BINARY) === 0) return kind === REPLY_VALUE;
    if (kind !== REPLY_BINARY || this.#located[OUT_STATUS] !== STATUS_SUCCESS) return false;
    return binary.extrasLength(bytes, payload) === FLAGS_BYTES && this.#located[OUT_KEY_LENGTH] > 0;
  }

  #isMiss(kind: number): boolean {
    return kind === REPLY_END || (kind === REPLY_BINARY && this.#located[OUT_STATUS] === STATUS_NOT_FOUND);
  }

  #settleMiss(gather: number, key: number, kind: number): number {
    if (!this.#isMiss(kind)) this.#path.memory.count(COUNT.multiget_node_errors);
    return this.#settle(gather, key, KEY_MISS);
  }

  /** Notes how long the reply will be. Returns where it begins for us, or −1 when it is longer than there is room. */
  #noteHead(gather: number, key: number, kind: number, payload: number): number {
    const { words } = this.#path.memory;
    const located = this.#located;
    const isText = kind === REPLY_VALUE;
    const start = isText ? payload : this.#turnHead(words[key + KEY_STATE] >>> KEY_OPCODE_SHIFT, payload);
    const expected = located[OUT_VALUE_OFFSET] - start + located[OUT_VALUE_LENGTH] + (isText ? VALUE_END_BYTES : 0);
    words[key + KEY_EXPECTED] = expected;
    return words[gather + GATHER_CHUNKS] + chunksFor(expected) > this.#chunksMax ? -1 : start;
  }

  /**
   * Makes the getk response at `payload` one to the client's own opcode, in place. Where that does not want the key, the
   * head moves up over it. Returns where it begins now.
   */
  #turnHead(opcode: number, payload: number): number {
    const { bytes } = this.#path.memory;
    bytes[payload + 1] = opcode;
    if (isKeyed(opcode)) return payload;
    const keyBytes = binary.keyLength(bytes, payload);
    binary.setKeyLength(bytes, payload, 0);
    binary.setBodyLength(bytes, payload, binary.bodyLength(bytes, payload) - keyBytes);
    bytes.copyWithin(payload + keyBytes, payload, payload + HIT_HEAD_BYTES);
    return payload + keyBytes;
  }

  #keep(gather: number, key: number, at: number, start: number, length: number, before: number): number {
    const { words } = this.#path.memory;
    const chunks = chunksFor(length);
    if (words[gather + GATHER_CHUNKS] + chunks > this.#chunksMax) return PART_NO_ROOM;
    const piece = this.#store.put(start, length, at);
    if (piece === NO_CHUNK) return PART_NO_ROOM;
    this.#store.insert(piece, before, words[key + KEY_FIRST]);
    if (before === words[key + KEY_LAST]) words[key + KEY_LAST] = piece;
    if (before === NO_CHUNK) words[key + KEY_FIRST] = piece;
    words[gather + GATHER_CHUNKS] += chunks;
    words[key + KEY_BYTES] += length;
    words[key + KEY_COME] += 1;
    if (words[key + KEY_TOTAL] > 1) words[gather + GATHER_PROGRESS] = 1;
    return words[key + KEY_COME] === words[key + KEY_TOTAL] ? this.#finish(gather, key) : PART_TAKEN;
  }

  /** All datagrams of a reply are there. */
  #finish(gather: number, key: number): number {
    const { memory, slots } = this.#path;
    const { words } = memory;
    if (words[key + KEY_TOTAL] > 1) slots.free(words[key + KEY_SLOT]);
    if (words[key + KEY_BYTES] !== words[key + KEY_EXPECTED]) {
      memory.count(COUNT.multiget_node_errors);
      return this.#settle(gather, key, KEY_MISS);
    }
    if ((words[gather + GATHER_ID] & ID_BINARY) === 0) words[key + KEY_BYTES] -= END_BYTES;
    return this.#settle(gather, key, KEY_HIT);
  }

  #settle(gather: number, key: number, state: number): number {
    const { words } = this.#path.memory;
    if (state === KEY_MISS) this.#release(gather, key);
    this.#releaseRequest(key);
    words[key + KEY_STATE] = (words[key + KEY_STATE] & ~KEY_STATE_MASK) | state;
    words[gather + GATHER_OPEN] -= 1;
    return words[gather + GATHER_OPEN] === 0 ? PART_LAST : PART_TAKEN;
  }

  #release(gather: number, key: number): void {
    const { words } = this.#path.memory;
    words[gather + GATHER_CHUNKS] -= this.#store.release(words[key + KEY_FIRST]);
    words[key + KEY_FIRST] = NO_CHUNK;
    words[key + KEY_LAST] = NO_CHUNK;
  }

  #releaseRequest(key: number): void {
    const { words } = this.#path.memory;
    this.#store.release(words[key + KEY_REQUEST]);
    words[key + KEY_REQUEST] = NO_CHUNK;
  }

  #drop(counter: number): number {
    this.#path.memory.count(counter);
    return PART_DROPPED;
  }
}
