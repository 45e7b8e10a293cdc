/** `keysteer doctor` and `init` in the test bed: what is well is said to be, each fault is found and named with its fix. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Check } from '../../src/control/doctor/check.ts';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { requireBuild } from '../support/requirements.ts';
import { joinVlan, requireVlan } from '../support/vlan-station.ts';
import { nodeFlags } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { keysteer } from './command.ts';
import { requireBed } from './program.ts';
import { datagram } from './udp-client.ts';

/** Neither the capability nor a way to it. */
const UNPRIVILEGED = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw'];

interface Diagnosis {
  readonly code: number | null;
  readonly healthy: boolean;
  readonly checks: readonly Check[];
}

const missing = requireBed();

describe.skipIf(missing)('doctor', () => {
  let bed: Bed;
  const lb = () => bed.network.balancer.host;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3 });
  });
  afterAll(() => bed?.close());

  function flags(server = bed.network.balancer.server.name): string[] {
    const arms = ['--client', bed.network.balancer.client.name, '--server', server];
    return ['--vip', VIP, ...arms, '--server-address', BALANCER_SERVER_ADDRESS, ...nodeFlags(bed.network.nodes)];
  }

  async function diagnose(args: readonly string[] = flags(), prefix: readonly string[] = []): Promise<Diagnosis> {
    const { code, stdout, stderr } = await keysteer(['doctor', '--json', ...args], { namespace: lb(), prefix });
    expect(stderr).toBe('');
    return { code, ...(JSON.parse(stdout) as Omit<Diagnosis, 'code'>) };
  }

  const failed = ({ checks }: Diagnosis) => checks.filter(({ status }) => status === 'fail');
  const texts = (checks: readonly Check[]) => checks.map(({ what }) => what);

  /** Does it in the balancer's namespace, and undoes it whatever comes of the test. */
  async function during<T>(doing: string, undoing: string, body: () => Promise<T>): Promise<T> {
    ipBatch([doing], lb());
    try {
      return await body();
    } finally {
      ipBatch([undoing], lb());
    }
  }

  test('all is well: every node by its version, nothing failed or skipped but for what is not installed', async () => {
    const { code, healthy, checks } = await diagnose();
    expect({ code, healthy }).toEqual({ code: 0, healthy: true });
    expect(texts(checks)).toEqual(
      expect.arrayContaining([
        'CAP_NET_RAW is there',
        'the native shim loads',
        'interface cl0 is up',
        `nobody else answers for ${VIP} on cl0`,
        'nobody else answers for 10.77.1.1 on sv0',
        '3 of 3 next hops answer ARP on sv0',
        ...[1, 2, 3].map(n => expect.stringMatching(`^node mc${n} \\(10.77.1.1${n}:11211\\) answers: memcached 1\\.`)),
      ]),
    );
    const troubled = checks.filter(({ status }) => status !== 'ok');
    expect(texts(troubled).filter(what => !/optional package|ethtool|namespaces/.test(what))).toEqual([]);
  });

  test('for people: a line each, the fix behind it', async () => {
    const { code, stdout } = await keysteer(['doctor', ...flags('eth7')], { namespace: lb() });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ok {4}Linux /m);
    expect(stdout).toMatch(/^fail {2}interface eth7 does not exist.* {2}— fix: ip link$/m);
    expect(stdout).toMatch(/^1 failed, \d+ to mind, 1 not looked at$/m);
  });

  test('a memcached that is down is told from a host that is down', async () => {
    await bed.nodes[0]!.stop();
    const host = bed.network.nodes[1]!.host;
    ipBatch(['link set eth0 down'], host);
    try {
      const diagnosis = await diagnose();
      expect(diagnosis.code).toBe(1);
      expect(failed(diagnosis)).toEqual([
        expect.objectContaining({ what: expect.stringContaining('10.77.1.12 does not answer ARP on sv0') }),
        {
          status: 'fail',
          what: expect.stringMatching(/^node mc1 .*host up, but memcached down or without -U/),
          fix: 'on its host: memcached -U 11211 -l 10.77.1.11',
        },
        expect.objectContaining({ what: expect.stringMatching(/^node mc2 .*host down/) }),
      ]);
      expect(texts(diagnosis.checks).join('\n')).toMatch(/^node mc3 .* answers: memcached/m);
    } finally {
      ipBatch(['link set eth0 up'], host);
      await bed.restartNode(0);
    }
  });

  test('a host that swallows what is said to memcached: up, by its echo', async () => {
    const pid = bed.nodes[2]!.group.child.pid!;
    process.kill(pid, 'SIGSTOP');
    try {
      const [only, ...others] = failed(await diagnose());
      expect(only?.what).toMatch(
        /^node mc3 .*host up, but memcached down, without -U, or filtered: no answer over UDP/,
      );
      expect(others).toEqual([]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('a VIP that the kernel owns', async () => {
    const add = `addr add ${VIP}/32 dev cl0`;
    const diagnosis = await during(add, `addr del ${VIP}/32 dev cl0`, () => diagnose());
    expect(diagnosis.code).toBe(1);
    expect(failed(diagnosis)).toEqual([
      {
        status: 'fail',
        what: `${VIP} is an address of this kernel (cl0): it must be Keysteer's alone`,
        fix: `ip address del ${VIP}/32 dev cl0`,
      },
    ]);
  });

  test('a VIP that another host has', async () => {
    const client = bed.network.clients[0]!;
    ipBatch([`addr add ${VIP}/32 dev eth0`], client.host);
    try {
      const diagnosis = await diagnose();
      const { mac } = client.paths.balancer;
      expect(texts(failed(diagnosis))).toEqual([
        `${mac} answers for ${VIP} on cl0: another host, or another Keysteer, has it`,
      ]);
    } finally {
      ipBatch([`addr del ${VIP}/32 dev eth0`], client.host);
    }
  });

  test.each([
    ['a missing interface', 'eth7', 'interface eth7 does not exist in this network namespace; there are cl0, sv0'],
    ['a name that is too long', 'interface-far-too-long', 'the configuration cannot be used:'],
  ])('%s: the network is not asked', async (_what, server, message) => {
    const diagnosis = await diagnose(flags(server));
    expect(diagnosis.code).toBe(1);
    expect(failed(diagnosis)).toEqual([expect.objectContaining({ what: expect.stringContaining(message) })]);
    expect(texts(diagnosis.checks).filter(what => / answers?[: ]/.test(what))).toEqual([]);
  });

  test('an interface that is down', async () => {
    const diagnosis = await during('link set sv0 down', 'link set sv0 up', () => diagnose());
    expect(failed(diagnosis)).toEqual([{ status: 'fail', what: 'interface sv0 is down', fix: 'ip link set sv0 up' }]);
  });

  test('without privilege: says so, and what could not be looked at', async () => {
    const diagnosis = await diagnose(flags(), UNPRIVILEGED);
    expect(diagnosis.code).toBe(1);
    expect(texts(failed(diagnosis))).toEqual(['no CAP_NET_RAW, which opens raw sockets on the interfaces']);
    const skipped = diagnosis.checks.filter(({ status }) => status === 'skip');
    expect(texts(skipped)).toEqual([
      expect.stringMatching(/^addresses, next hops and nodes were not asked: .*CAP_NET_RAW/),
    ]);
  });

  test('beside a running Keysteer: the same, and its traffic is left alone', async () => {
    const balancer = await bed.startBalancer();
    const client = await bed.startClient();
    try {
      expect((await diagnose()).code).toBe(0);
      const { timedOut } = await client.exchange([datagram(1, 'get nothing\r\n')]);
      expect(timedOut).toEqual([]);
      // Answers to the doctor reach Keysteer too, which knows of no request behind them.
      const names = Object.keys(faults(await balancer.figures()));
      expect(names.filter(name => !['drop_icmp', 'drop_reply_no_slot'].includes(name))).toEqual([]);
    } finally {
      await client.stop();
      await balancer.stop();
    }
  });

  test('of a file, one-armed', async () => {
    const text = (
      await keysteer([
        'init',
        '-',
        '--vip',
        '10.77.1.100',
        '--client',
        'cl0',
        '--client-address',
        BALANCER_SERVER_ADDRESS,
        ...nodeFlags(bed.network.nodes),
      ])
    ).stdout;
    const diagnosis = await diagnose(['--config', bed.writeConfig('one-arm.yaml', text)]);
    expect(failed(diagnosis)).toEqual([]);
    expect(texts(diagnosis.checks)).toContain('3 of 3 next hops answer ARP on cl0');
  });
});

describe.skipIf(missing ?? requireVlan())('doctor, of nodes in a VLAN', () => {
  test('asks with its tag, and hears no other', async () => {
    const bed = await Bed.start({ nodes: 1 });
    try {
      const [node] = bed.network.nodes;
      joinVlan(node!.host, 'eth0', { vlan: 7, priority: 0 }, ['10.77.1.11/24']);
      const diagnose = async (vlan: number) => {
        const text = `vip: ${VIP}
ports: { client: { interface: cl0 }, server: { interface: sv0, address: ${BALANCER_SERVER_ADDRESS}, vlan: ${vlan} } }
nodes: [{ name: mc1, address: 10.77.1.11 }]
`;
        const args = ['doctor', '--json', '--config', bed.writeConfig('vlan.yaml', text)];
        const { stdout } = await keysteer(args, { namespace: bed.network.balancer.host });
        return (JSON.parse(stdout) as Diagnosis).checks.map(({ status, what }) => `${status} ${what}`);
      };
      expect(await diagnose(7)).toContainEqual(expect.stringMatching(/^ok node mc1 .* answers: memcached/));
      expect(await diagnose(8)).toContainEqual(expect.stringMatching(/^fail node mc1 .*host down/));
    } finally {
      await bed.close();
    }
  });
});

describe.skipIf(requireBuild())('init', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-init-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('writes a file that explain loads, and leaves one that is there alone', async () => {
    const path = join(folder, 'f.yaml');
    const { code, stdout } = await keysteer(['init', path, '--vip', '10.77.0.100']);
    expect(stdout).toBe(
      `written: ${path}; examples to replace: --client, --server, --server-address, --node; then keysteer doctor --config ${path}\n`,
    );
    expect(code).toBe(0);
    expect((await keysteer(['explain', 'k', '--config', path])).code).toBe(0);
    writeFileSync(path, 'mine');
    const refused = await keysteer(['init', path]);
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('--force') });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    const forced = await keysteer(['init', path, '--force', '--json']);
    expect(JSON.parse(forced.stdout)).toMatchObject({ event: 'written', file: path });
    expect(readFileSync(path, 'utf8')).toContain('vip: 10.77.0.100:11211');
  });

  test('refuses what cannot be, and writes nothing then', async () => {
    const path = join(folder, 'none.yaml');
    const { code, stderr } = await keysteer(['init', path, '--lanes', '1000']);
    expect({ code, there: existsSync(path) }).toEqual({ code: 1, there: false });
    expect(stderr).toContain('--lanes: lanes is 1000; it must be a whole number from 1 to 64');
  });

  test('doctor without a configuration looks at the machine', async () => {
    const { stdout } = await keysteer(['doctor', '--json']);
    const { checks } = JSON.parse(stdout) as Diagnosis;
    expect(checks.some(({ status, what }) => status === 'skip' && what.startsWith('no configuration'))).toBe(true);
    expect(checks.some(({ what }) => what.startsWith('Linux '))).toBe(true);
  });
});
