/** Each bug that is sown is found by its run, which the program as it is passes. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { requireBuild } from '../support/requirements.ts';
import { BUGS } from './bug-list.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/test/sim/main.js', import.meta.url));

describe.skipIf(requireBuild())('npm run sim -- --bugs', () => {
  test('finds what it is said to find', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM, '--bugs'], { encoding: 'utf8' });
    expect(stderr).toBe('');
    const [, ...lines] = stdout.trim().split('\n');
    expect(lines).toHaveLength(BUGS.length);
    for (const [i, { name, seed }] of BUGS.entries()) {
      expect(lines[i]).toMatch(new RegExp(`^${name} +${seed} +\\d+  `));
    }
    expect(stdout).not.toContain('not found');
    expect(stdout).not.toContain('without the bug');
    expect(status).toBe(0);
  });
});
