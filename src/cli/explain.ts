import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { explainCapture } from '../capture/explain.ts';
import { explainKey } from '../control/explain.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from './config-options.ts';
import { frameText } from './frame-text.ts';
import { printJson, table, UsageError } from './output.ts';
import { addReplayOptions, type ReplayCliOptions, withInterfaces } from './replay.ts';

const KEY_BYTES_MAX = 250;

interface ExplainOptions extends ReplayCliOptions {
  readonly json?: boolean;
}

export function registerExplain(program: Command): void {
  const command = program
    .command('explain')
    .argument('<key>', 'a memcached key; or a capture: a file that is there, or a name that ends in .pcap or .pcapng')
    .description(
      'say where a key goes and why: hash, ring slot, node, from the code that steers frames; or what becomes of each frame of a capture, with every header field that would change',
    )
    .option('--json', 'machine-readable; of a capture, one JSON object a line for each frame');
  addConfigOptions(addReplayOptions(command)).action(
    (subject: string, { json = false, port, macOfNodes, ...options }: ExplainOptions) => {
      if (isCapture(subject)) explainFrames(subject, { port, macOfNodes, ...options }, json);
      else explainOneKey(subject, options, json);
    },
  );
}

function isCapture(subject: string): boolean {
  if (/\.(pcap|pcapng|cap)$/i.test(subject)) return true;
  return statSync(subject, { throwIfNoEntry: false })?.isFile() ?? false;
}

function explainFrames(path: string, { port, macOfNodes, ...options }: ReplayCliOptions, json: boolean): void {
  const config = readConfig(withInterfaces(options));
  const replay = { macOfNodes, ...(port === undefined ? {} : { side: port }) };
  for (const explained of explainCapture(config, path, replay)) {
    if (json) printJson(explained);
    else process.stdout.write(`${frameText(explained)}\n`);
  }
}

function explainOneKey(key: string, options: ConfigOptions, json: boolean): void {
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
    throw new UsageError(`<key> is ${bytes} bytes long; a memcached key has 1 to ${KEY_BYTES_MAX}`);
  }
  if (/[\0\r\n ]/.test(key)) {
    throw new UsageError(`<key> is ${JSON.stringify(key)}; a memcached key has no space, CR, LF or NUL`);
  }
}
