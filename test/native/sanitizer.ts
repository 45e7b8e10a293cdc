/** Compiling native code with g++'s AddressSanitizer and UndefinedBehaviorSanitizer. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { skip } from '../support/requirements.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const FLAGS = [
  '-std=c++17',
  '-g',
  '-O1',
  '-Wall',
  '-Wextra',
  '-fno-exceptions',
  '-fno-omit-frame-pointer',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=undefined',
];

/** g++, and the libraries that its sanitizers need. */
export function requireSanitizers(): string | undefined {
  const scratch = mkdtempSync(join(tmpdir(), 'keysteer-sanitize-'));
  const argv = [...FLAGS, '-x', 'c++', '-', '-o', join(scratch, 'program')];
  const { status, error } = spawnSync('g++', argv, { input: 'int main() { return 0; }', encoding: 'utf8' });
  rmSync(scratch, { recursive: true });
  if (status === 0) return undefined;
  return skip(error === undefined ? 'g++ has no sanitizer libraries (libasan, libubsan)' : 'g++ is not installed');
}

/** @throws Error with the compiler's words */
export function compile(sources: readonly string[], output: string, ...more: readonly string[]): void {
  const { status, stderr } = spawnSync('g++', [...FLAGS, ...more, '-o', output, ...sources], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

/** The shim, as binding.gyp has it, with the headers that its ordinary build was made with. */
export function compileShim(output: string): void {
  const { targets } = JSON.parse(readFileSync(`${ROOT}native/binding.gyp`, 'utf8')) as {
    targets: [{ sources: string[]; defines: string[] }];
  };
  const [{ sources, defines }] = targets;
  compile(
    sources.map(source => `${ROOT}native/${source}`),
    output,
    '-shared',
    '-fPIC',
    ...defines.map(define => `-D${define}`),
    `-I${nodeHeaders()}`,
    `-I${ROOT}node_modules/node-addon-api`,
  );
}

function nodeHeaders(): string {
  const text = readFileSync(`${ROOT}native/build/config.gypi`, 'utf8');
  return join(/"nodedir": "([^"]+)"/.exec(text)![1]!, 'include/node');
}

/** The headers are known once the shim was built here. */
export function requireOrdinaryBuild(): string | undefined {
  return existsSync(`${ROOT}native/build/config.gypi`) ? undefined : skip('the native shim was not built here');
}

/** Libraries that must be there before a program's own, when only a plug-in of it is sanitized. */
export function preloaded(): string {
  const path = (name: string) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  return [path('libasan.so'), path('libubsan.so')].join(':');
}

/**
 * Environment in which reports go to files in `directory`. Leaks are not looked for: neither V8 nor Node frees its memory
 * at the end, by design.
 */
export function reporting(directory: string): Record<string, string> {
  const common = `log_path=${join(directory, 'report')}:halt_on_error=1`;
  return { ASAN_OPTIONS: `detect_leaks=0:${common}`, UBSAN_OPTIONS: `print_stacktrace=1:${common}` };
}

/** What the sanitizers have written there. */
export function reportsIn(directory: string): string {
  const files = readdirSync(directory).filter(name => name.startsWith('report'));
  return files.map(name => readFileSync(join(directory, name), 'utf8')).join('\n');
}
