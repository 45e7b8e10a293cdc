/** Latencies in bounded memory, three figures exact. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Microseconds. */
export interface Latency {
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class LatencyRecord {
  readonly #histogram: RecordableHistogram = createHistogram({ figures: 3 });

  note(microseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(microseconds)));
  }

  /** undefined when there were none. */
  summary(): Latency | undefined {
    const histogram = this.#histogram;
    if (histogram.count === 0) return undefined;
    const { min, max } = histogram;
    const mean = Math.round(histogram.mean);
    // A percentile is the upper end of its bucket, which may lie above the largest value.
    const at = (percentile: number) => Math.min(max, histogram.percentile(percentile));
    return { min, mean, p50: at(50), p99: at(99), max };
  }
}
