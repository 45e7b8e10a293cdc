/**
 * A logarithmic histogram of durations, in the manner of HdrHistogram (Tene): 0 … 127 ns have a bucket each, and every
 * power of two above is cut into 128 buckets of equal width.
 *
 *     bucket  0 … 127      one nanosecond each
 *             128 … 255    [2^7, 2^8),  1 ns wide
 *             256 … 383    [2^8, 2^9),  2 ns wide
 *             …            [2^e, 2^e+1), 2^(e−7) ns wide
 *
 * A bucket answers with its middle, which is at most 1/256 (0.4 %) from any value in it. The range is 2^42 ns
 * (73 minutes); what lies beyond counts as the last bucket. Minimum, maximum and sum are kept exactly. One record costs
 * a few nanoseconds, memory 38 kB.
 */

const SUB_BUCKET_BITS = 7;
const SUB_BUCKETS = 1 << SUB_BUCKET_BITS;
/** Durations from 2^32 ns on are counted with their lowest 10 bits cut off. */
const LONG_SHIFT = 10;
const LONG_NS = 4294967296;
const LONG_BUCKETS = LONG_SHIFT * SUB_BUCKETS;
export const HISTOGRAM_BUCKETS = (42 - SUB_BUCKET_BITS + 1) * SUB_BUCKETS;

/** A histogram as JSON: only buckets that hold something. */
export interface HistogramJson {
  /** Buckets a power of two is cut into: histograms with different ones cannot be merged. */
  subBuckets: number;
  count: number;
  sumNs: number;
  minNs: number;
  maxNs: number;
  /** [bucket, count] pairs in order of buckets. */
  buckets: [number, number][];
}

export class Histogram {
  readonly #counts = new Float64Array(HISTOGRAM_BUCKETS);
  #count = 0;
  #sum_ns = 0;
  #min_ns = Number.POSITIVE_INFINITY;
  #max_ns = 0;

  /** @param ns a whole number of nanoseconds; negative ones (a clock that went back) count as 0 */
  record(ns: number): void {
    const value = Math.max(ns, 0);
    const bucket = bucketOf(value);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#count++;
    this.#sum_ns += value;
    if (value < this.#min_ns) this.#min_ns = value;
    if (value > this.#max_ns) this.#max_ns = value;
  }

  get count(): number {
    return this.#count;
  }

  /** Mean, ns; 0 when empty. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum_ns / this.#count;
  }

  get max(): number {
    return this.#max_ns;
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min_ns;
  }

  /**
   * The smallest duration (ns, to the bucket's precision) that `share` of the records do not exceed; 0 when empty.
   * @param share 0 … 1: 0.99 for p99
   */
  quantile(share: number): number {
    let wanted = Math.max(1, Math.ceil(share * this.#count));
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
      wanted -= this.#counts[bucket] as number;
      if (wanted <= 0) return Math.min(Math.max(bucketMiddle(bucket), this.min), this.#max_ns);
    }
    return this.#max_ns;
  }

  add(other: Histogram): void {
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
      this.#counts[bucket] = (this.#counts[bucket] as number) + (other.#counts[bucket] as number);
    }
    this.#count += other.#count;
    this.#sum_ns += other.#sum_ns;
    this.#min_ns = Math.min(this.#min_ns, other.#min_ns);
    this.#max_ns = Math.max(this.#max_ns, other.#max_ns);
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#sum_ns = 0;
    this.#min_ns = Number.POSITIVE_INFINITY;
    this.#max_ns = 0;
  }

  toJSON(): HistogramJson {
    const buckets: [number, number][] = [];
    this.#counts.forEach((count, bucket) => {
      if (count > 0) buckets.push([bucket, count]);
    });
    return {
      subBuckets: SUB_BUCKETS,
      count: this.#count,
      sumNs: this.#sum_ns,
      minNs: this.min,
      maxNs: this.max,
      buckets,
    };
  }

  /** @throws RangeError when the buckets are not cut as ours are */
  static fromJSON(json: HistogramJson): Histogram {
    if (json.subBuckets !== SUB_BUCKETS) {
      throw new RangeError(`histogram: subBuckets is ${json.subBuckets}; only ${SUB_BUCKETS} can be merged`);
    }
    const histogram = new Histogram();
    for (const [bucket, count] of json.buckets) histogram.#counts[bucket] = count;
    histogram.#count = json.count;
    histogram.#sum_ns = json.sumNs;
    histogram.#min_ns = json.count === 0 ? Number.POSITIVE_INFINITY : json.minNs;
    histogram.#max_ns = json.maxNs;
    return histogram;
  }
}

/** Bucket of a duration ≥ 0, ns. */
export function bucketOf(ns: number): number {
  if (ns < LONG_NS) return bucketOf32(ns >>> 0);
  const bucket = bucketOf32(Math.min(ns / (1 << LONG_SHIFT), LONG_NS - 1) >>> 0) + LONG_BUCKETS;
  return bucket;
}

function bucketOf32(ns: number): number {
  const shift = 31 - SUB_BUCKET_BITS - Math.clz32(ns);
  return shift <= 0 ? ns : (shift << SUB_BUCKET_BITS) + (ns >>> shift);
}

/** Middle of a bucket, ns. */
export function bucketMiddle(bucket: number): number {
  if (bucket < 2 * SUB_BUCKETS) return bucket;
  const shift = (bucket >>> SUB_BUCKET_BITS) - 1;
  const low = (SUB_BUCKETS + (bucket & (SUB_BUCKETS - 1))) * 2 ** shift;
  return low + (2 ** shift - 1) / 2;
}
