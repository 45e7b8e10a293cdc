/**
 * Commands for every node: flush_all and verbosity, where the policy allows them. Each node is asked by a request of the
 * NF's own, in a slot of its own; the client has one answer, when the last node has answered or the time is over.
 *
 *     FREE ─start→ ACTIVE ─every node said OK→ answered OK ─→ FREE
 *                  ACTIVE ─a node said something else, or nothing in time→ answered SERVER_ERROR ─→ FREE
 *     forbidden: ACTIVE ─start→ …: with all of them active, one more is refused as busy
 *
 * A node whose next hop is not known yet is asked as soon as it is. The nodes are asked in the ASCII protocol, whatever
 * the client speaks, and always for an answer. Word for word, a record is
 *
 *     word 0  ACTIVE       1
 *          1  GENERATION   counts uses: a late reply to the one before does not count
 *          2  CLIENT       IPv4 address
 *          3  CLIENT_PORT  bits 0–15 UDP port, bits 16–31 upper 16 bits of the client's Ethernet address
 *          4  CLIENT_MAC   lower 32 bits of it
 *          5  CLIENT_ID    of its request
 *          6  OPCODE       binary opcode, −1: ASCII
 *          7  OPAQUE
 *          8  SILENCE      0: tell all; 1: tell failures alone; 2: tell nothing
 *          9  UNASKED      nodes still to be asked
 *         10  AWAITED      nodes that were asked and have not answered
 *         11  FAILED       1: some node did not say OK
 *         12  DUE          ms of the lane's clock
 *         13  TEXT_BYTES   of the line that nodes are sent
 *         14  FLUSHES      1: it is flush_all
 */
import { bodyLength, extrasLength } from '../memcached/binary.ts';
import { writeDecimal } from '../memcached/decimal.ts';
import { writeErrorReply } from '../memcached/error-reply.ts';
import { FRAME_HEADER_BYTES, requestId, writeFrameHeader } from '../memcached/frame-header.ts';
import { skipSpaces, tokenEnd } from '../memcached/line.ts';
import { copyInto, readOpaque, writeBinaryResponse } from '../memcached/local-reply.ts';
import {
  OUT_FLAGS,
  OUT_OPAQUE_OFFSET,
  OUT_OPCODE,
  OUT_PROTOCOL,
  OUT_VERB,
  OUT_WORDS,
  PROTOCOL_ASCII,
  PROTOCOL_BINARY,
  REQUEST_NOREPLY,
  REQUEST_QUIET,
} from '../memcached/located.ts';
import { REFUSED_BROADCAST, REFUSED_BUSY, REFUSED_NO_NODE } from '../memcached/refusals.ts';
import { VERB_FLUSH_ALL, VERB_NAMES } from '../memcached/verbs.ts';
import { nodeAddress, nodeCount, nodeEnabled, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT, REFUSED_FIRST } from './counters.ts';
import { OWN_HEADERS_BYTES, writeOwnHeaders } from './own-datagram.ts';
import type { Path } from './path.ts';
import {
  SLOT_BROADCAST,
  SLOT_CLIENT,
  SLOT_HAUNTED,
  SLOT_KEY_HASH,
  SLOT_NODE,
  SLOT_NODE_PORT,
  SLOT_SENT,
  SLOT_STATE,
  STATE_OUTSTANDING,
} from './slot-table.ts';

/** Per lane. Such commands are rare, and each may empty every cache behind us. */
export const BROADCASTS_MAX = 8;
const RECORD_WORDS = 16;
const ACTIVE = 0;
const GENERATION = 1;
const CLIENT = 2;
const CLIENT_PORT = 3;
const CLIENT_MAC = 4;
const CLIENT_ID = 5;
const OPCODE = 6;
const OPAQUE = 7;
const SILENCE = 8;
const UNASKED = 9;
const AWAITED = 10;
const FAILED = 11;
const DUE = 12;
const TEXT_BYTES = 13;
const FLUSHES = 14;

/** `verbosity -2147483648\r\n`, rounded up. */
const TEXT_BYTES_MAX = 32;
/** A slot's record is kept in its word CLIENT: the record's number, and its generation. */
const GENERATION_SHIFT = 8;
const GENERATION_MASK = 0xffffff;

const OK = Uint8Array.from(Buffer.from('OK\r\n'));
const CRLF = Uint8Array.from(Buffer.from('\r\n'));
const VERBS = VERB_NAMES.map(name => Uint8Array.from(Buffer.from(name)));
const BINARY_HEADER_BYTES = 24;
const DELAY_BYTES = 4;
const SPACE = 0x20;
const MINUS = 0x2d;
const PLUS = 0x2b;
const ZERO = 0x30;

export class Broadcasts {
  /** How many are active. */
  active = 0;
  readonly #path: Path;
  readonly #records = new Int32Array(BROADCASTS_MAX * RECORD_WORDS);
  readonly #texts = new Uint8Array(BROADCASTS_MAX * TEXT_BYTES_MAX);
  /** Per record a byte a node: 1 while it is to be asked. */
  readonly #todo: Uint8Array;
  readonly #nodesMax: number;
  /** Stands for the client's request, which is gone, when an error line is written. */
  readonly #located = new Int32Array(OUT_WORDS);

  constructor(path: Path) {
    this.#path = path;
    this.#nodesMax = path.setup.nodesMax;
    this.#todo = new Uint8Array(BROADCASTS_MAX * this.#nodesMax);
  }

  /** Takes up a command that `parseRequest` accepted. Returns 0, or why it is refused. */
  start(offset: number, ipOffset: number, udpOffset: number, located: Int32Array): number {
    const free = this.#freeRecord();
    if (free < 0) return REFUSED_BUSY;
    const nodes = this.#listNodes(free);
    if (nodes === 0) return REFUSED_NO_NODE;
    const records = this.#records;
    const record = free * RECORD_WORDS;
    this.#noteClient(record, offset, ipOffset, udpOffset, located);
    records[record + ACTIVE] = 1;
    records[record + GENERATION] = (records[record + GENERATION] + 1) & GENERATION_MASK;
    records[record + UNASKED] = nodes;
    records[record + AWAITED] = 0;
    records[record + FAILED] = 0;
    records[record + FLUSHES] = located[OUT_VERB] === VERB_FLUSH_ALL ? 1 : 0;
    records[record + DUE] = (this.#path.nowMs + this.#path.gate.broadcastMs) | 0;
    records[record + TEXT_BYTES] = this.#writeText(free, udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES, located);
    this.active++;
    if (this.#isFlush(record)) this.#path.hotLane?.flushBegins(this.#delayOf(free));
    return 0;
  }

  /** A reply to one of its slots, which passed the checks of every reply. */
  hear(slot: number, isOk: boolean): void {
    const { memory } = this.#path;
    const tag = memory.words[slot + SLOT_CLIENT];
    const record = (tag & (BROADCASTS_MAX - 1)) * RECORD_WORDS;
    const records = this.#records;
    memory.counters[COUNT.broadcast_replies] += 1;
    if (records[record + ACTIVE] === 0 || records[record + GENERATION] !== tag >>> GENERATION_SHIFT) return;
    records[record + AWAITED] -= 1;
    if (!isOk) records[record + FAILED] = 1;
  }

  /** Once a cycle while some are active: asks, answers, gives up. Returns how many frames it said. */
  tend(): number {
    let work = 0;
    for (let number = 0; number < BROADCASTS_MAX; number++) {
      if (this.#records[number * RECORD_WORDS + ACTIVE] !== 0) work += this.#tendOne(number);
    }
    return work;
  }

  #isFlush(record: number): boolean {
    return this.#records[record + FLUSHES] !== 0;
  }

  /** Seconds that the line to the nodes says, 0 if it says none. */
  #delayOf(number: number): number {
    let seconds = 0;
    const end = this.#records[number * RECORD_WORDS + TEXT_BYTES];
    for (let at = 0; at < end; at++) {
      const digit = this.#texts[number * TEXT_BYTES_MAX + at] - ZERO;
      if (digit >= 0 && digit <= 9) seconds = seconds * 10 + digit;
    }
    return seconds;
  }

  #tendOne(number: number): number {
    const records = this.#records;
    const record = number * RECORD_WORDS;
    const asked = records[record + UNASKED] === 0 ? 0 : this.#ask(number);
    const isDone = records[record + UNASKED] === 0 && records[record + AWAITED] === 0;
    const isOver = ((this.#path.nowMs - records[record + DUE]) | 0) >= 0;
    if (!isDone && !isOver) return asked;
    return asked + this.#finish(record, isDone && records[record + FAILED] === 0);
  }

  #freeRecord(): number {
    let number = 0;
    while (number < BROADCASTS_MAX && this.#records[number * RECORD_WORDS + ACTIVE] !== 0) number++;
    return number < BROADCASTS_MAX ? number : -1;
  }

  /** Every node that replies are taken from, drained ones included: they still hold items. */
  #listNodes(number: number): number {
    const { steerWords, table } = this.#path;
    const count = nodeCount(steerWords, table);
    let listed = 0;
    for (let node = 0; node < this.#nodesMax; node++) {
      const is = node < count && nodeAddress(steerWords, table, node) !== 0 && nodeEnabled(steerWords, table, node);
      this.#todo[number * this.#nodesMax + node] = is ? 1 : 0;
      listed += is ? 1 : 0;
    }
    return listed;
  }

  #noteClient(record: number, offset: number, ipOffset: number, udpOffset: number, located: Int32Array): void {
    const { bytes, view } = this.#path.memory;
    const records = this.#records;
    const flags = located[OUT_FLAGS];
    records[record + CLIENT] = ipv4.source(view, ipOffset);
    records[record + CLIENT_PORT] = udp.sourcePort(view, udpOffset) | (ethernet.sourceHigh(view, offset) << 16);
    records[record + CLIENT_MAC] = ethernet.sourceLow(view, offset);
    records[record + CLIENT_ID] = requestId(bytes, udpOffset + udp.HEADER_BYTES);
    records[record + OPCODE] = located[OUT_PROTOCOL] === PROTOCOL_BINARY ? located[OUT_OPCODE] : -1;
    records[record + OPAQUE] = readOpaque(bytes, located[OUT_OPAQUE_OFFSET]);
    records[record + SILENCE] = (flags & REQUEST_NOREPLY) !== 0 ? 2 : (flags & REQUEST_QUIET) !== 0 ? 1 : 0;
  }

  /** The line for the nodes: the verb, and the number if there is one. Returns its length. */
  #writeText(number: number, start: number, located: Int32Array): number {
    const { bytes } = this.#path.memory;
    const texts = this.#texts;
    const first = number * TEXT_BYTES_MAX;
    let at = copyInto(texts, first, VERBS[located[OUT_VERB]]);
    if (located[OUT_PROTOCOL] === PROTOCOL_BINARY) at = writeDelay(texts, at, bytes, start);
    else at = writeNumber(texts, at, bytes, start);
    return copyInto(texts, at, CRLF) - first;
  }

  /** Sends the line to every node that can be sent to and was not yet. Returns their number. */
  #ask(number: number): number {
    const { steerWords, table, neighbours } = this.#path;
    const record = number * RECORD_WORDS;
    const todo = number * this.#nodesMax;
    let asked = 0;
    for (let node = 0; node < this.#nodesMax; node++) {
      if (this.#todo[todo + node] === 0) continue;
      const neighbour = nodeNeighbour(steerWords, table, node);
      if (!neighbours.isUsable(neighbour)) neighbours.want(neighbour);
      else if (!this.#askNode(number, node, neighbour)) break;
      else {
        this.#todo[todo + node] = 0;
        asked++;
      }
    }
    this.#records[record + UNASKED] -= asked;
    this.#records[record + AWAITED] += asked;
    return asked;
  }

  /** False when there is no slot or no frame for it at the moment. */
  #askNode(number: number, node: number, neighbour: number): boolean {
    const { memory, neighbours, serverOut, serverPort, setup, slots } = this.#path;
    const { bytes, view, words } = memory;
    const offset = serverOut.claim();
    if (offset < 0) return false;
    const slot = this.#takeSlot(number, node);
    if (slot < 0) return false;
    const payload = offset + OWN_HEADERS_BYTES;
    const textBytes = this.#records[number * RECORD_WORDS + TEXT_BYTES];
    writeFrameHeader(bytes, payload, slots.requestId(slot), 0, 1);
    for (let at = 0; at < textBytes; at++) {
      bytes[payload + FRAME_HEADER_BYTES + at] = this.#texts[number * TEXT_BYTES_MAX + at];
    }
    const frameBytes = writeOwnHeaders(
      view,
      offset,
      this.#path.nextIdentification(),
      setup.ownAddress,
      slots.sourcePort(slot),
      words[slot + SLOT_NODE],
      words[slot + SLOT_NODE_PORT] & 0xffff,
      FRAME_HEADER_BYTES + textBytes,
    );
    ethernet.setDestination(view, offset, neighbours.macHigh(neighbour), neighbours.macLow(neighbour));
    ethernet.setSource(view, offset, serverPort.macHigh, serverPort.macLow);
    serverOut.send(offset, frameBytes, 0, node + 1);
    memory.counters[COUNT.broadcast_requests] += 1;
    return true;
  }

  #takeSlot(number: number, node: number): number {
    const { memory, slots, steerWords, table, nowUs } = this.#path;
    const { words } = memory;
    slots.aim(false);
    const slot = slots.take(nowUs);
    if (slot < 0) return -1;
    const generation = this.#records[number * RECORD_WORDS + GENERATION];
    words[slot + SLOT_STATE] = STATE_OUTSTANDING | SLOT_BROADCAST | (words[slot + SLOT_STATE] & SLOT_HAUNTED);
    words[slot + SLOT_CLIENT] = number | (generation << GENERATION_SHIFT);
    words[slot + SLOT_NODE] = nodeAddress(steerWords, table, node);
    words[slot + SLOT_NODE_PORT] = nodePort(steerWords, table, node) | (node << 16);
    words[slot + SLOT_KEY_HASH] = 0;
    words[slot + SLOT_SENT] = nowUs;
    return slot;
  }

  /** Ends it, unless there is no frame for the answer at the moment: then it is tried again. Returns frames said. */
  #finish(record: number, isOk: boolean): number {
    const { memory } = this.#path;
    const records = this.#records;
    const says = records[record + SILENCE] === 0 || (records[record + SILENCE] === 1 && !isOk);
    if (says && !this.#answer(record, isOk)) return 0;
    records[record + ACTIVE] = 0;
    this.active--;
    if (this.#isFlush(record)) this.#path.hotLane?.flushEnds();
    memory.counters[isOk ? COUNT.broadcasts : REFUSED_FIRST + REFUSED_BROADCAST] += 1;
    return says ? 1 : 0;
  }

  #answer(record: number, isOk: boolean): boolean {
    const { memory, clientOut, clientPort, setup, gate, nowMs } = this.#path;
    const { bytes, view } = memory;
    const records = this.#records;
    const offset = clientOut.claim();
    if (offset < 0) return false;
    const payload = offset + OWN_HEADERS_BYTES;
    const body = payload + FRAME_HEADER_BYTES;
    writeFrameHeader(bytes, payload, records[record + CLIENT_ID], 0, 1);
    const payloadBytes = FRAME_HEADER_BYTES + (isOk ? this.#writeOk(record, body) : this.#writeError(record, body));
    gate.charge(records[record + CLIENT], payloadBytes, nowMs);
    const frameBytes = writeOwnHeaders(
      view,
      offset,
      this.#path.nextIdentification(),
      setup.vip,
      setup.vipPort,
      records[record + CLIENT],
      records[record + CLIENT_PORT] & 0xffff,
      payloadBytes,
    );
    ethernet.setDestination(view, offset, records[record + CLIENT_PORT] >>> 16, records[record + CLIENT_MAC]);
    ethernet.setSource(view, offset, clientPort.macHigh, clientPort.macLow);
    clientOut.send(offset, frameBytes, 0, 0);
    return true;
  }

  #writeOk(record: number, body: number): number {
    const { bytes } = this.#path.memory;
    const opcode = this.#records[record + OPCODE];
    if (opcode < 0) return copyInto(bytes, body, OK) - body;
    return writeBinaryResponse(bytes, body, opcode, 0, this.#records[record + OPAQUE], 0, 0);
  }

  #writeError(record: number, body: number): number {
    const { bytes, view } = this.#path.memory;
    const located = this.#located;
    const opcode = this.#records[record + OPCODE];
    // The opaque is read where the request had it, before a byte of the answer is written.
    view.setInt32(body, this.#records[record + OPAQUE]);
    located[OUT_PROTOCOL] = opcode < 0 ? PROTOCOL_ASCII : PROTOCOL_BINARY;
    located[OUT_FLAGS] = 0;
    located[OUT_OPCODE] = opcode;
    located[OUT_OPAQUE_OFFSET] = body;
    return writeErrorReply(bytes, body, REFUSED_BROADCAST, located);
  }
}

/** The delay of a binary flush, when its extras have one: an unsigned number. */
function writeDelay(texts: Uint8Array, at: number, bytes: Uint8Array, start: number): number {
  if (extrasLength(bytes, start) !== DELAY_BYTES || bodyLength(bytes, start) < DELAY_BYTES) return at;
  texts[at] = SPACE;
  return writeDecimal(texts, at + 1, readOpaque(bytes, start + BINARY_HEADER_BYTES) >>> 0);
}

/** The number behind the verb of a line, when there is one. Its leading zeros, of which there may be many, are left out. */
function writeNumber(texts: Uint8Array, at: number, bytes: Uint8Array, start: number): number {
  const first = skipSpaces(bytes, tokenEnd(bytes, skipSpaces(bytes, start)));
  const isSigned = bytes[first] === MINUS || bytes[first] === PLUS;
  let digit = isSigned ? first + 1 : first;
  if ((bytes[digit] - ZERO) >>> 0 > 9) return at;
  let number = 0;
  for (; (bytes[digit] - ZERO) >>> 0 < 10; digit++) number = number * 10 + bytes[digit] - ZERO;
  texts[at] = SPACE;
  if (bytes[first] !== MINUS) return writeDecimal(texts, at + 1, number);
  texts[at + 1] = MINUS;
  return writeDecimal(texts, at + 2, number);
}
