/** The configuration changes while frames pass: what is asked is answered, by the old table or the new. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AdminRefusal, askAdmin } from '../../src/control/admin/client.ts';
import type { ReloadReport } from '../../src/control/reload/reloader.ts';
import { enter } from '../../src/experiment/namespaces.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { keysteer } from './command.ts';
import { CLI, requireBed } from './program.ts';
import { datagram, type UdpClient } from './udp-client.ts';

const KEYS = Array.from({ length: 300 }, (_, n) => `key-${n}`);
const BASE = `vip: 10.77.0.100:11211
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
slots: { count: 1024, reply_lifetime_ms: 3000 }
`;
const node = (n: number, more = '') => `  - { name: mc${n}, address: 10.77.1.${10 + n}${more} }\n`;
const config = (...nodes: string[]) => `${BASE}nodes:\n${nodes.join('')}`;

describe.skipIf(requireBed())('reload', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;
  let path: string;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3 });
    client = await bed.startClient();
  });
  beforeEach(async () => {
    path = bed.writeConfig('f.yaml', config(node(1), node(2)));
    balancer = await bed.startBalancerWith(['--config', path]);
  });
  afterEach(() => balancer.stop());
  afterAll(() => bed?.close());

  const reload = (body: object = {}) => askAdmin<ReloadReport>(balancer.admin, 'POST', '/reload', body);
  const write = (...nodes: string[]) => bed.writeConfig('f.yaml', config(...nodes));

  async function getAll(): Promise<void> {
    const requests = KEYS.map((key, n) => datagram(n, `get ${key}\r\n`));
    const { timedOut, strays } = await client.exchange(requests, { window: 16 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
  }

  /** Requests that each node has got, by name. */
  async function loads(): Promise<Record<string, number>> {
    const { nodes } = await balancer.figures();
    return Object.fromEntries(nodes.map(({ name, requests }) => [name, requests]));
  }

  async function refusal(body: object = {}): Promise<AdminRefusal> {
    const error = await reload(body).then(
      report => new Error(`not refused: ${JSON.stringify(report)}`),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(AdminRefusal);
    return error as AdminRefusal;
  }

  test('a node added gets its share of the keys, a node that stays keeps its row and its figures', async () => {
    await getAll();
    const before = await balancer.figures();
    write(node(3), node(2));
    const report = await reload();
    expect(report.changes.nodes).toEqual([
      { change: 'added', name: 'mc3', to: '10.77.1.13:11211' },
      { change: 'removed', name: 'mc1', from: '10.77.1.11:11211' },
    ]);
    expect(report.movedShare).toBeGreaterThan(0.3);
    expect(report.movedShare).toBeLessThan(0.8);
    expect(report.silentNodes).toEqual([]);
    await getAll();
    const after = await balancer.figures();
    expect(after.nodes.map(({ name, row }) => [name, row])).toEqual([
      ['mc3', 2],
      ['mc2', 1],
    ]);
    const [mc3, mc2] = after.nodes;
    expect(mc2!.requests).toBeGreaterThan(before.nodes[1]!.requests);
    expect(mc3!.requests + mc2!.requests).toBe(KEYS.length + before.nodes[1]!.requests);
    expect(mc3!.answered).toBe(mc3!.requests);
    expect(faults(after)).toEqual({});
  });

  test('weight 0 drains: no key, and the node stays', async () => {
    write(node(1, ', weight: 0'), node(2));
    expect((await reload()).changes.nodes).toEqual([{ change: 'reweighted', name: 'mc1', from: 1, to: 0 }]);
    await getAll();
    expect(await loads()).toEqual({ mc1: 0, mc2: KEYS.length });
    const { nodes } = await balancer.figures();
    expect(nodes[0]).toMatchObject({ state: 'drained', reason: 'weight 0', slotShare: 0 });
  });

  test('a request of the old table is answered after its node was removed', async () => {
    await getAll();
    const key = KEYS[await firstKeyOf('mc1')]!;
    const { child } = bed.nodes[0]!.group;
    child.kill('SIGSTOP');
    try {
      const answer = client.ask(`get ${key}\r\n`, { timeoutMs: 5000 });
      await balancer.figuresWhen('the request on its way', ({ nodes }) => nodes[0]!.outstanding === 1);
      write(node(2));
      await reload();
      child.kill('SIGCONT');
      expect(await answer).toBe('END\r\n');
    } finally {
      child.kill('SIGCONT');
    }
    await getAll();
    expect(await loads()).toEqual({ mc2: expect.any(Number) });
  });

  test('a row is another’s only after the reply lifetime, with figures that begin at zero', async () => {
    await getAll();
    write(node(1));
    await reload();
    write(node(1), node(3));
    await reload();
    const rows = async () => Object.fromEntries((await balancer.figures()).nodes.map(({ name, row }) => [name, row]));
    expect(await rows()).toEqual({ mc1: 0, mc3: 2 });
    write(node(1), node(2), node(3));
    await reload();
    expect(await rows()).toEqual({ mc1: 0, mc2: 1, mc3: 2 }); // back within the lifetime: the row is still its own
  });

  test('nothing changes: nothing is swapped', async () => {
    const { movedShare, changes } = await reload();
    expect({ movedShare, changes }).toEqual({ movedShare: 0, changes: { nodes: [], settings: [], reordered: false } });
  });

  test('a dry run says the same as the reload, and changes nothing', async () => {
    write(node(1), node(2), node(3));
    const planned = await reload({ dryRun: true });
    await getAll();
    expect(Object.keys(await loads())).toEqual(['mc1', 'mc2']);
    const done = await reload();
    expect(done.changes).toEqual(planned.changes);
    expect(done.movedShare).toBe(planned.movedShare);
  });

  test('another algorithm is taken up while frames pass', async () => {
    bed.writeConfig('f.yaml', `${config(node(1), node(2))}steering: { algorithm: maglev }\n`);
    const { settings } = (await reload()).changes;
    expect(settings).toMatchObject([{ field: 'steering.algorithm', from: 'ketama', to: 'maglev' }]);
    await getAll();
  });

  test('a new node that no ARP request finds is named, and the others go on', async () => {
    bed.writeConfig('f.yaml', `${config(node(1), node(2), node(77))}`);
    expect((await reload()).silentNodes).toEqual(['mc77']);
    const { nodes } = await balancer.figures();
    expect(nodes.map(({ neighbour }) => neighbour)).toEqual(['reachable', 'reachable', 'failed']);
  });

  test.each([
    ['a value that is none', 'mc2', 'm c2', '8:13', 'nodes[1].name is "m c2"; it must be text of 1 to 64 letters'],
    ['no YAML', '10.77.1.12 }', '10.77.1.12', '9:1', 'the file is not valid YAML'],
    ['no node', node(1) + node(2), '  []\n', '7:3', 'nodes is an empty list; it must have 1 to 1024 nodes'],
    [
      'another VIP',
      '10.77.0.100:11211',
      '10.77.0.99',
      '1:6',
      'vip is "10.77.0.99:11211"; it cannot change while Keysteer runs (in force: "10.77.0.100:11211"): that needs a restart',
    ],
    [
      'a ring',
      'interface: cl0',
      'interface: cl0, ring: { frames: 64 }',
      '3:45',
      'ports.client.ring.frames is 64; it cannot change while Keysteer runs (in force: 1024): that needs a restart',
    ],
    [
      'slots',
      'count: 1024',
      'count: 2048',
      '5:17',
      'slots.count is 2048; it cannot change while Keysteer runs (in force: 1024): that needs a restart',
    ],
    [
      'lanes',
      'slots:',
      'lanes: 2\nslots:',
      '5:8',
      'lanes is 2; it cannot change while Keysteer runs (in force: 1): that needs a restart',
    ],
  ])('refused: %s, with its place; the old configuration stays', async (_, right, wrong, place, rule) => {
    const text = config(node(1), node(2));
    expect(text).toContain(right);
    bed.writeConfig('f.yaml', text.replace(right, wrong));
    const { status, message, answer } = await refusal();
    expect(message).toContain(`${path}:${place}: ${rule}`);
    expect(status).toBe(422);
    expect(answer).toMatchObject({ error: { problems: [{ line: Number(place.split(':')[0]) }] } });
    await getAll();
    expect(Object.keys(await loads())).toEqual(['mc1', 'mc2']);
    const reloads = (await askAdmin<{ reloads: object }>(balancer.admin, 'GET', '/status')).reloads;
    expect(reloads).toMatchObject({ applied: 0, refused: 1, lastError: message });
  });

  test('refused: a file that is gone', async () => {
    bed.removeConfig('f.yaml');
    const { status, message } = await refusal();
    expect([status, message]).toEqual([
      422,
      expect.stringContaining(`ENOENT: no such file or directory, open '${path}'`),
    ]);
    await getAll();
  });

  test('refused: the file of another instance', async () => {
    const { status, message } = await refusal({ file: '/etc/other.yaml' });
    expect([status, message]).toEqual([
      409,
      expect.stringContaining(`was started from ${path}, not from /etc/other.yaml`),
    ]);
  });

  test('SIGHUP reloads, and says what changed or what is wrong', async () => {
    write(node(1), node(2), node(3));
    balancer.group.signal('SIGHUP');
    await balancer.figuresWhen('three nodes', ({ nodes }) => nodes.length === 3);
    bed.writeConfig('f.yaml', 'lanes: many\n');
    balancer.group.signal('SIGHUP');
    await balancer.group.untilOutput(/"event":"reload","applied":false/, 5000);
    const events = balancer.lines.map(line => JSON.parse(line)).filter(({ event }) => event === 'reload');
    expect(events).toMatchObject([
      { applied: true, changes: { nodes: [{ change: 'added', name: 'mc3' }] } },
      { applied: false, error: expect.stringContaining(`${path}:1:8: lanes is "many"`) },
    ]);
    await getAll();
    expect(Object.keys(await loads())).toEqual(['mc1', 'mc2', 'mc3']);
  });

  test('the SIGHUP of a terminal that is gone ends it, as its user would expect', async () => {
    await balancer.stop();
    const socket = path.replace('f.yaml', 'hup.sock');
    const run = ['nsenter', ...enter(bed.network.balancer.host), process.execPath, CLI, 'run', '--config', path];
    const command = [...run, '--admin', socket].join(' ');
    const terminal = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise(resolve => terminal.once('close', resolve));
    await untilTrue('ready', () => existsSync(socket));
    const { pid } = await askAdmin<{ pid: number }>({ kind: 'unix', path: socket }, 'GET', '/status');
    process.kill(pid, 'SIGHUP');
    const reloads = () => askAdmin<{ reloads: object }>({ kind: 'unix', path: socket }, 'GET', '/status');
    await untilTrue('the reload', async () => JSON.stringify((await reloads()).reloads).includes('"applied":1'));
    terminal.kill('SIGKILL');
    await ended;
    await untilTrue('the end', () => !existsSync(socket) && !existsSync(`/proc/${pid}`));
    balancer = await bed.startBalancerWith(['--config', path]);
  });

  test('the command tells people and programs the same, and ends with status 1 when refused', async () => {
    write(node(1), node(2, ', weight: 2'));
    const dry = await keysteer(['reload', '--config', path, '--dry-run']);
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(dry.stdout).toMatch(
      /^.*f\.yaml would change:\n {2}node mc2: weight 1 → 2\n {2}keys that move: [0-9.]+ %\n$/,
    );
    const json = await keysteer(['reload', '--config', path, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ dryRun: false, changes: { nodes: [{ name: 'mc2', to: 2 }] } });
    const none = await keysteer(['reload', '--config', path]);
    expect(none.stdout).toBe(`${path}: nothing changes\n`);
    bed.writeConfig('f.yaml', `${config(node(1))}lanes: 2\n`);
    const refused = await keysteer(['reload', '--config', path]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`${path}:8:8: lanes is 2; it cannot change while Keysteer runs`);
    const refusedJson = await keysteer(['reload', '--config', path, '--json']);
    expect(refusedJson.code).toBe(1);
    expect(JSON.parse(refusedJson.stdout).error.problems[0]).toMatchObject({ path: 'lanes', line: 8, column: 8 });
  });

  async function firstKeyOf(name: string): Promise<number> {
    const base = await loads();
    for (const [n, key] of KEYS.entries()) {
      await client.ask(`get ${key}\r\n`);
      if ((await loads())[name]! > base[name]!) return n;
    }
    throw new Error(`no key of ${name}`);
  }
});

async function untilTrue(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

test('started from flags alone, there is nothing to read again', async ({ skip }) => {
  const missing = requireBed();
  skip(missing !== undefined, missing);
  const bed = await Bed.start();
  try {
    const balancer = await bed.startBalancer();
    const error = await askAdmin(balancer.admin, 'POST', '/reload', {}).catch(thrown => thrown);
    expect(error).toMatchObject({ status: 409, message: expect.stringContaining('started from flags alone') });
  } finally {
    await bed.close();
  }
});
