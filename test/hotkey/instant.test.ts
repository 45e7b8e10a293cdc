import { describe, expect, test } from 'vitest';
import { DetectorConfigError } from '../../src/hotkey/detector.ts';
import { burstBound, InstantDetector, type InstantOptions } from '../../src/hotkey/instant.ts';
import { Random } from '../../src/load/random.ts';
import { drawn, hashOf } from './streams.ts';

const BASE = 32;

function newInstant(options: InstantOptions = {}): InstantDetector {
  const words = new Int32Array(new SharedArrayBuffer(4 * BASE + InstantDetector.byteLength(options)));
  return new InstantDetector(words, BASE, options);
}

/** Requests of each window in which a key was named, and how often it really came in that window until then. */
function namings(detector: InstantDetector, stream: Int32Array): { hash: number; window: number; seen: number }[] {
  const found: { hash: number; window: number; seen: number }[] = [];
  let counts = new Map<number, number>();
  for (const [i, hash] of stream.entries()) {
    if (i % detector.window === 0) counts = new Map();
    counts.set(hash, (counts.get(hash) ?? 0) + 1);
    if (detector.note(hash)) found.push({ hash, window: Math.floor(i / detector.window), seen: counts.get(hash)! });
  }
  return found;
}

describe('instant detector', () => {
  test('names a key by its k-th request in a window, once a window', () => {
    const detector = newInstant({ window: 100, threshold: 5 });
    const stream = Int32Array.from({ length: 300 }, () => hashOf(1));
    expect(namings(detector, stream)).toEqual([0, 1, 2].map(window => ({ hash: hashOf(1), window, seen: 5 })));
  });

  test('forgets at the end of a window, without a sweep', () => {
    const detector = newInstant({ window: 10, threshold: 5 });
    const four = [1, 1, 1, 1, 2, 3, 4, 5, 6, 7].map(hashOf);
    expect(namings(detector, Int32Array.from([...four, ...four, ...four]))).toEqual([]);
  });

  test('no naming without k requests in the window, at most m/k a window, on any stream', () => {
    for (const exponent of [0, 0.99, 1.2]) {
      for (const rows of [2, 64, 1024]) {
        const detector = newInstant({ rows });
        const found = namings(detector, drawn(200_000, 10_000, exponent, 30));
        expect(found.filter(({ seen }) => seen < detector.threshold)).toEqual([]);
        for (let window = 0; window < 195; window++) {
          expect(found.filter(naming => naming.window === window).length).toBeLessThanOrEqual(64);
        }
      }
    }
  });

  test('a key is named in a window by chance no more often than the bound says', () => {
    const options = { window: 256, threshold: 4 };
    const share = 1 / 300;
    const windows = 20_000;
    const detector = newInstant(options);
    const random = new Random(31);
    let named = 0;
    for (let i = 0; i < windows * options.window; i++) {
      if (detector.note(random.unit() <= share ? hashOf(1) : hashOf(2 + random.below(1 << 24)))) named++;
    }
    expect(named).toBeGreaterThan(0);
    expect(named / windows).toBeLessThanOrEqual(burstBound(options.window, options.threshold, share));
    expect(burstBound(1024, 16, 0.001)).toBeLessThan(1e-12);
  });

  test.each([
    [0.2, 130],
    [0.065, 400],
    [0.05, 600],
  ])('a cold key that jumps to %f of the requests is named within %i requests', (share, requestsMax) => {
    const needed = Array.from({ length: 200 }, (_, seed) => {
      const detector = newInstant();
      const random = new Random(1000 + seed);
      const ground = drawn(6000, 1_000_000, 0, 2000 + seed);
      for (let i = 0; i < 2000 + seed; i++) detector.note(ground[i]!);
      for (let i = 0; ; i++) {
        if (detector.note(random.unit() <= share ? hashOf(-1) : ground[2000 + seed + i]!)) return i;
      }
    }).sort((a, b) => a - b);
    expect(needed[100]).toBeLessThan(requestsMax);
    // A window's end in between costs as much again.
    expect(needed[190]).toBeLessThan(2.2 * requestsMax);
  });

  test('a window’s number comes round', () => {
    const words = new Int32Array(new SharedArrayBuffer(InstantDetector.byteLength()));
    const detector = new InstantDetector(words, 0, { window: 4, threshold: 2 });
    words[1] = 0x7fffff;
    const stream = Int32Array.from({ length: 16 }, () => hashOf(1));
    expect(namings(detector, stream).length).toBe(4);
    expect(words[1]).toBe(2);
  });

  test.each<[InstantOptions, string]>([
    [{ window: 1 }, 'window'],
    [{ threshold: 1 }, 'threshold'],
    [{ threshold: 256 }, 'threshold'],
    [{ window: 8, threshold: 9 }, 'threshold'],
    [{ rows: 100 }, 'log2 of rows'],
  ])('%j is refused, naming %s', (options, field) => {
    const words = new Int32Array(new SharedArrayBuffer(1 << 16));
    expect(() => new InstantDetector(words, 0, options)).toThrow(DetectorConfigError);
    expect(() => new InstantDetector(words, 0, options)).toThrow(field);
  });
});
