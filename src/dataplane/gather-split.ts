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
 */
import * as binary from '../memcached/binary.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../memcached/frame-header.ts';
import { OPCODE_GETK } from '../memcached/key-list.ts';
import { OUT_CLASS, OUT_KEY_OFFSET, OUT_PROTOCOL, OUT_VERB, PROTOCOL_BINARY } from '../memcached/located.ts';
import { REFUSED_BUSY, REFUSED_NUMBER } from '../memcached/refusals.ts';
import { CLASS_READ } from '../memcached/verbs.ts';
import { nodeAddress, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT } from './counters.ts';
import { ASKED_BYTES, ASKED_HASH, ASKED_KEY, ASKED_NODE, ASKED_SLOT, AskedKeys } from './gather-keys.ts';
import { GATHER_CLIENT, GATHER_GENERATION } from './gather-table.ts';
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

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
/** `gats`, an expiry time and the spaces behind them. */
const PREFIX_BYTES_MAX = 48;

export class Splitter {
  readonly keys: AskedKeys;
  readonly #path: Path;
  /** What stands in front of the key in each request of the nodes: `get `, `gat 100 `. */
  readonly #prefix = new Uint8Array(PREFIX_BYTES_MAX);
  #prefixBytes = 0;
  #isBinary = false;
  #verb = 0;
  #kind: number = COUNT.reads;
  readonly #scratch: number;

  /** @param scratch room for the frame of one request in the arena, bytes */
  constructor(path: Path, keysMax: number, scratch: number) {
    this.#path = path;
    this.keys = new AskedKeys(path, keysMax);
    this.#scratch = scratch;
  }

  /**
   * Lists the keys of the request in bytes `start` … `end` − 1, chooses their nodes and takes a slot for each.
   * Returns 0, or the reason to refuse the request; nothing has changed then.
   */
  prepare(start: number, end: number, located: Int32Array): number {
    this.#isBinary = located[OUT_PROTOCOL] === PROTOCOL_BINARY;
    this.#verb = located[OUT_VERB];
    this.#kind = located[OUT_CLASS] === CLASS_READ ? COUNT.reads : COUNT.writes;
    const reason = this.keys.list(start, end, located);
    if (reason !== 0) return reason;
    if (!this.#isBinary && !this.#notePrefix(start, located[OUT_KEY_OFFSET])) return REFUSED_NUMBER;
    return this.#takeSlots() ? 0 : REFUSED_BUSY;
  }

  /** Takes back what `prepare` did: the request is refused after all. */
  cancel(): void {
    this.#giveBackSlots(this.keys.count);
  }

  /** Sends the requests prepared last: their replies belong to `gather`. */
  ask(gather: number): void {
    for (let key = 0; key < this.keys.count; key++) this.#ask(gather, key);
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
    const { slots, memory, nowUs } = this.#path;
    const { counters, words } = memory;
    for (let key = 0; key < this.keys.count; key++) {
      const slot = slots.take(nowUs);
      if (slots.skipped !== 0) counters[COUNT.slots_skipped] += slots.skipped;
      if (slots.expired !== 0) counters[COUNT.slots_expired] += 1;
      if (slot < 0) return this.#giveBackSlots(key);
      words[slot + SLOT_STATE] = (words[slot + SLOT_STATE] & SLOT_HAUNTED) | STATE_OUTSTANDING;
      words[slot + SLOT_SENT] = nowUs;
      this.keys.words[this.keys.row(key) + ASKED_SLOT] = slot;
    }
    return true;
  }

  #giveBackSlots(count: number): false {
    for (let key = 0; key < count; key++) {
      this.#path.memory.words[this.keys.words[this.keys.row(key) + ASKED_SLOT] + SLOT_STATE] = STATE_ANSWERED;
    }
    return false;
  }

  #ask(gather: number, key: number): void {
    const { memory, neighbours, serverOut, steerWords, table } = this.#path;
    const row = this.keys.row(key);
    const slot = this.keys.words[row + ASKED_SLOT];
    const node = this.keys.words[row + ASKED_NODE];
    this.#fillSlot(slot, row, gather, key);
    const neighbour = nodeNeighbour(steerWords, table, node);
    const isUsable = neighbours.isUsable(neighbour);
    const offset = isUsable ? serverOut.claim() : this.#scratch;
    // The key ends as one that is not answered.
    if (offset < 0) return memory.count(COUNT.multiget_unsent);
    const length = this.#write(offset, row, slot, node);
    if (!isUsable) return this.#park(offset, length, neighbour);
    this.#path.sendTo(offset, neighbour);
    serverOut.send(offset, length, 0, node + 1);
  }

  #fillSlot(slot: number, row: number, gather: number, key: number): void {
    const { memory, steerWords, table, nowUs } = this.#path;
    const { words } = memory;
    const node = this.keys.words[row + ASKED_NODE];
    const haunted = words[slot + SLOT_STATE] & SLOT_HAUNTED;
    const verb = this.#verb << SLOT_VERB_SHIFT;
    words[slot + SLOT_STATE] = STATE_OUTSTANDING | SLOT_GATHER | haunted | verb | (key << SLOT_ID_SHIFT);
    words[slot + SLOT_CLIENT] = words[gather + GATHER_CLIENT];
    words[slot + SLOT_GATHER_RECORD] = gather;
    words[slot + SLOT_GATHER_GENERATION] = words[gather + GATHER_GENERATION];
    words[slot + SLOT_NODE] = nodeAddress(steerWords, table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(steerWords, table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = this.keys.words[row + ASKED_HASH];
    words[slot + SLOT_SENT] = nowUs;
  }

  /** The frame of one key's request but for its Ethernet addresses; returns its length. */
  #write(offset: number, row: number, slot: number, node: number): number {
    const { memory, slots, setup } = this.#path;
    const { bytes, view, words } = memory;
    const payload = offset + OWN_HEADERS_BYTES;
    writeFrameHeader(bytes, payload, slots.requestId(slot), 0, 1);
    const payloadBytes = this.#writeRequest(bytes, payload + FRAME_HEADER_BYTES, row) - payload;
    this.#countSteered(node, payloadBytes);
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

  /** Returns the end of what it wrote at `at`. */
  #writeRequest(bytes: Uint8Array, at: number, row: number): number {
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

  #countSteered(node: number, payloadBytes: number): void {
    const { counters, nodeCounters } = this.#path.memory;
    counters[this.#kind] += 1;
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
