/**
 * Lossy Counting (G. S. Manku, R. Motwani, "Approximate Frequency Counts over Data Streams", VLDB 2002).
 *
 * The stream is cut into buckets of width 1/ε; b = ⌊εN⌋ buckets are over. A key without a row gets one with Δ = b; a row
 * with f̂ + Δ ≤ b may go. By induction a key without a row has f ≤ b: either it never had one (f = 0), or it went with
 * f ≤ f̂ + Δ ≤ b. Hence
 *
 *     f̂ ≤ f ≤ f̂ + Δ,  Δ ≤ b ≤ εN
 *     rows held ≤ (1/ε) · (1 + 1/2 + … + 1/⌈εN⌉) ≤ (1/ε) · (1 + ln ⌈εN⌉)
 *
 * The second: a row of the last but i-th bucket is held only if it got at least one count for each bucket since, so rows
 * of the last j buckets together need at least Σ i·dᵢ ≤ j/ε counts, for every j. The paper writes it (1/ε) log(εN).
 *
 * Rows that may go do so when their place is needed (set-table.ts), so there is no sweep at a bucket's end; and they may
 * be saved by a request in the meantime, with a Δ no worse than if they had come back. The bound on rows holds for
 * `entries`. The memory that guarantees it for every stream is much larger than what streams with heavy keys need; with
 * fewer rows, sets that run full cost accuracy, which `epsilon`, `error` and `displaced` show.
 *
 * With weights nothing changes: N and f are sums of weights, and a row needs at least weight 1 a bucket to be held.
 *
 * The classic setting is s = 0.2, ε = 0.02 (`CLASSIC`). It can name at most five keys.
 */

import { demandWithin } from './detector.ts';
import { SetTable, type SetTableOptions, setsLog2For, setTableByteLength } from './set-table.ts';

export interface LossyCountingOptions extends SetTableOptions {
  /** Error allowed, a share of the count: 1e-6 to 0.5. */
  readonly epsilon: number;
  /** Rows there is room for; rounded up to 10 · 2^i. Default: 2/ε. */
  readonly rows?: number;
}

/** The setting of the first deployments: a key with a fifth of the requests, give or take a fiftieth. */
export const CLASSIC = { share: 0.2, epsilon: 0.02 } as const;

const EPSILON_MIN = 1e-6;
const EPSILON_MAX = 0.5;
const ROWS_PER_BUCKET = 2;

/** log2 of the sets that these options ask for. @throws DetectorConfigError */
export function setsLog2Of({ epsilon, rows }: LossyCountingOptions): number {
  demandWithin('epsilon', epsilon, EPSILON_MIN, EPSILON_MAX);
  return setsLog2For(rows ?? ROWS_PER_BUCKET / epsilon);
}

export class LossyCounting extends SetTable {
  static byteLength(options: LossyCountingOptions): number {
    return setTableByteLength(setsLog2Of(options));
  }

  constructor(words: Int32Array, base: number, options: LossyCountingOptions) {
    super(words, base, setsLog2Of(options), options.epsilon, options.seed);
  }
}
