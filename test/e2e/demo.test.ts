/** The demo from the outside: what it prints, what it writes, and that it leaves nothing behind. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nginxUnavailable } from '../../src/experiment/baselines/nginx.ts';
import { NamespaceSet, runIn } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { CLI, requireBed } from './program.ts';

const SYSTEMS = ['direct', 'keysteer', 'plainProxy', ...(nginxUnavailable() === undefined ? ['nginx'] : [])];
/** Four systems, each filled, warmed up and measured for a second. */
const DEMO_MS_MAX = 90_000;

describe.skipIf(requireBed())('demo', () => {
  let namespaces: NamespaceSet;
  /** Where the demo is started: an interface that it leaves behind would be seen here. */
  let home: string;
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-e2e-'));
    namespaces = new NamespaceSet();
    [home] = namespaces.create(['home']) as [string];
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await namespaces?.close();
  });

  const start = (...args: string[]) => namespaces.spawn(home, [process.execPath, CLI, 'demo', ...args]);
  const interfaces = () => runIn(home, ['ip', '-brief', 'link']);

  /** Waits until Keysteer is under load; returns all processes of the demo then. */
  async function untilMeasuring(demo: ProcessGroup): Promise<Process[]> {
    await demo.untilOutput(/keysteer: measure/, DEMO_MS_MAX);
    const processes = descendants(demo.pid);
    const commands = processes.map(({ command }) => command);
    expect(commands.filter(command => command === 'memcached')).toHaveLength(4);
    expect(namespacesOf(demo).length).toBeGreaterThan(4);
    return processes;
  }

  async function expectNothingLeft(demo: ProcessGroup, processes: readonly Process[], before: string): Promise<void> {
    expect(namespacesOf(demo)).toEqual([]);
    expect(interfaces()).toBe(before);
    for (const deadline = Date.now() + 2000; processes.some(isAlive) && Date.now() < deadline; ) {
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    expect(processes.filter(isAlive)).toEqual([]);
  }

  test(
    'prints a row for every system, writes them down, and is gone',
    async () => {
      const before = interfaces();
      const path = join(folder, 'demo.json');
      const demo = start('--seconds', '1', '--json', path);
      const processes = await untilMeasuring(demo);
      expect(await demo.ended).toEqual({ code: 0, signal: null });
      const { results, learnt, answeredShare, skipped } = JSON.parse(readFileSync(path, 'utf8'));
      const names = results.map(({ system }: { system: string }) => system);
      expect(names).toEqual(SYSTEMS);
      expect(skipped).toHaveLength(4 - SYSTEMS.length);
      for (const { load, nodes } of results) {
        expect(load.requestsPerSecond).toBeGreaterThan(1000);
        expect(nodes.map(({ requests }: { requests: number }) => requests > 0)).toEqual([true, true, true, true]);
      }
      expect(results[1].load.wrong).toBe(0);
      expect(results[1].load.replies).toBeGreaterThan(1000);
      expect(answeredShare).toBeGreaterThan(0.05);
      expect(answeredShare).toBeLessThan(1);
      expect(demo.output).toMatch(/^Keysteer answered \d+\.\d % of the GETs itself,/m);
      expect([learnt.system, learnt.load.wrong]).toEqual(['keysteer', 0]);
      expect(learnt.load.replies).toBeGreaterThan(1000);
      expect(demo.output).toMatch(/^keysteer, 3 s on +[\d,]+ .* ×$/m);
      for (const label of ['direct', 'keysteer', 'plain proxy']) {
        expect(demo.output).toMatch(new RegExp(`^${label} +[\\d,]+ .* ×$`, 'm'));
      }
      await expectNothingLeft(demo, processes, before);
    },
    DEMO_MS_MAX,
  );

  test(
    'SIGINT in its middle ends it at once, and it is gone all the same',
    async () => {
      const before = interfaces();
      const demo = start('--seconds', '1');
      const processes = await untilMeasuring(demo);
      const startedMs = performance.now();
      demo.signal('SIGINT');
      expect(await demo.ended).toEqual({ code: 130, signal: null });
      expect(performance.now() - startedMs).toBeLessThan(5000);
      await expectNothingLeft(demo, processes, before);
    },
    DEMO_MS_MAX,
  );
});

interface Process {
  readonly pid: number;
  readonly command: string;
  /** Clock ticks since boot: with the pid, this process and no other. */
  readonly startedAt: string;
}

function namespacesOf({ pid }: ProcessGroup): string[] {
  return readdirSync('/run/netns').filter(name => name.startsWith(`ks${pid}-`));
}

/** All processes below `root`. */
function descendants(root: number): Process[] {
  const all = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => readProcess(Number(name)));
  const children = (parent: number): Process[] =>
    all.flatMap(found => (found?.parent === parent ? [found, ...children(found.pid)] : []));
  return children(root).map(({ pid, command, startedAt }) => ({ pid, command, startedAt }));
}

function isAlive({ pid, startedAt }: Process): boolean {
  return readProcess(pid)?.startedAt === startedAt;
}

/** From /proc/PID/stat; undefined when it is gone, or a zombie that nobody has asked for yet. */
function readProcess(pid: number): (Process & { parent: number }) | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return state === 'Z' ? undefined : { pid, parent: Number(parent), command, startedAt: rest[17]! };
  } catch {
    return undefined;
  }
}
