/** Epochs, weights, and tiny tables under arbitrary sequences. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COUNT_MAX, DetectorConfigError } from '../../src/hotkey/detector.ts';
import {
  type DetectorName,
  type DetectorOptions,
  detectorByteLength,
  openDetector,
} from '../../src/hotkey/detectors.ts';
import { bedOf, drawn, exactFor, hashOf, keysOf, namedBy, shifting } from './streams.ts';

const TINY: readonly (readonly [string, DetectorName, Partial<DetectorOptions>])[] = [
  ['lossy', 'lossy', { epsilon: 0.05, rows: 20 }],
  ['mnemonic', 'mnemonic', { epsilon: 0.05, rows: 20 }],
  ['self-adaptive', 'self-adaptive', { bytes: 256 }],
  ['space-saving', 'space-saving', { epsilon: 0.05 }],
];

const KEYS = 60;
const updates = fc.record({ key: fc.nat(KEYS - 1), weight: fc.integer({ min: 1, max: 9 }) });
const steps = fc.oneof({ weight: 30, arbitrary: updates }, { weight: 1, arbitrary: fc.constant('decay' as const) });

describe.each(TINY)('%s, in a tiny table', (_title, name, options) => {
  test('weights and halvings in any order: f̂ ≤ f ≤ f̂ + Δ, Δ ≤ εN + 1, N halves with them', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 400 }), sequence => {
        const { detector, check } = bedOf(name, options);
        const exact = exactFor(KEYS);
        for (const step of sequence) {
          if (step === 'decay') {
            detector.decay();
            exact.decay();
          } else {
            const told = detector.update(hashOf(step.key), step.weight);
            exact.update(hashOf(step.key), step.weight);
            expect(told).toBe(detector.estimate(hashOf(step.key)));
          }
        }
        expect(detector.count).toBe(exact.count);
        const errorMax = detector.epsilon * detector.count + 1 + 1e-6;
        for (let key = 0; key < KEYS; key++) {
          const [f, f0, error] = [exact, detector, detector].map((one, i) =>
            i === 2 ? one.error(hashOf(key)) : one.estimate(hashOf(key)),
          ) as [number, number, number];
          expect(f0).toBeLessThanOrEqual(f);
          expect(f).toBeLessThanOrEqual(f0 + error);
          expect(error).toBeLessThanOrEqual(errorMax);
        }
        check();
      }),
      { numRuns: 300 },
    );
  });

  test('every int32 is a hash like any other, 0 and −1 included', () => {
    const { detector } = bedOf(name, options);
    for (const hash of [0, -1, 1, 0x80000000 | 0]) {
      expect(detector.estimate(hash)).toBe(0);
      expect(detector.error(hash)).toBe(0);
      expect(detector.update(hash, 3)).toBe(3);
      expect([detector.estimate(hash), detector.error(hash)]).toEqual([3, 0]);
    }
    expect([...namedBy(detector, 3).keys()].sort()).toEqual([0, -1, 1, 0x80000000 | 0].sort());
  });
});

const ALL: readonly (readonly [DetectorName, Partial<DetectorOptions>])[] = [
  ['lossy', { epsilon: 1e-3 }],
  ['mnemonic', { epsilon: 1e-3 }],
  ['probabilistic', { epsilon: 1e-3 }],
  ['self-adaptive', { bytes: 1 << 16 }],
  ['space-saving', { epsilon: 1e-3 }],
  ['exact', { rows: 200_000 }],
];

describe.each(ALL)('%s over epochs', (name, options) => {
  test('yesterday’s heat fades: a key that falls silent is below the threshold after few epochs', () => {
    const { detector } = bedOf(name, options);
    const hot = hashOf(-7);
    for (const hash of drawn(20_000, 5000, 0, 20)) detector.update(hash, 1);
    for (let i = 0; i < 5000; i++) detector.update(hot, 1);
    const before = detector.estimate(hot);
    expect(before).toBe(5000);
    for (let epoch = 1; epoch <= 6; epoch++) {
      detector.decay();
      for (const hash of drawn(20_000, 5000, 0, 20 + epoch)) detector.update(hash, 1);
      expect(detector.estimate(hot)).toBeLessThanOrEqual(before >> epoch);
    }
    expect(namedBy(detector, Math.ceil(0.005 * detector.count)).has(hot)).toBe(false);
  });

  test('names what is hot now on a stream that shifts, and never says more than there was', () => {
    const { detector } = bedOf(name, options);
    const exact = exactFor(200_000);
    const stream = shifting(200_000, 20_000, 40_000, 21);
    for (const [i, hash] of stream.entries()) {
      if (i % 20_000 === 19_999) {
        detector.decay();
        exact.decay();
      }
      detector.update(hash, 1);
      exact.update(hash, 1);
    }
    const threshold = Math.ceil(0.01 * detector.count);
    const named = namedBy(detector, threshold);
    for (const hash of keysOf(exact)) {
      expect(detector.estimate(hash)).toBeLessThanOrEqual(exact.estimate(hash));
      if (exact.estimate(hash) >= threshold) expect(named.has(hash)).toBe(true);
    }
  });

  test('a silent time of any number of epochs leaves nothing', () => {
    const { detector } = bedOf(name, options);
    for (const hash of drawn(5000, 100, 0, 22)) detector.update(hash, 100);
    for (let epoch = 0; epoch < 100; epoch++) detector.decay();
    expect(namedBy(detector, 1).size).toBe(0);
    expect(detector.entries === 0 || name === 'space-saving' || name === 'exact').toBe(true);
    expect(detector.update(hashOf(3), 2)).toBe(2);
  });

  test('ends the epoch by itself before a count could overflow', () => {
    const { detector } = bedOf(name, options);
    for (let i = 0; i < 3 * (COUNT_MAX >> 16); i++) detector.update(hashOf(1), 1 << 16);
    expect(detector.count).toBeLessThan(COUNT_MAX);
    expect(detector.estimate(hashOf(1))).toBeGreaterThan(COUNT_MAX / 4);
    expect(detector.estimate(hashOf(1)) + detector.error(hashOf(1))).toBeLessThan(2 ** 31);
  });
});

describe('weighted', () => {
  test('counts units, rounded up, and no request for more than 2^16', () => {
    const { detector } = bedOf('weighted', { bytes: 1 << 12, unit: 64 });
    expect(detector.update(hashOf(1), 1)).toBe(1);
    expect(detector.update(hashOf(1), 64)).toBe(2);
    expect(detector.update(hashOf(1), 65)).toBe(4);
    expect(detector.update(hashOf(2), 0)).toBe(0);
    expect(detector.update(hashOf(3), 0x7fffffff)).toBe(1 << 16);
  });

  test('names the key that moves the bytes, though it is asked for rarely', () => {
    const { detector } = bedOf('weighted', { bytes: 1 << 14 });
    for (const [i, hash] of drawn(50_000, 5000, 0, 23).entries()) {
      detector.update(hash, 100);
      if (i % 100 === 0) detector.update(hashOf(-9), 100_000);
    }
    expect([...namedBy(detector, Math.ceil(0.1 * detector.count)).keys()]).toEqual([hashOf(-9)]);
  });
});

describe('options', () => {
  test.each<[DetectorName, Partial<DetectorOptions>, string]>([
    ['lossy', { epsilon: 0 }, 'epsilon'],
    ['lossy', { epsilon: 0.6 }, 'epsilon'],
    ['lossy', { epsilon: 0.1, rows: 0 }, 'rows'],
    ['self-adaptive', { bytes: 255 }, 'bytes'],
    ['space-saving', { epsilon: Number.NaN }, 'epsilon'],
    ['weighted', { unit: 48 }, 'log2 of unit'],
    ['probabilistic', { delta: 0.7 }, 'delta'],
    ['probabilistic', { beta: 0 }, 'beta'],
  ])('%s %j: refused, naming %s', (name, options, field) => {
    const words = new Int32Array(new SharedArrayBuffer(1 << 24));
    const open = () => detectorByteLength(name, options) + openDetector(name, words, 0, options).count;
    expect(open).toThrow(DetectorConfigError);
    expect(open).toThrow(field);
  });

  test('a base off a cache line is a programmer’s error', () => {
    const words = new Int32Array(new SharedArrayBuffer(1 << 16));
    expect(() => openDetector('self-adaptive', words, 8, { bytes: 4096 })).toThrow(RangeError);
  });
});
