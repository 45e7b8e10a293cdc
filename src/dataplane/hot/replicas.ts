/** Copies of hot keys on other nodes: who is asked, and what a miss there means. */
import { ITEM_KEY_AT, ITEM_KEY_LENGTH } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../../memcached/frame-header.ts';
import { OUT_PROTOCOL, OUT_VERB, PROTOCOL_ASCII } from '../../memcached/located.ts';
import { VERB_GET } from '../../memcached/verbs.ts';
import { nodeAddress, nodeNeighbour, nodePort, nodeWeight } from '../../steer/lookup.ts';
import * as ethernet from '../../wire/ethernet.ts';
import type { Asked } from '../asked.ts';
import { NODE_COUNT, NODE_COUNTER_COUNT } from '../counters.ts';
import { OWN_HEADERS_BYTES, writeOwnHeaders } from '../own-datagram.ts';
import type { Path } from '../path.ts';
import {
  SLOT_CLIENT,
  SLOT_CLIENT_MAC,
  SLOT_CLIENT_PORT,
  SLOT_HAUNTED,
  SLOT_KEY_HASH,
  SLOT_NODE,
  SLOT_NODE_PORT,
  SLOT_REPLICA,
  SLOT_SENT,
  SLOT_STATE,
  STATE_MASK,
  STATE_OUTSTANDING,
} from '../slot-table.ts';
import type { HotKeys } from './keys.ts';
import { nodeOfTag } from './sender.ts';

const GET = Uint8Array.from(Buffer.from('get '));

export class Replicas {
  readonly #path: Path;
  readonly #keys: HotKeys;

  constructor(path: Path, keys: HotKeys) {
    this.#path = path;
    this.#keys = keys;
  }

  /**
   * The node with the least to do for its weight, of those with a copy, by lot among equals; −1: home. Only for `get`: it
   * can be asked again, should the copy be gone, and nothing in its answer is the node's own, as a CAS id is.
   */
  choose(item: number, asked: Asked): number {
    const { words } = this.#keys;
    const { steerWords, table } = this.#path;
    const joined = words[item + directory.REPLICAS_JOINED];
    if (joined === 0 || !isRepeatable(asked)) return -1;
    const home = words[item + directory.HOME] - 1;
    let chosen = home;
    let least = this.#load(home);
    let equals = 1;
    for (let copy = 0; copy < directory.REPLICAS_MAX; copy++) {
      if ((joined & (1 << copy)) === 0) continue;
      const tag = words[item + directory.REPLICA_ROWS + copy * directory.REPLICA_ROW_WORDS];
      const node = nodeOfTag(steerWords, table, tag);
      if (node < 0) continue;
      const load = this.#load(node);
      if (load > least) continue;
      equals = load === least ? equals + 1 : 1;
      if (equals > 1 && (this.#keys.random() >>> 1) % equals !== 0) continue;
      least = load;
      chosen = node;
    }
    return chosen === home ? -1 : chosen;
  }

  /** The request in this slot went to a copy. */
  mark(slot: number): void {
    this.#path.memory.words[slot + SLOT_STATE] |= SLOT_REPLICA;
  }

  /** Whether no `ME` of ours can still bring a copy back. */
  areSettled(item: number): boolean {
    const { words, nowMs } = this.#keys;
    for (let copy = 0; copy < directory.REPLICAS_MAX; copy++) {
      const row = item + directory.REPLICA_ROWS + copy * directory.REPLICA_ROW_WORDS;
      const looseMs = words[row + directory.REPLICA_LOOSE_UNTIL];
      if (words[row + directory.REPLICA_NODE] !== 0 && looseMs !== 0 && ((nowMs - looseMs) | 0) < 0) return false;
    }
    return true;
  }

  /**
   * The node that was asked in `slot` does not have the copy any more. That is no miss: home is asked in its place, for the
   * same client. Returns false: this reply ends here.
   * @param item −1: the key is not hot any more, and nobody knows it; the client will ask again
   */
  missed(slot: number, item: number): false {
    const { words } = this.#path.memory;
    if (item < 0) return false;
    this.#forget(item, words[slot + SLOT_NODE_PORT] >>> 16);
    const home = this.#keys.words[item + directory.HOME] - 1;
    if (home >= 0) this.#askHome(slot, item, home);
    return false;
  }

  /** The node is not asked again until it has a new copy. */
  #forget(item: number, node: number): void {
    const { words, lane } = this.#keys;
    const { steerWords, table } = this.#path;
    if (!directory.tryLock(words, item, lane)) return;
    for (let copy = 0; copy < directory.REPLICAS_MAX; copy++) {
      const row = item + directory.REPLICA_ROWS + copy * directory.REPLICA_ROW_WORDS;
      if (nodeOfTag(steerWords, table, words[row + directory.REPLICA_NODE]) === node)
        words[item + directory.REPLICAS_JOINED] &= ~(1 << copy);
    }
    directory.unlock(words, item);
  }

  /** `get <key>`, under a slot with the client of the other one. */
  #askHome(from: number, item: number, node: number): void {
    const { memory, neighbours, serverOut, serverPort, setup, slots, steerWords, table, nowUs } = this.#path;
    const { bytes, view, words } = memory;
    directory.leak(this.#keys.words, item, this.#keys.nowMs);
    const neighbour = nodeNeighbour(steerWords, table, node);
    const frame = neighbours.isUsable(neighbour) ? serverOut.claim() : -1;
    if (frame < 0) return;
    const kept = words[from + SLOT_STATE] & ~(STATE_MASK | SLOT_REPLICA | SLOT_HAUNTED);
    const [client, port, mac] = [
      words[from + SLOT_CLIENT],
      words[from + SLOT_CLIENT_PORT],
      words[from + SLOT_CLIENT_MAC],
    ];
    const hash = words[from + SLOT_KEY_HASH];
    slots.free(from);
    slots.aim(false);
    const slot = slots.take(nowUs);
    if (slot < 0) return;
    words[slot + SLOT_STATE] = kept | STATE_OUTSTANDING | (words[slot + SLOT_STATE] & SLOT_HAUNTED);
    words[slot + SLOT_CLIENT] = client;
    words[slot + SLOT_CLIENT_PORT] = port;
    words[slot + SLOT_CLIENT_MAC] = mac;
    words[slot + SLOT_NODE] = nodeAddress(steerWords, table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(steerWords, table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = hash;
    words[slot + SLOT_SENT] = nowUs;
    const payload = frame + OWN_HEADERS_BYTES;
    writeFrameHeader(bytes, payload, slots.requestId(slot), 0, 1);
    const end = this.#writeGet(payload + FRAME_HEADER_BYTES, item);
    const length = writeOwnHeaders(
      view,
      frame,
      this.#path.nextIdentification(),
      setup.ownAddress,
      slots.sourcePort(slot),
      words[slot + SLOT_NODE],
      words[slot + SLOT_NODE_PORT] & 0xffff,
      end - payload,
    );
    ethernet.setDestination(view, frame, neighbours.macHigh(neighbour), neighbours.macLow(neighbour));
    ethernet.setSource(view, frame, serverPort.macHigh, serverPort.macLow);
    serverOut.send(frame, length, 0, node + 1);
    memory.nodeCounters[node * NODE_COUNTER_COUNT + NODE_COUNT.requests] += 1;
  }

  #writeGet(offset: number, item: number): number {
    const { bytes } = this.#path.memory;
    let at = offset;
    for (let i = 0; i < GET.length; i++) bytes[at++] = GET[i];
    const key = (item << 2) + ITEM_KEY_AT;
    const keyBytes = this.#keys.words[item + ITEM_KEY_LENGTH];
    for (let i = 0; i < keyBytes; i++) bytes[at++] = this.#keys.bytes[key + i];
    bytes[at] = 0x0d;
    bytes[at + 1] = 0x0a;
    return at + 2;
  }

  /** Requests of this lane that the node has not answered, for its weight. */
  #load(node: number): number {
    const { memory, steerWords, table } = this.#path;
    const at = node * NODE_COUNTER_COUNT;
    const { nodeCounters } = memory;
    const silent = nodeCounters[at + NODE_COUNT.silent_requests];
    const open = nodeCounters[at + NODE_COUNT.requests] - silent - nodeCounters[at + NODE_COUNT.answered];
    return (open + 1) / Math.max(1, nodeWeight(steerWords, table, node));
  }
}

function isRepeatable({ located }: Asked): boolean {
  return located[OUT_PROTOCOL] === PROTOCOL_ASCII && located[OUT_VERB] === VERB_GET;
}
