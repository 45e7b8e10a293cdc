/**
 * The gatekeeper's two stages: before the requests stage, who may ask; after the replies stage, who may be answered. By
 * themselves, so that they cost nothing but a branch per batch where nobody watches (path.ts tells why else).
 */
import { DROP, ROW_VERDICT } from '../port/port.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT, REFUSED_FIRST } from './counters.ts';
import { LIST_END, LIST_IP, LIST_NEWCOMER, LIST_ROW, LIST_UDP, LIST_WORDS, type Path } from './path.ts';

export class AdmissionStage {
  readonly #path: Path;

  constructor(path: Path) {
    this.#path = path;
  }

  /** Takes what is refused off the list: it keeps the verdict DROP that it came with. Returns how many are left. */
  run(list: Int32Array, count: number): number {
    if (!this.#path.gate.watches) return count;
    const end = count * LIST_WORDS;
    let kept = 0;
    for (let at = 0; at < end; at += LIST_WORDS) {
      if (this.#isRefused(list, at)) continue;
      if (kept * LIST_WORDS !== at) move(list, at, kept * LIST_WORDS);
      kept++;
    }
    return kept;
  }

  #isRefused(list: Int32Array, at: number): boolean {
    const { memory, gate, nowMs } = this.#path;
    const source = ipv4.source(memory.view, list[at + LIST_IP]);
    const reason = gate.admit(source, list[at + LIST_END] - list[at + LIST_UDP] - udp.HEADER_BYTES, nowMs);
    if (reason !== 0) memory.counters[REFUSED_FIRST + reason] += 1;
    else if (gate.isNewcomer) list[at + LIST_ROW] |= LIST_NEWCOMER;
    return reason !== 0;
  }
}

function move(list: Int32Array, from: number, to: number): void {
  for (let word = 0; word < LIST_WORDS; word++) list[to + word] = list[from + word];
}

export class SettlementStage {
  readonly #path: Path;

  constructor(path: Path) {
    this.#path = path;
  }

  /** Charges the replies that are about to leave; what exceeds its client's budget is dropped. */
  run(batch: Int32Array, list: Int32Array, count: number): void {
    if (!this.#path.gate.hasBudgets) return;
    const end = count * LIST_WORDS;
    for (let at = 0; at < end; at += LIST_WORDS) {
      if (batch[list[at + LIST_ROW] + ROW_VERDICT] !== DROP) this.#settle(batch, list, at);
    }
  }

  /** The frame has its client's address by now. */
  #settle(batch: Int32Array, list: Int32Array, at: number): void {
    const { memory, gate, nowMs } = this.#path;
    const client = ipv4.destination(memory.view, list[at + LIST_IP]);
    if (gate.charge(client, list[at + LIST_END] - list[at + LIST_UDP] - udp.HEADER_BYTES, nowMs)) return;
    batch[list[at + LIST_ROW] + ROW_VERDICT] = DROP;
    memory.counters[COUNT.replies] -= 1;
    memory.counters[COUNT.drop_reply_over_budget] += 1;
  }
}
