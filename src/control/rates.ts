/** What went on between two looks at an instance: rates and shares, for `top`. */
import { HISTOGRAM_BUCKETS, quantileUs } from '../mem/histogram.ts';
import type { SparseHistogram, Status } from './admin/status.ts';
import type { NodeFigures } from './figures.ts';

export interface NodeRates {
  readonly name: string;
  readonly state: NodeFigures['state'];
  readonly reason: string;
  readonly neighbour: string;
  /** Of the requests of all nodes, 0 to 1; 0 when there were none. */
  readonly loadShare: number;
  readonly requestsPerSecond: number;
  readonly repliesPerSecond: number;
  readonly unansweredPerSecond: number;
  readonly outstanding: number;
}

export interface LaneRates {
  readonly state: string;
  readonly restarts: number;
  readonly requestsPerSecond: number;
  /** Shares of the time, 0 to 1. */
  readonly workShare: number;
  readonly idleShare: number;
}

export interface LatencyRates {
  readonly verbs: string;
  readonly path: string;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface HotRates {
  /** Reads answered from the cache, and their share of all reads, 0 to 1. */
  readonly hitsPerSecond: number;
  readonly hitShare: number;
  readonly fillsPerSecond: number;
  readonly writesPerSecond: number;
}

export interface Rates {
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly repliesPerSecond: number;
  readonly errorAnswersPerSecond: number;
  readonly latency: readonly LatencyRates[];
  readonly hot: HotRates;
  /** Reason → frames per second; without the zeros, the most frequent first. */
  readonly drops: Readonly<Record<string, number>>;
  readonly nodes: readonly NodeRates[];
  readonly lanes: readonly LaneRates[];
}

export function ratesBetween(before: Status, now: Status): Rates {
  const seconds = Math.max(now.seconds - before.seconds, 1e-3);
  const rate = (name: string) => ((now.counters[name] ?? 0) - (before.counters[name] ?? 0)) / seconds;
  return {
    seconds,
    requestsPerSecond: rate('requests'),
    repliesPerSecond: rate('replies'),
    errorAnswersPerSecond: rate('error_answers'),
    latency: now.histograms.flatMap(histogram => latencyRates(before.histograms, histogram, seconds)),
    hot: hotRates(rate),
    drops: dropRates(Object.keys(now.counters), rate),
    nodes: nodeRates(before.nodes, now.nodes, seconds),
    lanes: laneRates(before, now, seconds),
  };
}

function hotRates(rate: (name: string) => number): HotRates {
  const hitsPerSecond = rate('hot_hits');
  const reads = hitsPerSecond + rate('reads');
  return {
    hitsPerSecond,
    hitShare: reads === 0 ? 0 : hitsPerSecond / reads,
    fillsPerSecond: rate('hot_fills'),
    writesPerSecond: rate('hot_writes'),
  };
}

function dropRates(names: readonly string[], rate: (name: string) => number): Record<string, number> {
  const rates = names.filter(name => /^(drop|refused)_/.test(name)).map(name => [name, rate(name)] as const);
  return Object.fromEntries(rates.filter(([, perSecond]) => perSecond > 0).sort(([, a], [, b]) => b - a));
}

/** A node is the same if its name and row are; one that came meanwhile began at zero. */
function nodeRates(before: readonly NodeFigures[], now: readonly NodeFigures[], seconds: number): NodeRates[] {
  const moved = now.map(node => {
    const old = before.find(({ name, row }) => name === node.name && row === node.row);
    const by = (figure: 'requests' | 'replies' | 'unanswered') => Math.max(0, node[figure] - (old?.[figure] ?? 0));
    return { node, requests: by('requests'), replies: by('replies'), unanswered: by('unanswered') };
  });
  const total = moved.reduce((sum, { requests }) => sum + requests, 0);
  return moved.map(({ node: { name, state, reason, neighbour, outstanding }, requests, replies, unanswered }) => ({
    name,
    state,
    reason,
    neighbour,
    loadShare: total === 0 ? 0 : requests / total,
    requestsPerSecond: requests / seconds,
    repliesPerSecond: replies / seconds,
    unansweredPerSecond: unanswered / seconds,
    outstanding,
  }));
}

function laneRates(before: Status, now: Status, seconds: number): LaneRates[] {
  return now.lanes.map((lane, number) => {
    const old = before.lanes[number];
    const by = (figure: 'requests' | 'busySeconds' | 'idleSeconds') =>
      Math.max(0, lane[figure] - (old?.[figure] ?? 0)) / seconds;
    return {
      state: lane.state,
      restarts: lane.restarts,
      requestsPerSecond: by('requests'),
      workShare: Math.min(1, by('busySeconds')),
      idleShare: Math.min(1, by('idleSeconds')),
    };
  });
}

function latencyRates(before: readonly SparseHistogram[], now: SparseHistogram, seconds: number): LatencyRates[] {
  const { verbs, path } = now;
  const counts = dense(now);
  const old = before.find(histogram => histogram.verbs === verbs && histogram.path === path);
  if (old) for (const [bucket, count] of old.buckets) counts[bucket]! -= count;
  const count = counts.reduce((sum, n) => sum + n, 0);
  if (count === 0) return [];
  return [{ verbs, path, perSecond: count / seconds, p50Us: quantileUs(counts, 0.5), p99Us: quantileUs(counts, 0.99) }];
}

function dense({ buckets }: SparseHistogram): Float64Array {
  const counts = new Float64Array(HISTOGRAM_BUCKETS);
  for (const [bucket, count] of buckets) counts[bucket] = count;
  return counts;
}
