import { describe, expect, it } from 'vitest';
import { Random } from '../../src/load/random.ts';

describe('Random', () => {
  it('is xoshiro128++: the first numbers from state 1, 2, 3, 4 (the reference code of its authors)', () => {
    const random = Random.fromState(1, 2, 3, 4);
    const first = Array.from({ length: 10 }, () => random.int32() >>> 0);
    expect(first).toEqual([
      641, 1573767, 3222811527, 3517856514, 836907274, 4247214768, 3867114732, 1355841295, 495546011, 621204420,
    ]);
  });

  it('repeats from equal seeds and differs from neighbouring ones', () => {
    const numbers = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 8 }, () => random.int32());
    };
    expect(numbers(7)).toEqual(numbers(7));
    expect(new Set([0, 1, 2, -1].flatMap(numbers)).size).toBe(32);
  });

  it('unit() lies in (0, 1], below(n) in 0 … n − 1, both without a bias that 100,000 draws could show', () => {
    const random = new Random(1);
    const units = Array.from({ length: 100_000 }, () => random.unit());
    expect(units.every(unit => unit > 0 && unit <= 1)).toBe(true);
    // Standard error of the mean: 0.2887 / √100000 = 0.0009.
    expect(units.reduce((sum, unit) => sum + unit) / units.length).toBeCloseTo(0.5, 2);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.below(7)]!++;
    // 10,000 each, standard deviation 93.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});
