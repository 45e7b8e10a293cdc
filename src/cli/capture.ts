import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { type Places, placesOfConfig, placesOfPort } from '../capture/places.ts';
import { Recording, type RecordSummary } from '../capture/record.ts';
import { loadConfig } from '../control/config/load.ts';
import { percent, table, UsageError } from './output.ts';
import { signalled } from './signals.ts';

interface CaptureOptions {
  readonly interface: string;
  readonly write: string;
  readonly filter: string;
  readonly count?: string;
  readonly seconds?: string;
  readonly config?: string;
  readonly port: string;
  readonly json?: boolean;
}

const COUNT_MAX = 2 ** 40;
const SECONDS_MAX = 2_000_000;

export function registerCapture(program: Command): void {
  program
    .command('capture')
    .description(
      'write the frames of an interface to a pcapng file, with verb, key and node as comments, until SIGINT or SIGTERM; scripts/memcached-udp.lua lets Wireshark and tshark read memcached’s UDP header',
    )
    .requiredOption('-i, --interface <IFACE>', 'network interface')
    .requiredOption('-w, --write <FILE>', 'capture file, pcapng unless its name ends in .pcap; - for standard output')
    .option('--filter <BPF>', 'what to capture, as for tcpdump: "udp port 11211" (default: everything)', '')
    .option('--count <N>', 'end after N frames')
    .option('--seconds <N>', 'end after N seconds')
    .addOption(
      new Option('-c, --config <FILE>', 'YAML configuration: comments name the node that each key is steered to'),
    )
    .option('--port <PORT>', 'UDP port of memcached, when there is no configuration', '11211')
    .option('--json', 'machine-readable: one JSON object a line (capturing, captured)')
    .addHelpText(
      'after',
      `
What Keysteer itself sends passes the kernel's queues and taps by: on one of its own interfaces the frames that come in are
seen, not those that it sends. Capture those where they arrive: at the other end of the wire, on a client or a node.`,
    )
    .action(run);
}

async function run(options: CaptureOptions): Promise<void> {
  const { interface: interfaceName, write: path, filter, json = false } = options;
  const limits = {
    ...(options.count === undefined ? {} : { count: readNumber('--count', options.count, COUNT_MAX, true) }),
    ...(options.seconds === undefined ? {} : { seconds: readNumber('--seconds', options.seconds, SECONDS_MAX, false) }),
  };
  const places = readPlaces(options);
  const stopAsked = signalled();
  const recording = await Recording.start({ interfaceName, path, filter, places, ...limits });
  // Standard output belongs to the capture when it is written there.
  const out = path === '-' ? process.stderr : process.stdout;
  const target = path === '-' ? 'standard output' : path;
  out.write(
    json
      ? `${JSON.stringify({ event: 'capturing', interface: interfaceName, file: path })}\n`
      : `capturing on ${interfaceName} to ${target}\n`,
  );
  await Promise.race([stopAsked, recording.ended]);
  const summary = await recording.stop();
  out.write(json ? `${JSON.stringify({ event: 'captured', ...summary })}\n` : `${render(summary)}\n`);
}

function readNumber(flag: string, text: string, max: number, isWhole: boolean): number {
  const value = Number(text);
  if (value > 0 && value <= max && (!isWhole || Number.isInteger(value))) return value;
  throw new UsageError(`${flag} is ${text}; it must be a ${isWhole ? 'whole ' : ''}number above 0, at most ${max}`);
}

function readPlaces({ config, port: text }: CaptureOptions): Places {
  if (config !== undefined) return placesOfConfig(loadConfig(readFileSync(config, 'utf8'), config));
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return placesOfPort(port);
  throw new UsageError(`--port is ${text}; it must be a UDP port, 1 to 65535`);
}

function render({ seconds, frames, bytes, requests, replies, verbs, nodes }: RecordSummary): string {
  const number = (value: number) => value.toLocaleString('en');
  const keys = Object.values(nodes).reduce((sum, count) => sum + count, 0);
  const byCount = (counts: Readonly<Record<string, number>>) => Object.entries(counts).sort(([, a], [, b]) => b - a);
  return table([
    ['frames', `${number(frames)}, ${number(bytes)} bytes in ${seconds.toFixed(1)} s`],
    ['memcached', `${number(requests)} requests, ${number(replies)} replies`],
    ...byCount(verbs).map(([verb, count]) => [verb, number(count)]),
    ...byCount(nodes).map(([node, count]) => [`node ${node}`, `${number(count)} keys, ${percent(count, keys)}`]),
  ]);
}
