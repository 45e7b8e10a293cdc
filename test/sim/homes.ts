/**
 * When keys moved from node to node. A key without state in Keysteer is as correct as the one memcached that it lives on;
 * what an earlier home has kept of it is another matter. So a history is judged piece by piece, each with one home.
 *
 *     ──── one home ────┤from    to├──── the next ────
 *                        table out  every lane has it
 */

export interface Move {
  readonly fromMs: number;
  /** Infinite while some lane may still steer the old way. */
  toMs: number;
}

export class HomeLog {
  readonly #homes = new Map<string, number>();
  readonly #moves = new Map<string, Move[]>();
  #open: Move[] = [];

  /** A table is out by which the key lives there. */
  note(key: string, home: number, atMs: number): void {
    const before = this.#homes.get(key);
    this.#homes.set(key, home);
    if (before === undefined || before === home) return;
    const move = { fromMs: atMs, toMs: Number.POSITIVE_INFINITY };
    this.#open.push(move);
    const moves = this.#moves.get(key);
    if (moves === undefined) this.#moves.set(key, [move]);
    else moves.push(move);
  }

  /** Every lane steers by the last table. */
  noteTaken(atMs: number): void {
    for (const move of this.#open) move.toMs = atMs;
    this.#open.length = 0;
  }

  movesOf(key: string): readonly Move[] {
    return this.#moves.get(key) ?? [];
  }

  get moves(): number {
    let sum = 0;
    for (const moves of this.#moves.values()) sum += moves.length;
    return sum;
  }
}
