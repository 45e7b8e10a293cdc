import { describe, expect, test } from 'vitest';
import {
  type ControlledKey,
  type ControlledNode,
  type ControllerOptions,
  imbalanceOf,
  keysForBalance,
  planTreatment,
} from '../../src/hotkey/controller.ts';
import { choosers, measure, nodesEven, rankedKeys, serve, treatmentFor } from './balance.ts';

const OPTIONS: ControllerOptions = { imbalance: 1.1, keysMax: 2048, copiesMax: 64, cacheKeysMax: 0 };

function key(
  hash: number,
  home: number,
  nodes: number,
  estimate: number,
  more: Partial<ControlledKey> = {},
): ControlledKey {
  const places = Array.from({ length: nodes }, (_, i) => (home + i) % nodes);
  return { hash, estimate, writeShare: 0, places, cacheable: false, treated: false, ...more };
}

function nodesWith(...loads: number[]): ControlledNode[] {
  return loads.map(load => ({ weight: 1, available: true, load }));
}

describe('what is decided for a key', () => {
  test('nothing, while the nodes are within the bound', () => {
    const plan = planTreatment(nodesWith(105, 100, 95), [key(1, 0, 3, 50)], OPTIONS);
    expect(plan.decisions).toEqual([{ hash: 1, treatment: 'leave', copies: 1 }]);
    expect(plan).toMatchObject({ met: true, untreatedImbalance: 1.05, predictedImbalance: 1.05 });
  });

  test('copies for a hot key, as many as it takes', () => {
    const plan = planTreatment(nodesWith(400, 100, 100, 100), [key(1, 0, 4, 300)], OPTIONS);
    expect(plan.decisions).toEqual([{ hash: 1, treatment: 'replicate', copies: 4 }]);
    expect(plan.met).toBe(true);
    expect([...plan.predictedLoads]).toEqual([175, 175, 175, 175]);
  });

  test('the cache, when it is on and the value fits: the home keeps the writes', () => {
    const options = { ...OPTIONS, cacheKeysMax: 1 };
    const keys = [
      key(1, 0, 4, 300, { writeShare: 0.1, cacheable: true }),
      key(2, 1, 4, 60, { cacheable: true }),
      key(3, 0, 4, 400),
    ];
    const plan = planTreatment(nodesWith(800, 160, 100, 100), keys, options);
    expect(plan.decisions.map(({ treatment }) => treatment)).toEqual(['cache', 'leave', 'replicate']);
    // All that is left: 1160 − 270 cached reads.
    expect(plan.predictedLoads.reduce((sum, load) => sum + load, 0)).toBeCloseTo(890);
    expect(plan.met).toBe(true);
  });

  test('a key that is mostly written is left alone, and the plan says so', () => {
    const keys = [key(1, 0, 4, 300, { writeShare: 0.8, cacheable: true })];
    const plan = planTreatment(nodesWith(400, 100, 100, 100), keys, { ...OPTIONS, cacheKeysMax: 10 });
    expect(plan.decisions[0]!.treatment).toBe('leave');
    expect(plan.met).toBe(false);
    expect([...plan.limits]).toEqual([[0, 'writes']]);
    expect(plan.predictedImbalance).toBeCloseTo(plan.untreatedImbalance);
  });

  test('the extra writes of copies count against the mean without them', () => {
    const keys = [key(1, 0, 4, 300, { writeShare: 0.4 })];
    const plan = planTreatment(nodesWith(300, 0, 0, 0), keys, OPTIONS);
    // 120 writes at every copy: no node can be below 120 + 180/4 = 165, beside a mean of 75.
    expect(plan.met).toBe(false);
    expect(Math.max(...plan.predictedLoads)).toBeLessThanOrEqual(300);
    expect([...plan.limits.values()]).toContain('writes');
  });

  test('a key that is treated already counts on top of what its home was measured to carry', () => {
    const plan = planTreatment(nodesWith(100, 100, 100, 100), [key(1, 0, 4, 300, { treated: true })], OPTIONS);
    expect(plan.untreatedImbalance).toBeCloseTo(400 / 175);
    expect(plan.decisions[0]).toMatchObject({ treatment: 'replicate', copies: 4 });
  });

  test('cold load that nobody named cannot be moved, and the plan says so', () => {
    const plan = planTreatment(nodesWith(200, 100, 100), [key(1, 0, 3, 20)], OPTIONS);
    expect(plan.met).toBe(false);
    expect([...plan.limits]).toEqual([[0, 'cold']]);
    expect(plan.predictedImbalance).toBeCloseTo(180 / (400 / 3));
  });

  test('bounds are kept: keys, copies; and named as what stood in the way', () => {
    const keys = Array.from({ length: 10 }, (_, i) => key(i, 0, 4, 50));
    const fewKeys = planTreatment(nodesWith(600, 100, 100, 100), keys, { ...OPTIONS, keysMax: 3 });
    expect(fewKeys.decisions.filter(({ treatment }) => treatment !== 'leave').length).toBe(3);
    expect([...fewKeys.limits]).toEqual([[0, 'keys']]);
    const fewCopies = planTreatment(nodesWith(600, 100, 100, 100), [key(1, 0, 4, 500)], { ...OPTIONS, copiesMax: 2 });
    expect(fewCopies.decisions[0]!.copies).toBe(2);
    expect([...fewCopies.limits.values()]).toEqual(['copies', 'copies']);
  });

  test('weights: a node of weight 2 carries twice as much; one that is out or drained does not count', () => {
    const nodes: ControlledNode[] = [
      { weight: 2, available: true, load: 600 },
      { weight: 1, available: true, load: 100 },
      { weight: 1, available: false, load: 0 },
      { weight: 0, available: true, load: 3 },
    ];
    const hot = { ...key(1, 0, 2, 500), places: [0, 1] };
    const plan = planTreatment(nodes, [hot], OPTIONS);
    expect(plan.met).toBe(true);
    expect(plan.predictedLoads[0]! / plan.predictedLoads[1]!).toBeCloseTo(2);
    expect(imbalanceOf(nodes, [600, 100, 0, 3])).toBeCloseTo(600 / 2 / (700 / 3));
  });

  test('no nodes, no keys, no load: nothing to do', () => {
    expect(planTreatment([], [], OPTIONS)).toMatchObject({ met: true, predictedImbalance: 1 });
    expect(planTreatment(nodesWith(0, 0), [], OPTIONS)).toMatchObject({ met: true, predictedImbalance: 1 });
    expect(() => planTreatment([], [], { ...OPTIONS, imbalance: 1 })).toThrow(RangeError);
    expect([16, 64].map(keysForBalance)).toEqual([45, 267]);
  });
});

describe('replication alone, on a ketama ring, keys found by the detector, another stream served under the plan', () => {
  test.each([
    [16, 0.99, 100_000],
    [16, 0.99, 1_000_000],
    [16, 1.2, 1_000_000],
    [64, 0.99, 100_000],
    [64, 0.99, 1_000_000],
    [64, 1.2, 1_000_000],
  ])('%i nodes, Zipf %f, %i keys: max/mean ≤ 1.10', (nodes, exponent, keys) => {
    const learnt = measure(nodesEven(nodes), rankedKeys(keys), exponent, 0, 70);
    const plan = treatmentFor(learnt, OPTIONS);
    expect(plan.untreatedImbalance).toBeGreaterThan(1.1);
    expect(plan.met).toBe(true);
    for (const [name, choose] of Object.entries(choosers)) {
      const loads = serve(learnt, plan, choose, 71);
      const measured = imbalanceOf(learnt.nodes, loads);
      expect(measured, `${name}: ${measured}`).toBeLessThanOrEqual(1.1);
      if (choose === choosers.leastLoaded) expect(Math.abs(measured - plan.predictedImbalance)).toBeLessThan(0.025);
    }
  });

  test.each([0, 0.05, 0.25, 0.5])('%f writes: the busiest node is never busier than with hashing alone', writeShare => {
    const learnt = measure(nodesEven(16), rankedKeys(100_000), 1.2, writeShare, 72);
    const plan = treatmentFor(learnt, OPTIONS);
    const loads = serve(learnt, plan, choosers.leastLoaded, 73);
    const alone = serve(learnt, undefined, choosers.leastLoaded, 73);
    expect(Math.max(...loads)).toBeLessThanOrEqual(1.03 * Math.max(...alone));
  });
});
