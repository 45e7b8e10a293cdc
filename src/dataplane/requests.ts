/**
 * The second stage: requests. In nat mode
 *
 *     client → VIP    becomes    own address:slot port, slot id → node
 *
 * Parse, choose the node, take a slot, rewrite; in the other modes stateless.ts forwards. What may not go on is refused with an error line in its own frame.
 */
import { hashKey } from '../mem/murmur3.ts';
import { decodeBase64Key } from '../memcached/base64-key.ts';
import { FRAME_HEADER_BYTES, isSingleDatagram, requestId } from '../memcached/frame-header.ts';
import {
  KEY_BYTES_MAX,
  OUT_CLASS,
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_PROTOCOL,
  OUT_VERB,
  OUT_WORDS,
  PROTOCOL_ASCII,
  REQUEST_KEY_BASE64,
  REQUEST_MULTI_KEY,
  REQUEST_NOREPLY,
  REQUEST_QUIET,
} from '../memcached/located.ts';
import { canMiss, NOTE_BYTES, noteRequest } from '../memcached/miss-reply.ts';
import { parsePlainGet } from '../memcached/plain-get.ts';
import {
  REFUSED_BUSY,
  REFUSED_DENIED,
  REFUSED_NEWCOMERS,
  REFUSED_NO_NODE,
  REFUSED_TOTAL,
} from '../memcached/refusals.ts';
import { parseReply, REPLY_OTHER } from '../memcached/reply.ts';
import { parseRequest } from '../memcached/request.ts';
import { CLASS_READ } from '../memcached/verbs.ts';
import { DROP, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, VERDICT_GROUP_SHIFT } from '../port/port.ts';
import { steerHash } from '../steer/hash.ts';
import { lookup, nodeAddress, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { ANSWER_BYTES_MAX, turnIntoErrorAnswer } from './answer.ts';
import { ACTION_BROADCAST, ACTION_FORWARD, ACTION_LOCAL, VERBS_MAX } from './commands.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT, REFUSED_FIRST } from './counters.ts';
import { Locals } from './locals.ts';
import { LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS, type Path } from './path.ts';
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

export class RequestStage {
  readonly #path: Path;
  readonly #locals: Locals;
  readonly #located = new Int32Array(OUT_WORDS);
  readonly #replied = new Int32Array(OUT_WORDS);
  readonly #decoded = new Uint8Array(KEY_BYTES_MAX);
  readonly #decodedView = new DataView(this.#decoded.buffer);
  readonly #vipPort: number;
  readonly #ownAddress: number;
  readonly #isNat: boolean;
  readonly #stateless: StatelessForward;
  #keyHash = 0;

  constructor(path: Path) {
    this.#path = path;
    this.#locals = new Locals(path);
    this.#vipPort = path.setup.vipPort;
    this.#ownAddress = path.setup.ownAddress;
    this.#isNat = path.setup.mode === MODE_NAT;
    this.#stateless = new StatelessForward(path);
  }

  /** Gives a verdict to each of the `count` rows of `batch` that `list` names. */
  run(batch: Int32Array, list: Int32Array, count: number): void {
    const end = count * LIST_WORDS;
    for (let at = 0; at < end; at += LIST_WORDS) {
      const row = list[at + LIST_ROW];
      batch[row + ROW_VERDICT] = this.#request(
        batch,
        row,
        list[at + LIST_IP],
        list[at + LIST_UDP],
        list[at + LIST_END],
      );
    }
  }

  #request(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { memory, gate, clientOut, serverOut } = this.#path;
    const header = udpOffset + udp.HEADER_BYTES;
    const located = this.#located;
    // Parsed in any case: an error line is written in the protocol of the request.
    const parsed = this.#parse(header + FRAME_HEADER_BYTES, end);
    const reason = isSingleDatagram(memory.bytes, header) ? parsed : REFUSED_TOTAL;
    if (reason !== 0) return this.#refuse(batch, row, ipOffset, udpOffset, reason);
    const action = gate.actions[located[OUT_CLASS] * VERBS_MAX + located[OUT_VERB]];
    if (action !== ACTION_FORWARD) return this.#keep(action, batch, row, ipOffset, udpOffset);
    if ((located[OUT_FLAGS] & REQUEST_MULTI_KEY) !== 0) {
      return this.#takeApart(batch, row, ipOffset, udpOffset, end);
    }
    const node = this.#home();
    if (node < 0) return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_NO_NODE);
    if (this.#path.isTooBig(batch, row, ipOffset, serverOut, clientOut)) return this.#drop(COUNT.drop_too_big);
    if (!this.#isNat) return this.#withoutSlot(batch, row, ipOffset, udpOffset, end, node);
    const slot = this.#takeSlot();
    if (slot < 0) return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_BUSY);
    this.#fillSlot(slot, batch[row + ROW_OFFSET], ipOffset, udpOffset, node);
    this.#countSteered(node, end - header);
    return this.#toNode(batch, row, ipOffset, udpOffset, slot, node);
  }

  #withoutSlot(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number, node: number): number {
    if (!this.#stateless.admits(batch[row + ROW_OFFSET], ipOffset)) return this.#drop(COUNT.drop_client_no_place);
    this.#countSteered(node, end - udpOffset - udp.HEADER_BYTES);
    return this.#stateless.send(batch, row, ipOffset, udpOffset, node);
  }

  #parse(start: number, end: number): number {
    const { bytes, view } = this.#path.memory;
    return parsePlainGet(view, start, end, this.#located) ? 0 : parseRequest(bytes, start, end, this.#located);
  }

  /** A request that is not forwarded to one node: answered here, sent to all of them, or denied. */
  #keep(action: number, batch: Int32Array, row: number, ipOffset: number, udpOffset: number): number {
    const { memory, broadcasts } = this.#path;
    // Servers that take our answers for requests must not have any.
    if (udp.sourcePort(memory.view, udpOffset) === this.#vipPort) return this.#drop(REFUSED_FIRST + REFUSED_DENIED);
    let reason = REFUSED_DENIED;
    if (action === ACTION_LOCAL) {
      const verdict = this.#locals.answer(batch, row, ipOffset, udpOffset, this.#located);
      if (verdict >= DROP) return verdict;
      reason = DROP - verdict;
    } else if (action === ACTION_BROADCAST) {
      reason = broadcasts.start(batch[row + ROW_OFFSET], ipOffset, udpOffset, this.#located);
    }
    return reason === 0 ? DROP : this.#refuse(batch, row, ipOffset, udpOffset, reason);
  }

  /** A request for several keys goes on as one for each. */
  #takeApart(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { gathers } = this.#path;
    const reason = gathers.ask(batch[row + ROW_OFFSET], ipOffset, udpOffset, end, this.#located);
    return reason === 0 ? DROP : this.#refuse(batch, row, ipOffset, udpOffset, reason);
  }

  /** Node of the located key, or −1; leaves the key's hash in `#keyHash`. */
  #home(): number {
    const { bytes, view } = this.#path.memory;
    const located = this.#located;
    if ((located[OUT_FLAGS] & REQUEST_KEY_BASE64) !== 0) {
      return this.#homeOf(this.#decoded, this.#decodedView, 0, this.#decodeKey());
    }
    return this.#homeOf(bytes, view, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH]);
  }

  #homeOf(bytes: Uint8Array, view: DataView, key: number, keyBytes: number): number {
    const keyHash = hashKey(bytes, view, key, keyBytes);
    this.#keyHash = keyHash;
    const { steerWords, table } = this.#path;
    const ringHash = steerHash(steerWords, table, keyHash, bytes, view, key, keyBytes);
    return lookup(steerWords, table, ringHash);
  }

  /** memcached stores a base64 key under the bytes it stands for, so those are what counts. Returns their number. */
  #decodeKey(): number {
    const located = this.#located;
    const { bytes } = this.#path.memory;
    return decodeBase64Key(bytes, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH], this.#decoded, 0);
  }

  #takeSlot(): number {
    const { slots, nowUs, memory } = this.#path;
    const slot = slots.take(nowUs);
    if (slots.skipped !== 0) memory.counters[COUNT.slots_skipped] += slots.skipped;
    if (slots.expired !== 0) memory.counters[COUNT.slots_expired] += 1;
    return slot;
  }

  #fillSlot(slot: number, offset: number, ipOffset: number, udpOffset: number, node: number): void {
    const { memory, steerWords, table, nowUs } = this.#path;
    const { bytes, view, words } = memory;
    const located = this.#located;
    const id = requestId(bytes, udpOffset + udp.HEADER_BYTES);
    const quiet = (located[OUT_FLAGS] & REQUEST_QUIET) !== 0 ? SLOT_QUIET : 0;
    // To noreply nothing is ever answered: the slot is free for the next in the circle at once.
    const state = (located[OUT_FLAGS] & REQUEST_NOREPLY) !== 0 ? STATE_ANSWERED : STATE_OUTSTANDING;
    // A classic miss repeats nothing of its request.
    const noted = located[OUT_PROTOCOL] === PROTOCOL_ASCII ? 0 : this.#note(slot);
    const bits = state | quiet | noted | (words[slot + SLOT_STATE] & SLOT_HAUNTED);
    words[slot + SLOT_STATE] = bits | (located[OUT_VERB] << SLOT_VERB_SHIFT) | (id << SLOT_ID_SHIFT);
    words[slot + SLOT_CLIENT] = ipv4.source(view, ipOffset);
    words[slot + SLOT_CLIENT_PORT] = udp.sourcePort(view, udpOffset) | (ethernet.sourceHigh(view, offset) << 16);
    words[slot + SLOT_CLIENT_MAC] = ethernet.sourceLow(view, offset);
    words[slot + SLOT_NODE] = nodeAddress(steerWords, table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(steerWords, table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = this.#keyHash;
    words[slot + SLOT_SENT] = nowUs;
  }

  /** Keeps what a miss would have to repeat, should the node not answer; returns SLOT_NOTED, or 0 when that is nothing. */
  #note(slot: number): number {
    if (!canMiss(this.#located[OUT_VERB])) return 0;
    const { memory, slots, setup } = this.#path;
    const note = setup.missNotesOffset + slots.indexOf(slot) * NOTE_BYTES;
    return noteRequest(memory.bytes, this.#located, memory.bytes, note) ? SLOT_NOTED : 0;
  }

  #countSteered(node: number, payloadBytes: number): void {
    const { counters, nodeCounters } = this.#path.memory;
    counters[this.#located[OUT_CLASS] === CLASS_READ ? COUNT.reads : COUNT.writes] += 1;
    const figures = node * NODE_COUNTER_COUNT;
    // First, as control reads the two in the other order while we count: no request may seem to lack an answer.
    // Without a slot, an answer is not seen (dsr) or not known for this one's (gateway).
    if (!this.#isNat || (this.#located[OUT_FLAGS] & (REQUEST_NOREPLY | REQUEST_QUIET)) !== 0) {
      nodeCounters[figures + NODE_COUNT.silent_requests] += 1;
    }
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

  /** Turns a request away: with an error line in its own frame where memcached would answer and the client listens. */
  #refuse(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, reason: number): number {
    const { memory, clientPort: port, slots, gate, nowMs } = this.#path;
    const offset = batch[row + ROW_OFFSET];
    // Sources that are not known have slots of their own; when those are taken, it may be a flood that took them.
    if (reason === REFUSED_BUSY && slots.isAimedAtNewcomers) return this.#drop(REFUSED_FIRST + REFUSED_NEWCOMERS);
    const source = ipv4.source(memory.view, ipOffset);
    memory.count(REFUSED_FIRST + reason);
    // An error may be the answer to an error: two servers must not talk for ever.
    if (udp.sourcePort(memory.view, udpOffset) === this.#vipPort || this.#isReply(udpOffset)) return DROP;
    if (udpOffset + ANSWER_BYTES_MAX - offset > port.roomBytes) return DROP;
    if (!turnIntoErrorAnswer(memory, batch, row, ipOffset, udpOffset, reason, this.#located)) return DROP;
    const bytes = udp.length(memory.view, udpOffset) - udp.HEADER_BYTES;
    if (!gate.charge(source, bytes, nowMs)) return this.#drop(COUNT.answers_withheld);
    ethernet.turnToSender(memory.view, offset, port.macHigh, port.macLow);
    memory.count(COUNT.error_answers);
    this.#path.senders |= 1 << port.id;
    return port.id;
  }

  /** Whether a refused "request" reads as what a memcached says. */
  #isReply(udpOffset: number): boolean {
    const { bytes, view } = this.#path.memory;
    const start = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    return parseReply(bytes, start, udpOffset + udp.length(view, udpOffset), this.#replied) !== REPLY_OTHER;
  }

  #drop(counter: number): number {
    this.#path.memory.counters[counter] += 1;
    return DROP;
  }
}
