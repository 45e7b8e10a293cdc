/**
 * Ten keys in one request: through Keysteer, the same keys asked one by one through Keysteer, and straight to the nodes
 * with one multi-get each. In turns, closed loop, as many keys outstanding in each; a group counts when it is answered in
 * full. Client, balancer and nodes share this machine.
 */
import { fileURLToPath } from 'node:url';
import { cpuSeconds, runClients } from '../src/experiment/load-runner.ts';
import { startMemcachedNodes } from '../src/experiment/memcached-node.ts';
import { type RunningSystem, startSystem } from '../src/experiment/systems.ts';
import { buildTestBed, type TestBed } from '../src/experiment/topology.ts';
import { type Bench, type BenchOptions, type BenchReport, note, type Spread, spreadOf } from './harness.ts';
import type { MultigetClientOptions, MultigetClientResult, MultigetMode } from './multiget-client.ts';

const ROUNDS = 5;
const SECONDS = 2;
const NODES = 4;
const KEYS = 20_000;
const KEYS_PER_REQUEST = 10;
const VALUE_BYTES = 64;
/** Groups outstanding: 160 keys. */
const WINDOW = 16;
const WARMUP_SECONDS = 0.5;
/** Before the first round: a lane is fast once V8 has compiled what it does, and each way takes another path. */
const COMPILE_SECONDS = 2;
const CLIENT = fileURLToPath(new URL('./multiget-client.bundle.js', import.meta.url));

const WAYS = ['keysteer', 'oneByOne', 'direct'] as const;
type Way = (typeof WAYS)[number];
const MODES: Readonly<Record<Way, MultigetMode>> = { keysteer: 'multi', oneByOne: 'single', direct: 'nodes' };

interface Measured extends MultigetClientResult {
  /** CPU time a key of the nodes and, but for `direct`, of Keysteer; warm-up included, so a little too long. */
  readonly nodesUsPerKey: number;
  readonly systemUsPerKey: number;
}

type Rounds = Record<Way, Measured[]>;

async function run({ rounds = ROUNDS, seconds = SECONDS }: BenchOptions): Promise<BenchReport> {
  const bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: NODES, kernelClients: false });
  try {
    const nodes = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const pids = nodes.map(({ group }) => group.pid);
    const keysteer = await startSystem(bed, 'keysteer');
    const direct = await startSystem(bed, 'direct');
    await runClients(bed, keysteer, { keyCount: KEYS, valueBytes: VALUE_BYTES, seconds: 0, warmupSeconds: 0 });
    for (const way of ['keysteer', 'oneByOne'] as const) await measure(bed, way, keysteer, pids, COMPILE_SECONDS);
    const measured: Rounds = { keysteer: [], oneByOne: [], direct: [] };
    for (let round = 1; round <= rounds; round++) {
      for (const way of WAYS) {
        const result = await measure(bed, way, way === 'direct' ? direct : keysteer, pids, seconds);
        measured[way].push(result);
        note(`round ${round}/${rounds} ${way.padEnd(9)} ${line(result)}`);
      }
    }
    return report(measured);
  } finally {
    await bed.close();
  }
}

async function measure(
  bed: TestBed,
  way: Way,
  system: RunningSystem,
  nodePids: readonly number[],
  seconds: number,
): Promise<Measured> {
  const [client] = bed.clients;
  const path = system.path(client);
  const options: MultigetClientOptions = {
    interface: path.interface,
    address: path.address,
    targets: system.targets,
    mode: MODES[way],
    keyCount: KEYS,
    keysPerGroup: KEYS_PER_REQUEST,
    window: WINDOW,
    warmupSeconds: WARMUP_SECONDS,
    seconds,
  };
  const before = [cpuSeconds(nodePids), cpuSeconds(system.pids)];
  const group = bed.namespaces.spawn(client.host, [process.execPath, CLIENT, JSON.stringify(options)]);
  const { code } = await group.ended;
  if (code !== 0) throw new Error(`the client ended with status ${code}: ${group.output}`);
  const result = JSON.parse(group.output.trim().split('\n').at(-1)!) as MultigetClientResult;
  const keys = result.keysPerSecond * (seconds + WARMUP_SECONDS);
  return {
    ...result,
    nodesUsPerKey: ((cpuSeconds(nodePids) - before[0]) * 1e6) / keys,
    systemUsPerKey: ((cpuSeconds(system.pids) - before[1]) * 1e6) / keys,
  };
}

function line({ keysPerSecond, p50Us, p99Us, lost, wrong }: Measured): string {
  return `${Math.round(keysPerSecond)} keys/s  p50 ${p50Us} µs  p99 ${p99Us} µs  lost ${lost}  wrong ${wrong}`;
}

/** Median of the ratios within each round: what disturbs a round disturbs both sides of it. */
function ratio(measured: Rounds, above: Way, below: Way): Spread {
  return spreadOf(measured[above].map((result, i) => result.keysPerSecond / measured[below][i].keysPerSecond));
}

function report(measured: Rounds): BenchReport {
  const toOneByOne = ratio(measured, 'keysteer', 'oneByOne');
  const toDirect = ratio(measured, 'keysteer', 'direct');
  const figures = Object.fromEntries(WAYS.map(way => [way, figuresOf(measured[way])])) as Record<Way, Figures>;
  return {
    headline:
      `multiget: ${toOneByOne.median.toFixed(2)} × one by one, ${toDirect.median.toFixed(2)} × direct multi-get ` +
      `(${figures.keysteer.keysPerSecond.toLocaleString('en')} keys/s in requests for ${KEYS_PER_REQUEST})`,
    results: {
      ...figures,
      ratioToOneByOne: Number(toOneByOne.median.toFixed(2)),
      ratioToDirect: Number(toDirect.median.toFixed(2)),
      keysPerRequest: KEYS_PER_REQUEST,
      nodes: NODES,
    },
    spread: {
      ratioToOneByOne: toOneByOne,
      ratioToDirect: toDirect,
      ...Object.fromEntries(WAYS.map(way => [way, spreadOf(measured[way].map(result => result.keysPerSecond))])),
    },
  };
}

type Figures = ReturnType<typeof figuresOf>;

function figuresOf(results: readonly Measured[]) {
  const median = (field: keyof Measured) => spreadOf(results.map(result => result[field])).median;
  const total = (field: 'lost' | 'wrong' | 'ringDropped') => results.reduce((sum, result) => sum + result[field], 0);
  return {
    requestsPerSecond: Math.round(median('groupsPerSecond')),
    keysPerSecond: Math.round(median('keysPerSecond')),
    p50Us: Math.round(median('p50Us')),
    p99Us: Math.round(median('p99Us')),
    nodesUsPerKey: Number(median('nodesUsPerKey').toFixed(2)),
    systemUsPerKey: Number(median('systemUsPerKey').toFixed(2)),
    lost: total('lost'),
    wrong: total('wrong'),
    ringDropped: total('ringDropped'),
  };
}

export const bench: Bench = {
  describe: `groups of ${KEYS_PER_REQUEST} keys, closed loop, ${WINDOW} groups outstanding, ${VALUE_BYTES}-byte values, ${NODES} memcached nodes; client, balancer and nodes share the machine`,
  run,
};
