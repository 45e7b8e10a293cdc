/**
 * The tests of the ports once more, over a shim built with AddressSanitizer and UndefinedBehaviorSanitizer: a copy of the
 * tree in which `native/build` holds that build.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireNamespaces, SKIP_REASONS_FILE } from '../support/requirements.ts';
import {
  compileShim,
  preloaded,
  ROOT,
  reporting,
  reportsIn,
  requireOrdinaryBuild,
  requireSanitizers,
} from './sanitizer.ts';

const MINUTES_MS = 60_000;

/** The programs that tests start are not ours to judge, and slower under a sanitizer. */
const SETUP = 'delete process.env.LD_PRELOAD;\n';
const CONFIG = `export default { test: {
  include: ['test/port/{af-packet,fanout,groups,tap,vlan}.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, pool: 'forks', setupFiles: ['setup.ts'],
} };\n`;

describe.skipIf(requireNamespaces() ?? requireOrdinaryBuild() ?? requireSanitizers())('under sanitizers', () => {
  let tree: string;

  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), 'keysteer-sanitized-'));
    for (const name of ['src', 'test', 'package.json']) cpSync(ROOT + name, join(tree, name), { recursive: true });
    for (const name of ['node_modules', 'dist']) symlinkSync(ROOT + name, join(tree, name));
    mkdirSync(join(tree, 'native/build/Release'), { recursive: true });
    compileShim(join(tree, 'native/build/Release/keysteer.node'));
    writeFileSync(join(tree, 'setup.ts'), SETUP);
    writeFileSync(join(tree, 'vitest.config.mjs'), CONFIG);
  }, 2 * MINUTES_MS);

  afterAll(() => rmSync(tree, { recursive: true, force: true }));

  it(
    'the ports’ tests pass, and nothing is reported',
    async () => {
      const { [SKIP_REASONS_FILE]: _, ...ours } = process.env;
      const env = { ...ours, ...reporting(tree), LD_PRELOAD: preloaded(), NO_COLOR: '1' };
      const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
      const run = spawn(process.execPath, [vitest, 'run'], { cwd: tree, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [run.stdout, run.stderr]) stream.on('data', text => (said += text));
      const [status] = await once(run, 'close');
      expect(reportsIn(tree)).toBe('');
      expect(said).toMatch(/Tests +\d+ passed/);
      expect(status, said).toBe(0);
    },
    5 * MINUTES_MS,
  );
});
