/**
 * AF_PACKET with a mapped TPACKET_V2 receive ring and sendmmsg straight out of it.
 *
 * V2, not V3: V2 publishes each frame by its own status word and wakes a sleeper at once. V3 hands over whole blocks,
 * retired by a timer in whole milliseconds, so at rest it adds a millisecond; its only gain measured here is that it
 * batches harder (see CHANGELOG for the figures). sendmmsg, not PACKET_TX_RING: the same throughput within the noise,
 * no copy into a second ring, and the frame's slot is free as soon as the call returns. The shim hands a transmit's
 * frames to sendmmsg group by group (native/batch.cc); the rows of the batch stay where they are.
 *
 * A ring slot (slotBytes apart, cache-line aligned; not a power of two, so that slots spread over the cache's sets):
 *
 *     byte  0  tpacket2_hdr: u32 status, u32 len, u32 snaplen, u16 mac, u16 net, …, u16 vlan_tci at 24
 *     byte 32  sockaddr_ll
 *     byte mac − 10  virtio_net_hdr: u8 flags, u8 gso_type, u16 hdr_len, u16 gso_size, u16 csum_start, u16 csum_offset
 *     byte mac  the frame; mac + 14 is 4-aligned thanks to PACKET_RESERVE
 *
 * The socket is opened by the conductor and belongs to the process; a lane attaches to it by its description. State
 * that must outlive a crashed lane lies in shared memory:
 *
 *     word 0  head: the slot that the next receive looks at (writer: the lane)
 *     word 1  rows of the batch in work, 0 between cycles (writer: the lane)
 */
import type { Arena } from '../mem/arena.ts';
import { countersAt, countersByteLength } from '../mem/counters.ts';
import {
  BATCH_ROWS_MAX,
  CHECKSUM_START_SHIFT,
  DROP,
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_SUPERFRAME,
  FLAG_TRUNCATED,
  FLAG_VLAN,
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
import { asPortError, loadShim, type Shim } from './shim.ts';

const TP_STATUS_KERNEL = 0;
const TP_STATUS_USER = 1;
const TP_STATUS_CSUMNOTREADY = 8;
const TP_STATUS_VLAN_VALID = 16;
const TP_STATUS_CSUM_VALID = 128;
const UDP_CHECKSUM_OFFSET = 6;
const ETHERNET_BYTES = 14;
/** Bytes of a slot before the frame, with VNET_HDR and RESERVE: 78, and room to keep the next slot aligned. */
const SLOT_HEADER_BYTES = 78;
const RESERVE_BYTES = 2;
const CACHE_LINE_BYTES = 64;
const SLOTS_PER_BLOCK = 64;
const CLAIM_FRAMES = 64;
const PAGE_BYTES = 65536;

const STATE_HEAD = 0;
const STATE_ROWS = 1;
const STATE_BYTES = 64;

export interface Fanout {
  /** Id of the group, 0 to 65535, unique in the network namespace. */
  group: number;
  type: number;
  program: Uint8Array;
}

/** An Ethernet address: upper 16 and lower 32 bits. */
export interface MacAddress {
  readonly high: number;
  readonly low: number;
}

/**
 * Which Ethernet address the port answers by.
 *
 * - `interface`: the interface's own. The kernel's stack sees every frame as its own too, and routes it before it finds
 *   that nobody owns the IP address.
 * - `auto`: one derived from it on veth and TAP, which pass any address; else the interface's. The stack drops such
 *   frames at its first check (PACKET_OTHERHOST), which saved a twentieth of all CPU time in `bench -- compare`.
 * - an address: that one; the interface is made promiscuous.
 */
export type MacChoice = 'auto' | 'interface' | MacAddress;

export interface AfPacketOptions {
  id: number;
  interfaceName: string;
  arena: Arena;
  /** Slots of the receive ring, a power of two ≥ 64. */
  ringFrames: number;
  /** Largest MTU the slots must hold, bytes. */
  mtuMax?: number;
  fanout?: Fanout;
  /** Default: interface. */
  mac?: MacChoice;
}

/** An open socket and where its parts lie; plain data, so that it can be handed to a worker. */
export interface AfPacketDescription {
  id: number;
  name: string;
  handle: number;
  mtu: number;
  macHigh: number;
  macLow: number;
  ringOffset: number;
  slotBytes: number;
  slots: number;
  claimOffset: number;
  stateOffset: number;
  countersOffset: number;
}

const DEFAULT_MTU = 1500;

/** Bytes of a slot: an odd number of cache lines that holds a frame of `mtu` and its headers. */
function slotBytesFor(mtu: number): number {
  const lines = Math.ceil((SLOT_HEADER_BYTES + ETHERNET_BYTES + 4 + mtu + 46) / CACHE_LINE_BYTES);
  return (lines | 1) * CACHE_LINE_BYTES;
}

/** Arena bytes that one port of `ringFrames` slots takes. */
export function afPacketByteLength(ringFrames: number, mtuMax = DEFAULT_MTU): number {
  const slotBytes = slotBytesFor(mtuMax);
  return (
    PAGE_BYTES * 2 + (ringFrames + CLAIM_FRAMES) * slotBytes + STATE_BYTES + countersByteLength(PORT_COUNTERS) + 256
  );
}

/**
 * Opens and binds the socket and maps its ring into the arena.
 * @throws PortError naming the interface, the call, errno and advice; RangeError for a bad number of frames
 */
export function describeAfPacket(options: AfPacketOptions): AfPacketDescription {
  const { arena, interfaceName, ringFrames, fanout } = options;
  if (ringFrames < SLOTS_PER_BLOCK || (ringFrames & (ringFrames - 1)) !== 0) {
    throw new RangeError(`ringFrames is ${ringFrames}; it must be a power of two, at least ${SLOTS_PER_BLOCK}`);
  }
  const slotBytes = slotBytesFor(options.mtuMax ?? DEFAULT_MTU);
  const ringOffset = arena.allocate(ringFrames * slotBytes, PAGE_BYTES);
  // The kernel's pages replace ours up to the end of the ring's last page; nothing else may lie there.
  arena.allocate(0, PAGE_BYTES);
  let opened: ReturnType<Shim['openAfPacket']>;
  try {
    opened = loadShim().openAfPacket({
      interface: interfaceName,
      arena: arena.bytes,
      ringOffset,
      slotBytes,
      slots: ringFrames,
      blockBytes: slotBytes * SLOTS_PER_BLOCK,
      reserveBytes: RESERVE_BYTES,
      fanoutGroup: fanout?.group ?? -1,
      fanoutType: fanout?.type ?? 0,
      fanoutProgram: fanout?.program ?? new Uint8Array(0),
    });
  } catch (thrown) {
    throw asPortError(`interface ${interfaceName}`, thrown);
  }
  const mac = chooseMac(options.mac ?? 'interface', opened);
  return {
    id: options.id,
    name: interfaceName,
    handle: opened.handle,
    mtu: opened.mtu,
    macHigh: mac.high,
    macLow: mac.low,
    ringOffset,
    slotBytes,
    slots: ringFrames,
    claimOffset: arena.allocate(CLAIM_FRAMES * slotBytes),
    stateOffset: arena.allocate(STATE_BYTES),
    countersOffset: arena.allocate(countersByteLength(PORT_COUNTERS)),
  };
}

/** Drivers of interfaces that neither filter by Ethernet address nor sit behind a switch port that might. */
const DRIVERS_WITHOUT_FILTER = new Set(['veth', 'tun']);
/** Upper 16 bits of an address: locally administered; and a bit that sets ours apart from the interface's. */
const LOCAL_BIT = 0x0200;
const OWN_BIT = 0x0400;

function chooseMac(choice: MacChoice, opened: ReturnType<Shim['openAfPacket']>): MacAddress {
  const [a, b, c, d, e, f] = opened.mac;
  const high = (a << 8) | b;
  const low = (c << 24) | (d << 16) | (e << 8) | f;
  if (choice === 'interface' || (choice === 'auto' && !DRIVERS_WITHOUT_FILTER.has(opened.driver))) return { high, low };
  if (choice === 'auto') return { high: (high | LOCAL_BIT) ^ OWN_BIT, low };
  if (choice.high !== high || choice.low !== low) loadShim().setPromiscuous(opened.handle);
  return choice;
}

const RECEIVED_FRAMES = PORT_COUNTERS.indexOf('received_frames');
const RECEIVED_BYTES = PORT_COUNTERS.indexOf('received_bytes');
const TRANSMITTED_FRAMES = PORT_COUNTERS.indexOf('transmitted_frames');
const TRANSMITTED_BYTES = PORT_COUNTERS.indexOf('transmitted_bytes');
const TRANSMIT_REFUSED = PORT_COUNTERS.indexOf('transmit_refused');
const RING_DROPPED = PORT_COUNTERS.indexOf('ring_dropped');
const RECEIVE_BATCHES = PORT_COUNTERS.indexOf('receive_batches');
const TRANSMIT_CALLS = PORT_COUNTERS.indexOf('transmit_calls');

export class AfPacketPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly macHigh: number;
  readonly macLow: number;
  readonly frameBytesMax: number;
  readonly roomBytes: number;
  readonly handle: number;
  readonly counters: Float64Array;
  readonly #shim: Shim;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #ringOffset: number;
  readonly #slotBytes: number;
  readonly #slots: number;
  readonly #stateWord: number;
  readonly #claimOffset: number;
  readonly #statistics = new Int32Array(2);
  #head: number;
  #claimed = 0;

  constructor(description: AfPacketDescription, arena: Arena) {
    this.#shim = loadShim();
    this.id = description.id;
    this.name = description.name;
    this.macHigh = description.macHigh;
    this.macLow = description.macLow;
    this.handle = description.handle;
    this.frameBytesMax = description.mtu + ETHERNET_BYTES;
    this.roomBytes = Math.min(description.slotBytes - SLOT_HEADER_BYTES, this.frameBytesMax);
    this.counters = countersAt(arena.buffer, description.countersOffset, PORT_COUNTERS);
    this.#bytes = arena.bytes;
    this.#words = arena.words;
    this.#ringOffset = description.ringOffset;
    this.#slotBytes = description.slotBytes;
    this.#slots = description.slots;
    this.#stateWord = description.stateOffset >> 2;
    this.#claimOffset = description.claimOffset + HEADROOM_BYTES;
    this.#head = this.#words[this.#stateWord + STATE_HEAD];
  }

  /**
   * Gives back the frames a crashed lane had in work, unsent: one of them may be what killed it.
   * @returns their number
   */
  discardInterrupted(): number {
    const rows = this.#words[this.#stateWord + STATE_ROWS];
    for (let i = 0; i < rows; i++) this.#freeSlot((this.#head + i) % this.#slots);
    this.#advance(rows);
    return rows;
  }

  receive(batch: Int32Array, rowsMax: number): number {
    const words = this.#words;
    const strideWords = this.#slotBytes >> 2;
    const firstWord = this.#ringOffset >> 2;
    let slot = this.#head;
    let statusWord = firstWord + slot * strideWords;
    // One acquire per batch; on x86-64 (TSO) the plain reads behind it see what the kernel published in order.
    if ((Atomics.load(words, statusWord) & TP_STATUS_USER) === 0) return 0;
    let rows = 0;
    let bytes = 0;
    do {
      bytes += this.#describe(batch, rows * ROW_WORDS, statusWord);
      rows++;
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
      statusWord = firstWord + slot * strideWords;
    } while (rows < rowsMax && (words[statusWord] & TP_STATUS_USER) !== 0);
    words[this.#stateWord + STATE_ROWS] = rows;
    this.#count(RECEIVED_FRAMES, rows);
    this.#count(RECEIVED_BYTES, bytes);
    this.#count(RECEIVE_BATCHES, 1);
    return rows;
  }

  transmit(batch: Int32Array, rows: number): number {
    const id = this.id;
    const wanted = countRows(batch, rows, id);
    this.#claimed = 0;
    if (wanted === 0) return 0;
    const taken = this.#shim.transmit(this.handle, batch.byteOffset, Math.min(rows, BATCH_ROWS_MAX), id);
    this.#count(TRANSMITTED_FRAMES, taken);
    this.#count(TRANSMITTED_BYTES, sumLengths(batch, rows, id));
    this.#count(TRANSMIT_REFUSED, wanted - taken);
    this.#count(TRANSMIT_CALLS, 1);
    return taken;
  }

  release(_batch: Int32Array, rows: number): void {
    for (let i = 0; i < rows; i++) this.#freeSlot((this.#head + i) % this.#slots);
    this.#advance(rows);
  }

  claim(): number {
    if (this.#claimed === CLAIM_FRAMES) return -1;
    return this.#claimOffset + this.#claimed++ * this.#slotBytes;
  }

  refreshCounters(): void {
    this.#shim.statistics(this.handle, this.#statistics);
    this.#count(RING_DROPPED, this.#statistics[1]);
  }

  close(): void {
    this.#shim.close(this.handle);
  }

  /** Writes the row at word `row` from the slot whose header begins at `statusWord`; returns the frame's length. */
  #describe(batch: Int32Array, row: number, statusWord: number): number {
    const words = this.#words;
    const status = words[statusWord];
    const length = words[statusWord + 2];
    const offset = (statusWord << 2) + (words[statusWord + 3] & 0xffff);
    let flags = (status & TP_STATUS_CSUM_VALID) !== 0 ? FLAG_CHECKSUM_VERIFIED : 0;
    if ((status & TP_STATUS_CSUMNOTREADY) !== 0) flags |= this.#partialChecksum(offset);
    if ((status & TP_STATUS_VLAN_VALID) !== 0) flags |= FLAG_VLAN | (words[statusWord + 6] << 16);
    if (this.#bytes[offset - 9] !== 0) flags |= FLAG_SUPERFRAME;
    if (words[statusWord + 1] !== length) flags |= FLAG_TRUNCATED;
    batch[row + ROW_OFFSET] = offset;
    batch[row + ROW_LENGTH] = length;
    batch[row + ROW_FLAGS] = flags;
    batch[row + ROW_VERDICT] = DROP;
    return length;
  }

  /** Flags of a frame whose virtio_net_hdr says NEEDS_CSUM with UDP's offset; TCP's frames are never ours to send. */
  #partialChecksum(offset: number): number {
    const bytes = this.#bytes;
    if ((bytes[offset - 10] & 1) === 0 || bytes[offset - 2] !== UDP_CHECKSUM_OFFSET) return 0;
    return FLAG_PARTIAL_CHECKSUM | (bytes[offset - 4] << CHECKSUM_START_SHIFT);
  }

  #freeSlot(slot: number): void {
    this.#words[(this.#ringOffset + slot * this.#slotBytes) >> 2] = TP_STATUS_KERNEL;
  }

  #advance(rows: number): void {
    this.#head = (this.#head + rows) % this.#slots;
    this.#words[this.#stateWord + STATE_HEAD] = this.#head;
    this.#words[this.#stateWord + STATE_ROWS] = 0;
  }

  #count(counter: number, by: number): void {
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

/** Opens a port for the calling thread alone: load generator, tools, tests. */
export function openAfPacket(options: AfPacketOptions): AfPacketPort {
  return new AfPacketPort(describeAfPacket(options), options.arena);
}
