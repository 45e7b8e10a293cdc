/**
 * What the ports of the shim have in common: frames in slots of the lane's arena, transmits out of it by one call, frames
 * to lend, counters in shared memory.
 *
 * A port is opened by the conductor and belongs to the process; a lane attaches to it by its description. State that must
 * outlive a crashed lane lies in shared memory:
 *
 *     word 0  head: the slot that the next receive looks at (writer: the lane; AF_PACKET)
 *     word 1  rows of the batch in work, 0 between cycles (writer: the lane)
 *     word 2  frames dropped by the kernel at the last look, wrapping (writer: the lane; TAP)
 */
import type { Arena } from '../mem/arena.ts';
import { countersAt, countersByteLength } from '../mem/counters.ts';
import {
  BATCH_ROWS_MAX,
  HEADROOM_BYTES,
  PORT_COUNTERS,
  type Port,
  ROW_LENGTH,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_PORT_BITS,
} from './port.ts';
import { loadShim, type Shim } from './shim.ts';

export const ETHERNET_BYTES = 14;
/** A VLAN tag. */
export const TAG_BYTES = 4;
export const CACHE_LINE_BYTES = 64;
export const DEFAULT_MTU = 1500;
/** Largest MTU that slots are made for, bytes: jumbo frames. A frame beyond it (loopback's 65536) is truncated. */
export const SLOT_MTU_MAX = 9216;

const CLAIM_FRAMES = 64;
const STATE_BYTES = 64;
export const STATE_HEAD = 0;
export const STATE_ROWS = 1;
export const STATE_DROPPED = 2;

/** An open port and where its parts lie; plain data, so that it can be handed to a worker. */
export interface PortDescription {
  transport: 'af_packet' | 'tap';
  id: number;
  /** Of the interface. */
  name: string;
  handle: number;
  /** Largest frame that can be transmitted, and that a slot or a claimed frame holds; bytes, without FCS. */
  frameBytesMax: number;
  macHigh: number;
  macLow: number;
  /** 1–4094, or 0: untagged. */
  vlan: number;
  /** Whether datagrams of one flow may leave as a super-frame (AF_PACKET). */
  joins: boolean;
  ringOffset: number;
  slotBytes: number;
  slots: number;
  claimOffset: number;
  stateOffset: number;
  countersOffset: number;
}

/** Arena bytes of everything but the slots. */
export function extraByteLength(slotBytes: number): number {
  return CLAIM_FRAMES * slotBytes + STATE_BYTES + countersByteLength(PORT_COUNTERS) + 4 * CACHE_LINE_BYTES;
}

/** Takes `extraByteLength` of the arena. */
export function allocateExtras(
  arena: Arena,
  slotBytes: number,
): Pick<PortDescription, 'claimOffset' | 'stateOffset' | 'countersOffset'> {
  return {
    claimOffset: arena.allocate(CLAIM_FRAMES * slotBytes),
    stateOffset: arena.allocate(STATE_BYTES),
    countersOffset: arena.allocate(countersByteLength(PORT_COUNTERS)),
  };
}

/** A port that a lane can take over from one that crashed. */
export interface LanePort extends Port {
  /**
   * Gives back the frames a crashed lane had in work, unsent: one of them may be what killed it.
   * @returns their number
   */
  discardInterrupted(): number;
}

const TRANSMITTED_FRAMES = PORT_COUNTERS.indexOf('transmitted_frames');
const TRANSMITTED_BYTES = PORT_COUNTERS.indexOf('transmitted_bytes');
const TRANSMIT_REFUSED = PORT_COUNTERS.indexOf('transmit_refused');
const TRANSMIT_JOINED = PORT_COUNTERS.indexOf('transmit_joined');
const TRANSMIT_CALLS = PORT_COUNTERS.indexOf('transmit_calls');
const RECEIVED_FRAMES = PORT_COUNTERS.indexOf('received_frames');
const RECEIVED_BYTES = PORT_COUNTERS.indexOf('received_bytes');
const RECEIVE_BATCHES = PORT_COUNTERS.indexOf('receive_batches');

export abstract class ShimPort implements LanePort {
  readonly id: number;
  readonly name: string;
  readonly macHigh: number;
  readonly macLow: number;
  readonly vlan: number;
  readonly frameBytesMax: number;
  readonly handle: number;
  readonly counters: Float64Array;
  abstract readonly roomBytes: number;
  protected readonly shim: Shim;
  protected readonly bytes: Uint8Array;
  protected readonly words: Int32Array;
  /** First word of the state. */
  protected readonly state: number;
  readonly #claimOffset: number;
  readonly #slotBytes: number;
  readonly #joins: number;
  #claimed = 0;

  constructor(description: PortDescription, arena: Arena, shim = loadShim()) {
    this.shim = shim;
    this.id = description.id;
    this.name = description.name;
    this.macHigh = description.macHigh;
    this.macLow = description.macLow;
    this.vlan = description.vlan;
    this.frameBytesMax = description.frameBytesMax;
    this.handle = description.handle;
    this.counters = countersAt(arena.buffer, description.countersOffset, PORT_COUNTERS);
    this.bytes = arena.bytes;
    this.words = arena.words;
    this.state = description.stateOffset >> 2;
    this.#claimOffset = description.claimOffset + HEADROOM_BYTES;
    this.#slotBytes = description.slotBytes;
    this.#joins = description.joins ? 1 : 0;
  }

  abstract receive(batch: Int32Array, rowsMax: number): number;
  abstract release(batch: Int32Array, rows: number): void;
  abstract discardInterrupted(): number;
  abstract refreshCounters(): void;

  transmit(batch: Int32Array, rows: number): number {
    const { id } = this;
    const wanted = countRows(batch, rows, id);
    this.#claimed = 0;
    if (wanted === 0) return 0;
    const count = Math.min(rows, BATCH_ROWS_MAX);
    const { handle, frameBytesMax, vlan } = this;
    const answer = this.shim.transmit(handle, batch.byteOffset, count, id, frameBytesMax, vlan, this.#joins);
    const taken = answer & 0xffff;
    this.count(TRANSMITTED_FRAMES, taken);
    this.count(TRANSMITTED_BYTES, sumLengths(batch, rows, id));
    this.count(TRANSMIT_REFUSED, wanted - taken);
    this.count(TRANSMIT_JOINED, answer >>> 16);
    this.count(TRANSMIT_CALLS, 1);
    return taken;
  }

  claim(): number {
    if (this.#claimed === CLAIM_FRAMES) return -1;
    return this.#claimOffset + this.#claimed++ * this.#slotBytes;
  }

  close(): void {
    this.shim.close(this.handle);
  }

  protected countReceived(rows: number, bytes: number): void {
    this.words[this.state + STATE_ROWS] = rows;
    this.count(RECEIVED_FRAMES, rows);
    this.count(RECEIVED_BYTES, bytes);
    this.count(RECEIVE_BATCHES, 1);
  }

  protected count(counter: number, by: number): void {
    this.counters[counter] = this.counters[counter] + by;
  }
}

function countRows(batch: Int32Array, rows: number, id: number): number {
  let count = 0;
  for (let i = 0, row = ROW_VERDICT; i < rows; i++, row += ROW_WORDS) {
    if ((batch[row] & VERDICT_PORT_BITS) === id) count++;
  }
  return count;
}

function sumLengths(batch: Int32Array, rows: number, id: number): number {
  let bytes = 0;
  for (let i = 0, row = 0; i < rows; i++, row += ROW_WORDS) {
    if ((batch[row + ROW_VERDICT] & VERDICT_PORT_BITS) === id) bytes += batch[row + ROW_LENGTH];
  }
  return bytes;
}
