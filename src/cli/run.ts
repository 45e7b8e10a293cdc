import type { Command } from 'commander';
import { Conductor, dropReasons, type Figures } from '../control/conductor.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from './config-options.ts';
import { percent, printJson, short, table, UsageError } from './output.ts';
import { signalled } from './signals.ts';

interface RunOptions extends ConfigOptions {
  readonly json?: boolean;
  readonly interval?: string;
}

export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .description('forward: attach to the interfaces and steer until SIGINT or SIGTERM')
    .option('--json', 'machine-readable: one JSON object a line (ready, figures, final)')
    .option('--interval <SECONDS>', 'how often to print figures, 0 = never (default: 1 on a terminal, else 0)');
  addConfigOptions(command).action(run);
}

async function run({ json = false, interval, ...options }: RunOptions): Promise<void> {
  const seconds = readInterval(interval);
  const stopAsked = signalled();
  const conductor = Conductor.start(readConfig(options));
  await conductor.ready();
  printReady(conductor, json);
  const stopPrinting = seconds > 0 ? printEvery(seconds, conductor, json) : () => {};
  await stopAsked;
  stopPrinting();
  printFinal(await conductor.stop(), json);
}

function readInterval(text: string | undefined): number {
  if (text === undefined) return process.stdout.isTTY ? 1 : 0;
  const seconds = Number(text);
  if (!(seconds >= 0 && seconds <= 86_400))
    throw new UsageError(`--interval is ${text}; it must be 0 to 86400 seconds`);
  return seconds;
}

function printReady(conductor: Conductor, json: boolean): void {
  const { vip, mode, nodes, lanes, ports } = conductor.config;
  const place = `${vip.text}:${vip.port}`;
  if (json) return printJson({ event: 'ready', vip: place, mode, nodes: nodes.length, lanes });
  const arms = ports.server ? `${ports.client.interface} and ${ports.server.interface}` : ports.client.interface;
  const many = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;
  process.stdout.write(
    `ready: ${place} on ${arms}, mode ${mode}, ${many(nodes.length, 'node')}, ${many(lanes, 'lane')}\n`,
  );
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

function summaryLine(before: Figures, now: Figures): string {
  const seconds = now.seconds - before.seconds;
  const rate = (name: string) => short((now.counters[name] - before.counters[name]) / seconds);
  const drops = sum(dropReasons(now.counters)) - sum(dropReasons(before.counters));
  const requests = now.counters.requests - before.counters.requests;
  const shares = now.nodes.map(
    (node, i) => `${node.name} ${percent(node.requests - before.nodes[i].requests, requests)}`,
  );
  const running = now.lanes.filter(lane => lane.state === 'running').length;
  return (
    `${rate('requests')} requests/s  ${rate('replies')} replies/s  ${drops} dropped  ` +
    `lanes ${running}/${now.lanes.length}  ${shares.join('  ')}`
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
    `${node.requests.toLocaleString('en')} requests, ${node.replies.toLocaleString('en')} replies`,
  ]);
  const lanes = figures.lanes.flatMap(({ restarts, lastError }, lane) =>
    restarts > 0 ? [[`lane ${lane} restarts`, `${restarts} (${lastError})`]] : [],
  );
  process.stdout.write(
    `stopped after ${figures.seconds.toFixed(1)} s\n${table([...rows, ...ports, ...nodes, ...lanes])}\n`,
  );
}
