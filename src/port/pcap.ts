/**
 * The portable transport, and the slow one: libpcap in processes of its own (cap.ts), frames copied through rings in the
 * lane's arena. For where mapped rings cannot be had; 60,000 frames a second at best, and each frame is copied four times.
 *
 * The lane's side. The control thread's is pcap-feed.ts, what lies between them pcap-layout.ts.
 */
import type { Arena } from '../mem/arena.ts';
import { countersAt } from '../mem/counters.ts';
import { readLink } from './link.ts';
import type { MacChoice } from './mac.ts';
import { completeChecksum } from './partial-checksum.ts';
import {
  allocatePcap,
  CLAIM_FRAMES,
  DROPPED,
  ETHERNET_BYTES,
  type PcapDescription,
  RECEIVED_PUT,
  RECEIVED_TAKEN,
  ROWS,
  SENT_PUT,
  SENT_TAKEN,
  SLOT_FLAGS,
  SLOT_FRAME,
  SLOT_LENGTH,
} from './pcap-layout.ts';
import {
  DROP,
  PORT_COUNTERS,
  type Port,
  REFUSED,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_PORT_BITS,
} from './port.ts';

export interface PcapOptions {
  readonly id: number;
  readonly interfaceName: string;
  readonly arena: Arena;
  /** Slots of each ring, a power of two. */
  readonly ringFrames: number;
  /** Largest MTU that slots are made for. */
  readonly mtuMax?: number;
  readonly mac?: MacChoice;
}

/** Virtual interfaces pass any Ethernet address; see MacChoice. */
const KINDS_WITHOUT_FILTER = new Set(['veth', 'tun']);
const LOCAL_BIT = 0x0200;
const OWN_BIT = 0x0400;

/**
 * Plans a port; `PcapFeed` brings it to life.
 * @throws LinkError; RangeError for a bad number of frames
 */
export function describePcap(options: PcapOptions): PcapDescription {
  const { id, interfaceName: name, arena, ringFrames, mtuMax = 1500, mac = 'interface' } = options;
  if (!(ringFrames > 0 && (ringFrames & (ringFrames - 1)) === 0)) {
    throw new RangeError(`ringFrames is ${ringFrames}; it must be a power of two`);
  }
  const { mtu, macHigh, macLow, kind } = readLink(name);
  const isBeside = mac === 'auto' && KINDS_WITHOUT_FILTER.has(kind);
  const own =
    typeof mac === 'object' ? mac : { high: isBeside ? (macHigh | LOCAL_BIT) ^ OWN_BIT : macHigh, low: macLow };
  return {
    transport: 'pcap',
    id,
    name,
    handle: -1,
    mtu: Math.min(mtu, mtuMax),
    macHigh: own.high,
    macLow: own.low,
    slots: ringFrames,
    ...allocatePcap(arena, ringFrames, mtuMax),
  };
}

const RECEIVED_FRAMES = PORT_COUNTERS.indexOf('received_frames');
const RECEIVED_BYTES = PORT_COUNTERS.indexOf('received_bytes');
const TRANSMITTED_FRAMES = PORT_COUNTERS.indexOf('transmitted_frames');
const TRANSMITTED_BYTES = PORT_COUNTERS.indexOf('transmitted_bytes');
const TRANSMIT_REFUSED = PORT_COUNTERS.indexOf('transmit_refused');
const RING_DROPPED = PORT_COUNTERS.indexOf('ring_dropped');
const RECEIVE_BATCHES = PORT_COUNTERS.indexOf('receive_batches');
const TRANSMIT_CALLS = PORT_COUNTERS.indexOf('transmit_calls');

export class PcapPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly macHigh: number;
  readonly macLow: number;
  /** Tags are left where they are: libpcap's frames of a VLAN are foreign. */
  readonly vlan = 0;
  readonly frameBytesMax: number;
  readonly roomBytes: number;
  readonly handle = -1;
  readonly counters: Float64Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #state: number;
  readonly #slotBytes: number;
  readonly #mask: number;
  readonly #receiveOffset: number;
  readonly #sendOffset: number;
  readonly #claimOffset: number;
  /** Frames ever described by `receive`. */
  #described: number;
  #claimed = 0;

  constructor(description: PcapDescription, arena: Arena) {
    this.id = description.id;
    this.name = description.name;
    this.macHigh = description.macHigh;
    this.macLow = description.macLow;
    this.frameBytesMax = description.mtu + ETHERNET_BYTES;
    this.roomBytes = this.frameBytesMax;
    this.counters = countersAt(arena.buffer, description.countersOffset, PORT_COUNTERS);
    this.#view = arena.view;
    this.#bytes = arena.bytes;
    this.#words = arena.words;
    this.#state = description.stateOffset >> 2;
    this.#slotBytes = description.slotBytes;
    this.#mask = description.slots - 1;
    this.#receiveOffset = description.receiveOffset;
    this.#sendOffset = description.sendOffset;
    this.#claimOffset = description.claimOffset;
    this.#described = this.#words[this.#state + RECEIVED_TAKEN];
  }

  /** Gives back the frames a crashed lane had in work, unsent: one of them may be what killed it. Returns their number. */
  discardInterrupted(): number {
    const rows = this.#words[this.#state + ROWS];
    this.#described = (this.#described + rows) | 0;
    this.release();
    return rows;
  }

  receive(batch: Int32Array, rowsMax: number): number {
    const words = this.#words;
    const there = (Atomics.load(words, this.#state + RECEIVED_PUT) - this.#described) | 0;
    const rows = Math.min(there, rowsMax);
    if (rows === 0) return 0;
    let bytes = 0;
    for (let i = 0; i < rows; i++) {
      bytes += this.#describe(batch, i * ROW_WORDS, (this.#described + i) & this.#mask);
    }
    this.#described = (this.#described + rows) | 0;
    words[this.#state + ROWS] = rows;
    this.#count(RECEIVED_FRAMES, rows);
    this.#count(RECEIVED_BYTES, bytes);
    this.#count(RECEIVE_BATCHES, 1);
    return rows;
  }

  transmit(batch: Int32Array, rows: number): number {
    const words = this.#words;
    const put = words[this.#state + SENT_PUT];
    const taken = Atomics.load(words, this.#state + SENT_TAKEN);
    let room = this.#mask + 1 - ((put - taken) | 0);
    let sent = 0;
    let refused = 0;
    let bytes = 0;
    for (let i = 0, row = 0; i < rows; i++, row += ROW_WORDS) {
      if ((batch[row + ROW_VERDICT] & VERDICT_PORT_BITS) !== this.id) continue;
      const length = batch[row + ROW_LENGTH];
      if (room === 0 || length < ETHERNET_BYTES || length > this.frameBytesMax) {
        batch[row + ROW_VERDICT] = REFUSED;
        refused++;
        continue;
      }
      this.#put((put + sent) & this.#mask, batch[row + ROW_OFFSET], length, batch[row + ROW_FLAGS]);
      sent++;
      room--;
      bytes += length;
    }
    this.#claimed = 0;
    if (sent + refused === 0) return 0;
    if (sent > 0) this.#publish((put + sent) | 0);
    this.#count(TRANSMITTED_FRAMES, sent);
    this.#count(TRANSMITTED_BYTES, bytes);
    this.#count(TRANSMIT_REFUSED, refused);
    this.#count(TRANSMIT_CALLS, 1);
    return sent;
  }

  release(): void {
    this.#words[this.#state + ROWS] = 0;
    Atomics.store(this.#words, this.#state + RECEIVED_TAKEN, this.#described);
  }

  claim(): number {
    if (this.#claimed === CLAIM_FRAMES) return -1;
    return this.#claimOffset + this.#claimed++ * this.#slotBytes + SLOT_FRAME;
  }

  refreshCounters(): void {
    this.counters[RING_DROPPED] = Atomics.load(this.#words, this.#state + DROPPED) >>> 0;
  }

  /** What the feed opened is the feed's to close. */
  close(): void {}

  #describe(batch: Int32Array, row: number, slot: number): number {
    const offset = this.#receiveOffset + slot * this.#slotBytes;
    const length = this.#words[(offset + SLOT_LENGTH) >> 2];
    batch[row + ROW_OFFSET] = offset + SLOT_FRAME;
    batch[row + ROW_LENGTH] = length;
    batch[row + ROW_FLAGS] = this.#words[(offset + SLOT_FLAGS) >> 2];
    batch[row + ROW_VERDICT] = DROP;
    return length;
  }

  /** No kernel will complete the checksum of what libpcap sends. */
  #put(slot: number, from: number, length: number, flags: number): void {
    const offset = this.#sendOffset + slot * this.#slotBytes;
    this.#bytes.copyWithin(offset + SLOT_FRAME, from, from + length);
    this.#words[(offset + SLOT_LENGTH) >> 2] = length;
    completeChecksum(this.#view, offset + SLOT_FRAME, flags);
  }

  #publish(put: number): void {
    Atomics.store(this.#words, this.#state + SENT_PUT, put);
    Atomics.notify(this.#words, this.#state + SENT_PUT);
  }

  #count(counter: number, by: number): void {
    this.counters[counter] += by;
  }
}
