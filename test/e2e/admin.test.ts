/** The admin interface: who may ask, what is said, where it listens; and the commands that ask it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Status } from '../../src/control/admin/status.ts';
import { enter } from '../../src/experiment/namespaces.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { type Balancer, nodeFlags } from './balancer.ts';
import { Bed } from './bed.ts';
import { type Finished, keysteer } from './command.ts';
import { type Fetched, fetchText } from './fetch.ts';
import { CLI, requireBed } from './program.ts';
import { datagram, type UdpClient } from './udp-client.ts';

const KEYS = Array.from({ length: 200 }, (_, n) => `key-${n}`);

describe.skipIf(requireBed())('the admin interface', () => {
  let bed: Bed;
  let client: UdpClient;
  /** Sockets of this test alone: other instances on this machine are none of its business. */
  let folder: string;

  beforeAll(async () => {
    bed = await Bed.start();
    client = await bed.startClient();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-admin-'));
    process.env.RUNTIME_DIRECTORY = folder;
  });
  afterEach(() => {
    delete process.env.RUNTIME_DIRECTORY;
    rmSync(folder, { recursive: true });
  });
  afterAll(() => bed?.close());

  async function getAll(): Promise<void> {
    const requests = KEYS.map((key, n) => datagram(n, `get ${key}\r\n`));
    expect((await client.exchange(requests, { window: 16 })).timedOut).toEqual([]);
  }

  /** `keysteer run` that is expected to end by itself. */
  function runAndEnd(extra: readonly string[]): Promise<Finished> {
    const ports = ['--client', 'cl0', '--server', 'sv0', '--server-address', BALANCER_SERVER_ADDRESS];
    const flags = ['--vip', VIP, ...ports, ...nodeFlags(bed.network.nodes), ...extra];
    return keysteer(['run', ...flags], { namespace: bed.network.balancer.host });
  }

  describe('on a Unix socket', () => {
    let balancer: Balancer;
    beforeEach(async () => {
      // What is asked for again and again would be answered without a node.
      balancer = await bed.startBalancer(['--hot', 'off']);
    });
    afterEach(() => balancer.stop());

    const get = (path: string) => fetchText(balancer.admin, 'GET', path);
    const post = (path: string, body = '{}') => fetchText(balancer.admin, 'POST', path, { body });

    test('is for its owner alone, and gone with its process', async () => {
      const { path } = balancer.admin as { path: string };
      expect(path).toBe(join(folder, readdirSync(folder)[0]!));
      expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
      await balancer.stop();
      expect(existsSync(path)).toBe(false);
    });

    test('says what there is, and how the instance does', async () => {
      await getAll();
      const { endpoints } = JSON.parse((await get('/')).text);
      expect(endpoints).toEqual(expect.arrayContaining(['/status', '/nodes', '/metrics', '/config', '/reload']));
      const status: Status = JSON.parse((await get('/status')).text);
      expect(status).toMatchObject({ vip: `${VIP}:11211`, mode: 'nat', reloads: { applied: 0, refused: 0 } });
      expect(status.counters.requests).toBe(KEYS.length);
      expect(status.histograms).toMatchObject([{ verbs: 'read', path: 'forwarded' }]);
      const recorded = status.histograms[0]!.buckets.reduce((sum, [, count]) => sum + count, 0);
      expect(recorded).toBe(KEYS.length);
      const { nodes } = JSON.parse((await get('/nodes')).text);
      expect(nodes.map(({ name, state }: { name: string; state: string }) => [name, state])).toEqual([
        ['mc1', 'up'],
        ['mc2', 'up'],
      ]);
      const { config, file } = JSON.parse((await get('/config')).text);
      expect([file, config.lanes, config.slots.count]).toEqual([null, 1, 262144]);
    });

    /** One instance for all of them: none of these may do it any harm. */
    const REFUSED: readonly [method: string, path: string, body: string, status: number, message: string][] = [
      ['GET', '/nowhere', '', 404, 'there is no /nowhere'],
      ['GET', '/__proto__', '', 404, 'there is no /__proto__'],
      ['POST', '/status', '', 405, '/status does not know POST; it knows GET, HEAD'],
      ['GET', '/nodes/mc1/drain', '', 405, 'it knows POST'],
      ['DELETE', '/metrics', '', 405, 'it knows GET, HEAD'],
      ['POST', '/nodes/mc9/drain', '', 404, 'there is no node "mc9"; there are mc1, mc2'],
      ['POST', '/nodes/%ff/drain', '', 400, 'malformed'],
      ['POST', '/reload', '{', 400, 'JSON'],
      ['POST', '/reload', 'null', 400, 'the body must be a JSON object'],
      ['POST', '/reload', '{"dryRun":1}', 409, 'dryRun is 1; it must be true or false'],
      ['POST', '/reload', `{"a":"${'x'.repeat(70_000)}"}`, 413, 'at most 65536 bytes'],
    ];
    test('what it refuses, and how', async () => {
      for (const [method, path, body, status, message] of REFUSED) {
        const answer = await fetchText(balancer.admin, method, path, { body });
        const said = JSON.parse(answer.text).error.message;
        expect({ method, path, status: answer.status }).toEqual({ method, path, status });
        expect(said).toContain(message);
        await getAll();
      }
    });

    test('asked by a web page, it does not answer', async () => {
      const headers = { origin: 'http://evil.example' };
      for (const path of ['/status', '/nodes/mc1/drain']) {
        expect((await fetchText(balancer.admin, 'POST', path, { headers })).status).toBe(403);
      }
    });

    test('HEAD is GET without the body', async () => {
      expect(await fetchText(balancer.admin, 'HEAD', '/metrics')).toMatchObject({ status: 200, text: '' });
    });

    test('drains a node: its keys go to the others, and come back', async () => {
      const moved = async () => {
        const before = (await balancer.figures()).nodes;
        await getAll();
        return (await balancer.figures()).nodes.map(({ requests }, n) => requests - before[n]!.requests);
      };
      const [mc1, mc2] = await moved();
      expect(JSON.parse((await post('/nodes/mc1/drain')).text).node).toMatchObject({
        name: 'mc1',
        state: 'drained',
        reason: 'by the admin',
        slotShare: 0,
      });
      expect(await moved()).toEqual([0, KEYS.length]);
      const last = await post('/nodes/mc2/drain');
      expect([last.status, JSON.parse(last.text).error.message]).toEqual([
        409,
        'mc2 is the last node that takes keys; without it every request would be refused',
      ]);
      expect((await post('/nodes/mc1/enable')).status).toBe(200);
      await balancer.figuresWhen('mc1 flushed, and back', ({ nodes }) => nodes[0]!.health === 'healthy');
      expect(await moved()).toEqual([mc1, mc2]);
    });

    test('the only instance is found without being named; two must be named', async () => {
      expect((await keysteer(['nodes', 'drain', 'mc1'])).stdout).toContain(
        'mc1 drained: its keys go to its successors',
      );
      expect((await keysteer(['nodes'])).stdout).toMatch(/mc1 +10\.77\.1\.11:11211 .* drained\n/);
      expect((await keysteer(['nodes', 'enable', 'mc1'])).stdout).toBe('mc1 enabled\n');
      const other = createServer().listen(join(folder, '1.sock'));
      await new Promise(resolve => other.once('listening', resolve));
      try {
        // Who does not speak as Keysteer does is not taken for one.
        const pending = keysteer(['status', '--admin', join(folder, '1.sock')]);
        other.on('connection', socket => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'));
        expect((await pending).stderr).toContain('answers, but is no Keysteer');
        expect((await keysteer(['status'])).code).toBe(0);
      } finally {
        other.close();
      }
    });

    test('an instance that crashed leaves a socket that nobody trips over', async () => {
      const { path } = balancer.admin as { path: string };
      balancer.group.signal('SIGKILL');
      await balancer.group.ended;
      expect(existsSync(path)).toBe(true);
      const none = await keysteer(['status']);
      expect(none).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`no instance runs here (looked in ${folder})`),
      });
      balancer = await bed.startBalancer();
      expect(readdirSync(folder)).toHaveLength(1);
      expect((await keysteer(['status'])).code).toBe(0);
    });
  });

  describe('on a path that was named', () => {
    test('takes the place of a dead socket, and of nothing else', async () => {
      const path = join(folder, 'named.sock');
      const first = await bed.startBalancer(['--admin', path]);
      expect(await runAndEnd(['--admin', path])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`another process listens on ${path}`),
      });
      first.group.signal('SIGKILL');
      await first.group.ended;
      const second = await bed.startBalancer(['--admin', path]);
      expect(second.admin).toEqual({ kind: 'unix', path });
      expect((await keysteer(['status', '--admin', path])).code).toBe(0);
      await second.stop();
      writeFileSync(path, 'precious');
      expect(await runAndEnd(['--admin', path])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`${path}", which is there and no socket`),
      });
      expect(statSync(path).size).toBe(8);
    });

    test('that cannot be had: the end before anything is forwarded', async () => {
      expect(await runAndEnd(['--admin', join(folder, 'nowhere/k.sock')])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining('the admin interface cannot listen on'),
      });
    });
  });

  test('without a folder to be in, Keysteer says so and forwards', async () => {
    process.env.RUNTIME_DIRECTORY = join(folder, 'file/below');
    writeFileSync(join(folder, 'file'), '');
    const balancer = await bed.startBalancer();
    await getAll();
    expect(balancer.group.output).toContain('going on without: no folder for the admin socket');
    expect(JSON.parse(balancer.lines[0]!).admin).toBe('off');
    await balancer.stop();
  });

  test('a folder that others can write to is not trusted', async () => {
    chmodSync(folder, 0o777);
    const balancer = await bed.startBalancer();
    expect(balancer.group.output).toContain(`${folder} can be written to by others`);
    await balancer.stop();
  });

  test('off: no socket', async () => {
    const balancer = await bed.startBalancer(['--admin', 'off']);
    expect(readdirSync(folder)).toEqual([]);
    await balancer.stop();
  });

  describe('on a loopback port', () => {
    const PLACE = { kind: 'tcp', host: '127.0.0.1', port: 9211 } as const;
    let balancer: Balancer;
    beforeAll(async () => {
      balancer = await bed.startBalancer(['--admin', '127.0.0.1:9211']);
    });
    afterAll(() => balancer.stop());

    /** From within the balancer's namespace: its loopback is not ours. */
    async function ask(method: string, path: string, headers: Record<string, string>): Promise<Fetched> {
      const source = `import('${new URL('../../dist/test/e2e/fetch.js', import.meta.url)}')
        .then(({ fetchText }) => fetchText(...JSON.parse(process.argv[1])))
        .then(answer => console.log(JSON.stringify(answer)))`;
      const args = JSON.stringify([PLACE, method, path, { headers }]);
      const argv = [...enter(bed.network.balancer.host), process.execPath, '-e', source, args];
      return JSON.parse(await outputOf(spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] })));
    }

    test.each<[string, string, Record<string, string>, number]>([
      ['GET', '/status', {}, 200],
      ['GET', '/status', { host: 'localhost:9211' }, 200],
      ['GET', '/status', { host: 'LOCALHOST:9211' }, 200],
      ['GET', '/status', { host: 'evil.example:9211' }, 403],
      ['GET', '/status', { host: '127.0.0.1' }, 403],
      ['GET', '/status', { host: '127.0.0.1:80' }, 403],
      ['GET', '/metrics', { host: 'rebound.example' }, 403],
      ['POST', '/nodes/mc1/drain', { origin: 'http://127.0.0.1:9211' }, 403],
      ['POST', '/nodes/mc1/drain', { 'content-type': 'text/plain' }, 403],
      ['POST', '/nodes/mc1/drain', { 'content-type': 'application/x-www-form-urlencoded' }, 403],
      ['POST', '/nodes/mc1/drain', { 'content-type': 'application/json' }, 200],
      ['POST', '/nodes/mc1/enable', {}, 200],
    ])('%s %s with %j: %i', async (method, path, headers, status) => {
      expect((await ask(method, path, headers)).status).toBe(status);
    });

    test('the commands find it by its name', async () => {
      const options = { namespace: bed.network.balancer.host };
      expect((await keysteer(['status', '--admin', '127.0.0.1:9211'], options)).stdout).toContain('127.0.0.1:9211\n');
      expect(await keysteer(['status', '--admin', '127.0.0.1:9212'], options)).toMatchObject({
        code: 1,
        stderr: 'keysteer: no instance answers at 127.0.0.1:9212: nobody listens there\n',
      });
    });

    test('a port that is taken is an error with the address in it', async () => {
      expect(await runAndEnd(['--admin', '127.0.0.1:9211'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('cannot listen on 127.0.0.1:9211: listen EADDRINUSE'),
      });
    });
  });

  describe('for people', () => {
    let balancer: Balancer;
    let config: string;
    beforeAll(async () => {
      config = bed.writeConfig(
        'people.yaml',
        `vip: ${VIP}
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: ${BALANCER_SERVER_ADDRESS} }
nodes:
  - { name: mc1, address: 10.77.1.11 }
  - { name: mc2, address: 10.77.1.12 }
admin: { listen: ${join(tmpdir(), `keysteer-people-${process.pid}.sock`)} }
`,
      );
      balancer = await bed.startBalancerWith(['--config', config]);
      await getAll();
    });
    afterAll(() => balancer.stop());

    test.each([
      [
        'status',
        [
          ' 200 forwarded, 200 datagrams of replies\n',
          /^drops +none$/m,
          /^lane 0 +running, .* at work/m,
          /^read, forwarded +p50 [0-9.]+ [µm]s, p99 [0-9.]+ [µm]s, 200 requests$/m,
        ],
      ],
      ['nodes', ['NODE', '10.77.1.11:11211', 'reachable', 'up']],
    ])('%s fits 80 columns and tells the essentials', async (command, essentials) => {
      const { code, stdout, stderr } = await keysteer([command, '--config', config]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const text of essentials) expect(stdout).toMatch(text);
      expect(stdout.split('\n').filter(line => [...line].length > 80)).toEqual([]);
    });

    test('top --once tells the rates of one interval, within 80 columns and without escapes', async () => {
      const screen = keysteer(['top', '--once', '--config', config]);
      await getAll();
      const { code, stdout } = await screen;
      expect(code).toBe(0);
      expect(stdout.split('\n').filter(line => [...line].length > 80)).toEqual([]);
      expect(stdout).not.toContain('\x1b');
      for (const text of ['requests/s', 'drops:', 'NODE', 'LOAD', 'mc1', 'mc2', 'LANE', 'WORK', 'ASLEEP']) {
        expect(stdout).toContain(text);
      }
    });

    test('top --json is one object for each look', async () => {
      const { stdout } = await keysteer(['top', '--once', '--json', '--interval', '0.2', '--config', config]);
      const { rates, status } = JSON.parse(stdout);
      expect(rates.seconds).toBeGreaterThan(0.15);
      expect(status.pid).toBe(JSON.parse((await keysteer(['status', '--json', '--config', config])).stdout).pid);
    });

    test('top on a terminal draws over itself, and q leaves the terminal as it was', async () => {
      // script(1) gives it a terminal; its input ends when we end it.
      const command = `${process.execPath} ${CLI} top --interval 0.2 --config ${config}`;
      const child = spawn('script', ['-qec', `stty cols 80 rows 24; ${command}`, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let shown = '';
      child.stdout.on('data', chunk => {
        shown += chunk;
      });
      const deadline = Date.now() + 10_000;
      while (shown.split('\x1b[H').length < 4 && Date.now() < deadline) await new Promise(next => setTimeout(next, 20));
      const ended = new Promise(resolve => child.once('close', resolve));
      child.stdin.write('q');
      expect(await ended).toBe(0);
      expect(shown.startsWith('\x1b[?1049h\x1b[?25l')).toBe(true);
      expect(shown.trimEnd().endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
      const screens = shown.split('\x1b[H').slice(1);
      for (const screen of screens) {
        const lines = screen
          .replaceAll(/\x1b\[[?0-9]*[A-Za-z]/g, '')
          .trimEnd()
          .split('\r\n');
        expect(lines.length).toBeLessThanOrEqual(24);
        expect(lines.filter(line => [...line].length > 80)).toEqual([]);
        expect(lines[0]).toMatch(/^keysteer {2}10\.77\.0\.100:11211 {2}nat/);
      }
    });

    test.each<[string, string[], number, string]>([
      ['an action that does not exist', ['nodes', 'stop', 'mc1'], 2, '<action> is stop; it must be drain or enable'],
      ['a drain of nothing', ['nodes', 'drain'], 2, 'keysteer nodes drain needs the name of a node'],
      ['an interval of nothing', ['top', '--interval', '0'], 2, '--interval is 0; it must be 0.1 to 3600 seconds'],
      ['a node that does not exist', ['nodes', 'drain', 'mc3'], 1, 'there is no node "mc3"; there are mc1, mc2'],
    ])('%s: its exit status, and what would be right', async (_, args, code, message) => {
      const ended = await keysteer([...args, '--config', config]);
      expect(ended).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) });
      expect(ended.stderr).not.toMatch(/^\s+at /m);
    });

    test('a file of no running instance is named', async () => {
      const other = bed.writeConfig('other.yaml', `vip: 10.77.0.99\nadmin: broken\n`);
      const { code, stderr } = await keysteer(['status', '--config', other]);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining(`no instance that was started with ${other} runs here`),
      });
    });
  });
});

async function outputOf(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout!.on('data', chunk => {
    output += chunk;
  });
  await new Promise(resolve => child.once('close', resolve));
  return output;
}
