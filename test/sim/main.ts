/**
 * `npm run sim`: runs of the simulator, one seed after another, until enough operations were done. Ends with 1 at the first
 * run that fails, and says how to see it again.
 */
import { Command, InvalidArgumentError } from 'commander';
import { biteAll } from './bugs.ts';
import { BY_NAME_ONLY, FAULT_TEXTS, FAULTS, type FaultName } from './fault-names.ts';
import { type PlanOptions, planOf } from './plan.ts';
import type { Mode } from './sim-config.ts';
import { type Report, Simulation } from './simulation.ts';

/** Operations of one run, unless more or fewer are wanted altogether. */
const RUN_OPERATIONS = 20_000;
const OPERATIONS = 100_000;
const SEED_MAX = 2 ** 31 - 1;

interface Options {
  readonly seed: number;
  readonly operations?: number;
  readonly seconds?: number;
  readonly runOperations?: number;
  readonly mode?: Mode;
  readonly lanes?: number;
  readonly faults?: ReadonlySet<FaultName>;
  readonly hot?: boolean;
  readonly trace?: string | true;
  readonly json?: true;
  readonly bugs?: true;
}

const EPILOG = `
Each run draws from its seed what it is like: mode, lanes, nodes, clients, keys, network, and which faults it has. What is
said here holds for all of them. --faults takes all (but for ${[...BY_NAME_ONLY].join(', ')}), none, or some of

${FAULTS.map(name => `  ${name.padEnd(10)} ${FAULT_TEXTS[name]}`).join('\n')}
`;

const program = new Command('sim')
  .description(
    'Runs Keysteer against simulated clients, network and nodes, on a virtual clock, all by lot from a seed.',
  )
  .option('--seed <number>', 'of the first run; the next ones count on from it', wholeNumber(0, SEED_MAX), 1)
  .option('--operations <number>', `of all runs together (default: ${OPERATIONS})`, wholeNumber(1, 1e12))
  .option('--seconds <number>', 'virtual time of all runs together, instead of --operations', wholeNumber(1, 1e9))
  .option('--run-operations <number>', `of one run (default: ${RUN_OPERATIONS})`, wholeNumber(1, 1e7))
  .option('--mode <mode>', 'nat, gateway or dsr (default: drawn)', mode)
  .option('--lanes <number>', '1 to 8 (default: drawn)', wholeNumber(1, 8))
  .option('--faults <list>', 'all, none, or names with commas between (default: drawn)', faults)
  .option('--hot <on|off>', 'whether keys are hot (default: drawn, mostly on)', onOrOff)
  .option('--trace [text]', 'print a line for each thing that happens, or only for those with this text in them')
  .option('--json', 'one JSON object instead of lines for people')
  .option('--bugs', 'sow bugs into copies of the program, one by one, and print how each is found')
  .addHelpText('after', EPILOG)
  .showHelpAfterError('(--help says more)')
  .allowExcessArguments(false);

program.parse();
const options = program.opts<Options>();
process.exitCode = options.bugs === true ? await sowBugs() : await runAll(options);

async function runAll(options: Options): Promise<number> {
  const reports: Report[] = [];
  const startedMs = performance.now();
  let failed: Report | undefined;
  for (let seed = options.seed; failed === undefined && !isEnough(options, reports); seed++) {
    const report = await runOne(seed, options, reports);
    reports.push(report);
    if (report.error !== undefined || report.violations.length > 0) failed = report;
    if (options.json !== true && options.trace === undefined) console.log(lineOf(report));
  }
  const realMs = performance.now() - startedMs;
  if (options.json === true) printJson(options, reports, failed, realMs);
  else printEnd(options, reports, failed, realMs);
  return failed === undefined ? 0 : 1;
}

/** A line for each bug; ends with 1 when the program as it is fails a run that a bug is found by. */
async function sowBugs(): Promise<number> {
  console.log(`${'bug'.padEnd(68)}  seed  operations  rule`);
  const bites = await biteAll(({ bug, seed, operations, rule, isSound }) => {
    const found = rule ?? `not found in ${operations} operations`;
    const end = isSound ? '' : ' (and without the bug, too)';
    console.log(`${bug.padEnd(68)}  ${`${seed}`.padStart(4)}  ${`${operations}`.padStart(10)}  ${found}${end}`);
  });
  return bites.every(({ isSound }) => isSound) ? 0 : 1;
}

function isEnough({ operations, seconds }: Options, reports: readonly Report[]): boolean {
  if (seconds !== undefined && total(reports, 'virtualMs') >= seconds * 1000) return true;
  if (seconds !== undefined && operations === undefined) return false;
  return total(reports, 'operations') >= (operations ?? OPERATIONS);
}

async function runOne(seed: number, options: Options, before: readonly Report[]): Promise<Report> {
  const { trace } = options;
  const plan = planOf(seed, planOptions(options, before));
  const simulation = new Simulation(plan, {
    ...(trace === undefined ? {} : { trace: (line: string) => process.stdout.write(`${line}\n`) }),
    ...(typeof trace === 'string' ? { traceKey: trace } : {}),
  });
  return simulation.run();
}

function planOptions(
  { operations, seconds, runOperations, ...options }: Options,
  before: readonly Report[],
): PlanOptions {
  const left =
    (operations ?? (seconds === undefined ? OPERATIONS : Number.POSITIVE_INFINITY)) - total(before, 'operations');
  const { mode, lanes, faults, hot } = options;
  return {
    operations: Math.min(left, runOperations ?? RUN_OPERATIONS),
    ...(seconds === undefined ? {} : { durationMs: Math.max(seconds * 1000 - total(before, 'virtualMs'), 1) }),
    ...(mode === undefined ? {} : { mode }),
    ...(lanes === undefined ? {} : { lanes }),
    ...(faults === undefined ? {} : { faults }),
    ...(hot === undefined ? {} : { hot }),
  };
}

function total(reports: readonly Report[], figure: 'operations' | 'virtualMs' | 'events' | 'frames'): number {
  return reports.reduce((sum, report) => sum + report[figure], 0);
}

function lineOf(report: Report): string {
  const { seed, operations, answered, faults, laneDeaths, moves, virtualMs, digest, undecided } = report;
  const share = ((100 * answered) / operations).toFixed(1);
  const seconds = (virtualMs / 1000).toFixed(1);
  return `seed ${seed}: ${operations} operations in ${seconds} s, ${share} % answered, ${faults} faults, ${laneDeaths} lane deaths, ${moves} keys moved, ${undecided.length === 0 ? '' : `${undecided.length} keys undecided, `}digest ${digest}`;
}

function printEnd(options: Options, reports: readonly Report[], failed: Report | undefined, realMs: number): void {
  const virtualMs = total(reports, 'virtualMs');
  const operations = total(reports, 'operations');
  const speed = `${Math.round(virtualMs / realMs)} × real time, ${Math.round((operations / realMs) * 1000)} operations/s`;
  console.log(
    `${operations} operations in ${(virtualMs / 1000).toFixed(0)} s of the clock, ${(realMs / 1000).toFixed(1)} s of ours: ${speed}`,
  );
  if (failed === undefined) return console.log('no violation');
  for (const violation of failed.violations.slice(0, 5)) console.log(`\n${violation.key}: ${violation.text}`);
  if (failed.error !== undefined) console.log(`\n${failed.error.stack}`);
  console.log(
    `\nFAILED: seed ${failed.seed}. Again, with all that happens: npm run sim -- ${replayOf(options, failed)} --trace`,
  );
}

/** The arguments that make the same run. */
function replayOf(options: Options, { seed }: Report): string {
  const { mode, lanes, faults, hot, runOperations } = options;
  const operations = Math.min(runOperations ?? RUN_OPERATIONS, options.operations ?? Number.POSITIVE_INFINITY);
  const parts = [`--seed ${seed} --operations ${operations}`];
  if (runOperations !== undefined) parts.push(`--run-operations ${runOperations}`);
  if (mode !== undefined) parts.push(`--mode ${mode}`);
  if (lanes !== undefined) parts.push(`--lanes ${lanes}`);
  if (faults !== undefined) parts.push(`--faults ${[...faults].join(',') || 'none'}`);
  if (hot !== undefined) parts.push(`--hot ${hot ? 'on' : 'off'}`);
  return parts.join(' ');
}

function printJson(options: Options, reports: readonly Report[], failed: Report | undefined, realMs: number): void {
  const virtualMs = total(reports, 'virtualMs');
  const operations = total(reports, 'operations');
  const results = {
    runs: reports.length,
    operations,
    events: total(reports, 'events'),
    frames: total(reports, 'frames'),
    virtualSeconds: virtualMs / 1000,
    seconds: realMs / 1000,
    timesRealTime: virtualMs / realMs,
    operationsPerSecond: (operations / realMs) * 1000,
    undecided: reports.reduce((sum, { undecided }) => sum + undecided.length, 0),
    digests: reports.map(({ seed, digest }) => ({ seed, digest })),
    ...(failed === undefined
      ? {}
      : {
          failed: {
            seed: failed.seed,
            replay: `npm run sim -- ${replayOf(options, failed)} --trace`,
            violations: failed.violations,
            ...(failed.error === undefined ? {} : { error: failed.error.message }),
          },
        }),
  };
  process.stdout.write(`${JSON.stringify({ name: 'sim', node: process.version, results })}\n`);
}

function wholeNumber(from: number, to: number): (text: string) => number {
  return text => {
    const number = Number(text);
    if (/^\d+(e\d+)?$/.test(text) && number >= from && number <= to) return number;
    throw new InvalidArgumentError(`${text} is not a whole number from ${from} to ${to}.`);
  };
}

function mode(text: string): Mode {
  if (text === 'nat' || text === 'gateway' || text === 'dsr') return text;
  throw new InvalidArgumentError(`${text} is not nat, gateway or dsr.`);
}

function onOrOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new InvalidArgumentError(`${text} is neither on nor off.`);
}

function faults(text: string): ReadonlySet<FaultName> {
  if (text === 'all') return new Set(FAULTS.filter(name => !BY_NAME_ONLY.has(name)));
  if (text === 'none') return new Set();
  const names = text.split(',');
  const unknown = names.find(name => !(name in FAULT_TEXTS));
  if (unknown === undefined) return new Set(names as FaultName[]);
  throw new InvalidArgumentError(`${unknown} is no fault; there are ${FAULTS.join(', ')}, and all and none.`);
}
