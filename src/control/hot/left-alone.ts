/** Keys that are better left alone for a while, by hash: longer each time that they turn out so again. */

/** Twice as long each time, so many times at most. */
const DOUBLINGS_MAX = 5;
const KEYS_MAX = 4096;

interface Spell {
  /** In words that follow a colon. */
  readonly why: string;
  readonly ms: number;
  readonly untilMs: number;
}

export class LeftAlone {
  readonly #spells = new Map<number, Spell>();

  get size(): number {
    return this.#spells.size;
  }

  has(hash: number, nowMs: number): boolean {
    const spell = this.#spells.get(hash);
    return spell !== undefined && nowMs < spell.untilMs;
  }

  /** The spell that the key is in, if it is in one. */
  of(hash: number, nowMs: number): Spell | undefined {
    return this.has(hash, nowMs) ? this.#spells.get(hash) : undefined;
  }

  /** @param ms the first time */
  add(hash: number, nowMs: number, ms: number, why: string): void {
    const before = this.#spells.get(hash);
    const next = before === undefined ? ms : Math.min(Math.max(ms, 2 * before.ms), ms << DOUBLINGS_MAX);
    this.#spells.delete(hash);
    if (this.#spells.size >= KEYS_MAX) this.#spells.delete(this.#spells.keys().next().value!);
    this.#spells.set(hash, { why, ms: next, untilMs: nowMs + next });
  }

  /** Now and then: who has behaved for as long as it was left alone is forgotten. */
  sweep(nowMs: number): void {
    for (const [hash, { ms, untilMs }] of this.#spells) if (nowMs > untilMs + ms) this.#spells.delete(hash);
  }

  delete(hash: number): void {
    this.#spells.delete(hash);
  }
}
