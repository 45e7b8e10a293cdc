/**
 * Lossy counting by what a request costs: bytes of its reply, or time of its node.
 *
 * A key that is asked for rarely but moves a megabyte each time, or keeps its node busy, is hot all the same. The counter is
 * self-adaptive (self-adaptive.ts); N and f are sums of costs in units. A cost c counts as ⌈c / unit⌉ units, so
 *
 *     f̂ ≤ Σ ⌈c / unit⌉ ≤ f̂ + Δ        and        Σ c / unit ≤ Σ ⌈c / unit⌉ < Σ c / unit + requests of the key
 *
 * A unit below the usual cost keeps the rounding small; a unit far below it wears N out: at 2^30 units the epoch ends.
 * 64 bytes, or 1 µs, do for both. One request counts at most 2^16 units, so that a lie about a length cannot push a key up
 * for more than that; with 64-byte units that is 4 MiB, more than memcached's largest item by default.
 */

import { demandWithin, WEIGHT_MAX } from './detector.ts';
import { SelfAdaptive, type SelfAdaptiveOptions } from './self-adaptive.ts';

export interface WeightedOptions extends SelfAdaptiveOptions {
  /** Bytes, µs …, that count one: a power of two. Default 64. */
  readonly unit?: number;
}

const UNIT = 64;
const UNIT_MAX = 1 << 16;

export class Weighted extends SelfAdaptive {
  readonly unit: number;
  readonly #shift: number;

  constructor(words: Int32Array, base: number, options: WeightedOptions) {
    super(words, base, options);
    const { unit = UNIT } = options;
    demandWithin('unit', unit, 1, UNIT_MAX);
    demandWithin('log2 of unit', Math.log2(unit) % 1, 0, 0);
    this.unit = unit;
    this.#shift = Math.log2(unit);
  }

  /** @param weight cost, int32 and not negative; @returns estimate in units */
  override update(hash: number, weight: number): number {
    const units = (weight + this.unit - 1) >>> this.#shift;
    return super.update(hash, Math.min(units, WEIGHT_MAX));
  }
}
