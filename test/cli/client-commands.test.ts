/** The commands of the memcached client, in this process: what is typed, what is printed, the exit status. */
import { Command, CommanderError } from 'commander';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { EXIT_USAGE } from '../../src/cli/output.ts';
import { registerPing } from '../../src/cli/ping.ts';
import { registerVerbs } from '../../src/cli/verbs.ts';
import { LiveMemcached } from '../memcached/live-memcached.ts';
import { requireMemcached } from '../support/requirements.ts';

const VERBS =
  'get gets set add replace append prepend cas delete incr decr touch gat meta stats server-version ping'.split(' ');
const NOBODY = '127.0.0.1:1';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

/** As main.ts runs them. */
async function keysteer(args: readonly string[]): Promise<Ran> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation(chunk => chunks[stream].push(Buffer.from(chunk)) > 0);
  }
  const program = new Command('keysteer').exitOverride();
  for (const register of [registerVerbs, registerPing]) register(program);
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  const { stdout, stderr } = chunks;
  const ran = {
    code: Number(process.exitCode),
    stdout: `${Buffer.concat(stdout)}`,
    stderr: `${Buffer.concat(stderr)}`,
  };
  process.exitCode = undefined;
  vi.restoreAllMocks();
  return ran;
}

describe('without a server', () => {
  test.each(VERBS)('%s --help says how to name the server and what the exit status means', async verb => {
    const { code, stdout } = await keysteer([verb, '--help']);
    expect(code).toBe(0);
    for (const said of [
      `Usage: keysteer ${verb} `,
      '--server <HOST[:PORT]>',
      'KEYSTEER_SERVER',
      '--timeout',
      '--json',
    ]) {
      expect(stdout).toContain(said);
    }
    expect(stdout).toMatch(/Exit status: 0 .*, 1 .*, 2 wrong usage.*, 3 no answer/);
  });

  test.each([
    [['get'], "missing required argument 'key'"],
    [['set', 'a'], "missing required argument 'value'"],
    [['get', 'a b'], 'key "a b": a key has no spaces and no control characters'],
    [['get', 'a', 'k'.repeat(251)], 'a key has 1 to 250 bytes'],
    [['get', 'a', '--server', 'host:0'], 'server is "host:0"; it must be HOST or HOST:PORT'],
    [['get', 'a', '--timeout', '0'], 'It must be a whole number from 1 to 3600000.'],
    [['set', 'a', 'v', '--ttl', 'soon'], 'It must be a whole number from -1 to 2147483647.'],
    [['set', 'a', 'v', '--flags', '4294967296'], 'It must be a whole number from 0 to 4294967295.'],
    [['append', 'a', 'v', '--ttl', '1'], "unknown option '--ttl'"],
    [['set', 'a', 'v'.repeat(65_500)], 'must fit one datagram, 65499 bytes'],
    [['cas', 'a', 'v', 'x'], 'It must be a whole number from 0 to 2^64'],
    [['incr', 'a', '1.5'], 'It must be a whole number from 0 to 2^64'],
    [['meta', 'get a'], 'must begin with mg, ms, md, ma, mn or me'],
    [['meta', 'ms a 2000000', 'abc'], "must declare the value's length: ms <key> 3"],
    [['meta', 'mg a q'], 'has flag q'],
    [['ping', '--count', '0'], 'It must be a whole number from 1'],
    [['ping', '--interval', '-1'], 'It must be 0 to 86400 seconds'],
    [['ping', '--size', '10'], 'add --write'],
    [['ping', '--write', '--sources', '2'], '--write and --sources do not go together'],
    [['ping', '--source-base', '10.9.0.1'], '--source-base goes with --sources'],
    [['ping', '--sources', '2', '--source-base', '10.9.0'], 'must be four decimal numbers'],
    [['ping', '--sources', '2', '--source-base', '127.0.0.1'], 'unicast'],
    [['ping', '--sources', '2', '--source-base', '10.63.255.255'], 'closer together than in 10.0.0.0/9'],
    [['ping', '--key', 'a b'], 'no spaces'],
  ])('%j is wrong usage: exit status 2, the rule, and nothing else', async (args, message) => {
    const { code, stdout, stderr } = await keysteer(args);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ code, stdout: stdout.replace(/^ping .*\n$/, '') }).toEqual({ code: 2, stdout: '' });
  });

  test.each([
    [
      ['get', 'a', '--server', NOBODY, '--timeout', '50'],
      'no answer from 127.0.0.1:1 to get "a" within 50 ms; nothing',
    ],
    [['set', 'a', 'v', '--server', NOBODY, '--timeout', '50'], 'no answer from 127.0.0.1:1 to set "a" within 50 ms'],
    [['stats', '--server', NOBODY, '--timeout', '50'], 'no answer from 127.0.0.1:1 to stats within 50 ms'],
    [['get', 'a', '--server', 'no-such-host.invalid'], 'no-such-host.invalid'],
  ])('%j: exit status 3, in words', async (args, message) => {
    const { code, stdout, stderr } = await keysteer(args);
    expect(stderr).toContain(`keysteer: `);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  });
});

describe.skipIf(requireMemcached())('with a server', () => {
  let memcached: LiveMemcached;
  beforeAll(async () => {
    memcached = await LiveMemcached.start();
  });
  afterAll(() => memcached?.stop());

  /** In order: each builds on the one before. */
  test.each<[string[], number, string]>([
    [['get', 'a'], 1, ''],
    [['set', 'a', 'one', '--flags', '7', '--ttl', '100'], 0, 'stored\n'],
    [['get', 'a'], 0, 'one'],
    [['get', 'a', '--json'], 0, '{"key":"a","found":true,"flags":7,"value":"one","encoding":"utf8"}\n'],
    [['add', 'a', 'x'], 1, 'not stored\n'],
    [['add', 'b', 'two', '--json'], 0, '{"key":"b","outcome":"stored"}\n'],
    [['replace', 'nothing', 'x', '--json'], 1, '{"key":"nothing","outcome":"not stored"}\n'],
    [['append', 'a', '!'], 0, 'stored\n'],
    [['prepend', 'a', '>'], 0, 'stored\n'],
    [['get', 'a', 'nothing', 'b'], 1, 'a\t>one!\nb\ttwo\n'],
    [['get', 'a', 'b'], 0, 'a\t>one!\nb\ttwo\n'],
    [
      ['get', 'nothing', 'b', '--json'],
      1,
      '{"key":"nothing","found":false}\n{"key":"b","found":true,"flags":0,"value":"two","encoding":"utf8"}\n',
    ],
    [['gets', 'b'], 0, 'b\t2\ttwo\n'],
    [['cas', 'b', 'three', '2'], 0, 'stored\n'],
    [['cas', 'b', 'four', '2'], 1, 'exists\n'],
    [['cas', 'nothing', 'x', '2', '--json'], 1, '{"key":"nothing","outcome":"not found"}\n'],
    [['set', 'n', '41'], 0, 'stored\n'],
    [['incr', 'n'], 0, '42\n'],
    [['decr', 'n', '2', '--json'], 0, '{"key":"n","outcome":"stored","value":"40"}\n'],
    [['incr', 'nothing'], 1, 'not found\n'],
    [['touch', 'n', '100'], 0, 'touched\n'],
    [
      ['gat', '-1', 'n', 'nothing', '--json'],
      1,
      '{"key":"n","found":true,"flags":0,"value":"40","encoding":"utf8"}\n{"key":"nothing","found":false}\n',
    ],
    [['get', 'n'], 1, ''],
    [['meta', 'ms m 3 F5', 'abc'], 0, 'HD\n'],
    [['meta', 'mg m v f'], 0, 'VA f5\nabc\n'],
    [['meta', 'mg m v f', '--json'], 0, '{"code":"VA","flags":["f5"],"value":"abc","encoding":"utf8"}\n'],
    [['meta', 'mg nothing v'], 1, 'EN\n'],
    [['delete', 'm'], 0, 'deleted\n'],
    [['delete', 'm'], 1, 'not found\n'],
    [['set', 'q', 'v', '--noreply'], 0, ''],
    [['get', 'q'], 0, 'v'],
    [['delete', 'q', '--noreply', '--json'], 0, '{"key":"q","outcome":"sent"}\n'],
    [['get', 'q'], 1, ''],
    [['set', '--', '-k', '-v'], 0, 'stored\n'],
    [['get', '--', '-k'], 0, '-v'],
  ])('%j: exit status %i', async (args, code, stdout) => {
    vi.stubEnv('KEYSTEER_SERVER', `127.0.0.1:${memcached.port}`);
    expect(await keysteer(args)).toEqual({ code, stdout, stderr: '' });
  });
});
