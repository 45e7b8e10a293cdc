/**
 * TAP devices that Keysteer makes: one becomes a bridge port beside the nodes, as a virtual machine's does; the other
 * moves into the client's namespace and is its network card, as a container's.
 *
 *     client ── ksc ═ Keysteer ═ kss ── bridge ── memcached, memcached
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ipBatch, runIn } from '../../src/experiment/namespaces.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { requireTap } from '../support/lane-bed-tap.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const KEYS = Array.from({ length: 500 }, (_, n) => `key-${n}`);
/** Of 32 that follow each other: chance has no part in how they spread over lanes. */
const FIRST_PORT = 6000;
const SOCKETS = 32;
const LONG = 'abcdefghij'.repeat(2000);

describe.skipIf(requireBed() ?? requireTap())('through TAP devices', () => {
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

  /** `client`, and what else the configuration has of ports. */
  function start(ports: string, lanes: number): Promise<Balancer> {
    const nodes = bed.network.nodes.map(({ name, address }) => `  - { name: ${name}, address: ${address} }`);
    const text = `vip: ${VIP}\nports:\n${ports}\nnodes:\n${nodes.join('\n')}\nlanes: ${lanes}\n`;
    return bed.startBalancerWith(['--config', bed.writeConfig('tap.yaml', text)]);
  }

  const balancerHost = () => bed.network.balancer.host;
  const clientHost = () => bed.network.clients[0]!.host;
  const switchHost = () => bed.network.links[0]!.ends[1].host;

  function plugIntoBridge(name: string): void {
    ipBatch([`link set ${name} netns ${switchHost()}`], balancerHost());
    ipBatch([`link set ${name} master brs up`], switchHost());
  }

  function plugIntoClient(name: string): void {
    const source = bed.network.clients[0]!.paths.balancer.address;
    ipBatch([`link set ${name} netns ${clientHost()}`], balancerHost());
    ipBatch([`link set ${name} up`, `route add ${VIP}/32 dev ${name} src ${source}`], clientHost());
  }

  async function askAll(command: (key: string) => string): Promise<string[]> {
    const requests = KEYS.map((key, n) => datagram(n, command(key)));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: 32, sockets: SOCKETS });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    return replies.map(bodyOf);
  }

  async function expectService(lanes: number): Promise<void> {
    expect(new Set(await askAll(key => `set ${key} 0 0 ${key.length}\r\n${key}\r\n`))).toEqual(new Set(['STORED\r\n']));
    expect(await askAll(key => `get ${key}\r\n`)).toEqual(
      KEYS.map(key => `VALUE ${key} 0 ${key.length}\r\n${key}\r\nEND\r\n`),
    );
    expect(await client.ask('get long\r\n')).toBe(`VALUE long 0 ${LONG.length}\r\n${LONG}\r\nEND\r\n`);
    const figures = await balancer.figuresWhen('all replies', ({ counters }) => counters.replies === 1000 + 15);
    expect(faults(figures)).toEqual({});
    expect(figures.nodes.every(({ requests }) => requests > 100)).toBe(true);
    expect(figures.lanes).toHaveLength(lanes);
    expect(figures.lanes.every(({ requests, replies }) => requests > 100 && replies >= requests)).toBe(true);
  }

  test.each([1, 2])('both sides, %i lane(s): stores, reads and long values', async lanes => {
    balancer = await start(
      `  client: { interface: ksc, transport: tap }
  server: { interface: kss%d, transport: tap, address: ${BALANCER_SERVER_ADDRESS} }`,
      lanes,
    );
    plugIntoClient('ksc');
    plugIntoBridge('kss0');
    await expectService(lanes);
    const figures = await balancer.figures();
    expect(figures.ports.map(({ name }) => name)).toEqual(['ksc', 'kss0']);
    await balancer.stop();
    expect(runIn(clientHost(), ['ip', 'link'])).not.toContain('ksc');
  });

  test('beside an AF_PACKET port', async () => {
    balancer = await start(
      `  client: { interface: cl0 }
  server: { interface: kss, transport: tap, address: ${BALANCER_SERVER_ADDRESS} }`,
      2,
    );
    plugIntoBridge('kss');
    await expectService(2);
  });

  test('one that is persistent is still plugged in when Keysteer comes back, with or without a lane more', async () => {
    const ports = `  client: { interface: cl0 }
  server: { interface: ksp, transport: tap, tap: { persistent: true }, address: ${BALANCER_SERVER_ADDRESS} }`;
    balancer = await start(ports, 2);
    await balancer.stop();
    ipBatch(['link add brp type bridge', 'link set ksp master brp'], balancerHost());
    balancer = await start(ports, 1);
    expect(runIn(balancerHost(), ['ip', 'link', 'show', 'ksp'])).toMatch(/master brp/);
    ipBatch(['link delete brp', 'link delete ksp'], balancerHost());
  });
});
