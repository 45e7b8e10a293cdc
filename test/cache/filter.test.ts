/** The filter before the layers: never a miss for what is in, and few guesses. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Filter, filterByteLength, mayHold } from '../../src/cache/filter.ts';
import { mix32 } from '../../src/mem/mix.ts';

const BASE = 16;

function filterOf(items: number) {
  const words = new Int32Array(BASE + filterByteLength(items) / 4 + 16);
  const filter = new Filter(words, BASE, items);
  return { words, filter, holds: (hash: number) => mayHold(words, BASE, filter.mask, hash) };
}

describe('the filter', () => {
  it('property: holds whoever was added and not removed, and nobody at all in the end', () => {
    const hash = fc.oneof(fc.integer(), fc.integer({ min: -8, max: 8 }), fc.constantFrom(0x7fffffff, -0x80000000, -1));
    fc.assert(
      fc.property(fc.array(hash, { maxLength: 200, size: 'max' }), fc.array(fc.boolean()), (hashes, leave) => {
        const { words, filter, holds } = filterOf(64);
        for (const each of hashes) filter.add(each);
        const staying = hashes.filter((each, i) => {
          if (leave[i]) filter.remove(each);
          return !leave[i];
        });
        expect(staying.filter(each => !holds(each))).toEqual([]);
        for (const each of staying) filter.remove(each);
        expect(words.every(word => word === 0)).toBe(true);
      }),
    );
  });

  it.each([64, 4096, 32_768])('with all of %i items in use, three strangers in a hundred pass at most', items => {
    const { filter, holds } = filterOf(items);
    for (let item = 0; item < items; item++) filter.add(mix32(item + 1));
    const strangers = Array.from({ length: 20_000 }, (_, n) => mix32(0x1000000 + n));
    expect(strangers.filter(holds).length / strangers.length).toBeLessThan(0.03);
  });
});
