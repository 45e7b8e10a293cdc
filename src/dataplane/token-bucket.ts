/** A limit on how often something may happen: `rate` a second on average, `burst` at once. Time is passed in. */
const MS_PER_S = 1000;

export class TokenBucket {
  readonly #rate: number;
  /** Both in thousandths: whole numbers at a ms's resolution. */
  readonly #full: number;
  #level: number;
  #filledMs = 0;

  constructor(rate: number, burst: number) {
    this.#rate = rate;
    this.#full = burst * MS_PER_S;
    this.#level = this.#full;
  }

  /** @param nowMs of the lane's clock, wrapping */
  take(nowMs: number): boolean {
    const passedMs = Math.min((nowMs - this.#filledMs) >>> 0, MS_PER_S * MS_PER_S);
    this.#filledMs = nowMs;
    this.#level = Math.min(this.#full, this.#level + passedMs * this.#rate);
    if (this.#level < MS_PER_S) return false;
    this.#level -= MS_PER_S;
    return true;
  }
}
