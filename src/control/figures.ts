/** What lanes count, read from their shared memory: summed, named, and ready to be printed. Reading disturbs nobody. */
import { COUNT, LANE_COUNTERS, type NODE_COUNT, NODE_COUNTER_COUNT, NODE_COUNTERS } from '../dataplane/counters.ts';
import { LATENCY_CLASSES, LATENCY_PATHS, LATENCY_SERIES } from '../dataplane/latency.ts';
import type { LaneSetup } from '../dataplane/setup.ts';
import { countOutstanding } from '../dataplane/slot-table.ts';
import { countersAt, sumCounters } from '../mem/counters.ts';
import { HISTOGRAM_BUCKETS, Histograms, quantileUs } from '../mem/histogram.ts';
import { PORT_COUNTERS } from '../port/port.ts';
import { NODES_LIMIT } from '../steer/layout.ts';
import type { NodeHealthFigures } from './health/monitor.ts';
import type { HotFigures } from './hot/report.ts';
import type { LaneArena } from './memory-plan.ts';
import type { DirectoryNode } from './nodes.ts';
import type { Steering } from './steering.ts';

/** Where a lane counts. */
export interface LaneMemoryView {
  readonly memory: LaneArena;
  readonly setup: LaneSetup;
}

export interface PortFigures {
  readonly name: string;
  readonly counters: Record<string, number>;
}

export interface LaneFigures {
  readonly state: string;
  readonly restarts: number;
  readonly lastError?: string;
  /** Forwarded by this lane: how well the traffic spreads. */
  readonly requests: number;
  readonly replies: number;
  /** Time in cycles that found work, and asleep; the rest went into polling. */
  readonly busySeconds: number;
  readonly idleSeconds: number;
}

export type NodeState = 'up' | 'drained' | 'down';

export interface NodeFigures extends Record<(typeof NODE_COUNTERS)[number], number>, NodeHealthFigures {
  readonly name: string;
  /** ADDRESS:PORT. */
  readonly address: string;
  readonly row: number;
  readonly weight: number;
  readonly state: NodeState;
  /** Why it is not up, or not healthy; '' when it is. */
  readonly reason: string;
  /** State of its next hop. */
  readonly neighbour: string;
  /** Share of the ring's slots, 0 to 1. */
  readonly slotShare: number;
  /** Requests that an answer may still come for, and those that it can no longer come for. */
  readonly outstanding: number;
  readonly unanswered: number;
}

export interface LatencyFigures {
  readonly verbs: (typeof LATENCY_CLASSES)[number];
  readonly path: (typeof LATENCY_PATHS)[number];
  readonly count: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** One histogram, summed over lanes. */
export interface LatencyHistogram {
  readonly verbs: LatencyFigures['verbs'];
  readonly path: LatencyFigures['path'];
  readonly sumUs: number;
  /** Bucket → count; limits by `bucketLimitUs`. */
  readonly counts: Float64Array;
}

/** Everything that is counted, summed over lanes; cumulative since the start. */
export interface Figures {
  readonly seconds: number;
  readonly counters: Record<string, number>;
  readonly ports: readonly PortFigures[];
  readonly nodes: readonly NodeFigures[];
  readonly lanes: readonly LaneFigures[];
  /** Of what was answered; series without a request are left out. */
  readonly latency: readonly LatencyFigures[];
  /** Null when no keys are treated as hot. */
  readonly hot: HotFigures | null;
}

const US_PER_SECOND = 1e6;

export function countersOf({ memory: { arena, countersOffset } }: LaneMemoryView): Float64Array {
  return countersAt(arena.buffer, countersOffset, LANE_COUNTERS);
}

export function laneCounters(lanes: readonly LaneMemoryView[]): Record<string, number> {
  return sumCounters(LANE_COUNTERS, lanes.map(countersOf));
}

/** What a lane forwarded, and how it spent its time. */
export function laneWork(lane: LaneMemoryView): Omit<LaneFigures, 'state' | 'restarts'> {
  const counters = countersOf(lane);
  return {
    requests: counters[COUNT.requests],
    replies: counters[COUNT.replies],
    busySeconds: counters[COUNT.busy_us] / US_PER_SECOND,
    idleSeconds: counters[COUNT.idle_us] / US_PER_SECOND,
  };
}

/** Counters of one lane's port. */
export function portCountersOf({ memory, setup }: LaneMemoryView, id: number): Float64Array {
  return countersAt(memory.arena.buffer, setup.ports[id].countersOffset, PORT_COUNTERS);
}

export function portFigures(lanes: readonly LaneMemoryView[], names: readonly string[]): PortFigures[] {
  return names.map((name, id) => {
    const blocks = lanes.map(lane => portCountersOf(lane, id));
    return { name, counters: sumCounters(PORT_COUNTERS, blocks) };
  });
}

/** What all lanes have counted in this row of the node table, since the start. */
export function rowCounts(lanes: readonly LaneMemoryView[], row: number): Float64Array {
  const sums = new Float64Array(NODE_COUNTER_COUNT);
  for (const { memory } of lanes) {
    const offset = memory.nodeCountersOffset + row * NODE_COUNTER_COUNT * 8;
    const counts = new Float64Array(memory.arena.buffer, offset, NODE_COUNTER_COUNT);
    for (let i = 0; i < sums.length; i++) sums[i] += counts[i];
  }
  return sums;
}

export function nodeFigures(
  lanes: readonly LaneMemoryView[],
  steering: Steering,
  health: { figures(row: number): NodeHealthFigures },
): NodeFigures[] {
  const { nodes } = steering.directory;
  const before = nodes.map(node => countsOf(lanes, node));
  const outstanding = outstandingByRow(lanes);
  return nodes.map((node, position) => {
    const { config, row } = node;
    const counts = countsOf(lanes, node);
    noteUnanswered(node, before[position], outstanding[row], counts.answered);
    return {
      name: config.name,
      address: `${config.text}:${config.port}`,
      row,
      weight: config.weight,
      ...stateOf(node, health.figures(row)),
      neighbour: steering.neighbourOf(node),
      slotShare: steering.slotShare(node),
      outstanding: outstanding[row],
      unanswered: node.unanswered,
      ...counts,
    };
  });
}

type NodeCounts = Record<keyof typeof NODE_COUNT, number>;

function countsOf(lanes: readonly LaneMemoryView[], { row, base }: DirectoryNode): NodeCounts {
  const counts = rowCounts(lanes, row).map((count, i) => count - base[i]);
  return sumCounters(NODE_COUNTERS, [counts]) as NodeCounts;
}

/** Requests that an answer may still come for, by row of the node table. */
function outstandingByRow(lanes: readonly LaneMemoryView[]): Float64Array {
  const rows = new Float64Array(NODES_LIMIT);
  for (const { memory, setup } of lanes) {
    const nowUs = ((performance.timeOrigin - setup.timeOrigin + performance.now()) * 1000) | 0;
    const { slots, slotsOffset, newcomerSlots, replyLifetimeMs } = setup;
    countOutstanding(memory.arena.words, slotsOffset >> 2, slots, newcomerSlots, replyLifetimeMs * 1000, nowUs, rows);
  }
  return rows;
}

/**
 * What is neither answered nor outstanding has been lost. Lanes go on counting while we read, so requests were read before
 * the slots, and answers after: the difference is never too large, and once it was seen it stays.
 */
function noteUnanswered(node: DirectoryNode, asked: NodeCounts, outstanding: number, answered: number): void {
  node.unanswered = Math.max(node.unanswered, asked.requests - asked.silent_requests - outstanding - answered);
}

function stateOf(
  { config, available, drained }: DirectoryNode,
  health: NodeHealthFigures,
): NodeHealthFigures & { state: NodeState } {
  if (config.weight === 0) return { ...health, state: 'drained', reason: 'weight 0' };
  if (drained) return { ...health, state: 'drained', reason: 'by the admin' };
  return { ...health, state: available ? 'up' : 'down' };
}

/** Every series, also those without a request. */
export function latencyHistograms(lanes: readonly LaneMemoryView[]): LatencyHistogram[] {
  const all = lanes.map(({ memory }) => new Histograms(memory.arena.buffer, memory.latencyOffset, LATENCY_SERIES));
  return LATENCY_CLASSES.flatMap((verbs, verbClass) =>
    LATENCY_PATHS.map((path, way) => {
      const counts = new Float64Array(HISTOGRAM_BUCKETS);
      const series = verbClass * LATENCY_PATHS.length + way;
      const sumUs = all.reduce((sum, lane) => sum + lane.addTo(counts, series), 0);
      return { verbs, path, sumUs, counts };
    }),
  );
}

export function latencyFigures(histograms: readonly LatencyHistogram[]): LatencyFigures[] {
  return histograms.flatMap(({ verbs, path, sumUs, counts }) => {
    const count = counts.reduce((sum, n) => sum + n, 0);
    if (count === 0) return [];
    const quantiles = { p50Us: finite(quantileUs(counts, 0.5)), p99Us: finite(quantileUs(counts, 0.99)) };
    return [{ verbs, path, count, meanUs: sumUs / count, ...quantiles }];
  });
}

/** JSON has no Infinity: what is beyond the last limit is shown as that limit. */
function finite(us: number): number {
  return Math.min(us, 2 ** 24);
}

/** The frames that Keysteer dropped or refused, by reason, without the zeros. */
export function dropReasons(counters: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counters).filter(([name, count]) => count > 0 && /^(drop|refused)_/.test(name)),
  );
}
