/**
 * AF_PACKET with a mapped TPACKET_V2 receive ring and sendmmsg straight out of it.
 *
 * V2, not V3: V2 publishes each frame by its own status word and wakes a sleeper at once. V3 hands over whole blocks,
 * retired by a timer in whole milliseconds, so at rest it adds a millisecond; its only gain measured here is that it
 * batches harder (see CHANGELOG for the figures). sendmmsg, not PACKET_TX_RING: the same throughput within the noise,
 * no copy into a second ring, and the frame's slot is free as soon as the call returns. The shim hands a transmit's
 * frames to sendmmsg group by group (native/batch.cc); the rows of the batch stay where they are.
 *
 * Datagrams of a group that are of one flow and equally long leave as one super-frame with a virtio_net_hdr of gso_type
 * UDP_L4, no longer than an MTU: the way through the kernel is paid for once, and whoever receives them takes them apart, a
 * socket at the end of a veth pair as well as a network card (UDP segmentation offload).
 *
 * A ring slot (slotBytes apart, cache-line aligned; not a power of two, so that slots spread over the cache's sets):
 *
 *     byte  0  tpacket2_hdr: u32 status, u32 len, u32 snaplen, u16 mac, u16 net, …, u16 vlan_tci at 24, u16 vlan_tpid
 *     byte 32  sockaddr_ll
 *     byte mac − 10  virtio_net_hdr: u8 flags, u8 gso_type, u16 hdr_len, u16 gso_size, u16 csum_start, u16 csum_offset
 *     byte mac  the frame; mac + 14 is 4-aligned thanks to PACKET_RESERVE
 */
import type { Arena } from '../mem/arena.ts';
import { besideMac, type MacAddress, type MacChoice, macOf } from './mac.ts';
import {
  DROP,
  ETHERTYPE_VLAN,
  FLAG_CHECKSUM_VERIFIED,
  FLAG_TRUNCATED,
  FLAG_VLAN,
  PORT_COUNTERS,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VLAN_NOBODYS,
  VLAN_SHIFT,
} from './port.ts';
import { asPortError, loadShim, type Opened } from './shim.ts';
import {
  allocateExtras,
  CACHE_LINE_BYTES,
  DEFAULT_MTU,
  ETHERNET_BYTES,
  extraByteLength,
  type PortDescription,
  ShimPort,
  SLOT_MTU_MAX,
  STATE_HEAD,
  STATE_ROWS,
  TAG_BYTES,
} from './shim-port.ts';
import { partialChecksum, superframe } from './virtio.ts';

export const TP_STATUS_KERNEL = 0;
export const TP_STATUS_USER = 1;
export const TP_STATUS_CSUMNOTREADY = 8;
const TP_STATUS_VLAN_VALID = 16;
const TP_STATUS_VLAN_TPID_VALID = 64;
const TP_STATUS_CSUM_VALID = 128;
/** Bytes of a slot before the frame, with VNET_HDR and RESERVE: 78, and room to keep the next slot aligned. */
export const SLOT_HEADER_BYTES = 78;
const RESERVE_BYTES = 2;
const SLOTS_PER_BLOCK = 64;
export const PAGE_BYTES = 65536;

export interface Fanout {
  /** Id of the group, 0 to 65535, unique in the network namespace. */
  group: number;
  type: number;
  program: Uint8Array;
}

export interface AfPacketOptions {
  id: number;
  interfaceName: string;
  arena: Arena;
  /** Slots of the receive ring, a power of two ≥ 64. */
  ringFrames: number;
  /** Largest MTU the slots must hold, bytes; default 1500. */
  mtuMax?: number;
  fanout?: Fanout;
  /** Default: interface. */
  mac?: MacChoice;
  /** VLAN of the port, 1–4094; default 0: untagged. */
  vlan?: number;
  /** Whether datagrams of one flow may leave as a super-frame; default false. */
  joins?: boolean;
}

/** Bytes of a slot: an odd number of cache lines that holds a frame of `mtu` and its headers. */
export function slotBytesFor(mtu: number): number {
  const lines = Math.ceil((SLOT_HEADER_BYTES + ETHERNET_BYTES + TAG_BYTES + mtu + 46) / CACHE_LINE_BYTES);
  return (lines | 1) * CACHE_LINE_BYTES;
}

/**
 * MTU that the slots of a port on this interface must hold: the interface's own as it is now, at most SLOT_MTU_MAX. One
 * that is raised later has frames that do not fit; they are truncated, and so dropped and counted.
 * @throws PortError when there is no such interface
 */
export function slotMtuOf(interfaceName: string): number {
  try {
    return Math.min(loadShim().interfaceMtu(interfaceName), SLOT_MTU_MAX);
  } catch (thrown) {
    throw asPortError(`interface ${interfaceName}`, thrown);
  }
}

/** Arena bytes that one port of `ringFrames` slots takes. */
export function afPacketByteLength(ringFrames: number, mtuMax = DEFAULT_MTU): number {
  const slotBytes = slotBytesFor(mtuMax);
  return PAGE_BYTES * 2 + ringFrames * slotBytes + extraByteLength(slotBytes);
}

/**
 * Opens and binds the socket and maps its ring into the arena.
 * @throws PortError naming the interface, the call, errno and advice; RangeError for a bad number of frames
 */
export function describeAfPacket(options: AfPacketOptions): PortDescription {
  const { arena, interfaceName, ringFrames, mtuMax = DEFAULT_MTU } = options;
  if (ringFrames < SLOTS_PER_BLOCK || (ringFrames & (ringFrames - 1)) !== 0) {
    throw new RangeError(`ringFrames is ${ringFrames}; it must be a power of two, at least ${SLOTS_PER_BLOCK}`);
  }
  const slotBytes = slotBytesFor(mtuMax);
  const ringOffset = arena.allocate(ringFrames * slotBytes, PAGE_BYTES);
  // The kernel's pages replace ours up to the end of the ring's last page; nothing else may lie there.
  arena.allocate(0, PAGE_BYTES);
  const opened = open(options, ringOffset, slotBytes);
  const mac = chooseMac(options.mac ?? 'interface', opened);
  return {
    transport: 'af_packet',
    id: options.id,
    name: interfaceName,
    handle: opened.handle,
    frameBytesMax: Math.min(opened.mtu, mtuMax) + ETHERNET_BYTES,
    macHigh: mac.high,
    macLow: mac.low,
    vlan: options.vlan ?? 0,
    joins: options.joins ?? false,
    ringOffset,
    slotBytes,
    slots: ringFrames,
    ...allocateExtras(arena, slotBytes),
  };
}

function open(options: AfPacketOptions, ringOffset: number, slotBytes: number): Opened {
  const { arena, interfaceName, ringFrames, fanout } = options;
  try {
    return loadShim().openAfPacket({
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
}

/** Drivers of interfaces that neither filter by Ethernet address nor sit behind a switch port that might. */
const DRIVERS_WITHOUT_FILTER = new Set(['veth', 'tun']);

function chooseMac(choice: MacChoice, opened: Opened): MacAddress {
  const own = macOf(opened.mac);
  if (choice === 'auto') return DRIVERS_WITHOUT_FILTER.has(opened.driver) ? besideMac(own) : own;
  if (choice === 'interface') return own;
  if (choice.high !== own.high || choice.low !== own.low) loadShim().setPromiscuous(opened.handle);
  return choice;
}

const RING_DROPPED = PORT_COUNTERS.indexOf('ring_dropped');

export class AfPacketPort extends ShimPort {
  readonly roomBytes: number;
  readonly #ringOffset: number;
  readonly #slotBytes: number;
  readonly #slots: number;
  readonly #statistics = new Int32Array(2);
  #head: number;

  constructor(description: PortDescription, arena: Arena, shim = loadShim()) {
    super(description, arena, shim);
    this.roomBytes = Math.min(description.slotBytes - SLOT_HEADER_BYTES, description.frameBytesMax);
    this.#ringOffset = description.ringOffset;
    this.#slotBytes = description.slotBytes;
    this.#slots = description.slots;
    this.#head = this.words[this.state + STATE_HEAD];
  }

  discardInterrupted(): number {
    const rows = this.words[this.state + STATE_ROWS];
    for (let i = 0; i < rows; i++) this.#freeSlot((this.#head + i) % this.#slots);
    this.#advance(rows);
    return rows;
  }

  receive(batch: Int32Array, rowsMax: number): number {
    const { words } = this;
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
    this.countReceived(rows, bytes);
    return rows;
  }

  release(_batch: Int32Array, rows: number): void {
    for (let i = 0; i < rows; i++) this.#freeSlot((this.#head + i) % this.#slots);
    this.#advance(rows);
  }

  refreshCounters(): void {
    this.shim.statistics(this.handle, this.#statistics);
    this.count(RING_DROPPED, this.#statistics[1]);
  }

  /** Writes the row at word `row` from the slot whose header begins at `statusWord`; returns the frame's length. */
  #describe(batch: Int32Array, row: number, statusWord: number): number {
    const { words } = this;
    const status = words[statusWord];
    const length = words[statusWord + 2];
    const offset = (statusWord << 2) + (words[statusWord + 3] & 0xffff);
    let flags = (status & TP_STATUS_CSUM_VALID) !== 0 ? FLAG_CHECKSUM_VERIFIED : 0;
    if ((status & TP_STATUS_CSUMNOTREADY) !== 0) flags |= partialChecksum(this.bytes, offset);
    if ((status & TP_STATUS_VLAN_VALID) !== 0) flags |= this.#tag(status, words[statusWord + 6]);
    flags |= superframe(this.bytes, offset);
    if (words[statusWord + 1] !== length) flags |= FLAG_TRUNCATED;
    batch[row + ROW_OFFSET] = offset;
    batch[row + ROW_LENGTH] = length;
    batch[row + ROW_FLAGS] = flags;
    batch[row + ROW_VERDICT] = DROP;
    return length;
  }

  /** @param word u16 tag control, u16 type of the tag */
  #tag(status: number, word: number): number {
    const isServiceTag = (status & TP_STATUS_VLAN_TPID_VALID) !== 0 && word >>> 16 !== ETHERTYPE_VLAN;
    return FLAG_VLAN | (isServiceTag ? VLAN_NOBODYS << VLAN_SHIFT : word << VLAN_SHIFT);
  }

  #freeSlot(slot: number): void {
    this.words[(this.#ringOffset + slot * this.#slotBytes) >> 2] = TP_STATUS_KERNEL;
  }

  #advance(rows: number): void {
    this.#head = (this.#head + rows) % this.#slots;
    this.words[this.state + STATE_HEAD] = this.#head;
    this.words[this.state + STATE_ROWS] = 0;
  }
}

/** Opens a port for the calling thread alone: load generator, tools, tests. */
export function openAfPacket(options: AfPacketOptions): AfPacketPort {
  return new AfPacketPort(describeAfPacket(options), options.arena);
}
