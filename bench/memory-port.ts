/**
 * A port without a kernel: `receive` describes frames that already lie in the arena, `transmit` counts. What is left is
 * the cost of the data path itself.
 */
import {
  DROP,
  PORT_COUNTERS,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_PORT_BITS,
} from '../src/port/port.ts';

/** Room for a lent frame, bytes. */
export const LENT_BYTES = 2048;

export class MemoryPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly macHigh = 0x024b;
  readonly macLow: number;
  readonly vlan = 0;
  readonly frameBytesMax = 1514;
  readonly roomBytes: number;
  readonly handle = -1;
  readonly counters = new Float64Array(PORT_COUNTERS.length);
  /** Frames transmitted so far. */
  sent = 0;
  /** Where the frame transmitted last lies. */
  lastOffset = 0;
  lastLength = 0;
  #lent = 0;
  #lentCount = 0;
  #turn = 0;
  readonly #strideBytes: number;
  #next = 0;
  #end = 0;
  #length = 0;
  #flags = 0;

  /** @param strideBytes distance of two frames; a frame may grow up to it */
  constructor(id: number, name: string, macLow: number, strideBytes: number) {
    this.id = id;
    this.name = name;
    this.macLow = macLow;
    this.#strideBytes = strideBytes;
    this.roomBytes = strideBytes;
  }

  /** From now on `receive` hands out `count` frames of `length` bytes from `offset` on. */
  offer(offset: number, count: number, length: number, flags: number): void {
    this.#next = offset;
    this.#end = offset + count * this.#strideBytes;
    this.#length = length;
    this.#flags = flags;
  }

  receive(batch: Int32Array, rowsMax: number): number {
    let rows = 0;
    for (let row = 0; rows < rowsMax && this.#next < this.#end; rows++, row += ROW_WORDS) {
      batch[row + ROW_OFFSET] = this.#next;
      batch[row + ROW_LENGTH] = this.#length;
      batch[row + ROW_FLAGS] = this.#flags;
      batch[row + ROW_VERDICT] = DROP;
      this.#next += this.#strideBytes;
    }
    return rows;
  }

  transmit(batch: Int32Array, rows: number): number {
    let sent = 0;
    const end = rows * ROW_WORDS;
    for (let row = 0; row < end; row += ROW_WORDS) {
      if ((batch[row + ROW_VERDICT] & VERDICT_PORT_BITS) !== this.id) continue;
      this.lastOffset = batch[row + ROW_OFFSET];
      this.lastLength = batch[row + ROW_LENGTH];
      sent++;
    }
    this.sent += sent;
    return sent;
  }

  release(): void {}

  /** Frames for what the lane says itself: from `offset` on, `count` places in turn. Without, there are none. */
  lend(offset: number, count: number): void {
    this.#lent = offset;
    this.#lentCount = count;
  }

  claim(): number {
    if (this.#lentCount === 0) return -1;
    this.#turn = (this.#turn + 1) % this.#lentCount;
    return this.#lent + this.#turn * LENT_BYTES;
  }

  refreshCounters(): void {}

  close(): void {}
}
