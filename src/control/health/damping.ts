/**
 * Flap damping in the spirit of RFC 2439: each time a node is taken out its penalty grows by one, and while it is in
 * service the penalty halves with every half-life. How long a node must answer before it may return doubles with each
 * point of penalty:
 *
 *     hold = base · 2^(penalty − 1), at most the maximum
 *
 * So a node that fails for the first time in a long while waits `base`, one that fails again as soon as it is back waits
 * twice as long each time, and one that has behaved for a few half-lives starts afresh.
 */
export class Damping {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #halfLifeMs: number;
  #penalty = 0;
  /** Since when the penalty fades; undefined while the node is out. */
  #fadesFromMs: number | undefined = 0;

  constructor(baseMs: number, maxMs: number, halfLifeMs: number) {
    this.#baseMs = baseMs;
    this.#maxMs = maxMs;
    this.#halfLifeMs = halfLifeMs;
  }

  penalty(nowMs: number): number {
    const fadedMs = nowMs - (this.#fadesFromMs ?? nowMs);
    return this.#penalty * 2 ** (-fadedMs / this.#halfLifeMs);
  }

  /** The node is taken out; returns how long it must answer before it may return, ms. */
  hit(nowMs: number): number {
    this.#penalty = this.penalty(nowMs) + 1;
    this.#fadesFromMs = undefined;
    return Math.min(this.#baseMs * 2 ** (this.#penalty - 1), this.#maxMs);
  }

  /** The node is back in service. */
  release(nowMs: number): void {
    this.#fadesFromMs ??= nowMs;
  }
}
