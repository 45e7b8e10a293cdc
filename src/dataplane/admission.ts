/**
 * The gatekeeper's two stages: before the requests stage, who may ask; after the replies stage, who may be answered. By
 * themselves, so that they cost nothing but a branch per batch where nobody watches (path.ts tells why else).
 */
import { DROP, ROW_VERDICT } from '../port/port.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT, REFUSED_FIRST } from './counters.ts';
import { BATCH_ROWS, LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS, type Path } from './path.ts';

/** 0.0.0.0 sends nothing (checks.ts, maySend). */
const NOBODY = 0;

export class AdmissionStage {
  /** Requests that were let in though their source is not known; they go by themselves, as their slots do. */
  readonly newcomers = new Int32Array(BATCH_ROWS * LIST_WORDS);
  newcomerCount = 0;
  readonly #path: Path;
  /** Source whose further requests in this batch are let in without a look, or NOBODY. */
  #sure = NOBODY;

  constructor(path: Path) {
    this.#path = path;
  }

  /**
   * Takes off the list what is refused, which keeps the verdict DROP that it came with, and what is on `newcomers` then.
   * Returns how many are left.
   */
  run(list: Int32Array, count: number): number {
    this.newcomerCount = 0;
    if (!this.#path.gate.watches) return count;
    const { memory, gate } = this.#path;
    const end = count * LIST_WORDS;
    let kept = 0;
    for (let at = 0; at < end; at += LIST_WORDS) {
      const source = ipv4.source(memory.view, list[at + LIST_IP]);
      if (source === this.#sure) kept = keep(list, at, kept);
      else if (!this.#isLetIn(list, at, source)) continue;
      else if (gate.isNewcomer) move(list, at, this.newcomers, this.newcomerCount++);
      else kept = keep(list, at, kept);
    }
    this.#sure = NOBODY;
    return kept;
  }

  #isLetIn(list: Int32Array, at: number, source: number): boolean {
    const { memory, gate, nowMs } = this.#path;
    const reason = gate.admit(source, list[at + LIST_END] - list[at + LIST_UDP] - udp.HEADER_BYTES, nowMs);
    if (reason !== 0) memory.counters[REFUSED_FIRST + reason] += 1;
    // Without budgets there is nothing to count for the next one of the same source.
    this.#sure = reason === 0 && gate.letsInAll ? source : NOBODY;
    return reason === 0;
  }
}

/** Moves the entry at `at` up behind the `kept` entries; returns their number. */
function keep(list: Int32Array, at: number, kept: number): number {
  if (at !== kept * LIST_WORDS) move(list, at, list, kept);
  return kept + 1;
}

function move(from: Int32Array, at: number, to: Int32Array, row: number): void {
  const place = row * LIST_WORDS;
  to[place] = from[at];
  to[place + 1] = from[at + 1];
  to[place + 2] = from[at + 2];
  to[place + 3] = from[at + 3];
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
