/**
 * Identifications for the datagrams that Keysteer sends in fragments. RFC 791 and 6864: none may come twice from the same
 * address to the same one while fragments of the first may still be under way. All lanes send from the same address, so
 * each has every n-th number for itself, and counts them per destination (those that share a counter by their hash only
 * use it up sooner). Where the counters begin is nobody else's to know (RFC 7739).
 */

const COUNTERS = 256;

export class Identifications {
  readonly #next = new Uint16Array(COUNTERS);
  readonly #lane: number;
  readonly #laneBits: number;
  readonly #seed: number;

  constructor(lane: number, lanes: number, seed: number) {
    this.#lane = lane;
    this.#laneBits = Math.ceil(Math.log2(lanes));
    this.#seed = seed | 1;
    for (let i = 0; i < COUNTERS; i++) this.#next[i] = mix(i, this.#seed);
  }

  next(destination: number): number {
    const counter = mix(destination, this.#seed) >>> 24;
    const count = this.#next[counter];
    this.#next[counter] = count + 1;
    return ((count << this.#laneBits) | this.#lane) & 0xffff;
  }
}

function mix(word: number, seed: number): number {
  const mixed = Math.imul(word ^ seed, 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca77);
}
