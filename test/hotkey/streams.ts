/** Streams of key hashes, and detectors to show them to. */
import type { Detector } from '../../src/hotkey/detector.ts';
import {
  type DetectorName,
  type DetectorOptions,
  detectorByteLength,
  openDetector,
} from '../../src/hotkey/detectors.ts';
import { Exact } from '../../src/hotkey/exact.ts';
import { createPopularity } from '../../src/load/popularity.ts';
import { Random } from '../../src/load/random.ts';
import { mix32 } from '../../src/mem/mix.ts';

/** Hash of key number `key`. mix32 is a bijection: no twins. */
export function hashOf(key: number): number {
  return mix32(key + 0x1234567);
}

/** `count` hashes drawn from `keys` keys; exponent 0 is uniform. */
export function drawn(count: number, keys: number, exponent: number, seed: number): Int32Array {
  const popularity = createPopularity(keys, exponent, new Random(seed));
  return Int32Array.from({ length: count }, () => hashOf(popularity.next()));
}

/** Keys in turn, so many that each is dropped just before it comes again when a bucket has `width` requests. */
export function roundRobin(count: number, width: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => hashOf(i % (width + 1)));
}

/** Each key gets one request less than would carry it through a bucket of `width`, in one run, and never comes again. */
export function justBelow(count: number, width: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => hashOf(Math.floor(i / Math.max(1, width - 1))));
}

/** Bursts of a few keys, then silence for each, over and over, on a ground of keys that come once. */
export function bursts(count: number, seed: number): Int32Array {
  const random = new Random(seed);
  return Int32Array.from({ length: count }, (_, i) => {
    const hot = Math.floor(i / 500) % 40;
    return hashOf(random.below(2) === 0 ? hot : 1000 + i);
  });
}

/** Zipf whose ranking is another every `phase` requests. */
export function shifting(count: number, keys: number, phase: number, seed: number): Int32Array {
  const popularity = createPopularity(keys, 1.1, new Random(seed));
  return Int32Array.from({ length: count }, (_, i) => hashOf(popularity.next() + Math.floor(i / phase) * 7919));
}

export const WIDTH = 1000;

/** Every stream of the tests, for detectors with buckets of `WIDTH`. */
export const STREAMS: Readonly<Record<string, (count: number) => Int32Array>> = {
  uniform: count => drawn(count, 50_000, 0, 1),
  'Zipf 0.8': count => drawn(count, 50_000, 0.8, 2),
  'Zipf 0.99': count => drawn(count, 50_000, 0.99, 3),
  'Zipf 1.2': count => drawn(count, 50_000, 1.2, 4),
  'round robin': count => roundRobin(count, WIDTH),
  'each key just below the width': count => justBelow(count, WIDTH),
  'bursts then silence': count => bursts(count, 5),
  shifting: count => shifting(count, 20_000, 30_000, 6),
};

/** Word index: not 0, so that a forgotten base shows. */
export const BASE = 64;
const CANARY = 0x5a5a5a5a;
const CANARY_WORDS = 64;

export interface Bed {
  readonly detector: Detector;
  readonly words: Int32Array;
  /** Throws when a word outside the detector's own was touched. */
  check(): void;
}

export function bedOf(name: DetectorName, options: Partial<DetectorOptions> = {}): Bed {
  const bytes = detectorByteLength(name, options);
  const end = BASE + bytes / 4;
  const words = new Int32Array(new SharedArrayBuffer(4 * (end + CANARY_WORDS)));
  words.fill(CANARY, 0, BASE).fill(CANARY, end);
  const check = () => {
    const outside = [...words.subarray(0, BASE), ...words.subarray(end)];
    if (outside.some(word => word !== CANARY)) throw new Error(`${name} wrote outside its words`);
  };
  return { detector: openDetector(name, words, BASE, options), words, check };
}

export function exactFor(rows: number): Exact {
  return new Exact(new Int32Array(new SharedArrayBuffer(Exact.byteLength({ rows }))), 0, { rows });
}

/** Every key that the exact counter has seen. */
export function keysOf(exact: Exact): Int32Array {
  const out = new Int32Array(3 * exact.entries);
  const found = exact.collect(1, out);
  return Int32Array.from({ length: found }, (_, i) => out[3 * i]!);
}

/** What a detector names at a share of s, hash → [estimate, error]. */
export function namedBy(detector: Detector, threshold: number): Map<number, readonly [number, number]> {
  const out = new Int32Array(3 * (detector.entries + 100_000));
  const found = detector.collect(threshold, out);
  return new Map(
    Array.from({ length: found }, (_, i) => [out[3 * i]!, [out[3 * i + 1]!, out[3 * i + 2]!] as const] as const),
  );
}
