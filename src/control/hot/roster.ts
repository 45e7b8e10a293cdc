/**
 * The keeper's own notes of its items: which numbers are free, and where those in use stand.
 *
 *     FREE ─admit→ ADMITTED ─lanes have seen it→ PROMOTING ─lane: CLEAN→ HOT ─order→ LEAVING ─lane: FREE→ RESTING ─L→ FREE
 *                  ADMITTED, PROMOTING ─given up→ LEAVING;   PROMOTING ─lane: FREE (did not drain)→ RESTING
 *
 * A number that rests is nobody's until no datagram for its last key can be under way and every lane has forgotten it.
 */
export const FREE = 0;
export const ADMITTED = 1;
export const PROMOTING = 2;
export const HOT = 3;
export const LEAVING = 4;
export const RESTING = 5;

/** Lane of an order that could not be given yet. */
export const NO_LANE = -1;

export class Roster {
  readonly phase: Uint8Array;
  /** When the phase began, ms. */
  readonly sinceMs: Float64Array;
  /** When the item was admitted, ms. */
  readonly admittedMs: Float64Array;
  readonly hash: Int32Array;
  /** Lane that was given the order of the phase, or NO_LANE, and how many threads it had lost then. */
  readonly orderLane: Int16Array;
  readonly orderRestarts: Int32Array;
  /** Keys, as latin1 text: one character a byte. */
  readonly key: string[];
  /** Epochs in a row in which it was cold. */
  readonly coldEpochs: Uint32Array;
  /** When its copies were ordered last, ms. */
  readonly copiedMs: Float64Array;
  /** In any phase but FREE and HOT. */
  readonly moving = new Set<number>();
  /** ADMITTED, PROMOTING, HOT. */
  readonly live = new Set<number>();
  readonly #free: Int32Array;
  #freeHead = 0;
  #freeCount: number;

  constructor(items: number) {
    this.phase = new Uint8Array(items);
    this.sinceMs = new Float64Array(items);
    this.admittedMs = new Float64Array(items);
    this.hash = new Int32Array(items);
    this.orderLane = new Int16Array(items).fill(NO_LANE);
    this.orderRestarts = new Int32Array(items);
    this.key = new Array<string>(items).fill('');
    this.coldEpochs = new Uint32Array(items);
    this.copiedMs = new Float64Array(items);
    this.#free = Int32Array.from({ length: items }, (_, item) => item);
    this.#freeCount = items;
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  /** The number that has rested longest, or −1. It stays free until `enter`. */
  get nextFree(): number {
    return this.#freeCount === 0 ? -1 : this.#free[this.#freeHead]!;
  }

  /** `nextFree` is this key's. */
  take(hash: number, key: string, nowMs: number): void {
    const item = this.nextFree;
    this.#freeHead = (this.#freeHead + 1) % this.#free.length;
    this.#freeCount--;
    this.hash[item] = hash;
    this.key[item] = key;
    this.admittedMs[item] = nowMs;
    this.coldEpochs[item] = 0;
    this.enter(item, ADMITTED, nowMs);
  }

  enter(item: number, phase: number, nowMs: number): void {
    this.phase[item] = phase;
    this.sinceMs[item] = nowMs;
    this.orderLane[item] = NO_LANE;
    const isLive = phase === ADMITTED || phase === PROMOTING || phase === HOT;
    if (isLive) this.live.add(item);
    else this.live.delete(item);
    if (phase === HOT || phase === FREE) this.moving.delete(item);
    else this.moving.add(item);
    if (phase !== FREE) return;
    this.key[item] = '';
    this.#free[(this.#freeHead + this.#freeCount) % this.#free.length] = item;
    this.#freeCount++;
  }
}
