/**
 * A TAP device: the other end of an interface of the kernel, for whoever is to be plugged in without a cable. The
 * interface joins a bridge beside the TAPs of virtual machines, or moves into a container's network namespace.
 *
 *     ip link set ks0 master br0          ip link set ks0 netns <container>
 *
 * Made when there is none of its name, brought up, one queue a lane; it goes with the process unless it is persistent.
 * There is no ring to map: a read fetches a frame into a slot, a write sends one from where it lies, each with a
 * virtio_net_hdr before it. Checksums of local senders stay partial (TUN_F_CSUM), and no super-frames come: none were
 * asked for. All slots are free between cycles, so each receive begins at the first, and the same few stay in the cache.
 *
 * VLAN tags stand in the frame, where the kernel's other ports have them beside it: a receive takes them out, by moving
 * the addresses forward.
 *
 * A slot (whole cache lines):
 *
 *     byte  0  unused
 *     byte  8  virtio_net_hdr (virtio.ts)
 *     byte 18  the frame (22 when a tag was taken out): its network header is 4-aligned
 *
 * Which queue a frame comes to: by the fanout program where the kernel lets us load it (CAP_BPF, or CAP_SYS_ADMIN before
 * 5.8; not in an unprivileged user namespace), each reply to the lane that owns its slot. Else by the kernel's own table
 * of flows: the queue that last sent into a flow gets its frames. That returns a reply to the lane that asked, but for the
 * first ones of a flow, and after it forgot the flow in 3 s of silence: those are `drop_reply_no_slot` of another lane.
 */
import { readFileSync } from 'node:fs';
import type { Arena } from '../mem/arena.ts';
import type { Fanout } from './af-packet.ts';
import { besideMac, type MacChoice, macOf } from './mac.ts';
import {
  BATCH_ROWS_MAX,
  CHECKSUM_START_SHIFT,
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_TRUNCATED,
  FLAG_VLAN,
  PORT_COUNTERS,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_WORDS,
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
  STATE_DROPPED,
  STATE_ROWS,
  TAG_BYTES,
} from './shim-port.ts';
import { steeringProgram } from './tap-steering.ts';
import { DATA_VALID, NEEDS_CHECKSUM, partialChecksum, superframe, VIRTIO_BYTES } from './virtio.ts';

const SLOTS = BATCH_ROWS_MAX;
const FRAME_OFFSET = 18;
/** A frame that fills its slot to the last byte was longer. */
const TOO_MANY_BYTES = 1;
/** Column of /proc/net/dev: frames that found their queue full. */
const TRANSMIT_DROPPED = 11;

export interface TapOptions {
  id: number;
  /** A name, or a pattern as ks%d for the kernel to number. */
  interfaceName: string;
  arena: Arena;
  /** Frames that wait for us in each queue of an interface made here. */
  queueFrames: number;
  /** Largest MTU the slots must hold, bytes; default 1500. */
  mtuMax?: number;
  /** Several lanes: its program steers. */
  fanout?: Fanout;
  /** Default: auto. */
  mac?: MacChoice;
  /** VLAN of the port, 1–4094; default 0: untagged. */
  vlan?: number;
  /** Whether an interface made here outlives the process; default false. */
  persistent?: boolean;
  /** User id that may open an interface made here without privilege; default none. */
  owner?: number;
  /** Whether this port counts the drops of the interface, all queues together: one of them should. Default true. */
  countsDrops?: boolean;
}

export interface TapDescription extends PortDescription {
  /** How frames find their queue: by the fanout program, or by the kernel's table of flows. */
  steering: 'program' | 'flows';
  countsDrops: boolean;
}

function slotBytesFor(mtu: number): number {
  const bytes = FRAME_OFFSET + ETHERNET_BYTES + TAG_BYTES + mtu + TOO_MANY_BYTES;
  return Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
}

/** MTU that the slots of a TAP must hold: its own if it is there, as at most SLOT_MTU_MAX; else that of a new one. */
export function tapMtuOf(interfaceName: string): number {
  try {
    return Math.min(loadShim().interfaceMtu(interfaceName), SLOT_MTU_MAX);
  } catch {
    return DEFAULT_MTU;
  }
}

/** Arena bytes that one queue takes. */
export function tapByteLength(mtuMax = DEFAULT_MTU): number {
  const slotBytes = slotBytesFor(mtuMax);
  return SLOTS * slotBytes + extraByteLength(slotBytes);
}

/**
 * Opens a queue, and makes the interface if it is not there.
 * @throws PortError naming the interface, the call, errno and advice
 */
export function describeTap(options: TapOptions): TapDescription {
  const { arena, id, mtuMax = DEFAULT_MTU, mac = 'auto', countsDrops = true } = options;
  const opened = open(options);
  const { high, low } = typeof mac === 'object' ? mac : besideMac(macOf(opened.mac));
  const slotBytes = slotBytesFor(mtuMax);
  const extras = allocateExtras(arena, slotBytes);
  arena.words[(extras.stateOffset >> 2) + STATE_DROPPED] = dropsOf(opened.name);
  return {
    transport: 'tap',
    id,
    name: opened.name,
    handle: opened.handle,
    frameBytesMax: Math.min(opened.mtu, mtuMax) + ETHERNET_BYTES,
    macHigh: high,
    macLow: low,
    joins: false,
    vlan: options.vlan ?? 0,
    ringOffset: arena.allocate(SLOTS * slotBytes),
    slotBytes,
    slots: SLOTS,
    ...extras,
    steering: steer(opened.handle, options.fanout),
    countsDrops,
  };
}

function open({ interfaceName, arena, queueFrames, persistent = false, owner = -1 }: TapOptions): Opened {
  try {
    return loadShim().openTap({ interface: interfaceName, arena: arena.bytes, queueFrames, persistent, owner });
  } catch (thrown) {
    throw asPortError(`interface ${interfaceName}`, thrown);
  }
}

/** A single lane leaves the kernel its table; a program left behind by others must not stay. */
function steer(handle: number, fanout: Fanout | undefined): TapDescription['steering'] {
  const shim = loadShim();
  try {
    shim.steerTap(handle, fanout === undefined ? new Uint8Array(0) : steeringProgram(fanout.program));
    return fanout === undefined ? 'flows' : 'program';
  } catch {
    return 'flows'; // what that costs is said at the top
  }
}

/** Frames the kernel could not put into a queue of the interface, int32; −1 when it is in another namespace by now. */
function dropsOf(name: string): number {
  const line = readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .find(text => text.trimStart().startsWith(`${name}:`));
  if (line === undefined) return -1;
  const columns = line.slice(line.lastIndexOf(':') + 1).trim();
  return Number(columns.split(/\s+/)[TRANSMIT_DROPPED]) | 0;
}

const RING_DROPPED = PORT_COUNTERS.indexOf('ring_dropped');

export class TapPort extends ShimPort {
  readonly roomBytes: number;
  readonly #frameOffset: number;
  readonly #slotBytes: number;
  /** Longest frame that a slot takes, and one byte. */
  readonly #readBytes: number;
  readonly #countsDrops: boolean;

  constructor(description: TapDescription, arena: Arena) {
    super(description, arena);
    this.roomBytes = description.frameBytesMax;
    this.#frameOffset = description.ringOffset + FRAME_OFFSET;
    this.#slotBytes = description.slotBytes;
    this.#readBytes = description.frameBytesMax + TAG_BYTES + TOO_MANY_BYTES;
    this.#countsDrops = description.countsDrops;
  }

  /** What had been read is lost with its lane. */
  discardInterrupted(): number {
    const rows = this.words[this.state + STATE_ROWS];
    this.words[this.state + STATE_ROWS] = 0;
    return rows;
  }

  receive(batch: Int32Array, rowsMax: number): number {
    const wanted = Math.min(rowsMax, SLOTS);
    const rows = this.shim.receive(
      this.handle,
      batch.byteOffset,
      wanted,
      this.#frameOffset,
      this.#slotBytes,
      this.#readBytes,
    );
    if (rows === 0) return 0;
    let bytes = 0;
    for (let i = 0, row = 0; i < rows; i++, row += ROW_WORDS) {
      const offset = batch[row + ROW_OFFSET];
      batch[row + ROW_FLAGS] = this.#flags(offset, batch[row + ROW_LENGTH]);
      if (this.#isTagged(offset, batch[row + ROW_LENGTH])) this.#untag(batch, row, offset);
      bytes += batch[row + ROW_LENGTH];
    }
    this.countReceived(rows, bytes);
    return rows;
  }

  release(): void {
    this.words[this.state + STATE_ROWS] = 0;
  }

  refreshCounters(): void {
    if (!this.#countsDrops) return;
    const drops = dropsOf(this.name);
    if (drops === -1) return;
    this.count(RING_DROPPED, (drops - this.words[this.state + STATE_DROPPED]) >>> 0);
    this.words[this.state + STATE_DROPPED] = drops;
  }

  #isTagged(offset: number, length: number): boolean {
    const { bytes } = this;
    return length >= ETHERNET_BYTES + TAG_BYTES && bytes[offset + 12] === 0x81 && bytes[offset + 13] === 0;
  }

  /** Takes the tag out of the frame at `offset` and into the row's FLAGS. */
  #untag(batch: Int32Array, row: number, offset: number): void {
    const { bytes } = this;
    const control = (bytes[offset + 14] << 8) | bytes[offset + 15];
    const flags = batch[row + ROW_FLAGS];
    const shift = (flags & FLAG_PARTIAL_CHECKSUM) === 0 ? 0 : TAG_BYTES << CHECKSUM_START_SHIFT;
    bytes.copyWithin(offset + TAG_BYTES, offset, offset + 12);
    batch[row + ROW_OFFSET] = offset + TAG_BYTES;
    batch[row + ROW_LENGTH] -= TAG_BYTES;
    batch[row + ROW_FLAGS] = (flags - shift) | FLAG_VLAN | (control << VLAN_SHIFT);
  }

  #flags(offset: number, length: number): number {
    const { bytes } = this;
    const header = bytes[offset - VIRTIO_BYTES];
    let flags = superframe(bytes, offset);
    if ((header & NEEDS_CHECKSUM) !== 0) flags |= partialChecksum(bytes, offset);
    if ((header & DATA_VALID) !== 0) flags |= FLAG_CHECKSUM_VERIFIED;
    return length === this.#readBytes ? flags | FLAG_TRUNCATED : flags;
  }
}

/** Opens a queue for the calling thread alone: tools, tests. */
export function openTap(options: TapOptions): TapPort {
  return new TapPort(describeTap(options), options.arena);
}
