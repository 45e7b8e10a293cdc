/**
 * Which IPv4 addresses may ask: sorted ranges without overlap or touch, from the allow-list less what no client can be.
 * Control works them out, lanes search them.
 *
 * In memory a range is two words, its first and its last address, each with the sign bit turned over, so that a signed
 * comparison orders addresses.
 */

/** An address block: the address of any host in it, int32, and the length of its prefix, 0 to 32. */
export interface AddressBlock {
  readonly address: number;
  readonly prefixLength: number;
}

/** First and last address, as numbers from 0 to 2^32 − 1. */
export type AddressRange = readonly [first: number, last: number];

const SIGN_BIT = 0x80000000 | 0;
const LAST_ADDRESS = 0xffffffff;
const EVERYBODY: AddressBlock = { address: 0, prefixLength: 0 };

/** Words of a range. */
export const RANGE_WORDS = 2;

/**
 * @param allowed blocks; none: everybody
 * @param denied single addresses, int32
 */
export function sourceRanges(allowed: readonly AddressBlock[], denied: readonly number[]): AddressRange[] {
  const blocks = allowed.length === 0 ? [EVERYBODY] : allowed;
  const holes = [...new Set(denied.map(address => address >>> 0))].sort((a, b) => a - b);
  return merge(blocks.map(rangeOf)).flatMap(range => split(range, holes));
}

function rangeOf({ address, prefixLength }: AddressBlock): AddressRange {
  const size = 2 ** (32 - prefixLength);
  const first = Math.floor((address >>> 0) / size) * size;
  return [first, first + size - 1];
}

/** Joins ranges that overlap or touch; they come back in order. */
function merge(ranges: readonly AddressRange[]): AddressRange[] {
  const merged: [number, number][] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

function split([first, last]: AddressRange, holes: readonly number[]): AddressRange[] {
  const parts: AddressRange[] = [];
  let from = first;
  for (const hole of holes) {
    if (hole < from || hole > last) continue;
    if (hole > from) parts.push([from, hole - 1]);
    from = hole + 1;
  }
  if (from <= Math.min(last, LAST_ADDRESS)) parts.push([from, last]);
  return parts;
}

export function writeRanges(words: Int32Array, base: number, ranges: readonly AddressRange[]): void {
  for (const [index, [first, last]] of ranges.entries()) {
    words[base + index * RANGE_WORDS] = first ^ SIGN_BIT;
    words[base + index * RANGE_WORDS + 1] = last ^ SIGN_BIT;
  }
}

/** Whether `address`, int32, lies in one of the `count` ranges from word `base`: log2(count) comparisons. */
export function isInRanges(words: Int32Array, base: number, count: number, address: number): boolean {
  const key = address ^ SIGN_BIT;
  let low = 0;
  let high = count;
  // Ranges before `low` begin at or before the address, those from `high` on begin behind it.
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (words[base + middle * RANGE_WORDS] <= key) low = middle + 1;
    else high = middle;
  }
  return low > 0 && key <= words[base + (low - 1) * RANGE_WORDS + 1];
}
