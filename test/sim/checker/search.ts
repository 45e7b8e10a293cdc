/**
 * The exhaustive search: Wing & Gong (1993) with Lowe's memory of (operations taken, register), after Lowe, "Testing for
 * linearizability" (2017), and Horn & Kroening (2015). For one key.
 *
 * Take one operation after another that may come next (nothing that is left ended before it began) and that the
 * register allows; go back when stuck. What keeps it near-linear on real histories:
 *
 * - an operation that changes nothing and is allowed now is taken at once, without alternatives;
 * - a value that is still to be read and can no more be written must not be left;
 * - a write without a reply is taken only where the next operation cares, and of those whose values nobody reads one
 *   stands for all;
 * - (taken, register) pairs are remembered: what is left of all that began until now, the replyless ones taken (64
 *   random bits each, summed by xor), the register.
 */
import { Needs, needsSomeItem, readBy, writtenBy } from './needs.ts';
import { endOf, isOpen, type Operation } from './operation.ts';
import { ILLEGAL, type Order, type Register, step } from './register.ts';

export type Found = 'linearizable' | 'not linearizable' | 'undecided';

interface Frame {
  /** Operations taken in this step without alternatives, then the one chosen; to be given back. */
  readonly taken: number[];
  /** Candidates with the registers that they lead to, the last one first. */
  readonly candidates: number[];
  readonly results: Register[];
  readonly register: Register;
  readonly earliest: number;
  /** What `candidates` was made from: the last operation if it had no reply, and the register before it. */
  readonly openBefore: Register | undefined;
}

const NOTHING = -1;

export class Search implements Order {
  earliest = Number.NEGATIVE_INFINITY;
  latest = Number.POSITIVE_INFINITY;
  readonly slack_ms: number;
  private readonly steps_max: number;
  private readonly operations: Operation[];
  /** Operations 0 … required−1 have replies. */
  private readonly required: number;
  private readonly isTaken: Uint8Array;
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly end: number;
  private readonly tokensTaken = new Map<string, number>();
  private readonly tokensKnown = new Set<string>();
  private readonly needs: Needs;
  /** Per replyless operation: the one before it that asks the same, −1: none. That one is taken first. */
  private readonly twins: Int32Array;
  private readonly isTimed: boolean;
  /** A touch may give another time to live to what a replyless write has stored. */
  private readonly isTouchy: boolean;
  private readonly seen = new Map<string, number>();
  private readonly openWords: Int32Array;
  private readonly openSum = new Int32Array(2);
  private steps = 0;

  constructor(history: readonly Operation[], slack_ms: number, steps_max: number) {
    this.slack_ms = slack_ms;
    this.steps_max = steps_max;
    const closed = history.filter(op => !isOpen(op)).sort((a, b) => a.invokedAt - b.invokedAt);
    const open = history.filter(op => isOpen(op) && mayMatter(op)).sort((a, b) => a.invokedAt - b.invokedAt);
    this.operations = [...closed, ...open];
    this.required = closed.length;
    this.end = this.required;
    this.isTaken = new Uint8Array(this.operations.length);
    this.next = Int32Array.from({ length: this.required + 1 }, (_, i) => (i === this.required ? 0 : i + 1));
    this.previous = Int32Array.from({ length: this.required + 1 }, (_, i) => (i === 0 ? this.required : i - 1));
    this.needs = new Needs(this.operations);
    this.twins = twinsOf(open, this.required);
    for (const op of closed) if (op.cas !== undefined) this.tokensKnown.add(op.cas);
    this.isTimed = history.some(op => op.ttl);
    this.isTouchy = open.some(op => op.ttl !== undefined && op.value !== undefined);
    this.openWords = randomWords(open.length * 2);
  }

  isSeen(token: string): boolean {
    return (this.tokensTaken.get(token) ?? 0) > 0;
  }

  isKnown(token: string): boolean {
    return this.tokensKnown.has(token);
  }

  run(): Found {
    const stack: Frame[] = [];
    let frame = this.enter(null, undefined);
    for (;;) {
      if (frame === 'done') return 'linearizable';
      if (++this.steps > this.steps_max) return 'undecided';
      const chosen = frame.candidates.pop();
      if (chosen === undefined) {
        this.giveBack(frame);
        const above = stack.pop();
        if (above === undefined) return 'not linearizable';
        this.untake(above.taken.pop()!);
        frame = above;
        continue;
      }
      const register = frame.results.pop()!;
      this.earliest = frame.earliest;
      this.take(chosen);
      frame.taken.push(chosen);
      stack.push(frame);
      frame = this.enter(register, chosen >= this.required ? frame.register : undefined);
    }
  }

  /** Takes what binds nothing, then lists what may come next. */
  private enter(start: Register, openBefore: Register | undefined): Frame | 'done' {
    const taken: number[] = [];
    let register = start;
    let free = openBefore === undefined ? this.freeOne(register) : NOTHING;
    while (free !== NOTHING) {
      register = this.resultOf(free, register) as Register;
      this.take(free);
      taken.push(free);
      free = this.freeOne(register);
    }
    if (this.next[this.end] === this.end) return 'done';
    const frame: Frame = {
      taken,
      candidates: [],
      results: [],
      register,
      earliest: this.earliest,
      openBefore,
    };
    if (this.isNew(register)) this.list(frame);
    return frame;
  }

  /** An operation that may come next, is allowed, and leaves the register as it is. */
  private freeOne(register: Register): number {
    let ends = Number.POSITIVE_INFINITY;
    for (let i = this.next[this.end]!; i !== this.end; i = this.next[i]!) {
      const op = this.operations[i]!;
      if (op.invokedAt > ends) break;
      ends = Math.min(ends, endOf(op));
    }
    for (let i = this.next[this.end]!; i !== this.end; i = this.next[i]!) {
      const op = this.operations[i]!;
      if (op.invokedAt > ends) break;
      const after = this.resultOf(i, register);
      if (after === ILLEGAL) continue;
      if ((after === register && !this.mayProlong(op)) || (this.needs.isUnique && isPlainRead(op))) return i;
    }
    return NOTHING;
  }

  /** A touch that changes nothing now may be what keeps another item alive later. */
  private mayProlong(op: Operation): boolean {
    return this.isTimed && (op.outcome === 'touched' || (op.verb === 'gat' && op.outcome === 'value'));
  }

  private list(frame: Frame): void {
    let ends = Number.POSITIVE_INFINITY;
    const near: number[] = [];
    for (let i = this.next[this.end]!; i !== this.end; i = this.next[i]!) {
      if (this.operations[i]!.invokedAt > ends) break;
      ends = Math.min(ends, endOf(this.operations[i]!));
      near.push(i);
    }
    this.listOpen(frame, near, ends);
    near.sort((a, b) => endOf(this.operations[b]!) - endOf(this.operations[a]!));
    for (const i of near) if (this.operations[i]!.invokedAt <= ends) this.propose(frame, i);
  }

  /** Replyless operations: those that one of the near ones may care for. */
  private listOpen(frame: Frame, near: readonly number[], ends: number): void {
    const open: number[] = [];
    for (let i = this.required; i < this.operations.length && this.operations[i]!.invokedAt <= ends; i++) {
      const twin = this.twins[i - this.required]!;
      if (this.isTaken[i] === 0 && (twin < 0 || this.isTaken[twin] === 1)) open.push(i);
    }
    const readNear = new Set(near.map(i => readBy(this.operations[i]!)));
    const needsAny =
      near.some(i => this.operations[i]!.verb === 'cas') ||
      (this.isTouchy && near.some(i => isTouch(this.operations[i]!))) ||
      open.some(i => this.operations[i]!.verb === 'cas' && (!this.needs.isUnique || this.needs.isWitnessed(i))) ||
      ((frame.register === null || this.isTimed) &&
        (near.some(i => needsSomeItem(this.operations[i]!)) ||
          open.some(i => needsSomeItem(this.operations[i]!) && (!this.needs.isUnique || this.needs.isWitnessed(i)))));
    if (!this.needs.isUnique) {
      for (const i of open) if (needsAny || !this.makesJunk(i, frame.register)) this.propose(frame, i);
      return;
    }
    let hasStandIn = false;
    for (const i of open) {
      if (readNear.has(writtenBy(this.operations[i]!)) || changesLife(this.operations[i]!)) this.propose(frame, i);
      else if (needsAny && (this.needs.isWitnessed(i) || !hasStandIn || this.isTimed)) {
        const before = frame.candidates.length;
        this.propose(frame, i);
        hasStandIn ||= !this.needs.isWitnessed(i) && frame.candidates.length > before;
      }
    }
  }

  private makesJunk(index: number, register: Register): boolean {
    const after = this.resultOf(index, register);
    return after !== ILLEGAL && after !== null && after.value !== register?.value && this.needs.isJunk(after.value);
  }

  private propose(frame: Frame, index: number): void {
    const after = this.resultOf(index, frame.register);
    if (after === ILLEGAL || !this.needs.allows(index, after)) return;
    if (index >= this.required && after === frame.register) return;
    if (frame.openBefore !== undefined && this.isIndifferent(index, frame.openBefore, after)) return;
    frame.candidates.push(index);
    frame.results.push(after);
  }

  private resultOf(index: number, register: Register): Register | typeof ILLEGAL {
    const op = this.operations[index]!;
    const earliest = this.earliest;
    this.earliest = Math.max(earliest, op.invokedAt);
    this.latest = op.ttl === undefined || op.ttl <= 0 ? Number.POSITIVE_INFINITY : this.latestOf(index);
    const after = step(register, op, this);
    this.earliest = earliest;
    return after;
  }

  /** All that is left comes after it. */
  private latestOf(index: number): number {
    let latest = endOf(this.operations[index]!);
    for (let i = this.next[this.end]!; i !== this.end; i = this.next[i]!) {
      if (this.operations[i]!.invokedAt > latest) break;
      latest = Math.min(latest, endOf(this.operations[i]!));
    }
    return latest;
  }

  /** Would the same register come out without the replyless operation just before? */
  private isIndifferent(index: number, before: Register, after: Register): boolean {
    const without = this.resultOf(index, before);
    return without !== ILLEGAL && without?.deadline === after?.deadline && this.keyOf(without) === this.keyOf(after);
  }

  /**
   * What is taken is told by what is left among all that began until now; nothing later is taken. Whoever may live longer
   * can do all that the other can.
   */
  private isNew(register: Register): boolean {
    let key = `${this.earliest},${this.openSum[0]},${this.openSum[1]}`;
    for (
      let i = this.next[this.end]!;
      i !== this.end && this.operations[i]!.invokedAt <= this.earliest;
      i = this.next[i]!
    ) {
      key += `,${i}`;
    }
    key += this.keyOf(register);
    const deadline = register?.deadline ?? 0;
    if ((this.seen.get(key) ?? Number.NEGATIVE_INFINITY) >= deadline) return false;
    this.seen.set(key, deadline);
    return true;
  }

  private keyOf(register: Register): string {
    if (register === null) return '-';
    const { value, flags, token = '' } = register;
    return this.needs.isJunk(value) ? `?|${token}` : `|${value}|${flags}|${token}`;
  }

  private take(index: number): void {
    const op = this.operations[index]!;
    this.isTaken[index] = 1;
    this.earliest = Math.max(this.earliest, op.invokedAt);
    this.count(op, index, 1);
    if (index >= this.required) return;
    this.next[this.previous[index]!] = this.next[index]!;
    this.previous[this.next[index]!] = this.previous[index]!;
  }

  private untake(index: number): void {
    this.isTaken[index] = 0;
    this.count(this.operations[index]!, index, -1);
    if (index >= this.required) return;
    this.next[this.previous[index]!] = index;
    this.previous[this.next[index]!] = index;
  }

  private giveBack(frame: Frame): void {
    for (let i = frame.taken.length - 1; i >= 0; i--) this.untake(frame.taken[i]!);
  }

  private count(op: Operation, index: number, by: 1 | -1): void {
    if (op.cas !== undefined && index < this.required) add(this.tokensTaken, op.cas, by);
    if (by === 1) this.needs.take(index);
    else this.needs.untake(index);
    if (index < this.required) return;
    const at = (index - this.required) * 2;
    this.openSum[0]! ^= this.openWords[at]!;
    this.openSum[1]! ^= this.openWords[at + 1]!;
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

/** Without a reply: reads bind nothing, and an item may vanish without a deletion. */
function mayMatter(op: Operation): boolean {
  return op.verb !== 'get' && op.verb !== 'gets' && op.verb !== 'delete' && op.verb !== 'flush_all';
}

function isTouch(op: Operation): boolean {
  return op.verb === 'touch' && op.outcome === 'touched';
}

function changesLife({ verb }: Operation): boolean {
  return verb === 'touch' || verb === 'gat';
}

function isPlainRead(op: Operation): boolean {
  return (op.verb === 'get' || op.verb === 'gets') && op.outcome === 'value';
}

/** Operations that ask the same are taken in the order in which they began: the earlier one may do all that the later may. */
function twinsOf(open: readonly Operation[], required: number): Int32Array {
  const latest = new Map<string, number>();
  return Int32Array.from(open, ({ verb, value, flags, ttl, token, amount }, i) => {
    const request = JSON.stringify([verb, value, flags, ttl, token, amount]);
    const twin = latest.get(request) ?? -1;
    latest.set(request, required + i);
    return twin;
  });
}

function randomWords(count: number): Int32Array {
  let state = 0x9e3779b9;
  return Int32Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  });
}
