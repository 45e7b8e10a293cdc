/** A `keysteer` command that ends by itself. */
import { spawn } from 'node:child_process';
import { enter } from '../../src/experiment/namespaces.ts';
import { CLI } from './program.ts';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Default: ours. */
  readonly namespace?: string;
  /** Put before the command, as `setpriv …`. */
  readonly prefix?: readonly string[];
}

/** Runs `keysteer ARGS` and waits for its end, at most 20 s. */
export function keysteer(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  const { namespace, prefix = [] } = options;
  const inside = namespace === undefined ? [] : ['nsenter', ...enter(namespace)];
  return finish([...inside, ...prefix, process.execPath, CLI, ...args]);
}

export function finish([command, ...args]: readonly string[], cwd?: string): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command!, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', chunk => {
      stdout += chunk;
    });
    child.stderr.on('data', chunk => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', code => resolve({ code, stdout, stderr }));
  });
}
