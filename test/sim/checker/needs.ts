/**
 * Which values are still to be read, and what can still bring them about: the search's reason to turn back early.
 *
 * A value is begun by an operation that names it (set and its kin, a counter's answer) or, where values are appended to,
 * by one that names a part of it. Once every beginning of a value is taken and a read of it is left, the register must
 * go on holding (a part of) it.
 */
import { isOpen, type Operation } from './operation.ts';
import { type Register, trimmed } from './register.ts';

export class Needs {
  /** Every value that is written (and foreseen) is written once. */
  readonly isUnique: boolean;
  /** Values are made by their writes alone: nothing is appended, prepended or counted. */
  readonly isPlain: boolean;
  private readonly growing: boolean;
  private readonly counting: boolean;
  /** Of a value that the register had: those to be read that hold it. */
  private readonly wholes = new Map<string, readonly number[]>();
  private readonly values: string[];
  /** All values, each with a zero byte behind it, and where each starts: one search finds all that hold a part. */
  private readonly joined: string;
  private readonly starts: Int32Array;
  private readonly numbers = new Map<string, number>();
  /** Per value: reads left, beginnings left. */
  private readonly reads: Int32Array;
  private readonly beginnings: Int32Array;
  /** Per operation: the value that it reads (−1: none), the values that it begins. */
  private readonly readOf: Int32Array;
  private readonly begun: (readonly number[])[];
  /** Values with reads and without beginnings. */
  private readonly bound = new Set<number>();

  constructor(operations: readonly Operation[]) {
    this.growing = operations.some(op => isStored(op) && (op.verb === 'append' || op.verb === 'prepend'));
    this.counting = operations.some(op => op.verb === 'incr' || op.verb === 'decr');
    this.isPlain = !this.growing && !this.counting;
    const written = operations.map(writtenBy).filter(value => value !== undefined);
    this.isUnique = this.isPlain && new Set(written).size === written.length;
    for (const op of operations) {
      const value = readBy(op);
      if (value !== undefined && !this.numbers.has(value)) this.numbers.set(value, this.numbers.size);
    }
    this.values = [...this.numbers.keys()];
    this.joined = this.values.map(value => `${value}\u0000`).join('');
    this.starts = new Int32Array(this.values.length + 1);
    for (const [i, value] of this.values.entries()) this.starts[i + 1] = this.starts[i]! + value.length + 1;
    this.reads = new Int32Array(this.values.length);
    this.beginnings = new Int32Array(this.values.length);
    this.readOf = Int32Array.from(operations, op => this.numbers.get(readBy(op) ?? '\n') ?? -1);
    this.begun = operations.map(op => this.valuesBegunBy(writtenBy(op)));
    this.addUnforeseen(operations);
    for (let i = 0; i < operations.length; i++) this.untake(i);
  }

  /** Is a read of what this operation writes left? */
  isWitnessed(index: number): boolean {
    return this.begun[index]!.some(value => this.reads[value]! > 0);
  }

  /** Can no read that is left return it, or what grows from it? Then one such value is as good as another. */
  isJunk(value: string): boolean {
    if (this.counting) return false;
    let wholes = this.wholes.get(value);
    if (wholes === undefined) {
      wholes = this.valuesBegunBy(value);
      this.wholes.set(value, wholes);
    }
    return !wholes.some(whole => this.reads[whole]! > 0);
  }

  /** May the register be left as `after` by this operation, for all that is still to be read? */
  allows(index: number, after: Register): boolean {
    for (const value of this.bound) {
      const isLast = this.readOf[index] === value && this.reads[value] === 1;
      if (!isLast && !this.isPart(after, value)) return false;
    }
    for (const value of this.begun[index]!) {
      if (this.beginnings[value] === 1 && this.reads[value]! > 0 && !this.isPart(after, value)) return false;
    }
    return true;
  }

  take(index: number): void {
    const read = this.readOf[index]!;
    if (read >= 0) {
      this.reads[read]!--;
      this.settle(read);
    }
    for (const value of this.begun[index]!) {
      this.beginnings[value]!--;
      this.settle(value);
    }
  }

  untake(index: number): void {
    const read = this.readOf[index]!;
    if (read >= 0) {
      this.reads[read]!++;
      this.settle(read);
    }
    for (const value of this.begun[index]!) {
      this.beginnings[value]!++;
      this.settle(value);
    }
  }

  private settle(value: number): void {
    if (this.reads[value]! > 0 && this.beginnings[value] === 0) this.bound.add(value);
    else this.bound.delete(value);
  }

  private isPart(register: Register, value: number): boolean {
    if (register === null) return false;
    return this.growing ? this.values[value]!.includes(register.value) : register.value === this.values[value];
  }

  private valuesBegunBy(written: string | undefined): number[] {
    if (written === undefined) return [];
    if (this.growing) return this.valuesWith(written);
    const same = this.numbers.get(written);
    return same === undefined ? [] : [same];
  }

  private valuesWith(part: string): number[] {
    const found: number[] = [];
    if (part === '') return this.values.map((_, i) => i);
    for (let at = this.joined.indexOf(part); at >= 0; ) {
      const value = this.valueAt(at);
      found.push(value);
      at = this.joined.indexOf(part, this.starts[value + 1]);
    }
    return found;
  }

  private valueAt(position: number): number {
    let low = 0;
    let high = this.values.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** A counter without a reply may have made any number: values with digits are never given up. */
  private addUnforeseen(operations: readonly Operation[]): void {
    if (!operations.some(op => (op.verb === 'incr' || op.verb === 'decr') && isOpen(op))) return;
    for (const [i, value] of this.values.entries()) if (/\d/.test(value)) this.beginnings[i] = 1;
  }
}

/** The value that an operation returned. */
export function readBy(op: Operation): string | undefined {
  return op.outcome === 'value' && !isOpen(op) ? trimmed(op.read!) : undefined;
}

/** The value that is there after it, as far as it is named. */
export function writtenBy(op: Operation): string | undefined {
  if (op.outcome === 'number' && !isOpen(op)) return op.read;
  if (op.verb === 'append' || op.verb === 'prepend' || op.value === undefined) return undefined;
  return isStored(op) ? trimmed(op.value) : undefined;
}

/** Needs an item, whichever. */
export function needsSomeItem(op: Operation): boolean {
  if (op.verb === 'add') return op.outcome === 'not_stored';
  if (/^(replace|append|prepend)$/.test(op.verb)) return isOpen(op) || op.outcome === 'stored';
  if (op.verb === 'cas') return isOpen(op) || op.outcome !== 'not_found';
  return op.outcome === 'deleted' || op.outcome === 'touched';
}

function isStored(op: Operation): boolean {
  return isOpen(op) || op.outcome === 'stored';
}
