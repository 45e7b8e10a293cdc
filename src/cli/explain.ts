import type { Command } from 'commander';
import { explainKey } from '../control/explain.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from './config-options.ts';
import { printJson, table, UserError } from './output.ts';

const KEY_BYTES_MAX = 250;

interface ExplainOptions extends ConfigOptions {
  readonly json?: boolean;
}

export function registerExplain(program: Command): void {
  const command = program
    .command('explain')
    .argument('<key>', 'a memcached key')
    .description('say where a key goes and why: hash, ring slot, node, from the code that steers frames')
    .option('--json', 'machine-readable');
  addConfigOptions(command).action((key: string, { json, ...options }: ExplainOptions) => {
    checkKey(key);
    const explained = explainKey(readConfig({ ...options, ...quietDefaults(options) }), key);
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
        ].map(([name, value]) => [name.padEnd(10), value.padEnd(48)]),
      )}\n`,
    );
  });
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
