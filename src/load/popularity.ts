/**
 * Which key is asked for next: uniform, or Zipf with exponent s, where key i (0 = the hottest) has a share
 * proportional to 1 / (i + 1)^s.
 *
 * Zipf is sampled exactly by the alias method (Walker 1977; table built as Vose 1991, in linear time). The n shares are cut up and packed into n columns of
 * equal height, each holding a part of at most two keys: column i's own key below `threshold[i]`, key `alias[i]`
 * above. A sample takes one random column and one random height: two random numbers and two table reads, whatever n
 * and s are. Heights have 32 bits, so a share is off by at most 2^−32 / n.
 */
import type { Random } from './random.ts';

export interface Popularity {
  /** Index of the next key, 0 … count − 1. */
  next(): number;
}

/** @param exponent 0 for uniform, otherwise Zipf's s */
export function createPopularity(count: number, exponent: number, random: Random): Popularity {
  return exponent === 0 ? new UniformPopularity(count, random) : new ZipfPopularity(count, exponent, random);
}

export class UniformPopularity implements Popularity {
  readonly #count: number;
  readonly #random: Random;

  constructor(count: number, random: Random) {
    this.#count = count;
    this.#random = random;
  }

  next(): number {
    return this.#random.below(this.#count);
  }
}

export class ZipfPopularity implements Popularity {
  readonly #count: number;
  readonly #random: Random;
  readonly #threshold: Int32Array;
  readonly #alias: Int32Array;

  constructor(count: number, exponent: number, random: Random) {
    this.#count = count;
    this.#random = random;
    this.#threshold = new Int32Array(count);
    this.#alias = new Int32Array(count);
    this.#pack(zipfShares(count, exponent));
  }

  next(): number {
    const column = this.#random.below(this.#count);
    // Heights and thresholds have their top bit flipped, so that signed order is unsigned order.
    return this.#random.int32() < (this.#threshold[column] as number) ? column : (this.#alias[column] as number);
  }

  /** Vose's algorithm: a column with less than its height is filled up from one with more. */
  #pack(shares: Float64Array): void {
    const heights = shares.map(share => share * this.#count);
    const low = [...heights.keys()].filter(i => (heights[i] as number) < 1);
    const high = [...heights.keys()].filter(i => (heights[i] as number) >= 1);
    while (low.length > 0 && high.length > 0) {
      const small = low.pop() as number;
      const large = high[high.length - 1] as number;
      this.#setColumn(small, heights[small] as number, large);
      heights[large] = (heights[large] as number) - (1 - (heights[small] as number));
      if ((heights[large] as number) < 1) low.push(high.pop() as number);
    }
    // Full columns, but for rounding.
    for (const column of [...low, ...high]) this.#setColumn(column, 1, column);
  }

  #setColumn(column: number, height: number, alias: number): void {
    this.#threshold[column] = Math.min(Math.round(height * 4294967296), 4294967295) ^ 0x80000000;
    this.#alias[column] = alias;
  }
}

/** Every key's share of the requests; they sum to 1. */
export function zipfShares(count: number, exponent: number): Float64Array {
  const weights = Float64Array.from({ length: count }, (_, i) => (i + 1) ** -exponent);
  // Smallest first, so that the many small ones are not lost in rounding.
  const total = weights.reduceRight((sum, weight) => sum + weight, 0);
  return weights.map(weight => weight / total);
}
