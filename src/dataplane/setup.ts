/** What a lane is told when it starts: plain data and shared buffers, so that it can be posted to a worker. */
import type { Description } from '../port/open.ts';
import type { FragmentLimits } from './fragment-contexts.ts';
import type { MultigetSetup } from './gather.ts';
import type { HotSetup } from './hot/setup.ts';
import type { NeighbourTimes } from './neighbours.ts';
import type { RehearsalSetup } from './rehearsal.ts';

/** How requests reach the nodes, and replies the clients: design in README.md. */
export const MODE_NAT = 0;
export const MODE_GATEWAY = 1;
export const MODE_DSR = 2;

/** Addresses and modes of the data path; the same for every lane. */
export interface PathSetup {
  lane: number;
  laneCount: number;
  /** MODE_* */
  mode: number;
  /** Ids of the ports; equal in one-arm. */
  clientPort: number;
  serverPort: number;
  vip: number;
  vipPort: number;
  /** Source address towards the nodes. */
  ownAddress: number;
  /** First of the lane's own source ports. */
  firstSourcePort: number;
  /** Per lane, a power of two. */
  slots: number;
  replyLifetimeMs: number;
  multiget: MultigetSetup;
  /** Left out: no key is treated in any way. */
  hot?: HotSetup;
  neighbourTimes: NeighbourTimes;
  /** Per lane. */
  fragments: FragmentLimits;
  /**
   * Whether a datagram marked "don't fragment" that is larger than the way out is dropped and its sender told (RFC 1191), as
   * a router does. Not in nat mode: there the datagram has arrived, at an address of ours, and what we send on is ours to
   * fragment. The client would lose a request, and the node, to whom all clients are one address, would fragment for all of
   * them what one needs in pieces.
   */
  honoursDontFragment: boolean;
  /** How many of the slots are for sources that are not known; 0: no difference is made. */
  newcomerSlots: number;
  /** Rows of the table of sources, a power of two. */
  sourceRows: number;
  /** Secret words that place sources in tables; new ones for each start of the program. */
  sourceSeeds: readonly [number, number];
  /** What `version` answers, 64 bytes at most. */
  version: string;
  /** Of all lanes, this one too: `stats` answers for the whole. */
  lanes: readonly FiguresPlace[];
  /** Process, and the Unix time at which the lane's clock was 0, ms: `stats` tells both. */
  pid: number;
  timeOrigin: number;
  /** Byte offsets in the lane's own arena. */
  slotsOffset: number;
  parkingOffset: number;
  parkingFrames: number;
  countersOffset: number;
  nodeCountersOffset: number;
  latencyOffset: number;
  /** Two of OUTBOX_BYTES. */
  outboxOffset: number;
  /** HOLDING_BYTES. */
  holdingOffset: number;
  sourcesOffset: number;
  gathersOffset: number;
  /** NOTE_BYTES for each slot. */
  missNotesOffset: number;
  /** `Fragments.byteLength`, a multiple of 64. */
  fragmentsOffset: number;
  /** `mailByteLength`. */
  mailOffset: number;
  nodesMax: number;
  /** Byte offsets in the arena that all lanes share. */
  steerOffset: number;
  neighboursOffset: number;
  /** `Handover.byteLength`, a multiple of 64. */
  handoverOffset: number;
  gateOffset: number;
  nodeNamesOffset: number;
  healthOffset: number;
  /** The sub-tables of all lanes; nothing in other modes than gateway. */
  clientsOffset: number;
  /** UDP port that lane 0 probes the nodes from, and how long a probe may take. */
  probePort: number;
  probeTimeoutMs: number;
  /** Reads that have waited so long are answered as misses; 0: only when their node is down. */
  missAfterMs: number;
}

/** Where the figures of a lane lie. */
export interface FiguresPlace {
  readonly arena: SharedArrayBuffer;
  readonly countersOffset: number;
  readonly nodeCountersOffset: number;
}

export interface LaneSetup extends PathSetup {
  arena: SharedArrayBuffer;
  shared: SharedArrayBuffer;
  ports: Description[];
  controlOffset: number;
  batchOffset: number;
  /** µs of fruitless polling before the lane sleeps. */
  spinUs: number;
  /** Longest sleep, ms: how late a stop or a timer may be seen. */
  waitMs: number;
  /** CPU to run on, −1: any. */
  cpu: number;
  /** What the lane does before anything else. Absent: nothing. */
  rehearsal?: RehearsalSetup | undefined;
}

/**
 * The lane's control words, in its own arena (byte offset `controlOffset`):
 *
 *     word 0  STOP    1: end after this cycle                 writer: conductor
 *          1  STATE   LANE_*                                  writer: the lane; conductor sets CRASHED
 *          2  BEAT    cycles, wrapping: it moves while the lane lives     writer: the lane
 *          3  BELL    moved on when a pcap port has frames                writer: the ports' feeds, conductor's thread
 *          4  HELD    requests that would be lost with the lane           writer: the lane
 */
export const CONTROL_STOP = 0;
export const CONTROL_STATE = 1;
export const CONTROL_BEAT = 2;
export const CONTROL_BELL = 3;
export const CONTROL_HELD = 4;
export const CONTROL_BYTES = 64;

export const LANE_STARTING = 0;
export const LANE_RUNNING = 1;
export const LANE_STOPPED = 2;
export const LANE_CRASHED = 3;
export const LANE_STATE_NAMES = ['starting', 'running', 'stopped', 'crashed'] as const;
