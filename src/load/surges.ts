/**
 * Keys that become hot from one moment to the next: at each instant another one, the coldest that has not had its turn,
 * takes a share of all requests, until the next instant. What is measured is the time from its instant until somebody
 * nearer than its server answers for it: such replies have passed fewer routers, so more is left of their IP TTL.
 *
 *     instant n    n · everyMs after measuring began
 *     its key      the last of all but n, and but `skip`
 */
import type { KeyNames } from './keys.ts';
import type { Random } from './random.ts';

export interface SurgeOptions {
  /** From one instant to the next, ms. */
  readonly everyMs: number;
  /** Of all requests, those for the key of the hour. */
  readonly share: number;
  /** A right value whose datagram has so much TTL left, or more, comes from nearer than the server. */
  readonly ttl: number;
  /** Keys that have had their turn in a run before. */
  readonly skip: number;
}

export interface SurgeResult {
  readonly key: string;
  /** From the instant to the first answer from nearby, ms; null when there was none until the next instant. */
  readonly treatedMs: number | null;
  /** Requests for the key, of both verbs, that were sent until then. */
  readonly requests: number;
}

/** `next`: the request is not for the key of the hour. */
export const NO_SURGE = -1;
const NEVER = -1;

export class Surges {
  readonly #every_ns: number;
  readonly #share: number;
  readonly #ttl: number;
  readonly #lastKey: number;
  readonly #random: Random;
  /** By instant: ns from it to the first answer from nearby, or NEVER; requests until then. */
  readonly #treated_ns: Float64Array;
  readonly #requests: Int32Array;
  #start_ns = Number.NaN;

  /** @param count instants that are whole: others have no key */
  constructor({ everyMs, share, ttl, skip }: SurgeOptions, count: number, keyCount: number, random: Random) {
    this.#every_ns = everyMs * 1e6;
    this.#share = share;
    this.#ttl = ttl;
    this.#lastKey = keyCount - 1 - skip;
    this.#random = random;
    this.#treated_ns = new Float64Array(count).fill(NEVER);
    this.#requests = new Int32Array(count);
  }

  /** Key of the next request, or NO_SURGE. The first call is the first instant. */
  next(now_ns: number): number {
    if (Number.isNaN(this.#start_ns)) this.#start_ns = now_ns;
    const instant = this.#instantAt(now_ns);
    if (instant >= this.#requests.length || this.#random.unit() > this.#share) return NO_SURGE;
    if (this.#treated_ns[instant] === NEVER) this.#requests[instant] = (this.#requests[instant] as number) + 1;
    return this.#lastKey - instant;
  }

  /** A right value of `key` has come, with so much TTL left. */
  answered(key: number, ttl: number, now_ns: number): void {
    const instant = this.#lastKey - key;
    if (ttl < this.#ttl || instant < 0 || instant >= this.#requests.length || this.#treated_ns[instant] !== NEVER)
      return;
    if (instant === this.#instantAt(now_ns)) {
      this.#treated_ns[instant] = now_ns - this.#start_ns - instant * this.#every_ns;
    }
  }

  results(names: KeyNames): SurgeResult[] {
    return Array.from(this.#treated_ns, (treated_ns, instant) => ({
      key: names.text(this.#lastKey - instant),
      treatedMs: treated_ns === NEVER ? null : treated_ns / 1e6,
      requests: this.#requests[instant] as number,
    }));
  }

  #instantAt(now_ns: number): number {
    return Math.floor((now_ns - this.#start_ns) / this.#every_ns);
  }
}
