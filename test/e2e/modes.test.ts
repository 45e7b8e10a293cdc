/** gateway and dsr: real memcached, real routing, clients' own kernels; and every reply of a load, matched and verified. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runIn } from '../../src/experiment/namespaces.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { requireCapDecoder, startCapture } from '../support/cap-decoder.ts';
import { type Balancer, nodeFlags } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { Load } from './load.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const TWO_ARMS = ['--client', 'cl0', '--server', 'sv0', '--server-address', BALANCER_SERVER_ADDRESS];
const ONE_ARM = ['--client', 'cl0', '--client-address', BALANCER_SERVER_ADDRESS];
const KEYS = Array.from({ length: 500 }, (_, n) => `key-${n}`);
const LONG = 'abcdefghij'.repeat(2000);
const FIRST_PORT = 6000;
const NAMES = KEYS.slice(0, 20);

const SETUPS = [
  ['gateway', 'two arms, one lane', TWO_ARMS, 1],
  ['gateway', 'two arms, two lanes', TWO_ARMS, 2],
  ['gateway', 'one arm, two lanes', ONE_ARM, 2],
  ['dsr', 'two arms, two lanes', TWO_ARMS, 2],
  ['dsr', 'one arm, one lane', ONE_ARM, 1],
] as const;

describe.skipIf(requireBed()).each(['gateway', 'dsr'] as const)('mode %s', mode => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;

  beforeAll(async () => {
    bed = await Bed.start({ mode, clients: 2 });
    client = await bed.startClient(0, FIRST_PORT);
  });
  afterEach(() => balancer.stop());
  afterAll(() => bed?.close());

  const start = async (ports: readonly string[], lanes: number) => {
    const flags = ['--vip', VIP, '--mode', mode, ...ports, ...nodeFlags(bed.network.nodes), '--lanes', `${lanes}`];
    balancer = await bed.startBalancerWith(flags);
  };

  async function askAll(bodies: readonly string[]): Promise<string[]> {
    const requests = bodies.map((body, n) => datagram(n, body));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: 32, sockets: 10 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    return replies.map(bodyOf);
  }

  test.each(SETUPS.filter(([of]) => of === mode))(
    '%s, %s: stores, reads, long values, several keys',
    async (_mode, _what, ports, lanes) => {
      await start(ports, lanes);
      const stored = await askAll(KEYS.map(key => `set ${key} 0 0 ${key.length}\r\n${key}\r\n`));
      expect(new Set(stored)).toEqual(new Set(['STORED\r\n']));
      const found = KEYS.map(key => `VALUE ${key} 0 ${key.length}\r\n${key}\r\nEND\r\n`);
      expect(await askAll(KEYS.map(key => `get ${key}\r\n`))).toEqual(found);
      const values = NAMES.map(key => `VALUE ${key} 0 ${key.length}\r\n${key}\r\n`).join('');
      expect(await client.ask(`get ${NAMES.join(' ')}\r\n`)).toBe(`${values}END\r\n`);
      expect(await client.ask('version\r\n')).toMatch(/^VERSION .*keysteer/);
      expect(await client.ask('quit\r\n')).toMatch(/ERROR/);
      for (const { address, port } of bed.network.nodes) {
        await client.ask(`set long 0 0 ${LONG.length}\r\n${LONG}\r\n`, { to: { address, port } });
      }
      expect(await client.ask('get long\r\n')).toBe(`VALUE long 0 ${LONG.length}\r\n${LONG}\r\nEND\r\n`);

      const requests = 1001 + NAMES.length;
      const replies = mode === 'gateway' ? 1000 + 15 + NAMES.length : NAMES.length;
      // In dsr mode the answer to the last request says nothing of when the lane has counted it.
      const figures = await balancer.figuresWhen(
        'all requests and replies',
        ({ counters }) => counters.requests === requests && counters.replies === replies,
      );
      expect(faults(figures)).toEqual({ refused_denied: 1 });
      expect(figures.nodes.map(({ unanswered }) => unanswered)).toEqual([0, 0]);
      expect(figures.lanes.every(({ requests }) => requests > 100)).toBe(true);
    },
  );

  test.skipIf(requireCapDecoder())('the node sees the client’s own address', async () => {
    await start(TWO_ARMS, 1);
    const captures = await Promise.all(
      bed.network.nodes.map(({ host, address }) =>
        startCapture({
          interfaceName: 'eth0',
          namespace: host,
          filter: `udp and src 10.77.0.1 and dst ${mode === 'dsr' ? VIP : address}`,
        }),
      ),
    );
    const requests = KEYS.slice(0, 50).map(key => `get ${key}\r\n`);
    await askAll(requests);
    const shares = await Promise.all(captures.map(capture => capture.until(1)));
    await Promise.all(captures.map(capture => capture.stop()));
    for (const frames of shares) {
      for (const { udp } of frames) {
        expect(udp).toMatchObject({ dstport: 11211 });
        expect(udp!.srcport).toBeGreaterThanOrEqual(FIRST_PORT);
        expect(udp!.srcport).toBeLessThan(FIRST_PORT + 10);
      }
    }
  });

  test('a node that dies is taken out by probes alone, and comes back', async () => {
    await start(TWO_ARMS, 1);
    await askAll(KEYS.map(key => `get ${key}\r\n`));
    await bed.nodes[0]!.stop();
    await balancer.figuresWhen('mc1 out', ({ nodes }) => nodes[0]!.health === 'out');
    await askAll(KEYS.map(key => `get ${key}\r\n`));
    await bed.restartNode(0);
    await balancer.figuresWhen('mc1 healthy', ({ nodes }) => nodes[0]!.health === 'healthy');
    await askAll(KEYS.map(key => `get ${key}\r\n`));
  });

  test('idle traffic without answers takes no node out', async () => {
    await start(TWO_ARMS, 1);
    await askAll(KEYS.map(key => `get ${key}\r\n`));
    const { figures } = await balancer.stop();
    expect(figures.nodes.map(({ health }) => health)).toEqual(['healthy', 'healthy']);
    expect(balancer.health('mc1')).toEqual([]);
    expect(runIn(bed.network.nodes[0]!.host, ['ip', 'route'])).toContain(
      mode === 'gateway' ? 'default via 10.77.1.1' : '10.77.0.0/24',
    );
    await start(TWO_ARMS, 1);
  });
});

const PLAN = { keyCount: 2000, window: 16, getRatio: 0.9, warmupSeconds: 0, seconds: 1.5, timeoutMs: 2000 };

describe.skipIf(requireBed()).each([
  ['gateway', TWO_ARMS, 2],
  ['gateway', ONE_ARM, 1],
  ['dsr', TWO_ARMS, 2],
  ['dsr', ONE_ARM, 1],
] as const)('a load in mode %s (%s), %i lanes', (mode, ports, lanes) => {
  test('every request has its reply, and every value is right', async () => {
    const bed = await Bed.start({ mode, kernelClients: false });
    try {
      const flags = ['--vip', VIP, '--mode', mode, ...ports, ...nodeFlags(bed.network.nodes), '--lanes', `${lanes}`];
      const balancer = await bed.startBalancerWith(flags);
      const result = await new Load(bed.network, PLAN).result;
      const { lost, wrong, errors, late, duplicates, hits } = result;
      expect({ lost, wrong, errors, late, duplicates }).toEqual({
        lost: 0,
        wrong: 0,
        errors: 0,
        late: 0,
        duplicates: 0,
      });
      expect(hits).toBeGreaterThan(1000);
      const { figures } = await balancer.stop();
      expect(faults(figures)).toEqual({});
      const { requests, replies } = figures.counters;
      // In dsr mode only writes to hot keys, which Keysteer carries out, are answered through it.
      if (mode === 'dsr') expect(replies).toBeLessThan(requests / 2);
      else expect(replies).toBe(requests);
      expect(figures.nodes.map(({ unanswered, health }) => [unanswered, health])).toEqual(
        figures.nodes.map(() => [0, 'healthy']),
      );
    } finally {
      await bed.close();
    }
  });
});
