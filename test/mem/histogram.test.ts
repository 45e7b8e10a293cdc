import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bucketLimitUs,
  bucketOf,
  HISTOGRAM_BUCKETS,
  Histograms,
  histogramsByteLength,
  quantileUs,
} from '../../src/mem/histogram.ts';

const LAST = HISTOGRAM_BUCKETS - 1;
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
/** Each order of magnitude as likely as the next. */
const durations = fc.tuple(fc.nat(24), fc.nat()).map(([bits, n]) => n & (2 ** bits - 1));

describe('buckets', () => {
  it.each([
    [-(2 ** 31), 0],
    [-1, 0],
    [0, 0],
    [1, 0],
    [2, 1],
    [4, 3],
    [5, 4],
    [8, 7],
    [9, 8],
    [10, 8],
    [11, 9],
    [16, 11],
    [17, 12],
    [1000, 35],
    [2 ** 24, LAST - 1],
    [2 ** 24 + 1, LAST],
    [2 ** 31 - 1, LAST],
  ])('%i µs is in bucket %i', (us, bucket) => {
    expect(bucketOf(us)).toBe(bucket);
  });

  it('have rising limits from 1 µs to 16.8 s, then none', () => {
    const limits = Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => bucketLimitUs(bucket));
    expect(limits.slice(0, 12)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]);
    expect(limits.slice(-2)).toEqual([16_777_216, Number.POSITIVE_INFINITY]);
    for (let bucket = 1; bucket < limits.length; bucket++) expect(limits[bucket]).toBeGreaterThan(limits[bucket - 1]!);
  });

  it('hold what is above the limit before and not above their own', () => {
    fc.assert(
      fc.property(fc.oneof(int32, durations), us => {
        const bucket = bucketOf(us);
        expect(bucket).toBeGreaterThanOrEqual(0);
        expect(bucket).toBeLessThanOrEqual(LAST);
        expect(us).toBeLessThanOrEqual(bucketLimitUs(bucket));
        if (bucket > 0) expect(us).toBeGreaterThan(bucketLimitUs(bucket - 1));
      }),
      { numRuns: 2000 },
    );
  });

  it('are at most a quarter wider than their lower limit', () => {
    for (let bucket = 4; bucket < LAST; bucket++) {
      expect(bucketLimitUs(bucket) / bucketLimitUs(bucket - 1)).toBeLessThanOrEqual(1.25);
    }
  });
});

describe('Histograms', () => {
  it('count each series by itself, and nothing outside', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), durations), { maxLength: 300 }), records => {
        const bytes = histogramsByteLength(3);
        const buffer = new SharedArrayBuffer(bytes + 128);
        const histograms = new Histograms(buffer, 64, 3);
        for (const [series, us] of records) histograms.record(series, us);
        for (const series of [0, 1, 2]) {
          const counts = new Float64Array(HISTOGRAM_BUCKETS);
          const sum = histograms.addTo(counts, series);
          const mine = records.filter(([of]) => of === series).map(([, us]) => us);
          expect(sum).toBe(mine.reduce((total, us) => total + us, 0));
          const expected = Array.from(counts, (_, bucket) => mine.filter(us => bucketOf(us) === bucket).length);
          expect([...counts]).toEqual(expected);
        }
        const outside = [new Float64Array(buffer, 0, 8), new Float64Array(buffer, 64 + bytes, 8)];
        expect(outside.every(words => words.every(word => word === 0))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('add up over lanes', () => {
    const lanes = [5, 7].map(us => {
      const lane = new Histograms(new SharedArrayBuffer(histogramsByteLength(1)), 0, 1);
      lane.record(0, us);
      return lane;
    });
    const counts = new Float64Array(HISTOGRAM_BUCKETS);
    expect(lanes.reduce((sum, lane) => sum + lane.addTo(counts, 0), 0)).toBe(12);
    expect([counts[4], counts[6]]).toEqual([1, 1]);
  });
});

describe('quantileUs', () => {
  it('is the limit of the bucket in which the sample of that rank lies', () => {
    const samples = fc.array(durations, { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), (all, q) => {
        const counts = new Float64Array(HISTOGRAM_BUCKETS);
        for (const us of all) counts[bucketOf(us)]! += 1;
        const sorted = [...all].sort((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * all.length)) - 1]!;
        expect(quantileUs(counts, q)).toBe(bucketLimitUs(bucketOf(exact)));
      }),
    );
  });

  it('of nothing is 0, of what is beyond the last limit Infinity', () => {
    const counts = new Float64Array(HISTOGRAM_BUCKETS);
    expect(quantileUs(counts, 0.99)).toBe(0);
    counts[LAST] = 1;
    expect(quantileUs(counts, 0.5)).toBe(Number.POSITIVE_INFINITY);
  });
});
