/**
 * What is to happen when: a binary heap over preallocated rows, and the virtual clock. Events of the same moment happen in
 * an order drawn by lot from the seed, so that no order is taken for granted.
 *
 *     row   TIME (ms)   TIE (drawn)   TARGET   KIND, ARGUMENT: whatever the target makes of them
 */
import { Digest } from './digest.ts';
import type { Random } from './random.ts';

export interface EventTarget {
  /** Something that was scheduled happens now. */
  happen(kind: number, argument: number): void;
}

/** An action that happens once, for what is too rare to have a target of its own. */
export class Action implements EventTarget {
  readonly #act: () => void;

  constructor(act: () => void) {
    this.#act = act;
  }

  happen(): void {
    this.#act();
  }
}

const FIRST_CAPACITY = 1024;

export class EventQueue {
  /** ms, with fractions. */
  nowMs: number;
  /** Of all that has happened. */
  readonly digest = new Digest();
  /** Events that have happened. */
  count = 0;
  readonly #random: Random;
  #times = new Float64Array(FIRST_CAPACITY);
  #ties = new Int32Array(FIRST_CAPACITY);
  #kinds = new Int32Array(FIRST_CAPACITY);
  #arguments = new Float64Array(FIRST_CAPACITY);
  readonly #targets: (EventTarget | undefined)[] = [];
  /** Heap of rows; then rows that are free, from the end. */
  #heap = new Int32Array(FIRST_CAPACITY);
  #free: number[] = [];
  #size = 0;

  constructor(random: Random, startMs: number) {
    this.#random = random;
    this.nowMs = startMs;
    for (let row = FIRST_CAPACITY - 1; row >= 0; row--) this.#free.push(row);
  }

  /** Events that are to come. */
  get size(): number {
    return this.#size;
  }

  /** When the next event is due; infinity when there is none. */
  get nextMs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#times[this.#heap[0]!]!;
  }

  /** @param ms of the clock; what lies in the past happens next */
  at(ms: number, target: EventTarget, kind = 0, argument = 0): void {
    if (this.#free.length === 0) this.#grow();
    const row = this.#free.pop()!;
    this.#times[row] = Math.max(ms, this.nowMs);
    this.#ties[row] = this.#random.word();
    this.#kinds[row] = kind;
    this.#arguments[row] = argument;
    this.#targets[row] = target;
    this.#rise(this.#size++, row);
  }

  in(ms: number, target: EventTarget, kind = 0, argument = 0): void {
    this.at(this.nowMs + ms, target, kind, argument);
  }

  /** Lets the next event happen; false when there is none. */
  step(): boolean {
    if (this.#size === 0) return false;
    const row = this.#heap[0]!;
    const last = this.#heap[--this.#size]!;
    if (this.#size > 0) this.#sink(last);
    this.nowMs = this.#times[row]!;
    const target = this.#targets[row]!;
    const kind = this.#kinds[row]!;
    const argument = this.#arguments[row]!;
    this.#targets[row] = undefined;
    this.#free.push(row);
    this.count++;
    this.digest.time(this.nowMs);
    this.digest.word(kind);
    target.happen(kind, argument);
    return true;
  }

  #isBefore(a: number, b: number): boolean {
    const before = this.#times[a]! - this.#times[b]!;
    return before !== 0 ? before < 0 : this.#ties[a]! < this.#ties[b]!;
  }

  #rise(from: number, row: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = this.#heap[parent]!;
      if (!this.#isBefore(row, other)) break;
      this.#heap[at] = other;
      at = parent;
    }
    this.#heap[at] = row;
  }

  #sink(row: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#isBefore(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      if (!this.#isBefore(this.#heap[child]!, row)) break;
      this.#heap[at] = this.#heap[child]!;
      at = child;
    }
    this.#heap[at] = row;
  }

  #grow(): void {
    const before = this.#times.length;
    const capacity = before * 2;
    this.#times = grown(this.#times, new Float64Array(capacity));
    this.#arguments = grown(this.#arguments, new Float64Array(capacity));
    this.#ties = grown(this.#ties, new Int32Array(capacity));
    this.#kinds = grown(this.#kinds, new Int32Array(capacity));
    this.#heap = grown(this.#heap, new Int32Array(capacity));
    for (let row = capacity - 1; row >= before; row--) this.#free.push(row);
  }
}

function grown<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
