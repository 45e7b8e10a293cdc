/**
 * Takes a multi-key request apart and asks the nodes, each key by itself.
 *
 * Why not one request a node with all its keys: memcached (1.6.0 and later, over UDP) answers each hit as a message of
 * its own, all under the same request id, "0 of 1". A value of several datagrams then cannot be told from its neighbour
 * ("1 of 3" of which?), a miss is silence, and END says only that the last key is done, which a reordered hit may follow.
 * Several `mg` in one datagram answer their misses too, but large values stay as ambiguous, and the protocol does not
 * promise that more than the first is read. A single key under an id of its own is unambiguous in every version.
 * The price, measured on 1.6.18: a node sends one datagram a key either way, so what a request a key adds is the
 * receiving: 4.6 µs of the node's CPU a key, against 4.2 with 3 keys in a request and 3.8 with 10.
 *
 * Each request is kept until its key is settled, for what is lost can be asked for again (gather.ts says when).
 */
import { leak } from '../coherence/directory.ts';
import { copyBytes } from '../mem/copy.ts';
import { hashKey } from '../mem/murmur3.ts';
import * as binary from '../memcached/binary.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../memcached/frame-header.ts';
import { OPCODE_GETK } from '../memcached/key-list.ts';
import { OUT_KEY_OFFSET, OUT_PROTOCOL, OUT_VERB, OUT_WORDS, PROTOCOL_BINARY } from '../memcached/located.ts';
import { REFUSED_BUSY, REFUSED_NUMBER } from '../memcached/refusals.ts';
import { parseRequest } from '../memcached/request.ts';
import { CLASS_READ, VERB_CLASS } from '../memcached/verbs.ts';
import { steerHash } from '../steer/hash.ts';
import { lookup, nodeAddress, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT } from './counters.ts';
import { type Collector, PART_LAST } from './gather-collect.ts';
import { ASKED_BYTES, ASKED_HASH, ASKED_KEY, ASKED_NODE, ASKED_SLOT, AskedKeys } from './gather-keys.ts';
import { type ChunkStore, NO_CHUNK } from './gather-store.ts';
import {
  ASKED_AGAIN,
  ASKED_BYTES_MASK,
  ASKED_VERB_SHIFT,
  GATHER_CLIENT,
  GATHER_GENERATION,
  type GatherTable,
  KEY_ASKED,
  KEY_REQUEST,
  KEY_SLOT,
} from './gather-table.ts';
import type { Hot } from './hot/hot.ts';
import { OWN_HEADERS_BYTES, writeOwnHeaders } from './own-datagram.ts';
import type { Path } from './path.ts';
import {
  SLOT_CLIENT,
  SLOT_GATHER,
  SLOT_GATHER_GENERATION,
  SLOT_GATHER_RECORD,
  SLOT_HAUNTED,
  SLOT_ID_SHIFT,
  SLOT_KEY_HASH,
  SLOT_NODE,
  SLOT_NODE_PORT,
  SLOT_SENT,
  SLOT_STATE,
  SLOT_VERB_SHIFT,
  STATE_ANSWERED,
  STATE_OUTSTANDING,
} from './slot-table.ts';

const CRLF_BYTES = 2;
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
/** `gats`, an expiry time and the spaces behind them. */
const PREFIX_BYTES_MAX = 48;
/** Of the scratch room, for a request; then there is room for a reply. */
export const SCRATCH_REQUEST_BYTES = 512;
const REPLY_BYTES = 1400;

export class Splitter {
  readonly keys: AskedKeys;
  readonly #path: Path;
  /** What stands in front of the key in each request of the nodes: `get `, `gat 100 `. */
  readonly #prefix = new Uint8Array(PREFIX_BYTES_MAX);
  #prefixBytes = 0;
  #isBinary = false;
  #verb = 0;
  readonly #located = new Int32Array(OUT_WORDS);
  /** Of the key that is asked again. */
  #keyHash = 0;
  readonly #table: GatherTable;
  readonly #store: ChunkStore;
  readonly #scratch: number;

  /** @param scratch room for the frame of one request in the arena, bytes */
  constructor(path: Path, table: GatherTable, store: ChunkStore, scratch: number) {
    this.#path = path;
    this.#table = table;
    this.#store = store;
    this.keys = new AskedKeys(path, table.keysMax);
    this.#scratch = scratch;
  }

  /**
   * Lists the keys of the request in bytes `start` … `end` − 1, chooses their nodes and takes a slot for each.
   * Returns 0, or the reason to refuse the request; nothing has changed then.
   */
  prepare(start: number, end: number, located: Int32Array): number {
    this.#isBinary = located[OUT_PROTOCOL] === PROTOCOL_BINARY;
    this.#verb = located[OUT_VERB];
    const reason = this.keys.list(start, end, located);
    if (reason !== 0) return reason;
    if (!this.#isBinary && !this.#notePrefix(start, located[OUT_KEY_OFFSET])) return REFUSED_NUMBER;
    return this.#takeSlots() ? 0 : REFUSED_BUSY;
  }

  /** Takes back what `prepare` did: the request is refused after all. */
  cancel(): void {
    this.#giveBackSlots(this.keys.count);
  }

  /** Sends the requests prepared last: their replies belong to `gather`. What is cached needs none. */
  ask(gather: number, collector: Collector): void {
    const { hotLane } = this.#path;
    for (let key = 0; key < this.keys.count; key++) {
      if (hotLane === undefined || !this.#answerHere(hotLane, collector, gather, key)) this.#ask(gather, key);
    }
  }

  #answerHere(hotLane: Hot, collector: Collector, gather: number, key: number): boolean {
    const row = this.keys.row(key);
    const { words } = this.keys;
    const item = hotLane.find(words[row + ASKED_HASH], words[row + ASKED_KEY], words[row + ASKED_BYTES]);
    if (item < 0) return false;
    hotLane.upkeep.hasMoved(item);
    this.#aim(hotLane, item, row);
    if (VERB_CLASS[this.#verb] !== CLASS_READ && !hotLane.upkeep.isTomb(item)) {
      hotLane.touched(item);
      return false;
    }
    const isAnswered = this.#answerPart(hotLane, item, collector, gather, key, row);
    if (isAnswered) this.#path.slots.free(words[row + ASKED_SLOT]);
    else leak(hotLane.keys.words, item, hotLane.keys.nowMs);
    return isAnswered;
  }

  #answerPart(hotLane: Hot, item: number, collector: Collector, gather: number, key: number, row: number): boolean {
    const { bytes } = this.#path.memory;
    const start = this.#scratch + OWN_HEADERS_BYTES + FRAME_HEADER_BYTES;
    const end = this.#writeRequest(start, row);
    if (parseRequest(bytes, start, end, this.#located) !== 0) return false;
    const reply = this.#scratch + SCRATCH_REQUEST_BYTES;
    const replyBytes = hotLane.hits.part(item, this.#located, reply, REPLY_BYTES);
    return replyBytes !== 0 && collector.takeHere(gather, key, reply, reply + replyBytes) <= PART_LAST;
  }

  /** What is known of a hot key is known of one node: no other is asked. */
  #aim(hotLane: Hot, item: number, row: number): void {
    const node = hotLane.upkeep.knownHome(item);
    if (node >= 0) this.keys.words[row + ASKED_NODE] = node;
  }

  /** The words before the first key, one space behind each. False when they are longer than any sense. */
  #notePrefix(start: number, firstKey: number): boolean {
    const { bytes } = this.#path.memory;
    let length = 0;
    for (let at = start; at < firstKey; at++) {
      if (bytes[at] === SPACE && (length === 0 || this.#prefix[length - 1] === SPACE)) continue;
      if (length === PREFIX_BYTES_MAX) return false;
      this.#prefix[length++] = bytes[at];
    }
    this.#prefixBytes = length;
    return true;
  }

  /** All or none. Each is in use at once, or the circle could come round and hand it out again. */
  #takeSlots(): boolean {
    const { memory, nowUs } = this.#path;
    const { words } = memory;
    for (let key = 0; key < this.keys.count; key++) {
      const slot = this.#takeSlot();
      if (slot < 0) return this.#giveBackSlots(key);
      words[slot + SLOT_STATE] = STATE_OUTSTANDING | (words[slot + SLOT_STATE] & SLOT_HAUNTED);
      words[slot + SLOT_SENT] = nowUs;
      this.keys.words[this.keys.row(key) + ASKED_SLOT] = slot;
    }
    return true;
  }

  #takeSlot(): number {
    const { slots, memory, nowUs } = this.#path;
    const slot = slots.take(nowUs);
    if (slots.skipped !== 0) memory.counters[COUNT.slots_skipped] += slots.skipped;
    if (slots.expired !== 0) memory.counters[COUNT.slots_expired] += 1;
    return slot;
  }

  #giveBackSlots(count: number): false {
    const { words } = this.#path.memory;
    for (let key = 0; key < count; key++) {
      const slot = this.keys.words[this.keys.row(key) + ASKED_SLOT];
      words[slot + SLOT_STATE] = (words[slot + SLOT_STATE] & SLOT_HAUNTED) | STATE_ANSWERED;
    }
    return false;
  }

  #ask(gather: number, key: number): void {
    const { memory, neighbours, serverOut, steerWords, table } = this.#path;
    const row = this.keys.row(key);
    const slot = this.keys.words[row + ASKED_SLOT];
    const node = this.keys.words[row + ASKED_NODE];
    this.#fillSlot(slot, gather, key, node, this.keys.words[row + ASKED_HASH], this.#verb);
    const neighbour = nodeNeighbour(steerWords, table, node);
    const isUsable = neighbours.isUsable(neighbour);
    const offset = isUsable ? serverOut.claim() : this.#scratch;
    // The key ends as one that is not answered.
    if (offset < 0) return memory.count(COUNT.multiget_unsent);
    const payload = offset + OWN_HEADERS_BYTES;
    const end = this.#writeRequest(payload + FRAME_HEADER_BYTES, row);
    this.#remember(gather, key, row, payload + FRAME_HEADER_BYTES, end);
    const length = this.#finish(offset, end - payload, slot, node, this.#verb);
    if (!isUsable) return this.#park(offset, length, neighbour);
    this.#path.sendTo(offset, neighbour);
    serverOut.send(offset, length, 0, node + 1);
  }

  /** Keeps the request that stands in bytes `start` … `end` − 1, should it be needed again. */
  #remember(gather: number, key: number, row: number, start: number, end: number): void {
    const { words } = this.#path.memory;
    const at = this.#table.key(gather, key);
    words[at + KEY_REQUEST] = this.#store.put(start, end - start, 0);
    words[at + KEY_ASKED] = this.keys.words[row + ASKED_BYTES] | (this.#verb << ASKED_VERB_SHIFT);
  }

  /**
   * Asks for a key once more, under another slot and of the node that is its home by now. Returns false when that cannot
   * be: nothing has changed then.
   */
  again(gather: number, key: number): boolean {
    const { neighbours, serverOut, steerWords, table } = this.#path;
    const payload = this.#scratch + OWN_HEADERS_BYTES;
    const end = this.#recall(this.#table.key(gather, key), payload + FRAME_HEADER_BYTES);
    const node = end < 0 ? -1 : this.#homeAgain(this.#table.key(gather, key), payload + FRAME_HEADER_BYTES, end);
    if (node < 0 || !neighbours.isUsable(nodeNeighbour(steerWords, table, node))) return false;
    const offset = serverOut.claim();
    const slot = offset < 0 ? -1 : this.#takeSlotLike(this.#path.memory.words[this.#table.key(gather, key) + KEY_SLOT]);
    if (slot < 0) return false;
    this.#sendAgain(gather, key, offset, end - payload, slot, node);
    return true;
  }

  /** Copies the request that is kept to `at`; returns its end, or −1 when there is none. */
  #recall(row: number, at: number): number {
    const { words, view } = this.#path.memory;
    let end = at;
    for (let chunk = words[row + KEY_REQUEST]; chunk !== NO_CHUNK; chunk = this.#store.next(chunk)) {
      copyBytes(view, this.#store.offset(chunk), end, this.#store.bytes(chunk));
      end += this.#store.bytes(chunk);
    }
    return end === at ? -1 : end;
  }

  /** The key ends the request; behind that of a line there is CRLF. */
  #homeAgain(row: number, start: number, end: number): number {
    const { memory, steerWords, table } = this.#path;
    const { bytes, view, words } = memory;
    const keyBytes = words[row + KEY_ASKED] & ASKED_BYTES_MASK;
    const key = end - keyBytes - (bytes[start] === binary.MAGIC_REQUEST ? 0 : CRLF_BYTES);
    this.#keyHash = hashKey(bytes, view, key, keyBytes);
    const { hotLane } = this.#path;
    const item = hotLane === undefined ? -1 : hotLane.find(this.#keyHash, key, keyBytes);
    if (item >= 0) {
      hotLane!.upkeep.hasMoved(item);
      if (hotLane!.upkeep.isTomb(item)) return -1;
      leak(hotLane!.keys.words, item, hotLane!.keys.nowMs);
      return hotLane!.upkeep.knownHome(item);
    }
    return lookup(steerWords, table, steerHash(steerWords, table, this.#keyHash, bytes, view, key, keyBytes));
  }

  /** A slot of the same circle. */
  #takeSlotLike(slot: number): number {
    const { slots } = this.#path;
    slots.aim(slots.indexOf(slot) >= slots.circles[0].length);
    return this.#takeSlot();
  }

  #sendAgain(gather: number, key: number, offset: number, payloadBytes: number, slot: number, node: number): void {
    const { memory, serverOut, steerWords, table } = this.#path;
    const { view, words } = memory;
    const row = this.#table.key(gather, key);
    const verb = words[row + KEY_ASKED] >>> ASKED_VERB_SHIFT;
    copyBytes(view, this.#scratch + OWN_HEADERS_BYTES, offset + OWN_HEADERS_BYTES, payloadBytes);
    this.#fillSlot(slot, gather, key, node, this.#keyHash, verb);
    words[row + KEY_SLOT] = slot;
    words[row + KEY_ASKED] += ASKED_AGAIN;
    const length = this.#finish(offset, payloadBytes, slot, node, verb);
    this.#path.sendTo(offset, nodeNeighbour(steerWords, table, node));
    serverOut.send(offset, length, 0, node + 1);
    memory.count(COUNT.multiget_retries);
  }

  #fillSlot(slot: number, gather: number, key: number, node: number, keyHash: number, verb: number): void {
    const { memory, steerWords, table, nowUs } = this.#path;
    const { words } = memory;
    const state = STATE_OUTSTANDING | SLOT_GATHER | (words[slot + SLOT_STATE] & SLOT_HAUNTED);
    words[slot + SLOT_STATE] = state | (verb << SLOT_VERB_SHIFT) | (key << SLOT_ID_SHIFT);
    words[slot + SLOT_CLIENT] = words[gather + GATHER_CLIENT];
    words[slot + SLOT_GATHER_RECORD] = gather;
    words[slot + SLOT_GATHER_GENERATION] = words[gather + GATHER_GENERATION];
    words[slot + SLOT_NODE] = nodeAddress(steerWords, table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(steerWords, table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = keyHash;
    words[slot + SLOT_SENT] = nowUs;
  }

  /** The headers around a request, but for Ethernet's addresses; returns the length of the frame. */
  #finish(offset: number, payloadBytes: number, slot: number, node: number, verb: number): number {
    const { memory, slots, setup } = this.#path;
    const { bytes, view, words } = memory;
    writeFrameHeader(bytes, offset + OWN_HEADERS_BYTES, slots.requestId(slot), 0, 1);
    this.#countSteered(node, payloadBytes, verb);
    return writeOwnHeaders(
      view,
      offset,
      this.#path.nextIdentification(),
      setup.ownAddress,
      slots.sourcePort(slot),
      words[slot + SLOT_NODE],
      words[slot + SLOT_NODE_PORT] & 0xffff,
      payloadBytes,
    );
  }

  /** The request for the key of row `row`, at `at`; returns its end. */
  #writeRequest(at: number, row: number): number {
    const { bytes } = this.#path.memory;
    const key = this.keys.words[row + ASKED_KEY];
    const keyBytes = this.keys.words[row + ASKED_BYTES];
    return this.#isBinary ? writePacket(bytes, at, key, keyBytes) : this.#writeLine(bytes, at, key, keyBytes);
  }

  #writeLine(bytes: Uint8Array, offset: number, key: number, keyBytes: number): number {
    let at = offset;
    for (let i = 0; i < this.#prefixBytes; i++) bytes[at++] = this.#prefix[i];
    for (let i = 0; i < keyBytes; i++) bytes[at++] = bytes[key + i];
    bytes[at] = CR;
    bytes[at + 1] = LF;
    return at + 2;
  }

  #countSteered(node: number, payloadBytes: number, verb: number): void {
    const { counters, nodeCounters } = this.#path.memory;
    counters[VERB_CLASS[verb] === CLASS_READ ? COUNT.reads : COUNT.writes] += 1;
    const figures = node * NODE_COUNTER_COUNT;
    nodeCounters[figures + NODE_COUNT.requests] += 1;
    nodeCounters[figures + NODE_COUNT.request_bytes] += payloadBytes;
  }

  /** A node whose Ethernet address is not known yet gets its share from the parking. */
  #park(offset: number, length: number, neighbour: number): void {
    const { memory, neighbours, parking } = this.#path;
    neighbours.want(neighbour);
    const aside = parking.park(offset, length, 0, neighbour);
    memory.count(aside ? COUNT.parked : COUNT.drop_neighbour_queue_full);
  }
}

/**
 * getk, so that the response names the key, and not quiet, so that a miss is one. The opaque is the client's: the
 * response brings it back.
 */
function writePacket(bytes: Uint8Array, offset: number, key: number, keyBytes: number): number {
  const from = key - binary.BINARY_HEADER_BYTES;
  for (let i = 0; i < binary.BINARY_HEADER_BYTES + keyBytes; i++) bytes[offset + i] = bytes[from + i];
  bytes[offset + 1] = OPCODE_GETK;
  return offset + binary.BINARY_HEADER_BYTES + keyBytes;
}
