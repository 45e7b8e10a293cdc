import type { Command } from 'commander';
import { ADDRESS_PATTERN } from '../control/config/addresses.ts';
import type { Config } from '../control/config/normalise.ts';
import { explainKey } from '../control/explain.ts';
import { type ExplainedVerb, explainVerb, whySourceIsRefused } from '../control/explain-gate.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from './config-options.ts';
import { printJson, table, UserError } from './output.ts';

const KEY_BYTES_MAX = 250;

interface ExplainOptions extends ConfigOptions {
  readonly json?: boolean;
  readonly source?: string;
  readonly verb?: string;
}

export function registerExplain(program: Command): void {
  const command = program
    .command('explain')
    .argument('<key>', 'a memcached key')
    .description('say where a key goes and why: hash, ring slot, node, from the code that steers frames')
    .option('--source <address>', 'say, too, whether requests from this IPv4 address are taken')
    .option('--verb <verb>', 'say, too, what is done with this verb, as get or flush_all')
    .option('--json', 'machine-readable');
  addConfigOptions(command).action((key: string, { json, source, verb, ...options }: ExplainOptions) => {
    checkKey(key);
    const config = readConfig({ ...options, ...quietDefaults(options) });
    const explained = { ...explainKey(config, key), ...explainGate(config, source, verb) };
    if (json) return printJson(explained);
    const { node } = explained;
    process.stdout.write(
      `${table(
        [
          ['key', `${explained.key} (${explained.keyBytes} bytes)`],
          ['hash', `${explained.hash} (${explained.hashName})`],
          ['ring slot', `${explained.slot} of ${explained.slots} (${explained.algorithm})`],
          ['node', node ? `${node.name} at ${node.address}, weight ${node.weight}` : 'none: every node is drained'],
          ['keys there', node ? `${(100 * node.slotShare).toFixed(1)} % of the ring slots` : '–'],
          ['successor', explained.successor ?? 'none: one node holds the whole ring'],
          ...(explained.source ? [['source', `${source}: ${explained.source.refused ?? 'taken'}`]] : []),
          ...(explained.verbs ?? []).map(row => ['verb', `${row.verb} as ${row.class}: ${row.action}`]),
        ].map(([name, value]) => [name.padEnd(10), value.padEnd(48)]),
      )}\n`,
    );
  });
}

interface ExplainedGate {
  readonly source?: { readonly address: string; readonly refused: string | null };
  readonly verbs?: readonly ExplainedVerb[];
}

function explainGate(config: Config, source: string | undefined, verb: string | undefined): ExplainedGate {
  if (source !== undefined && !ADDRESS_PATTERN.test(source)) {
    throw new UserError(`--source is ${JSON.stringify(source)}; it must be the IPv4 address of a host, as 10.77.0.1`);
  }
  const verbs = verb === undefined ? undefined : explainVerb(config, verb);
  if (verbs?.length === 0)
    throw new UserError(`--verb is ${JSON.stringify(verb)}; it must be one of memcached’s verbs`);
  return {
    ...(source === undefined
      ? {}
      : { source: { address: source, refused: whySourceIsRefused(config, source) ?? null } }),
    ...(verbs === undefined ? {} : { verbs }),
  };
}

/** Where keys go does not depend on ports and addresses of the balancer; without a file they need not be given. */
function quietDefaults(options: ConfigOptions): ConfigOptions {
  if (options.config !== undefined) return {};
  return {
    vip: options.vip ?? '192.0.2.1',
    client: options.client ?? 'client',
    server: options.server ?? 'server',
    serverAddress: options.serverAddress ?? '198.51.100.1/24',
    serverGateway: options.serverGateway ?? '198.51.100.254',
  };
}

function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes > KEY_BYTES_MAX) {
    throw new UserError(`<key> is ${bytes} bytes long; a memcached key has 1 to ${KEY_BYTES_MAX}`);
  }
  if (/[\0\r\n ]/.test(key)) {
    throw new UserError(`<key> is ${JSON.stringify(key)}; a memcached key has no space, CR, LF or NUL`);
  }
}
