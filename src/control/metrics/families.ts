/** Everything Keysteer counts, as OpenMetrics families. New counters of lanes, ports and nodes appear by themselves. */
import { LANE_COUNTERS, NODE_COUNTERS } from '../../dataplane/counters.ts';
import { NEIGHBOUR_STATE_NAMES } from '../../dataplane/neighbours.ts';
import { bucketLimitUs } from '../../mem/histogram.ts';
import { PORT_COUNTERS } from '../../port/port.ts';
import {
  countersOf,
  type Figures,
  type LaneMemoryView,
  type LatencyHistogram,
  latencyHistograms,
  type NodeFigures,
  portCountersOf,
} from '../figures.ts';
import type { ReloadFigures } from '../reload/reloader.ts';
import { DROPS_HELP, LANE_HELP, NODE_HELP, PORT_HELP, REFUSALS_HELP } from './help.ts';
import { hotFamilies } from './hot-families.ts';
import type { Family, Sample } from './openmetrics.ts';

const SECONDS_PER_US = 1e-6;
const LANE_STATES = ['starting', 'running', 'stalled', 'stopped', 'crashed'];
const NODE_STATES = ['up', 'drained', 'down'];

/** What the metrics are made of. */
export interface MetricsSource {
  readonly version: string;
  /** Unix time of the start, seconds. */
  readonly startedAt: number;
  readonly figures: Figures;
  readonly lanes: readonly LaneMemoryView[];
  readonly reloads: ReloadFigures;
}

export function metricFamilies(source: MetricsSource): Family[] {
  const { figures, lanes } = source;
  const ports = figures.ports.map(({ name }) => name);
  return [
    ...instanceFamilies(source),
    ...laneFamilies(lanes),
    ...laneStateFamilies(figures),
    ...portFamilies(lanes, ports),
    ...nodeFamilies(figures.nodes),
    latencyFamily(latencyHistograms(lanes)),
    ...hotFamilies(figures.hot),
  ];
}

function instanceFamilies({ version, startedAt, reloads }: MetricsSource): Family[] {
  const result = (name: string, value: number) => ({ suffix: '_total', labels: { result: name }, value });
  return [
    {
      name: 'keysteer_build',
      type: 'info',
      help: 'What runs.',
      samples: [{ suffix: '_info', labels: { version, node: process.versions.node }, value: 1 }],
    },
    gauge('keysteer_start_time_seconds', 'Unix time of the start.', [{ labels: {}, value: startedAt }], 'seconds'),
    {
      name: 'keysteer_reloads',
      type: 'counter',
      help: 'Reloads of the configuration, by what became of them.',
      samples: [result('applied', reloads.applied), result('refused', reloads.refused)],
    },
  ];
}

type LaneSamples = (name: string, labels?: Record<string, string>, scale?: number) => Sample[];

/** drop_* and refused_* become one family each, with the reason as a label. */
function laneFamilies(lanes: readonly LaneMemoryView[]): Family[] {
  const blocks = lanes.map(countersOf);
  const samples: LaneSamples = (name, labels = {}, scale = 1) =>
    blocks.map((block, lane) => {
      return total({ lane: String(lane), ...labels }, (block[LANE_COUNTERS.indexOf(name)] ?? 0) * scale);
    });
  const plain = LANE_COUNTERS.filter(name => !/^(drop|refused)_/.test(name));
  return [
    ...plain.map(name => counter('keysteer_', name, LANE_HELP, scale => samples(name, {}, scale))),
    reasonFamily('drop_', 'keysteer_drops', DROPS_HELP, samples),
    reasonFamily('refused_', 'keysteer_refusals', REFUSALS_HELP, samples),
  ];
}

function reasonFamily(prefix: string, name: string, help: string, samples: LaneSamples): Family {
  const counters = LANE_COUNTERS.filter(each => each.startsWith(prefix));
  const all = counters.flatMap(each => samples(each, { reason: each.slice(prefix.length) }));
  return { name, type: 'counter', help, samples: all };
}

function laneStateFamilies({ lanes }: Figures): Family[] {
  const restarts = lanes.map(({ restarts: value }, lane) => total({ lane: String(lane) }, value));
  const states = lanes.flatMap(({ state }, lane) =>
    LANE_STATES.map(name => stateSample('keysteer_lane_state', { lane: String(lane) }, name, state)),
  );
  return [
    { name: 'keysteer_lane_restarts', type: 'counter', help: 'Crashes of the lane.', samples: restarts },
    { name: 'keysteer_lane_state', type: 'stateset', help: 'What the lane does.', samples: states },
  ];
}

function portFamilies(lanes: readonly LaneMemoryView[], ports: readonly string[]): Family[] {
  return PORT_COUNTERS.map((name, position) =>
    counter('keysteer_port_', name, PORT_HELP, scale =>
      lanes.flatMap((lane, number) =>
        ports.map((port, id) =>
          total({ lane: String(number), port }, (portCountersOf(lane, id)[position] ?? 0) * scale),
        ),
      ),
    ),
  );
}

function nodeFamilies(nodes: readonly NodeFigures[]): Family[] {
  return [...nodeCounters(nodes), ...nodeGauges(nodes), ...nodeStates(nodes)];
}

function nodeCounters(nodes: readonly NodeFigures[]): Family[] {
  const counted = [...NODE_COUNTERS, 'unanswered'] as const;
  return counted.map(name =>
    counter('keysteer_node_', name, NODE_HELP, scale => nodes.map(node => total(nodeLabels(node), node[name] * scale))),
  );
}

function nodeGauges(nodes: readonly NodeFigures[]): Family[] {
  const of = (value: (node: NodeFigures) => number) =>
    nodes.map(node => ({ labels: nodeLabels(node), value: value(node) }));
  const open = of(({ outstanding }) => outstanding);
  const weights = of(({ weight }) => weight);
  const shares = of(({ slotShare }) => slotShare);
  return [
    gauge('keysteer_node_outstanding', 'Requests that an answer may still come for.', open),
    gauge('keysteer_node_weight', 'Configured share of the keys.', weights),
    gauge('keysteer_node_slots_ratio', 'Share of the ring that the node holds now.', shares, 'ratio'),
  ];
}

function nodeStates(nodes: readonly NodeFigures[]): Family[] {
  const family = (name: string, help: string, all: readonly string[], state: (node: NodeFigures) => string): Family => {
    const samples = nodes.flatMap(node => all.map(each => stateSample(name, nodeLabels(node), each, state(node))));
    return { name, type: 'stateset', help, samples };
  };
  const neighbourHelp = 'What ARP knows of the next hop to the node.';
  return [
    family('keysteer_node_state', 'Whether the node gets keys.', NODE_STATES, ({ state }) => state),
    family('keysteer_node_neighbour', neighbourHelp, NEIGHBOUR_STATE_NAMES, ({ neighbour }) => neighbour),
  ];
}

function nodeLabels({ name, address }: NodeFigures): Record<string, string> {
  return { node: name, address };
}

/** One histogram for each kind of verbs and path that a request has taken so far; those of forwarded ones always. */
function latencyFamily(histograms: readonly LatencyHistogram[]): Family {
  const shown = histograms.filter(({ path, counts }) => path === 'forwarded' || counts.some(count => count > 0));
  return {
    name: 'keysteer_latency_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from a request to the first datagram of its reply, as Keysteer saw both.',
    samples: shown.flatMap(histogramSamples),
  };
}

function histogramSamples({ verbs, path, sumUs, counts }: LatencyHistogram): Sample[] {
  const labels = { verbs, path };
  let below = 0;
  const buckets = Array.from(counts, (count, bucket) => {
    below += count;
    const limit = bucketLimitUs(bucket);
    const le = Number.isFinite(limit) ? secondsText(limit) : '+Inf';
    return { suffix: '_bucket', labels: { ...labels, le }, value: below };
  });
  const sum = { suffix: '_sum', labels, value: sumUs * SECONDS_PER_US };
  return [...buckets, { suffix: '_count', labels, value: below }, sum];
}

/** `le` in canonical form: a decimal fraction with a point (1.0, not 1), so that it is the same text for every reader. */
function secondsText(us: number): string {
  const seconds = us / 1e6;
  return Number.isInteger(seconds) ? seconds.toFixed(1) : String(seconds);
}

/** A counter of ours by its name: µs become seconds, and a unit is named where there is one. */
function counter(
  prefix: string,
  name: string,
  helps: Readonly<Record<string, string>>,
  samples: (scale: number) => readonly Sample[],
): Family {
  const help = helps[name] ?? `The counter ${name}.`;
  if (name.endsWith('_us')) {
    const family = `${prefix}${name.replace(/_us$/, '_seconds')}`;
    return { name: family, type: 'counter', unit: 'seconds', help, samples: samples(SECONDS_PER_US) };
  }
  const unit = name.endsWith('_bytes') ? { unit: 'bytes' } : {};
  return { name: `${prefix}${name}`, type: 'counter', ...unit, help, samples: samples(1) };
}

function gauge(name: string, help: string, samples: readonly Sample[], unit?: string): Family {
  return { name, type: 'gauge', help, samples, ...(unit === undefined ? {} : { unit }) };
}

function total(labels: Record<string, string>, value: number): Sample {
  return { suffix: '_total', labels, value };
}

/** One state of a stateset: the label is called as the family. */
function stateSample(family: string, labels: Record<string, string>, state: string, current: string): Sample {
  return { labels: { ...labels, [family]: state }, value: state === current ? 1 : 0 };
}
