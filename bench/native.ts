/** The C programs of the benches, built on demand into bench/build/. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Path of the built program. @throws Error with the compiler's words */
export function nativeProgram(name: string): string {
  const source = fromRoot(`bench/native/${name}.c`);
  const program = fromRoot(`bench/build/${name}`);
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(fromRoot('bench/build'), { recursive: true });
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', program, source], { stdio: ['ignore', 'ignore', 'pipe'] });
  }
  return program;
}

/** This file runs from dist/bench. */
function fromRoot(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
