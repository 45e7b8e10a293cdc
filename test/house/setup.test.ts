import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const SETUP = fileURLToPath(new URL('../../scripts/setup.mjs', import.meta.url));
const BIN = mkdtempSync(join(tmpdir(), 'keysteer-test-setup-'));
afterAll(() => rmSync(BIN, { recursive: true }));

/** Runs setup where only `programs` are on the PATH (and what the machine has in /usr/sbin). */
function setup(args: string[], programs: string[] = []) {
  const path = mkdtempSync(join(BIN, 'path-'));
  for (const program of programs) {
    writeFileSync(join(path, program), '#!/bin/sh\n');
    chmodSync(join(path, program), 0o755);
  }
  return spawnSync(process.execPath, [SETUP, ...args], { encoding: 'utf8', env: { PATH: path } });
}

describe('setup --check', () => {
  test('names what the demo cannot do without, and why', () => {
    const { status, stdout, stderr } = setup(['--check', '--for=demo']);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^setup: missing memcached \(the nodes behind the balancer\)$/m);
  });

  test('prints the exact command', () => {
    const { stderr } = setup(['--check', '--for=demo'], ['apt-get']);
    const sudo = process.getuid!() === 0 ? '' : 'sudo ';
    expect(stderr).toMatch(
      new RegExp(`^setup: please install: ${sudo}apt-get install --no-install-recommends .*\\bmemcached\\b`, 'm'),
    );
  });

  test('the tests can go on without: they skip and say so', () => {
    const { status, stderr } = setup(['--check', '--for=test']);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^setup: missing memcached \(.*\), optional$/m);
    expect(stderr).toMatch(/^setup: optional: /m);
  });

  test('is content where everything needed is there', () => {
    const programs = ['g++', 'make', 'python3', 'ip', 'memcached', 'ethtool'];
    const { status, stderr } = setup(['--check', '--for=demo'], programs);
    expect(status).toBe(0);
    expect(stderr).not.toContain('please install');
  });

  test('--quiet says nothing about what is optional', () => {
    const { status, stdout, stderr } = setup(['--check', '--quiet', '--for=test']);
    expect([status, stdout, stderr]).toEqual([0, '', '']);
  });
});

test.each([['--for=lunch'], ['--fro=demo'], ['demo'], ['--only=install']])('%s is refused', argument => {
  const { status, stderr } = setup([argument]);
  expect(status).toBe(2);
  expect(stderr).toContain(`setup: unknown argument ${argument}; known: --for=demo|test|bench`);
});
