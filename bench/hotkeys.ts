/**
 * Skewed load end to end with real memcached: straight to the nodes, through Keysteer as it comes (hot keys on), through the
 * plain proxy and through nginx, in turns, all on this machine's cores, equally many requests outstanding, every value
 * verified. Beside the rate: what the serving side, which is balancer and nodes, gets done in a second of CPU time.
 *
 * The hit ratio is of reads in the measured time; layers share it as the keeper counted reads of their keys, whole epochs.
 */
import type { Status } from '../src/control/admin/status.ts';
import { type LoadPlan, runClients } from '../src/experiment/load-runner.ts';
import { type MemcachedNode, startMemcachedNodes } from '../src/experiment/memcached-node.ts';
import {
  type RunningSystem,
  SYSTEM_NAMES,
  type SystemName,
  startSystem,
  systemUnavailable,
} from '../src/experiment/systems.ts';
import { buildTestBed, type TestBed } from '../src/experiment/topology.ts';
import type { LoadResult } from '../src/load/result.ts';
import { type Bench, type BenchOptions, type BenchReport, note, type Spread, spreadOf } from './harness.ts';
import { statusOf } from './running-keysteer.ts';
import { type Measured, measureWindow } from './window.ts';

const ROUNDS = 5;
const SECONDS = 4;
const NODES = 4;
const SKEWS = { zipf_1_2: 1.2, zipf_0_99: 0.99 } as const;
type SkewName = keyof typeof SKEWS;
const SKEW_NAMES = Object.keys(SKEWS) as SkewName[];

/** The warm-up is long enough for several epochs of the keeper. */
const PLAN = { keyCount: 100_000, getRatio: 0.95, valueBytes: 64, window: 128, warmupSeconds: 4 } satisfies LoadPlan;

/**
 * Before the first round, at each skew: a lane is fast once V8 has compiled what it does, and a key that is asked for once a
 * second takes a while to be found.
 */
const SETTLE_SECONDS = 20;

interface SystemRound {
  readonly load: LoadResult;
  /** CPU seconds a second: of the balancer (none for `direct`) and of the nodes. */
  readonly balancerCpu: number;
  readonly nodesCpu: number;
  /** Keysteer alone. */
  readonly hits?: Hits;
}

/** Shares of the reads. */
interface Hits {
  readonly l1: number;
  readonly l2: number;
  readonly all: number;
  /** Of all requests: those that waited for a write of their key, or for its value. One that waits twice counts twice. */
  readonly waited: number;
}

type Rounds = Record<SkewName, Map<SystemName, SystemRound[]>>;

async function run({ rounds = ROUNDS, seconds = SECONDS }: BenchOptions): Promise<BenchReport> {
  const bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: NODES, kernelClients: false });
  try {
    const nodes = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const names = SYSTEM_NAMES.filter(name => systemUnavailable(name) === undefined);
    const systems = await Promise.all(names.map(name => startSystem(bed, name)));
    for (const system of systems.filter(({ name }) => name === 'keysteer' || name === 'plainProxy')) {
      note(`${system.name}: ${SETTLE_SECONDS} s at each skew until all is compiled, and hot keys are found`);
      for (const skew of SKEW_NAMES)
        await runClients(bed, system, { ...PLAN, zipf: SKEWS[skew], warmupSeconds: 0, seconds: SETTLE_SECONDS });
    }
    const measured: Rounds = { zipf_1_2: new Map(), zipf_0_99: new Map() };
    for (let round = 1; round <= rounds; round++) {
      for (const skew of SKEW_NAMES) {
        for (const system of systems) {
          const result = await measure(bed, nodes, system, SKEWS[skew], seconds);
          measured[skew].set(system.name, [...(measured[skew].get(system.name) ?? []), result]);
          note(`round ${round}/${rounds} ${skew.padEnd(9)} ${system.name.padEnd(10)} ${line(result)}`);
        }
      }
    }
    return report(measured);
  } finally {
    await bed.close();
  }
}

async function measure(
  bed: TestBed,
  nodes: readonly MemcachedNode[],
  system: RunningSystem,
  zipf: number,
  seconds: number,
): Promise<SystemRound> {
  // What an earlier load left would be read where this one, by another way of choosing nodes, did not write.
  await Promise.all(nodes.map(node => node.ask('flush_all')));
  const pids = [system.pids, nodes.map(({ group }) => group.pid)];
  const ask = () => (system.name === 'keysteer' ? statusOf(system) : undefined);
  const measured = await measureWindow(bed, system, { ...PLAN, zipf, seconds }, pids, ask);
  const [balancerCpu, nodesCpu] = measured.cpuShares;
  return { load: measured.load, balancerCpu, nodesCpu, hits: hitsOf(measured) };
}

function hitsOf({ begin, end }: Measured<Status | undefined>): Hits | undefined {
  const [before, after] = [begin.figures, end.figures];
  if (before === undefined || after === undefined) return undefined;
  const counted = (name: string) => (after.counters[name] ?? 0) - (before.counters[name] ?? 0);
  const hits = counted('hot_hits') + counted('hot_misses');
  const layer = (name: 'l1Reads' | 'l2Reads') => (after.hot?.counts[name] ?? 0) - (before.hot?.counts[name] ?? 0);
  const inL1 = layer('l1Reads') / Math.max(1, layer('l1Reads') + layer('l2Reads'));
  const all = hits / Math.max(1, counted('reads') + hits);
  const requests = counted('reads') + counted('writes') + hits + counted('hot_writes');
  return { l1: all * inL1, l2: all * (1 - inL1), all, waited: counted('hot_waits') / Math.max(1, requests) };
}

function perCpuSecond({ load, balancerCpu, nodesCpu }: SystemRound): number {
  return load.requestsPerSecond / (balancerCpu + nodesCpu);
}

function line(result: SystemRound): string {
  const { requestsPerSecond, latency, lost, wrong, cpuSeconds, seconds } = result.load;
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  return (
    `${Math.round(requestsPerSecond)} requests/s  p50 ${latency.p50Us.toFixed(0)} µs  p99 ${latency.p99Us.toFixed(0)} µs  ` +
    `lost ${lost}  wrong ${wrong}  CPU of balancer ${percent(result.balancerCpu)}, nodes ${percent(result.nodesCpu)}, ` +
    `generator ${percent(cpuSeconds / seconds)}${result.hits === undefined ? '' : `  hits ${percent(result.hits.all)}`}`
  );
}

type Quantity = (result: SystemRound) => number;
const throughput: Quantity = ({ load }) => load.requestsPerSecond;
const p99: Quantity = ({ load }) => load.latency.p99Us;

/** Median of the ratios within each round: what disturbs a round disturbs both sides of it. */
function ratio(measured: Rounds[SkewName], of: Quantity, below: SystemName): Spread {
  const divisors = measured.get(below)!;
  return spreadOf(measured.get('keysteer')!.map((result, round) => of(result) / of(divisors[round])));
}

function report(measured: Rounds): BenchReport {
  const rows = Object.fromEntries(SKEW_NAMES.map(skew => [skew, rowOf(measured[skew])])) as Record<SkewName, Row>;
  const percent = (share: number) => (100 * share).toFixed(0);
  return {
    headline:
      `hotkeys: ${rows.zipf_1_2.ratioToDirect} × direct at Zipf 1.2, ${rows.zipf_0_99.ratioToDirect} × at 0.99 ` +
      `(${percent(rows.zipf_1_2.hitRatio)} % and ${percent(rows.zipf_0_99.hitRatio)} % of the reads answered by Keysteer)`,
    results: { ...rows, nodes: NODES },
    spread: Object.fromEntries(SKEW_NAMES.map(skew => [skew, spreadsOf(measured[skew])])),
  };
}

type Row = ReturnType<typeof rowOf>;

/** Figures of Keysteer, ratios, and every system's own. */
function rowOf(measured: Rounds[SkewName]) {
  const systems = Object.fromEntries([...measured].map(([name, results]) => [name, figuresOf(results)]));
  const { requestsPerSecond, requestsPerCpuSecond, p99Us, lost, wrong } = systems.keysteer;
  const share = (layer: keyof Hits) => median(measured.get('keysteer')!, result => result.hits?.[layer] ?? 0, 3);
  const compared = (of: Quantity, below: SystemName) => Number(ratio(measured, of, below).median.toFixed(2));
  return {
    ratioToDirect: compared(throughput, 'direct'),
    ratioToPlainProxy: compared(throughput, 'plainProxy'),
    ...(measured.has('nginx') ? { ratioToNginx: compared(throughput, 'nginx') } : {}),
    requestsPerSecond,
    requestsPerCpuSecond,
    requestsPerCpuSecondToDirect: compared(perCpuSecond, 'direct'),
    p99Us,
    p99ToDirect: compared(p99, 'direct'),
    hitRatio: share('all'),
    hitRatioByLayer: { l1: share('l1'), l2: share('l2') },
    waitedRatio: share('waited'),
    lost,
    wrong,
    systems,
  };
}

function median(results: readonly SystemRound[], of: Quantity, digits = 0): number {
  return Number(spreadOf(results.map(of)).median.toFixed(digits));
}

function figuresOf(results: readonly SystemRound[]) {
  const total = (field: 'lost' | 'wrong' | 'late' | 'duplicates' | 'misses' | 'errors') =>
    results.reduce((sum, { load }) => sum + load[field], 0);
  return {
    requestsPerSecond: median(results, throughput),
    requestsPerCpuSecond: median(results, perCpuSecond),
    p50Us: median(results, ({ load }) => load.latency.p50Us),
    p99Us: median(results, p99),
    balancerCpuShare: median(results, ({ balancerCpu }) => balancerCpu, 3),
    nodesCpuShare: median(results, ({ nodesCpu }) => nodesCpu, 3),
    generatorCpuShare: median(results, ({ load }) => load.cpuSeconds / load.seconds, 3),
    lost: total('lost'),
    wrong: total('wrong'),
    late: total('late'),
    duplicates: total('duplicates'),
    misses: total('misses'),
    errors: total('errors'),
  };
}

function spreadsOf(measured: Rounds[SkewName]) {
  return {
    ratioToDirect: ratio(measured, throughput, 'direct'),
    ratioToPlainProxy: ratio(measured, throughput, 'plainProxy'),
    ...(measured.has('nginx') ? { ratioToNginx: ratio(measured, throughput, 'nginx') } : {}),
    requestsPerCpuSecondToDirect: ratio(measured, perCpuSecond, 'direct'),
    p99ToDirect: ratio(measured, p99, 'direct'),
    hitRatio: spreadOf(measured.get('keysteer')!.map(({ hits }) => hits?.all ?? 0)),
    ...Object.fromEntries([...measured].map(([name, results]) => [name, spreadOf(results.map(throughput))])),
  };
}

export const bench: Bench = {
  describe: `closed loop, ${PLAN.window} outstanding, ${PLAN.keyCount} keys by Zipf, ${100 * PLAN.getRatio} % GET, ${PLAN.valueBytes}-byte values, ${NODES} memcached nodes; client, balancer and nodes share the machine`,
  run,
};
