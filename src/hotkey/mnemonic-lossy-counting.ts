/**
 * Mnemonic Lossy Counting (Q. Rong, G. Zhang, G. Xie, K. Salamatian, "Mnemonic Lossy Counting: An Efficient and Accurate
 * Heavy-hitters Identification Algorithm", IPCCC 2010).
 *
 * Lossy Counting forgets a key that goes, and takes the worst for granted when it comes back: f̂ = 0, Δ = b. Here a history
 * table remembers with what a key went; it cannot have got more while it was away, so it returns with the same f̂ and Δ.
 * Candidates that come and go keep their count and a narrow error, and tiny keys stay tiny.
 *
 * The history is bounded, and a slot is chosen by the hash. In the paper an overwritten memory falls back to b. A slot of
 * ours keeps the last two to go by name, and the most that any other who went through it had.
 *
 *     word  0, 1, 2   NAME, LOWER, UPPER   of the last to go; UPPER 0: nobody
 *           3, 4, 5   the same             of the one before
 *           6         OTHERS               the largest UPPER of all others who went through here
 *           7         AT                   epoch of these counts
 *
 * A key that is not named here either never went (f = 0), or was pushed out of the names, and then its UPPER was folded into
 * OTHERS: it has f ≤ OTHERS. So nothing is lost by overwriting, and the bound is as deterministic as Lossy Counting's:
 *
 *     f̂ ≤ f ≤ f̂ + Δ,  Δ ≤ min(b, history) ≤ εN        rows held ≤ those of Lossy Counting
 *
 * A key that was never seen comes with Δ = 0 where the slot is fresh.
 */

import { type LossyCountingOptions, setsLog2Of } from './lossy-counting.ts';
import { EPOCH, EPOCH_MASK, HEADER_WORDS, SET_WORDS, SetTable, setTableByteLength } from './set-table.ts';

const LAST = 0;
const BEFORE = 3;
const NAME = 0;
const WENT_LOWER = 1;
const WENT_UPPER = 2;
const OTHERS = 6;
const AT = 7;
const SLOT_WORDS_SHIFT = 3;
/** Slots per set, as a shift: 8, which is 16 names for ten rows. The history is twice as large as the rows. */
const SLOTS_PER_SET_SHIFT = 3;
/** Words of a slot that are halved. */
const COUNTS = [LAST + WENT_LOWER, LAST + WENT_UPPER, BEFORE + WENT_LOWER, BEFORE + WENT_UPPER, OTHERS] as const;
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

  protected override absentUpper(bound: number, hash: number): number {
    const slot = this.#slotOf(hash);
    const name = this.#nameOf(slot, hash);
    const remembered = this.words[name < 0 ? slot + OTHERS : name + WENT_UPPER];
    return Math.min(remembered >> this.#missed(slot), super.absentUpper(bound, hash));
  }

  protected override absentLower(hash: number): number {
    const slot = this.#slotOf(hash);
    const name = this.#nameOf(slot, hash);
    return name < 0 ? 0 : this.words[name + WENT_LOWER] >> this.#missed(slot);
  }

  protected override departed(hash: number, lower: number, upper: number): void {
    const { words } = this;
    const slot = this.#slotOf(hash);
    this.#bringUp(slot);
    if (words[slot + LAST + NAME] !== hash) this.#makeRoom(slot, hash);
    words[slot + LAST + NAME] = hash;
    words[slot + LAST + WENT_LOWER] = lower;
    words[slot + LAST + WENT_UPPER] = upper;
  }

  /** The last to go becomes the one before; who was that is one of the others, unless it is the one who goes now. */
  #makeRoom(slot: number, hash: number): void {
    const { words } = this;
    const pushedOut = words[slot + BEFORE + NAME] === hash ? 0 : words[slot + BEFORE + WENT_UPPER];
    words[slot + OTHERS] = Math.max(words[slot + OTHERS], pushedOut);
    words[slot + BEFORE + NAME] = words[slot + LAST + NAME];
    words[slot + BEFORE + WENT_LOWER] = words[slot + LAST + WENT_LOWER];
    words[slot + BEFORE + WENT_UPPER] = words[slot + LAST + WENT_UPPER];
  }

  /** Word of the NAME that a slot remembers this key by, −1 when it does not. */
  #nameOf(slot: number, hash: number): number {
    if (this.words[slot + LAST + NAME] === hash) return slot + LAST;
    return this.words[slot + BEFORE + NAME] === hash ? slot + BEFORE : -1;
  }

  #bringUp(slot: number): void {
    const { words } = this;
    const shift = this.#missed(slot);
    if (shift === 0) return;
    for (const word of COUNTS) words[slot + word] >>= shift;
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
