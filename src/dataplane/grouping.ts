/**
 * Puts the rows of a batch in an order in which frames to one node follow each other.
 *
 * A node that sleeps is woken by the first frame it gets. With the rest of its share right behind, it finds them all
 * waiting when it runs; spread over the batch they would wake it again and again, and a wake-up costs the sender more than
 * a frame does. Within a node, and among rows that go to none, the order of arrival stays.
 */
import { ROW_WORDS } from '../port/port.ts';

/** Group of a row that goes to no node. */
export const NO_NODE = -1;
const NOTHING = -1;

export class Grouping {
  /** Node of each row, or NO_NODE; written by whoever handles the row. */
  readonly nodes: Int32Array;
  /** Row behind this one in its group. */
  readonly #next: Int32Array;
  /** First row of each group, in order of appearance; at most one group a row. */
  readonly #firsts: Int32Array;
  /** Last row so far of each node's group, shifted by one so that NO_NODE has a place. */
  readonly #lasts: Int32Array;

  constructor(rowsMax: number, nodesMax: number) {
    this.nodes = new Int32Array(rowsMax);
    this.#next = new Int32Array(rowsMax);
    this.#firsts = new Int32Array(rowsMax);
    this.#lasts = new Int32Array(nodesMax + 1).fill(NOTHING);
  }

  /** Copies the first `rows` rows of `from`, grouped, to `to`. */
  arrange(from: Int32Array, to: Int32Array, rows: number): void {
    const groups = this.#link(rows);
    let at = 0;
    for (let group = 0; group < groups; group++) {
      let row = this.#firsts[group];
      this.#lasts[this.nodes[row] + 1] = NOTHING;
      for (; row !== NOTHING; row = this.#next[row]) {
        copyRow(from, row * ROW_WORDS, to, at);
        at += ROW_WORDS;
      }
    }
  }

  #link(rows: number): number {
    let groups = 0;
    for (let row = 0; row < rows; row++) {
      const node = this.nodes[row] + 1;
      const last = this.#lasts[node];
      if (last === NOTHING) this.#firsts[groups++] = row;
      else this.#next[last] = row;
      this.#next[row] = NOTHING;
      this.#lasts[node] = row;
    }
    return groups;
  }
}

function copyRow(from: Int32Array, row: number, to: Int32Array, at: number): void {
  to[at] = from[row];
  to[at + 1] = from[row + 1];
  to[at + 2] = from[row + 2];
  to[at + 3] = from[row + 3];
}
