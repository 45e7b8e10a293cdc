/** Where keys lived, and when they moved. */

/** The time that a key lived on one node. */
export interface Home {
  /** IPv4 address. */
  readonly node: number;
  /** When a table was out by which it lives there, and when every lane had taken that up; minus infinity for the first. */
  readonly movedMs: number;
  fromMs: number;
  /** When the table was out by which it lives elsewhere. */
  untilMs: number;
}

export class HomeLog {
  readonly #homes = new Map<string, Home[]>();
  #open: Home[] = [];
  /** Keys that moved, each time counted. */
  moves = 0;

  /** A table is out by which the key lives there. */
  note(key: string, node: number, atMs: number): void {
    const homes = this.#homes.get(key);
    if (homes === undefined) {
      const first = { node, movedMs: Number.NEGATIVE_INFINITY, fromMs: Number.NEGATIVE_INFINITY };
      this.#homes.set(key, [{ ...first, untilMs: Number.POSITIVE_INFINITY }]);
      return;
    }
    const last = homes.at(-1)!;
    if (last.node === node) return;
    last.untilMs = atMs;
    const home = { node, movedMs: atMs, fromMs: Number.POSITIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };
    homes.push(home);
    this.#open.push(home);
    this.moves++;
  }

  /** Every lane steers by the last table. */
  noteTaken(atMs: number): void {
    for (const home of this.#open) home.fromMs = atMs;
    this.#open = [];
  }

  of(key: string): readonly Home[] {
    return this.#homes.get(key) ?? [];
  }
}
