/** What the checks look at, read from this machine. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import { loadShim } from '../../port/shim.ts';
import { type Interface, type Offloads, parseOffloads } from './interfaces.ts';
import { type Listener, parseUdpTable } from './listeners.ts';

export interface Facts {
  readonly release: string;
  /** /proc/self/status */
  readonly status: string;
  /** kernel.unprivileged_bpf_disabled */
  readonly isBpfRestricted: boolean;
  /** Why the native shim does not load. */
  readonly shimFault: string | undefined;
  /** Why this user cannot make namespaces. */
  readonly namespaceRefusal: string | undefined;
  /** Undefined without `ip`. */
  readonly interfaces: readonly Interface[] | undefined;
  /** Undefined without `ethtool`. */
  offloads(interfaceName: string): Offloads | undefined;
  readonly listeners: readonly Listener[];
  /** Why a package does not load. */
  packageFault(name: string): string | undefined;
}

export function readFacts(namespaceRefusal: string | undefined): Facts {
  return {
    release: release(),
    status: readFileSync('/proc/self/status', 'utf8'),
    isBpfRestricted: isBpfRestricted(),
    shimFault: faultOf(loadShim),
    namespaceRefusal,
    interfaces: readInterfaces(),
    offloads: readOffloads,
    listeners: ['/proc/net/udp', '/proc/net/udp6'].flatMap(readListeners),
    packageFault: name => faultOf(() => createRequire(import.meta.url)(name)),
  };
}

/** Where the kernel does not say, it restricts nothing. */
function isBpfRestricted(): boolean {
  try {
    return readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim() !== '0';
  } catch {
    return false;
  }
}

function readInterfaces(): Interface[] | undefined {
  const printed = outputOf('ip', ['-json', '-details', 'address', 'show']);
  return printed === undefined ? undefined : (JSON.parse(printed) as Interface[]);
}

function readOffloads(interfaceName: string): Offloads | undefined {
  const printed = outputOf('ethtool', ['-k', interfaceName]);
  return printed === undefined ? undefined : parseOffloads(printed);
}

/** The second is not there without IPv6. */
function readListeners(path: string): Listener[] {
  try {
    return parseUdpTable(readFileSync(path, 'utf8'));
  } catch {
    return [];
  }
}

function outputOf(command: string, argv: readonly string[]): string | undefined {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`; // where Debian keeps them, and a user's PATH does not lead
  try {
    return execFileSync(command, argv, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, PATH: path },
    });
  } catch {
    return undefined;
  }
}

/** First line of what `load` throws. */
function faultOf(load: () => unknown): string | undefined {
  try {
    load();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
  }
}
