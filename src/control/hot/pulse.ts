/**
 * Whether every lane has seen what the keeper wrote: by their beats. A lane that does not run (its thread starts, or has
 * crashed) sees it when it begins. So that an order is not given to nobody, it says, too, which lane runs.
 */

/** Lanes as the keeper sees them. */
export interface KeptLanes {
  /** Cycles begun, wrapping. */
  beat(lane: number): number;
  /** Whether its thread turns cycles, or may do so. */
  isRunning(lane: number): boolean;
  /** Threads that it has lost. */
  restarts(lane: number): number;
}

/** The cycle that was under way, and one more. */
const BEATS = 2;

export class Pulse {
  readonly #lanes: KeptLanes;
  readonly #count: number;
  readonly #marks: Int32Array;

  constructor(lanes: KeptLanes, count: number, items: number) {
    this.#lanes = lanes;
    this.#count = count;
    this.#marks = new Int32Array(count * items);
  }

  /** From now on is counted for `item`. */
  mark(item: number): void {
    for (let lane = 0; lane < this.#count; lane++) this.#marks[item * this.#count + lane] = this.#lanes.beat(lane);
  }

  /** Whether every lane has begun two cycles since `mark`. */
  hasPassed(item: number): boolean {
    for (let lane = 0; lane < this.#count; lane++) {
      const beats = (this.#lanes.beat(lane) - this.#marks[item * this.#count + lane]!) | 0;
      if (beats < BEATS && this.#lanes.isRunning(lane)) return false;
    }
    return true;
  }

  /** The lane that is to carry out orders for `item`; −1 when none runs. */
  laneFor(item: number): number {
    for (let step = 0; step < this.#count; step++) {
      const lane = (item + step) % this.#count;
      if (this.#lanes.isRunning(lane)) return lane;
    }
    return -1;
  }

  restartsOf(lane: number): number {
    return this.#lanes.restarts(lane);
  }
}
