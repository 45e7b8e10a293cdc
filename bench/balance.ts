/**
 * Balance by replication alone: sixteen nodes, each held to NODE_RATE answers a second, so that nodes are the limit and a
 * crowded one slows everybody down. Keysteer without its cache, hot keys copied to more nodes, against the same Keysteer
 * with hot keys left alone, which is consistent hashing alone; in turns, closed loop, from reads only to half writes.
 *
 * The load of a node is what it has answered in the measured time, as the queue before it counted, Keysteer's own requests
 * (copies, writes of copies) among it.
 */
import type { Status } from '../src/control/admin/status.ts';
import type { LoadPlan } from '../src/experiment/load-runner.ts';
import { type MemcachedNode, startMemcachedNodes } from '../src/experiment/memcached-node.ts';
import { limitNodes, type NodeMeter } from '../src/experiment/node-limit.ts';
import { startSystem } from '../src/experiment/systems.ts';
import { buildTestBed, type TestBed } from '../src/experiment/topology.ts';
import type { LoadResult } from '../src/load/result.ts';
import { type Bench, type BenchOptions, type BenchReport, note, type Spread, spreadOf } from './harness.ts';
import { configFlags, statusOf } from './running-keysteer.ts';
import { measureWindow } from './window.ts';

const ROUNDS = 3;
const SECONDS = 6;
const NODES = 16;
/** Answers a second of one node: all nodes together well below what the machine forwards. */
const NODE_RATE = 1500;
const IMBALANCE = 1.1;

const SKEWS = { zipf_0_99: 0.99, zipf_1_2: 1.2 } as const;
const WRITES = { writes_0: 0, writes_5: 0.05, writes_25: 0.25, writes_50: 0.5 } as const;
type SkewName = keyof typeof SKEWS;
type WritesName = keyof typeof WRITES;
const SKEW_NAMES = Object.keys(SKEWS) as SkewName[];
const WRITES_NAMES = Object.keys(WRITES) as WritesName[];

const HOT = {
  hashing: { enabled: false },
  replication: { cache: false, imbalance: IMBALANCE, copies_max: NODES },
} as const;
type Way = keyof typeof HOT;
const WAYS = Object.keys(HOT) as Way[];

/** Copies are read two seconds after they were made, and the controller takes some epochs. */
const PLAN = {
  keyCount: 100_000,
  valueBytes: 64,
  window: 256,
  prefillWindow: 256,
  warmupSeconds: 8,
  // All that is outstanding may wait before one node.
  timeoutMs: 2000,
} satisfies LoadPlan;

interface WayRound {
  readonly load: LoadResult;
  /** Of the node with most answers, and the mean. */
  readonly maxOverMean: number;
  /** Answers of all nodes a second: of clients' requests and Keysteer's own. */
  readonly nodesPerSecond: number;
  /** As Keysteer saw it at the end; replication alone. */
  readonly hot: Status['hot'];
}

type WayRounds = Record<Way, WayRound[]>;
type Rounds = Record<SkewName, Record<WritesName, WayRounds>>;

async function run({ rounds = ROUNDS, seconds = SECONDS }: BenchOptions): Promise<BenchReport> {
  const bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: NODES, kernelClients: false });
  try {
    const nodes = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const meter = limitNodes(bed, NODE_RATE);
    const flags = { hashing: configFlags({ hot: HOT.hashing }), replication: configFlags({ hot: HOT.replication }) };
    const measured = emptyRounds();
    for (let round = 1; round <= rounds; round++) {
      for (const [skew, writes, way] of turns()) {
        const plan = { ...PLAN, zipf: SKEWS[skew], getRatio: 1 - WRITES[writes], seconds };
        const result = await measure(bed, nodes, meter, flags[way], plan);
        measured[skew][writes][way].push(result);
        note(`round ${round}/${rounds} ${skew.padEnd(9)} ${writes.padEnd(9)} ${way.padEnd(11)} ${line(result)}`);
      }
    }
    return report(measured);
  } finally {
    await bed.close();
  }
}

function emptyRounds(): Rounds {
  const ways = (): WayRounds => ({ hashing: [], replication: [] });
  const row = () => Object.fromEntries(WRITES_NAMES.map(name => [name, ways()])) as Record<WritesName, WayRounds>;
  return { zipf_0_99: row(), zipf_1_2: row() };
}

function* turns(): Generator<[SkewName, WritesName, Way]> {
  for (const skew of SKEW_NAMES) for (const writes of WRITES_NAMES) for (const way of WAYS) yield [skew, writes, way];
}

/** A Keysteer of its own for each: what it knows of keys is of this load. */
async function measure(
  bed: TestBed,
  nodes: readonly MemcachedNode[],
  meter: NodeMeter,
  flags: readonly string[],
  plan: LoadPlan & { readonly seconds: number },
): Promise<WayRound> {
  await Promise.all(nodes.map(node => node.ask('flush_all')));
  const keysteer = await startSystem(bed, 'keysteer', flags);
  try {
    const { load, begin, end, seconds } = await measureWindow(bed, keysteer, plan, [], () => meter.frames());
    const { hot } = await statusOf(keysteer);
    const loads = end.figures.map((frames, node) => frames - begin.figures[node]);
    const total = loads.reduce((sum, frames) => sum + frames, 0);
    return { load, maxOverMean: Math.max(...loads) / (total / NODES), nodesPerSecond: total / seconds, hot };
  } finally {
    await keysteer.stop();
  }
}

function line({ load, maxOverMean, nodesPerSecond, hot }: WayRound): string {
  const copies = hot === null ? '' : `  ${hot.replicated} keys copied, ${hot.copies} copies`;
  return (
    `${Math.round(load.requestsPerSecond)} requests/s  max/mean ${maxOverMean.toFixed(2)}  ` +
    `p99 ${(load.latency.p99Us / 1000).toFixed(0)} ms  lost ${load.lost}  wrong ${load.wrong}  ` +
    `nodes ${Math.round(nodesPerSecond)} answers/s${copies}`
  );
}

/** Median of the ratios within each round: what disturbs a round disturbs both sides of it. */
function ratioToHashing({ replication, hashing }: WayRounds): Spread {
  return spreadOf(replication.map(({ load }, round) => load.requestsPerSecond / hashing[round].load.requestsPerSecond));
}

function report(measured: Rounds): BenchReport {
  const cell = (skew: SkewName, writes: WritesName) => cellOf(measured[skew][writes]);
  const reads = SKEW_NAMES.map(skew => cell(skew, 'writes_0'));
  const maxOverMean = Math.max(...reads.map(row => row.maxOverMean));
  const least = Math.min(...SKEW_NAMES.flatMap(skew => WRITES_NAMES.map(name => cell(skew, name).ratioToHashing)));
  const [at099, at12] = reads;
  return {
    headline:
      `balance: max/mean ${maxOverMean} with ${IMBALANCE.toFixed(2)} asked for (hashing alone ${at099.hashing.maxOverMean} at Zipf 0.99, ` +
      `${at12.hashing.maxOverMean} at 1.2); throughput ${at099.ratioToHashing} × and ${at12.ratioToHashing} × that of hashing alone, ` +
      `never below ${least} × with writes`,
    results: {
      maxOverMean,
      ratioToHashing: Math.min(...reads.map(row => row.ratioToHashing)),
      leastRatioToHashing: least,
      ...Object.fromEntries(
        SKEW_NAMES.map((skew, i) => [
          skew,
          {
            maxOverMean: reads[i].maxOverMean,
            ratioToHashing: reads[i].ratioToHashing,
            ...Object.fromEntries(WRITES_NAMES.map(writes => [writes, cell(skew, writes)])),
          },
        ]),
      ),
      ...Object.fromEntries(WRITES_NAMES.map(writes => [writes, worstOf(SKEW_NAMES.map(skew => cell(skew, writes)))])),
      imbalanceAskedFor: IMBALANCE,
      nodes: NODES,
      nodeRate: NODE_RATE,
    },
    spread: Object.fromEntries(
      SKEW_NAMES.map(skew => [
        skew,
        Object.fromEntries(WRITES_NAMES.map(writes => [writes, spreadsOf(measured[skew][writes])])),
      ]),
    ),
  };
}

type Cell = ReturnType<typeof cellOf>;

function cellOf(rounds: WayRounds) {
  return {
    maxOverMean: rounded(spreadOf(rounds.replication.map(result => result.maxOverMean)).median, 3),
    ratioToHashing: rounded(ratioToHashing(rounds).median, 3),
    replication: {
      ...figuresOf(rounds.replication),
      keysCopied: spreadOf(rounds.replication.map(({ hot }) => hot?.replicated ?? 0)).median,
      copies: spreadOf(rounds.replication.map(({ hot }) => hot?.copies ?? 0)).median,
      predicted: rounded(spreadOf(rounds.replication.map(({ hot }) => hot?.balance.predicted ?? 0)).median, 3),
    },
    hashing: figuresOf(rounds.hashing),
  };
}

/** Of both skews. */
function worstOf(cells: readonly Cell[]) {
  return {
    maxOverMean: Math.max(...cells.map(({ maxOverMean }) => maxOverMean)),
    ratioToHashing: Math.min(...cells.map(({ ratioToHashing }) => ratioToHashing)),
  };
}

function figuresOf(results: readonly WayRound[]) {
  const median = (of: (result: WayRound) => number) => spreadOf(results.map(of)).median;
  const total = (field: 'lost' | 'wrong' | 'late' | 'misses' | 'errors') =>
    results.reduce((sum, { load }) => sum + load[field], 0);
  return {
    requestsPerSecond: Math.round(median(({ load }) => load.requestsPerSecond)),
    nodeAnswersPerSecond: Math.round(median(({ nodesPerSecond }) => nodesPerSecond)),
    maxOverMean: rounded(
      median(({ maxOverMean }) => maxOverMean),
      3,
    ),
    p50Us: Math.round(median(({ load }) => load.latency.p50Us)),
    p99Us: Math.round(median(({ load }) => load.latency.p99Us)),
    lost: total('lost'),
    wrong: total('wrong'),
    late: total('late'),
    misses: total('misses'),
    errors: total('errors'),
  };
}

function spreadsOf(rounds: WayRounds) {
  const maxOverMean = (way: Way) => spreadOf(rounds[way].map(result => result.maxOverMean));
  const rate = (way: Way) => spreadOf(rounds[way].map(({ load }) => load.requestsPerSecond));
  return {
    ratioToHashing: ratioToHashing(rounds),
    maxOverMean: maxOverMean('replication'),
    maxOverMeanOfHashing: maxOverMean('hashing'),
    replication: rate('replication'),
    hashing: rate('hashing'),
  };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

export const bench: Bench = {
  describe: `closed loop, ${PLAN.window} outstanding, ${PLAN.keyCount} keys by Zipf, ${PLAN.valueBytes}-byte values, ${NODES} memcached nodes held to ${NODE_RATE} answers/s each, no cache; client, balancer and nodes share the machine`,
  run,
};
