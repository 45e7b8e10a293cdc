/**
 * A port around another that loses, doubles and delays frames, for tests and experiments: what a bad network does, by a
 * seed. The same frames in the same receives and transmits meet the same faults.
 *
 * Each frame draws one lot. It is dropped, doubled (the copy comes up to DELAY_MAX receives later), delayed (by 1 to
 * DELAY_MAX receives, so that others overtake it), or left alone. Time is counted in receives, of which a lane makes one a
 * cycle; a lane that sleeps lets delayed frames wait until it wakes. With no place free to hold one more frame, a lot that
 * needs a place is as if it had not been drawn.
 *
 * Held frames lie in places of the port's own in the lane's arena:
 *
 *     state of a place   next
 *     FREE               WAITS_FOR_LANE or WAITS_FOR_WIRE, by a copy
 *     WAITS_FOR_LANE     LENT, by the receive that hands it out
 *     WAITS_FOR_WIRE     FREE, by the receive that transmits it
 *     LENT               FREE, by the release or the next receive; the copy is the lane's to rewrite until then
 *
 * What the lane is told of a frame that was to be sent and is lost, is what a network would tell it: it was taken.
 */
import type { Arena } from '../mem/arena.ts';
import {
  BATCH_ROWS_MAX,
  DROP,
  HEADROOM_BYTES,
  PORT_COUNTERS,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_PORT_BITS,
} from './port.ts';
import type { LanePort } from './shim-port.ts';

/** Which way the frames go that meet with faults. */
export const FAULT_DIRECTIONS = ['both', 'receive', 'transmit'] as const;

export interface FaultRates {
  /** Shares of the frames, 0 to 1; together at most 1. */
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly direction: (typeof FAULT_DIRECTIONS)[number];
  readonly seed: number;
}

/** Rates, and where a port's held frames lie in the lane's arena; plain data. */
export interface FaultsDescription extends FaultRates {
  readonly placeBytes: number;
  readonly placesOffset: number;
  readonly rowsOffset: number;
  /** One word: frames held now (writer: the lane). */
  readonly heldOffset: number;
}

/** Frames that can be held at a time, both ways together. */
export const HELD_FRAMES_MAX = 64;
/** Longest delay, receives; a power of two. */
export const DELAY_MAX = 8;

/** The frame's network header is to be 4-aligned. */
const FRAME_OFFSET = HEADROOM_BYTES + 2;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const CACHE_LINE_BYTES = 64;
/** A lot is one of 2^30. */
const LOTS = 2 ** 30;

const FREE = 0;
const WAITS_FOR_LANE = 1;
const WAITS_FOR_WIRE = 2;
const LENT = 3;

const FAULT_DROPPED = PORT_COUNTERS.indexOf('fault_dropped');
const FAULT_DUPLICATED = PORT_COUNTERS.indexOf('fault_duplicated');
const FAULT_DELAYED = PORT_COUNTERS.indexOf('fault_delayed');

function placeBytesFor(mtu: number): number {
  return Math.ceil((FRAME_OFFSET + ETHERNET_BYTES + TAG_BYTES + mtu) / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
}

/** Arena bytes of the faults of one port. */
export function faultsByteLength(mtu: number): number {
  const rows = HELD_FRAMES_MAX * ROW_WORDS * 4;
  return HELD_FRAMES_MAX * placeBytesFor(mtu) + rows + 4 * CACHE_LINE_BYTES;
}

/** Takes `faultsByteLength` of the arena. */
export function describeFaults(rates: FaultRates, arena: Arena, mtu: number): FaultsDescription {
  const placeBytes = placeBytesFor(mtu);
  return {
    ...rates,
    placeBytes,
    placesOffset: arena.allocate(HELD_FRAMES_MAX * placeBytes),
    rowsOffset: arena.allocate(HELD_FRAMES_MAX * ROW_WORDS * 4),
    heldOffset: arena.allocate(4),
  };
}

export class FaultyPort implements LanePort {
  readonly id: number;
  readonly name: string;
  readonly macHigh: number;
  readonly macLow: number;
  readonly vlan: number;
  readonly frameBytesMax: number;
  readonly handle: number;
  readonly roomBytes: number;
  readonly counters: Float64Array;
  readonly #inner: Port & Partial<LanePort>;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #heldWord: number;
  readonly #placesOffset: number;
  readonly #placeBytes: number;
  /** Lots below the first are drops, below the second duplicates, below the third delays. */
  readonly #dropBelow: number;
  readonly #duplicateBelow: number;
  readonly #delayBelow: number;
  readonly #harmsReceived: boolean;
  readonly #harmsSent: boolean;
  readonly #states = new Int32Array(HELD_FRAMES_MAX);
  /** The receive that lets go of a held frame; wrapping, compared by difference. */
  readonly #due = new Int32Array(HELD_FRAMES_MAX);
  readonly #lengths = new Int32Array(HELD_FRAMES_MAX);
  readonly #flags = new Int32Array(HELD_FRAMES_MAX);
  /** What held frames are transmitted by. */
  readonly #ownRows: Int32Array;
  /** Verdicts of rows that an ongoing transmit does not see; DROP: it does. */
  readonly #verdicts = new Int32Array(BATCH_ROWS_MAX);
  #random: number;
  #turn = 0;
  /** Rows of the inner port's last receive. */
  #taken = 0;

  /** @param arena that `inner` has its frames in, and in which `faults` lie */
  constructor(inner: Port & Partial<LanePort>, arena: Arena, faults: FaultsDescription) {
    this.id = inner.id;
    this.name = inner.name;
    this.macHigh = inner.macHigh;
    this.macLow = inner.macLow;
    this.vlan = inner.vlan;
    this.frameBytesMax = inner.frameBytesMax;
    this.handle = inner.handle;
    this.#placeBytes = faults.placeBytes;
    this.roomBytes = Math.min(inner.roomBytes, faults.placeBytes - FRAME_OFFSET);
    this.counters = inner.counters;
    this.#inner = inner;
    this.#bytes = arena.bytes;
    this.#words = arena.words;
    this.#heldWord = faults.heldOffset >> 2;
    this.#placesOffset = faults.placesOffset;
    this.#dropBelow = faults.drop * LOTS;
    this.#duplicateBelow = this.#dropBelow + faults.duplicate * LOTS;
    this.#delayBelow = this.#duplicateBelow + faults.reorder * LOTS;
    this.#harmsReceived = faults.direction !== 'transmit';
    this.#harmsSent = faults.direction !== 'receive';
    this.#ownRows = new Int32Array(arena.buffer, faults.rowsOffset, HELD_FRAMES_MAX * ROW_WORDS);
    this.#random = Math.imul(faults.seed | 0, 0x9e3779b1) ^ Math.imul(inner.id + 1, 0x85ebca6b);
  }

  /** Frames that wait for a later receive. */
  get held(): number {
    return this.#words[this.#heldWord] as number;
  }

  /** What a crashed lane had in work, and what was held for it. */
  discardInterrupted(): number {
    const held = this.held;
    this.#words[this.#heldWord] = 0;
    return held + (this.#inner.discardInterrupted?.() ?? 0);
  }

  receive(batch: Int32Array, rowsMax: number): number {
    this.#turn = (this.#turn + 1) | 0;
    this.#takeBackLent();
    if (this.held !== 0) this.#transmitDue();
    this.#taken = this.#inner.receive(batch, rowsMax);
    let rows = this.#harmsReceived ? this.#sift(batch, this.#taken) : this.#taken;
    if (this.held !== 0) rows = this.#appendDue(batch, rows, rowsMax);
    if (rows === 0) this.#releaseInner(batch);
    return rows;
  }

  transmit(batch: Int32Array, rows: number): number {
    if (!this.#harmsSent) return this.#inner.transmit(batch, rows);
    const hidden = this.#hide(batch, Math.min(rows, BATCH_ROWS_MAX));
    const taken = this.#inner.transmit(batch, rows);
    if (hidden > 0) this.#show(batch, Math.min(rows, BATCH_ROWS_MAX));
    return taken + hidden;
  }

  release(batch: Int32Array, _rows: number): void {
    this.#takeBackLent();
    this.#releaseInner(batch);
  }

  claim(): number {
    return this.#inner.claim();
  }

  refreshCounters(): void {
    this.#inner.refreshCounters();
  }

  close(): void {
    this.#inner.close();
  }

  #releaseInner(batch: Int32Array): void {
    if (this.#taken !== 0) this.#inner.release(batch, this.#taken);
    this.#taken = 0;
  }

  /** Moves up the rows that are let through; returns their number. */
  #sift(batch: Int32Array, rows: number): number {
    let kept = 0;
    for (let i = 0; i < rows; i++) {
      const row = i * ROW_WORDS;
      if (this.#loses(batch, row, WAITS_FOR_LANE)) continue;
      if (kept !== i) batch.copyWithin(kept * ROW_WORDS, row, row + ROW_WORDS);
      kept++;
    }
    return kept;
  }

  /** Takes the rows that are not sent now out of the transmit's sight; returns their number. */
  #hide(batch: Int32Array, rows: number): number {
    let hidden = 0;
    for (let i = 0; i < rows; i++) {
      const row = i * ROW_WORDS;
      const verdict = batch[row + ROW_VERDICT] as number;
      this.#verdicts[i] = DROP;
      if ((verdict & VERDICT_PORT_BITS) !== this.id || !this.#loses(batch, row, WAITS_FOR_WIRE)) continue;
      this.#verdicts[i] = verdict;
      batch[row + ROW_VERDICT] = DROP;
      hidden++;
    }
    return hidden;
  }

  #show(batch: Int32Array, rows: number): void {
    for (let i = 0; i < rows; i++) {
      if (this.#verdicts[i] !== DROP) batch[i * ROW_WORDS + ROW_VERDICT] = this.#verdicts[i] as number;
    }
  }

  /** Draws the lot of a frame and does what it says; true when the frame does not go on now. */
  #loses(batch: Int32Array, row: number, state: number): boolean {
    const lot = this.#draw();
    if (lot >= this.#delayBelow) return false;
    if (lot < this.#dropBelow) {
      this.#count(FAULT_DROPPED);
      return true;
    }
    const isDelayed = lot >= this.#duplicateBelow;
    const delay = (this.#draw() & (DELAY_MAX - 1)) + (isDelayed ? 1 : 0);
    if (!this.#hold(batch, row, state, delay)) return false;
    this.#count(isDelayed ? FAULT_DELAYED : FAULT_DUPLICATED);
    return isDelayed;
  }

  /** Keeps a copy; false when there is no place for it, or it is too long for one. */
  #hold(batch: Int32Array, row: number, state: number, delay: number): boolean {
    const length = batch[row + ROW_LENGTH] as number;
    const place = this.#states.indexOf(FREE);
    if (place < 0 || length > this.#placeBytes - FRAME_OFFSET) return false;
    const from = batch[row + ROW_OFFSET] as number;
    this.#bytes.copyWithin(this.#frameOffset(place), from, from + length);
    this.#states[place] = state;
    this.#due[place] = (this.#turn + delay) | 0;
    this.#lengths[place] = length;
    this.#flags[place] = batch[row + ROW_FLAGS] as number;
    this.#addHeld(1);
    return true;
  }

  /** Hands out held frames that are due, as far as there are rows for them; returns the number of rows. */
  #appendDue(batch: Int32Array, rows: number, rowsMax: number): number {
    let end = rows;
    for (let place = 0; place < HELD_FRAMES_MAX && end < rowsMax; place++) {
      if (!this.#isDue(place, WAITS_FOR_LANE)) continue;
      this.#writeRow(batch, end++, place, DROP);
      this.#states[place] = LENT;
      this.#addHeld(-1);
    }
    return end;
  }

  /** No lane has a claimed frame in hand at a receive: `transmit` takes those back. */
  #transmitDue(): void {
    let rows = 0;
    for (let place = 0; place < HELD_FRAMES_MAX; place++) {
      if (!this.#isDue(place, WAITS_FOR_WIRE)) continue;
      this.#writeRow(this.#ownRows, rows++, place, this.id);
      this.#states[place] = FREE;
      this.#addHeld(-1);
    }
    if (rows !== 0) this.#inner.transmit(this.#ownRows, rows);
  }

  #isDue(place: number, state: number): boolean {
    return this.#states[place] === state && ((this.#turn - (this.#due[place] as number)) | 0) >= 0;
  }

  #writeRow(batch: Int32Array, row: number, place: number, verdict: number): void {
    const at = row * ROW_WORDS;
    batch[at + ROW_OFFSET] = this.#frameOffset(place);
    batch[at + ROW_LENGTH] = this.#lengths[place] as number;
    batch[at + ROW_FLAGS] = this.#flags[place] as number;
    batch[at + ROW_VERDICT] = verdict;
  }

  #takeBackLent(): void {
    for (let place = 0; place < HELD_FRAMES_MAX; place++) {
      if (this.#states[place] === LENT) this.#states[place] = FREE;
    }
  }

  #frameOffset(place: number): number {
    return this.#placesOffset + place * this.#placeBytes + FRAME_OFFSET;
  }

  #addHeld(by: number): void {
    this.#words[this.#heldWord] = this.held + by;
  }

  #count(counter: number): void {
    this.counters[counter] = (this.counters[counter] as number) + 1;
  }

  /** 30 bits of mulberry32. */
  #draw(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#random ^ (this.#random >>> 15), this.#random | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 2;
  }
}
