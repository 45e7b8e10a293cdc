import { describe, expect, it } from 'vitest';
import { ClosedPace, NEVER_NS, OpenPace } from '../../src/load/pace.ts';
import { Random } from '../../src/load/random.ts';

describe('ClosedPace', () => {
  it.each([
    [64, 0, 64],
    [64, 48, 16],
    [64, 64, 0],
    [64, 70, -6],
    [1, 0, 1],
    [4, 3, 1],
  ])('window %i, %i outstanding: room for %i at once', (window, outstanding, room) => {
    expect(new ClosedPace(window).room(0, outstanding)).toBe(room);
  });

  it('holds a little room back until there is a batch', () => {
    const pace = new ClosedPace(64);
    expect([pace.room(1000, 63), pace.isHolding, pace.next_ns]).toEqual([0, true, 51_000]);
    expect([pace.room(2000, 49), pace.isHolding]).toEqual([0, true]);
    expect([pace.room(3000, 48), pace.isHolding, pace.next_ns]).toEqual([16, false, NEVER_NS]);
  });

  it('holds nothing back for longer than 50 µs', () => {
    const pace = new ClosedPace(64);
    expect(pace.room(1000, 63)).toBe(0);
    expect(pace.room(50_999, 62)).toBe(0);
    expect([pace.room(51_000, 62), pace.isHolding]).toEqual([2, false]);
    expect([pace.room(52_000, 63), pace.next_ns]).toEqual([0, 102_000]);
  });

  it('is due when it is sent', () => {
    expect(new ClosedPace(1).take(77)).toBe(77);
  });
});

describe('OpenPace', () => {
  const times = (pace: OpenPace, n: number) => Array.from({ length: n }, () => pace.take(0));

  it('even gaps do not drift, whatever the rate', () => {
    expect(times(new OpenPace(3, 0), 6)).toEqual(
      [333_333_333, 666_666_666, 1e9, 1_333_333_333, 1_666_666_666, 2e9].map(t => expect.closeTo(t, -1)),
    );
    expect(times(new OpenPace(7_000_000, 0), 7_000_000).at(-1)).toBeCloseTo(1e9, -2);
  });

  it('exponential gaps: mean and deviation are the interval', () => {
    const due = times(new OpenPace(1000, 0, new Random(1)), 20_000);
    const gaps = due.slice(1).map((at, i) => at - (due[i] as number));
    const mean = gaps.reduce((sum, gap) => sum + gap) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    expect(Math.abs(mean / 1e6 - 1)).toBeLessThan(0.04);
    expect(Math.abs(Math.sqrt(variance) / 1e6 - 1)).toBeLessThan(0.05);
  });

  it('is due from its time on, not before', () => {
    const pace = new OpenPace(1000, 5e6);
    expect([pace.next_ns, pace.isDue(6e6 - 1), pace.isDue(6e6)]).toEqual([6e6, false, true]);
    expect([pace.take(9e6), pace.next_ns]).toEqual([6e6, 7e6]);
  });
});
