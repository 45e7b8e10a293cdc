import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LEVELS_MAX, SkipList, skipListByteLength } from '../../src/cache/skip-list.ts';
import { randomFrom } from './random.ts';
import { checkSkipList } from './skip-list-check.ts';

const SCORES = 16;

function newList(items: number, random: () => number) {
  const base = SCORES + items + (-items & 15);
  const words = new Int32Array(new SharedArrayBuffer(base * 4 + skipListByteLength(items)));
  return { words, base, list: new SkipList(words, base, SCORES, random) };
}

/** Item → score, and the order a list must have. */
function orderOf(model: Map<number, number>): number[] {
  return [...model].sort(([a, x], [b, y]) => y - x || a - b).map(([item]) => item);
}

function orderIn(list: SkipList): number[] {
  const order: number[] = [];
  for (let item = list.first(); item >= 0; item = list.next(item)) order.push(item);
  return order;
}

describe('skip list', () => {
  it('is empty when its memory is zeroed', () => {
    const { list, words, base } = newList(8, randomFrom(1));
    expect([list.size, list.first(), list.last(), list.at(0), list.rank(3)]).toEqual([0, -1, -1, -1, -1]);
    expect(list.has(3)).toBe(false);
    expect(list.remove(3)).toBe(false);
    checkSkipList(words, base, SCORES, 0);
  });

  it('orders by falling score, and equals by item number', () => {
    const { list, words } = newList(8, randomFrom(2));
    for (const [item, score] of [
      [4, 10],
      [1, 30],
      [6, 10],
      [0, 20],
      [2, 10],
    ] as const) {
      words[SCORES + item] = score;
      list.insert(item);
    }
    expect(orderIn(list)).toEqual([1, 0, 2, 4, 6]);
    list.rescore(6, 25);
    expect(orderIn(list)).toEqual([1, 6, 0, 2, 4]);
    expect([0, 1, 2, 3, 4].map(rank => list.at(rank))).toEqual([1, 6, 0, 2, 4]);
    expect(list.rank(0)).toBe(2);
    expect(list.last()).toBe(4);
  });

  it('does what a sorted array does, and is in order on every level after every step', () => {
    const items = 40;
    const item = fc.nat(items - 1);
    // Few scores, so that there are many equals; extremes, as the words are int32.
    const score = fc.oneof(fc.nat(6), fc.constantFrom(0, 0x3fffffff, 0x7fffffff));
    const turn = fc.oneof(
      fc.record({ act: fc.constant('score' as const), item, score }),
      fc.record({ act: fc.constantFrom('insert' as const, 'remove' as const), item, score }),
    );
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 120, size: 'max' }), fc.integer(), (turns, seed) => {
        const { list, words, base } = newList(items, randomFrom(seed));
        const model = new Map<number, number>();
        for (const t of turns) {
          if (t.act === 'remove') expect(list.remove(t.item)).toBe(model.delete(t.item));
          else if (t.act === 'score') {
            list.rescore(t.item, t.score);
            if (model.has(t.item)) model.set(t.item, t.score);
          } else if (!model.has(t.item)) {
            words[SCORES + t.item] = t.score;
            list.insert(t.item);
            model.set(t.item, t.score);
          }
          checkSkipList(words, base, SCORES, model.size);
        }
        const order = orderOf(model);
        expect(orderIn(list)).toEqual(order);
        expect(order.map((_, rank) => list.at(rank))).toEqual(order);
        expect(order.map(one => list.rank(one))).toEqual(order.map((_, rank) => rank));
        expect(list.at(order.length)).toBe(-1);
        expect(list.last()).toBe(order.at(-1) ?? -1);
      }),
    );
  });

  it.each([
    ['never climbs', -1],
    ['always climbs to the top', 0],
  ])('works with a random source that %s', (_, word) => {
    const { list, words, base } = newList(64, () => word);
    for (let item = 0; item < 64; item++) {
      words[SCORES + item] = (item * 37) & 63;
      list.insert(item);
    }
    checkSkipList(words, base, SCORES, 64);
    for (let item = 0; item < 64; item += 2) list.remove(item);
    checkSkipList(words, base, SCORES, 32);
  });

  it('keeps level n for a quarter of level n − 1', () => {
    const items = 8192;
    const { list, words, base } = newList(items, randomFrom(5));
    for (let item = 0; item < items; item++) list.insert(item);
    const levels = Array.from({ length: items }, (_, item) => words[base + (item + 1) * 16]!);
    const reach = (level: number) => levels.filter(height => height >= level).length;
    expect(Math.max(...levels)).toBeLessThanOrEqual(LEVELS_MAX);
    for (const level of [2, 3, 4]) expect(reach(level) / reach(level - 1)).toBeCloseTo(0.25, 1);
  });
});
