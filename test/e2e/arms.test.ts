/** One interface or two: the same service, and the same answers. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { type Balancer, nodeFlags } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const TWO_ARMS = ['--client', 'cl0', '--server', 'sv0', '--server-address', BALANCER_SERVER_ADDRESS];
const ONE_ARM = ['--client', 'cl0', '--client-address', BALANCER_SERVER_ADDRESS];

const KEYS = Array.from({ length: 500 }, (_, n) => `key-${n}`);
/** Of ten that follow each other: chance has no part in how they spread over lanes. */
const FIRST_PORT = 6000;
const LONG = 'abcdefghij'.repeat(2000);

describe.skipIf(requireBed())('with', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;

  beforeAll(async () => {
    bed = await Bed.start();
    client = await bed.startClient(0, FIRST_PORT);
    for (const to of bed.network.nodes) await client.ask(`set long 0 0 ${LONG.length}\r\n${LONG}\r\n`, { to });
  });
  afterEach(() => balancer.stop());
  afterAll(() => bed?.close());

  async function askAll(command: (key: string) => string): Promise<string[]> {
    const requests = KEYS.map((key, n) => datagram(n, command(key)));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: 32, sockets: 10 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    return replies.map(bodyOf);
  }

  test.each([
    ['two arms, one lane', TWO_ARMS, 1, ['cl0', 'sv0']],
    ['one arm, one lane', ONE_ARM, 1, ['cl0']],
    ['one arm, two lanes', ONE_ARM, 2, ['cl0']],
  ])('%s: stores, reads and long values', async (_what, ports, lanes, interfaces) => {
    const flags = ['--vip', VIP, ...ports, ...nodeFlags(bed.network.nodes), '--lanes', `${lanes}`];
    balancer = await bed.startBalancerWith(flags);
    expect(new Set(await askAll(key => `set ${key} 0 0 ${key.length}\r\n${key}\r\n`))).toEqual(new Set(['STORED\r\n']));
    const found = KEYS.map(key => `VALUE ${key} 0 ${key.length}\r\n${key}\r\nEND\r\n`);
    expect(await askAll(key => `get ${key}\r\n`)).toEqual(found);
    expect(await client.ask('get long\r\n')).toBe(`VALUE long 0 ${LONG.length}\r\n${LONG}\r\nEND\r\n`);

    const figures = await balancer.figuresWhen('all replies', ({ counters }) => counters.replies === 1000 + 15);
    expect(faults(figures)).toEqual({});
    expect(figures.counters.requests).toBe(1001);
    expect(figures.ports.map(({ name }) => name)).toEqual(interfaces);
    expect(figures.nodes.every(({ requests }) => requests > 100)).toBe(true);
    expect(figures.lanes.every(({ requests, replies }) => requests > 100 && replies >= requests)).toBe(true);
  });
});
