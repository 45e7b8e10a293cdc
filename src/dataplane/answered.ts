/**
 * Up to when all that a lane has sent has been answered. Slots are taken in a circle, so the time of the one taken longest
 * ago that still waits is enough to know:
 *
 *     … answered │ waits, answered, waits, …, answered │ to be taken next
 *                └ tail: what was sent before its SENT └ cursor
 *                  has been answered
 *
 * One that waits for longer than a datagram lives is passed over: what it sent cannot arrive any more. Where the cursor has
 * overtaken the tail, slots were taken anew that had no answer; then nothing is known until what they sent cannot arrive.
 * Each slot is looked at once, when the tail comes by.
 */
import { SLOT_SENT, type SlotCircle, type SlotTable, STATE_FREE, STATE_MASK } from './slot-table.ts';

const US_PER_MS = 1000;

export class Answered {
  /** ms of the lane's clock, wrapping: what was sent in the ms before this one has been answered, or cannot arrive any more. */
  ms: number;
  readonly #slots: SlotTable;
  readonly #words: Int32Array;
  readonly #lifeMs: number;
  readonly #tails: Tail[];
  #unknownUntilMs: number;
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
    this.#lastUs = nowUs;
    this.#tails = slots.circles.map(circle => ({ circle, slot: circle.next, left: 0 }));
    const isFirst = this.#tails.every(({ circle }) => (words[circle.word(0)] & STATE_MASK) === STATE_FREE);
    this.ms = isFirst ? nowMs : (nowMs - lifeMs) | 0;
    this.#unknownUntilMs = isFirst ? nowMs : (nowMs + lifeMs) | 0;
  }

  /** Brings `ms` up to date. Now and then; a circle should not be taken round meanwhile. */
  advance(nowMs: number, nowUs: number): void {
    const isRound = this.#slots.hasMetWaiting || this.#tails.some(tail => this.#isRound(tail, nowUs));
    this.#slots.hasMetWaiting = false;
    this.#lastUs = nowUs;
    if (isRound) this.#unknownUntilMs = (nowMs + this.#lifeMs) | 0;
    let sinceUs = 0;
    for (const tail of this.#tails) sinceUs = Math.max(sinceUs, this.#walk(tail, nowUs));
    if (((nowMs - this.#unknownUntilMs) | 0) < 0) return;
    this.ms = (nowMs - Math.ceil(sinceUs / US_PER_MS)) | 0;
  }

  /** Whether the cursor has come up to the tail, or all the way round. */
  #isRound({ circle, slot, left }: Tail, nowUs: number): boolean {
    if (left > 0 && circle.next === slot) return true;
    // The one to be taken next is the oldest.
    return this.#ageUs(circle.word(circle.next), nowUs) <= (nowUs - this.#lastUs) >>> 0;
  }

  /** Moves the tail on to the first slot that waits. Returns its age, µs; 0: none does. */
  #walk(tail: Tail, nowUs: number): number {
    const { circle } = tail;
    tail.left = (circle.next - tail.slot + circle.length) % circle.length;
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
