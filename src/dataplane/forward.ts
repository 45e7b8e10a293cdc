/**
 * The way of a request to its node. In nat mode, and in every mode for what a hot key demands,
 *
 *     client → VIP    becomes    own address:slot port, slot id → node
 *
 * In the other modes stateless.ts forwards.
 */
import {
  OUT_CLASS,
  OUT_FLAGS,
  OUT_PROTOCOL,
  OUT_VERB,
  PROTOCOL_ASCII,
  REQUEST_NOREPLY,
  REQUEST_QUIET,
} from '../memcached/located.ts';
import { canMiss, NOTE_BYTES, noteRequest } from '../memcached/miss-reply.ts';
import { REFUSED_BUSY, REFUSED_NO_NODE } from '../memcached/refusals.ts';
import { CLASS_READ, VERB_CLASS } from '../memcached/verbs.ts';
import { DROP, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, VERDICT_GROUP_SHIFT } from '../port/port.ts';
import { nodeAddress, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { type Asked, isReadOf, verbOf } from './asked.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT } from './counters.ts';
import { BATCH_ROWS, LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS } from './list.ts';
import type { Path } from './path.ts';
import { Refuser } from './refuse.ts';
import { rewriteDatagram } from './rewrite.ts';
import { MODE_NAT } from './setup.ts';
import {
  SLOT_CLIENT,
  SLOT_CLIENT_MAC,
  SLOT_CLIENT_PORT,
  SLOT_HAUNTED,
  SLOT_ID_SHIFT,
  SLOT_KEY_HASH,
  SLOT_NODE,
  SLOT_NODE_PORT,
  SLOT_NOTED,
  SLOT_QUIET,
  SLOT_SENT,
  SLOT_STATE,
  SLOT_VERB_SHIFT,
  STATE_ANSWERED,
  STATE_OUTSTANDING,
} from './slot-table.ts';
import { StatelessForward } from './stateless.ts';

/** Words a request on the list of those that are ready to go: LIST_*, and the following. */
const READY_NODE = LIST_WORDS;
const READY_HASH = LIST_WORDS + 1;
const READY_FACTS = LIST_WORDS + 2;
const READY_WORDS = 8;

export class Forwarder {
  readonly refuser: Refuser;
  /** First word of the slot that the last `throughSlot` took. */
  slot = 0;
  readonly #path: Path;
  readonly #asked: Asked;
  readonly #ownAddress: number;
  readonly #isNat: boolean;
  readonly #stateless: StatelessForward;
  /** Bare requests of the batch in hand, their nodes chosen: they are sent in a loop of their own, which V8 compiles alone. */
  readonly #ready = new Int32Array(BATCH_ROWS * READY_WORDS);
  #readyWords = 0;

  /** @param asked the request that each call is about: parsed, its key hashed, or recalled */
  constructor(path: Path, asked: Asked) {
    this.#path = path;
    this.#asked = asked;
    this.refuser = new Refuser(path);
    this.#ownAddress = path.setup.ownAddress;
    this.#isNat = path.setup.mode === MODE_NAT;
    this.#stateless = new StatelessForward(path);
  }

  /** As `home`, at once or by the next `sendReady`, which gives the verdict then. */
  homeSoon(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const asked = this.#asked;
    if (!asked.isBare || !this.#isNat) {
      if (asked.isBare) asked.recall(asked.facts, asked.keyHash);
      return this.home(batch, row, ipOffset, udpOffset, end);
    }
    const node = asked.home(this.#path);
    if (node < 0) asked.recall(asked.facts, asked.keyHash);
    if (node < 0) return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_NO_NODE);
    const ready = this.#ready;
    const at = this.#readyWords;
    ready[at + LIST_ROW] = row;
    ready[at + LIST_IP] = ipOffset;
    ready[at + LIST_UDP] = udpOffset;
    ready[at + LIST_END] = end;
    ready[at + READY_NODE] = node;
    ready[at + READY_HASH] = asked.keyHash;
    ready[at + READY_FACTS] = asked.facts;
    this.#readyWords = at + READY_WORDS;
    return DROP;
  }

  /** Sends what `homeSoon` has put aside. */
  sendReady(batch: Int32Array): void {
    const ready = this.#ready;
    const end = this.#readyWords;
    this.#readyWords = 0;
    for (let at = 0; at < end; at += READY_WORDS) {
      const row = ready[at + LIST_ROW];
      batch[row + ROW_VERDICT] = this.#bareToHome(
        batch,
        row,
        ready[at + LIST_IP],
        ready[at + LIST_UDP],
        ready[at + LIST_END],
        ready[at + READY_NODE],
        ready[at + READY_FACTS],
        ready[at + READY_HASH],
      );
    }
  }

  /** As `#toHome`, of a request that is not in hand any more. */
  #bareToHome(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    node: number,
    facts: number,
    keyHash: number,
  ): number {
    const { serverOut, clientOut } = this.#path;
    if (this.#path.isTooBig(batch, row, ipOffset, serverOut, clientOut)) return this.#drop(COUNT.drop_too_big);
    const slot = this.#takeSlot();
    if (slot < 0) return this.#refuseBusy(batch, row, ipOffset, udpOffset, facts, keyHash);
    this.#fillSlot(slot, batch[row + ROW_OFFSET], ipOffset, udpOffset, node, STATE_OUTSTANDING, verbOf(facts), keyHash);
    const isRead = isReadOf(facts);
    this.#countSteered(node, end - udpOffset - udp.HEADER_BYTES, false, isRead, isRead, keyHash);
    return this.#toNode(batch, row, ipOffset, udpOffset, slot, node);
  }

  #refuseBusy(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    facts: number,
    keyHash: number,
  ): number {
    this.#asked.recall(facts, keyHash);
    return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_BUSY);
  }

  /** nat mode. */
  #toHome(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number, node: number): number {
    const { serverOut, clientOut } = this.#path;
    if (this.#path.isTooBig(batch, row, ipOffset, serverOut, clientOut)) return this.#drop(COUNT.drop_too_big);
    return this.throughSlot(batch, row, ipOffset, udpOffset, end, node);
  }

  /** To the key's home, in the way of the mode. Returns the verdict. */
  home(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { serverOut, clientOut } = this.#path;
    const node = this.#asked.home(this.#path);
    if (node < 0) return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_NO_NODE);
    if (this.#isNat) return this.#toHome(batch, row, ipOffset, udpOffset, end, node);
    if (this.#path.isTooBig(batch, row, ipOffset, serverOut, clientOut)) return this.#drop(COUNT.drop_too_big);
    if (!this.#stateless.admits(batch[row + ROW_OFFSET], ipOffset)) return this.#drop(COUNT.drop_client_no_place);
    this.#countAsked(node, end - udpOffset - udp.HEADER_BYTES, true);
    return this.#stateless.send(batch, row, ipOffset, udpOffset, node);
  }

  /** To `node`, under a slot of ours: its answer comes back to us, whatever the mode. */
  throughSlot(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number, node: number): number {
    const slot = this.#takeSlot();
    if (slot < 0) return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_BUSY);
    this.slot = slot;
    const { located, keyHash } = this.#asked;
    const marks = this.#marks(slot);
    this.#fillSlot(slot, batch[row + ROW_OFFSET], ipOffset, udpOffset, node, marks, located[OUT_VERB], keyHash);
    const isSilent = (located[OUT_FLAGS] & (REQUEST_NOREPLY | REQUEST_QUIET)) !== 0;
    this.#countAsked(node, end - udpOffset - udp.HEADER_BYTES, isSilent);
    return this.#toNode(batch, row, ipOffset, udpOffset, slot, node);
  }

  #takeSlot(): number {
    const { slots, nowUs, memory } = this.#path;
    const slot = slots.take(nowUs);
    if (slots.skipped !== 0) memory.counters[COUNT.slots_skipped] += slots.skipped;
    if (slots.expired !== 0) memory.counters[COUNT.slots_expired] += 1;
    return slot;
  }

  /** What of the slot's STATE the request in hand decides. */
  #marks(slot: number): number {
    const { located } = this.#asked;
    const quiet = (located[OUT_FLAGS] & REQUEST_QUIET) !== 0 ? SLOT_QUIET : 0;
    // To noreply nothing is ever answered: the slot is free for the next in the circle at once.
    const state = (located[OUT_FLAGS] & REQUEST_NOREPLY) !== 0 ? STATE_ANSWERED : STATE_OUTSTANDING;
    // A classic miss repeats nothing of its request.
    const noted = located[OUT_PROTOCOL] === PROTOCOL_ASCII ? 0 : this.#note(slot);
    return state | quiet | noted;
  }

  #fillSlot(
    slot: number,
    offset: number,
    ipOffset: number,
    udpOffset: number,
    node: number,
    marks: number,
    verb: number,
    keyHash: number,
  ): void {
    const { memory, steerWords, table, nowUs } = this.#path;
    const { view, words } = memory;
    const id = view.getUint16(udpOffset + udp.HEADER_BYTES);
    const bits = marks | (words[slot + SLOT_STATE] & SLOT_HAUNTED);
    words[slot + SLOT_STATE] = bits | (verb << SLOT_VERB_SHIFT) | (id << SLOT_ID_SHIFT);
    words[slot + SLOT_CLIENT] = ipv4.source(view, ipOffset);
    words[slot + SLOT_CLIENT_PORT] = udp.sourcePort(view, udpOffset) | (ethernet.sourceHigh(view, offset) << 16);
    words[slot + SLOT_CLIENT_MAC] = ethernet.sourceLow(view, offset);
    words[slot + SLOT_NODE] = nodeAddress(steerWords, table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(steerWords, table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = keyHash;
    words[slot + SLOT_SENT] = nowUs;
  }

  /** Keeps what a miss would have to repeat, should the node not answer; returns SLOT_NOTED, or 0 when that is nothing. */
  #note(slot: number): number {
    const { located } = this.#asked;
    if (!canMiss(located[OUT_VERB])) return 0;
    const { memory, slots, setup } = this.#path;
    const note = setup.missNotesOffset + slots.indexOf(slot) * NOTE_BYTES;
    return noteRequest(memory.bytes, located, memory.bytes, note) ? SLOT_NOTED : 0;
  }

  #countAsked(node: number, payloadBytes: number, isSilent: boolean): void {
    const { located, keyHash } = this.#asked;
    const isRead = located[OUT_CLASS] === CLASS_READ;
    const storesNothing = VERB_CLASS[located[OUT_VERB]] === CLASS_READ;
    this.#countSteered(node, payloadBytes, isSilent, isRead, storesNothing, keyHash);
  }

  /**
   * @param isSilent no answer is awaited, or none is seen (dsr), or not known for this one's (gateway)
   * @param storesNothing by its verb, as its answer will be counted: an mg that touches stores nothing
   */
  #countSteered(
    node: number,
    payloadBytes: number,
    isSilent: boolean,
    isRead: boolean,
    storesNothing: boolean,
    keyHash: number,
  ): void {
    const { counters, nodeCounters } = this.#path.memory;
    counters[isRead ? COUNT.reads : COUNT.writes] += 1;
    if (!storesNothing) this.#path.noteStore(keyHash);
    const figures = node * NODE_COUNTER_COUNT;
    // First, as control reads the two in the other order while we count: no request may seem to lack an answer.
    if (isSilent) nodeCounters[figures + NODE_COUNT.silent_requests] += 1;
    nodeCounters[figures + NODE_COUNT.requests] += 1;
    nodeCounters[figures + NODE_COUNT.request_bytes] += payloadBytes;
  }

  /** Rewrites the request towards its node; the frame waits aside when the next hop is not resolved. */
  #toNode(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, slot: number, node: number): number {
    const { memory, slots, neighbours, steerWords, table, serverOut } = this.#path;
    const { view, words } = memory;
    const flags = batch[row + ROW_FLAGS];
    rewriteDatagram(
      view,
      ipOffset,
      udpOffset,
      flags,
      this.#ownAddress,
      slots.sourcePort(slot),
      words[slot + SLOT_NODE],
      words[slot + SLOT_NODE_PORT] & 0xffff,
      slots.requestId(slot),
    );
    const neighbour = nodeNeighbour(steerWords, table, node);
    const offset = batch[row + ROW_OFFSET];
    // A node that sleeps is woken by its first frame; with the rest of its share right behind, it is woken once.
    if (!neighbours.isUsable(neighbour)) return this.#path.park(offset, batch[row + ROW_LENGTH], flags, neighbour);
    const verdict = this.#path.sendTo(offset, neighbour) | ((node + 1) << VERDICT_GROUP_SHIFT);
    return this.#path.wholeOrFragments(serverOut, batch, row, verdict, node + 1);
  }

  #refuse(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, reason: number): number {
    return this.refuser.refuse(batch, row, ipOffset, udpOffset, reason, this.#asked.located);
  }

  #drop(counter: number): number {
    this.#path.memory.counters[counter] += 1;
    return DROP;
  }
}
