/**
 * gateway mode: which node sends from this address and port? A lane's own table, made anew when the steering table is
 * another one: open addressing, linear probing, at most a quarter full.
 * Each address stands there once more, with ANY_PORT: fragments but the first have no ports.
 *
 *     entry  ADDRESS   IPv4, 0: empty
 *            PORT      UDP
 *            NODE      row of the steering table
 */
import { mix32 } from '../mem/mix.ts';
import { nodeAddress, nodeCount, nodeEnabled, nodePort } from '../steer/lookup.ts';

const ANY_PORT = -1;

export class NodeIndex {
  readonly #mask: number;
  readonly #addresses: Int32Array;
  readonly #ports: Int32Array;
  readonly #nodes: Int32Array;
  #generation = 0;
  #isMade = false;

  constructor(nodesMax: number) {
    const entries = 1 << (32 - Math.clz32(8 * nodesMax - 1));
    this.#mask = entries - 1;
    this.#addresses = new Int32Array(entries);
    this.#ports = new Int32Array(entries);
    this.#nodes = new Int32Array(entries);
  }

  /** Takes up the steering table in use, if it is not the one of the last call. Rows between others may be nobody's. */
  follow(words: Int32Array, table: number, generation: number): void {
    if (this.#isMade && generation === this.#generation) return;
    this.#isMade = true;
    this.#generation = generation;
    this.#addresses.fill(0);
    for (let node = 0; node < nodeCount(words, table); node++) {
      if (nodeAddress(words, table, node) === 0 || !nodeEnabled(words, table, node)) continue;
      this.#add(nodeAddress(words, table, node), nodePort(words, table, node), node);
      this.#add(nodeAddress(words, table, node), ANY_PORT, node);
    }
  }

  /** Row of the node with this address and port, −1: none. */
  find(address: number, port: number): number {
    if (address === 0) return -1;
    const at = this.#entryFor(address, port);
    return this.#addresses[at] === 0 ? -1 : this.#nodes[at];
  }

  /** Whether some node has this address. */
  hasAddress(address: number): boolean {
    return this.find(address, ANY_PORT) >= 0;
  }

  #add(address: number, port: number, node: number): void {
    const at = this.#entryFor(address, port);
    this.#addresses[at] = address;
    this.#ports[at] = port;
    this.#nodes[at] = node;
  }

  /** The entry of this address and port, or the empty one where it would stand. */
  #entryFor(address: number, port: number): number {
    let at = mix32(address ^ (port << 16)) & this.#mask;
    while (this.#addresses[at] !== 0 && (this.#addresses[at] !== address || this.#ports[at] !== port)) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }
}
