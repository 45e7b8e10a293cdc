/**
 * Mnemonic Lossy Counting (Q. Rong, G. Zhang, G. Xie, K. Salamatian, "Mnemonic Lossy Counting: An Efficient and Accurate
 * Heavy-hitters Identification Algorithm", IPCCC 2010).
 *
 * Lossy Counting forgets a key that goes, and takes the worst for granted when it comes back: Δ = b. Here a history table
 * remembers with how much a key went, f̂ + Δ; it cannot have got more while it was away, so that is its Δ when it
 * returns. Candidates that come and go keep a narrow error, and tiny keys stay tiny: they go sooner and take no room.
 *
 * The history is bounded, and a slot is chosen by the hash. In the paper an overwritten memory falls back to b. Ours keeps
 * two things in a slot: the last to go by name, and the most that any other who went through this slot had.
 *
 *     word  0   NAME     hash of the last to go
 *           1   WENT     its f̂ + Δ; 0: nobody ever went through here
 *           2   OTHERS   the largest f̂ + Δ of all others
 *           3   AT       epoch of both counts
 *
 *     Δ of a newcomer = min(Lossy Counting's, WENT if it is NAME, else OTHERS)
 *
 * A key that is not NAME either never went (f = 0) or went before somebody else did, and then its f̂ + Δ was folded into
 * OTHERS. So nothing is lost by overwriting, and the bound is as deterministic as Lossy Counting's:
 *
 *     f̂ ≤ f ≤ f̂ + Δ,  Δ ≤ min(b, history) ≤ εN        rows held ≤ those of Lossy Counting
 *
 * A key that was never seen comes with Δ = 0 where the slot is fresh.
 */

import { type LossyCountingOptions, setsLog2Of } from './lossy-counting.ts';
import { EPOCH, EPOCH_MASK, HEADER_WORDS, SET_WORDS, SetTable, setTableByteLength } from './set-table.ts';

const NAME = 0;
const WENT = 1;
const OTHERS = 2;
const AT = 3;
const SLOT_WORDS_SHIFT = 2;
/** Slots per set, as a shift: 16, so that the history is twice as large as the rows. */
const SLOTS_PER_SET_SHIFT = 4;
const SPREAD = 0x9e3779b1 | 0;

export class MnemonicLossyCounting extends SetTable {
  readonly #history: number;
  readonly #shift: number;

  static byteLength(options: LossyCountingOptions): number {
    const setsLog2 = setsLog2Of(options);
    return setTableByteLength(setsLog2) + 4 * (1 << (setsLog2 + SLOTS_PER_SET_SHIFT + SLOT_WORDS_SHIFT));
  }

  constructor(words: Int32Array, base: number, options: LossyCountingOptions) {
    const setsLog2 = setsLog2Of(options);
    super(words, base, setsLog2, options.epsilon, options.seed);
    this.#history = base + HEADER_WORDS + this.sets * SET_WORDS;
    this.#shift = 32 - setsLog2 - SLOTS_PER_SET_SHIFT;
  }

  protected override absentError(bound: number, hash: number): number {
    const { words } = this;
    const slot = this.#slotOf(hash);
    const remembered = words[slot + NAME] === hash ? words[slot + WENT] : words[slot + OTHERS];
    return Math.min(remembered >> this.#missed(slot), super.absentError(bound, hash));
  }

  protected override departed(hash: number, upper: number): void {
    const { words } = this;
    const slot = this.#slotOf(hash);
    const shift = this.#missed(slot);
    const went = words[slot + WENT] >> shift;
    const others = words[slot + OTHERS] >> shift;
    words[slot + OTHERS] = words[slot + NAME] === hash || went < others ? others : went;
    words[slot + NAME] = hash;
    words[slot + WENT] = upper;
    words[slot + AT] = words[this.base + EPOCH];
  }

  #slotOf(hash: number): number {
    return this.#history + ((Math.imul(hash, SPREAD) >>> this.#shift) << SLOT_WORDS_SHIFT);
  }

  /** Epochs since the counts of a slot were written, as a shift. */
  #missed(slot: number): number {
    return Math.min(31, (this.words[this.base + EPOCH] - this.words[slot + AT]) & EPOCH_MASK);
  }
}
