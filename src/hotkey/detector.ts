/**
 * What every detector of heavy keys promises.
 *
 * A detector is fed key hashes with weights by one thread (the lane) and is read by others (the keeper), through the same
 * words of shared memory. Of a key with true weight f it knows a lower bound f̂, `estimate`, and a slack Δ, `error`:
 *
 *     f̂ ≤ f ≤ f̂ + Δ,   Δ ≤ εN        N = `count`, all weight so far;  ε = `epsilon`, the one in force now
 *
 * (Probabilistic lossy counting does not promise the upper half for every key.) Whoever asks for the keys with a
 * share of at least s collects the rows with f̂ + Δ ≥ sN. That names every key with f ≥ sN, since f ≤ f̂ + Δ, and
 * none with f < (s − ε)N, since f ≥ f̂ ≥ sN − Δ. (Manku and Motwani test f̂ ≥ (s − ε)N; this is never less strict, as
 * Δ ≤ εN.)
 *
 * **Time.** `decay` ends an epoch. From then on f and N are halved, rounded down and up: f is the weight of the key where
 * a request counts 1/2 per epoch that has ended since, floored at each end. What is said above holds of these, except
 * that rounding may add 1: Δ ≤ εN + 1. Rows are brought along when they are next touched, so the end of an epoch costs
 * a few stores, whatever the size of the table.
 *
 * **Room.** N stays below 2^30: a detector that gets there ends the epoch by itself. Weights are whole, 1 to 2^16.
 */
export interface Detector {
  /** Writer: counts `weight` for a key; returns its estimate, int32. Allocates nothing, bounded work. */
  update(hash: number, weight: number): number;
  /** Writer: ends an epoch: halves all that was counted. */
  decay(): void;
  /** Weight that the key has at least. */
  estimate(hash: number): number;
  /** What the key may have beyond its estimate, guaranteed now; for a key that has no row, too. */
  error(hash: number): number;
  /** N: all weight counted, halved at each end of an epoch. */
  readonly count: number;
  /** Rows that the algorithm holds now. Looks at the whole table. */
  readonly entries: number;
  /** ε in force: no key's error exceeds `epsilon` · `count` (+ 1 once epochs have ended). */
  readonly epsilon: number;
  /** Rows, since the start, that had to go though the algorithm wanted to keep them: their place was needed. */
  readonly displaced: number;
  /**
   * Rows with estimate + error ≥ `threshold`, written to `out` as triples (hash, estimate, error), in no order. Returns how
   * many there are; those that do not fit are not written.
   */
  collect(threshold: number, out: Int32Array): number;
}

/** Words of a row that `collect` writes. */
export const READING_WORDS = 3;
/** Largest weight of one update. */
export const WEIGHT_MAX = 1 << 16;
/** A detector whose N reaches this ends the epoch. */
export const COUNT_MAX = 1 << 30;

/** Writes the rows of all keys that may have a share of `share` of the count; see `Detector`. */
export function collectShare(detector: Detector, share: number, out: Int32Array): number {
  return detector.collect(Math.max(1, Math.ceil(share * detector.count)), out);
}

/** An option of a detector that does not fit the others: names the field, its value and the rule. */
export class DetectorConfigError extends Error {
  readonly field: string;
  readonly value: unknown;
  readonly rule: string;

  constructor(field: string, value: unknown, rule: string) {
    super(`${field} is ${value}: ${rule}`);
    this.name = 'DetectorConfigError';
    this.field = field;
    this.value = value;
    this.rule = rule;
  }
}

/** @throws DetectorConfigError unless `value` lies in [min, max]. */
export function demandWithin(field: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max)) throw new DetectorConfigError(field, value, `must be ${min} to ${max}`);
}
