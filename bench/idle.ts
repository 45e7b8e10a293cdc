/**
 * Keysteer at rest: the share of a core that it takes with nothing to do, and the median latency that it adds to a trickle
 * of 100 requests/s, direct and through it in turns.
 */
import { cpuSeconds, type LoadPlan, measureSystem } from '../src/experiment/load-runner.ts';
import { startMemcachedNodes } from '../src/experiment/memcached-node.ts';
import { startSystem } from '../src/experiment/systems.ts';
import { buildTestBed } from '../src/experiment/topology.ts';
import { type Bench, type BenchOptions, type BenchReport, note, spreadOf } from './harness.ts';

const ROUNDS = 5;
const SECONDS = 4;
const RATE = 100;
const PLAN = {
  keyCount: 1000,
  getRatio: 0.9,
  valueBytes: 64,
  rate: RATE,
  spacing: 'uniform',
  warmupSeconds: 0.5,
} satisfies LoadPlan;

async function run({ rounds = ROUNDS, seconds = SECONDS }: BenchOptions): Promise<BenchReport> {
  const bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: 1, kernelClients: false });
  try {
    const nodes = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const direct = await startSystem(bed, 'direct');
    const keysteer = await startSystem(bed, 'keysteer');
    const shares: number[] = [];
    const p50 = { direct: [] as number[], keysteer: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      shares.push(await shareAtRest(keysteer.pids, seconds));
      for (const [name, system] of [
        ['direct', direct],
        ['keysteer', keysteer],
      ] as const) {
        const { load } = await measureSystem(bed, nodes, system, { ...PLAN, seconds });
        p50[name].push(load.latency.p50Us);
      }
      note(
        `round ${round + 1}/${rounds} CPU at rest ${(100 * shares[round]).toFixed(2)} %  p50 direct ${p50.direct[round].toFixed(0)} µs, through Keysteer ${p50.keysteer[round].toFixed(0)} µs`,
      );
    }
    return report(shares, p50);
  } finally {
    await bed.close();
  }
}

async function shareAtRest(pids: readonly number[], seconds: number): Promise<number> {
  const before = cpuSeconds(pids);
  const startedMs = performance.now();
  await new Promise(resolve => setTimeout(resolve, seconds * 1000));
  return (cpuSeconds(pids) - before) / ((performance.now() - startedMs) / 1000);
}

function report(
  shares: readonly number[],
  p50: { direct: readonly number[]; keysteer: readonly number[] },
): BenchReport {
  const share = spreadOf(shares);
  const added = spreadOf(p50.keysteer.map((value, round) => value - p50.direct[round]));
  return {
    headline: `idle: ${(100 * share.median).toFixed(2)} % of a core at rest, ${added.median.toFixed(0)} µs added to the median at ${RATE} requests/s`,
    results: {
      cpuShareAtRest: Number(share.median.toFixed(4)),
      addedP50Us: Number(added.median.toFixed(1)),
      directP50Us: Number(spreadOf(p50.direct).median.toFixed(1)),
      keysteerP50Us: Number(spreadOf(p50.keysteer).median.toFixed(1)),
    },
    spread: { cpuShareAtRest: share, addedP50Us: added },
  };
}

export const bench: Bench = { describe: `CPU share at rest, and latency added at ${RATE} requests/s`, run };
