/** Runs of the simulator: the same seed is the same run, what Keysteer does passes, and what is wrong does not. */
import { describe, expect, test } from 'vitest';
import { FAULTS } from './fault-names.ts';
import { STORED } from './memcached/store.ts';
import { type PlanOptions, planOf } from './plan.ts';
import { Random } from './random.ts';
import type { Mode } from './sim-config.ts';
import { type Report, Simulation, type SimulationOptions } from './simulation.ts';

/** All but the end of the whole process. */
const MOST = new Set(FAULTS.filter(name => name !== 'process'));
const MODES: readonly Mode[] = ['nat', 'gateway', 'dsr'];

function run(seed: number, plan: PlanOptions, options: SimulationOptions = {}): Promise<Report> {
  return new Simulation(planOf(seed, plan), options).run();
}

/** @throws Error that tells how to see it again */
function expectSound(report: Report): void {
  const [violation] = report.violations;
  if (violation !== undefined) throw new Error(`seed ${report.seed}: ${violation.key}: ${violation.text}`);
  if (report.error !== undefined) throw new Error(`seed ${report.seed}: ${report.error.stack}`);
}

describe('a seed is a run', () => {
  test.each(MODES)('%s: twice the same, to the last frame and the last answer', async mode => {
    const plan = { mode, hot: true, operations: 2000, faults: MOST } as const;
    const first = new Simulation(planOf(7, plan));
    const second = new Simulation(planOf(7, plan));
    const [one, two] = [await first.run(), await second.run()];
    expectSound(one);
    expect(two).toEqual(one);
    expect(second.history.operations).toEqual(first.history.operations);
  });

  test('another seed is another one', async () => {
    const plan = { operations: 300, mode: 'nat', faults: new Set<never>() } as const;
    expect((await run(1, plan)).digest).not.toBe((await run(2, plan)).digest);
  });

  test('to be watched changes nothing', async () => {
    const plan = { mode: 'nat', operations: 500, faults: MOST } as const;
    const lines: string[] = [];
    const watched = await run(3, plan, { trace: line => lines.push(line) });
    expect(watched.digest).toBe((await run(3, plan)).digest);
    expect(lines.length).toBeGreaterThan(2000);
    expect(lines.some(line => /client \d .*⇒ .*→ 10\.77\.0\.100:11211 #\d+ 1\/1 "get /.test(line))).toBe(true);
  });
});

describe('cold keys', () => {
  test.each(MODES)('%s: without faults every request is answered', async mode => {
    const report = await run(11, {
      mode,
      hot: false,
      operations: 5000,
      faults: new Set<never>(),
      workload: { noreply: 0 },
    });
    expectSound(report);
    expect(report.answered).toBe(report.operations);
  });

  test.each(MODES.flatMap(mode => [1, 2, 3, 4].map(seed => [mode, seed] as const)))(
    '%s, seed %i: each key is as linearizable as one memcached, whatever goes wrong',
    async (mode, seed) => {
      const report = await run(seed, { mode, hot: false, operations: 5000, faults: MOST, faultMs: 200 });
      expectSound(report);
      expect(report.faults).toBeGreaterThan(0);
    },
  );

  test('lanes die in the middle of everything', async () => {
    const report = await run(21, {
      mode: 'nat',
      hot: false,
      lanes: 3,
      operations: 5000,
      faults: new Set(['lane', 'stall']),
      faultMs: 20,
    });
    expectSound(report);
    expect(report.laneDeaths).toBeGreaterThan(10);
  });

  test.each([31, 32, 33, 34, 35, 36])('seed %i: whatever the seed says', async seed => {
    expectSound(await run(seed, { operations: 5000 }));
  });
});

describe('it bites', () => {
  const calm = { mode: 'nat', hot: false, operations: 4000, faults: new Set<never>() } as const;
  const busy = { keys: 20, skew: 0.9, reads: 0.6, ttls: 0, lists: 0, counters: 0 };

  test('a node that now and then answers with the value before', async () => {
    const report = await run(
      41,
      { ...calm, workload: busy },
      { prepare: simulation => forEachStore(simulation, staleReads) },
    );
    expect(report.violations.length).toBeGreaterThan(0);
  });

  test('a node that forgets what it has acknowledged', async () => {
    const plan = { ...calm, workload: { ...busy, lists: 1 } };
    const report = await run(42, plan, { prepare: simulation => forEachStore(simulation, lostAppends) });
    expect(report.violations.length).toBeGreaterThan(0);
  });

  test('a node whose items live a second too long', async () => {
    const report = await run(
      43,
      { ...calm, workload: { ...busy, ttls: 0.7 } },
      {
        prepare: simulation =>
          forEachStore(simulation, store => {
            const realTime = store.realTime.bind(store);
            store.realTime = exptime => (exptime === 0 ? 0 : realTime(exptime) + 2);
          }),
      },
    );
    expect(report.violations.length).toBeGreaterThan(0);
  });

  test('stores that the network repeats behind others, where nobody is told of it', async () => {
    const worst = { loss: 0, duplicate: 0.05, minMs: 0.1, meanMs: 10, maxMs: 50, stragglers: 0, reorders: true };
    const plan = {
      ...calm,
      faults: new Set(['duplicate', 'delay', 'reorder'] as const),
      faultMs: 50,
      worst,
      workload: busy,
    };
    const report = await run(44, plan, { ghosts: false });
    expect(report.violations.length).toBeGreaterThan(0);
    expectSound(await run(44, plan));
  });

  test('keys that move, where histories are not taken apart', async () => {
    const plan = { ...calm, nodes: 3, faults: new Set(['reload'] as const), faultMs: 100, workload: busy };
    expect((await run(45, plan, { isWhole: true })).violations.length).toBeGreaterThan(0);
    expectSound(await run(45, plan));
  });
});

type Store = Simulation['nodes'][number]['server']['store'];

function forEachStore(simulation: Simulation, spoil: (store: Store, random: Random) => void): void {
  for (const [index, node] of simulation.nodes.entries()) spoil(node.server.store, Random.stream(index, 'spoilt'));
}

function staleReads(store: Store, random: Random): void {
  const before = new Map<string, NonNullable<ReturnType<Store['get']>>>();
  const get = store.get.bind(store);
  const put = store.store.bind(store);
  store.get = key => (random.chance(0.02) && get(key) !== undefined ? before.get(key) : undefined) ?? get(key);
  store.store = (mode, key, ...rest) => {
    const old = store.items.get(key);
    if (old !== undefined) before.set(key, old);
    return put(mode, key, ...rest);
  };
}

function lostAppends(store: Store, random: Random): void {
  const put = store.store.bind(store);
  store.store = (mode, key, ...rest) =>
    mode === 'append' && store.find(key) !== undefined && random.chance(0.05) ? STORED : put(mode, key, ...rest);
}
