/** Runs a piece of JavaScript against the built modules in a process of its own, to be signalled or killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { skip } from '../support/requirements.ts';

const BUILT = new URL('../../dist/src/experiment/', import.meta.url);

/** Node 20 runs no TypeScript: a process of its own needs the compiled modules. */
export function requireBuiltExperiment(): string | undefined {
  return existsSync(fileURLToPath(BUILT)) ? undefined : skip('dist/ is not built (npm run build)');
}

export interface Script {
  readonly child: ChildProcess;
  /** First line on standard output. */
  readonly firstLine: Promise<string>;
  readonly exit: Promise<number | NodeJS.Signals>;
  /** What it has said on standard error. */
  readonly errors: () => string;
}

/** @param source a module; `load(name)` imports a built module of src/experiment */
export function runScript(source: string): Script {
  const prelude = `const load = name => import(${JSON.stringify(BUILT.href)} + name + '.js');\n`;
  const env = { ...process.env };
  delete env.KEYSTEER_USER_NAMESPACE; // it may go into one
  const child = spawn(process.execPath, ['--input-type=module', '-e', prelude + source], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  let said = '';
  child.stderr!.on('data', chunk => {
    said += chunk;
  });
  const exit = once(child, 'close').then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  const firstLine = once(child.stdout!, 'data').then(([chunk]) => String(chunk).split('\n')[0]!);
  return { child, firstLine, exit, errors: () => said };
}

/** False also for a zombie: ended, and not yet asked for by its parent. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits, at most 2 s, until `holds`; returns whether it came true. */
export async function eventually(holds: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 100 && !holds(); tries++) await new Promise(resolve => setTimeout(resolve, 20));
  return holds();
}
