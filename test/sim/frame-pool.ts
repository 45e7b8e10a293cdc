/**
 * Frames on their way: slots of one block of memory that grows. Who is handed a slot gives it back (`release`) or hands it
 * on; a frame that was doubled is held twice.
 */

const SLOT_BYTES = 1536;
/** The network header is 4-aligned. */
const FRAME_AT = 2;
const FIRST_SLOTS = 1024;
export const FRAME_BYTES_MAX = 1514;

export class FramePool {
  bytes: Buffer;
  view: DataView;
  /** Of each slot. */
  lengths = new Int32Array(FIRST_SLOTS);
  /** FLAG_* of the frame, as its receiver's network card would tell. */
  flags = new Int32Array(FIRST_SLOTS);
  /** When it was sent, ms. */
  sentMs = new Float64Array(FIRST_SLOTS);
  /** 1: a miss in it may be one that no node has said. */
  doubtful = new Uint8Array(FIRST_SLOTS);
  #holders = new Int32Array(FIRST_SLOTS);
  #free: number[] = [];

  constructor() {
    const buffer = new ArrayBuffer(FIRST_SLOTS * SLOT_BYTES);
    this.bytes = Buffer.from(buffer);
    this.view = new DataView(buffer);
    for (let slot = FIRST_SLOTS - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  /** Frames that somebody holds. */
  get held(): number {
    return this.lengths.length - this.#free.length;
  }

  take(): number {
    if (this.#free.length === 0) this.#grow();
    const slot = this.#free.pop()!;
    this.#holders[slot] = 1;
    this.flags[slot] = 0;
    this.doubtful[slot] = 0;
    return slot;
  }

  offset(slot: number): number {
    return slot * SLOT_BYTES + FRAME_AT;
  }

  hold(slot: number): void {
    this.#holders[slot]!++;
  }

  /** For who wants to write into the frame: the slot itself, or a copy when somebody else holds it too. */
  own(slot: number): number {
    if (this.#holders[slot] === 1) return slot;
    const copy = this.take();
    const from = this.offset(slot);
    this.bytes.copyWithin(this.offset(copy), from, from + this.lengths[slot]!);
    this.lengths[copy] = this.lengths[slot]!;
    this.flags[copy] = this.flags[slot]!;
    this.release(slot);
    return copy;
  }

  release(slot: number): void {
    const holders = --this.#holders[slot]!;
    if (holders === 0) this.#free.push(slot);
    if (holders < 0) throw new RangeError('frame pool: a slot was given back twice');
  }

  #grow(): void {
    const before = this.lengths.length;
    const slots = before * 2;
    const buffer = new ArrayBuffer(slots * SLOT_BYTES);
    new Uint8Array(buffer).set(this.bytes);
    this.bytes = Buffer.from(buffer);
    this.view = new DataView(buffer);
    this.lengths = copied(this.lengths, new Int32Array(slots));
    this.flags = copied(this.flags, new Int32Array(slots));
    this.sentMs = copied(this.sentMs, new Float64Array(slots));
    this.doubtful = copied(this.doubtful, new Uint8Array(slots));
    this.#holders = copied(this.#holders, new Int32Array(slots));
    for (let slot = slots - 1; slot >= before; slot--) this.#free.push(slot);
  }
}

function copied<T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
