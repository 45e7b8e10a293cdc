/** One load from the clients of a test bed to one system, in a process per client, and what came of it. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LoadOptionsInput } from '../load/options.ts';
import { type LoadResult, mergeResults } from '../load/result.ts';
import type { Progress } from '../load/run.ts';
import type { MemcachedNode } from './memcached-node.ts';
import type { ProcessGroup } from './process-group.ts';
import type { RunningSystem } from './systems.ts';
import type { ClientHost, TestBed } from './topology.ts';

/** A load without its endpoints: those depend on the system. */
export type LoadPlan = Omit<LoadOptionsInput, 'interface' | 'clients' | 'targets'>;

export interface SystemResult {
  readonly system: RunningSystem['name'];
  readonly load: LoadResult;
  /** Requests that reached each node while this load ran (prefill included), by its own count. */
  readonly nodes: readonly { readonly name: string; readonly requests: number }[];
  /** CPU seconds of the system's own processes per second of the whole run. 0 for `direct`. */
  readonly cpuShare: number;
}

const GENERATOR = fileURLToPath(new URL('../load/process.bundle.js', import.meta.url));
/** Time for several generators to start and fill, before they begin together, ms. */
const COMMON_START_MS = 3000;
/** USER_HZ, the unit of /proc/PID/stat: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** @param onProgress hears of the slowest client */
export async function measureSystem(
  bed: TestBed,
  nodes: readonly MemcachedNode[],
  system: RunningSystem,
  plan: LoadPlan,
  onProgress: (progress: Progress) => void = () => {},
): Promise<SystemResult> {
  // What an earlier load left would be read where this one, by another way of choosing nodes, did not write.
  await Promise.all(nodes.map(node => node.ask('flush_all')));
  return measureAgain(bed, nodes, system, plan, onProgress);
}

/** The same of a system that has had this load before: what the nodes hold is its own. */
export async function measureAgain(
  bed: TestBed,
  nodes: readonly MemcachedNode[],
  system: RunningSystem,
  plan: LoadPlan,
  onProgress: (progress: Progress) => void,
): Promise<SystemResult> {
  const before = await Promise.all(nodes.map(requestsOf));
  const cpuBefore = cpuSeconds(system.pids);
  const startedMs = performance.now();
  const load = await runClients(bed, system, plan, onProgress);
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuShare = (cpuSeconds(system.pids) - cpuBefore) / seconds;
  const after = await Promise.all(nodes.map(requestsOf));
  return {
    system: system.name,
    load,
    nodes: nodes.map(({ options }, i) => ({ name: options.name, requests: after[i] - before[i] })),
    cpuShare,
  };
}

async function requestsOf(node: MemcachedNode): Promise<number> {
  const stats = await node.stats();
  return stats.cmd_get + stats.cmd_set;
}

/** CPU time of processes so far, all threads, user and system. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_PER_SECOND;
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // utime and stime are fields 14 and 15; the second field, in brackets, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** The load alone: one generator per client, results merged. */
export async function runClients(
  bed: TestBed,
  system: Pick<RunningSystem, 'targets' | 'path'>,
  plan: LoadPlan,
  onProgress: (progress: Progress) => void = () => {},
): Promise<LoadResult> {
  const latest = new Map<number, Progress>();
  const startAtMs = bed.clients.length > 1 ? Date.now() + COMMON_START_MS : undefined;
  const results = bed.clients.map((client, index) => {
    const options = { ...planFor(plan, bed.clients, index), ...endpoints(system, client), startAtMs };
    return runGenerator(bed, client, options, progress => {
      latest.set(index, progress);
      onProgress(sum([...latest.values()], progress));
    });
  });
  return mergeResults(await Promise.all(results));
}

/** Each client writes its part of the keys, and marks what it writes. */
function planFor(plan: LoadPlan, clients: readonly ClientHost[], index: number): LoadPlan {
  const keys = plan.keyCount ?? 100_000;
  const part = (i: number) => Math.floor((keys * i) / clients.length);
  return {
    ...plan,
    keyCount: keys,
    prefillFirst: part(index),
    prefillCount: part(index + 1) - part(index),
    writer: index,
    seed: (plan.seed ?? 1) + index,
  };
}

function endpoints(
  system: Pick<RunningSystem, 'targets' | 'path'>,
  client: ClientHost,
): Pick<LoadOptionsInput, 'interface' | 'clients' | 'targets'> {
  const path = system.path(client);
  return { interface: path.interface, clients: [path.address], targets: [...system.targets] };
}

function sum(all: readonly Progress[], like: Progress): Progress {
  const total = (field: 'repliesPerSecond' | 'outstanding' | 'lost' | 'wrong') =>
    all.reduce((value, progress) => value + progress[field], 0);
  return {
    ...like,
    repliesPerSecond: total('repliesPerSecond'),
    outstanding: total('outstanding'),
    lost: total('lost'),
    wrong: total('wrong'),
  };
}

type GeneratorLine =
  | { type: 'progress'; progress: Progress }
  | { type: 'result'; result: LoadResult }
  | { type: 'error'; name: string; message: string };

async function runGenerator(
  bed: TestBed,
  client: ClientHost,
  options: object,
  onProgress: (progress: Progress) => void,
): Promise<LoadResult> {
  const group = bed.namespaces.spawn(client.host, [process.execPath, GENERATOR, JSON.stringify(options)]);
  const result = await readLines(group, onProgress);
  await group.ended;
  return result;
}

async function readLines(group: ProcessGroup, onProgress: (progress: Progress) => void): Promise<LoadResult> {
  for await (const text of createInterface({ input: group.child.stdout! })) {
    const line = JSON.parse(text) as GeneratorLine;
    if (line.type === 'progress') onProgress(line.progress);
    else if (line.type === 'result') return line.result;
    else throw new Error(`load generator: ${line.message}`);
  }
  throw new Error(`load generator ended without a result: ${group.output.slice(-2000)}`);
}
