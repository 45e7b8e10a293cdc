import { describe, expect, test } from 'vitest';
import type { DetectorName, DetectorOptions } from '../../src/hotkey/detectors.ts';
import { mergeKey, mergeShare } from '../../src/hotkey/merge.ts';
import { sampleGap, samplingError } from '../../src/hotkey/sampling.ts';
import { Random } from '../../src/load/random.ts';
import { bedOf, drawn, exactFor, hashOf, keysOf } from './streams.ts';

const LANES = 4;
const COUNT = 200_000;
const SHARE = 0.002;

const KINDS: readonly (readonly [DetectorName, Partial<DetectorOptions>])[] = [
  ['self-adaptive', { bytes: 1 << 15 }],
  ['lossy', { epsilon: 1e-3 }],
  ['mnemonic', { epsilon: 1e-3 }],
  ['space-saving', { epsilon: 1e-3 }],
];

describe.each(KINDS)('lanes of %s', (name, options) => {
  /** How a request finds its lane: evenly, or so that keys stick to lanes, or nearly all to one. */
  test.each<[string, (random: Random, hash: number) => number]>([
    ['evenly', random => random.below(LANES)],
    ['by key', (_random, hash) => (hash >>> 8) % LANES],
    ['lopsided', random => Math.max(0, random.below(40) - 36)],
  ])('spread %s: Σ f̂ ≤ f ≤ Σ f̂ + Σ Δ ≤ Σ f̂ + Σ εN; all above sN named, none below (s − ε)N', (_title, laneOf) => {
    const lanes = Array.from({ length: LANES }, () => bedOf(name, options).detector);
    const exact = exactFor(100_000);
    const random = new Random(40);
    for (const hash of drawn(COUNT, 50_000, 0.99, 41)) {
      lanes[laneOf(random, hash)]!.update(hash, 1);
      exact.update(hash, 1);
    }
    const merged = mergeShare(lanes, SHARE);
    expect(merged.count).toBe(COUNT);
    expect(merged.unread).toBe(0);
    const all = keysOf(exact);
    for (const hash of all) {
      const { estimate, error } = mergeKey(lanes, hash);
      const f = exact.estimate(hash);
      expect(estimate <= f && f <= estimate + error && error <= merged.epsilon * COUNT + 1e-6).toBe(true);
    }
    const named = new Set(merged.keys.map(({ hash }) => hash));
    const true_ = [...all].map(hash => ({ hash, f: exact.estimate(hash) }));
    expect(true_.filter(({ hash, f }) => f >= SHARE * COUNT && !named.has(hash))).toEqual([]);
    expect(true_.filter(({ hash, f }) => f < (SHARE - merged.epsilon) * COUNT - 1e-6 && named.has(hash))).toEqual([]);
    const estimates = merged.keys.map(({ estimate }) => estimate);
    expect(estimates).toEqual([...estimates].sort((a, b) => b - a));
  });
});

describe('merge', () => {
  test('of no lanes, and of lanes that saw nothing, is empty', () => {
    expect(mergeShare([], 0.1)).toEqual({ keys: [], count: 0, epsilon: 0, unread: 0 });
    expect(mergeShare([bedOf('self-adaptive').detector], 0.1)).toMatchObject({ keys: [], count: 0 });
  });

  test('says how many rows found no room', () => {
    const { detector } = bedOf('self-adaptive');
    for (let key = 0; key < 10; key++) detector.update(hashOf(key), 1);
    const merged = mergeShare([detector], 0.1, new Int32Array(9));
    expect(merged.keys.length).toBe(3);
    expect(merged.unread).toBe(7);
  });
});

describe('sampling', () => {
  test.each([2, 8, 32])(
    'one request in %i shown with that weight: the bound fails with a share of δ at most',
    oneIn => {
      const delta = 0.05;
      let [keys, wrong] = [0, 0];
      for (let seed = 50; seed < 55; seed++) {
        const { detector } = bedOf('exact', { rows: 100_000 });
        const exact = exactFor(100_000);
        const random = new Random(seed);
        let gap = sampleGap(random.int32(), oneIn);
        for (const hash of drawn(COUNT, 20_000, 0.99, seed)) {
          exact.update(hash, 1);
          if (--gap > 0) continue;
          gap = sampleGap(random.int32(), oneIn);
          detector.update(hash, oneIn);
        }
        expect(Math.abs(detector.count - COUNT) / COUNT).toBeLessThan(0.1);
        for (const hash of keysOf(exact)) {
          const [f, told] = [exact.estimate(hash), detector.estimate(hash)];
          keys++;
          if (Math.abs(f - told) > samplingError(told, oneIn, delta)) wrong++;
        }
      }
      expect(wrong / keys).toBeLessThanOrEqual(delta);
    },
  );

  test('gaps are geometric: one on average is `oneIn`, and each request is as likely as the next', () => {
    const random = new Random(60);
    const gaps = Array.from({ length: 200_000 }, () => sampleGap(random.int32(), 10));
    expect(gaps.every(gap => gap >= 1 && Number.isInteger(gap))).toBe(true);
    expect(gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length).toBeCloseTo(10, 0);
    expect(gaps.filter(gap => gap === 1).length / gaps.length).toBeCloseTo(0.1, 2);
    expect(sampleGap(-1, 1)).toBe(1);
    expect(Number.isFinite(sampleGap(0, 1 << 20))).toBe(true);
  });

  test('without sampling there is no error', () => {
    expect(samplingError(1000, 1, 0.01)).toBe(0);
  });
});
