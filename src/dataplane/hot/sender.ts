/** What a lane says itself for hot keys: requests to nodes, under slots of its own, and answers to clients. */
import { ITEM_KEY_AT, ITEM_KEY_HASH, ITEM_KEY_LENGTH } from '../../cache/items.ts';
import { mix32 } from '../../mem/mix.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../../memcached/frame-header.ts';
import { OwnLine } from '../../memcached/own-meta.ts';
import { VERB_MG, VERB_MS } from '../../memcached/verbs.ts';
import { TAG_FLAGS } from '../../port/port.ts';
import { steerHash } from '../../steer/hash.ts';
import { lookup, nodeAddress, nodeCount, nodeEnabled, nodeNeighbour, nodePort } from '../../steer/lookup.ts';
import * as ethernet from '../../wire/ethernet.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT } from '../counters.ts';
import { OWN_HEADERS_BYTES, writeOwnHeaders } from '../own-datagram.ts';
import type { Path } from '../path.ts';
import {
  SLOT_CLIENT,
  SLOT_HAUNTED,
  SLOT_HOT,
  SLOT_KEY_HASH,
  SLOT_NODE,
  SLOT_NODE_PORT,
  SLOT_SENT,
  SLOT_STATE,
  SLOT_VERB_SHIFT,
  STATE_OUTSTANDING,
} from '../slot-table.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';

/** Waits for the first answer, then for those to repetitions, ms (coherence.md, step 5). */
export const WAITS_MS = Int32Array.of(20, 40, 80, 80);
export const TRIES_MAX = 4;
const NODE_TAG_SHIFT = 16;
const NODE_TAG_MASK = 0xffff;
/** Odd: the two words of a nonce go different ways. */
const NONCE_FACTOR = 0x9e3779b1;

/** Whether this row of the steering table is a node's. */
export function isNode(steerWords: Int32Array, table: number, node: number): boolean {
  if (node < 0 || node >= nodeCount(steerWords, table)) return false;
  return nodeEnabled(steerWords, table, node) && nodeAddress(steerWords, table, node) !== 0;
}

/** How an item's list of copies names a node: its row + 1, and 16 bits of its address, for a row may become another's. */
export function nodeTag(steerWords: Int32Array, table: number, node: number): number {
  return (node + 1) | (nodeAddress(steerWords, table, node) << NODE_TAG_SHIFT);
}

/** The row of the node with this tag, or −1: it is not there any more. */
export function nodeOfTag(steerWords: Int32Array, table: number, tag: number): number {
  const node = (tag & NODE_TAG_MASK) - 1;
  return isNode(steerWords, table, node) && nodeTag(steerWords, table, node) === tag ? node : -1;
}

export class Sender {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  /** Where the request under construction begins, and its line. */
  readonly line: OwnLine;
  /** Nonce of the request under construction. */
  nonceHigh = 0;
  nonceLow = 0;
  readonly #seeds: readonly [number, number];
  #requests: number;
  #frame = 0;

  constructor(path: Path, keys: HotKeys, operations: op.Operations) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.line = new OwnLine(path.memory.bytes);
    const [seedA, seedB] = path.setup.sourceSeeds;
    this.#seeds = [seedA ^ keys.life, (seedB + keys.life) | 0];
    this.#requests = keys.random();
  }

  /** Row of the home node of an item's key, or −1. */
  homeOf(item: number): number {
    const { steerWords, table } = this.#path;
    const { bytes, view, words } = this.#keys;
    const hash = words[item + ITEM_KEY_HASH];
    const key = (item << 2) + ITEM_KEY_AT;
    const ringHash = steerHash(steerWords, table, hash, bytes, view, key, words[item + ITEM_KEY_LENGTH]);
    return lookup(steerWords, table, ringHash);
  }

  /**
   * Begins a request to `node` for an operation: a frame, a slot (the one it has, when this is a repetition), a nonce.
   * Returns the offset of the request behind its frame header, or −1: not now.
   */
  begin(operation: number, node: number, isRepetition: boolean): number {
    const frame = this.#path.serverOut.claim();
    if (frame < 0 || !this.prepare(operation, node, isRepetition)) return -1;
    this.#frame = frame;
    return frame + OWN_HEADERS_BYTES + FRAME_HEADER_BYTES;
  }

  /** Slot and nonce for a request to `node`; false: not now. */
  prepare(operation: number, node: number, isRepetition: boolean): boolean {
    const { neighbours, steerWords, table } = this.#path;
    const { words } = this.#operations;
    if (!this.#isThere(operation, node, isRepetition)) return false;
    const neighbour = nodeNeighbour(steerWords, table, node);
    if (!neighbours.isUsable(neighbour)) {
      neighbours.want(neighbour);
      return false;
    }
    if (!isRepetition && !this.#takeSlot(operation, node)) return false;
    if (!isRepetition) {
      words[operation + op.NODE] = node;
      this.#requests = (this.#requests + 1) | 0;
      words[operation + op.NONCE_HIGH] = mix32(this.#seeds[0] ^ this.#requests);
      words[operation + op.NONCE_LOW] = mix32(this.#seeds[1] ^ Math.imul(this.#requests, NONCE_FACTOR));
    }
    this.nonceHigh = words[operation + op.NONCE_HIGH];
    this.nonceLow = words[operation + op.NONCE_LOW];
    return true;
  }

  /** A reload may have taken the node away, or given its row to another. */
  #isThere(operation: number, node: number, isRepetition: boolean): boolean {
    const { memory, steerWords, table } = this.#path;
    if (!isNode(steerWords, table, node)) return false;
    const slot = this.#operations.words[operation + op.SLOT];
    return !isRepetition || slot < 0 || memory.words[slot + SLOT_NODE] === nodeAddress(steerWords, table, node);
  }

  /** Sends what was prepared: the request lies behind headers that begin at `frame`, and stays there until the flush. */
  finishAt(operation: number, frame: number, end: number): void {
    this.#frame = frame;
    this.finish(operation, end);
  }

  hashOf(item: number): number {
    return this.#keys.words[item + ITEM_KEY_HASH];
  }

  /** Sends what was begun; it ends at `end`. */
  finish(operation: number, end: number): void {
    const { memory, neighbours, serverOut, serverPort, setup, slots, steerWords, table } = this.#path;
    const { bytes, view, words } = memory;
    const slot = this.#operations.words[operation + op.SLOT];
    const node = this.#operations.words[operation + op.NODE];
    const payload = this.#frame + OWN_HEADERS_BYTES;
    writeFrameHeader(bytes, payload, slots.requestId(slot), 0, 1);
    const length = writeOwnHeaders(
      view,
      this.#frame,
      this.#path.nextIdentification(),
      setup.ownAddress,
      slots.sourcePort(slot),
      words[slot + SLOT_NODE],
      words[slot + SLOT_NODE_PORT] & 0xffff,
      end - payload,
    );
    const neighbour = nodeNeighbour(steerWords, table, node);
    ethernet.setDestination(view, this.#frame, neighbours.macHigh(neighbour), neighbours.macLow(neighbour));
    ethernet.setSource(view, this.#frame, serverPort.macHigh, serverPort.macLow);
    serverOut.send(this.#frame, length, 0, node + 1);
    memory.counters[COUNT.hot_requests] += 1;
    this.#noteSent(operation, node, end - payload);
  }

  #noteSent(operation: number, node: number, payloadBytes: number): void {
    const { nodeCounters } = this.#path.memory;
    const { words } = this.#operations;
    const figures = node * NODE_COUNTER_COUNT;
    if (words[operation + op.TRIES] !== 0) nodeCounters[figures + NODE_COUNT.silent_requests] += 1;
    nodeCounters[figures + NODE_COUNT.requests] += 1;
    nodeCounters[figures + NODE_COUNT.request_bytes] += payloadBytes;
    if (words[operation + op.TRIES] === 0) words[operation + op.SENT_MS] = this.#keys.nowMs;
    words[operation + op.DUE_MS] = (this.#keys.nowMs + WAITS_MS[Math.min(words[operation + op.TRIES], 3)]) | 0;
    words[operation + op.TRIES] += 1;
  }

  /** `mg` for all that is known of an item: fills, and looks before a write. False: not now. */
  askFor(operation: number, item: number, node: number, isRepetition: boolean): boolean {
    const at = this.begin(operation, node, isRepetition);
    if (at < 0) return false;
    const { bytes, words } = this.#keys;
    this.line.get(at, bytes, (item << 2) + ITEM_KEY_AT, words[item + ITEM_KEY_LENGTH]);
    this.finish(operation, this.line.end(this.nonceHigh, this.nonceLow));
    return true;
  }

  #takeSlot(operation: number, node: number): boolean {
    const { memory, slots, steerWords, table, nowUs } = this.#path;
    const { words } = memory;
    const ops = this.#operations.words;
    slots.aim(false);
    const slot = slots.take(nowUs);
    if (slots.skipped !== 0) memory.counters[COUNT.slots_skipped] += slots.skipped;
    if (slots.expired !== 0) memory.counters[COUNT.slots_expired] += 1;
    if (slot < 0) return false;
    this.dropSlot(operation);
    const verb = ops[operation + op.KIND] === op.OPERATION_FETCH ? VERB_MG : VERB_MS;
    const state = STATE_OUTSTANDING | SLOT_HOT | (words[slot + SLOT_STATE] & SLOT_HAUNTED);
    words[slot + SLOT_STATE] = state | (verb << SLOT_VERB_SHIFT);
    words[slot + SLOT_CLIENT] = this.#operations.tag(operation);
    words[slot + SLOT_NODE] = nodeAddress(steerWords, table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(steerWords, table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = this.#keys.words[ops[operation + op.ITEM] + ITEM_KEY_HASH];
    words[slot + SLOT_SENT] = nowUs;
    ops[operation + op.SLOT] = slot;
    ops[operation + op.TRIES] = 0;
    return true;
  }

  /** No answer is awaited any more in the slot that the operation has. */
  dropSlot(operation: number): void {
    const { memory, slots } = this.#path;
    const ops = this.#operations.words;
    const slot = ops[operation + op.SLOT];
    ops[operation + op.SLOT] = -1;
    if (slot < 0) return;
    const isOurs = (memory.words[slot + SLOT_STATE] & SLOT_HOT) !== 0;
    if (!isOurs || memory.words[slot + SLOT_CLIENT] !== this.#operations.tag(operation)) return;
    if (!slots.isOutstanding(slot)) return;
    slots.free(slot);
    memory.words[slot + SLOT_STATE] |= SLOT_HAUNTED;
  }

  /** A frame for an answer to the operation's client: offset of its body, or −1. */
  beginAnswer(): number {
    const frame = this.#path.clientOut.claim();
    if (frame < 0) return -1;
    this.#frame = frame;
    return frame + OWN_HEADERS_BYTES + FRAME_HEADER_BYTES;
  }

  /** Sends the answer of `bodyBytes` that was begun. */
  answer(operation: number, bodyBytes: number): void {
    const { memory, clientOut, clientPort, setup, gate, nowMs } = this.#path;
    const { words } = this.#operations;
    const { bytes, view } = memory;
    const payload = this.#frame + OWN_HEADERS_BYTES;
    const payloadBytes = FRAME_HEADER_BYTES + bodyBytes;
    const client = words[operation + op.CLIENT];
    if (!gate.charge(client, payloadBytes, nowMs)) return memory.count(COUNT.answers_withheld);
    writeFrameHeader(bytes, payload, words[operation + op.CLIENT_ID], 0, 1);
    const clientPortOfRequest = words[operation + op.CLIENT_PORT];
    const length = writeOwnHeaders(
      view,
      this.#frame,
      this.#path.nextIdentification(),
      setup.vip,
      setup.vipPort,
      client,
      clientPortOfRequest & 0xffff,
      payloadBytes,
    );
    ethernet.setDestination(view, this.#frame, clientPortOfRequest >>> 16, words[operation + op.CLIENT_MAC]);
    ethernet.setSource(view, this.#frame, clientPort.macHigh, clientPort.macLow);
    clientOut.send(this.#frame, length, words[operation + op.CLIENT_FLAGS] & TAG_FLAGS, 0);
  }
}
