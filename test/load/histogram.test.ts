import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketMiddle, bucketOf, HISTOGRAM_BUCKETS, Histogram } from '../../src/load/histogram.ts';

/** Durations of every order of magnitude up to a minute, ns. */
const duration = fc
  .tuple(fc.integer({ min: 0, max: 35 }), fc.double({ min: 1, max: 2, maxExcluded: true, noNaN: true }))
  .map(([exponent, mantissa]) => Math.trunc(mantissa * 2 ** exponent));

function filled(durations: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const ns of durations) histogram.record(ns);
  return histogram;
}

describe('Histogram', () => {
  it('property: every quantile is within 1 % of the exact one', () => {
    fc.assert(
      fc.property(
        fc.array(duration, { minLength: 1, maxLength: 500 }),
        fc.constantFrom(0, 0.1, 0.5, 0.9, 0.99, 0.999, 1),
        (durations, share) => {
          const sorted = [...durations].sort((a, b) => a - b);
          const exact = sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] as number;
          const found = filled(durations).quantile(share);
          expect(Math.abs(found - exact)).toBeLessThanOrEqual(exact * 0.01);
        },
      ),
    );
  });

  it('property: the middle of the bucket is within 0.4 % of any duration in it', () => {
    fc.assert(
      fc.property(duration, ns => {
        expect(Math.abs(bucketMiddle(bucketOf(ns)) - ns)).toBeLessThanOrEqual(ns / 256);
      }),
    );
  });

  it.each([
    [0, 0],
    [1, 1],
    [127, 127],
    [128, 128],
    [255, 255],
    [256, 256],
    [257, 256],
    [258, 257],
    [511, 383],
    [512, 384],
    [2 ** 32 - 1, 3327],
    [2 ** 32, 3328],
    [2 ** 42 - 1, HISTOGRAM_BUCKETS - 1],
    [2 ** 42, HISTOGRAM_BUCKETS - 1],
    [Number.MAX_SAFE_INTEGER, HISTOGRAM_BUCKETS - 1],
  ])('%i ns lie in bucket %i', (ns, bucket) => {
    expect(bucketOf(ns)).toBe(bucket);
  });

  it('buckets follow each other without a gap', () => {
    for (let bucket = 1; bucket < HISTOGRAM_BUCKETS; bucket++) {
      expect(bucketOf(Math.trunc(bucketMiddle(bucket)))).toBe(bucket);
      expect(bucketMiddle(bucket)).toBeGreaterThan(bucketMiddle(bucket - 1));
    }
  });

  it('keeps count, mean, least and most exactly', () => {
    const histogram = filled([1_000_003, 5, 70]);
    expect([histogram.count, histogram.min, histogram.max]).toEqual([3, 5, 1_000_003]);
    expect(histogram.mean).toBeCloseTo(1_000_078 / 3, 6);
    expect(histogram.quantile(1)).toBe(1_000_003);
    expect(histogram.quantile(0)).toBe(5);
  });

  it('is all zeros when empty, and again when cleared', () => {
    const histogram = filled([77]);
    histogram.clear();
    for (const each of [histogram, new Histogram()]) {
      expect([each.count, each.mean, each.min, each.max, each.quantile(0.5)]).toEqual([0, 0, 0, 0, 0]);
    }
  });

  it('takes a clock that went back as 0', () => {
    expect(filled([-5]).quantile(1)).toBe(0);
  });

  it('property: merging, and a way through JSON, are as if one histogram had recorded all', () => {
    const some = fc.array(duration, { maxLength: 100 });
    fc.assert(
      fc.property(some, some, (left, right) => {
        const merged = Histogram.fromJSON(JSON.parse(JSON.stringify(filled(left))));
        merged.add(Histogram.fromJSON(filled(right).toJSON()));
        expect(merged.toJSON()).toEqual(filled([...left, ...right]).toJSON());
      }),
    );
  });

  it('refuses buckets that are cut in another way', () => {
    expect(() => Histogram.fromJSON({ ...new Histogram().toJSON(), subBuckets: 64 })).toThrow(RangeError);
  });
});
