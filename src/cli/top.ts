import type { Command } from 'commander';
import { askAdmin } from '../control/admin/client.ts';
import type { AdminPlace } from '../control/admin/places.ts';
import type { Status } from '../control/admin/status.ts';
import { ratesBetween } from '../control/rates.ts';
import { type AdminOptions, addAdminOptions, instanceOf } from './admin-options.ts';
import { printJson, UserError } from './output.ts';
import { topScreen } from './top-screen.ts';

const WIDTH = 80;
const HEIGHT = 24;
const INTERVAL_SECONDS_MIN = 0.1;
const INTERVAL_SECONDS_MAX = 3600;

/** Alternate screen and hidden cursor, so that the shell's screen is as it was afterwards. */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CTRL_C = '\x03';

interface TopOptions extends AdminOptions {
  readonly interval: string;
  readonly once?: boolean;
}

type Show = (status: Status, before: Status) => void;

export function registerTop(program: Command): void {
  const command = program
    .command('top')
    .description('watch a running instance: rates, latency, drops, nodes and lanes, each second; q ends it')
    .option('--interval <SECONDS>', 'time between two looks', '1')
    .option('--once', 'look for one interval, print, and end');
  addAdminOptions(command).action(top);
}

async function top({ interval, once = false, ...options }: TopOptions): Promise<void> {
  const ms = readInterval(interval) * 1000;
  const place = await instanceOf(options);
  const isLive = process.stdout.isTTY && !once && !options.json;
  const quit = new AbortController();
  const restore = isLive ? openScreen(quit) : onSignals(quit);
  try {
    await watch(place, ms, once, options.json ? showJson : isLive ? draw : print, quit.signal);
  } finally {
    restore();
  }
}

function readInterval(text: string): number {
  const seconds = Number(text);
  if (seconds >= INTERVAL_SECONDS_MIN && seconds <= INTERVAL_SECONDS_MAX) return seconds;
  throw new UserError(`--interval is ${text}; it must be ${INTERVAL_SECONDS_MIN} to ${INTERVAL_SECONDS_MAX} seconds`);
}

async function watch(place: AdminPlace, ms: number, once: boolean, show: Show, quit: AbortSignal): Promise<void> {
  let before = await askAdmin<Status>(place, 'GET', '/status');
  for (let looks = 0; !(once && looks === 1); looks++) {
    await pause(ms, quit);
    if (quit.aborted) return;
    const status = await askAdmin<Status>(place, 'GET', '/status');
    show(status, before);
    before = status;
  }
}

function pause(ms: number, quit: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (quit.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    quit.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function showJson(status: Status, before: Status): void {
  const { histograms: _, ...figures } = status;
  printJson({ rates: ratesBetween(before, status), status: figures });
}

/** Where nothing can be drawn over: one screen after another. */
function print(status: Status, before: Status): void {
  const width = process.stdout.columns || WIDTH;
  process.stdout.write(`${topScreen(status, ratesBetween(before, status), width, Infinity).join('\n')}\n\n`);
}

function draw(status: Status, before: Status): void {
  const { columns = WIDTH, rows = HEIGHT } = process.stdout;
  const lines = topScreen(status, ratesBetween(before, status), columns, rows).slice(0, rows - 1);
  process.stdout.write(`${HOME}${lines.map(line => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
}

/** @returns what puts the terminal back as it was */
function openScreen(quit: AbortController): () => void {
  const { stdin, stdout } = process;
  stdout.write(ENTER);
  const offSignals = onSignals(quit);
  const onKey = (key: Buffer) => {
    if (key.toString() === 'q' || key.toString() === CTRL_C) quit.abort();
  };
  if (stdin.isTTY) stdin.setRawMode(true).resume().on('data', onKey);
  return () => {
    if (stdin.isTTY) stdin.off('data', onKey).setRawMode(false).pause();
    offSignals();
    stdout.write(LEAVE);
  };
}

function onSignals(quit: AbortController): () => void {
  const end = () => quit.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  return () => {
    process.off('SIGINT', end).off('SIGTERM', end);
  };
}
