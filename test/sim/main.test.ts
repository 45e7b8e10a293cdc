/** The program, as people call it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { requireBuild } from '../support/requirements.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/test/sim/main.js', import.meta.url));

function sim(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe.skipIf(requireBuild())('npm run sim', () => {
  test('runs, and says what it did', () => {
    const { status, stdout } = sim(
      '--seed',
      '5',
      '--operations',
      '400',
      '--mode',
      'dsr',
      '--lanes',
      '2',
      '--faults',
      'loss,stop',
    );
    expect(stdout).toMatch(/^seed 5: 4\d\d operations in [\d.]+ s, [\d.]+ % answered, /);
    expect(stdout).toMatch(/× real time, \d+ operations\/s\nno violation\n$/);
    expect(status).toBe(0);
  });

  test('--json: one object', () => {
    const { results } = JSON.parse(sim('--operations', '300', '--faults', 'none', '--json').stdout);
    expect(results).toMatchObject({ runs: 1, digests: [{ seed: 1 }] });
    expect(results.timesRealTime).toBeGreaterThan(0);
  });

  test('--trace TEXT: only lines with it', () => {
    const { stdout } = sim('--operations', '200', '--faults', 'none', '--trace', 'ARP');
    const lines = stdout.split('\n').filter(line => /^ *[\d.]+ {2}/.test(line));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/ARP| \* /);
  });

  test('--help names every fault', () => {
    const { stdout, status } = sim('--help');
    expect(status).toBe(0);
    for (const word of ['--seed', '--operations', 'duplicate', 'a lane dies']) expect(stdout).toContain(word);
  });

  test.each([
    [
      ['--seed', 'x'],
      "option '--seed <number>' argument 'x' is invalid. x is not a whole number from 0 to 2147483647.",
    ],
    [['--mode', 'tcp'], 'tcp is not nat, gateway or dsr.'],
    [['--lanes', '99'], '99 is not a whole number from 1 to 8.'],
    [['--faults', 'loss,rain'], 'rain is no fault; there are loss, duplicate, '],
    [['--speed'], "unknown option '--speed'"],
    [['now'], 'too many arguments'],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = sim(...args);
    expect(status).not.toBe(0);
    expect(stderr).toContain(message);
    expect(stderr).toContain('--help');
  });
});
