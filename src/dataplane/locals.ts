/**
 * Requests that the NF answers itself: version, mn, binary noop, stats. The answer is built in the request's own frame
 * where it fits into one datagram, else it leaves by the outbox.
 */
import {
  FRAME_HEADER_BYTES,
  REPLY_DATAGRAM_BYTES_MAX,
  requestId,
  writeFrameHeader,
} from '../memcached/frame-header.ts';
import { LOCAL_REPLY_BYTES_MAX, VERSION_BYTES_MAX, writeLocalReply } from '../memcached/local-reply.ts';
import { OUT_VERB } from '../memcached/located.ts';
import { VERB_STATS } from '../memcached/verbs.ts';
import { DROP, ROW_OFFSET } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { turnIntoAnswer } from './answer.ts';
import { COUNT } from './counters.ts';
import { OWN_HEADERS_BYTES, writeOwnHeaders } from './own-datagram.ts';
import type { Path } from './path.ts';
import { Stats } from './stats.ts';

export class Locals {
  readonly #path: Path;
  readonly #version: Uint8Array;
  readonly #stats: Stats;

  constructor(path: Path) {
    const version = Uint8Array.from(Buffer.from(path.setup.version, 'latin1')).subarray(0, VERSION_BYTES_MAX);
    this.#path = path;
    this.#version = version;
    this.#stats = new Stats(path, version);
  }

  /**
   * Answers the request at `row`. Returns the verdict; or, negated and less 1 (to be no verdict), why it is refused.
   * @param located what parseRequest found
   */
  answer(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, located: Int32Array): number {
    if (located[OUT_VERB] === VERB_STATS) return this.#answerStats(batch, row, ipOffset, udpOffset, located);
    const body = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    if (body + LOCAL_REPLY_BYTES_MAX - batch[row + ROW_OFFSET] > this.#path.clientPort.roomBytes)
      return this.#withhold();
    const length = writeLocalReply(this.#path.memory.bytes, body, located, this.#version);
    return this.#send(batch, row, ipOffset, udpOffset, length);
  }

  #answerStats(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, located: Int32Array): number {
    const { writer } = this.#stats;
    const reason = this.#stats.write(located);
    if (reason !== 0) return DROP - reason;
    const { memory, clientPort } = this.#path;
    const body = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    const isOne = FRAME_HEADER_BYTES + writer.length <= REPLY_DATAGRAM_BYTES_MAX;
    if (!isOne || body + writer.length - batch[row + ROW_OFFSET] > clientPort.roomBytes) {
      return this.#sendPieces(batch[row + ROW_OFFSET], ipOffset, udpOffset);
    }
    copy(writer.bytes, 0, memory.bytes, body, writer.length);
    return this.#send(batch, row, ipOffset, udpOffset, writer.length);
  }

  /** The answer of `length` bytes stands where the request stood. */
  #send(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, length: number): number {
    const { memory, clientPort: port, gate, nowMs } = this.#path;
    memory.counters[COUNT.local_answers] += 1;
    if (!gate.charge(ipv4.source(memory.view, ipOffset), FRAME_HEADER_BYTES + length, nowMs)) return this.#withheld();
    turnIntoAnswer(memory, batch, row, ipOffset, udpOffset, length);
    ethernet.turnToSender(memory.view, batch[row + ROW_OFFSET], port.macHigh, port.macLow);
    this.#path.senders |= 1 << port.id;
    return port.id;
  }

  /** Cuts the reply as memcached does; the request's frame is done with. */
  #sendPieces(offset: number, ipOffset: number, udpOffset: number): number {
    const { memory, clientPort, gate, nowMs } = this.#path;
    const { writer } = this.#stats;
    const room = Math.min(REPLY_DATAGRAM_BYTES_MAX, clientPort.frameBytesMax - OWN_HEADERS_BYTES) - FRAME_HEADER_BYTES;
    const total = Math.ceil(writer.length / room);
    memory.counters[COUNT.local_answers] += 1;
    const bytes = writer.length + total * FRAME_HEADER_BYTES;
    if (!gate.charge(ipv4.source(memory.view, ipOffset), bytes, nowMs)) return this.#withheld();
    for (let sequence = 0; sequence < total; sequence++) {
      const start = sequence * room;
      const length = Math.min(room, writer.length - start);
      if (!this.#sendPiece(offset, ipOffset, udpOffset, sequence, total, start, length)) break;
    }
    return DROP;
  }

  /** False when the port has no frame for it. */
  #sendPiece(
    request: number,
    ipOffset: number,
    udpOffset: number,
    sequence: number,
    total: number,
    start: number,
    length: number,
  ): boolean {
    const { memory, clientOut, clientPort, setup } = this.#path;
    const { bytes, view } = memory;
    const offset = clientOut.claim();
    if (offset < 0) return false;
    const payload = offset + OWN_HEADERS_BYTES;
    writeFrameHeader(bytes, payload, requestId(bytes, udpOffset + udp.HEADER_BYTES), sequence, total);
    copy(this.#stats.writer.bytes, start, bytes, payload + FRAME_HEADER_BYTES, length);
    ethernet.setDestination(view, offset, ethernet.sourceHigh(view, request), ethernet.sourceLow(view, request));
    ethernet.setSource(view, offset, clientPort.macHigh, clientPort.macLow);
    const frameBytes = writeOwnHeaders(
      view,
      offset,
      this.#path.nextIdentification(),
      setup.vip,
      setup.vipPort,
      ipv4.source(view, ipOffset),
      udp.sourcePort(view, udpOffset),
      FRAME_HEADER_BYTES + length,
    );
    clientOut.send(offset, frameBytes, 0, 0);
    return true;
  }

  /** No room for an answer in this frame. */
  #withhold(): number {
    this.#path.memory.counters[COUNT.local_answers] += 1;
    return this.#withheld();
  }

  #withheld(): number {
    this.#path.memory.counters[COUNT.answers_withheld] += 1;
    return DROP;
  }
}

function copy(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[start + i];
}
