/**
 * Lossy counting that chooses ε itself, from the memory it is given. The default of Keysteer.
 *
 * A fixed ε must be guessed: too small and the table overflows, too large and memory lies idle while keys are lost. The
 * number of rows that an ε needs depends on the stream; only the memory is known. So here no bucket ends. Nothing goes as
 * long as there is room, and when a key needs a place, the least row of its set gives way: the bucket ends just there,
 * just then, with b = the UPPER of the row that went. BOUND of a set (set-table.ts) is the largest such b, and
 *
 *     f̂ ≤ f ≤ f̂ + Δ,   Δ ≤ BOUND ≤ min over j of (N' less its j heaviest keys) / (10 − j)      N' = weight of the set
 *     ε in force = largest BOUND / N
 *
 * A newcomer's Δ is the BOUND of its set, so this is Space-Saving (space-saving.ts) on ten counters, many times over: the
 * UPPERs of a set sum to N', none is below BOUND, and with the j heaviest set aside the others share what is left. The first
 * ten keys of a set are counted exactly, and so is a stream that fits in the table. The ε in force is measured, not
 * computed: it follows the stream, is 0 until a row had to go, and falls as N grows and sets do not. With R rows and no
 * heavy key it is about 1/R, somewhat more for the fullest set: 1.8e-5 for 81,920 rows (1 MiB) on a million equal keys.
 *
 * Every set has its own b because one for all would be set by the fullest of thousands of sets.
 */

import { SetTable, type SetTableOptions, setsLog2Within, setTableByteLength } from './set-table.ts';

export interface SelfAdaptiveOptions extends SetTableOptions {
  /** Memory for rows, at most; the largest power of two in it is used. 128 bytes come on top. Default: 1 MiB. */
  readonly bytes?: number;
}

const BYTES = 1 << 20;

export class SelfAdaptive extends SetTable {
  static byteLength({ bytes = BYTES }: SelfAdaptiveOptions): number {
    return setTableByteLength(setsLog2Within(bytes));
  }

  constructor(words: Int32Array, base: number, { bytes = BYTES, seed }: SelfAdaptiveOptions) {
    super(words, base, setsLog2Within(bytes), 0, seed);
  }

  protected override bucket(): number {
    return 0;
  }

  protected override absentUpper(bound: number, _hash: number): number {
    return bound;
  }
}
