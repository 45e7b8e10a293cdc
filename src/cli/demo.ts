import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import type { Command } from 'commander';
import { type Comparison, compare, DEMO_PLAN } from '../experiment/comparison.ts';
import type { SystemResult } from '../experiment/load-runner.ts';
import { mayCreateNamespaces, reexecInUserNamespace, userNamespaceRefusal } from '../experiment/unprivileged.ts';
import type { Progress } from '../load/run.ts';
import { percent, table, UsageError, UserError } from './output.ts';
import { ProgressBar } from './progress.ts';
import { packageVersion } from './version.ts';

interface DemoOptions {
  readonly seconds: string;
  readonly json?: string;
}

const CLIENTS = 2;
const NODES = 4;
/** Keysteer is measured twice: as it starts, and once more after so many times as long. */
const LEARN_FACTOR = 2;
/** Share of a system's time that each phase takes, about: for the bar alone. */
const PHASE_STARTS: Readonly<Record<Progress['phase'], number>> = {
  resolve: 0,
  prefill: 0.02,
  await: 0.2,
  warmup: 0.3,
  measure: 0.35,
  drain: 0.98,
};

const LABELS: Readonly<Record<SystemResult['system'], string>> = {
  direct: 'direct',
  keysteer: 'keysteer',
  plainProxy: 'plain proxy',
  nginx: 'nginx stream',
};

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description(
      'clients, Keysteer and real memcached nodes in namespaces on this machine, compared with the baselines',
    )
    .option('--seconds <N>', 'measured time of each system, of Keysteer twice, seconds', '5')
    .option('--json <FILE>', 'also write the results to FILE')
    .action(run);
}

async function run({ seconds: text, json }: DemoOptions): Promise<void> {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 3600)) throw new UsageError(`--seconds is ${text}; it must be above 0, at most 3600`);
  if (!mayCreateNamespaces()) return runInside();
  const bar = new ProgressBar();
  bar.say(`${CLIENTS} clients, ${NODES} memcached nodes, Zipf 0.99 over 20,000 keys, 90 % GET; ${seconds} s each`);
  const comparison = await compare(
    {
      layout: 'switched',
      clients: CLIENTS,
      nodes: NODES,
      plan: { ...DEMO_PLAN, seconds },
      learnSeconds: LEARN_FACTOR * seconds,
    },
    (system, position, count, progress) => {
      const done = (position + shareDone(progress)) / count;
      bar.show(
        done,
        `${LABELS[system]}: ${progress.phase}, ${Math.round(progress.repliesPerSecond).toLocaleString('en')} replies/s`,
      );
    },
  );
  bar.clear();
  process.stdout.write(`${render(comparison)}\n`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(asJson(comparison), null, 2)}\n`);
  const faulty = [...comparison.results, ...(comparison.learnt ? [comparison.learnt] : [])].find(
    ({ system, load }) => system === 'keysteer' && (load.wrong > 0 || load.replies === 0),
  );
  if (faulty) throw new UserError('a reply through Keysteer was wrong or none came; see the table');
}

/** Without root: the same again, inside a user namespace of our own. */
async function runInside(): Promise<void> {
  const code = await reexecInUserNamespace([process.execPath, ...process.argv.slice(1)]);
  if (code === undefined) {
    throw new UserError(
      `the demo makes network namespaces: it needs root, or a kernel that allows unprivileged user namespaces (${userNamespaceRefusal()}). Try: sudo npm run demo`,
    );
  }
  process.exitCode = code;
}

function shareDone({ phase, share = 0 }: Progress): number {
  const phases = Object.values(PHASE_STARTS);
  const start = PHASE_STARTS[phase];
  const end = phases.find(value => value > start) ?? 1;
  return start + (end - start) * share;
}

function render({ results, learnt, answeredShare, skipped, plan }: Comparison): string {
  const plain = results.find(({ system }) => system === 'plainProxy')?.load.requestsPerSecond;
  const number = (value: number) => Math.round(value).toLocaleString('en');
  const row = ({ load, nodes }: SystemResult, label: string) => {
    const total = nodes.reduce((sum, node) => sum + node.requests, 0);
    return [
      label,
      number(load.requestsPerSecond),
      number(load.latency.p50Us),
      number(load.latency.p99Us),
      number(load.lost),
      number(load.wrong),
      nodes.map(node => percent(node.requests, total).replace(' %', '')).join(' '),
      plain === undefined ? '–' : `${(load.requestsPerSecond / plain).toFixed(2)} ×`,
    ];
  };
  const learntLabel = `${LABELS.keysteer}, ${(LEARN_FACTOR + 1) * (plan.seconds ?? 0)} s on`;
  const rows = results.flatMap(result => {
    const rowOf = row(result, LABELS[result.system]);
    return result.system === 'keysteer' && learnt !== undefined ? [rowOf, row(learnt, learntLabel)] : [rowOf];
  });
  const head = ['', 'requests/s', 'p50 µs', 'p99 µs', 'lost', 'wrong', 'load per node, %', 'to plain proxy'];
  const notes = skipped.map(({ system, reason }) => `${LABELS[system]}: skipped, ${reason}`);
  const nginx = results.find(({ system }) => system === 'nginx');
  if (nginx)
    notes.push(`nginx cannot see the key and balances by session: ${number(nginx.load.misses)} of its GETs missed.`);
  if (answeredShare !== undefined)
    notes.push(
      `Keysteer answered ${percent(answeredShare, 1)} of the GETs itself, and finds more hot keys the longer it runs (--seconds 30).`,
    );
  const where = `${cpus()[0]?.model.trim() ?? 'unknown CPU'} × ${cpus().length}, Linux ${release()}, Node ${process.version}; everything shares these cores`;
  return [
    table([head, ...rows]),
    '',
    ...notes,
    'Closed loop, 64 requests outstanding per client; every reply matched, every value verified.',
    where,
  ].join('\n');
}

function asJson(comparison: Comparison): object {
  return {
    keysteer: packageVersion(),
    node: process.version,
    cpu: `${cpus()[0]?.model ?? 'unknown'} × ${cpus().length}`,
    kernel: release(),
    date: new Date().toISOString(),
    plan: comparison.plan,
    skipped: comparison.skipped,
    results: comparison.results.map(plainly),
    ...(comparison.learnt === undefined ? {} : { learnt: plainly(comparison.learnt) }),
    answeredShare: comparison.answeredShare,
  };
}

/** Without the histograms, which are only of use while results are put together. */
function plainly({ load: { histograms: _, ...load }, ...result }: SystemResult): object {
  return { ...result, load };
}
