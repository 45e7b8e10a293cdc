/**
 * A port of a lane on the simulated network. As AF_PACKET's: a ring of slots in the lane's arena that outlives the lane; a
 * frame that finds it full is dropped and counted. What is transmitted is copied into the network's pool.
 *
 * It is unkind where the contract allows it: headroom is scribbled over at transmit, and a frame that was given back is
 * wiped, so that who reads it later is caught. `trap` makes one of the calls to come throw, as if the thread had died there.
 *
 *     slot   byte 16: headroom   byte 34: the frame; its network header is 4-aligned
 */
import type { Arena } from '../../src/mem/arena.ts';
import { countersAt, countersByteLength } from '../../src/mem/counters.ts';
import { completeChecksum } from '../../src/port/partial-checksum.ts';
import {
  DROP,
  HEADROOM_BYTES,
  PORT_COUNTERS,
  REFUSED,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_PORT_BITS,
} from '../../src/port/port.ts';
import type { LanePort } from '../../src/port/shim-port.ts';
import type { Mac } from '../../src/wire/mac-text.ts';
import { FRAME_BYTES_MAX, type FramePool } from './frame-pool.ts';

const FRAME_AT = 34;
const SLOT_BYTES = 1600;
const CLAIM_FRAMES = 64;
const WIPED = 0xa5;
const ETHERNET_BYTES = 14;

const RECEIVED_FRAMES = PORT_COUNTERS.indexOf('received_frames');
const TRANSMITTED_FRAMES = PORT_COUNTERS.indexOf('transmitted_frames');
const TRANSMIT_REFUSED = PORT_COUNTERS.indexOf('transmit_refused');
const RING_DROPPED = PORT_COUNTERS.indexOf('ring_dropped');

/** The thread of a lane dies here. */
export class LaneDeath extends Error {
  override readonly name = 'LaneDeath';
}

/** Arena bytes of one port. */
export function simPortByteLength(ringFrames: number): number {
  return (ringFrames + CLAIM_FRAMES) * SLOT_BYTES + countersByteLength(PORT_COUNTERS) + 3 * 64;
}

export class SimPort implements LanePort {
  readonly id: number;
  readonly name: string;
  readonly macHigh: number;
  readonly macLow: number;
  readonly vlan = 0;
  readonly frameBytesMax = FRAME_BYTES_MAX;
  readonly roomBytes = FRAME_BYTES_MAX;
  readonly handle = -1;
  readonly counters: Float64Array;
  /** Calls until one throws LaneDeath; 0: none does. */
  trap = 0;
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #send: (slot: number) => void;
  readonly #mask: number;
  readonly #ringOffset: number;
  readonly #claimOffset: number;
  readonly #lengths: Int32Array;
  readonly #flags: Int32Array;
  #put = 0;
  #described = 0;
  #released = 0;
  #claimed = 0;

  /** @param send takes over a frame of the pool that leaves here */
  constructor(
    id: number,
    name: string,
    mac: Mac,
    arena: Arena,
    ringFrames: number,
    pool: FramePool,
    send: (slot: number) => void,
  ) {
    this.id = id;
    this.name = name;
    this.macHigh = mac.high;
    this.macLow = mac.low;
    this.#arena = arena;
    this.#pool = pool;
    this.#send = send;
    this.#mask = ringFrames - 1;
    this.#ringOffset = arena.allocate(ringFrames * SLOT_BYTES);
    this.#claimOffset = arena.allocate(CLAIM_FRAMES * SLOT_BYTES);
    this.counters = countersAt(arena.buffer, arena.allocate(countersByteLength(PORT_COUNTERS)), PORT_COUNTERS);
    this.#lengths = new Int32Array(ringFrames);
    this.#flags = new Int32Array(ringFrames);
  }

  get received(): number {
    return this.counters[RECEIVED_FRAMES]!;
  }

  /** Frames that wait to be received. */
  get waiting(): number {
    return this.#put - this.#described;
  }

  /** Takes a frame of the pool off the wire; the pool's slot stays the caller's. */
  accept(slot: number): void {
    if (this.#put - this.#released > this.#mask) return this.#count(RING_DROPPED, 1);
    const index = this.#put++ & this.#mask;
    const from = this.#pool.offset(slot);
    const length = this.#pool.lengths[slot]!;
    this.#pool.bytes.copy(this.#arena.bytes, this.#frameOffset(index), from, from + length);
    this.#lengths[index] = length;
    this.#flags[index] = this.#pool.flags[slot]!;
  }

  receive(batch: Int32Array, rowsMax: number): number {
    this.#step();
    const rows = Math.min(this.waiting, rowsMax);
    for (let i = 0; i < rows; i++) {
      const index = (this.#described + i) & this.#mask;
      batch[i * ROW_WORDS + ROW_OFFSET] = this.#frameOffset(index);
      batch[i * ROW_WORDS + ROW_LENGTH] = this.#lengths[index]!;
      batch[i * ROW_WORDS + ROW_FLAGS] = this.#flags[index]!;
      batch[i * ROW_WORDS + ROW_VERDICT] = DROP;
    }
    this.#described += rows;
    this.#count(RECEIVED_FRAMES, rows);
    return rows;
  }

  transmit(batch: Int32Array, rows: number): number {
    this.#step();
    let taken = 0;
    for (let i = 0, row = 0; i < rows; i++, row += ROW_WORDS) {
      if ((batch[row + ROW_VERDICT]! & VERDICT_PORT_BITS) !== this.id) continue;
      if (this.#transmitOne(batch[row + ROW_OFFSET]!, batch[row + ROW_LENGTH]!, batch[row + ROW_FLAGS]!)) taken++;
      else batch[row + ROW_VERDICT] = REFUSED;
    }
    this.#claimed = 0;
    return taken;
  }

  release(_batch: Int32Array, _rows: number): void {
    this.#step();
    this.#wipe();
  }

  claim(): number {
    if (this.#claimed === CLAIM_FRAMES) return -1;
    return this.#claimOffset + this.#claimed++ * SLOT_BYTES + FRAME_AT;
  }

  discardInterrupted(): number {
    const rows = this.#described - this.#released;
    this.#wipe();
    this.#claimed = 0;
    this.trap = 0;
    return rows;
  }

  refreshCounters(): void {}

  close(): void {}

  #transmitOne(offset: number, length: number, flags: number): boolean {
    if (length < ETHERNET_BYTES || length > FRAME_BYTES_MAX) {
      this.#count(TRANSMIT_REFUSED, 1);
      return false;
    }
    const { bytes, view } = this.#arena;
    bytes.fill(WIPED, offset - HEADROOM_BYTES, offset);
    completeChecksum(view, offset, flags);
    const slot = this.#pool.take();
    this.#pool.bytes.set(bytes.subarray(offset, offset + length), this.#pool.offset(slot));
    this.#pool.lengths[slot] = length;
    this.#count(TRANSMITTED_FRAMES, 1);
    this.#send(slot);
    return true;
  }

  #wipe(): void {
    for (; this.#released < this.#described; this.#released++) {
      const offset = this.#frameOffset(this.#released & this.#mask);
      this.#arena.bytes.fill(WIPED, offset, offset + this.#lengths[this.#released & this.#mask]!);
    }
  }

  #step(): void {
    if (this.trap !== 0 && --this.trap === 0) throw new LaneDeath(`${this.name}: the thread dies`);
  }

  #frameOffset(index: number): number {
    return this.#ringOffset + index * SLOT_BYTES + FRAME_AT;
  }

  #count(counter: number, by: number): void {
    this.counters[counter] = this.counters[counter]! + by;
  }
}
