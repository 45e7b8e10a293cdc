import type { Command } from 'commander';
import { ENDPOINT_PATTERN, parseEndpoint } from '../control/config/addresses.ts';
import { type PlainProxyNode, runPlainProxy } from '../experiment/baselines/plain-proxy.ts';
import type { KeyHashName } from '../steer/hash.ts';
import type { SteerAlgorithm } from '../steer/nodes.ts';
import { printJson, table, UserError } from './output.ts';
import { signalled } from './signals.ts';

interface PlainProxyCliOptions {
  readonly listen: string;
  readonly node: string[];
  readonly algorithm: SteerAlgorithm;
  readonly hash: KeyHashName;
  readonly json?: boolean;
}

const NODE = /^([A-Za-z0-9_.-]+)=([^*]+)(?:\*([0-9]{1,3}))?$/;

export function registerPlainProxy(program: Command): void {
  program
    .command('plain-proxy')
    .description('the baseline: the same balancing with node:dgram sockets, until SIGINT or SIGTERM')
    .requiredOption('--listen <ADDRESS[:PORT]>', 'where clients send to; an address of this kernel')
    .requiredOption(
      '--node <NAME=ADDRESS[:PORT][*WEIGHT]>',
      'a memcached node; once for each',
      (given: string, before: string[] | undefined) => [...(before ?? []), given],
    )
    .option('--algorithm <NAME>', 'ketama, ketama-unweighted or maglev', 'ketama')
    .option('--hash <NAME>', 'murmur3, md5 or one_at_a_time', 'murmur3')
    .option('--json', 'machine-readable')
    .action(run);
}

async function run({ listen, node, algorithm, hash, json }: PlainProxyCliOptions): Promise<void> {
  const stopAsked = signalled();
  const proxy = await runPlainProxy({
    listen: readEndpoint('--listen', listen),
    nodes: node.map(readNode),
    ring: { algorithm, hash },
  });
  if (json) printJson({ event: 'ready', listen, nodes: node.length });
  else process.stdout.write(`ready: plain proxy on ${listen}, ${node.length} node${node.length === 1 ? '' : 's'}\n`);
  await stopAsked;
  const counters = await proxy.close();
  if (json) return printJson({ event: 'final', counters });
  const rows = Object.entries(counters).map(([name, count]) => [name, count.toLocaleString('en')]);
  process.stdout.write(`stopped\n${table(rows)}\n`);
}

function readEndpoint(flag: string, text: string): { address: string; port: number } {
  if (!ENDPOINT_PATTERN.test(text)) {
    throw new UserError(`${flag} is ${text}; it must be an IPv4 address, optionally with a port, as 10.77.0.101:11211`);
  }
  const { text: address, port } = parseEndpoint(text);
  return { address, port };
}

function readNode(text: string): PlainProxyNode {
  const [, name, endpoint, weight] = NODE.exec(text) ?? [];
  if (name === undefined || endpoint === undefined) {
    throw new UserError(`--node is ${text}; it must be NAME=ADDRESS[:PORT][*WEIGHT], as mc1=10.77.1.11:11211`);
  }
  return { name, ...readEndpoint('--node', endpoint), weight: Number(weight ?? 1) };
}
