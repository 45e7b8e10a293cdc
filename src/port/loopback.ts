/**
 * Two ports joined back to back in memory: what one transmits, the other receives. For tests, simulation and figures
 * without a kernel.
 *
 * It behaves as a veth pair does. Frames are copied into a slot of the receiver's ring at transmit; a full ring drops
 * the frame and counts it at the receiver (`ring_dropped`), while the sender counts it as transmitted; a partial
 * checksum stays partial and is flagged. A frame longer than the MTU, or shorter than an Ethernet header, is refused.
 * Groups are passed over: frames leave in row order. An end of a VLAN sends with its tag, shown in the peer's FLAGS.
 * Both ends belong to one thread; each may have an arena of its own. `inject` stands for everything that no loopback
 * peer sends: flags of stripped tags, super-frames, verified checksums.
 *
 * A slot (a multiple of 64 bytes apart), for received and claimed frames alike:
 *
 *     byte  0  unused
 *     byte 16  headroom (HEADROOM_BYTES), scribbled over by every transmit, so that code which keeps things there is
 *              caught
 *     byte 34  the frame: its network header is 4-aligned, as in an AF_PACKET ring
 */
import type { Arena } from '../mem/arena.ts';
import { countersAt, countersByteLength } from '../mem/counters.ts';
import {
  DROP,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_VLAN,
  HEADROOM_BYTES,
  PORT_COUNTERS,
  type Port,
  REFUSED,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_PORT_BITS,
  VLAN_SHIFT,
} from './port.ts';

const ETHERNET_BYTES = 14;
const FRAME_OFFSET = 34;
const HEADROOM_MARK = 0xa5a5a5a5 | 0;
const CACHE_LINE_BYTES = 64;
const CLAIM_FRAMES = 64;
/** Priority and drop eligible, of a tag control. */
const PRIORITY_BITS = 0xf000;
/** Checksum start, bits 8–15 of FLAGS. */
const CHECKSUM_START_BITS = 0xff00;

export interface LoopbackEnd {
  arena: Arena;
  /** Unique within the lane that drives this end; default 0. */
  id?: number;
  /** Default 'loop0' and 'loop1'. */
  name?: string;
  /** Upper 16 and lower 32 bits; default 02:00:00:00:00:01 and …:02. */
  macHigh?: number;
  macLow?: number;
  /** VLAN of this end, 1–4094; default 0: untagged. */
  vlan?: number;
}

export interface LoopbackOptions {
  near: LoopbackEnd;
  far: LoopbackEnd;
  /** Slots of each receive ring, a power of two; default 256. */
  ringFrames?: number;
  /** Bytes; default 1500. */
  mtu?: number;
}

const RECEIVED_FRAMES = PORT_COUNTERS.indexOf('received_frames');
const RECEIVED_BYTES = PORT_COUNTERS.indexOf('received_bytes');
const TRANSMITTED_FRAMES = PORT_COUNTERS.indexOf('transmitted_frames');
const TRANSMITTED_BYTES = PORT_COUNTERS.indexOf('transmitted_bytes');
const TRANSMIT_REFUSED = PORT_COUNTERS.indexOf('transmit_refused');
const RING_DROPPED = PORT_COUNTERS.indexOf('ring_dropped');
const RECEIVE_BATCHES = PORT_COUNTERS.indexOf('receive_batches');
const TRANSMIT_CALLS = PORT_COUNTERS.indexOf('transmit_calls');

/** Bytes of a slot that holds a frame of `mtu`: whole cache lines. */
function slotBytesFor(mtu: number): number {
  return Math.ceil((FRAME_OFFSET + ETHERNET_BYTES + mtu + 4) / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
}

/** Arena bytes that one end takes. */
export function loopbackByteLength(ringFrames = 256, mtu = 1500): number {
  return (ringFrames + CLAIM_FRAMES) * slotBytesFor(mtu) + countersByteLength(PORT_COUNTERS) + 3 * CACHE_LINE_BYTES;
}

/**
 * Opens both ends.
 * @throws RangeError when `ringFrames` is no power of two, or an arena is full
 */
export function openLoopback(options: LoopbackOptions): { near: LoopbackPort; far: LoopbackPort } {
  const { ringFrames = 256, mtu = 1500 } = options;
  if (!(ringFrames > 0 && Number.isInteger(Math.log2(ringFrames)))) {
    throw new RangeError(`loopback: ringFrames is ${ringFrames}; it must be a power of two`);
  }
  const near = new LoopbackPort(options.near, 'loop0', 1, ringFrames, mtu);
  const far = new LoopbackPort(options.far, 'loop1', 2, ringFrames, mtu);
  near.join(far);
  far.join(near);
  return { near, far };
}

export class LoopbackPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly macHigh: number;
  readonly macLow: number;
  readonly vlan: number;
  readonly frameBytesMax: number;
  readonly roomBytes: number;
  readonly handle = -1;
  readonly counters: Float64Array;
  readonly #arena: Arena;
  readonly #slotBytes: number;
  readonly #ringMask: number;
  readonly #ringOffset: number;
  readonly #claimOffset: number;
  /** Length and flags of the frame in each slot of the ring. */
  readonly #lengths: Int32Array;
  readonly #flags: Int32Array;
  /** Frames ever put into the ring, described by `receive`, given back by `release`; int32, compared by difference. */
  #put = 0;
  #described = 0;
  #released = 0;
  #claimed = 0;
  #peer: LoopbackPort;
  #closed = false;

  constructor(end: LoopbackEnd, name: string, macLow: number, ringFrames: number, mtu: number) {
    const { arena } = end;
    this.id = end.id ?? 0;
    this.name = end.name ?? name;
    this.macHigh = end.macHigh ?? 0x0200;
    this.macLow = end.macLow ?? macLow;
    this.vlan = end.vlan ?? 0;
    this.frameBytesMax = mtu + ETHERNET_BYTES;
    this.roomBytes = this.frameBytesMax;
    this.#arena = arena;
    this.#slotBytes = slotBytesFor(mtu);
    this.#ringMask = ringFrames - 1;
    this.#ringOffset = arena.allocate(ringFrames * this.#slotBytes);
    this.#claimOffset = arena.allocate(CLAIM_FRAMES * this.#slotBytes);
    this.counters = countersAt(arena.buffer, arena.allocate(countersByteLength(PORT_COUNTERS)), PORT_COUNTERS);
    this.#lengths = new Int32Array(ringFrames);
    this.#flags = new Int32Array(ringFrames);
    this.#peer = this;
  }

  /** Where this end's transmits go. */
  join(peer: LoopbackPort): void {
    this.#peer = peer;
  }

  receive(batch: Int32Array, rowsMax: number): number {
    const rows = Math.min((this.#put - this.#described) | 0, rowsMax);
    if (rows === 0) return 0;
    let bytes = 0;
    for (let i = 0; i < rows; i++) {
      const slot = (this.#described + i) & this.#ringMask;
      const row = i * ROW_WORDS;
      batch[row + ROW_OFFSET] = this.#frameOffset(slot);
      batch[row + ROW_LENGTH] = this.#lengths[slot] as number;
      batch[row + ROW_FLAGS] = this.#flags[slot] as number;
      batch[row + ROW_VERDICT] = DROP;
      bytes += this.#lengths[slot] as number;
    }
    this.#described = (this.#described + rows) | 0;
    this.#count(RECEIVED_FRAMES, rows);
    this.#count(RECEIVED_BYTES, bytes);
    this.#count(RECEIVE_BATCHES, 1);
    return rows;
  }

  transmit(batch: Int32Array, rows: number): number {
    let wanted = 0;
    let taken = 0;
    let bytes = 0;
    for (let i = 0, row = 0; i < rows; i++, row += ROW_WORDS) {
      if (((batch[row + ROW_VERDICT] as number) & VERDICT_PORT_BITS) !== this.id) continue;
      const length = batch[row + ROW_LENGTH] as number;
      wanted++;
      if (this.#closed || length < ETHERNET_BYTES || length > this.frameBytesMax) {
        batch[row + ROW_VERDICT] = REFUSED;
        continue;
      }
      this.#send(batch[row + ROW_OFFSET] as number, length, batch[row + ROW_FLAGS] as number);
      taken++;
      bytes += length;
    }
    this.#claimed = 0;
    if (wanted === 0) return 0;
    this.#count(TRANSMITTED_FRAMES, taken);
    this.#count(TRANSMITTED_BYTES, bytes);
    this.#count(TRANSMIT_REFUSED, wanted - taken);
    this.#count(TRANSMIT_CALLS, 1);
    return taken;
  }

  /** The rows may lie anywhere: what is given back is what the last `receive` described. */
  release(_batch: Int32Array, _rows: number): void {
    this.#released = this.#described;
  }

  claim(): number {
    if (this.#claimed === CLAIM_FRAMES) return -1;
    return this.#claimOffset + this.#claimed++ * this.#slotBytes + FRAME_OFFSET;
  }

  refreshCounters(): void {}

  /** From now on every transmit of this end is refused; what lies in the rings can still be received. */
  close(): void {
    this.#closed = true;
  }

  #frameOffset(slot: number): number {
    return this.#ringOffset + slot * this.#slotBytes + FRAME_OFFSET;
  }

  #send(offset: number, length: number, flags: number): void {
    const view = this.#arena.view;
    for (let i = 4; i <= HEADROOM_BYTES; i += 4) view.setInt32(offset - i, HEADROOM_MARK);
    this.#peer.accept(this.#arena.view, offset, length, carriedFlags(flags) | tagFlags(flags, this.vlan));
  }

  /**
   * Puts a frame into this end's receive ring as it is, with any flags.
   * @returns false when the ring is full: counted in `ring_dropped`
   * @throws RangeError when the frame is longer than a slot
   */
  inject(frame: Uint8Array, flags = 0): boolean {
    if (frame.length > this.frameBytesMax) {
      throw new RangeError(`${this.name}: a frame of ${frame.length} bytes; at most ${this.frameBytesMax} fit`);
    }
    return this.accept(new DataView(frame.buffer, frame.byteOffset), 0, frame.length, flags);
  }

  /** Takes a frame from the other end, as a driver's interrupt would; false when the ring is full. */
  accept(from: DataView, offset: number, length: number, flags: number): boolean {
    if (((this.#put - this.#released) | 0) > this.#ringMask) {
      this.#count(RING_DROPPED, 1);
      return false;
    }
    const slot = this.#put & this.#ringMask;
    copyBytes(from, offset, this.#arena.view, this.#frameOffset(slot), length);
    this.#lengths[slot] = length;
    this.#flags[slot] = flags;
    this.#put = (this.#put + 1) | 0;
    return true;
  }

  #count(counter: number, by: number): void {
    this.counters[counter] = (this.counters[counter] as number) + by;
  }
}

/** What of a transmitted row's flags the other end sees: the state of the checksum, not how the frame was received. */
function carriedFlags(flags: number): number {
  return (flags & FLAG_PARTIAL_CHECKSUM) === 0 ? 0 : flags & (FLAG_PARTIAL_CHECKSUM | CHECKSUM_START_BITS);
}

/** The tag that goes out: of this VLAN, with the priority bits of the one that the frame came with. */
function tagFlags(flags: number, vlan: number): number {
  if (vlan === 0) return 0;
  const priority = (flags & FLAG_VLAN) === 0 ? 0 : flags & (PRIORITY_BITS << VLAN_SHIFT);
  return FLAG_VLAN | priority | (vlan << VLAN_SHIFT);
}

/** By words: frames are short, and `set` would need two fresh subarrays for each. */
function copyBytes(from: DataView, offset: number, to: DataView, toOffset: number, length: number): void {
  let i = 0;
  for (; i + 16 <= length; i += 16) {
    to.setInt32(toOffset + i, from.getInt32(offset + i, true), true);
    to.setInt32(toOffset + i + 4, from.getInt32(offset + i + 4, true), true);
    to.setInt32(toOffset + i + 8, from.getInt32(offset + i + 8, true), true);
    to.setInt32(toOffset + i + 12, from.getInt32(offset + i + 12, true), true);
  }
  for (; i + 4 <= length; i += 4) to.setInt32(toOffset + i, from.getInt32(offset + i, true), true);
  for (; i < length; i++) to.setUint8(toOffset + i, from.getUint8(offset + i));
}
