/** Many runs with hot keys, for the files hot-keys-*.test.ts: seeds from one to another, each of them sound. */
import { expect, test } from 'vitest';
import { planOf } from './plan.ts';
import type { Mode } from './sim-config.ts';
import { Simulation } from './simulation.ts';

const RUN_OPERATIONS = 5000;
const SEEDS_AT_ONCE = 10;

/** Tests of `runs` runs, from the seed `from` on: so many operations, times RUN_OPERATIONS, at least. */
export function testSeeds(mode: Mode, from: number, runs: number): void {
  for (let first = from; first < from + runs; first += SEEDS_AT_ONCE) {
    const last = Math.min(first + SEEDS_AT_ONCE, from + runs) - 1;
    test(`${mode}, seeds ${first} to ${last}`, async () => {
      for (let seed = first; seed <= last; seed++) await expectSound(seed, mode);
    });
  }
}

async function expectSound(seed: number, mode: Mode): Promise<void> {
  const report = await new Simulation(planOf(seed, { mode, hot: true, operations: RUN_OPERATIONS })).run();
  const [violation] = report.violations;
  const again = `npm run sim -- --seed ${seed} --mode ${mode} --hot on --operations ${RUN_OPERATIONS}`;
  if (violation !== undefined) throw new Error(`${again}\n${violation.key}: ${violation.text}`);
  if (report.error !== undefined) throw new Error(`${again}\n${report.error.stack}`);
  expect(report.operations).toBeGreaterThanOrEqual(RUN_OPERATIONS);
}
