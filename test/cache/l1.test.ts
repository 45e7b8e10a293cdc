import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findL1, L1, L1_WAYS, l1ByteLength, l1Sets } from '../../src/cache/l1.ts';

const BASE = 32;
const CANARY = 0x5a5a5a5a;

function newTable(sets: number) {
  const words = new Int32Array(new SharedArrayBuffer((BASE + 16) * 4 + l1ByteLength(sets)));
  words.fill(CANARY, 0, BASE).fill(CANARY, words.length - 16);
  const l1 = new L1(words, BASE, sets);
  const find = (hash: number) => findL1(words, BASE, l1.mask, hash);
  const isIntact = () => [...words.subarray(0, BASE), ...words.subarray(-16)].every(word => word === CANARY);
  return { words, l1, find, isIntact };
}

describe('L1', () => {
  it('has as many sets as hold its items, a power of two, each on one cache line', () => {
    expect([1, 8, 9, 16, 512, 513].map(l1Sets)).toEqual([1, 1, 2, 2, 64, 128]);
    expect(l1ByteLength(64)).toBe(64 * 64);
    expect(() => new L1(new Int32Array(16), 0, 3)).toThrow('power of two');
  });

  it('finds nothing in zeroed memory, not even hash 0', () => {
    const { find } = newTable(2);
    expect([0, 1, -1].map(find)).toEqual([-1, -1, -1]);
  });

  it('holds eight items of one set, and says which of them gives way to a ninth', () => {
    const { l1, find } = newTable(4);
    const hashes = Array.from({ length: L1_WAYS }, (_, way) => 2 + 4 * way);
    hashes.forEach((hash, item) => {
      expect(l1.insert(hash, item)).toBe(true);
    });
    expect(l1.insert(2 + 4 * 8, 8)).toBe(false);
    expect(l1.size).toBe(8);
    const scores = Int32Array.from([9, 8, 7, 3, 5, 3, 9, 9]);
    expect(l1.coldest(2, scores, 0)).toBe(3);
    expect(l1.coldest(3, scores, 0)).toBe(-1);
    expect(l1.remove(hashes[3]!, 3)).toBe(true);
    expect(l1.remove(hashes[3]!, 3)).toBe(false);
    expect(l1.insert(2 + 4 * 8, 8)).toBe(true);
    expect(hashes.map(find)).toEqual([0, 1, 2, -1, 4, 5, 6, 7]);
    expect(find(2 + 4 * 8)).toBe(8);
  });

  it('finds hash 0 behind a free way, whose hash word is 0 as well', () => {
    const { l1, find } = newTable(1);
    l1.insert(5, 0);
    l1.insert(0, 1);
    l1.remove(5, 0);
    l1.insert(0x10000, 2);
    l1.remove(0x10000, 2);
    expect(find(0)).toBe(1);
  });

  it('does what a map of at most eight items to a set does', () => {
    const hash = fc.oneof(fc.integer({ min: -12, max: 12 }), fc.integer());
    const turn = fc.record({ act: fc.constantFrom('insert' as const, 'remove' as const), hash });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 100, size: 'max' }), turns => {
        const { l1, find, isIntact } = newTable(2);
        const model = new Map<number, number>();
        turns.forEach((t, item) => {
          const inSet = [...model.keys()].filter(other => (other & 1) === (t.hash & 1)).length;
          if (t.act === 'remove') {
            expect(l1.remove(t.hash, model.get(t.hash) ?? 999)).toBe(model.delete(t.hash));
          } else if (!model.has(t.hash)) {
            expect(l1.insert(t.hash, item)).toBe(inSet < L1_WAYS);
            if (inSet < L1_WAYS) model.set(t.hash, item);
          }
          expect(turns.filter(({ hash }) => find(hash) !== (model.get(hash) ?? -1))).toEqual([]);
          expect(l1.size).toBe(model.size);
        });
        expect(isIntact()).toBe(true);
      }),
    );
  });
});
