/**
 * Histograms of durations in shared memory: one writer (the lane), any reader.
 *
 * Buckets are log-linear, four to an octave, as in HdrHistogram: exact up to 8 µs, then never wider than a quarter of
 * their lower limit. With w = µs − 1 (so that a bucket holds its upper limit, as `le` demands) and s = the bits of w
 * beyond its three highest:
 *
 *     bucket = 4 s + (w >> s)          upper limit, µs
 *      0 …  3   s = 0, w = 0 … 3        1    2    3    4
 *      4 …  7   s = 0, w = 4 … 7        5    6    7    8
 *      8 … 11   s = 1, w >> 1 = 4 … 7   10   12   14   16
 *       …
 *     88 … 91   s = 21                  10 485 760 … 16 777 216 (16.8 s)
 *     92        all that is longer
 *
 * A series is 96 float64: 93 buckets, two unused, and the sum of all durations, µs. A float64 counts exactly to 2^53.
 */

// Literals, and exported: the bundler writes such constants where they are used, and V8 need not load them.
/** Durations above this share the last bucket, µs. */
export const LIMIT_US = 16_777_216;
export const HISTOGRAM_BUCKETS = 93;
export const LAST_BUCKET = 92;
export const SERIES_WORDS = 96;
export const SUM_WORD = 95;

/** Bytes of `series` histograms. */
export function histogramsByteLength(series: number): number {
  return series * SERIES_WORDS * 8;
}

/** Bucket of a duration, µs, int32; what is not positive is in the first. */
export function bucketOf(us: number): number {
  const w = (us - 1) | 0;
  if (w >>> 0 > LIMIT_US) return us <= 0 ? 0 : LAST_BUCKET;
  const shift = (29 - Math.clz32(w | 7)) | 0;
  return ((shift << 2) + (w >> shift)) | 0;
}

/** Longest duration of a bucket, µs; Infinity for the last. */
export function bucketLimitUs(bucket: number): number {
  if (bucket >= LAST_BUCKET) return Number.POSITIVE_INFINITY;
  return bucket < 4 ? bucket + 1 : ((bucket & 3) + 5) * 2 ** ((bucket >> 2) - 1);
}

/** The histograms of one lane, or of one writer of another kind. */
export class Histograms {
  readonly #words: Float64Array;

  /** @param byteOffset of `histogramsByteLength(series)` bytes, 8-byte aligned */
  constructor(buffer: SharedArrayBuffer, byteOffset: number, series: number) {
    this.#words = new Float64Array(buffer, byteOffset, series * SERIES_WORDS);
  }

  /** The writer. */
  record(series: number, us: number): void {
    const words = this.#words;
    const base = series * SERIES_WORDS;
    words[base + bucketOf(us)] += 1;
    words[base + SUM_WORD] += us;
  }

  /** Adds a series to counts of a reader's own, `HISTOGRAM_BUCKETS` long; returns the sum of its durations, µs. */
  addTo(counts: Float64Array, series: number): number {
    const base = series * SERIES_WORDS;
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) counts[bucket] += this.#words[base + bucket];
    return this.#words[base + SUM_WORD];
  }
}

/**
 * Duration, µs, that the share `q` (0 to 1) of what was counted does not exceed: the limit of its bucket, so at most a
 * quarter too long. 0 when nothing was counted; Infinity when it lies beyond the last limit.
 */
export function quantileUs(counts: ArrayLike<number>, q: number): number {
  let total = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) total += counts[bucket]!;
  if (total === 0) return 0;
  const rank = Math.max(1, Math.ceil(q * total));
  let bucket = 0;
  for (let seen = counts[0]!; seen < rank; seen += counts[bucket]!) bucket++;
  return bucketLimitUs(bucket);
}
