/** Turns requests away: with an error line in their own frame where memcached would answer and the client listens. */
import { FRAME_HEADER_BYTES } from '../memcached/frame-header.ts';
import { OUT_WORDS } from '../memcached/located.ts';
import { REFUSED_BUSY, REFUSED_NEWCOMERS } from '../memcached/refusals.ts';
import { parseReply, REPLY_OTHER } from '../memcached/reply.ts';
import { DROP, ROW_OFFSET } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { ANSWER_BYTES_MAX, turnIntoErrorAnswer } from './answer.ts';
import { COUNT, REFUSED_FIRST } from './counters.ts';
import type { Path } from './path.ts';

export class Refuser {
  readonly #path: Path;
  readonly #replied = new Int32Array(OUT_WORDS);
  readonly #vipPort: number;

  constructor(path: Path) {
    this.#path = path;
    this.#vipPort = path.setup.vipPort;
  }

  /** Counts the reason and returns the verdict: DROP, or the client's port. @param located as far as it was understood */
  refuse(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    reason: number,
    located: Int32Array,
  ): number {
    const { memory, clientPort: port, slots, gate, nowMs } = this.#path;
    const offset = batch[row + ROW_OFFSET];
    // Sources that are not known have slots of their own; when those are taken, it may be a flood that took them.
    if (reason === REFUSED_BUSY && slots.isAimedAtNewcomers) return this.#drop(REFUSED_FIRST + REFUSED_NEWCOMERS);
    const source = ipv4.source(memory.view, ipOffset);
    memory.count(REFUSED_FIRST + reason);
    // An error may be the answer to an error: two servers must not talk for ever.
    if (udp.sourcePort(memory.view, udpOffset) === this.#vipPort || this.#isReply(udpOffset)) return DROP;
    if (udpOffset + ANSWER_BYTES_MAX - offset > port.roomBytes) return DROP;
    if (!turnIntoErrorAnswer(memory, batch, row, ipOffset, udpOffset, reason, located)) return DROP;
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
