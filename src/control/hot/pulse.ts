/**
 * Whether every lane has seen what the keeper wrote: by their beats. A lane that does not run (its thread starts, or has
 * crashed) sees it when it begins. So that an order is not given to nobody, it says, too, which lane runs.
 */

/** A lane as the keeper sees it. */
export interface KeptLane {
  /** Cycles begun, wrapping. */
  readonly beat: number;
  /** Whether its thread turns cycles, or may do so. */
  readonly isRunning: boolean;
  /** Threads that it has lost. */
  readonly restarts: number;
}

/** The cycle that was under way, and one more. */
const BEATS = 2;

export class Pulse {
  readonly #lanes: readonly KeptLane[];
  readonly #marks: Int32Array;

  /** @param lanes may still be empty, and grows to `count` */
  constructor(lanes: readonly KeptLane[], count: number, items: number) {
    this.#lanes = lanes;
    this.#marks = new Int32Array(count * items);
  }

  /** From now on is counted for `item`. */
  mark(item: number): void {
    for (const [lane, { beat }] of this.#lanes.entries()) this.#marks[item * this.#lanes.length + lane] = beat;
  }

  /** Whether every lane has begun two cycles since `mark`. */
  hasPassed(item: number): boolean {
    return this.#lanes.every(({ beat, isRunning }, lane) => {
      return !isRunning || ((beat - this.#marks[item * this.#lanes.length + lane]!) | 0) >= BEATS;
    });
  }

  /** The lane that is to carry out orders for `item`; −1 when none runs. */
  laneFor(item: number): number {
    const count = this.#lanes.length;
    for (let step = 0; step < count; step++) {
      const lane = (item + step) % count;
      if (this.#lanes[lane]!.isRunning) return lane;
    }
    return -1;
  }

  restartsOf(lane: number): number {
    return this.#lanes[lane]?.restarts ?? 0;
  }
}
