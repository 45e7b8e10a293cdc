import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { explainCapture } from '../capture/explain.ts';
import { AdminClientError, AdminRefusal, askAdmin } from '../control/admin/client.ts';
import { ADDRESS_PATTERN } from '../control/config/addresses.ts';
import type { Config } from '../control/config/normalise.ts';
import { explainKey } from '../control/explain.ts';
import { type ExplainedVerb, explainVerb, whySourceIsRefused } from '../control/explain-gate.ts';
import { keyFault, quoted, readKey, showKey } from '../control/hot/key-text.ts';
import type { KeyHeat } from '../control/hot/report.ts';
import { instanceOf } from './admin-options.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from './config-options.ts';
import { frameText } from './frame-text.ts';
import { shareText, stateText } from './hot-screen.ts';
import { printJson, short, table, UsageError } from './output.ts';
import { addReplayOptions, type ReplayCliOptions, withInterfaces } from './replay.ts';

const KEY_BYTES_MAX = 250;
/** Of the admin interface: it cannot be done as things are. */
const STATUS_CONFLICT = 409;

interface ExplainOptions extends ReplayCliOptions {
  readonly json?: boolean;
  readonly source?: string;
  readonly verb?: string;
  readonly instance?: string;
}

export function registerExplain(program: Command): void {
  const command = program
    .command('explain')
    .argument(
      '<key>',
      'a memcached key, spelt as `keysteer hot` spells it: \\xNN is a byte, \\\\ a backslash; or a capture: a file that is there, or a name that ends in .pcap or .pcapng',
    )
    .description(
      'say where a key goes and why: hash, ring slot, node, from the code that steers frames; or what becomes of each frame of a capture, with every header field that would change',
    )
    .option('--source <address>', 'of a key: say, too, whether requests from this IPv4 address are taken')
    .option('--verb <verb>', 'of a key: say, too, what is done with this verb, as get or flush_all')
    .option(
      '--instance <PATH|HOST:PORT>',
      'of a key: say, too, how hot it is, and how it is treated or why not, in the instance with this admin interface (default: the one that was started with --config, if it runs)',
    )
    .option('--json', 'machine-readable; of a capture, one JSON object a line for each frame');
  addConfigOptions(addReplayOptions(command)).action(
    async (subject: string, { json = false, port, macOfNodes, source, verb, instance, ...options }: ExplainOptions) => {
      if (isCapture(subject)) return explainFrames(subject, { port, macOfNodes, ...options }, json);
      const key = readKey(subject);
      checkKey(subject, key);
      explainOneKey(key, options, json, source, verb, await explainHeat(key, options.config, instance));
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

/** What is said of a key's heat: figures, or why there are none. */
type SaidHeat = KeyHeat | { readonly off: string };

/**
 * The instance that is named, or the one that was started with the file. One that merely runs here may have other nodes.
 * @throws AdminClientError, AdminRefusal of an instance that was named
 */
async function explainHeat(key: Uint8Array, config?: string, admin?: string): Promise<SaidHeat | undefined> {
  if (config === undefined && admin === undefined) return undefined;
  const fault = keyFault(key);
  try {
    const place = await instanceOf(admin === undefined ? { config: config! } : { admin });
    if (fault !== undefined) return { off: `a key that is treated ${fault}` };
    return await askAdmin<KeyHeat>(place, 'GET', `/hot/key?key=${encodeURIComponent(showKey(key))}`);
  } catch (error) {
    if (error instanceof AdminRefusal && error.status === STATUS_CONFLICT) return { off: error.message };
    const isAbsent = error instanceof AdminClientError || error instanceof AdminRefusal;
    if (admin === undefined && isAbsent) return undefined;
    throw error;
  }
}

export function heatRows(said: SaidHeat): string[][] {
  if ('off' in said) return [['heat', `off: ${said.off}`]];
  const { share, shareError, hot } = said;
  const heat = `${shareText(share)} of the requests (+${shareText(shareError)})`;
  if (hot === null) {
    return [
      ['heat', heat],
      ['treated', `no: ${whyNot(said)}`],
    ];
  }
  const { readsPerSecond, writesPerSecond, layer, replicas, pinned } = hot;
  const copies = replicas.length === 0 ? '' : `, copies on ${replicas.join(', ')}`;
  return [
    ['heat', `${heat}, ${short(readsPerSecond)} reads/s, ${short(writesPerSecond)} writes/s`],
    ['treated', `${stateText(hot)} in ${layer}${pinned ? ', pinned' : ''}${copies}`],
  ];
}

function whyNot({ banned, pinned, leftAlone, share, shareError, hotFrom }: KeyHeat): string {
  if (banned) return 'banned';
  const lead = pinned ? 'pinned, but ' : '';
  if (leftAlone !== null) return `${lead}left alone for ${Math.ceil(leftAlone.seconds)} s yet: ${leftAlone.why}`;
  if (pinned) return 'pinned, and waits for a place';
  const from = shareText(hotFrom);
  if (share + shareError < hotFrom) return `not hot, which begins at ${from} of the requests`;
  return `not hot yet, or too few requests so far; hot begins at ${from} of them`;
}

function explainOneKey(
  key: Uint8Array,
  options: ConfigOptions,
  json: boolean,
  source?: string,
  verb?: string,
  heat?: SaidHeat,
): void {
  const config = readConfig({ ...options, ...quietDefaults(options) });
  const explained = {
    ...explainKey(config, key),
    ...explainGate(config, source, verb),
    ...(heat === undefined ? {} : { heat }),
  };
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
        ...(heat === undefined ? [] : heatRows(heat)),
        ...(explained.source ? [['source', `${source}: ${explained.source.refused ?? 'taken'}`]] : []),
        ...(explained.verbs ?? []).map(row => ['verb', `${row.verb} as ${row.class}: ${row.action}`]),
      ].map(([name, value]) => [name!.padEnd(10), value!.padEnd(48)]),
    )}\n`,
  );
}

interface ExplainedGate {
  readonly source?: { readonly address: string; readonly refused: string | null };
  readonly verbs?: readonly ExplainedVerb[];
}

function explainGate(config: Config, source: string | undefined, verb: string | undefined): ExplainedGate {
  if (source !== undefined && !ADDRESS_PATTERN.test(source)) {
    throw new UsageError(`--source is ${JSON.stringify(source)}; it must be the IPv4 address of a host, as 10.77.0.1`);
  }
  const verbs = verb === undefined ? undefined : explainVerb(config, verb);
  if (verbs?.length === 0)
    throw new UsageError(`--verb is ${JSON.stringify(verb)}; it must be one of memcached’s verbs`);
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

/** Space, CR, LF, NUL. */
const NOT_IN_KEYS = [0x20, 0x0d, 0x0a, 0];

function checkKey(text: string, key: Uint8Array): void {
  if (key.length < 1 || key.length > KEY_BYTES_MAX) {
    throw new UsageError(`<key> is ${key.length} bytes long; a memcached key has 1 to ${KEY_BYTES_MAX}`);
  }
  if (NOT_IN_KEYS.some(byte => key.includes(byte))) {
    throw new UsageError(`<key> is ${quoted(text)}; a memcached key has no space, CR, LF or NUL`);
  }
}
