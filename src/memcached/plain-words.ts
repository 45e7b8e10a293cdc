/** Keys looked at word by word, and short numbers: what the short ways (plain-get.ts, plain-set.ts, plain-value.ts) have in common. */

/** Digits of a number that the short ways take; it fits an int32. */
export const DIGITS_MAX = 9;
const ZERO = 0x30;
const SPACE = 0x20;
const WORD_BYTES = 4;
/** The first byte above space, four times. */
const FIRST_PRINTED = 0x21212121;
const TOP_BITS = 0x80808080 | 0;

/** Not 0 when a byte of `word` is a space or below: it then borrows from its top bit, which it had not. */
export function below(word: number): number {
  return (word - FIRST_PRINTED) & ~word & TOP_BITS;
}

/** The first byte from `at` on that is not above space, or `last`; any byte above 0x20 counts. */
export function printedEnd(view: DataView, at: number, last: number): number {
  let index = at;
  while (index + WORD_BYTES <= last) {
    const found = below(view.getInt32(index));
    if (found !== 0) {
      // Where the borrow has come through a `!`, one before the byte in question: the search below goes on from there.
      index += Math.clz32(found) >>> 3;
      break;
    }
    index += WORD_BYTES;
  }
  while (index < last && view.getUint8(index) > SPACE) index++;
  return index;
}

/** The first byte from `start` on that is no digit, or `end`; of more than DIGITS_MAX digits the next, which is left over. */
export function digitsEnd(view: DataView, start: number, end: number): number {
  const last = Math.min(end, start + DIGITS_MAX);
  let at = start;
  while (at < last && (view.getUint8(at) - ZERO) >>> 0 < 10) at++;
  return at;
}
