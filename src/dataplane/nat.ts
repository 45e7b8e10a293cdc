/**
 * nat mode, frame by frame: classify → decide → rewrite.
 *
 *     request   client → VIP          becomes   own address:slot port, slot id → node
 *     reply     node → own:slot port  becomes   VIP → client, the client's own id
 *
 * Every function returns the verdict of the frame at `row`: the port that sends it, or DROP, with the reason counted.
 */

import type { Arena } from '../mem/arena.ts';
import { enterTable, leaveTable } from '../mem/generation.ts';
import { hashKey } from '../mem/murmur3.ts';
import { decodeBase64Key } from '../memcached/base64-key.ts';
import { FRAME_HEADER_BYTES, isSingleDatagram, requestId, sequence, total } from '../memcached/frame-header.ts';
import {
  KEY_BYTES_MAX,
  OUT_CLASS,
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_VERB,
  OUT_WORDS,
  REQUEST_KEY_BASE64,
  REQUEST_MULTI_KEY,
  REQUEST_NOREPLY,
  REQUEST_QUIET,
} from '../memcached/located.ts';
import {
  REFUSED_BUSY,
  REFUSED_DENIED,
  REFUSED_MULTI_KEY,
  REFUSED_NO_NODE,
  REFUSED_TOTAL,
} from '../memcached/refusals.ts';
import { parseReply, REPLY_OTHER } from '../memcached/reply.ts';
import { parseRequest } from '../memcached/request.ts';
import { CLASS_READ, CLASS_WRITE } from '../memcached/verbs.ts';
import { DROP, FLAG_VLAN, type Port, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET } from '../port/port.ts';
import { steerHash } from '../steer/hash.ts';
import { lookup, nodeAddress, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { ANSWER_BYTES_MAX, turnIntoErrorAnswer } from './answer.ts';
import { faultOfDatagram, faultOfFrame, faultOfHeader, maySend } from './checks.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT, REFUSED_FIRST } from './counters.ts';
import { NO_NODE } from './grouping.ts';
import { handleArp, handleIcmp } from './host.ts';
import { LaneMemory } from './memory.ts';
import { Neighbours } from './neighbours.ts';
import { Parking } from './parking.ts';
import { rewriteDatagram } from './rewrite.ts';
import type { PathSetup } from './setup.ts';
import {
  SLOT_CLIENT,
  SLOT_CLIENT_MAC,
  SLOT_CLIENT_PORT,
  SLOT_ID_SHIFT,
  SLOT_KEY_HASH,
  SLOT_NODE,
  SLOT_NODE_PORT,
  SLOT_QUIET,
  SLOT_SENT,
  SLOT_STATE,
  SLOT_VERB_SHIFT,
  SlotTable,
  STATE_ANSWERED,
  STATE_OUTSTANDING,
} from './slot-table.ts';

export class NatPath {
  readonly memory: LaneMemory;
  readonly neighbours: Neighbours;
  readonly parking: Parking;
  readonly slots: SlotTable;
  readonly clientPort: Port;
  readonly serverPort: Port;
  /** Node that the last handled frame goes to, or NO_NODE. */
  node: number = NO_NODE;
  readonly #setup: PathSetup;
  readonly #located = new Int32Array(OUT_WORDS);
  readonly #replied = new Int32Array(OUT_WORDS);
  readonly #steerWords: Int32Array;
  readonly #steerBase: number;
  readonly #vip: number;
  readonly #vipPort: number;
  readonly #ownAddress: number;
  readonly #decoded = new Uint8Array(KEY_BYTES_MAX);
  readonly #decodedView = new DataView(this.#decoded.buffer);
  #keyHash = 0;
  #table = 0;
  #nowUs = 0;
  #nowMs = 0;

  constructor(setup: PathSetup, arena: Arena, shared: Arena, clientPort: Port, serverPort: Port) {
    this.#setup = setup;
    this.memory = new LaneMemory(arena, setup.countersOffset, setup.nodeCountersOffset, setup.nodesMax);
    this.neighbours = new Neighbours(shared.words, setup.neighboursOffset >> 2, setup.neighbourTimes);
    const frameBytesMax = Math.max(clientPort.roomBytes, serverPort.roomBytes);
    this.parking = new Parking(arena.bytes, setup.parkingOffset, setup.parkingFrames, frameBytesMax);
    this.slots = new SlotTable(
      arena.words,
      setup.slotsOffset >> 2,
      setup.slots,
      setup.firstSourcePort,
      setup.replyLifetimeMs * 1000,
    );
    this.clientPort = clientPort;
    this.serverPort = serverPort;
    this.#steerWords = shared.words;
    this.#steerBase = setup.steerOffset >> 2;
    this.#vip = setup.vip;
    this.#vipPort = setup.vipPort;
    this.#ownAddress = setup.ownAddress;
  }

  /** Begins a cycle: takes up the steering table in use and the time, ms of the lane's clock. */
  enter(nowMs: number): void {
    this.#table = enterTable(this.#steerWords, this.#steerBase, this.#setup.lane);
    this.#nowMs = nowMs | 0;
    this.#nowUs = (nowMs * 1000) | 0;
  }

  /** Before the lane sleeps or ends: a new table need not wait for it. */
  leave(): void {
    leaveTable(this.#steerWords, this.#steerBase, this.#setup.lane);
  }

  handle(port: Port, batch: Int32Array, row: number): number {
    const { view } = this.memory;
    const offset = batch[row + ROW_OFFSET];
    this.node = NO_NODE;
    if (batch[row + ROW_LENGTH] < ethernet.HEADER_BYTES) return this.#drop(COUNT.drop_runt);
    if ((batch[row + ROW_FLAGS] & FLAG_VLAN) !== 0) return this.#drop(COUNT.foreign);
    const type = ethernet.etherType(view, offset);
    if (type === ethernet.ETHERTYPE_IPV4) return this.#ipv4(port, batch, row, offset);
    return type === ethernet.ETHERTYPE_ARP ? this.#arp(port, batch, row) : this.#drop(COUNT.foreign);
  }

  #arp(port: Port, batch: Int32Array, row: number): number {
    const onClientSide = port === this.clientPort ? this.#vip : 0;
    const onServerSide = port === this.serverPort ? this.#ownAddress : 0;
    // Next hops are on the server side, and one lane writes their table: what others say of them is not believed.
    const learns = port === this.serverPort && this.#setup.lane === 0;
    const { memory, neighbours } = this;
    return handleArp(memory, neighbours, learns, port, batch, row, onClientSide, onServerSide, this.#nowMs);
  }

  #ipv4(port: Port, batch: Int32Array, row: number, offset: number): number {
    const { view } = this.memory;
    const ipOffset = offset + ethernet.HEADER_BYTES;
    const available = batch[row + ROW_LENGTH] - ethernet.HEADER_BYTES;
    if (!ethernet.isTo(view, offset, port.macHigh, port.macLow)) return this.#drop(COUNT.foreign);
    if (available < ipv4.HEADER_BYTES_MIN) return this.#drop(COUNT.drop_runt);
    const destination = ipv4.destination(view, ipOffset);
    const toVip = destination === this.#vip && port === this.clientPort;
    if (!toVip && !(destination === this.#ownAddress && port === this.serverPort)) return this.#drop(COUNT.foreign);
    const fault = faultOfFrame(batch[row + ROW_FLAGS]) || faultOfHeader(view, ipOffset, available);
    if (fault !== 0) return this.#drop(fault);
    if (ethernet.isFrom(view, offset, port.macHigh, port.macLow)) return this.#drop(COUNT.drop_own_source);
    if (!this.#isSender(offset, ipv4.source(view, ipOffset))) return this.#drop(COUNT.drop_bad_source);
    const protocol = ipv4.protocol(view, ipOffset);
    if (protocol === ipv4.PROTOCOL_UDP) return this.#udp(batch, row, ipOffset, toVip);
    if (protocol === ipv4.PROTOCOL_ICMP) return handleIcmp(this.memory, port, batch, row, ipOffset);
    return this.#drop(COUNT.drop_protocol);
  }

  /** Whether a frame's source addresses may be somebody else's: no group, no address that is ours. */
  #isSender(offset: number, address: number): boolean {
    if (address === this.#vip || address === this.#ownAddress) return false;
    return maySend(address) && !ethernet.isGroupSource(this.memory.view, offset);
  }

  #udp(batch: Int32Array, row: number, ipOffset: number, toVip: boolean): number {
    const { view } = this.memory;
    const udpOffset = ipOffset + ipv4.headerBytes(view, ipOffset);
    const fault = faultOfDatagram(view, ipOffset, udpOffset, batch[row + ROW_FLAGS]);
    if (fault !== 0) return this.#drop(fault);
    const end = udpOffset + udp.length(view, udpOffset);
    if (!toVip) return this.#reply(batch, row, ipOffset, udpOffset, end);
    if (udp.destinationPort(view, udpOffset) === this.#vipPort) {
      return this.#request(batch, row, ipOffset, udpOffset, end);
    }
    // One-arm: the VIP may be the source address too.
    if (this.#vip === this.#ownAddress) return this.#reply(batch, row, ipOffset, udpOffset, end);
    return this.#drop(COUNT.drop_udp_port);
  }

  #request(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { bytes } = this.memory;
    const header = udpOffset + udp.HEADER_BYTES;
    // Parsed in any case: an error line is written in the protocol of the request.
    const parsed = this.#reasonToRefuse(header + FRAME_HEADER_BYTES, end);
    const reason = isSingleDatagram(bytes, header) ? parsed : REFUSED_TOTAL;
    if (reason !== 0) return this.#refuse(batch, row, ipOffset, udpOffset, reason);
    const node = this.#home();
    if (node < 0) return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_NO_NODE);
    if (batch[row + ROW_LENGTH] > this.serverPort.frameBytesMax) return this.#drop(COUNT.drop_too_big);
    const slot = this.#takeSlot();
    if (slot < 0) return this.#refuse(batch, row, ipOffset, udpOffset, REFUSED_BUSY);
    this.#fillSlot(slot, batch[row + ROW_OFFSET], ipOffset, udpOffset, node);
    this.#countSteered(node, end - header);
    return this.#toNode(batch, row, ipOffset, udpOffset, slot, node);
  }

  /** Parses the request into `#located`; 0 when it may be forwarded. */
  #reasonToRefuse(start: number, end: number): number {
    const located = this.#located;
    const reason = parseRequest(this.memory.bytes, start, end, located);
    if (reason !== 0) return reason;
    if ((located[OUT_FLAGS] & REQUEST_MULTI_KEY) !== 0) return REFUSED_MULTI_KEY;
    const verbClass = located[OUT_CLASS];
    return verbClass === CLASS_READ || verbClass === CLASS_WRITE ? 0 : REFUSED_DENIED;
  }

  /** Node of the located key, or −1; leaves the key's hash in `#keyHash`. */
  #home(): number {
    const { bytes, view } = this.memory;
    const located = this.#located;
    if ((located[OUT_FLAGS] & REQUEST_KEY_BASE64) !== 0) {
      return this.#homeOf(this.#decoded, this.#decodedView, 0, this.#decodeKey());
    }
    return this.#homeOf(bytes, view, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH]);
  }

  #homeOf(bytes: Uint8Array, view: DataView, key: number, keyBytes: number): number {
    const keyHash = hashKey(bytes, view, key, keyBytes);
    this.#keyHash = keyHash;
    const ringHash = steerHash(this.#steerWords, this.#table, keyHash, bytes, view, key, keyBytes);
    return lookup(this.#steerWords, this.#table, ringHash);
  }

  /** memcached stores a base64 key under the bytes it stands for, so those are what counts. Returns their number. */
  #decodeKey(): number {
    const located = this.#located;
    const { bytes } = this.memory;
    return decodeBase64Key(bytes, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH], this.#decoded, 0);
  }

  #takeSlot(): number {
    const slot = this.slots.take(this.#nowUs);
    const { counters } = this.memory;
    if (this.slots.skipped !== 0) counters[COUNT.slots_skipped] += this.slots.skipped;
    if (this.slots.expired !== 0) counters[COUNT.slots_expired] += 1;
    return slot;
  }

  #fillSlot(slot: number, offset: number, ipOffset: number, udpOffset: number, node: number): void {
    const { bytes, view, words } = this.memory;
    const located = this.#located;
    const id = requestId(bytes, udpOffset + udp.HEADER_BYTES);
    const quiet = (located[OUT_FLAGS] & REQUEST_QUIET) !== 0 ? SLOT_QUIET : 0;
    // To noreply nothing is ever answered: the slot is free for the next in the circle at once.
    const state = (located[OUT_FLAGS] & REQUEST_NOREPLY) !== 0 ? STATE_ANSWERED : STATE_OUTSTANDING;
    words[slot + SLOT_STATE] = state | quiet | (located[OUT_VERB] << SLOT_VERB_SHIFT) | (id << SLOT_ID_SHIFT);
    words[slot + SLOT_CLIENT] = ipv4.source(view, ipOffset);
    words[slot + SLOT_CLIENT_PORT] = udp.sourcePort(view, udpOffset) | (ethernet.sourceHigh(view, offset) << 16);
    words[slot + SLOT_CLIENT_MAC] = ethernet.sourceLow(view, offset);
    words[slot + SLOT_NODE] = nodeAddress(this.#steerWords, this.#table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(this.#steerWords, this.#table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = this.#keyHash;
    words[slot + SLOT_SENT] = this.#nowUs;
  }

  #countSteered(node: number, payloadBytes: number): void {
    const { counters, nodeCounters } = this.memory;
    counters[this.#located[OUT_CLASS] === CLASS_READ ? COUNT.reads : COUNT.writes] += 1;
    const figures = node * NODE_COUNTER_COUNT;
    nodeCounters[figures + NODE_COUNT.requests] += 1;
    nodeCounters[figures + NODE_COUNT.request_bytes] += payloadBytes;
  }

  /** Rewrites the request towards its node; the frame waits aside when the next hop is not resolved. */
  #toNode(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, slot: number, node: number): number {
    const { view, words } = this.memory;
    const flags = batch[row + ROW_FLAGS];
    rewriteDatagram(
      view,
      ipOffset,
      udpOffset,
      flags,
      this.#ownAddress,
      this.slots.sourcePort(slot),
      words[slot + SLOT_NODE],
      words[slot + SLOT_NODE_PORT] & 0xffff,
      this.slots.requestId(slot),
    );
    const neighbour = nodeNeighbour(this.#steerWords, this.#table, node);
    const offset = batch[row + ROW_OFFSET];
    this.node = node;
    if (this.neighbours.isUsable(neighbour)) return this.sendTo(offset, neighbour);
    this.neighbours.want(neighbour);
    const aside = this.parking.park(offset, batch[row + ROW_LENGTH], flags, neighbour);
    return this.#drop(aside ? COUNT.parked : COUNT.drop_neighbour_queue_full);
  }

  /** The last step of every request that is forwarded: Ethernet addresses, verdict. */
  sendTo(offset: number, neighbour: number): number {
    const { view } = this.memory;
    const port = this.serverPort;
    ethernet.setDestination(view, offset, this.neighbours.macHigh(neighbour), this.neighbours.macLow(neighbour));
    ethernet.setSource(view, offset, port.macHigh, port.macLow);
    this.memory.counters[COUNT.requests] += 1;
    return port.id;
  }

  #reply(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { bytes, view, words } = this.memory;
    const header = udpOffset + udp.HEADER_BYTES;
    const slot = this.slots.find(udp.destinationPort(view, udpOffset), requestId(bytes, header));
    if (slot < 0 || !this.slots.isOutstanding(slot)) return this.#drop(COUNT.drop_reply_no_slot);
    const fault = this.#faultOfReply(slot, ipOffset, udpOffset, end);
    if (fault !== 0) return this.#drop(fault);
    if (batch[row + ROW_LENGTH] > this.clientPort.frameBytesMax) return this.#drop(COUNT.drop_too_big);
    const node = words[slot + SLOT_NODE_PORT] >>> 16;
    this.slots.noteReply(slot, total(bytes, header));
    const figures = node * NODE_COUNTER_COUNT;
    this.memory.nodeCounters[figures + NODE_COUNT.replies] += 1;
    this.memory.nodeCounters[figures + NODE_COUNT.reply_bytes] += end - header;
    this.memory.count(COUNT.replies);
    return this.#toClient(batch, row, ipOffset, udpOffset, slot);
  }

  /** What is wrong with a reply to an outstanding slot: the counter of its drop, or 0. */
  #faultOfReply(slot: number, ipOffset: number, udpOffset: number, end: number): number {
    const { bytes, view, words } = this.memory;
    const header = udpOffset + udp.HEADER_BYTES;
    if (ipv4.source(view, ipOffset) !== words[slot + SLOT_NODE]) return COUNT.drop_reply_wrong_node;
    const nodePortOfSlot = words[slot + SLOT_NODE_PORT] & 0xffff;
    if (udp.sourcePort(view, udpOffset) !== nodePortOfSlot) return COUNT.drop_reply_wrong_node;
    if (this.slots.isLate(slot, this.#nowUs)) return COUNT.drop_reply_late;
    if (sequence(bytes, header) >= total(bytes, header)) {
      // memcached's "0 of 0": it has nothing to say to a quiet request, and says so.
      if (total(bytes, header) === 0 && (words[slot + SLOT_STATE] & SLOT_QUIET) !== 0) this.slots.noteReply(slot, 1);
      return COUNT.drop_reply_framing;
    }
    if (sequence(bytes, header) !== 0) return 0;
    const located = this.#located;
    parseReply(bytes, header + FRAME_HEADER_BYTES, end, located);
    if (located[OUT_KEY_LENGTH] === 0) return 0;
    const keyHash =
      (located[OUT_FLAGS] & REQUEST_KEY_BASE64) !== 0
        ? hashKey(this.#decoded, this.#decodedView, 0, this.#decodeKey())
        : hashKey(bytes, view, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH]);
    return keyHash === words[slot + SLOT_KEY_HASH] ? 0 : COUNT.drop_reply_wrong_key;
  }

  #toClient(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, slot: number): number {
    const { view, words } = this.memory;
    const offset = batch[row + ROW_OFFSET];
    const port = this.clientPort;
    rewriteDatagram(
      view,
      ipOffset,
      udpOffset,
      batch[row + ROW_FLAGS],
      this.#vip,
      this.#vipPort,
      words[slot + SLOT_CLIENT],
      words[slot + SLOT_CLIENT_PORT] & 0xffff,
      words[slot + SLOT_STATE] >>> SLOT_ID_SHIFT,
    );
    ethernet.setDestination(view, offset, words[slot + SLOT_CLIENT_PORT] >>> 16, words[slot + SLOT_CLIENT_MAC]);
    ethernet.setSource(view, offset, port.macHigh, port.macLow);
    return port.id;
  }

  /** Turns a request away: with an error line in its own frame where memcached would answer and the client listens. */
  #refuse(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, reason: number): number {
    const { memory } = this;
    const port = this.clientPort;
    const offset = batch[row + ROW_OFFSET];
    memory.count(REFUSED_FIRST + reason);
    // An error may be the answer to an error: two servers must not talk for ever.
    if (udp.sourcePort(memory.view, udpOffset) === this.#vipPort || this.#isReply(udpOffset)) return DROP;
    if (udpOffset + ANSWER_BYTES_MAX - offset > port.roomBytes) return DROP;
    if (!turnIntoErrorAnswer(memory, batch, row, ipOffset, udpOffset, reason, this.#located)) return DROP;
    ethernet.turnToSender(memory.view, offset, port.macHigh, port.macLow);
    memory.count(COUNT.error_answers);
    return port.id;
  }

  /** Whether a refused "request" reads as what a memcached says. */
  #isReply(udpOffset: number): boolean {
    const { bytes, view } = this.memory;
    const start = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    return parseReply(bytes, start, udpOffset + udp.length(view, udpOffset), this.#replied) !== REPLY_OTHER;
  }

  #drop(counter: number): number {
    this.memory.counters[counter] += 1;
    return DROP;
  }
}
