/** `keysteer get`, `set`, … and `ping`, as they are typed, against a real memcached on loopback. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeServer } from '../client/fake-server.ts';
import { LiveMemcached } from '../memcached/live-memcached.ts';
import { requireBuild, requireMemcached } from '../support/requirements.ts';
import { keysteer } from './command.ts';
import { CLI } from './program.ts';

interface Ran {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

describe.skipIf(requireBuild() ?? requireMemcached())('with a server', () => {
  let memcached: LiveMemcached;
  beforeAll(async () => {
    memcached = await LiveMemcached.start();
  });
  afterAll(() => memcached?.stop());

  function run(args: readonly string[], input: string | Buffer = ''): Ran {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
      input,
      env: { ...process.env, KEYSTEER_SERVER: `127.0.0.1:${memcached.port}` },
      timeout: 20_000,
    });
    return { code: status, stdout, stderr: String(stderr) };
  }

  test('a miss, a store, a hit, wrong usage, no answer: exit statuses 1, 0, 0, 2, 3', () => {
    expect(run(['get', 'a'])).toEqual({ code: 1, stdout: Buffer.from(''), stderr: '' });
    expect(run(['set', 'a', 'one'])).toEqual({ code: 0, stdout: Buffer.from('stored\n'), stderr: '' });
    expect(run(['get', 'a'])).toEqual({ code: 0, stdout: Buffer.from('one'), stderr: '' });
    expect(run(['incr', 'a', 'x'])).toMatchObject({ code: 2, stdout: Buffer.from('') });
    expect(run(['get', 'a', '-s', '127.0.0.1:1', '--timeout', '50'])).toMatchObject({
      code: 3,
      stdout: Buffer.from(''),
    });
  });

  test('a value from standard input and back is the same bytes', () => {
    const value = Buffer.from(Array.from({ length: 60_000 }, (_, n) => (n * 7) & 0xff));
    expect(run(['set', 'bytes', '-'], value)).toMatchObject({ code: 0 });
    expect(run(['get', 'bytes']).stdout.equals(value)).toBe(true);
    const { value: encoded, encoding } = JSON.parse(String(run(['get', 'bytes', '--json']).stdout));
    expect(encoding).toBe('base64');
    expect(Buffer.from(encoded, 'base64').equals(value)).toBe(true);
  });

  test('too much on standard input is wrong usage', () => {
    const { code, stderr } = run(['set', 'big', '-'], Buffer.alloc(70_000));
    expect([code, stderr]).toEqual([
      2,
      'keysteer: standard input has more than 65499 bytes; a request is one datagram\n',
    ]);
  });

  test('an error line goes to standard error; exit status 1', () => {
    run(['set', 'text', 'abc']);
    const { code, stdout, stderr } = run(['incr', 'text']);
    expect({ code, stdout: String(stdout) }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^keysteer: the server answered: CLIENT_ERROR cannot increment .*\n$/);
  });

  test('noreply: sent before the process ends', () => {
    expect(run(['set', 'quiet', 'v', '--noreply'])).toMatchObject({ code: 0 });
    expect(String(run(['get', 'quiet']).stdout)).toBe('v');
  });

  test('stats and server-version', () => {
    const version = String(run(['server-version']).stdout).trim();
    expect(version).toMatch(/^\d+\.\d+/);
    const stats = JSON.parse(String(run(['stats', '--json']).stdout));
    expect(stats.version).toBe(version);
    expect(String(run(['stats', 'settings']).stdout)).toMatch(new RegExp(`^udpport ${memcached.port}$`, 'm'));
    expect(run(['stats', 'nonsense'])).toMatchObject({ code: 1 });
  });

  test('ping, for people', () => {
    const { code, stdout } = run(['ping', '--count', '3', '--interval', '0', '--key', 'p-%d']);
    expect(code).toBe(0);
    expect(String(stdout)).toMatch(
      /^ping 127.0.0.1:\d+: get of p-%d\n(\d: p-\d miss get \d+ µs node -\n){3}--- .*\n3 sent, 3 received, 0 lost \(0.0 %\), 0 duplicates\nµs +min +avg +p50 +p99 +max\nget( +\d+){5}\n$/,
    );
  });

  test('ping --write, for programs', () => {
    const { code, stdout } = run(['ping', '-n', '4', '-i', '0', '--write', '--size', '3000', '--json']);
    const lines = String(stdout)
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(code).toBe(0);
    expect(lines.map(({ event, outcome }) => [event, outcome])).toEqual([
      ...Array(4).fill(['probe', 'verified']),
      ['summary', undefined],
    ]);
    expect(lines.at(-1)).toMatchObject({ sent: 4, received: 4, lost: 0, wrong: 0, duplicates: 0 });
  });

  test('ping ends with its summary at Ctrl-C', async () => {
    const argv = [CLI, 'ping', '--server', `127.0.0.1:${memcached.port}`, '--interval', '0.01'];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', chunk => {
      output += chunk;
      if (!child.killed && output.includes('\n3: ')) child.kill('SIGINT');
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    expect(output).toMatch(/\n--- .*\n\d+ sent, \d+ received, 0 lost \(0.0 %\), 0 duplicates/);
  });
});

describe.skipIf(requireBuild())('ping and a server that fails', () => {
  async function pinged(onGet: (n: number, answer: (...payloads: string[]) => void) => void) {
    const server = await FakeServer.start(({ text, answer }) => {
      if (text.startsWith('stats')) answer('STAT node mc1\r\nSTAT address 10.77.1.11:11211\r\nEND\r\n');
      else onGet(Number(/-(\d+)\r\n$/.exec(text)![1]), answer);
    });
    try {
      const args = ['ping', '-n', '10', '-i', '0', '--timeout', '80', '--server', server.address];
      return await keysteer(args);
    } finally {
      await server.close();
    }
  }

  test('loss is in the figures, and is no failure', async () => {
    const { code, stdout } = await pinged((n, answer) => n % 5 > 0 && answer('END\r\n'));
    expect(stdout).toContain('1: keysteer-ping-1 miss get ');
    expect(stdout).toMatch(/^5: keysteer-ping-5 lost node mc1 \(10.77.1.11:11211\): no answer from .* within 80 ms$/m);
    expect(stdout).toContain('10 sent, 8 received, 2 lost (20.0 %), 0 duplicates');
    expect(stdout).toMatch(/^nodes: mc1 8 \(100.0 %\)$/m);
    expect(code).toBe(0);
  });

  test('no answer at all: exit status 3', async () => {
    const { code, stdout } = await pinged(() => {});
    expect(stdout).toContain('10 sent, 0 received, 10 lost (100.0 %)');
    expect(code).toBe(3);
  });

  test('error lines: exit status 1', async () => {
    const { code, stdout } = await pinged((_n, answer) => answer('SERVER_ERROR no node\r\n'));
    expect(stdout).toContain(
      '1: keysteer-ping-1 error node mc1 (10.77.1.11:11211): the server answered: SERVER_ERROR no node',
    );
    expect(stdout).toContain(', 10 errors');
    expect(code).toBe(1);
  });
});
