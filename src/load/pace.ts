/**
 * When the next request is due.
 *
 * Closed loop: `window` requests are outstanding; a reply makes room for the next. It finds the highest throughput, and
 * hides latency: a slow server is simply asked less.
 *
 * Open loop: requests are due at times that do not depend on replies, `rate` a second, evenly or as a Poisson process.
 * Latency counts from the due time, so a stall is felt by every request that should have been sent meanwhile
 * (no coordinated omission).
 *
 * In closed loop one or two replies do not yet make a batch: room is held back until it is worth a transmit (a system
 * call), but not longer than HOLD_NS. It costs no throughput as long as most of the window is outstanding, and a third
 * of the generator's CPU time less. Latencies of a closed loop are the coarser for it, by HOLD_NS at most.
 */
import type { Random } from './random.ts';

const HOLD_NS = 50_000;
const BATCH_WORTHWHILE = 16;
const UNLIMITED = 0x7fffffff;

/** Nothing is due before this. */
export const NEVER_NS = Number.POSITIVE_INFINITY;

export interface Pace {
  /** How many requests may be sent now, at most. */
  room(now_ns: number, outstanding: number): number;
  /** Is the next one of them due? */
  isDue(now_ns: number): boolean;
  /** The due time of the next one, which is hereby taken; whole ns. */
  take(now_ns: number): number;
  /** When something is due if no reply comes, ns; NEVER_NS if nothing. */
  readonly next_ns: number;
  /** Are requests held back until there are more of them, or `next_ns` comes? */
  readonly isHolding: boolean;
}

export class ClosedPace implements Pace {
  readonly #window: number;
  readonly #worthwhile: number;
  #heldSince_ns = NEVER_NS;

  constructor(window: number) {
    this.#window = window;
    this.#worthwhile = Math.min(BATCH_WORTHWHILE, Math.ceil(window / 4));
  }

  get next_ns(): number {
    return this.#heldSince_ns + HOLD_NS;
  }

  get isHolding(): boolean {
    return this.#heldSince_ns !== NEVER_NS;
  }

  room(now_ns: number, outstanding: number): number {
    const room = this.#window - outstanding;
    if (room > 0 && room < this.#worthwhile && this.#hold(now_ns)) return 0;
    this.#heldSince_ns = NEVER_NS;
    return room;
  }

  isDue(_now_ns: number): boolean {
    return true;
  }

  take(now_ns: number): number {
    return now_ns;
  }

  /** Is it too early to send the little there is? */
  #hold(now_ns: number): boolean {
    if (this.#heldSince_ns === NEVER_NS) this.#heldSince_ns = now_ns;
    return now_ns < this.#heldSince_ns + HOLD_NS;
  }
}

export class OpenPace implements Pace {
  readonly #interval_ns: number;
  readonly #random: Random | undefined;
  readonly isHolding = false;
  #next_ns: number;

  /**
   * @param rate requests a second
   * @param random for exponential gaps (a Poisson process); none: even gaps
   */
  constructor(rate: number, start_ns: number, random?: Random) {
    this.#interval_ns = 1e9 / rate;
    this.#random = random;
    this.#next_ns = start_ns + this.#gap();
  }

  get next_ns(): number {
    return this.#next_ns;
  }

  room(_now_ns: number, _outstanding: number): number {
    return UNLIMITED;
  }

  isDue(now_ns: number): boolean {
    return this.#next_ns <= now_ns;
  }

  take(_now_ns: number): number {
    const due_ns = this.#next_ns;
    this.#next_ns = due_ns + this.#gap();
    return Math.trunc(due_ns);
  }

  #gap(): number {
    return this.#random === undefined ? this.#interval_ns : -Math.log(this.#random.unit()) * this.#interval_ns;
  }
}
