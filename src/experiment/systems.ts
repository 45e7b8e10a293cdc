/**
 * What can stand between clients and nodes, started in a test bed: nothing, Keysteer, the plain proxy, nginx. All may run
 * side by side; whoever is not asked sleeps.
 */
import { fileURLToPath } from 'node:url';
import { nginxUnavailable, startNginx } from './baselines/nginx.ts';
import type { ProcessGroup } from './process-group.ts';
import {
  BALANCER_SERVER_ADDRESS,
  type ClientHost,
  type ClientPath,
  MEMCACHED_PORT,
  PROXY_CLIENT_ADDRESS,
  type TestBed,
  VIP,
} from './topology.ts';

export const SYSTEM_NAMES = ['direct', 'keysteer', 'plainProxy', 'nginx'] as const;
export type SystemName = (typeof SYSTEM_NAMES)[number];

export interface RunningSystem {
  readonly name: SystemName;
  /** Where clients send to, ADDRESS:PORT. With several, a client chooses by key. */
  readonly targets: readonly string[];
  path(client: ClientHost): ClientPath;
  /** Process ids whose CPU time is the system's own. */
  readonly pids: readonly number[];
  /** Absent for `direct` and nginx. */
  readonly group?: ProcessGroup;
  stop(): Promise<void>;
}

/** nginx listens beside the plain proxy, in the same namespace. */
const NGINX_PORT = MEMCACHED_PORT + 1;
const START_MS_MAX = 10_000;
const CLI = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/** Why a system cannot be had on this machine; undefined when it can. */
export function systemUnavailable(name: SystemName): string | undefined {
  return name === 'nginx' ? nginxUnavailable() : undefined;
}

/** Starts one system and waits until it forwards. `extra` goes to `keysteer run` as further flags. */
export async function startSystem(
  bed: TestBed,
  name: SystemName,
  extra: readonly string[] = [],
): Promise<RunningSystem> {
  if (name === 'direct') return direct(bed);
  if (name === 'nginx') return startNginxSystem(bed);
  return name === 'keysteer' ? startKeysteer(bed, extra) : startPlainProxy(bed);
}

function direct(bed: TestBed): RunningSystem {
  return {
    name: 'direct',
    targets: bed.nodes.map(node => `${node.address}:${node.port}`),
    path: client => client.paths.direct,
    pids: [],
    stop: async () => {},
  };
}

async function startKeysteer(bed: TestBed, extra: readonly string[]): Promise<RunningSystem> {
  const { host, client, server } = bed.balancer;
  const ports = ['--client', client.name, '--server', server.name, '--server-address', BALANCER_SERVER_ADDRESS];
  const argv = [process.execPath, CLI, 'run', '--json', '--vip', VIP, ...ports, ...nodeFlags(bed), ...extra];
  const group = bed.namespaces.spawn(host, argv);
  await group.untilOutput(/"event":"ready"/, START_MS_MAX);
  return spawned('keysteer', `${VIP}:${MEMCACHED_PORT}`, group, host => host.paths.balancer);
}

async function startPlainProxy(bed: TestBed): Promise<RunningSystem> {
  const listen = `${PROXY_CLIENT_ADDRESS}:${MEMCACHED_PORT}`;
  const argv = [process.execPath, CLI, 'plain-proxy', '--json', '--listen', listen, ...nodeFlags(bed)];
  const group = bed.namespaces.spawn(bed.proxy.host, argv);
  await group.untilOutput(/"event":"ready"/, START_MS_MAX);
  return spawned('plainProxy', listen, group, host => host.paths.proxy);
}

async function startNginxSystem(bed: TestBed): Promise<RunningSystem> {
  const listen = { address: PROXY_CLIENT_ADDRESS, port: NGINX_PORT };
  const nginx = await startNginx(bed.namespaces, { host: bed.proxy.host, listen, nodes: bed.nodes });
  return {
    name: 'nginx',
    targets: [`${listen.address}:${listen.port}`],
    path: client => client.paths.proxy,
    pids: [nginx.pid],
    stop: () => nginx.close(),
  };
}

function spawned(name: SystemName, target: string, group: ProcessGroup, path: RunningSystem['path']): RunningSystem {
  return { name, targets: [target], path, pids: [group.pid], group, stop: async () => void (await group.stop()) };
}

function nodeFlags(bed: TestBed): string[] {
  return bed.nodes.flatMap(({ name, address, port }) => ['--node', `${name}=${address}:${port}`]);
}
