import { expect, it } from 'vitest';
import { LeftAlone } from '../../../src/control/hot/left-alone.ts';

it('keys are left alone for longer each time, up to 32 times as long', () => {
  const alone = new LeftAlone();
  let nowMs = 0;
  const spells = [1, 2, 4, 8, 16, 32, 32].map(() => {
    alone.add(7, nowMs, 100, 'why');
    let ms = 0;
    while (alone.has(7, nowMs + ms)) ms += 50;
    nowMs += ms;
    return ms / 100;
  });
  expect(spells).toEqual([1, 2, 4, 8, 16, 32, 32]);
});

it('who has behaved for as long begins anew', () => {
  const alone = new LeftAlone();
  alone.add(7, 0, 100, 'why');
  alone.sweep(150);
  expect(alone.size).toBe(1);
  alone.sweep(201);
  expect(alone.size).toBe(0);
});

it('their number is bounded: the oldest go', () => {
  const alone = new LeftAlone();
  for (let hash = 0; hash < 5000; hash++) alone.add(hash, 0, 100, 'why');
  expect([alone.size, alone.has(0, 1), alone.has(4999, 1)]).toEqual([4096, false, true]);
});

it('says why, and for how long yet', () => {
  const alone = new LeftAlone();
  alone.add(7, 0, 100, 'it is written too much');
  expect(alone.of(7, 40)).toMatchObject({ why: 'it is written too much', untilMs: 100 });
  expect([alone.of(7, 100), alone.of(8, 40)]).toEqual([undefined, undefined]);
});
