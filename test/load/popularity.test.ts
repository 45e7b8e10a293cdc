import { describe, expect, it } from 'vitest';
import { createPopularity, zipfShares } from '../../src/load/popularity.ts';
import { Random } from '../../src/load/random.ts';

const SAMPLES = 400_000;

/** Pearson's chi-square of sampled counts against shares; keys expected fewer than 5 times are taken together. */
function chiSquare(counts: Float64Array, shares: ArrayLike<number>): { statistic: number; freedom: number } {
  let statistic = 0;
  let groups = 0;
  let restCount = 0;
  let restExpected = 0;
  counts.forEach((count, key) => {
    const expected = (shares[key] as number) * SAMPLES;
    if (expected >= 5) {
      statistic += (count - expected) ** 2 / expected;
      groups++;
    } else {
      restCount += count;
      restExpected += expected;
    }
  });
  if (restExpected > 0) {
    statistic += (restCount - restExpected) ** 2 / restExpected;
    groups++;
  }
  return { statistic, freedom: groups - 1 };
}

function sample(count: number, exponent: number, seed: number): Float64Array {
  const popularity = createPopularity(count, exponent, new Random(seed));
  const counts = new Float64Array(count);
  for (let i = 0; i < SAMPLES; i++) {
    const key = popularity.next();
    counts[key] = (counts[key] as number) + 1;
  }
  return counts;
}

/** Chi-square has mean f and variance 2f: five standard deviations above the mean. */
const bound = (freedom: number) => freedom + 5 * Math.sqrt(2 * freedom);

describe('popularity', () => {
  it.each([
    [1, 0.99],
    [2, 1],
    [100, 0],
    [100, 0.5],
    [100, 0.99],
    [100, 1.2],
    [10_000, 0.99],
    [10_000, 3],
    [50_000, 0],
  ])('%i keys, exponent %f: frequencies as in theory', (count, exponent) => {
    const { statistic, freedom } = chiSquare(sample(count, exponent, 42), zipfShares(count, exponent));
    expect(statistic).toBeLessThanOrEqual(bound(freedom));
  });

  it('the test would notice an exponent that is off by 2 %', () => {
    const { statistic, freedom } = chiSquare(sample(100, 0.99, 42), zipfShares(100, 1.01));
    expect(statistic).toBeGreaterThan(bound(freedom));
  });

  it('shares sum to 1, and are those known for Zipf 0.99 over a million keys', () => {
    const shares = zipfShares(1_000_000, 0.99);
    const top = (n: number) => shares.slice(0, n).reduce((sum, share) => sum + share, 0);
    expect(top(1_000_000)).toBeCloseTo(1, 12);
    expect([1, 10, 100, 1000].map(n => (top(n) * 100).toPrecision(2))).toEqual(['6.5', '19', '34', '50']);
  });

  it('repeats from a seed', () => {
    expect(sample(1000, 0.99, 5)).toEqual(sample(1000, 0.99, 5));
    expect(sample(1000, 0.99, 5)).not.toEqual(sample(1000, 0.99, 6));
  });
});
