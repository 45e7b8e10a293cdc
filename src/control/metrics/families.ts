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

/** drop_* and refused_* become one family each, with the reason as a label. */
function laneFamilies(lanes: readonly LaneMemoryView[]): Family[] {
  const blocks = lanes.map(countersOf);
  const samples = (names: readonly string[], labels: (name: string) => Record<string, string>, scale = 1): Sample[] =>
    blocks.flatMap((block, lane) =>
      names.map(name => ({
        suffix: '_total',
        labels: { lane: String(lane), ...labels(name) },
        value: (block[LANE_COUNTERS.indexOf(name)] ?? 0) * scale,
      })),
    );
  const reasons = (prefix: string, family: string, help: string): Family => {
    const names = LANE_COUNTERS.filter(name => name.startsWith(prefix));
    const all = samples(names, name => ({ reason: name.slice(prefix.length) }));
    return { name: family, type: 'counter', help, samples: all };
  };
  const plain = LANE_COUNTERS.filter(name => !/^(drop|refused)_/.test(name));
  return [
    ...plain.map(name => counter('keysteer_', name, LANE_HELP, scale => samples([name], () => ({}), scale))),
    reasons('drop_', 'keysteer_drops', DROPS_HELP),
    reasons('refused_', 'keysteer_refusals', REFUSALS_HELP),
  ];
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
  const of = (value: (node: NodeFigures) => number) =>
    nodes.map(node => ({ labels: nodeLabels(node), value: value(node) }));
  const states = (name: string, all: readonly string[], state: (node: NodeFigures) => string) =>
    nodes.flatMap(node => all.map(each => stateSample(name, nodeLabels(node), each, state(node))));
  const counted = [...NODE_COUNTERS, 'unanswered'] as const;
  return [
    ...counted.map(name =>
      counter('keysteer_node_', name, NODE_HELP, scale =>
        of(node => node[name] * scale).map(sample => ({ ...sample, suffix: '_total' })),
      ),
    ),
    gauge(
      'keysteer_node_outstanding',
      'Requests that an answer may still come for.',
      of(node => node.outstanding),
    ),
    gauge(
      'keysteer_node_weight',
      'Configured share of the keys.',
      of(node => node.weight),
    ),
    gauge(
      'keysteer_node_slots_ratio',
      'Share of the ring that the node holds now.',
      of(node => node.slotShare),
      'ratio',
    ),
    {
      name: 'keysteer_node_state',
      type: 'stateset',
      help: 'Whether the node gets keys.',
      samples: states('keysteer_node_state', NODE_STATES, node => node.state),
    },
    {
      name: 'keysteer_node_neighbour',
      type: 'stateset',
      help: 'What ARP knows of the next hop to the node.',
      samples: states('keysteer_node_neighbour', NEIGHBOUR_STATE_NAMES, node => node.neighbour),
    },
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
