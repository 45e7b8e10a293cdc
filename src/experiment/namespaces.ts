/**
 * Network namespaces on this machine, through `ip` in batches.
 *
 * Names are `ks<pid>-<bed>-<host>`: unique to this process, visible in `ip netns list`, and recognisable as left over
 * once the process is gone (`removeLeftovers`). Programs enter by `nsenter --net`, not `ip netns exec`: the latter also
 * mounts a /sys of its own, which an unprivileged user namespace may refuse.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { onCleanup } from './cleanup.ts';
import { type GroupOptions, ProcessGroup } from './process-group.ts';

const NETNS_DIRECTORY = '/run/netns';

/**
 * Kernel settings of a fresh namespace. No IPv6: its autoconfiguration fills captures with noise. No reverse-path
 * filter and no forwarding: what the kernel does not own it must neither judge nor move.
 */
const SYSCTLS = [
  'ipv6/conf/all/disable_ipv6=1',
  'ipv6/conf/default/disable_ipv6=1',
  'ipv4/conf/all/rp_filter=0',
  'ipv4/conf/default/rp_filter=0',
  'ipv4/ip_forward=0',
];

/** One end of a veth pair. */
export interface VethEnd {
  readonly namespace: string;
  readonly name: string;
  /** Fixed, so that captures of two runs can be compared; the kernel's choice when absent. */
  readonly mac?: string;
}

let bedsMade = 0;

/**
 * A set of namespaces that live and die together.
 */
export class NamespaceSet {
  readonly #prefix: string;
  readonly #names: string[] = [];
  readonly #groups = new Set<ProcessGroup>();
  readonly #forget: () => void;

  constructor() {
    bedsMade += 1;
    this.#prefix = `ks${process.pid}-${bedsMade}-`;
    this.#forget = onCleanup(() => this.#remove());
  }

  get names(): readonly string[] {
    return this.#names;
  }

  /** Creates namespaces for `hosts`, loopback up, and returns their full names in the same order. */
  create(hosts: readonly string[]): string[] {
    const names = hosts.map(host => this.#prefix + host);
    this.#names.push(...names);
    ipBatch(names.map(name => `netns add ${name}`));
    for (const name of names) {
      setSysctls(name, SYSCTLS);
      ipBatch(['link set lo up'], name);
    }
    return names;
  }

  /** Starts a program inside; it ends with the set at the latest. */
  spawn(namespace: string, argv: readonly string[], options?: GroupOptions): ProcessGroup {
    const group = spawnIn(namespace, argv, options);
    this.#groups.add(group);
    void group.ended.then(() => this.#groups.delete(group));
    return group;
  }

  /** Ends every program inside and removes the namespaces. May be called twice. */
  async close(): Promise<void> {
    await Promise.all([...this.#groups].map(group => group.stop()));
    this.#remove();
    this.#forget();
  }

  #remove(): void {
    for (const group of this.#groups) group.signal('SIGKILL');
    for (const name of this.#names.splice(0)) removeNamespace(name);
  }
}

/** Adds veth pairs straight into their namespaces: the machine's own namespace never sees them. */
export function addVethPairs(pairs: readonly (readonly [VethEnd, VethEnd])[]): void {
  ipBatch(pairs.map(([a, b]) => `link add ${describeEnd(a)} type veth peer ${describeEnd(b)}`));
}

function describeEnd(end: VethEnd): string {
  return `name ${end.name} ${end.mac ? `address ${end.mac} ` : ''}netns ${end.namespace}`;
}

/** Runs `ip` commands in one process, inside `namespace` where given. Stops at the first that fails and throws. */
export function ipBatch(commands: readonly string[], namespace?: string): void {
  if (commands.length === 0) return;
  const argv = ['-batch', '-'];
  if (namespace !== undefined) argv.unshift('-netns', namespace);
  execFileSync('ip', argv, { input: `${commands.join('\n')}\n`, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Writes `path=value` settings below /proc/sys/net of a namespace; one that this kernel lacks is passed over. */
export function setSysctls(namespace: string, settings: readonly string[]): void {
  const writes = settings.map(setting => {
    const [path, value] = setting.split('=');
    return `[ ! -w ${path} ] || echo ${value} >${path}`;
  });
  execFileSync('nsenter', [...enter(namespace), 'sh', '-c', `cd /proc/sys/net; ${writes.join('; ')}`]);
}

/** Runs a short command inside and returns what it printed; throws with its error output when it fails. */
export function runIn(namespace: string, argv: readonly string[]): string {
  return execFileSync('nsenter', [...enter(namespace), ...argv], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Starts a program inside a namespace as a process group of its own. */
export function spawnIn(namespace: string, argv: readonly string[], options?: GroupOptions): ProcessGroup {
  return new ProcessGroup(['nsenter', ...enter(namespace), ...argv], options);
}

/** Arguments that make `nsenter` run the rest of its command line inside. */
export function enter(namespace: string): string[] {
  return [`--net=${NETNS_DIRECTORY}/${namespace}`, '--'];
}

/** Kills what still runs inside (by process id) and deletes the namespace. One that is gone already is fine. */
export function removeNamespace(name: string): void {
  const path = `${NETNS_DIRECTORY}/${name}`;
  if (!existsSync(path)) return;
  try {
    for (const pid of ip(['netns', 'pids', name]).split('\n').filter(Boolean)) killQuietly(Number(pid));
    ip(['netns', 'delete', name]);
  } catch (error) {
    if (existsSync(path)) throw error; // otherwise another process was quicker
  }
}

/**
 * Removes the namespaces of Keysteer processes that were killed before they could clean up. Returns the names.
 */
export function removeLeftovers(): string[] {
  if (!existsSync(NETNS_DIRECTORY)) return [];
  const leftovers = readdirSync(NETNS_DIRECTORY).filter(name => {
    const owner = /^ks(\d+)-/.exec(name)?.[1];
    return owner !== undefined && !existsSync(`/proc/${owner}`);
  });
  for (const name of leftovers) removeNamespace(name);
  return leftovers;
}

function ip(argv: readonly string[]): string {
  return execFileSync('ip', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
