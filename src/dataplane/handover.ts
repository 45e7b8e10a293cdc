/**
 * Replies that one lane has put together from fragments and another must handle. A node's fragments reach the lane that
 * their source and identification name, for only the first has ports (port/fanout.ts); the slot of the reply lies with the
 * lane that sent the request. memcached cuts replies at 1400 bytes, so this happens where a node's path is narrower than
 * 1428, and is not made for speed: a lane that sleeps finds its mail when it wakes by itself.
 *
 * In the memory that all lanes share. First a word for each lane, a cache line apart, that moves when there is mail for it
 * (set by Atomics.add, any lane). Then for each lane the boxes that it alone fills:
 *
 *     word 0  TAKER    0: empty; lane + 1: full, for that lane
 *          1  LENGTH   of the frame, bytes
 *          2  FLAGS    of its row
 *     byte 66          the frame: its network header is 4-aligned, as in a ring
 *
 *     EMPTY ─giver: frame, LENGTH, FLAGS, then TAKER (published)→ FULL ─taker: copy, then TAKER = 0 (published)→ EMPTY
 *
 * A taker that dies between its two steps finds the frame again when it is started again.
 */
import type { Arena } from '../mem/arena.ts';

const MAIL_WORDS = 16;
const TAKER = 0;
const LENGTH = 1;
const FLAGS = 2;
const FRAME_AT = 66;
const BOX_BYTES = 2048;
const BOX_WORDS = BOX_BYTES / 4;
/** Of a giver: as many as frames in a batch. */
export const BOXES = 64;
/** Longest frame that fits in a box. */
export const HANDOVER_BYTES_MAX = BOX_BYTES - FRAME_AT;

export class Handover {
  /** Of the frame taken last. */
  flags = 0;
  readonly #own: DataView;
  readonly #shared: DataView;
  readonly #words: Int32Array;
  readonly #lane: number;
  readonly #lanes: number;
  /** First words of the mail words and of the boxes. */
  readonly #mail: number;
  readonly #boxes: number;
  /** The mail word when it was last looked at. */
  #seen = 0;
  #next = 0;
  /** Box that `take` looks at next. */
  #at = 0;

  /** Bytes of the shared arena; a lane alone needs none. */
  static byteLength(lanes: number): number {
    return lanes === 1 ? 0 : lanes * (MAIL_WORDS * 4 + BOXES * BOX_BYTES);
  }

  /** @param base byte offset in the shared arena, a multiple of 64 */
  constructor(own: Arena, shared: Arena, base: number, lane: number, lanes: number) {
    this.#own = own.view;
    this.#shared = shared.view;
    this.#words = shared.words;
    this.#lane = lane;
    this.#lanes = lanes;
    this.#mail = base >> 2;
    this.#boxes = this.#mail + lanes * MAIL_WORDS;
    this.#at = lanes * BOXES;
  }

  /** Puts the frame at `offset` of this lane's arena in a box for `taker`; false when it is too long or no box is empty. */
  give(taker: number, offset: number, length: number, flags: number): boolean {
    const words = this.#words;
    const box = length <= HANDOVER_BYTES_MAX ? this.#emptyBox() : -1;
    if (box < 0) return false;
    copyBytes(this.#own, offset, this.#shared, box * 4 + FRAME_AT, length);
    words[box + LENGTH] = length;
    words[box + FLAGS] = flags;
    Atomics.store(words, box + TAKER, taker + 1);
    Atomics.add(words, this.#mail + taker * MAIL_WORDS, 1);
    return true;
  }

  /** Whether `take` may find something. Once a cycle. */
  hasMail(): boolean {
    if (this.#lanes === 1) return false;
    const mail = Atomics.load(this.#words, this.#mail + this.#lane * MAIL_WORDS);
    if (mail !== this.#seen) this.#at = 0;
    this.#seen = mail;
    return this.#at < this.#lanes * BOXES;
  }

  /** Copies the next frame for this lane to `offset` of its arena; returns its length, 0 when there is none. */
  take(offset: number): number {
    const words = this.#words;
    for (; this.#at < this.#lanes * BOXES; this.#at++) {
      const box = this.#boxes + this.#at * BOX_WORDS;
      if (Atomics.load(words, box + TAKER) !== this.#lane + 1) continue;
      const length = words[box + LENGTH];
      this.flags = words[box + FLAGS];
      copyBytes(this.#shared, box * 4 + FRAME_AT, this.#own, offset, length);
      Atomics.store(words, box + TAKER, 0);
      return length;
    }
    return 0;
  }

  #emptyBox(): number {
    for (let tries = 0; tries < BOXES; tries++) {
      const box = this.#boxes + (this.#lane * BOXES + this.#next) * BOX_WORDS;
      this.#next = (this.#next + 1) & (BOXES - 1);
      if (Atomics.load(this.#words, box + TAKER) === 0) return box;
    }
    return -1;
  }
}

function copyBytes(from: DataView, at: number, to: DataView, toAt: number, length: number): void {
  let i = 0;
  for (; i + 4 <= length; i += 4) to.setInt32(toAt + i, from.getInt32(at + i));
  for (; i < length; i++) to.setUint8(toAt + i, from.getUint8(at + i));
}

/** A lane's places for the frames of its mail, in its own arena: as far apart as boxes. */
export function mailByteLength(lanes: number): number {
  return lanes === 1 ? 0 : BOXES * BOX_BYTES;
}

export function mailPlace(base: number, i: number): number {
  return base + i * BOX_BYTES + FRAME_AT;
}
