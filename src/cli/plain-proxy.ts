import { isIPv4 } from 'node:net';
import { type Command, Option } from 'commander';
import { type PlainProxyNode, runPlainProxy } from '../experiment/baselines/plain-proxy.ts';
import type { KeyHashName } from '../steer/hash.ts';
import type { SteerAlgorithm } from '../steer/nodes.ts';
import { printJson, table, UsageError } from './output.ts';
import { signalled } from './signals.ts';

interface PlainProxyCliOptions {
  readonly listen: string;
  readonly node: string[];
  readonly algorithm: SteerAlgorithm;
  readonly hash: KeyHashName;
  readonly json?: boolean;
}

const DEFAULT_PORT = 11211;
const ENDPOINT = /^([0-9.]+)(?::([0-9]{1,5}))?$/;
const NODE = /^([A-Za-z0-9_.-]+)=([^*]+)(?:\*([0-9]{1,2}|100))?$/;

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
    .addOption(
      new Option('--algorithm <NAME>', 'ring').choices(['ketama', 'ketama-unweighted', 'maglev']).default('ketama'),
    )
    .addOption(
      new Option('--hash <NAME>', 'hash of the key').choices(['murmur3', 'md5', 'one_at_a_time']).default('murmur3'),
    )
    .option('--json', 'machine-readable')
    .action(run);
}

async function run({ listen, node, algorithm, hash, json }: PlainProxyCliOptions): Promise<void> {
  const stopAsked = signalled();
  const proxy = await runPlainProxy({
    listen: readEndpoint('--listen', listen),
    nodes: readNodes(node),
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

/** Unlike Keysteer itself, sockets can listen on the loopback interface, and so can nodes. */
function readEndpoint(flag: string, text: string): { address: string; port: number } {
  const [, address = '', port = String(DEFAULT_PORT)] = ENDPOINT.exec(text) ?? [];
  if (!isIPv4(address) || Number(port) < 1 || Number(port) > 65_535) {
    throw new UsageError(
      `${flag} is ${text}; it must be an IPv4 address, optionally with a port, as 10.77.0.101:11211`,
    );
  }
  return { address, port: Number(port) };
}

function readNodes(texts: readonly string[]): PlainProxyNode[] {
  const nodes = texts.map(readNode);
  for (const [at, { name, address, port }] of nodes.entries()) {
    const twin = nodes.findIndex(other => other.name === name || (other.address === address && other.port === port));
    if (twin !== at)
      throw new UsageError(`--node is ${texts[at]}; its name and address must not be those of ${texts[twin]}`);
  }
  return nodes;
}

function readNode(text: string): PlainProxyNode {
  const [, name, endpoint, weight] = NODE.exec(text) ?? [];
  if (name === undefined || endpoint === undefined) {
    throw new UsageError(
      `--node is ${text}; it must be NAME=ADDRESS[:PORT][*WEIGHT], as mc1=10.77.1.11:11211*2, the weight 0 to 100`,
    );
  }
  return { name, ...readEndpoint('--node', endpoint), weight: Number(weight ?? 1) };
}
