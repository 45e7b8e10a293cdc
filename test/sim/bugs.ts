/**
 * "It bites": bugs of the kind that coherence could have, each sown into a copy of the built program as other text in one
 * place or two, and a run that finds it. The same run of the program as it is must be sound.
 *
 *     npm run sim -- --bugs
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BUGS, type Bug } from './bug-list.ts';
import type { Report, Simulation, SimulationOptions } from './simulation.ts';

/** The build: `src` and `test` lie in it. */
const BUILD = fileURLToPath(new URL('../../', import.meta.url));

export interface Bite {
  readonly bug: string;
  readonly seed: number;
  /** Operations done when it is found, or in vain. */
  readonly operations: number;
  /** The rule that was broken; undefined: not found. */
  readonly rule: string | undefined;
  /** Whether the program without the bug passes the same run. */
  readonly isSound: boolean;
}

type Program = typeof import('./simulation.ts') & typeof import('./plan.ts');

/** Sows all bugs, one after another. @param onBite hears of each */
export async function biteAll(onBite: (bite: Bite) => void = () => {}): Promise<Bite[]> {
  const bites: Bite[] = [];
  for (const bug of BUGS) {
    const bite = await tryOut(bug);
    bites.push(bite);
    onBite(bite);
  }
  return bites;
}

export async function tryOut(bug: Bug): Promise<Bite> {
  const { operations, rule } = await withBug(bug, program => runOf(program, bug));
  const sane = await runOf(await load(BUILD), bug);
  return { bug: bug.name, seed: bug.seed, operations, rule, isSound: sane.rule === undefined };
}

/** Gives `use` the program with the bug in it. */
export async function withBug<T>(bug: Bug, use: (program: Program) => Promise<T>): Promise<T> {
  const copy = mkdtempSync(join(BUILD, 'bug-'));
  try {
    for (const part of ['src', 'test'])
      cpSync(join(BUILD, part), join(copy, part), { recursive: true, filter: isNeeded });
    for (const { file, from, to } of bug.edits) edit(join(copy, 'src', file), from, to);
    return await use(await load(copy));
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** Directories and programs, not their maps and declarations. */
function isNeeded(path: string): boolean {
  return !/\.(map|d\.ts|test\.js)$/.test(path);
}

/** @throws Error unless `from` is there exactly once: the program has changed, the bug must, too */
function edit(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${path} must have exactly once: ${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
}

async function load(directory: string): Promise<Program> {
  const parts = ['simulation', 'plan'].map(name => pathToFileURL(join(directory, 'test/sim', `${name}.js`)).href);
  const [simulation, plan] = await Promise.all(parts.map(url => import(url)));
  return { ...simulation, ...plan };
}

export async function runOf(
  program: Program,
  bug: Bug,
  seed = bug.seed,
  operations = bug.operations,
): Promise<Pick<Bite, 'operations' | 'rule'> & { report: Report }> {
  const options: SimulationOptions = {
    ...bug.options,
    ...(bug.prepare === undefined ? {} : { prepare: (simulation: Simulation) => bug.prepare!(simulation) }),
  };
  const report = await new program.Simulation(program.planOf(seed, { ...bug.plan, operations }), options).run();
  const rule = report.violations[0]?.rule ?? (report.error === undefined ? undefined : report.error.message);
  return { operations: report.operations, rule, report };
}
