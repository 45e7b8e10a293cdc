import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findL2, HashIndex, indexByteLength, indexSlots, PROBES_MAX } from '../../src/cache/l2.ts';
import { randomFrom } from './random.ts';

const BASE = 16;
const CANARY = 0x5a5a5a5a;

function newIndex(slots: number) {
  const words = new Int32Array(new SharedArrayBuffer((BASE + 16) * 4 + indexByteLength(slots)));
  words.fill(CANARY, 0, BASE).fill(CANARY, words.length - 16);
  const index = new HashIndex(words, BASE, slots);
  const find = (hash: number) => findL2(words, BASE, index.mask, hash);
  const isIntact = () => [...words.subarray(0, BASE), ...words.subarray(-16)].every(word => word === CANARY);
  return { words, index, find, isIntact };
}

/** Throws unless for every tombstone there is an item behind it whose search begins at it or in front of it. */
function checkTombstones(words: Int32Array, slots: number): void {
  const entryAt = (slot: number) => words[BASE + 2 * (slot & (slots - 1)) + 1]!;
  const stepsOf = (slot: number) => (slot - words[BASE + 2 * (slot & (slots - 1))]!) & (slots - 1);
  for (let slot = 0; slot < slots; slot++) {
    if (entryAt(slot) !== -1) continue;
    let behind = slot + 1;
    while (entryAt(behind) !== 0 && !(entryAt(behind) > 0 && behind - stepsOf(behind) <= slot)) behind++;
    if (entryAt(behind) === 0) throw new Error(`the tombstone at ${slot} serves no search`);
  }
}

describe('hash index', () => {
  it('has at least four slots an item, a power of two', () => {
    expect([1, 16, 17, 8192, 10000].map(indexSlots)).toEqual([64, 64, 128, 32768, 65536]);
    expect(() => new HashIndex(new Int32Array(200), 0, 65)).toThrow('power of two');
  });

  it('finds nothing in zeroed memory, not even hash 0', () => {
    const { find } = newIndex(64);
    expect([0, 1, -1].map(find)).toEqual([-1, -1, -1]);
  });

  it('finds an item behind others of its run, over tombstones and over the end of the slots', () => {
    const { index, find } = newIndex(64);
    const hashes = [62, 62 + 64, 62 + 128, 62 + 192, 62 + 256];
    hashes.forEach((hash, item) => {
      expect(index.insert(hash, item)).toBe(true);
    });
    expect(index.remove(hashes[1]!, 1)).toBe(true);
    expect(index.remove(hashes[3]!, 3)).toBe(true);
    expect(hashes.map(find)).toEqual([0, -1, 2, -1, 4]);
    expect(index.tombstones).toBe(2);
    expect(index.remove(hashes[3]!, 3)).toBe(false);
    index.insert(hashes[3]!, 7);
    expect(index.tombstones).toBe(1);
    expect(hashes.map(find)).toEqual([0, -1, 2, 7, 4]);
    for (const [hash, item] of [
      [hashes[4], 4],
      [hashes[2], 2],
      [hashes[3], 7],
      [hashes[0], 0],
    ] as const) {
      expect(index.remove(hash!, item)).toBe(true);
    }
    expect([index.size, index.tombstones]).toEqual([0, 0]);
  });

  it('refuses an item that would lie too far off, and looks no further', () => {
    const { index, find } = newIndex(256);
    for (let item = 0; item < PROBES_MAX; item++) expect(index.insert(3 + 256 * item, item)).toBe(true);
    expect(index.insert(3 + 256 * PROBES_MAX, PROBES_MAX)).toBe(false);
    expect(find(3 + 256 * PROBES_MAX)).toBe(-1);
    expect(index.remove(3 + 256 * PROBES_MAX, PROBES_MAX)).toBe(false);
    expect(index.insert(4, 100)).toBe(true);
    expect([find(3 + 256 * (PROBES_MAX - 1)), find(4)]).toEqual([PROBES_MAX - 1, 100]);
  });

  it('does what a map does', () => {
    const hash = fc.oneof(
      fc.integer({ min: -20, max: 20 }),
      fc.integer(),
      fc.nat(9).map(n => n * 64),
    );
    const turn = fc.record({ act: fc.constantFrom('insert' as const, 'remove' as const), hash });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 60, size: 'max' }), turns => {
        const { words, index, find, isIntact } = newIndex(64);
        const model = new Map<number, number>();
        turns.forEach((t, item) => {
          if (t.act === 'remove') expect(index.remove(t.hash, model.get(t.hash) ?? 999)).toBe(model.delete(t.hash));
          else if (!model.has(t.hash)) {
            expect(index.insert(t.hash, item)).toBe(true);
            model.set(t.hash, item);
          }
          expect(turns.filter(({ hash }) => find(hash) !== (model.get(hash) ?? -1))).toEqual([]);
          checkTombstones(words, 64);
          expect(index.size).toBe(model.size);
        });
        expect(isIntact()).toBe(true);
      }),
    );
  });

  it('stays quick to miss when it is full and its items come and go for ever', () => {
    const items = 1024;
    const random = randomFrom(11);
    const { words, index, find } = newIndex(indexSlots(items));
    const hashes = Array.from({ length: items }, random);
    hashes.forEach((hash, item) => {
      index.insert(hash, item);
    });
    for (let turn = 0; turn < 50_000; turn++) {
      const item = random() & (items - 1);
      index.remove(hashes[item]!, item);
      hashes[item] = random();
      expect(index.insert(hashes[item]!, item)).toBe(true);
    }
    expect(hashes.map(find)).toEqual(hashes.map((_, item) => item));
    expect(index.tombstones).toBeLessThan(items / 4);
    const atFirst = Array.from({ length: 10_000 }, random).filter(
      hash => words[BASE + 2 * (hash & index.mask) + 1] === 0,
    );
    expect(atFirst.length).toBeGreaterThan(7_000);
  });
});
