import { randomBytes } from 'node:crypto';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Latency } from '../client/latency.ts';
import { keysOf, Ping, type PingSummary, type Probe } from '../client/ping.ts';
import { parseServer } from '../client/server.ts';
import { SOURCES_MAX, type SourceCounts, Sources, type SourcesSummary } from '../client/sources.ts';
import { parseIpv4 } from '../wire/ipv4-text.ts';
import { EXIT_FAILURE, percent, printJson, table, UserError } from './output.ts';
import { addServerOptions, EXIT_NO_ANSWER, type ServerOptions, wholeNumber, withExitStatus } from './server-options.ts';
import { signalled } from './signals.ts';

interface PingCliOptions extends ServerOptions {
  readonly count?: number;
  /** s */
  readonly interval: number;
  readonly key?: string;
  readonly write?: boolean;
  readonly size?: number;
  readonly sources?: number;
  readonly sourceBase?: string;
  readonly unrouted?: boolean;
}

const INTERVAL_S_MAX = 86_400;
const VALUE_BYTES = 64;
const VALUE_BYTES_MAX = 65_000;
const SOURCE_BASE = '10.99.0.1';
/** Sources that a report for people names. */
const SOURCES_SHOWN = 20;

const HELP = `
Ends with a summary after --count probes, or at Ctrl-C. Which node has a key is asked of Keysteer (stats locate);
another server does not say, and the node is "-".

--sources writes whole IPv4 datagrams: it needs root and the optional package raw-socket. The addresses must be local to
this host (ip route add local 10.99.0.0/16 dev lo), and the server's host must have a route to them: a memcached that
cannot send a reply stops answering anybody over UDP until it is restarted.

Exit status: 0 answered, 1 a wrong value or an error line, 2 wrong usage, 3 no answer at all.`;

export function registerPing(program: Command): void {
  const command = program
    .command('ping')
    .description('probe a server over UDP: what is lost, how long it takes, which node answers')
    .helpGroup('A memcached client over UDP:')
    .addOption(new Option('-n, --count <N>', 'probes (with --sources: from each)').argParser(wholeNumber(1, 1e9)))
    .addOption(
      new Option('-i, --interval <SECONDS>', '0: each after the answer to the last').default(1).argParser(seconds),
    )
    .option('-k, --key <PATTERN>', '%d becomes the number of the probe (default: keysteer-ping-%d)')
    .option('-w, --write', 'set a value, get it back and compare; it expires after 60 s')
    .addOption(
      new Option('--size <BYTES>', `of the value of --write (default: ${VALUE_BYTES})`).argParser(
        wholeNumber(0, VALUE_BYTES_MAX),
      ),
    )
    .addOption(
      new Option('--sources <N>', 'as N clients, each with an address of its own').argParser(
        wholeNumber(1, SOURCES_MAX),
      ),
    )
    .option('--source-base <ADDRESS>', `the first of these addresses (default: ${SOURCE_BASE})`)
    .option('--unrouted', 'send although the replies to them cannot come back here');
  addServerOptions(command).addHelpText('after', HELP);
  command.action((options: PingCliOptions) => withExitStatus(() => run(options)));
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= INTERVAL_S_MAX) return value;
  throw new InvalidArgumentError(`It must be 0 to ${INTERVAL_S_MAX} seconds.`);
}

function run(options: PingCliOptions): Promise<number> {
  checkTogether(options);
  const stop = new AbortController();
  void signalled().then(() => stop.abort());
  return options.sources === undefined ? pingOnce(options, stop.signal) : pingAsMany(options, stop.signal);
}

function checkTogether({ write, size, sources, sourceBase, unrouted }: PingCliOptions): void {
  if (size !== undefined && !write) throw new UserError('--size is of the value that --write sets; add --write');
  if (write && sources !== undefined) throw new UserError('--write and --sources do not go together');
  if (sources !== undefined) return;
  if (sourceBase !== undefined) throw new UserError('--source-base goes with --sources');
  if (unrouted) throw new UserError('--unrouted goes with --sources');
}

// ---- one client

async function pingOnce(options: PingCliOptions, signal: AbortSignal): Promise<number> {
  const { json = false, count = Number.POSITIVE_INFINITY, interval, timeout, write, size = VALUE_BYTES } = options;
  const server = parseServer(options.server);
  const run = randomBytes(4).toString('hex');
  // Written keys are this run's own: two runs must not read each other's values.
  const pattern = options.key ?? (write ? `keysteer-ping-${run}-%d` : 'keysteer-ping-%d');
  const valueFor = (sequence: number) => Buffer.alloc(size, `${run}-${sequence}|`);
  if (!json) process.stdout.write(`ping ${options.server}: ${write ? 'set and get' : 'get'} of ${pattern}\n`);
  const summary = await Ping.run(
    {
      ...{ server, count, signal, keyOf: keysOf(pattern), ...(write && { valueFor }) },
      ...{ intervalMs: interval * 1000, timeoutMs: timeout },
    },
    probe => (json ? printJson({ event: 'probe', ...probe }) : process.stdout.write(`${probeLine(probe)}\n`)),
  );
  if (json) printJson({ event: 'summary', server: options.server, ...summary });
  else process.stdout.write(`${summaryText(options.server, summary)}\n`);
  return statusOf(summary.received, summary.lost, summary.wrong + summary.errors);
}

function probeLine({ sequence, key, outcome, getMicroseconds, setMicroseconds, node, detail }: Probe): string {
  const address = node?.address === undefined ? '' : ` (${node.address})`;
  const times = [
    ...(setMicroseconds === undefined ? [] : [`set ${setMicroseconds} µs`]),
    ...(getMicroseconds === undefined ? [] : [`get ${getMicroseconds} µs`]),
  ];
  const what = [outcome, ...times].join(' ');
  return `${sequence}: ${key} ${what} node ${node?.name ?? '-'}${address}${detail === undefined ? '' : `: ${detail}`}`;
}

function summaryText(server: string, summary: PingSummary): string {
  const { late, wrong, errors, pending, nodes, received } = summary;
  const shares = Object.entries(nodes).map(([name, count]) => `${name} ${count} (${percent(count, received)})`);
  const others = { late, wrong, errors, 'still under way': pending };
  return [
    `--- ${server} after ${summary.seconds.toFixed(1)} s`,
    totals(summary, others),
    latencies({ get: summary.get, set: summary.set }),
    shares.length === 0 ? '' : `nodes: ${shares.join(', ')}`,
  ]
    .filter(line => line !== '')
    .join('\n');
}

/** sent, received, lost, duplicates; then what there was of the others. */
function totals(
  counts: { sent: number; received: number; lost: number; duplicates: number },
  others: Readonly<Record<string, number>>,
): string {
  const { sent, received, lost, duplicates } = counts;
  const seen = Object.entries(others).filter(([, count]) => count > 0);
  return [
    `${sent} sent, ${received} received, ${lost} lost (${percent(lost, received + lost)}), ${duplicates} duplicates`,
    ...seen.map(([name, count]) => `${count} ${name}`),
  ].join(', ');
}

function latencies(rows: Readonly<Record<string, Latency | undefined>>): string {
  const given = Object.entries(rows).flatMap(([name, latency]) => (latency ? [[name, latency] as const] : []));
  if (given.length === 0) return '';
  const cells = given.map(([name, { min, mean, p50, p99, max }]) => [name, ...[min, mean, p50, p99, max].map(String)]);
  return table([['µs', 'min', 'avg', 'p50', 'p99', 'max'], ...cells]);
}

// ---- many clients

async function pingAsMany(options: PingCliOptions, signal: AbortSignal): Promise<number> {
  const { json = false, count: rounds = Number.POSITIVE_INFINITY, interval, timeout, sources = 1 } = options;
  const server = parseServer(options.server);
  const base = options.sourceBase ?? SOURCE_BASE;
  checkAddress(base);
  const keyOf = keysOf(options.key ?? 'keysteer-ping-%d');
  const times = { intervalMs: interval * 1000, timeoutMs: timeout };
  const { unrouted: isUnroutedFine = false } = options;
  const summary = await Sources.run({ server, sources, base, rounds, keyOf, signal, isUnroutedFine, ...times });
  if (json) printJson({ event: 'summary', server: options.server, ...summary });
  else process.stdout.write(`${manyText(options.server, summary)}\n`);
  return statusOf(summary.received, summary.lost + summary.unsent, summary.wrong);
}

function checkAddress(text: string): void {
  try {
    parseIpv4(text);
  } catch (error) {
    throw new UserError(`--source-base: ${(error as Error).message}`);
  }
}

function manyText(server: string, summary: SourcesSummary): string {
  const { strays, misdirected, wrong, unsent, unsentReason, pending, sources } = summary;
  const others = { strays, misdirected, wrong, unsent, 'still under way': pending };
  return [
    `--- ${server} from ${sources.length} sources after ${summary.seconds.toFixed(1)} s`,
    totals(summary, others),
    unsentReason === undefined ? '' : `not sent: ${unsentReason}`,
    latencies({ get: summary.latency }),
    lossText(sources),
  ]
    .filter(line => line !== '')
    .join('\n');
}

/** The sources with the greatest share lost. */
function lossText(sources: readonly SourceCounts[]): string {
  const lossy = sources.filter(({ lost }) => lost > 0);
  if (lossy.length === 0) return 'no source lost anything';
  const worst = lossy.toSorted((a, b) => b.lost / b.sent - a.lost / a.sent).slice(0, SOURCES_SHOWN);
  const rows = worst.map(({ address, sent, received, lost }) => [
    ...[address, `${sent}`, `${received}`, `${lost}`, percent(lost, sent)],
  ]);
  const more = lossy.length > worst.length ? [`… and ${lossy.length - worst.length} more (--json has them all)`] : [];
  const heading = `${lossy.length} of ${sources.length} sources lost something:`;
  return [heading, table([['source', 'sent', 'received', 'lost', 'share'], ...rows]), ...more].join('\n');
}

function statusOf(received: number, lost: number, faulty: number): number {
  if (faulty > 0) return EXIT_FAILURE;
  return received === 0 && lost > 0 ? EXIT_NO_ANSWER : 0;
}
