/**
 * What routers said of the paths beyond the first hop (ICMP "fragmentation needed", RFC 1191): the largest datagram that
 * reaches an address. Bounded and forgetful: a path that is not in it costs one lost datagram and the ICMP message.
 *
 *     an entry: ADDRESS (0: none), MTU, UNTIL (ms of the lane's clock)
 *
 * Four places for each hash of the address; a new address takes the one that will be forgotten soonest.
 */

const ENTRY_WORDS = 4;
const ADDRESS = 0;
const MTU = 1;
const UNTIL = 2;
const WAYS = 4;
const SETS = 64;
/** RFC 1191 6.3. */
const LIFETIME_MS = 600_000;
/**
 * Every host takes datagrams of this size (RFC 791), and no path that we know of is narrower, so less is a lie told to make
 * us work. Fragments larger than a path are fragmented on it: they may be.
 */
export const PATH_MTU_MIN = 576;
/** No path is wider. */
const ANY = 65_536;

export class PathMtus {
  readonly #entries = new Int32Array(SETS * WAYS * ENTRY_WORDS);

  /** Largest datagram that reaches `address`, as far as anybody said. */
  of(address: number, nowMs: number): number {
    const entries = this.#entries;
    const at = this.#find(address);
    if (at < 0) return ANY;
    if (((nowMs - entries[at + UNTIL]) | 0) < 0) return entries[at + MTU];
    entries[at + ADDRESS] = 0;
    return ANY;
  }

  /** A believed router said so. Never more than was known: a path that is wider again is found when this is forgotten. */
  learn(address: number, mtu: number, nowMs: number): void {
    const entries = this.#entries;
    const known = this.of(address, nowMs);
    const at = known === ANY ? this.#placeFor(address, nowMs) : this.#find(address);
    entries[at + ADDRESS] = address;
    entries[at + MTU] = Math.min(known, Math.max(mtu, PATH_MTU_MIN));
    entries[at + UNTIL] = (nowMs + LIFETIME_MS) | 0;
  }

  #find(address: number): number {
    const first = setOf(address);
    for (let at = first; at < first + WAYS * ENTRY_WORDS; at += ENTRY_WORDS) {
      if (this.#entries[at + ADDRESS] === address) return at;
    }
    return -1;
  }

  #placeFor(address: number, nowMs: number): number {
    const entries = this.#entries;
    const first = setOf(address);
    let best = first;
    for (let at = first; at < first + WAYS * ENTRY_WORDS; at += ENTRY_WORDS) {
      if (entries[at + ADDRESS] === 0) return at;
      if (((entries[at + UNTIL] - nowMs) | 0) < ((entries[best + UNTIL] - nowMs) | 0)) best = at;
    }
    return best;
  }
}

function setOf(address: number): number {
  const mixed = Math.imul(address ^ (address >>> 15), 0x9e3779b1);
  return (mixed >>> 26) * WAYS * ENTRY_WORDS;
}
