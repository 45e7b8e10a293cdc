import { statSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { Side } from '../capture/bed.ts';
import { type ReplaySummary, replayFile } from '../capture/file.ts';
import type { MacSource } from '../capture/replay.ts';
import { reasonOf } from '../capture/verdict.ts';
import { dropReasons } from '../control/conductor.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from './config-options.ts';
import { printJson, table, UsageError } from './output.ts';

export interface ReplayCliOptions extends ConfigOptions {
  readonly port?: Side;
  readonly macOfNodes: MacSource;
}

interface ReplayCommandOptions extends ReplayCliOptions {
  readonly output: string;
  readonly json?: boolean;
}

export function registerReplay(program: Command): void {
  const command = program
    .command('replay')
    .argument('<in.pcap>', 'a capture, pcap or pcapng')
    .description(
      'run a capture through a real lane, without privileges or interfaces, at the times of the capture, and write what it sends; the same capture gives the same bytes',
    )
    .requiredOption('-o, --output <FILE>', 'what the lane sends: pcap if its name ends in .pcap, else pcapng')
    .option('--json', 'machine-readable');
  addConfigOptions(addReplayOptions(command)).action(run);
}

/** Of `replay` and of `explain` of a capture. */
export function addReplayOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--port <PORT>',
        'port that all frames arrive by, instead of what their addresses say: to the VIP, client; to Keysteer’s own address or from a node, server',
      ).choices(['client', 'server']),
    )
    .addOption(
      new Option(
        '--mac-of-nodes <SOURCE>',
        'Ethernet addresses of next hops. auto: the capture’s, and where it has none, invented ones (02:4b: and the IPv4 address), so that steering can be seen; capture: the capture’s alone, others stay unreachable; synthetic: all invented',
      )
        .choices(['auto', 'capture', 'synthetic'])
        .default('auto'),
    );
}

function run(path: string, { output, json, port, macOfNodes, ...options }: ReplayCommandOptions): void {
  const config = readConfig(withInterfaces(options));
  if (isSameFile(path, output)) throw new UsageError(`--output is ${output}; it must be another file than the capture`);
  const summary = replayFile(config, path, output, { macOfNodes, ...(port === undefined ? {} : { side: port }) });
  if (json) return printJson({ output, ...summary });
  process.stdout.write(`${render(summary, config.lanes)}\n`);
}

function isSameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map(path => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** No interface is opened: without a file, their names need not be given. */
export function withInterfaces(options: ConfigOptions): ConfigOptions {
  if (options.config !== undefined) return options;
  const server = options.server ?? (options.serverAddress === undefined ? undefined : 'server');
  return { ...options, client: options.client ?? 'client', ...(server === undefined ? {} : { server }) };
}

function render({ frames, passedOver, sent, counters, nodes, nextHops }: ReplaySummary, lanes: number): string {
  const number = (value: number) => value.toLocaleString('en');
  const drops = dropReasons(counters);
  const rest = Object.entries(counters).filter(([name]) => !(name in drops));
  const rows = [
    ['frames heard', number(frames - passedOver)],
    ...(passedOver > 0 ? [['Keysteer’s own, passed over', number(passedOver)]] : []),
    ['sent', `${number(sent.client)} by the client port, ${number(sent.server)} by the server port`],
    ...rest.map(([name, count]) => [name, number(count)]),
    ...Object.entries(drops).map(([name, count]) => [name, number(count)]),
    ...nodes.map(({ name, counters: { requests, replies } }) => [
      `node ${name}`,
      `${number(requests)} requests, ${number(replies)} replies`,
    ]),
  ];
  const reasons = Object.keys(drops).map(name => `${name}: ${reasonOf(name)}`);
  return [table(rows), ...reasons, ...notes(nextHops, lanes)].join('\n');
}

/** Where the replay is not what a live lane would have been. */
function notes(nextHops: ReplaySummary['nextHops'], lanes: number): string[] {
  const invented = nextHops.filter(({ isInvented }) => isInvented);
  return [
    ...(lanes > 1 ? [`One lane was run; the configuration has ${lanes}.`] : []),
    ...(invented.length > 0 ? ['Ethernet addresses that the capture does not have, invented by the replay:'] : []),
    ...invented.map(({ address, mac }) => `  ${address} ${mac}`),
  ];
}
