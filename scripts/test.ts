/**
 * `npm test`: lint, then every test, then why tests were skipped, and one closing line
 *
 *     N passed, N failed, N skipped
 *
 * (types are checked by the build before). Without root it goes on inside a user namespace where the kernel allows
 * one, so that the end-to-end tests run there too. Arguments are test file filters: `npm test -- test/wire`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startVitest, type TestCase, type TestModule, type Vitest } from 'vitest/node';
import { mayCreateNamespaces, reexecInUserNamespace } from '../src/experiment/unprivileged.ts';
import { SKIP_REASONS_FILE, type SkipReason } from '../test/support/requirements.ts';

/** From dist/scripts. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

process.chdir(ROOT);
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`; // a user's PATH lacks them; ip and nginx lie there
const code = mayCreateNamespaces()
  ? undefined
  : await reexecInUserNamespace([process.execPath, ...process.argv.slice(1)]);
process.exit(code ?? (await runAll(process.argv.slice(2))));

async function runAll(filters: string[]): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'keysteer-test-'));
  const reasonsPath = join(scratch, 'skipped');
  process.env[SKIP_REASONS_FILE] = reasonsPath;
  try {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    counts[lint() ? 'passed' : 'failed'] += 1;
    const vitest = await startVitest('test', filters, { watch: false });
    const skipped = count(vitest, counts);
    await vitest.close();
    reportSkipped(skipped, readReasons(reasonsPath));
    console.log(closingLine(counts));
    return counts.failed === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function lint(): boolean {
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const { status } = spawnSync(process.execPath, [biome, 'check', '.'], { stdio: ['ignore', 'inherit', 'inherit'] });
  return status === 0;
}

/** Adds up the run; returns the skipped tests. A file that does not load, and an error outside tests, are failures. */
function count(vitest: Vitest, counts: Counts): TestCase[] {
  const skipped: TestCase[] = [];
  counts.failed += vitest.state.getUnhandledErrors().length;
  const modules = vitest.state.getTestModules();
  if (modules.length === 0) counts.failed += 1; // a filter that matches no file: nothing was tested
  for (const module of modules) {
    const tests = [...module.children.allTests()];
    for (const test of tests) {
      const outcome = outcomeOf(test);
      counts[outcome] += 1;
      if (outcome === 'skipped') skipped.push(test);
    }
    if (failedOutsideTests(module, tests)) counts.failed += 1;
  }
  return skipped;
}

/** vitest leaves tests in a suite within a skipped suite pending; any other test that did not run has failed. */
function outcomeOf(test: TestCase): keyof Counts {
  const { state } = test.result();
  if (state !== 'pending') return state;
  for (let suite = test.parent; suite.type === 'suite'; suite = suite.parent) {
    if (suite.options.mode === 'skip') return 'skipped';
  }
  return 'failed';
}

function failedOutsideTests(module: TestModule, tests: readonly TestCase[]): boolean {
  return module.state() === 'failed' && !tests.some(test => test.result().state === 'failed');
}

function readReasons(path: string): SkipReason[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map(line => JSON.parse(line) as SkipReason);
}

/** One line for each file with skipped tests, with all reasons noted for it. */
function reportSkipped(tests: readonly TestCase[], reasons: readonly SkipReason[]): void {
  const files = new Map<string, TestCase[]>();
  for (const test of tests) files.set(test.module.moduleId, [...(files.get(test.module.moduleId) ?? []), test]);
  for (const [path, skipped] of files) {
    const file = path.replace(ROOT, '');
    const noted = reasons.filter(({ file: of }) => of === file).map(({ reason }) => reason);
    const unexplained = skipped[0]!.module.state() === 'failed' ? 'their set-up failed, see above' : 'no reason given';
    const why = [...new Set([...noted, ...skipped.flatMap(noteOf)])].join('; ') || unexplained;
    console.log(`skipped: ${skipped.length} in ${file}: ${why}`);
  }
}

/** What the test said when it skipped itself. */
function noteOf(test: TestCase): string[] {
  const result = test.result();
  return result.state === 'skipped' && result.note ? [result.note] : [];
}

function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
