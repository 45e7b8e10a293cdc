/**
 * End to end with real memcached: the same closed-loop load straight to the nodes, through Keysteer, through the plain
 * proxy and through nginx, in turns, all on this machine's cores. Then, open loop at half of Keysteer's rate, the latency
 * that Keysteer adds to a direct request. The generator's own limit is measured against a sink in the same run.
 */

import { type LoadPlan, measureSystem, type SystemResult } from '../src/experiment/load-runner.ts';
import { startMemcachedNodes } from '../src/experiment/memcached-node.ts';
import {
  type RunningSystem,
  SYSTEM_NAMES,
  type SystemName,
  startSystem,
  systemUnavailable,
} from '../src/experiment/systems.ts';
import { buildTestBed, type TestBed } from '../src/experiment/topology.ts';
import { type Bench, type BenchOptions, type BenchReport, note, spreadOf } from './harness.ts';
import { measureGeneratorLimit } from './sink.ts';

const ROUNDS = 5;
const SECONDS = 3;
const NODES = 4;

/** Uniform keys, and none of them hot: what is measured is the forwarding. What the cache makes of it, `hotkeys` tells. */
const PLAN = { keyCount: 20_000, getRatio: 0.9, valueBytes: 64, window: 128, warmupSeconds: 0.5 } satisfies LoadPlan;

async function run({ rounds = ROUNDS, seconds = SECONDS }: BenchOptions): Promise<BenchReport> {
  const bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: NODES, kernelClients: false });
  try {
    const nodes = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const names = SYSTEM_NAMES.filter(name => systemUnavailable(name) === undefined);
    const flags = (name: SystemName) => (name === 'keysteer' ? ['--hot', 'off'] : []);
    const systems = await Promise.all(names.map(name => startSystem(bed, name, flags(name))));
    const measure = (system: RunningSystem, plan: LoadPlan) => measureSystem(bed, nodes, system, plan);
    const closed = await inTurns(systems, rounds, system => measure(system, { ...PLAN, seconds }));
    const rate = spreadOf(closed.get('keysteer')!.map(throughput)).median / 2;
    const pair = systems.filter(({ name }) => name === 'direct' || name === 'keysteer');
    const open = await inTurns(pair, rounds, system => measure(system, { ...PLAN, seconds, rate }));
    const sink = await measureGeneratorLimit(bed, PLAN, seconds);
    return report(bed, closed, open, rate, sink);
  } finally {
    await bed.close();
  }
}

type Rounds = Map<SystemName, SystemResult[]>;

async function inTurns(
  systems: readonly RunningSystem[],
  rounds: number,
  measure: (system: RunningSystem) => Promise<SystemResult>,
): Promise<Rounds> {
  const results: Rounds = new Map(systems.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const system of systems) {
      const result = await measure(system);
      results.get(system.name)!.push(result);
      const { requestsPerSecond, latency, lost, wrong } = result.load;
      note(
        `round ${round + 1}/${rounds} ${system.name.padEnd(10)} ${Math.round(requestsPerSecond)} requests/s  ` +
          `p50 ${latency.p50Us.toFixed(0)} µs  p99 ${latency.p99Us.toFixed(0)} µs  lost ${lost}  wrong ${wrong}  ` +
          `system's CPU ${(100 * result.cpuShare).toFixed(0)} %  generator's CPU ${((100 * result.load.cpuSeconds) / result.load.seconds).toFixed(0)} %`,
      );
    }
  }
  return results;
}

function throughput({ load }: SystemResult): number {
  return load.requestsPerSecond;
}

/** Median of the ratios within each round: what disturbs a round disturbs both sides of it. */
function ratio(rounds: Rounds, above: SystemName, below: SystemName) {
  const divisors = rounds.get(below)!;
  return spreadOf(rounds.get(above)!.map((result, round) => throughput(result) / throughput(divisors[round])));
}

function report(bed: TestBed, closed: Rounds, open: Rounds, rate: number, sink: number): BenchReport {
  const toPlain = ratio(closed, 'keysteer', 'plainProxy');
  const toDirect = ratio(closed, 'keysteer', 'direct');
  const systems = Object.fromEntries([...closed].map(([name, results]) => [name, figures(results)]));
  const latency = (name: SystemName, field: 'p50Us' | 'p99Us') =>
    spreadOf(open.get(name)!.map(({ load }) => load.latency[field]));
  const added = (field: 'p50Us' | 'p99Us') =>
    spreadOf(
      open.get('keysteer')!.map(({ load }, i) => load.latency[field] - open.get('direct')![i].load.latency[field]),
    );
  const round2 = (value: number) => Number(value.toFixed(2));
  return {
    headline:
      `compare: ${toPlain.median.toFixed(2)} × the plain proxy, ${toDirect.median.toFixed(2)} × direct ` +
      `(${Math.round(systems.keysteer.requestsPerSecond).toLocaleString('en')} requests/s through Keysteer)`,
    results: {
      ...systems,
      ratioToPlainProxy: round2(toPlain.median),
      ratioToDirect: round2(toDirect.median),
      ...(closed.has('nginx') ? { ratioToNginx: round2(ratio(closed, 'keysteer', 'nginx').median) } : {}),
      halfLoad: {
        requestsPerSecond: Math.round(rate),
        directP50Us: latency('direct', 'p50Us').median,
        directP99Us: latency('direct', 'p99Us').median,
        keysteerP50Us: latency('keysteer', 'p50Us').median,
        keysteerP99Us: latency('keysteer', 'p99Us').median,
        addedP50Us: added('p50Us').median,
        addedP99Us: added('p99Us').median,
      },
      generatorAgainstSink: { requestsPerSecond: Math.round(sink) },
      nodes: bed.nodes.length,
    },
    spread: {
      ratioToPlainProxy: toPlain,
      ratioToDirect: toDirect,
      ...Object.fromEntries([...closed].map(([name, results]) => [name, spreadOf(results.map(throughput))])),
      addedP50Us: added('p50Us'),
      addedP99Us: added('p99Us'),
    },
  };
}

function figures(results: readonly SystemResult[]) {
  const total = (field: 'lost' | 'wrong' | 'late' | 'duplicates' | 'misses') =>
    results.reduce((sum, { load }) => sum + load[field], 0);
  return {
    requestsPerSecond: Math.round(spreadOf(results.map(throughput)).median),
    p50Us: Math.round(spreadOf(results.map(({ load }) => load.latency.p50Us)).median),
    p99Us: Math.round(spreadOf(results.map(({ load }) => load.latency.p99Us)).median),
    cpuShare: Number(spreadOf(results.map(({ cpuShare }) => cpuShare)).median.toFixed(3)),
    lost: total('lost'),
    wrong: total('wrong'),
    late: total('late'),
    duplicates: total('duplicates'),
    misses: total('misses'),
  };
}

export const bench: Bench = {
  describe: `closed loop, ${PLAN.window} outstanding, ${100 * PLAN.getRatio} % GET, ${PLAN.valueBytes}-byte values, ${NODES} memcached nodes, hot keys off; client, balancer and nodes share the machine`,
  run,
};
