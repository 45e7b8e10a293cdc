/**
 * The second stage: requests. Parse, hash the key, forward (forward.ts). A request for a hot key goes on a list for the
 * stage behind (hot/stage.ts); what several keys ask, or what is answered here, takes its own way. What may not go on is
 * refused with an error line in its own frame.
 */
import { FRAME_HEADER_BYTES, isSingleDatagram } from '../memcached/frame-header.ts';
import { OUT_CLASS, OUT_FLAGS, OUT_VERB, REQUEST_MULTI_KEY } from '../memcached/located.ts';
import { REFUSED_DENIED, REFUSED_TOTAL } from '../memcached/refusals.ts';
import { DROP, ROW_OFFSET, ROW_VERDICT } from '../port/port.ts';
import * as udp from '../wire/udp.ts';
import { Asked, actionOf } from './asked.ts';
import { ACTION_BROADCAST, ACTION_FORWARD, ACTION_LOCAL, VERBS_MAX } from './commands.ts';
import { REFUSED_FIRST } from './counters.ts';
import { Forwarder } from './forward.ts';
import { Locals } from './locals.ts';
import { LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS, type Path } from './path.ts';

export class RequestStage {
  readonly #path: Path;
  readonly #locals: Locals;
  readonly #asked: Asked;
  readonly #forwarder: Forwarder;
  readonly #vipPort: number;

  constructor(path: Path) {
    this.#path = path;
    this.#locals = new Locals(path);
    this.#asked = new Asked(path.memory);
    this.#forwarder = new Forwarder(path, this.#asked);
    this.#vipPort = path.setup.vipPort;
  }

  /** Gives a verdict to each of the `count` rows of `batch` that `list` names; those of hot keys, and those for `send`, keep DROP for now. */
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

  /** Sends what `run` has made ready: a stage of its own, as V8 compiles it alone then. */
  send(batch: Int32Array): void {
    this.#forwarder.sendReady(batch);
  }

  #request(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { memory, gate } = this.#path;
    const header = udpOffset + udp.HEADER_BYTES;
    const facts = this.#asked.takeBare(header + FRAME_HEADER_BYTES, end);
    if (facts !== 0 && gate.actions[actionOf(facts)] === ACTION_FORWARD && isSingleDatagram(memory.view, header)) {
      return this.#toItsPlace(batch, row, ipOffset, udpOffset, end);
    }
    return this.#other(batch, row, ipOffset, udpOffset, end);
  }

  /** Whose key is hashed: to the stage for hot keys, or home. */
  #toItsPlace(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { hot } = this.#path;
    const item = hot === undefined ? -1 : hot.meets(this.#asked.keyHash, this.#asked);
    if (item >= 0) return hot!.list(row, ipOffset, udpOffset, end, item, this.#asked.isPlain);
    return this.#forwarder.homeSoon(batch, row, ipOffset, udpOffset, end);
  }

  #other(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { memory, gate } = this.#path;
    const header = udpOffset + udp.HEADER_BYTES;
    const { located } = this.#asked;
    // Parsed in any case: an error line is written in the protocol of the request.
    const parsed = this.#asked.parse(header + FRAME_HEADER_BYTES, end);
    const reason = isSingleDatagram(memory.view, header) ? parsed : REFUSED_TOTAL;
    if (reason !== 0) return this.#refuse(batch, row, ipOffset, udpOffset, reason);
    const action = gate.actions[located[OUT_CLASS] * VERBS_MAX + located[OUT_VERB]];
    if (action !== ACTION_FORWARD) return this.#keep(action, batch, row, ipOffset, udpOffset);
    if ((located[OUT_FLAGS] & REQUEST_MULTI_KEY) !== 0) {
      return this.#takeApart(batch, row, ipOffset, udpOffset, end);
    }
    this.#asked.hash();
    return this.#toItsPlace(batch, row, ipOffset, udpOffset, end);
  }

  /** A request that is not forwarded to one node: answered here, sent to all of them, or denied. */
  #keep(action: number, batch: Int32Array, row: number, ipOffset: number, udpOffset: number): number {
    const { memory, broadcasts } = this.#path;
    // Servers that take our answers for requests must not have any.
    if (udp.sourcePort(memory.view, udpOffset) === this.#vipPort) {
      memory.counters[REFUSED_FIRST + REFUSED_DENIED] += 1;
      return DROP;
    }
    let reason = REFUSED_DENIED;
    if (action === ACTION_LOCAL) {
      const verdict = this.#locals.answer(batch, row, ipOffset, udpOffset, this.#asked.located);
      if (verdict >= DROP) return verdict;
      reason = DROP - verdict;
    } else if (action === ACTION_BROADCAST) {
      reason = broadcasts.start(batch[row + ROW_OFFSET], ipOffset, udpOffset, this.#asked.located);
    }
    return reason === 0 ? DROP : this.#refuse(batch, row, ipOffset, udpOffset, reason);
  }

  /** A request for several keys goes on as one for each. */
  #takeApart(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { gathers } = this.#path;
    const reason = gathers.ask(batch[row + ROW_OFFSET], ipOffset, udpOffset, end, this.#asked.located);
    return reason === 0 ? DROP : this.#refuse(batch, row, ipOffset, udpOffset, reason);
  }

  #refuse(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, reason: number): number {
    return this.#forwarder.refuser.refuse(batch, row, ipOffset, udpOffset, reason, this.#asked.located);
  }
}
