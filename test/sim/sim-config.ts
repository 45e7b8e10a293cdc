/** The configuration of the simulated Keysteer: a real one, read from text as any. */
import { loadConfig } from '../../src/control/config/load.ts';
import type { Config } from '../../src/control/config/normalise.ts';
import { MEMCACHED_PORT, nodeAddress, nodeName, textOf, VIP } from './addresses.ts';

export type Mode = 'nat' | 'gateway' | 'dsr';

export interface SimConfig {
  readonly mode: Mode;
  /** 1: nodes and clients on one port. */
  readonly arms: 1 | 2;
  readonly lanes: number;
  readonly nodes: readonly SimNode[];
  readonly algorithm: 'ketama' | 'maglev';
  /** More of the file, as it stands there. */
  readonly more?: string;
}

export interface SimNode {
  readonly index: number;
  readonly weight: number;
}

export function configOf({ mode, arms, lanes, nodes, algorithm, more = '' }: SimConfig): Config {
  const server = arms === 2 ? '  server: { interface: sim1, address: 10.77.1.1/24 }\n' : '';
  const client = arms === 2 ? '{ interface: sim0 }' : '{ interface: sim0, address: 10.77.1.1/16 }';
  const lines = nodes.map(
    ({ index, weight }) =>
      `  - { name: ${nodeName(index)}, address: '${textOf(nodeAddress(index).ip)}:${MEMCACHED_PORT}', weight: ${weight} }\n`,
  );
  const text = `vip: ${textOf(VIP)}:${MEMCACHED_PORT}
mode: ${mode}
ports:
  client: ${client}
${server}nodes:
${lines.join('')}lanes: ${lanes}
steering: { algorithm: ${algorithm} }
slots: { count: 16384 }
health: { return_after_ms: 300, timeout_ms: 120 }
neighbours: { lifetime_s: 5 }
gatekeeper: { sources: 1024 }
fragments: { datagrams: 4, per_source: 4 }
multiget: { gathers: 64, buffer_bytes: 1048576 }
commands: { flush_all: broadcast }
admin: off
${more}`;
  const known = read.get(text);
  if (known !== undefined) return known;
  const config = loadConfig(text, 'simulation');
  read.set(text, config);
  return config;
}

/** Texts that were read before: most reloads go back to one. */
const read = new Map<string, Config>();
