/**
 * Requests that wait for a hot key: a write under way, a value being fetched. Copied aside, in order of arrival, bounded in
 * number and time. A frame leaves when its item's VERSION has moved or its time is over, and goes through the stage again.
 *
 * Most places hold a frame; LARGE_PLACES hold a datagram that came in fragments.
 *
 * A place that a frame has left is used again last of all, and not before the next cycle, so its bytes outlast the batch.
 */
import { VERSION } from '../../coherence/directory.ts';
import { DROP, HEADROOM_BYTES, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../../port/port.ts';
import { BATCH_ROWS, LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS } from '../list.ts';

const PLACE_WORDS = 8;
const LENGTH = 0;
const FLAGS = 1;
/** Bytes from the start of the frame. */
const IP = 2;
const UDP = 3;
const END = 4;
const ITEM = 5;
const SEEN = 6;
const UNTIL = 7;

const LARGE_PLACES = 64;
/** Ethernet header, and the largest IPv4 datagram. */
const LARGE_BYTES = 14 + 65_535;

export class WaitingRoom {
  /** Frames waiting. */
  count = 0;
  /** Requests of the last `take`. */
  readonly rows = new Int32Array(BATCH_ROWS * LIST_WORDS);
  /** Whether a row of the last `take` has waited as long as it may. */
  readonly isLate = new Uint8Array(BATCH_ROWS);
  /** Until when the frame of each row may wait, ms. */
  readonly untilMs = new Int32Array(BATCH_ROWS);
  readonly #bytes: Uint8Array;
  readonly #places: Int32Array;
  readonly #waiting: Int32Array;
  readonly #small: Places;
  readonly #large: Places;

  static byteLength(frames: number, frameBytesMax: number): number {
    return frames * placeBytes(frameBytesMax) + LARGE_PLACES * placeBytes(LARGE_BYTES);
  }

  constructor(bytes: Uint8Array, base: number, frames: number, frameBytesMax: number) {
    this.#bytes = bytes;
    this.#places = new Int32Array((frames + LARGE_PLACES) * PLACE_WORDS);
    this.#waiting = new Int32Array(frames + LARGE_PLACES);
    this.#small = new Places(base, 0, frames, placeBytes(frameBytesMax));
    const largeBase = base + frames * placeBytes(frameBytesMax);
    this.#large = new Places(largeBase, frames, LARGE_PLACES, placeBytes(LARGE_BYTES));
  }

  /** Copies the frame of a row aside; false when there is no place for it. @param seen VERSION of the item */
  put(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    item: number,
    seen: number,
    untilMs: number,
  ): boolean {
    const offset = batch[row + ROW_OFFSET];
    const length = batch[row + ROW_LENGTH];
    const place = length <= this.#small.frameBytesMax ? this.#small.take() : this.#large.take();
    if (place < 0) return false;
    const words = this.#places;
    const at = place * PLACE_WORDS;
    words[at + LENGTH] = length;
    words[at + FLAGS] = batch[row + ROW_FLAGS];
    words[at + IP] = ipOffset - offset;
    words[at + UDP] = udpOffset - offset;
    words[at + END] = end - offset;
    words[at + ITEM] = item;
    words[at + SEEN] = seen;
    words[at + UNTIL] = untilMs;
    this.#bytes.copyWithin(this.#of(place).offset(place), offset, offset + length);
    this.#waiting[this.count++] = place;
    return true;
  }

  /** Takes the frames that have waited for long enough: rows of `batch`, at most BATCH_ROWS. Returns their number. */
  take(batch: Int32Array, items: Int32Array, nowMs: number): number {
    let taken = 0;
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      const place = this.#waiting[i];
      if (taken < BATCH_ROWS && this.#isDue(place, items, nowMs)) this.#give(place, taken++, batch, nowMs);
      else this.#waiting[kept++] = place;
    }
    this.count = kept;
    return taken;
  }

  #of(place: number): Places {
    return this.#small.has(place) ? this.#small : this.#large;
  }

  #isDue(place: number, items: Int32Array, nowMs: number): boolean {
    const at = place * PLACE_WORDS;
    const words = this.#places;
    return items[words[at + ITEM] + VERSION] !== words[at + SEEN] || ((nowMs - words[at + UNTIL]) | 0) >= 0;
  }

  #give(place: number, number: number, batch: Int32Array, nowMs: number): void {
    const words = this.#places;
    const at = place * PLACE_WORDS;
    const offset = this.#of(place).offset(place);
    const row = number * ROW_WORDS;
    batch[row + ROW_OFFSET] = offset;
    batch[row + ROW_LENGTH] = words[at + LENGTH];
    batch[row + ROW_FLAGS] = words[at + FLAGS];
    batch[row + ROW_VERDICT] = DROP;
    const entry = number * LIST_WORDS;
    this.rows[entry + LIST_ROW] = row;
    this.rows[entry + LIST_IP] = offset + words[at + IP];
    this.rows[entry + LIST_UDP] = offset + words[at + UDP];
    this.rows[entry + LIST_END] = offset + words[at + END];
    this.untilMs[number] = words[at + UNTIL];
    this.isLate[number] = ((nowMs - words[at + UNTIL]) | 0) >= 0 ? 1 : 0;
    this.#of(place).giveBack(place);
  }
}

/** Places of one size, numbered from `first` on. The one given back last is taken last. */
class Places {
  readonly frameBytesMax: number;
  readonly #base: number;
  readonly #first: number;
  readonly #bytes: number;
  readonly #free: Int32Array;
  #head = 0;
  #count: number;

  constructor(base: number, first: number, places: number, bytes: number) {
    this.frameBytesMax = bytes - HEADROOM_BYTES;
    this.#base = base;
    this.#first = first;
    this.#bytes = bytes;
    this.#free = Int32Array.from({ length: places }, (_, place) => first + place);
    this.#count = places;
  }

  has(place: number): boolean {
    return place >= this.#first && place < this.#first + this.#free.length;
  }

  take(): number {
    if (this.#count === 0) return -1;
    const place = this.#free[this.#head];
    this.#head = (this.#head + 1) % this.#free.length;
    this.#count--;
    return place;
  }

  giveBack(place: number): void {
    this.#free[(this.#head + this.#count) % this.#free.length] = place;
    this.#count++;
  }

  offset(place: number): number {
    return this.#base + (place - this.#first) * this.#bytes + HEADROOM_BYTES;
  }
}

function placeBytes(frameBytesMax: number): number {
  return (frameBytesMax + HEADROOM_BYTES + 63) & -64;
}
