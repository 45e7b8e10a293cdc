import type { Command } from 'commander';
import { askAdmin } from '../control/admin/client.ts';
import type { AdminPlace } from '../control/admin/places.ts';
import type { Status } from '../control/admin/status.ts';
import { ratesBetween } from '../control/rates.ts';
import { type AdminOptions, addAdminOptions, instanceOf } from './admin-options.ts';
import { drawLines, onSignals, openScreen, pause, readInterval } from './live.ts';
import { printJson } from './output.ts';
import { topScreen } from './top-screen.ts';

const WIDTH = 80;
const HEIGHT = 24;
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
  drawLines(topScreen(status, ratesBetween(before, status), columns, rows));
}
