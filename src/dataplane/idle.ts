/**
 * What a lane does when a cycle found nothing: poll on for a while, then sleep until a frame comes.
 *
 * Under light load frames come one by one, and what counts is latency: the lane polls for `spinUs`, long enough for the
 * answer to a request that has just gone out, so that its own wake-up (tens of µs) is paid once and not twice. Once
 * cycles find several frames, what counts is CPU time: the lane sleeps soon, and the next wake-up finds a batch. Between
 * two polls the thread yields, so where clients and nodes share its CPU, they run. A sleep ends by itself after `waitUs`,
 * so that a stop, and whatever time demands, is seen.
 */
import { COUNT } from './counters.ts';

/** Frames in a cycle from which on the load is not light. */
const BATCH_FRAMES = 3;
/** Polling under load, ms. */
const BATCH_SPIN_MS = 0.01;

export class Idle {
  readonly #wait: (timeoutUs: number) => void;
  readonly #yield: () => void;
  readonly #spinMs: number;
  readonly #waitUs: number;
  readonly #counters: Float64Array;
  #untilMs = 0;

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

  /** @param frames found by the cycle at `nowMs` */
  busy(nowMs: number, frames: number): void {
    this.#untilMs = nowMs + (frames < BATCH_FRAMES ? this.#spinMs : Math.min(this.#spinMs, BATCH_SPIN_MS));
  }

  /** Sleeps when the last work is long enough ago; returns whether it did. */
  idle(nowMs: number): boolean {
    if (nowMs < this.#untilMs) {
      this.#yield();
      return false;
    }
    this.#wait(this.#waitUs);
    this.#counters[COUNT.idle_waits] += 1;
    return true;
  }
}
