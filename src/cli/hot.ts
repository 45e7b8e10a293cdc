import type { Command } from 'commander';
import { askAdmin } from '../control/admin/client.ts';
import type { AdminPlace } from '../control/admin/places.ts';
import { keyFault, quoted, readKey } from '../control/hot/key-text.ts';
import { type AdminOptions, addAdminOptions, instanceOf } from './admin-options.ts';
import { type HotListing, hotScreen } from './hot-screen.ts';
import { drawLines, onSignals, openScreen, pause, readInterval } from './live.ts';
import { printJson, UsageError } from './output.ts';

const WIDTH = 80;
const HEIGHT = 24;
/** Lines of the screen beside the keys. */
const FIXED_LINES = 8;
const INTERVAL_DEFAULT = '1';
const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 262_144;

const DONE: Readonly<Record<string, string>> = {
  pin: 'is pinned: hot from now on, until it is unpinned or Keysteer restarts',
  unpin: 'is not pinned: it stays hot as long as it is asked for often',
  ban: 'is banned: all requests for it go to its node, until it is unbanned or Keysteer restarts',
  unban: 'is not banned',
};
const ACTIONS = Object.keys(DONE);

interface HotOptions extends AdminOptions {
  readonly follow?: boolean;
  readonly interval?: string;
  readonly limit?: string;
}

export function registerHot(program: Command): void {
  const command = program
    .command('hot')
    .argument('[action]', `${ACTIONS.join(', ')}: always, or never, treat a key as hot`)
    .argument('[key]', String.raw`the key; bytes that cannot be typed as \xNN, a backslash as \\`)
    .description(
      'list the hot keys of a running instance: share of the requests with its error, where the key is, its copies; or pin and ban keys',
    )
    .option('-f, --follow', 'look again and again; q ends it')
    .option('--interval <SECONDS>', `time between two looks (default: ${INTERVAL_DEFAULT})`)
    .option('--limit <N>', `keys to show, the hottest first (default: ${LIMIT_DEFAULT}, or what fits the terminal)`)
    .addHelpText('after', HELP);
  addAdminOptions(command).action(hot);
}

const HELP = String.raw`
SHARE% is what the key has at least of all requests of the last seconds, +ERR% what it may have beyond that.
AT is the layer that the key is looked up in, with * for a pinned one. COPIES: nodes that have it / shall have it.
GET/S, SET/S and READS are as of the last epoch: with -f, too, they change once in hot.epoch_ms (4 s unless it is set).

  keysteer hot                    the hottest keys, once
  keysteer hot -f                 the same, live
  keysteer hot --json | jq '.keys[].key'
  keysteer hot pin front-page     answered by Keysteer from the first request on
  keysteer hot ban 'caf\xc3\xa9'  never treated: \xNN is a byte; this is café`;

async function hot(action: string | undefined, key: string | undefined, options: HotOptions): Promise<void> {
  if (action !== undefined) return order(action, key, options);
  const ms = readInterval(options.interval ?? INTERVAL_DEFAULT) * 1000;
  const limit = readLimit(options.limit);
  const place = await instanceOf(options);
  if (!options.follow) return show(await listing(place, limit ?? LIMIT_DEFAULT), options);
  const quit = new AbortController();
  const isLive = process.stdout.isTTY && !options.json;
  const restore = isLive ? openScreen(quit) : onSignals(quit);
  try {
    await follow(place, ms, limit, options, isLive, quit.signal);
  } finally {
    restore();
  }
}

async function order(action: string, text: string | undefined, options: HotOptions): Promise<void> {
  if (!ACTIONS.includes(action)) throw new UsageError(`<action> is ${action}; it must be ${ACTIONS.join(', ')}`);
  if (text === undefined)
    throw new UsageError(`keysteer hot ${action} needs a key; \`keysteer hot\` lists the hot ones`);
  const fault = keyFault(readKey(text));
  if (fault !== undefined) throw new UsageError(`<key> is ${quoted(text)}; it ${fault}`);
  for (const name of ['follow', 'interval', 'limit'] as const) {
    if (options[name] === undefined) continue;
    throw new UsageError(`--${name} is of the list; \`keysteer hot ${action}\` does not take it`);
  }
  const answer = await askAdmin<{ key: string }>(
    await instanceOf(options),
    'POST',
    `/hot/${action}?key=${encodeURIComponent(text)}`,
  );
  if (options.json) return printJson(answer);
  process.stdout.write(`${answer.key} ${DONE[action]}\n`);
}

async function follow(
  place: AdminPlace,
  ms: number,
  limit: number | undefined,
  options: AdminOptions,
  isLive: boolean,
  quit: AbortSignal,
): Promise<void> {
  while (!quit.aborted) {
    const { columns = WIDTH, rows = HEIGHT } = process.stdout;
    const fitting = Math.max(1, rows - FIXED_LINES);
    const listed = await listing(place, limit ?? (isLive ? fitting : LIMIT_DEFAULT));
    if (isLive) drawLines(hotScreen(listed, columns));
    else show(listed, options);
    await pause(ms, quit);
  }
}

function listing(place: AdminPlace, limit: number): Promise<HotListing> {
  return askAdmin<HotListing>(place, 'GET', `/hot?limit=${limit}`);
}

function show(listed: HotListing, { json }: AdminOptions): void {
  if (json) return printJson(listed);
  process.stdout.write(`${hotScreen(listed, process.stdout.columns || WIDTH).join('\n')}\n`);
}

function readLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new UsageError(`--limit is ${text}; it must be a whole number from 1 to ${LIMIT_MAX}`);
}
