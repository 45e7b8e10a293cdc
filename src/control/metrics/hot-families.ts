/** Hot keys as OpenMetrics families: what the keeper says (hot/report.ts). What lanes count of them is with the lanes. */
import type { HotFigures } from '../hot/report.ts';
import type { Family, Sample } from './openmetrics.ts';

const LEFT: Readonly<Record<string, (hot: HotFigures) => number>> = {
  cold: ({ counts }) => counts.leftCold,
  written: ({ counts }) => counts.leftWritten,
  crowded_out: ({ counts }) => counts.leftCrowded,
  banned: ({ counts }) => counts.leftBanned,
};

/** Nothing where no keys are treated. */
export function hotFamilies(hot: HotFigures | null): Family[] {
  if (hot === null) return [];
  return [
    ...itemFamilies(hot),
    ...requestFamilies(hot),
    ...moveFamilies(hot),
    ...detectorFamilies(hot),
    ...balanceFamilies(hot),
  ];
}

function itemFamilies(hot: HotFigures): Family[] {
  const { l1, l2, states, cached, copies, pinned, banned, capacity, leftAlone, stuck } = hot;
  const layers = [gaugeSample({ layer: 'L1' }, l1), gaugeSample({ layer: 'L2' }, l2)];
  const inStates = Object.entries(states).map(([state, count]) => gaugeSample({ state }, count));
  return [
    gauge('keysteer_hot_keys', 'Hot keys, by the layer they are looked up in.', layers),
    gauge('keysteer_hot_keys_in_state', 'Hot keys, by the state of their coherence protocol.', inStates),
    plainGauge('keysteer_hot_keys_max', 'Keys that can be hot at a time.', capacity),
    plainGauge('keysteer_hot_keys_cached', 'Hot keys whose value is cached.', cached),
    plainGauge('keysteer_hot_replicas', 'Copies of hot keys on other nodes than their homes.', copies),
    plainGauge('keysteer_hot_keys_pinned', 'Keys that are hot whatever happens.', pinned),
    plainGauge('keysteer_hot_keys_banned', 'Keys that are never treated.', banned),
    plainGauge(
      'keysteer_hot_keys_left_alone',
      'Keys that are not treated for now: written too much, or not drained.',
      leftAlone,
    ),
    plainGauge('keysteer_hot_keys_stuck', 'Hot keys under way for longer than anything explains.', stuck),
  ];
}

function requestFamilies({ counts }: HotFigures): Family[] {
  const reads = [total({ layer: 'L1' }, counts.l1Reads), total({ layer: 'L2' }, counts.l2Reads)];
  return [
    counter('keysteer_hot_key_reads', 'Reads of hot keys, by the layer of the key; as of the last epoch.', reads),
    counter('keysteer_hot_key_writes', 'Writes of hot keys, as of the last epoch.', [total({}, counts.writes)]),
  ];
}

function moveFamilies(hot: HotFigures): Family[] {
  const { candidates, admitted, undrained, twins, crowded } = hot.counts;
  const refused = [
    total({ reason: 'undrained' }, undrained),
    total({ reason: 'twin' }, twins),
    total({ reason: 'crowded' }, crowded),
  ];
  const left = Object.entries(LEFT).map(([reason, of]) => total({ reason }, of(hot)));
  return [
    counter('keysteer_hot_candidates', 'Keys that lanes have named as perhaps hot.', [total({}, candidates)]),
    counter('keysteer_hot_admissions', 'Keys that were taken for hot.', [total({}, admitted)]),
    counter(
      'keysteer_hot_refusals',
      'Keys that could not be treated: stores of theirs were under way for too long, another hot key has their hash, or too many lie near it.',
      refused,
    ),
    counter('keysteer_hot_departures', 'Keys that are no longer hot, by reason.', left),
  ];
}

function detectorFamilies({ share, detectors }: HotFigures): Family[] {
  const { count, epsilon, entries, displaced } = detectors;
  return [
    plainGauge('keysteer_hot_share_ratio', 'Share of the requests from which a key is hot now.', share, 'ratio'),
    plainGauge(
      'keysteer_hot_detector_error_ratio',
      'Error of a counted share that is guaranteed now.',
      epsilon,
      'ratio',
    ),
    plainGauge('keysteer_hot_detector_entries', 'Keys that the detectors of all lanes hold.', entries),
    plainGauge(
      'keysteer_hot_detector_count',
      'Requests that the detectors count now: those of earlier epochs count less.',
      count,
    ),
    counter('keysteer_hot_detector_displaced', 'Keys that detectors let go for want of room.', [total({}, displaced)]),
  ];
}

function balanceFamilies({ balance, limits }: HotFigures): Family[] {
  const { measured, predicted, untreated } = balance;
  const samples = Object.entries({ measured, predicted, untreated, allowed: limits.imbalance }).map(([figure, value]) =>
    gaugeSample({ figure }, value),
  );
  const help =
    'Load of the busiest node ÷ mean, for their weights: measured; predicted by the plan in force; predicted without copies; allowed.';
  return [gauge('keysteer_hot_imbalance', help, samples)];
}

function gauge(name: string, help: string, samples: readonly Sample[], unit?: string): Family {
  return { name, type: 'gauge', help, samples, ...(unit === undefined ? {} : { unit }) };
}

function plainGauge(name: string, help: string, value: number, unit?: string): Family {
  return gauge(name, help, [gaugeSample({}, value)], unit);
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: 'counter', help, samples };
}

function gaugeSample(labels: Record<string, string>, value: number): Sample {
  return { labels, value };
}

function total(labels: Record<string, string>, value: number): Sample {
  return { suffix: '_total', labels, value };
}
