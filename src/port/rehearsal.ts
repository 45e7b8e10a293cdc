/**
 * An AF_PACKET port without a socket: its receive ring lies in the arena as any other's, but is filled by this thread, which
 * also takes what the port sends. A lane that works on such ports runs the code that it will run on real ones, and V8
 * compiles it for the same classes (for other transports it learns the port's anew).
 */
import type { Arena } from '../mem/arena.ts';
import {
  AfPacketPort,
  PAGE_BYTES,
  SLOT_HEADER_BYTES,
  slotBytesFor,
  TP_STATUS_CSUMNOTREADY,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
} from './af-packet.ts';
import { ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS, VERDICT_PORT_BITS } from './port.ts';
import type { Shim } from './shim.ts';
import { allocateExtras, DEFAULT_MTU, ETHERNET_BYTES, type PortDescription } from './shim-port.ts';
import { NEEDS_CHECKSUM, VIRTIO_BYTES } from './virtio.ts';

/** Of a virtio_net_hdr: where the checksummed part begins, and where in it the checksum stands, in frames without IP options. */
const CHECKSUM_START = 34;
const CHECKSUM_OFFSET = 6;
const NO_HANDLE = -1;

/** @param slots of the ring, a power of two */
export function describeRehearsal(
  arena: Arena,
  slots: number,
  port: Pick<PortDescription, 'id' | 'name' | 'macHigh' | 'macLow'>,
): PortDescription {
  const slotBytes = slotBytesFor(DEFAULT_MTU);
  return {
    transport: 'af_packet',
    ...port,
    handle: NO_HANDLE,
    frameBytesMax: DEFAULT_MTU + ETHERNET_BYTES,
    vlan: 0,
    joins: false,
    ringOffset: arena.allocate(slots * slotBytes, PAGE_BYTES),
    slotBytes,
    slots,
    ...allocateExtras(arena, slotBytes),
  };
}

/** Hears of each frame that a port sends: where it lies in the arena, and its length. */
export type Taker = (offset: number, length: number) => void;

export class RehearsalWire {
  readonly port: AfPacketPort;
  readonly #description: PortDescription;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  #next = 0;

  constructor(description: PortDescription, arena: Arena, taker: Taker) {
    this.#description = description;
    this.#bytes = arena.bytes;
    this.#words = arena.words;
    this.port = new AfPacketPort(description, arena, new NoKernel(arena.words, taker) as Partial<Shim> as Shim);
  }

  /** A frame arrives; false when the ring is full. @param isPartial its UDP checksum is the pseudo-header's sum alone */
  offer(frame: Uint8Array, isPartial: boolean): boolean {
    const { ringOffset, slotBytes, slots } = this.#description;
    const slot = ringOffset + this.#next * slotBytes;
    const words = this.#words;
    const status = slot >> 2;
    if (words[status] !== TP_STATUS_KERNEL) return false;
    const at = slot + SLOT_HEADER_BYTES;
    this.#bytes.fill(0, at - VIRTIO_BYTES, at);
    if (isPartial) this.#askForChecksum(at);
    this.#bytes.set(frame, at);
    words[status + 1] = frame.length;
    words[status + 2] = frame.length;
    words[status + 3] = SLOT_HEADER_BYTES;
    Atomics.store(words, status, TP_STATUS_USER | (isPartial ? TP_STATUS_CSUMNOTREADY : 0));
    this.#next = (this.#next + 1) % slots;
    return true;
  }

  #askForChecksum(at: number): void {
    this.#bytes[at - VIRTIO_BYTES] = NEEDS_CHECKSUM;
    this.#bytes[at - 4] = CHECKSUM_START;
    this.#bytes[at - 2] = CHECKSUM_OFFSET;
  }
}

/** What a port asks of the shim while it carries frames. */
class NoKernel implements Pick<Shim, 'transmit' | 'statistics'> {
  readonly #words: Int32Array;
  readonly #taker: Taker;

  constructor(words: Int32Array, taker: Taker) {
    this.#words = words;
    this.#taker = taker;
  }

  transmit(_handle: number, batchByteOffset: number, rows: number, id: number): number {
    const words = this.#words;
    let taken = 0;
    for (let i = 0, row = batchByteOffset >> 2; i < rows; i++, row += ROW_WORDS) {
      if ((words[row + ROW_VERDICT] & VERDICT_PORT_BITS) !== id) continue;
      this.#taker(words[row + ROW_OFFSET], words[row + ROW_LENGTH]);
      taken++;
    }
    return taken;
  }

  statistics(_handle: number, out: Int32Array): void {
    out.fill(0);
  }
}
