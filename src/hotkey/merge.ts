/**
 * The counts of several lanes as one. Control side; may allocate.
 *
 * Every lane sees a part of the requests, fᵢ of a key's f. With the lane's promise f̂ᵢ ≤ fᵢ ≤ f̂ᵢ + Δᵢ, where a key
 * without a row has f̂ᵢ = 0 and the Δᵢ that `error` gives for absent keys,
 *
 *     Σ f̂ᵢ ≤ f ≤ Σ f̂ᵢ + Σ Δᵢ,        Σ Δᵢ ≤ Σ εᵢNᵢ
 *
 * A key with f ≥ sN has fᵢ ≥ sNᵢ in at least one lane, or the sum would fall short. So it is enough to collect from each
 * lane the rows that reach s of the lane's own count, and to ask all other lanes about those keys: every key with f ≥ sN is
 * named, none with f < sN − Σ εᵢNᵢ is.
 *
 * Lanes end epochs on their own. A reading taken while some have halved and others have not mixes the two; the lane's part
 * is then off by a factor of 2 for that moment.
 */

import { collectShare, type Detector, READING_WORDS } from './detector.ts';

export interface HeavyKey {
  readonly hash: number;
  /** Σ f̂ᵢ */
  readonly estimate: number;
  /** Σ Δᵢ */
  readonly error: number;
}

export interface Merged {
  /** Keys with a share of at least `share`, by estimate, highest first; see above for what is left out. */
  readonly keys: readonly HeavyKey[];
  /** Σ Nᵢ */
  readonly count: number;
  /** Σ εᵢNᵢ ÷ Σ Nᵢ: no key's error is more than this share of the count. */
  readonly epsilon: number;
  /** Rows of lanes that had no room in the reading: keys may be missing. */
  readonly unread: number;
}

/** Rows that are read of a lane, at most, unless the caller gives room for more. */
const ROWS_MAX = 8192;

/** @param scratch room for the rows of one lane, `READING_WORDS` words each */
export function mergeShare(
  detectors: readonly Detector[],
  share: number,
  scratch: Int32Array = new Int32Array(ROWS_MAX * READING_WORDS),
): Merged {
  const hashes = new Set<number>();
  const room = Math.floor(scratch.length / READING_WORDS);
  let unread = 0;
  for (const detector of detectors) {
    const found = collectShare(detector, share, scratch);
    unread += Math.max(0, found - room);
    for (let row = 0; row < Math.min(found, room); row++) hashes.add(scratch[row * READING_WORDS]!);
  }
  const count = sum(detectors, detector => detector.count);
  const errors = sum(detectors, ({ epsilon, count }) => epsilon * count);
  const keys = [...hashes].map(hash => mergeKey(detectors, hash));
  return {
    keys: keys.filter(({ estimate, error }) => estimate + error >= share * count).sort(byHeat),
    count,
    epsilon: count === 0 ? 0 : errors / count,
    unread,
  };
}

/** What all lanes together know of a key. */
export function mergeKey(detectors: readonly Detector[], hash: number): HeavyKey {
  const estimate = sum(detectors, detector => detector.estimate(hash));
  return { hash, estimate, error: sum(detectors, detector => detector.error(hash)) };
}

function byHeat(a: HeavyKey, b: HeavyKey): number {
  return b.estimate - a.estimate || a.hash - b.hash;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
