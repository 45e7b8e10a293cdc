/**
 * Up to when all that a lane has sent has been answered. Slots are taken in a circle, so the time of the one taken longest
 * ago that still waits is enough to know:
 *
 *     … answered │ waits, answered, waits, …, answered │ to be taken next
 *                └ tail: what was sent before its SENT └ cursor
 *                  has been answered
 *
 * One that waits for longer than a datagram lives is passed over: what it sent cannot arrive any more. Each slot is looked at
 * once, when the tail comes by; all are where the circle has been taken round since the last look. Where the cursor has come
 * to a slot that still waits, others may have been taken anew that had no answer: then nothing is known until what was sent
 * cannot arrive. So one request that is never answered holds up what is known of all for that long.
 */
import { SLOT_SENT, type SlotCircle, type SlotTable, STATE_FREE, STATE_MASK } from './slot-table.ts';

const US_PER_MS = 1000;
/** After so long all slots are looked at: the times that they bear come round in an hour, ms. */
const LONG_MS = 1000;

export class Answered {
  /** ms of the lane's clock, wrapping: what was sent in the ms before this one has been answered, or cannot arrive any more. */
  ms: number;
  readonly #slots: SlotTable;
  readonly #words: Int32Array;
  readonly #lifeMs: number;
  readonly #tails: Tail[];
  #unknownUntilMs: number;
  #lastMs: number;
  #lastUs: number;

  /**
   * @param words of the slots
   * @param lifeMs how long what was sent may be under way
   * @param nowMs a thread of this lane before this one may have sent anything until then
   */
  constructor(slots: SlotTable, words: Int32Array, lifeMs: number, nowMs: number, nowUs: number) {
    this.#slots = slots;
    this.#words = words;
    this.#lifeMs = lifeMs;
    this.#lastMs = nowMs;
    this.#lastUs = nowUs;
    this.#tails = slots.circles.map(circle => ({ circle, slot: circle.next, left: 0 }));
    const isFirst = this.#tails.every(({ circle }) => (words[circle.word(0)] & STATE_MASK) === STATE_FREE);
    this.ms = isFirst ? nowMs : (nowMs - lifeMs) | 0;
    this.#unknownUntilMs = isFirst ? nowMs : (nowMs + lifeMs) | 0;
  }

  /** Brings `ms` up to date. As often as one likes: what has been taken meanwhile is looked at. */
  advance(nowMs: number, nowUs: number): void {
    if (this.#slots.hasMetWaiting) this.#unknownUntilMs = (nowMs + this.#lifeMs) | 0;
    this.#slots.hasMetWaiting = false;
    const isLong = (nowMs - this.#lastMs) >>> 0 > LONG_MS;
    let sinceUs = 0;
    for (const tail of this.#tails) {
      if (isLong || this.#isRound(tail, nowUs)) takeAll(tail);
      sinceUs = Math.max(sinceUs, this.#walk(tail, nowUs));
    }
    this.#lastMs = nowMs;
    this.#lastUs = nowUs;
    if (((nowMs - this.#unknownUntilMs) | 0) < 0) return;
    this.ms = (nowMs - Math.ceil(sinceUs / US_PER_MS)) | 0;
  }

  /** Counts the slots from the tail to the cursor; whether the circle was taken round, or up to the tail. */
  #isRound(tail: Tail, nowUs: number): boolean {
    const { circle, slot, left } = tail;
    tail.left = (circle.next - slot + circle.length) % circle.length;
    if (left > 0 && tail.left === 0) return true;
    // The one to be taken next is the oldest.
    return this.#ageUs(circle.word(circle.next), nowUs) <= (nowUs - this.#lastUs) >>> 0;
  }

  /** Moves the tail on to the first slot that waits. Returns its age, µs; 0: none does. */
  #walk(tail: Tail, nowUs: number): number {
    const { circle } = tail;
    for (; tail.left > 0; tail.left--) {
      const word = circle.word(tail.slot);
      const ageUs = this.#ageUs(word, nowUs);
      if (this.#slots.isOutstanding(word) && ageUs <= this.#lifeMs * US_PER_MS) return Math.max(1, ageUs);
      tail.slot = circle.after(tail.slot);
    }
    return 0;
  }

  #ageUs(word: number, nowUs: number): number {
    return (nowUs - this.#words[word + SLOT_SENT]) >>> 0;
  }
}

interface Tail {
  readonly circle: SlotCircle;
  slot: number;
  /** Slots between it and the cursor. */
  left: number;
}

function takeAll(tail: Tail): void {
  tail.slot = tail.circle.next;
  tail.left = tail.circle.length;
}
