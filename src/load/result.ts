/** What a run found out, as JSON; results of several processes can be merged into one. */
import type { Generator } from './generator.ts';
import { Histogram, type HistogramJson } from './histogram.ts';
import type { SurgeResult } from './surges.ts';
import {
  PHASE_MEASURE,
  PHASE_PREFILL,
  PHASE_WARMUP,
  type TallyCounter,
  WRONG_REASONS,
  type WrongReason,
  type WrongSample,
} from './tally.ts';

export interface LatencySummary {
  p50Us: number;
  p90Us: number;
  p99Us: number;
  p999Us: number;
  maxUs: number;
  meanUs: number;
}

export interface VerbResult {
  requests: number;
  replies: number;
  lost: number;
  latency: LatencySummary;
}

export type TallyByPhase = Record<'prefill' | 'warmup' | 'measure', Record<TallyCounter, number>>;

/**
 * Requests, replies, lost, hits, misses, stored, errors and latency are of measured requests only, and
 * requests = replies + lost; replies = hits + misses + stored + errors + wrong replies.
 * Wrong, late, duplicate and unreachable are of the whole run, prefill and warm-up included: nothing is swept under.
 */
export interface LoadResult {
  aborted: boolean;
  /** Generators whose results these are. */
  generators: number;
  /** Measured time. */
  seconds: number;
  requests: number;
  replies: number;
  /** Replies within the measured time. */
  requestsPerSecond: number;
  hits: number;
  misses: number;
  stored: number;
  lost: number;
  late: number;
  duplicates: number;
  wrong: number;
  wrongByReason: Record<WrongReason, number>;
  wrongSamples: WrongSample[];
  errors: number;
  /** memcached's error lines. */
  errorTexts: Record<string, number>;
  /** ICMP messages that say nobody listens. */
  unreachable: number;
  /** From the intended send time (open loop) or the send time (closed loop) to the reply. */
  latency: LatencySummary;
  get: VerbResult;
  set: VerbResult;
  /** Open loop: how late requests left through the generator's own fault; it is part of the latency. */
  lag: LatencySummary;
  histograms: { get: HistogramJson; set: HistogramJson; lag: HistogramJson };
  /** CPU time of the process while it measured, user and system. */
  cpuSeconds: number;
  /** Frames that the port would not send, and those that came into a full ring, while it measured. */
  transmitRefused: number;
  ringDropped: number;
  prefill: { keys: number; retries: number; seconds: number };
  /** Keys that were made hot, in order; none without the option. */
  surges: SurgeResult[];
  tally: TallyByPhase;
}

/** What only the one that drives a generator knows. */
export interface RunFigures {
  aborted: boolean;
  seconds: number;
  /** Replies to measured requests when the measured time was over. */
  repliesInTime: number;
  cpuSeconds: number;
  transmitRefused: number;
  ringDropped: number;
  prefillSeconds: number;
}

export function resultOf(generator: Generator, figures: RunFigures): LoadResult {
  const { tally, prefill, latency, lag } = generator;
  return compose({
    aborted: figures.aborted,
    generators: 1,
    seconds: figures.seconds,
    requestsPerSecond: figures.seconds > 0 ? figures.repliesInTime / figures.seconds : 0,
    wrongSamples: tally.samples,
    errorTexts: Object.fromEntries(tally.errorTexts),
    histograms: { get: latency[0], set: latency[1], lag },
    cpuSeconds: figures.cpuSeconds,
    transmitRefused: figures.transmitRefused,
    ringDropped: figures.ringDropped,
    prefill: { keys: prefill.settled, retries: prefill.retries, seconds: figures.prefillSeconds },
    surges: generator.surgeResults(),
    tally: {
      prefill: tally.phase(PHASE_PREFILL),
      warmup: tally.phase(PHASE_WARMUP),
      measure: tally.phase(PHASE_MEASURE),
    },
  });
}

/**
 * One result of several that ran at the same time: counts and rates are summed, latencies taken from the merged
 * histograms, times are the longest.
 * @throws RangeError when there are none
 */
export function mergeResults(results: readonly LoadResult[]): LoadResult {
  if (results.length === 0) throw new RangeError('mergeResults: no results to merge');
  const sum = (field: (result: LoadResult) => number) => results.reduce((total, result) => total + field(result), 0);
  const longest = (field: (result: LoadResult) => number) => Math.max(...results.map(field));
  const histogram = (name: keyof LoadResult['histograms']) => mergeHistograms(results.map(r => r.histograms[name]));
  return compose({
    aborted: results.some(result => result.aborted),
    generators: sum(result => result.generators),
    seconds: longest(result => result.seconds),
    requestsPerSecond: sum(result => result.requestsPerSecond),
    wrongSamples: results.flatMap(result => result.wrongSamples),
    errorTexts: sumRecords(results.map(result => result.errorTexts)),
    histograms: { get: histogram('get'), set: histogram('set'), lag: histogram('lag') },
    cpuSeconds: sum(result => result.cpuSeconds),
    transmitRefused: sum(result => result.transmitRefused),
    ringDropped: sum(result => result.ringDropped),
    prefill: {
      keys: sum(result => result.prefill.keys),
      retries: sum(result => result.prefill.retries),
      seconds: longest(result => result.prefill.seconds),
    },
    surges: results.flatMap(result => result.surges),
    tally: {
      prefill: sumRecords(results.map(result => result.tally.prefill)),
      warmup: sumRecords(results.map(result => result.tally.warmup)),
      measure: sumRecords(results.map(result => result.tally.measure)),
    },
  });
}

/** What a result is made of; the rest follows. */
type Parts = Pick<
  LoadResult,
  | 'aborted'
  | 'generators'
  | 'seconds'
  | 'requestsPerSecond'
  | 'wrongSamples'
  | 'errorTexts'
  | 'cpuSeconds'
  | 'transmitRefused'
  | 'ringDropped'
  | 'prefill'
  | 'surges'
  | 'tally'
> & { histograms: Record<'get' | 'set' | 'lag', Histogram> };

function compose(parts: Parts): LoadResult {
  const { histograms, tally } = parts;
  const { measure } = tally;
  const whole = sumRecords(Object.values(tally));
  const wrongByReason = Object.fromEntries(
    WRONG_REASONS.map(reason => [reason, whole[`wrong_${reason}`]]),
  ) as LoadResult['wrongByReason'];
  return {
    ...parts,
    requests: measure.get_requests + measure.set_requests,
    replies: measure.get_replies + measure.set_replies,
    hits: measure.hits,
    misses: measure.misses,
    stored: measure.stored,
    lost: measure.get_lost + measure.set_lost,
    errors: measure.errors,
    late: whole.late,
    duplicates: whole.duplicates,
    unreachable: whole.unreachable,
    wrong: Object.values(wrongByReason).reduce((sum, count) => sum + count, 0),
    wrongByReason,
    latency: summarise(merged([histograms.get, histograms.set])),
    get: verbResult(measure, 'get', histograms.get),
    set: verbResult(measure, 'set', histograms.set),
    lag: summarise(histograms.lag),
    histograms: {
      get: histograms.get.toJSON(),
      set: histograms.set.toJSON(),
      lag: histograms.lag.toJSON(),
    },
  };
}

function verbResult(measure: Record<TallyCounter, number>, verb: 'get' | 'set', histogram: Histogram): VerbResult {
  return {
    requests: measure[`${verb}_requests`],
    replies: measure[`${verb}_replies`],
    lost: measure[`${verb}_lost`],
    latency: summarise(histogram),
  };
}

export function summarise(histogram: Histogram): LatencySummary {
  return {
    p50Us: histogram.quantile(0.5) / 1e3,
    p90Us: histogram.quantile(0.9) / 1e3,
    p99Us: histogram.quantile(0.99) / 1e3,
    p999Us: histogram.quantile(0.999) / 1e3,
    maxUs: histogram.max / 1e3,
    meanUs: histogram.mean / 1e3,
  };
}

function mergeHistograms(parts: readonly HistogramJson[]): Histogram {
  return merged(parts.map(part => Histogram.fromJSON(part)));
}

function merged(histograms: readonly Histogram[]): Histogram {
  const sum = new Histogram();
  for (const histogram of histograms) sum.add(histogram);
  return sum;
}

function sumRecords<K extends string>(records: readonly Record<K, number>[]): Record<K, number> {
  const sums = {} as Record<K, number>;
  for (const record of records) {
    for (const key in record) sums[key] = (sums[key] ?? 0) + record[key];
  }
  return sums;
}
