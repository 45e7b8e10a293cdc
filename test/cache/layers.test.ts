import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ADMITTED,
  countItems,
  countL1Items,
  IN_L1,
  IN_L2,
  Layers,
  type LayersCapacity,
  Lookup,
  layersByteLength,
  OUTSIDE,
  REFUSED_CROWDED,
  REFUSED_HASH,
  REFUSED_PRESENT,
  SCORE_MAX,
} from '../../src/cache/layers.ts';
import { bytesPerCall } from '../support/heap-growth.ts';
import { randomFrom } from './random.ts';

const BASE = 16;
const CANARY = 0x5a5a5a5a;
const NONE = new Int32Array(0);

function newWords(capacity: LayersCapacity): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer((BASE + 16) * 4 + layersByteLength(capacity)));
  return words.fill(CANARY, 0, BASE).fill(CANARY, words.length - 16);
}

function newLayers(capacity: LayersCapacity, words = newWords(capacity)) {
  const layers = new Layers(words, BASE, capacity, randomFrom(3));
  return { words, layers, lookup: new Lookup(words, BASE) };
}

/** Items 0 … count − 1 with the scores given, and hashes that lie apart. */
function admitAll(layers: Layers, scores: readonly number[]): void {
  scores.forEach((score, item) => {
    expect(layers.admit(item, hashOf(item), score)).toBe(ADMITTED);
  });
}
const hashOf = (item: number) => Math.imul(item + 1, 0x9e3779b9);

const listOf = (array: Int32Array, count: number) => [...array.subarray(0, count)].sort((a, b) => a - b);
const promotedOf = (layers: Layers) => listOf(layers.promoted, layers.promotedCount);
const demotedOf = (layers: Layers) => listOf(layers.demoted, layers.demotedCount);
const leavingOf = (layers: Layers) => listOf(layers.leaving, layers.leavingCount);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('layers', () => {
  it('admits into L2, where lanes find the item', () => {
    const { layers, lookup, words } = newLayers({ items: 32, l1Items: 8 });
    expect(lookup.find(77)).toBe(-1);
    expect(layers.admit(5, 77, 10)).toBe(ADMITTED);
    expect([lookup.find(77), lookup.findInL1(77), lookup.findInIndex(77)]).toEqual([5, -1, 5]);
    expect([layers.layerOf(5), layers.layerOf(4), layers.find(77)]).toEqual([IN_L2, OUTSIDE, 5]);
    expect([countItems(words, BASE), countL1Items(words, BASE)]).toEqual([1, 0]);
  });

  it('refuses what is in already, a second key with the same hash, and too many alike', () => {
    const { layers } = newLayers({ items: 256, l1Items: 8 });
    layers.admit(0, 77, 10);
    expect(layers.admit(0, 78, 10)).toBe(REFUSED_PRESENT);
    expect(layers.admit(1, 77, 10)).toBe(REFUSED_HASH);
    const alike = Array.from({ length: 65 }, (_, n) => layers.admit(n + 100, (n + 1) << 20, 10));
    expect(alike).toEqual([...Array(64).fill(ADMITTED), REFUSED_CROWDED]);
  });

  it('takes no L1 larger than half of the items', () => {
    expect(() => newLayers({ items: 31, l1Items: 16 })).toThrow('it may hold half');
  });

  it('moves the head of the list into L1 at an epoch, and the items stay found', () => {
    const { layers, lookup, words } = newLayers({ items: 32, l1Items: 8 });
    admitAll(
      layers,
      Array.from({ length: 12 }, (_, item) => item * 10),
    );
    layers.epoch(NONE, 0);
    expect(promotedOf(layers)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    expect([layers.size, layers.l1Size, countL1Items(words, BASE)]).toEqual([12, 8, 8]);
    expect(lookup.findInL1(hashOf(11))).toBe(11);
    expect(lookup.findInL1(hashOf(3))).toBe(-1);
    expect(Array.from({ length: 12 }, (_, item) => lookup.find(hashOf(item)))).toEqual([...Array(12).keys()]);
    layers.epoch(NONE, 0);
    expect([layers.promotedCount, layers.demotedCount, layers.leavingCount]).toEqual([0, 0, 0]);
  });

  it('lets an item take the way of one that is colder by more than an eighth', () => {
    const { layers, lookup } = newLayers({ items: 32, l1Items: 8 });
    admitAll(layers, [800, 801, 802, 803, 804, 805, 806, 807, 100]);
    layers.epoch(NONE, 0);
    layers.rescore(8, 900);
    layers.epoch(NONE, 0);
    expect(layers.promotedCount).toBe(0);
    layers.rescore(8, 901);
    layers.epoch(NONE, 0);
    expect([promotedOf(layers), demotedOf(layers)]).toEqual([[8], [0]]);
    expect([layers.layerOf(8), layers.layerOf(0)]).toEqual([IN_L1, IN_L2]);
    expect([lookup.find(hashOf(8)), lookup.find(hashOf(0))]).toEqual([8, 0]);
  });

  it('names nobody to leave while there are places', () => {
    const { layers } = newLayers({ items: 16, l1Items: 8 });
    admitAll(layers, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    layers.epoch(Int32Array.from([9, 9, 9, 9, 9, 9]), 6);
    expect(layers.leavingCount).toBe(0);
  });

  describe('full, eight items in L1 and eight in L2 with scores 10 to 80', () => {
    function full() {
      const bed = newLayers({ items: 16, l1Items: 8 });
      admitAll(bed.layers, [900, 900, 900, 900, 900, 900, 900, 900, 10, 20, 30, 40, 50, 60, 70, 80]);
      bed.layers.epoch(NONE, 0);
      expect(promotedOf(bed.layers)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      return bed;
    }

    it.each([
      ['no newcomer', [], []],
      ['one, hotter than the coldest', [11], [8]],
      ['one, as hot as the coldest', [10], []],
      ['three, of which two are hotter than whom they would replace', [100, 90, 30], [8, 9]],
      ['three hot ones', [100, 90, 80], [8, 9, 10]],
      ['six: the hotter half stays', [900, 900, 900, 900, 900, 900], [8, 9, 10, 11]],
    ])('with %s', (_, newcomers, leaving) => {
      const { layers } = full();
      layers.epoch(Int32Array.from(newcomers), newcomers.length);
      expect(leavingOf(layers)).toEqual(leaving);
      expect(layers.size).toBe(16);
    });

    it('names an item once, and counts its place as free from then on', () => {
      const { layers, lookup } = full();
      layers.epoch(Int32Array.from([100]), 1);
      layers.epoch(Int32Array.from([100]), 1);
      expect(layers.leavingCount).toBe(0);
      expect([layers.isLeaving(8), lookup.find(hashOf(8))]).toEqual([true, 8]);
      layers.epoch(Int32Array.from([100, 100]), 2);
      expect(leavingOf(layers)).toEqual([9]);
      expect(layers.remove(8)).toBe(true);
      expect([layers.size, layers.isLeaving(8), lookup.find(hashOf(8))]).toEqual([15, false, -1]);
      expect(layers.admit(8, 123, 100)).toBe(ADMITTED);
      expect([layers.size, lookup.find(123)]).toEqual([16, 8]);
    });

    it('promotes no item that is to leave; one that is retained counts again', () => {
      const { layers } = full();
      layers.epoch(Int32Array.from([100]), 1);
      layers.rescore(8, 5000);
      layers.epoch(NONE, 0);
      expect(layers.layerOf(8)).toBe(IN_L2);
      layers.retain(8);
      layers.epoch(NONE, 0);
      expect(layers.layerOf(8)).toBe(IN_L1);
    });

    it('never lets a pinned item go', () => {
      const { layers } = full();
      layers.pin(8);
      layers.pin(9);
      expect(layers.remove(8)).toBe(false);
      layers.rescore(8, 0);
      expect(layers.scoreOf(8)).toBe(0);
      const hot = new Int32Array(16).fill(SCORE_MAX);
      for (let turn = 0; turn < 5; turn++) layers.epoch(hot, 16);
      expect([layers.isLeaving(8), layers.isLeaving(9)]).toEqual([false, false]);
      expect([layers.layerOf(8), layers.layerOf(9)]).toEqual([IN_L1, IN_L1]);
      layers.unpin(8);
      expect(layers.remove(8)).toBe(true);
    });

    it('tells residents from those that may be turned over', () => {
      const { layers } = full();
      const residents = Array.from({ length: 16 }, (_, item) => item).filter(item => layers.isResident(item));
      expect(residents).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15]);
      expect(layers.coldest()).toBe(8);
    });
  });

  it('puts what has cooled in L1 where it can be turned over, but only when newcomers wait', () => {
    const { layers, lookup } = newLayers({ items: 32, l1Items: 16 });
    // In L2, those of item 3's set are no hotter than it will be.
    const cool = Array.from({ length: 16 }, (_, item) => (item % 2 === 1 ? 4 : 50));
    admitAll(layers, [...Array(16).fill(900), ...cool]);
    layers.epoch(NONE, 0);
    layers.rescore(3, 4);
    layers.rescore(17, 3);
    layers.epoch(NONE, 0);
    expect([layers.layerOf(3), layers.demotedCount]).toEqual([IN_L1, 0]);
    layers.epoch(Int32Array.from([100]), 1);
    expect([demotedOf(layers), leavingOf(layers)]).toEqual([[3], [17]]);
    expect([layers.layerOf(3), lookup.find(hashOf(3))]).toEqual([IN_L2, 3]);
  });

  it('cuts scores to their range', () => {
    const { layers } = newLayers({ items: 16, l1Items: 8 });
    layers.admit(0, 1, 1e12);
    layers.admit(1, 2, -4);
    layers.admit(2, 3, 7.9);
    expect([0, 1, 2].map(item => layers.scoreOf(item))).toEqual([SCORE_MAX, 0, 7]);
  });
});

describe('layers, once made', () => {
  it('allocate nothing: neither searches nor the keeper', () => {
    const { layers, lookup } = newLayers({ items: 256, l1Items: 32 });
    const random = randomFrom(7);
    const hashes = Int32Array.from({ length: 256 }, random);
    for (let item = 0; item < 200; item++) layers.admit(item, hashes[item]!, random() & 1023);
    layers.epoch(NONE, 0);
    const newcomers = Int32Array.from([5000, 4000]);
    let sum = 0;
    const grown = bytesPerCall(count => {
      const one = count & 255;
      sum += lookup.find(hashes[one]!) + lookup.find(count);
      layers.rescore(one, Math.imul(count, 0x9e3779b9) >>> 22);
      if (one < 100 || layers.layerOf(one) === IN_L1) return;
      if ((count & 256) !== 0) layers.remove(one);
      else layers.admit(one, hashes[one]!, count & 1023);
      if (one === 255) layers.epoch(newcomers, 2);
    });
    expect(grown).toBeLessThan(1);
    expect(sum).not.toBe(0);
  });
});

const ITEMS = 24;
const item = fc.nat(ITEMS - 1);
const score = fc.oneof(fc.nat(20), fc.nat(2000));
/** Many hashes of few sets and runs, so that items are in one another's way. */
const hash = fc.nat(63).map(n => ((n & 7) << 6) | (n >> 3));
type Turn =
  | { act: 'admit'; item: number; hash: number; score: number }
  | { act: 'rescore'; item: number; score: number }
  | { act: 'remove' | 'pin' | 'unpin'; item: number }
  | { act: 'epoch'; newcomers: number[] };

const turns: fc.Arbitrary<Turn[]> = fc.array(
  fc.oneof(
    fc.record({ act: fc.constant('admit' as const), item, hash, score }),
    fc.record({ act: fc.constant('rescore' as const), item, score }),
    fc.record({ act: fc.constantFrom('remove' as const, 'pin' as const, 'unpin' as const), item }),
    fc.record({ act: fc.constant('epoch' as const), newcomers: fc.array(score, { maxLength: 30, size: 'max' }) }),
  ),
  { maxLength: 200, size: 'max' },
);
/** Does the turn, and keeps the model (item → hash of those that are in) in step. */
function take(layers: Layers, turn: Turn, model: Map<number, number>, pinned: Set<number>): void {
  if (turn.act === 'admit') {
    const isTaken = model.has(turn.item) || [...model.values()].includes(turn.hash);
    expect(layers.admit(turn.item, turn.hash, turn.score) === ADMITTED).toBe(!isTaken);
    if (!isTaken) model.set(turn.item, turn.hash);
  } else if (turn.act === 'epoch') {
    const newcomers = Int32Array.from(turn.newcomers).sort().reverse();
    layers.epoch(newcomers, newcomers.length);
    expect(layers.leavingCount).toBeLessThanOrEqual(Math.max(0, newcomers.length - (ITEMS - layers.size)));
    for (const leaving of leavingOf(layers)) {
      expect(pinned.has(leaving) || layers.isResident(leaving)).toBe(false);
      expect(layers.scoreOf(leaving)).toBeLessThan(newcomers[0]!);
    }
  } else if (turn.act === 'rescore') layers.rescore(turn.item, turn.score);
  else if (turn.act === 'pin') {
    layers.pin(turn.item);
    pinned.add(turn.item);
  } else if (turn.act === 'unpin') {
    layers.unpin(turn.item);
    pinned.delete(turn.item);
  } else {
    const mayGo = model.has(turn.item) && !pinned.has(turn.item);
    expect(layers.remove(turn.item)).toBe(mayGo);
    if (mayGo) model.delete(turn.item);
  }
}

describe('layers, in any order of turns', () => {
  it('hold what was admitted and not removed, each item in one layer, within their bounds', () => {
    fc.assert(
      fc.property(turns, all => {
        const { layers, lookup, words } = newLayers({ items: ITEMS, l1Items: 8 });
        const model = new Map<number, number>();
        const pinned = new Set<number>();
        for (const turn of all) {
          take(layers, turn, model, pinned);
          expect(layers.size).toBe(model.size);
          const inL1 = [...model].filter(([one]) => layers.layerOf(one) === IN_L1);
          expect(inL1.length).toBe(layers.l1Size);
          expect(inL1.filter(([one, its]) => lookup.findInL1(its) !== one)).toEqual([]);
          expect([...model].filter(([one, its]) => lookup.find(its) !== one || layers.hashOf(one) !== its)).toEqual([]);
        }
        const edges = [...words.subarray(0, BASE), ...words.subarray(-16)];
        expect(edges.every(word => word === CANARY)).toBe(true);
      }),
    );
  });

  /**
   * The writer's memory as a proxy that lets a lane search after every single store of the writer: whatever is in
   * before and after a turn must be found at every moment of it.
   */
  it('show every item that stays in, between any two stores of the writer', () => {
    fc.assert(
      fc.property(turns, all => {
        const capacity = { items: ITEMS, l1Items: 8 };
        const words = newWords(capacity);
        let look = () => {};
        const watched = new Proxy(words, {
          set(target, key, value) {
            target[key as unknown as number] = value;
            look();
            return true;
          },
          get: (target, key) => (key === 'set' ? target.set.bind(target) : target[key as unknown as number]),
        });
        const spied = vi.spyOn(Atomics as { store(array: Int32Array, index: number, value: number): number }, 'store');
        spied.mockImplementation((array, index, value) => {
          array[index] = value;
          return value;
        });
        const { layers } = newLayers(capacity, watched);
        const lookup = new Lookup(words, BASE);
        const model = new Map<number, number>();
        const pinned = new Set<number>();
        let hidden = 0;
        for (const turn of all) {
          const stays = [...model].filter(([one]) => turn.act !== 'remove' || one !== turn.item);
          look = () => {
            for (const [one, its] of stays) if (lookup.find(its) !== one) hidden++;
          };
          take(layers, turn, model, pinned);
        }
        spied.mockRestore();
        expect(hidden).toBe(0);
      }),
    );
  });

  /** The lane's memory as a proxy that lets the writer take a whole turn in the middle of a search, after its n-th load. */
  it('show every item that stays in, to a search in whose middle the writer takes turns', () => {
    fc.assert(
      fc.property(turns, fc.nat(20), fc.integer({ min: 1, max: 4 }), (all, pause, length) => {
        const { layers, words } = newLayers({ items: ITEMS, l1Items: 8 });
        const model = new Map<number, number>();
        const pinned = new Set<number>();
        let atLoad = (_left: number) => {};
        let loads = 0;
        const watched = new Proxy(words, {
          get(target, key) {
            const word = target[key as unknown as number];
            atLoad(loads++);
            return word;
          },
        });
        const lookup = new Lookup(watched, BASE);
        for (let at = 0; at < all.length; at += length) {
          const before = [...model];
          const [sought, its] = before[at % before.length] ?? [-1, 12345];
          const some = all.slice(at, at + length);
          loads = 0;
          const go = () => {
            for (const turn of some.splice(0)) take(layers, turn, model, pinned);
          };
          const left = some.some(turn => turn.act === 'remove' && turn.item === sought);
          atLoad = load => {
            if (load === pause) go();
          };
          const found = lookup.find(its);
          atLoad = () => {};
          go();
          if (!left && sought >= 0) expect(found).toBe(sought);
        }
      }),
      { numRuns: 300 },
    );
  });
});
