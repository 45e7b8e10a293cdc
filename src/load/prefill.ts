/** Writes each key once, in order; a write whose reply was lost is done again, as soon as that is known. */
export class Prefill {
  readonly count: number;
  readonly #end: number;
  #next: number;
  /** Keys whose write was lost; at most as many as may be outstanding. */
  readonly #again: Int32Array;
  #againCount = 0;
  #settled = 0;
  #retries = 0;

  constructor(first: number, count: number, window: number) {
    this.count = count;
    this.#next = first;
    this.#end = first + count;
    this.#again = new Int32Array(window);
  }

  /** Nothing to write now; some may still be outstanding. */
  get exhausted(): boolean {
    return this.#againCount === 0 && this.#next === this.#end;
  }

  get done(): boolean {
    return this.#settled === this.count;
  }

  /** Keys that have an answer. */
  get settled(): number {
    return this.#settled;
  }

  get retries(): number {
    return this.#retries;
  }

  /** The key to write; not to be asked for when `exhausted`. */
  next(): number {
    return this.#againCount > 0 ? (this.#again[--this.#againCount] as number) : this.#next++;
  }

  settle(): void {
    this.#settled++;
  }

  retry(key: number): void {
    this.#again[this.#againCount++] = key;
    this.#retries++;
  }
}
