/**
 * Which row of the neighbour table a next hop has, and for how many nodes. A row is given back once no node needs it;
 * lane 0 then wipes it, and it goes to the next that asks.
 */
import type { Neighbours } from '../dataplane/neighbours.ts';

export class NextHops {
  readonly #neighbours: Neighbours;
  readonly #rowsMax: number;
  /** Row → nodes behind it. */
  readonly #users = new Map<number, number>();

  constructor(neighbours: Neighbours, rowsMax: number) {
    this.#neighbours = neighbours;
    this.#rowsMax = rowsMax;
  }

  /** Row for the next hop of one node more, or −1 when there is none left. */
  take(address: number): number {
    if (!this.#hasRoom(address)) return -1;
    const row = this.#neighbours.add(address);
    this.#users.set(row, (this.#users.get(row) ?? 0) + 1);
    return row;
  }

  /** One node less. No table in use may name the row for it, and no frame wait. */
  give(row: number): void {
    const users = this.#users.get(row) ?? 0;
    if (users === 0) throw new RangeError(`next hops: row ${row} is nobody's`);
    if (users > 1) {
      this.#users.set(row, users - 1);
    } else {
      this.#users.delete(row);
      this.#neighbours.remove(row);
    }
  }

  #hasRoom(address: number): boolean {
    const { count } = this.#neighbours;
    if (count < this.#rowsMax) return true;
    for (let row = 0; row < count; row++) {
      if (this.#neighbours.address(row) === address || this.#neighbours.isBlank(row)) return true;
    }
    return false;
  }
}
