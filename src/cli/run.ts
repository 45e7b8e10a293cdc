import type { Command } from 'commander';
import { AdminError } from '../control/admin/listen.ts';
import { placeText } from '../control/admin/places.ts';
import { AdminServer } from '../control/admin/server.ts';
import { Conductor, dropReasons, type Figures, type HealthEvent } from '../control/conductor.ts';
import { Reloader, type ReloadReport } from '../control/reload/reloader.ts';
import { addConfigOptions, type ConfigOptions, configSource, readConfig } from './config-options.ts';
import { messageOf, percent, printJson, short, table, UsageError } from './output.ts';
import { reportText } from './reload.ts';
import { hungUp, signalled } from './signals.ts';
import { packageVersion } from './version.ts';

interface RunOptions extends ConfigOptions {
  readonly json?: boolean;
  readonly interval?: string;
}

export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .description('forward: attach to the interfaces and steer until SIGINT or SIGTERM; SIGHUP reads the file again')
    .option('--json', 'machine-readable: one JSON object a line (ready, health, figures, reload, final)')
    .option('--interval <SECONDS>', 'how often to print figures, 0 = never (default: 1 on a terminal, else 0)');
  addConfigOptions(command).action(run);
}

async function run({ json = false, interval, ...options }: RunOptions): Promise<void> {
  const seconds = readInterval(interval);
  const stopAsked = signalled(['SIGINT', 'SIGTERM']);
  let reloader: Reloader | undefined;
  let isReloadDue = false;
  const reload = () => {
    if (reloader === undefined) isReloadDue = true;
    else reloader.reload().catch(() => {}); // what came of it is printed below
  };
  const asked = Promise.race([stopAsked, hungUp(reload)]);
  const conductor = Conductor.start(readConfig(options));
  const isReady = await Promise.race([conductor.ready().then(() => true), asked.then(() => false)]);
  if (!isReady) return printFinal(await conductor.stop(), json);
  reloader = new Reloader(conductor, configSource(options), outcome => printReload(outcome, json));
  const admin = await startAdmin(conductor, reloader);
  printReady(conductor, admin, json);
  conductor.onHealth = event => printHealth(event, json);
  const stopPrinting = seconds > 0 ? printEvery(seconds, conductor, json) : () => {};
  if (isReloadDue) reload();
  await asked;
  stopPrinting();
  await admin?.close();
  printFinal(await conductor.stop(), json);
}

/** Without a place that was named, one that cannot be had is no reason not to forward. */
async function startAdmin(conductor: Conductor, reloader: Reloader): Promise<AdminServer | undefined> {
  const { admin } = conductor.config;
  if (admin.kind === 'off') return undefined;
  try {
    const instance = { version: packageVersion(), startedAt: new Date(), conductor, reloader };
    return await AdminServer.start(instance, admin);
  } catch (error) {
    if (admin.kind === 'auto' && error instanceof AdminError) {
      process.stderr.write(`keysteer: going on without: ${error.message}\n`);
      return undefined;
    }
    await conductor.stop();
    throw error;
  }
}

function printReload(outcome: ReloadReport | Error, json: boolean): void {
  const refused = outcome instanceof Error;
  if (json) {
    return printJson({ event: 'reload', applied: !refused, ...(refused ? { error: outcome.message } : outcome) });
  }
  if (refused) process.stderr.write(`keysteer: reload refused, nothing changed: ${messageOf(outcome)}\n`);
  else process.stdout.write(`${reportText(outcome)}\n`);
}

function readInterval(text: string | undefined): number {
  if (text === undefined) return process.stdout.isTTY ? 1 : 0;
  const seconds = Number(text);
  if (!(seconds >= 0 && seconds <= 86_400))
    throw new UsageError(`--interval is ${text}; it must be 0 to 86400 seconds`);
  return seconds;
}

function printReady(conductor: Conductor, admin: AdminServer | undefined, json: boolean): void {
  const { vip, mode, nodes, lanes, ports } = conductor.config;
  const place = `${vip.text}:${vip.port}`;
  const adminText = admin === undefined ? 'off' : placeText(admin.place);
  if (json) return printJson({ event: 'ready', vip: place, mode, nodes: nodes.length, lanes, admin: adminText });
  const arms = ports.server ? `${ports.client.interface} and ${ports.server.interface}` : ports.client.interface;
  const many = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;
  process.stdout.write(
    `ready: ${place} on ${arms}, mode ${mode}, ${many(nodes.length, 'node')}, ${many(lanes, 'lane')}, admin ${adminText}\n`,
  );
}

function printHealth({ node, from, to, reason }: HealthEvent, json: boolean): void {
  if (json) return printJson({ event: 'health', time: new Date().toISOString(), node, from, to, reason });
  process.stdout.write(`node ${node}: ${to}${reason === '' ? '' : `, ${reason}`}\n`);
}

function printEvery(seconds: number, conductor: Conductor, json: boolean): () => void {
  let before = conductor.figures();
  const timer = setInterval(() => {
    const now = conductor.figures();
    if (json) printJson({ event: 'figures', ...now });
    else process.stdout.write(`${summaryLine(before, now)}\n`);
    before = now;
  }, seconds * 1000);
  return () => clearInterval(timer);
}

/** What needs no word. */
const SOUND: ReadonlySet<string> = new Set(['healthy', 'unwatched']);

function summaryLine(before: Figures, now: Figures): string {
  const seconds = now.seconds - before.seconds;
  const rate = (name: string) => short((now.counters[name] - before.counters[name]) / seconds);
  const drops = sum(dropReasons(now.counters)) - sum(dropReasons(before.counters));
  const requests = now.counters.requests - before.counters.requests;
  const shares = now.nodes.map(
    (node, i) => `${node.name} ${percent(node.requests - before.nodes[i].requests, requests)}`,
  );
  const unwell = now.nodes.flatMap(({ name, health }) => (SOUND.has(health) ? [] : [`${name} ${health}`]));
  const running = now.lanes.filter(lane => lane.state === 'running').length;
  return (
    `${rate('requests')} requests/s  ${rate('replies')} replies/s  ${drops} dropped  ` +
    `lanes ${running}/${now.lanes.length}  ${[...shares, ...unwell].join('  ')}`
  );
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function printFinal(figures: Figures, json: boolean): void {
  if (json) return printJson({ event: 'final', ...figures });
  const rows = Object.entries(figures.counters)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => [name, Math.round(count).toLocaleString('en')]);
  const ports = figures.ports.flatMap(({ name, counters }) =>
    Object.entries(counters)
      .filter(([, count]) => count > 0)
      .map(([counter, count]) => [`${name} ${counter}`, count.toLocaleString('en')]),
  );
  const nodes = figures.nodes.map(node => [
    `node ${node.name}`,
    `${node.requests.toLocaleString('en')} requests, ${node.replies.toLocaleString('en')} replies, ${node.health}${node.reason === '' ? '' : `: ${node.reason}`}`,
  ]);
  const lanes = figures.lanes.flatMap(({ restarts, lastError }, lane) =>
    restarts > 0 ? [[`lane ${lane} restarts`, `${restarts} (${lastError})`]] : [],
  );
  process.stdout.write(
    `stopped after ${figures.seconds.toFixed(1)} s\n${table([...rows, ...ports, ...nodes, ...lanes])}\n`,
  );
}
