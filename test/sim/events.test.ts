/** The order in which things happen. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventQueue } from './events.ts';
import { Random } from './random.ts';

function happened(seed: number, times: readonly number[]): { at: number; which: number }[] {
  const events = new EventQueue(new Random(seed), 0);
  const order: { at: number; which: number }[] = [];
  const target = { happen: (_: number, which: number) => order.push({ at: events.nowMs, which }) };
  for (const [which, ms] of times.entries()) events.at(ms, target, 0, which);
  while (events.step());
  return order;
}

test('property: by time, each once, however many there are', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { maxLength: 3000 }),
      (seed, times) => {
        const order = happened(seed, times);
        expect(order.map(({ at }) => at)).toEqual([...times].sort((a, b) => a - b));
        expect(new Set(order.map(({ which }) => which)).size).toBe(times.length);
      },
    ),
    { numRuns: 50 },
  );
});

test('of the same moment: in an order that the seed says', () => {
  const times = Array.from({ length: 20 }, () => 5);
  const order = (seed: number) => happened(seed, times).map(({ which }) => which);
  expect(order(1)).toEqual(order(1));
  expect(order(1)).not.toEqual(order(2));
});

test('what lies in the past happens next', () => {
  const events = new EventQueue(new Random(1), 1000);
  const seen: number[] = [];
  events.at(5, { happen: () => seen.push(events.nowMs) });
  events.step();
  expect(seen).toEqual([1000]);
});
