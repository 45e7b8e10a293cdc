import type { Command } from 'commander';
import { askAdmin } from '../control/admin/client.ts';
import { type AdminPlace, placeText } from '../control/admin/places.ts';
import type { Status } from '../control/admin/status.ts';
import { dropReasons } from '../control/figures.ts';
import { type AdminOptions, addAdminOptions, instanceOf } from './admin-options.ts';
import { nodeTable } from './nodes.ts';
import { duration, micros, percent, printJson, short, wrap } from './output.ts';

export function registerStatus(program: Command): void {
  const command = program
    .command('status')
    .description('say how a running instance does: counters since its start, nodes, lanes, reloads');
  addAdminOptions(command).action(async (options: AdminOptions) => {
    const place = await instanceOf(options);
    const status = await askAdmin<Status>(place, 'GET', '/status');
    if (options.json) return printJson(status);
    process.stdout.write(`${statusText(place, status)}\n`);
  });
}

function statusText(place: AdminPlace, status: Status): string {
  const { vip, mode, version, pid, seconds, configFile, counters, reloads } = status;
  const { applied, refused, lastAt, lastError } = reloads;
  const last = lastAt === undefined ? '' : `, the last ${lastError === undefined ? 'applied' : 'refused'} at ${lastAt}`;
  const facts = [
    ['instance', `${vip}, mode ${mode}, up ${duration(seconds)}, pid ${pid}, version ${version}`],
    ['admin', placeText(place)],
    ['configuration', configFile ?? 'flags alone'],
    ['reloads', `${applied} applied, ${refused} refused${last}`],
    ['requests', `${short(counters.requests!)} forwarded, ${short(counters.replies!)} datagrams of replies`],
    ...hotFacts(status),
    ['drops', dropsText(counters)],
    ...latencyFacts(status),
    ...status.lanes.map((lane, number) => [`lane ${number}`, laneText(lane, seconds)]),
  ];
  const width = Math.max(...facts.map(([name]) => name!.length));
  const columns = process.stdout.columns || 80;
  const lines = facts.flatMap(([name, text]) =>
    wrap(`${name!.padEnd(width)}  ${text}`, columns, ' '.repeat(width + 2)),
  );
  return [
    ...lines,
    '',
    nodeTable(status.nodes),
    ...(lastError === undefined ? [] : ['', 'last reload:', lastError]),
  ].join('\n');
}

function hotFacts({ hot, counters }: Status): string[][] {
  if (hot === null) return [['hot keys', 'off']];
  const { items, capacity, l1, cached, copies, stuck } = hot;
  const hits = counters.hot_hits!;
  const facts = [
    `${items} of ${capacity}, ${l1} in L1, ${cached} cached, ${copies} copies`,
    `${short(hits)} hits (${percent(hits, hits + counters.reads!)} of reads), ${short(counters.hot_writes!)} writes`,
    ...(stuck > 0 ? [`${stuck} under way for too long`] : []),
  ];
  return [['hot keys', facts.join(', ')]];
}

function dropsText(counters: Status['counters']): string {
  const drops = Object.entries(dropReasons(counters)).sort(([, a], [, b]) => b - a);
  return drops.length === 0 ? 'none' : drops.map(([name, count]) => `${name} ${short(count)}`).join(', ');
}

function latencyFacts({ latency }: Status): string[][] {
  return latency.map(({ verbs, path, count, p50Us, p99Us }) => {
    return [`${verbs}, ${path}`, `p50 ${micros(p50Us)}, p99 ${micros(p99Us)}, ${short(count)} requests`];
  });
}

function laneText(lane: Status['lanes'][number], seconds: number): string {
  const { state, restarts, lastError, busySeconds, idleSeconds } = lane;
  const crashes = restarts === 0 ? '' : `, ${restarts} restarts (${lastError})`;
  return `${state}, ${percent(busySeconds, seconds)} at work, ${percent(idleSeconds, seconds)} asleep${crashes}`;
}
