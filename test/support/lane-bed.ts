/**
 * Real lanes without a kernel: loopback ports on both sides, a clock that the test turns, counters that can be asked.
 *
 *     const bed = new LaneBed();
 *     bed.hear('client', request('get k\r\n'))     // { sent: [{ side: 'server', frame }], counted: { requests: 1, reads: 1 } }
 *
 * Every frame that leaves is judged by the strict decoder and the slow checksum before the test sees it.
 */

import { Layers } from '../../src/cache/layers.ts';
import { clientTableByteLength } from '../../src/dataplane/client-table.ts';
import { DEFAULT_POLICY } from '../../src/dataplane/commands.ts';
import { COUNT, LANE_COUNTERS, REFUSED_FIRST } from '../../src/dataplane/counters.ts';
import type { FragmentLimits } from '../../src/dataplane/fragment-contexts.ts';
import { Fragments } from '../../src/dataplane/fragments.ts';
import { type GateOptions, GateTable } from '../../src/dataplane/gate-table.ts';
import { gathersByteLength, type MultigetSetup } from '../../src/dataplane/gather.ts';
import { Handover, mailByteLength } from '../../src/dataplane/handover.ts';
import { HealthBlock, healthBlockByteLength } from '../../src/dataplane/health-block.ts';
import { HOLDING_BYTES } from '../../src/dataplane/holding.ts';
import { Hot } from '../../src/dataplane/hot/hot.ts';
import { OPERATION_WRITE } from '../../src/dataplane/hot/operations.ts';
import { type HotSettings, type HotSetup, hotShared, hotSharedByteLength } from '../../src/dataplane/hot/setup.ts';
import { BATCH_BYTES, Lane } from '../../src/dataplane/lane.ts';
import { latencyByteLength } from '../../src/dataplane/latency.ts';
import { laneCountersByteLength, nodeCountersByteLength } from '../../src/dataplane/memory.ts';
import { Neighbours, type NeighbourTimes, neighboursByteLength } from '../../src/dataplane/neighbours.ts';
import { nodeNamesByteLength, writeNodeName } from '../../src/dataplane/node-names.ts';
import { OUTBOX_BYTES } from '../../src/dataplane/outbox.ts';
import { Parking } from '../../src/dataplane/parking.ts';
import type { Path } from '../../src/dataplane/path.ts';
import { BATCH_ROWS } from '../../src/dataplane/path.ts';
import { type FiguresPlace, MODE_GATEWAY, MODE_NAT, type PathSetup } from '../../src/dataplane/setup.ts';
import { slotTableByteLength } from '../../src/dataplane/slot-table.ts';
import { sourceRanges } from '../../src/dataplane/source-ranges.ts';
import { sourceTableByteLength } from '../../src/dataplane/source-table.ts';
import { Arena } from '../../src/mem/arena.ts';
import { NOTE_BYTES } from '../../src/memcached/miss-reply.ts';
import { type LoopbackPort, loopbackByteLength, openLoopback } from '../../src/port/loopback.ts';
import {
  CHECKSUM_START_SHIFT,
  FLAG_PARTIAL_CHECKSUM,
  PORT_COUNTERS,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_WORDS,
} from '../../src/port/port.ts';
import type { SteerNode, SteerOptions } from '../../src/steer/nodes.ts';
import { SteerTable } from '../../src/steer/table.ts';
import { assertFrameChecksums, slowUdpChecksum } from '../wire/slow-checksum.ts';
import { ipv4Bytes, macBytes } from './frames.ts';
import {
  FIRST_PORT,
  type Host,
  MC1,
  MEMCACHED_PORT,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  OWN,
  PROBE_PORT,
  VIP,
} from './lane-bed-frames.ts';
import { type Decoded, decodeReplyDatagram, decodeRequestDatagram, decodeStrict } from './strict-decoder.ts';

export * from './lane-bed-frames.ts';

/** The side a frame comes from or leaves by. In one-arm everything passes by `client`. */
export type Side = 'client' | 'server';

export interface Sent {
  readonly side: Side;
  readonly frame: Uint8Array;
  /** FLAG_* as the other end of the wire sees them. */
  readonly flags: number;
}

export interface Outcome {
  readonly sent: readonly Sent[];
  /** Counters that moved, and by how much. */
  readonly counted: Readonly<Record<string, number>>;
}

export interface BedNode extends Host {
  /** Default mc1, mc2 … */
  readonly name?: string;
  readonly weight?: number;
  readonly enabled?: boolean;
  readonly available?: boolean;
  /** Next hop, its own address by default. */
  readonly via?: string;
}

export interface BedOptions {
  /** MODE_*; default nat. */
  mode?: number;
  arms?: 1 | 2;
  lanes?: number;
  nodes?: readonly BedNode[];
  /** Whether the nodes' Ethernet addresses are known from the start; default true. */
  resolved?: boolean;
  /** Per lane; default 1024. */
  slots?: number;
  /** The slot that a lane's first request takes; default 0. */
  firstSlot?: number;
  replyLifetimeMs?: number;
  neighbourTimes?: NeighbourTimes;
  parkingFrames?: number;
  fragments?: Partial<FragmentLimits>;
  honoursDontFragment?: boolean;
  /** Source address towards the nodes; the VIP in the one-arm set-up that shares it. */
  ownAddress?: string;
  clientVlan?: number;
  serverVlan?: number;
  multiget?: Partial<MultigetSetup>;
  clientMtu?: number;
  serverMtu?: number;
  startMs?: number;
  /** Rules of the gatekeeper and for commands; default: it does not watch, and nothing is allowed that is not anyway. */
  gate?: Partial<GateOptions>;
  /** Default 0. */
  newcomerSlots?: number;
  /** Default 1024. */
  sourceRows?: number;
  missAfterMs?: number;
  /** Left out: no key is hot. */
  hot?: Partial<HotSettings>;
}

/** Of a bed with hot keys. */
export const BED_HOT: HotSettings = {
  items: 64,
  l1Items: 16,
  detector: { name: 'exact', options: { rows: 1024 }, instant: {} },
  epochMs: 1000,
  lifeMs: 2000,
  leaseMs: 10_000,
  refreshMs: 1000,
  ttlGuardMs: 2000,
  operations: 64,
  waiting: 64,
};
/** What comes by here is not looked at. */
const SCRATCH = new Int32Array(BATCH_BYTES / 4);
const RING_FRAMES = 128;
const NODES_MAX = 16;
const STEERING: SteerOptions = { algorithm: 'ketama', hash: 'murmur3' };
export const BED_FRAGMENTS: FragmentLimits = { datagrams: 8, perSource: 4, timeoutMs: 500 };
const OPEN_GATE: GateOptions = {
  watches: false,
  requestsPerSecond: 0,
  responseBytesPerSecond: 0,
  responseRatioMax: 0,
  newcomersPerSecond: 0,
  lanes: 1,
  ranges: sourceRanges([], []),
  commands: DEFAULT_POLICY,
  broadcastMs: 500,
};
/** What `version` answers in a bed. */
export const BED_VERSION = '1.6.0-keysteer-9.9.9';
/** Of the process, and the Unix time at which the bed's clock was 0, ms: what `stats` tells. */
export const BED_PID = 4711;
export const BED_TIME_ORIGIN = 1_700_000_000_000;
const MULTIGET: MultigetSetup = { gathers: 8, keysMax: 100, chunks: 1024, timeoutMs: 200 };
export const BED_TIMES: NeighbourTimes = { retryMs: 200, retries: 3, lifetimeMs: 60_000 };
/** Counters that count something else than what became of a frame. */
const NOT_OF_FRAMES = new Set<string>(['cycles', 'idle_waits', 'idle_us']);

interface Wire {
  readonly side: Side;
  /** The lane's end and the world's end. */
  readonly near: LoopbackPort;
  readonly far: LoopbackPort;
  readonly farArena: Arena;
}

interface BedLane {
  readonly setup: PathSetup;
  readonly arena: Arena;
  /** CONTROL_HELD. */
  readonly held: Int32Array;
  readonly lane: Lane;
  readonly wires: readonly Wire[];
}

export class LaneBed {
  readonly shared: Arena;
  readonly steer: SteerTable;
  readonly neighbours: Neighbours;
  readonly gate: GateTable;
  readonly health: HealthBlock;
  /** Where hot keys lie, and the keeper's layers. */
  readonly hot: Omit<HotSetup, 'laneOffset'> | undefined;
  readonly layers: Layers | undefined;
  nowMs: number;
  readonly #options: BedOptions;
  readonly #lanes: BedLane[] = [];
  readonly #neighboursOffset: number;
  readonly #handoverOffset: number;
  readonly #nodeNamesOffset: number;
  readonly #figuresPlaces: FiguresPlace[] = [];
  readonly #healthOffset: number;
  readonly #clientsOffset: number;

  constructor(options: BedOptions = {}) {
    this.#options = options;
    const { lanes = 1, nodes = [MC1], resolved = true, startMs = 1000 } = options;
    const capacity = { nodesMax: NODES_MAX, lanesMax: lanes };
    const steerBytes = SteerTable.byteLength(capacity);
    this.nowMs = startMs;
    const gateBytes = GateTable.byteLength(lanes);
    const nameBytes = nodeNamesByteLength(NODES_MAX);
    const healthBytes = healthBlockByteLength(NODES_MAX);
    const handoverBytes = Handover.byteLength(lanes);
    const hotSettings = options.hot && { ...BED_HOT, ...options.hot };
    const hotBytes = hotSettings === undefined ? 0 : hotSharedByteLength(hotSettings, lanes);
    const clientBytes = options.mode === MODE_GATEWAY ? clientTableByteLength(lanes) : 0;
    const tables =
      steerBytes + neighboursByteLength(NODES_MAX) + gateBytes + nameBytes + healthBytes + handoverBytes + clientBytes;
    this.shared = Arena.create(tables + hotBytes + 8192);
    this.#clientsOffset = this.shared.allocate(clientBytes);
    this.steer = new SteerTable(this.shared.buffer, this.shared.allocate(steerBytes), capacity);
    this.#neighboursOffset = this.shared.allocate(neighboursByteLength(NODES_MAX));
    this.#handoverOffset = this.shared.allocate(handoverBytes);
    this.#healthOffset = this.shared.allocate(healthBytes);
    this.health = new HealthBlock(this.shared.words, this.#healthOffset >> 2, NODES_MAX);
    const times = options.neighbourTimes ?? BED_TIMES;
    this.neighbours = new Neighbours(this.shared.words, this.#neighboursOffset >> 2, times);
    this.gate = new GateTable(this.shared.buffer, this.shared.allocate(gateBytes), lanes);
    this.#nodeNamesOffset = this.shared.allocate(nameBytes);
    this.hot = hotSettings && hotShared(hotSettings, lanes, this.shared.allocate(hotBytes, 128));
    this.layers = this.hot && new Layers(this.shared.words, this.hot.layersOffset >> 2, this.hot, () => 0x5a5a5a5a);
    this.publishGate(options.gate ?? {});
    this.publish(nodes);
    if (resolved) for (const node of nodes) this.resolve(node);
    for (let lane = 0; lane < lanes; lane++) this.#lanes.push(this.#build(lane));
    // A lane looks at the figures of all: they must lie before it starts.
    for (let lane = 0; lane < lanes; lane++) this.restart(lane);
  }

  /** Control: these nodes from now on. False while a lane still uses the table before. */
  publish(nodes: readonly BedNode[]): boolean {
    const rows: SteerNode[] = nodes.map(({ ip, port, weight = 1, enabled = true, available = true, via = ip }) => {
      return { address: address(ip), port, weight, enabled, available, neighbour: this.neighbours.add(address(via)) };
    });
    for (const [row, { name = `mc${row + 1}` }] of nodes.entries()) {
      writeNodeName(this.shared.bytes, this.#nodeNamesOffset, row, name);
    }
    return this.steer.publish(rows, STEERING);
  }

  /** Control: these rules from now on. False while a lane still uses those before. */
  publishGate(options: Partial<GateOptions>): boolean {
    const { lanes = 1 } = this.#options;
    return this.gate.publish({ ...OPEN_GATE, lanes, ...options });
  }

  /** As if its ARP reply had come. */
  resolve({ mac, ip, via = ip }: BedNode): void {
    const { high, low } = macWords(mac);
    this.neighbours.learn(address(via), high, low, this.nowMs | 0);
  }

  lane(lane = 0): Lane {
    return this.#lanes[lane]!.lane;
  }

  /** A fresh thread for a lane that died: same memory, same ports. */
  restart(lane = 0): void {
    const { setup, arena, wires, held } = this.#lanes[lane]!;
    this.#lanes[lane] = { setup, arena, wires, held, lane: this.#lane(setup, arena, wires, held) };
  }

  /** What a lane was told when it started. */
  setup(lane = 0): PathSetup {
    return this.#lanes[lane]!.setup;
  }

  /** Frames arrive at one side of a lane; it turns one cycle. */
  hear(side: Side, frames: Uint8Array | readonly Uint8Array[], { flags = 0, lane = 0 } = {}): Outcome {
    const wire = this.#lanes[lane]!.wires.find(candidate => candidate.side === side)!;
    for (const frame of frames instanceof Uint8Array ? [frames] : frames) {
      if (!wire.near.inject(frame, flags)) throw new Error('the bed was given more frames than its rings hold');
    }
    return this.turn(lane);
  }

  /** A frame arrives, but no cycle turns. */
  inject(side: Side, frame: Uint8Array, { flags = 0, lane = 0 } = {}): void {
    const wire = this.#lanes[lane]!.wires.find(candidate => candidate.side === side)!;
    if (!wire.near.inject(frame, flags)) throw new Error('the bed was given more frames than its rings hold');
  }

  /** One cycle of a lane; what leaves is let go, unseen. */
  turnQuietly(lane = 0): void {
    this.lane(lane).cycle(this.nowMs);
    for (const { far } of this.#lanes[lane]!.wires) {
      for (let rows = far.receive(SCRATCH, BATCH_ROWS); rows > 0; rows = far.receive(SCRATCH, BATCH_ROWS)) {
        far.release(SCRATCH, rows);
      }
    }
  }

  /** One cycle of a lane. */
  turn(lane = 0): Outcome {
    const { counters } = this.lane(lane).path.memory;
    const before = counters.slice();
    this.lane(lane).cycle(this.nowMs);
    const moved = LANE_COUNTERS.map((name, i) => [name, counters[i]! - before[i]!] as const);
    const counted = Object.fromEntries(moved.filter(([name, by]) => by !== 0 && !NOT_OF_FRAMES.has(name)));
    return { sent: this.sent(lane), counted };
  }

  /** What has left a lane since the last look. */
  sent(lane = 0): Sent[] {
    return this.#lanes[lane]!.wires.flatMap(takeAll);
  }

  /** Time passes; then a lane turns one cycle. */
  wait(ms: number, lane = 0): Outcome {
    this.nowMs += ms;
    return this.turn(lane);
  }

  /** One counter of a lane. */
  count(name: string, lane = 0): number {
    return this.lane(lane).path.memory.counters[LANE_COUNTERS.indexOf(name)]!;
  }

  /** Frames received, less those that ended in a counter or wait for something: 0 when each was counted once. */
  unaccounted(lane = 0): number {
    const taken = this.count('taken_over', lane);
    const received = this.#lanes[lane]!.wires.reduce((sum, { near }) => sum + portCounter(near, 'received_frames'), 0);
    const { path } = this.lane(lane);
    return received + taken - endedFrames(path.memory.counters) - waitingFrames(path);
  }

  get #multiget(): MultigetSetup {
    return { ...MULTIGET, ...this.#options.multiget };
  }

  #build(lane: number): BedLane {
    const { arms = 2, clientMtu = 1500, serverMtu = 1500, slots = 1024, parkingFrames = 32 } = this.#options;
    const { clientVlan, serverVlan } = this.#options;
    const parkingBytes = Parking.byteLength(parkingFrames, Math.max(clientMtu, serverMtu) + 14);
    const ports = 2 * (loopbackByteLength(RING_FRAMES, clientMtu) + loopbackByteLength(RING_FRAMES, serverMtu));
    const sources = sourceTableByteLength(this.#options.sourceRows ?? 1024);
    const tables =
      slotTableByteLength(slots) + slots * NOTE_BYTES + sources + parkingBytes + gathersByteLength(this.#multiget);
    const fragmentBytes = Fragments.byteLength({ ...BED_FRAGMENTS, ...this.#options.fragments }.datagrams);
    const mailBytes = mailByteLength(this.#options.lanes ?? 1);
    const hotBytes = this.hot === undefined ? 0 : Hot.byteLength(this.hot.operations, this.hot.waiting, 2048);
    const arena = Arena.create(tables + fragmentBytes + mailBytes + ports + hotBytes + 65_536);
    const wires = [openWire('client', 0, arena, NF_CLIENT_MAC, clientMtu, clientVlan)];
    if (arms === 2) wires.push(openWire('server', 1, arena, NF_SERVER_MAC, serverMtu, serverVlan));
    const setup = this.#setup(lane, arena, parkingBytes);
    arena.words[setup.slotsOffset >> 2] = this.#options.firstSlot ?? 0;
    const held = new Int32Array(1);
    return { setup, arena, wires, held, lane: this.#lane(setup, arena, wires, held) };
  }

  #lane(setup: PathSetup, arena: Arena, wires: readonly Wire[], held: Int32Array): Lane {
    const ports: Port[] = wires.map(({ near }) => near);
    return new Lane(setup, arena, this.shared, ports, new Int32Array(BATCH_BYTES / 4), held, this.nowMs);
  }

  #setup(lane: number, arena: Arena, parkingBytes: number): PathSetup {
    const { arms = 2, slots = 1024, ownAddress = OWN, replyLifetimeMs = 1000, parkingFrames = 32 } = this.#options;
    const { newcomerSlots = 0, sourceRows = 1024 } = this.#options;
    const fragments = { ...BED_FRAGMENTS, ...this.#options.fragments };
    const setup: PathSetup = {
      lane,
      laneCount: this.#options.lanes ?? 1,
      mode: this.#options.mode ?? MODE_NAT,
      clientPort: 0,
      serverPort: arms - 1,
      vip: address(VIP),
      vipPort: MEMCACHED_PORT,
      ownAddress: address(ownAddress),
      firstSourcePort: FIRST_PORT + lane * Math.ceil(slots / 65_536),
      slots,
      replyLifetimeMs,
      neighbourTimes: this.#options.neighbourTimes ?? BED_TIMES,
      newcomerSlots,
      sourceRows,
      sourceSeeds: [0x1234567, -99],
      version: BED_VERSION,
      lanes: this.#figuresPlaces,
      pid: BED_PID,
      timeOrigin: BED_TIME_ORIGIN,
      slotsOffset: arena.allocate(slotTableByteLength(slots)),
      parkingOffset: arena.allocate(parkingBytes),
      holdingOffset: arena.allocate(HOLDING_BYTES),
      parkingFrames,
      fragments,
      fragmentsOffset: arena.allocate(Fragments.byteLength(fragments.datagrams)),
      mailOffset: arena.allocate(mailByteLength(this.#options.lanes ?? 1)),
      handoverOffset: this.#handoverOffset,
      honoursDontFragment: this.#options.honoursDontFragment ?? false,
      countersOffset: arena.allocate(laneCountersByteLength()),
      nodeCountersOffset: arena.allocate(nodeCountersByteLength(NODES_MAX)),
      outboxOffset: arena.allocate(2 * OUTBOX_BYTES),
      gathersOffset: arena.allocate(gathersByteLength(this.#multiget)),
      multiget: this.#multiget,
      latencyOffset: arena.allocate(latencyByteLength()),
      ...(this.hot && {
        hot: { ...this.hot, laneOffset: arena.allocate(Hot.byteLength(this.hot.operations, this.hot.waiting, 2048)) },
      }),
      nodesMax: NODES_MAX,
      steerOffset: this.steer.base << 2,
      neighboursOffset: this.#neighboursOffset,
      sourcesOffset: arena.allocate(sourceTableByteLength(sourceRows)),
      gateOffset: this.gate.base << 2,
      nodeNamesOffset: this.#nodeNamesOffset,
      healthOffset: this.#healthOffset,
      clientsOffset: this.#clientsOffset,
      missNotesOffset: arena.allocate(slots * NOTE_BYTES),
      probePort: PROBE_PORT,
      probeTimeoutMs: 20,
      missAfterMs: this.#options.missAfterMs ?? 0,
    };
    this.#figuresPlaces.push({ ...setup, arena: arena.buffer });
    return setup;
  }
}

/**
 * Frames that came to an end of some kind, by the groups of counters.ts, less the requests that Keysteer itself made of a
 * multi-key one.
 */
export function endedFrames(counters: Float64Array): number {
  const answered = ['arp_answers', 'echo_answers', 'local_answers', 'broadcasts'] as const;
  const others = [
    'requests',
    'replies',
    'multiget_answers',
    'broadcast_replies',
    'quiet_misses',
    'arp_learned',
    'path_mtu_learned',
    'fragments_joined',
    'handed_over',
    'foreign',
    'probe_answers',
    'ping_answers',
    'icmp_unreachable',
    'hot_hits',
    'hot_misses',
    'hot_writes',
    'hot_repeats',
    'hot_unanswered',
    'hot_replies',
    'hot_copies_gone',
    'hot_parts',
    'hot_replies_spare',
  ] as const;
  const ends = [...answered, ...others];
  const forwarded = ends.reduce((sum, name) => sum + counters[COUNT[name]]!, 0);
  const dropped = LANE_COUNTERS.reduce((sum, name, i) => (name.startsWith('drop_') ? sum + counters[i]! : sum), 0);
  const refused = counters.slice(REFUSED_FIRST).reduce((sum, count) => sum + count, 0);
  return (
    forwarded +
    dropped +
    refused -
    (counters[COUNT.multiget_keys]! + counters[COUNT.multiget_retries]! - counters[COUNT.multiget_unsent]!)
  );
}

/** Requests that wait for their next hop, or for the parts of their answer; fragments that wait for others. */
export function waitingFrames({ parking, broadcasts, gathers, fragments, hotLane }: Path): number {
  const hot = hotLane === undefined ? 0 : hotLane.waiting.count + hotLane.operations.countOf(OPERATION_WRITE);
  return parking.count + broadcasts.active + gathers.table.waiting.count + fragments.held + hot;
}

/** Flags of a frame whose UDP checksum is partial. */
export function partialFlags(udpAt = 34): number {
  return FLAG_PARTIAL_CHECKSUM | (udpAt << CHECKSUM_START_SHIFT);
}

/**
 * Judges a frame that left, and hands back what was in it.
 * @param side undefined in one-arm, where the port does not tell requests from replies
 * @throws Error that says what is wrong with it
 */
export function judge(frame: Uint8Array, flags: number, side?: Side): Decoded {
  const partial = (flags & FLAG_PARTIAL_CHECKSUM) !== 0;
  const partialFrom = partial ? (flags >>> CHECKSUM_START_SHIFT) & 0xff : undefined;
  const decoded = decodeStrict(frame, partialFrom);
  assertFrameChecksums(partial ? completed(frame, partialFrom!) : frame);
  if (decoded.kind !== 'udp') return decoded;
  if (side === 'client') decodeReplyDatagram(decoded.payload);
  if (side === 'server') decodeRequestDatagram(decoded.payload);
  return decoded;
}

/** The frame with its partial UDP checksum made whole, as a kernel or a network card does it. */
export function completed(frame: Uint8Array, udpAt: number): Uint8Array {
  const whole = frame.slice();
  new DataView(whole.buffer).setUint16(udpAt + 6, slowUdpChecksum(whole, 14));
  return whole;
}

export function address(text: string): number {
  const [a, b, c, d] = ipv4Bytes(text);
  return (a! << 24) | (b! << 16) | (c! << 8) | d!;
}

export function macWords(text: string): { high: number; low: number } {
  const [a, b, c, d, e, f] = macBytes(text);
  return { high: (a! << 8) | b!, low: (c! << 24) | (d! << 16) | (e! << 8) | f! };
}

function portCounter(port: Port, name: (typeof PORT_COUNTERS)[number]): number {
  return port.counters[PORT_COUNTERS.indexOf(name)]!;
}

function openWire(side: Side, id: number, arena: Arena, mac: string, mtu: number, vlan = 0): Wire {
  const farArena = Arena.create(loopbackByteLength(RING_FRAMES, mtu));
  const { high: macHigh, low: macLow } = macWords(mac);
  const { near, far } = openLoopback({
    near: { arena, id, macHigh, macLow, vlan, name: side },
    far: { arena: farArena },
    ringFrames: RING_FRAMES,
    mtu,
  });
  return { side, near, far, farArena };
}

/** What lies at the world's end of a wire, judged. */
function takeAll({ side, far, farArena }: Wire, _: number, wires: readonly Wire[]): Sent[] {
  const batch = new Int32Array(BATCH_ROWS * ROW_WORDS);
  const sent: Sent[] = [];
  for (let rows = far.receive(batch, BATCH_ROWS); rows > 0; rows = far.receive(batch, BATCH_ROWS)) {
    for (let row = 0; row < rows * ROW_WORDS; row += ROW_WORDS) {
      const offset = batch[row + ROW_OFFSET]!;
      const frame = farArena.bytes.slice(offset, offset + batch[row + ROW_LENGTH]!);
      judge(frame, batch[row + ROW_FLAGS]!, wires.length > 1 ? side : undefined);
      sent.push({ side, frame, flags: batch[row + ROW_FLAGS]! });
    }
    far.release(batch, rows);
  }
  return sent;
}
