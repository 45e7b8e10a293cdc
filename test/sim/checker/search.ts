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
import { endOf, isOpen, type Operation } from './operation.ts';
import { ILLEGAL, type Order, type Register, registerKey, step, trimmed } from './register.ts';

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
  private readonly slack_ms: number;
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
  private readonly reads = new Map<string, number>();
  private readonly writes = new Map<string, number>();
  /** Values come from sets alone: what nobody can write any more is known. */
  private readonly isPlain: boolean;
  /** No two writes of one value, and no arithmetic on values. */
  private readonly isUnique: boolean;
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
    this.isPlain = !history.some(producesUnforeseen);
    this.isUnique = this.countValues() && !history.some(op => op.verb === 'incr' || op.verb === 'decr');
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
      if (after === ILLEGAL || (this.isTouchy && isTouch(op))) continue;
      if (after === register || (this.isUnique && isPlainRead(op))) return i;
    }
    return NOTHING;
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
      if (this.isTaken[i] === 0) open.push(i);
    }
    if (!this.isUnique) {
      for (const i of open) this.propose(frame, i);
      return;
    }
    const readNear = new Set(near.map(i => readBy(this.operations[i]!)));
    const isWitnessed = (i: number): boolean => (this.reads.get(writtenBy(this.operations[i]!) ?? '') ?? 0) > 0;
    const needsAny =
      near.some(i => this.operations[i]!.outcome === 'exists') ||
      (this.isTouchy && near.some(i => isTouch(this.operations[i]!))) ||
      // An item with a time to live may have expired.
      ((frame.register === null || frame.register.deadline < Number.POSITIVE_INFINITY) &&
        (near.some(i => needsSomeItem(this.operations[i]!)) ||
          open.some(i => needsSomeItem(this.operations[i]!) && isWitnessed(i))));
    let hasStandIn = false;
    for (const i of open) {
      if (readNear.has(writtenBy(this.operations[i]!)) || changesLife(this.operations[i]!)) this.propose(frame, i);
      else if (needsAny && (isWitnessed(i) || !hasStandIn || this.isTimed)) {
        const before = frame.candidates.length;
        this.propose(frame, i);
        hasStandIn ||= !isWitnessed(i) && frame.candidates.length > before;
      }
    }
  }

  private propose(frame: Frame, index: number): void {
    const after = this.resultOf(index, frame.register);
    if (after === ILLEGAL || this.leavesUnread(index, frame.register, after)) return;
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
    return latest + this.slack_ms;
  }

  /** Would the same register come out without the replyless operation just before? */
  private isIndifferent(index: number, before: Register, after: Register): boolean {
    const without = this.resultOf(index, before);
    return without !== ILLEGAL && registerKey(without) === registerKey(after);
  }

  private leavesUnread(index: number, before: Register, after: Register): boolean {
    if (!this.isPlain || before === null || before.value === after?.value) return false;
    const own = readBy(this.operations[index]!) === before.value ? 1 : 0;
    const supply = (this.writes.get(before.value) ?? 0) - (writtenBy(this.operations[index]!) === before.value ? 1 : 0);
    return (this.reads.get(before.value) ?? 0) - own > 0 && supply <= 0;
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
    key += register === null ? '-' : `|${register.value}|${register.flags}|${register.token ?? ''}`;
    const deadline = register?.deadline ?? 0;
    if ((this.seen.get(key) ?? Number.NEGATIVE_INFINITY) >= deadline) return false;
    this.seen.set(key, deadline);
    return true;
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
    const read = readBy(op);
    if (read !== undefined) add(this.reads, read, -by);
    const written = writtenBy(op);
    if (written !== undefined) add(this.writes, written, -by);
    if (index < this.required) return;
    const at = (index - this.required) * 2;
    this.openSum[0]! ^= this.openWords[at]!;
    this.openSum[1]! ^= this.openWords[at + 1]!;
  }

  /** @returns is every written value written once, and foreseeable? */
  private countValues(): boolean {
    for (const op of this.operations) {
      if (op.cas !== undefined && !isOpen(op)) this.tokensKnown.add(op.cas);
      const read = readBy(op);
      if (read !== undefined) add(this.reads, read, 1);
      const written = writtenBy(op);
      if (written !== undefined) add(this.writes, written, 1);
    }
    return this.isPlain && [...this.writes.values()].every(count => count === 1);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

/** Without a reply: reads bind nothing, and an item may vanish without a deletion. */
function mayMatter(op: Operation): boolean {
  return op.verb !== 'get' && op.verb !== 'gets' && op.verb !== 'delete' && op.verb !== 'flush_all';
}

/** Makes a value that neither its request nor its reply names. */
function producesUnforeseen(op: Operation): boolean {
  if (op.verb === 'append' || op.verb === 'prepend') return isOpen(op) || op.outcome === 'stored';
  return (op.verb === 'incr' || op.verb === 'decr') && isOpen(op);
}

/** Needs an item, whichever. */
function needsSomeItem(op: Operation): boolean {
  if (op.verb === 'add') return op.outcome === 'not_stored';
  if (op.verb === 'replace') return isOpen(op) || op.outcome === 'stored';
  if (op.verb === 'cas') return isOpen(op) || op.outcome !== 'not_found';
  return op.outcome === 'deleted' || op.outcome === 'touched';
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

function readBy(op: Operation): string | undefined {
  return op.outcome === 'value' && !isOpen(op) ? trimmed(op.read!) : undefined;
}

function writtenBy(op: Operation): string | undefined {
  if (op.outcome === 'number' && !isOpen(op)) return op.read;
  if (op.verb === 'append' || op.verb === 'prepend' || op.value === undefined) return undefined;
  return isOpen(op) || op.outcome === 'stored' ? trimmed(op.value) : undefined;
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
