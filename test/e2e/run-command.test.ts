/** `keysteer run` as an operator meets it: what it says, how it ends, what it refuses and what it advises then. */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { skip } from '../support/requirements.ts';
import { nodeFlags } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { keysteer } from './command.ts';
import { CLI, requireBed } from './program.ts';
import { datagram, type UdpClient } from './udp-client.ts';

/** A program that was started so long ago hears signals. */
const START_MS = 3000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Without the capability, whoever runs it; setpriv gives it to nobody that follows. */
const WITHOUT_NET_RAW = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw'];
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

/** The configuration that the README shows, word for word: the bed has its names and addresses. */
const CONFIG = `vip: 10.77.0.100:11211
mode: nat
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11:11211 }
  - { name: mc2, address: 10.77.1.12:11211, weight: 2 }
`;

const missing = requireBed();

describe.skipIf(missing)('run', () => {
  let bed: Bed;
  let client: UdpClient;
  let config: string;
  const lb = () => bed.network.balancer.host;

  beforeAll(async () => {
    bed = await Bed.start();
    client = await bed.startClient();
    config = bed.writeConfig('f.yaml', CONFIG);
  });
  afterAll(() => bed?.close());

  async function start(argv: readonly string[]): Promise<ProcessGroup> {
    const group = bed.namespaces.spawn(lb(), argv, { cwd: ROOT });
    await group.untilOutput(/^ready.*\n/m, 15_000);
    return group;
  }

  async function exchangeHundred(): Promise<void> {
    const requests = Array.from({ length: 100 }, (_, n) => datagram(n, `get key-${n}\r\n`));
    expect((await client.exchange(requests, { window: 10 })).timedOut).toEqual([]);
  }

  describe.each(['SIGINT', 'SIGTERM'] as const)('%s', signal => {
    test('ends it in less than a second, with its final counters and exit status 0', async () => {
      const group = await start([process.execPath, CLI, 'run', '--config', config]);
      await exchangeHundred();
      const startedMs = performance.now();
      group.signal(signal);
      expect(await group.ended).toEqual({ code: 0, signal: null });
      expect(performance.now() - startedMs).toBeLessThan(1000);
      const lines = group.output.trimEnd().split('\n');
      expect(lines.filter(line => line.startsWith('ready'))).toEqual([lines[0]]);
      expect(lines[0]).toMatch(
        /^ready: 10\.77\.0\.100:11211 on cl0 and sv0, mode nat, 2 nodes, 1 lane, admin \/.+\/\d+\.sock$/,
      );
      expect(lines[1]).toMatch(/^stopped after \d+\.\d s$/);
      expect(lines.slice(2)).toEqual(
        expect.arrayContaining([expect.stringMatching(/^requests +100$/), expect.stringMatching(/^replies +100$/)]),
      );
    });
  });

  test('SIGINT under load ends it as fast', async () => {
    const balancer = await bed.startBalancerWith(['--config', config]);
    const requests = Array.from({ length: 6000 }, (_, n) => datagram(n, `get key-${n}\r\n`));
    const underWay = client.exchange(requests, { window: 64, timeoutMs: 20 });
    await balancer.figuresWhen('traffic', ({ counters }) => counters.replies! > 200);
    const { code, ms, figures } = await balancer.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(1000);
    expect(figures.counters.replies).toBeGreaterThan(200);
    const { timedOut } = await underWay;
    expect(timedOut.length).toBeGreaterThan(0); // otherwise it was not under load when it ended
  });

  test('signals while its lanes rehearse: SIGINT ends it at once; a reload waits for ready', async () => {
    const argv = [process.execPath, CLI, 'run', '--config', config, '--warm-up-ms'];
    const ending = bed.namespaces.spawn(lb(), [...argv, '30000'], { cwd: ROOT });
    await sleep(START_MS);
    const startedMs = performance.now();
    ending.signal('SIGINT');
    expect(await ending.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect(ending.output).toMatch(/^stopped after/m);
    expect(ending.output).not.toContain('ready');

    const reloading = bed.namespaces.spawn(lb(), [...argv, `${2 * START_MS}`], { cwd: ROOT });
    await sleep(START_MS);
    reloading.signal('SIGHUP');
    await reloading.untilOutput(/^ready.*\n.*nothing changes\n/m, 15_000);
    reloading.signal('SIGINT');
    expect(await reloading.ended).toEqual({ code: 0, signal: null });
  });

  test('npx starts it from the checkout, and the config of the README works', async () => {
    const group = await start(['npx', '--no-install', 'keysteer', 'run', '--config', config]);
    await exchangeHundred();
    group.signal('SIGINT');
    await group.ended;
    expect(group.output).toMatch(/^requests +100$/m);
  });

  test('--json: every line parses; ready, figures and final counters are told apart by `event`', async () => {
    const balancer = await bed.startBalancerWith(['--config', config]);
    await exchangeHundred();
    await balancer.figuresWhen('100 replies', ({ counters }) => counters.replies === 100);
    const { code, figures } = await balancer.stop();
    expect(code).toBe(0);
    const events = balancer.lines.map(line => JSON.parse(line).event as string);
    expect([events[0], events.at(-1)]).toEqual(['ready', 'final']);
    expect(new Set(events.slice(1, -1))).toEqual(new Set(['figures']));
    expect(JSON.parse(balancer.lines[0]!)).toMatchObject({ vip: `${VIP}:11211`, mode: 'nat', nodes: 2, lanes: 1 });
    expect(figures.counters).toMatchObject({ requests: 100, reads: 100, writes: 0, replies: 100 });
    expect(faults(figures)).toEqual({});
    expect(figures.nodes.map(({ name }) => name)).toEqual(['mc1', 'mc2']);
    expect(figures.nodes.reduce((sum, { replies }) => sum + replies, 0)).toBe(100);
    expect(figures.ports.map(({ name }) => name)).toEqual(['cl0', 'sv0']);
  });

  describe('what it refuses', () => {
    const flags = () => ['--server-address', BALANCER_SERVER_ADDRESS, ...nodeFlags(bed.network.nodes)];

    async function refusal(args: readonly string[], prefix: readonly string[] = []): Promise<string> {
      const { code, stdout, stderr } = await keysteer(args, { namespace: lb(), prefix });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^keysteer: /);
      expect(stderr).not.toMatch(/^\s+at /m);
      return stderr;
    }

    test('an interface that does not exist', async () => {
      const said = await refusal(['run', '--vip', VIP, '--client', 'cl0', '--server', 'eth7', ...flags()]);
      expect(said).toContain('interface eth7');
      expect(said).toContain('`ip link` lists them');
    });

    test('a VIP that the kernel owns', async () => {
      ipBatch([`addr add ${VIP}/32 dev cl0`], lb());
      const said = await refusal(['run', '--config', config]);
      ipBatch([`addr del ${VIP}/32 dev cl0`], lb());
      expect(said).toContain(`${VIP} is an address of this kernel (cl0)`);
      expect(said).toContain(`\`ip address del ${VIP}`);
    });

    test('a server address that the kernel owns', async () => {
      ipBatch(['addr add 10.77.1.1/24 dev sv0'], lb());
      const said = await refusal(['run', '--config', config]);
      ipBatch(['addr del 10.77.1.1/24 dev sv0'], lb());
      expect(said).toContain('10.77.1.1 is an address of this kernel (sv0)');
    });

    test('a CPU that is not there', async () => {
      expect(await refusal(['run', '--config', config, '--pin', '1023'])).toContain('lane 0 does not start');
    });

    test('to run without CAP_NET_RAW', async () => {
      expect(await refusal(['run', '--config', config], WITHOUT_NET_RAW)).toContain('needs CAP_NET_RAW');
    });

    test.skipIf(missing ?? requireNobody())('to run as nobody', async () => {
      const named = ['run', '--vip', VIP, '--client', 'cl0', '--server', 'sv0', ...flags()];
      expect(await refusal(named, NOBODY)).toContain('needs CAP_NET_RAW');
    });
  });
});

/** A user without rights who can read the program: not inside a user namespace, which maps one user alone. */
function requireNobody(): string | undefined {
  const [command, ...args] = [...NOBODY, 'test', '-r', CLI];
  if (spawnSync(command!, args, { stdio: 'ignore' }).status === 0) return undefined;
  return skip('the user nobody does not exist here, or may not read the program');
}
