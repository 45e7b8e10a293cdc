/**
 * What a lane does when a cycle found nothing: poll on for `spinUs`, then sleep until a frame comes.
 *
 * Polling saves the wake-up (tens of µs of latency, and CPU time of whoever must wake us); sleeping saves the core. Between
 * two polls the thread yields: where clients and nodes share its CPU, they run, and the next poll finds a batch. A sleep
 * ends by itself after `waitUs`, so that a stop, and whatever time demands, is seen.
 */
import { COUNT } from './counters.ts';

export class Idle {
  readonly #wait: (timeoutUs: number) => void;
  readonly #yield: () => void;
  readonly #spinMs: number;
  readonly #waitUs: number;
  readonly #counters: Float64Array;
  #busyMs = 0;

  /**
   * @param wait sleeps until a frame is there or the time, µs, is over
   * @param yieldThread lets others run on this CPU first
   */
  constructor(
    wait: (timeoutUs: number) => void,
    yieldThread: () => void,
    spinUs: number,
    waitUs: number,
    counters: Float64Array,
  ) {
    this.#wait = wait;
    this.#yield = yieldThread;
    this.#spinMs = spinUs / 1000;
    this.#waitUs = waitUs;
    this.#counters = counters;
  }

  busy(nowMs: number): void {
    this.#busyMs = nowMs;
  }

  /** Sleeps when the last work is long enough ago; returns whether it did. */
  idle(nowMs: number): boolean {
    if (nowMs - this.#busyMs < this.#spinMs) {
      this.#yield();
      return false;
    }
    this.#wait(this.#waitUs);
    this.#counters[COUNT.idle_waits] += 1;
    return true;
  }
}
