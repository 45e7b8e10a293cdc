/**
 * Probabilistic Lossy Counting (X. Dimitropoulos, P. Hurley, A. Kind, "Probabilistic Lossy Counting: An Efficient
 * Algorithm for Finding Heavy Hitters", ACM SIGCOMM CCR 38(1), 2008).
 *
 * Lossy Counting gives a newcomer Δ = b, as if it had been dropped at the last moment with all that it could have. Hardly
 * any was: most keys that come and go are tiny. If the counts of keys follow a power law, P(X > x) = x^−β, those that
 * could have been dropped are those with X ≤ b, and
 *
 *     P(X > Δ | X ≤ b) = (Δ^−β − b^−β) / (1 − b^−β) = δ        for        Δ = (δ (1 − b^−β) + b^−β)^(−1/β)
 *
 * So Δ is not b but a number that does not grow beyond δ^(−1/β), and
 *
 *     f̂ ≤ f always;   of the keys with f ≥ sN at most a share δ is missed;   f ≤ f̂ + Δ for most rows
 *
 * The last is no 1 − δ: of the dropped keys the busier ones are the likelier to return, and the formula does not see
 * that. With Zipf's law, 1.5 δ to 3 δ of the rows turn out to have more than their upper bound. Heavy keys hardly suffer,
 * because they have rows from early on and keep them.
 *
 * Smaller Δs mean fewer rows, since a row goes when f̂ + Δ ≤ b. The price is that the promise hangs on the power law: an
 * adversary who spreads a key's requests thinly gets it past the detector, dropped again and again. With keys drawn by
 * Zipf's law of exponent α, counts have β = 1/α. BOUND of a full set (set-table.ts) is deterministic and comes on top.
 */

import { demandWithin } from './detector.ts';
import { type LossyCountingOptions, setsLog2Of } from './lossy-counting.ts';
import { SetTable, setTableByteLength } from './set-table.ts';

export interface ProbabilisticOptions extends LossyCountingOptions {
  /** Probability with which an upper bound may be wrong. Default 0.02. */
  readonly delta?: number;
  /** Exponent of the tail of the keys' counts. Default 1. */
  readonly beta?: number;
}

const DELTA = 0.02;
const BETA = 1;

/** Δ that a dropped key's count exceeds with probability `delta`, after `bucket` buckets; at least 1. */
export function probableError(bucket: number, delta: number, beta: number): number {
  if (bucket <= 1) return bucket;
  const rest = bucket ** -beta;
  return Math.min(bucket, Math.ceil((delta * (1 - rest) + rest) ** (-1 / beta)));
}

export class ProbabilisticLossyCounting extends SetTable {
  readonly #delta: number;
  readonly #beta: number;
  /** Bucket that the Δ below was worked out for; each thread works out its own. */
  #knownBucket = 0;
  #knownError = 0;

  static byteLength(options: ProbabilisticOptions): number {
    return setTableByteLength(setsLog2Of(options));
  }

  constructor(words: Int32Array, base: number, options: ProbabilisticOptions) {
    super(words, base, setsLog2Of(options), options.epsilon, options.seed);
    const { delta = DELTA, beta = BETA } = options;
    demandWithin('delta', delta, 1e-6, 0.5);
    demandWithin('beta', beta, 0.1, 10);
    this.#delta = delta;
    this.#beta = beta;
  }

  protected override absentUpper(bound: number, _hash: number): number {
    return Math.max(this.#probableError(), bound);
  }

  #probableError(): number {
    const bucket = this.bucket();
    return bucket === this.#knownBucket ? this.#knownError : this.#workOut(bucket);
  }

  /** Once a bucket. */
  #workOut(bucket: number): number {
    this.#knownBucket = bucket;
    this.#knownError = probableError(bucket, this.#delta, this.#beta);
    return this.#knownError;
  }
}
