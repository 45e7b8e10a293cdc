/** Clients in one VLAN, nodes in another, on cables that carry both: nothing passes but through Keysteer. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { requireTap } from '../support/lane-bed-tap.ts';
import { joinVlan, requireVlan } from '../support/vlan-station.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const CLIENTS = { vlan: 5, priority: 3 };
const NODES = { vlan: 7, priority: 0 };
const KEYS = Array.from({ length: 500 }, (_, n) => `key-${n}`);
/** Of 32 that follow each other: chance has no part in how they spread over lanes. */
const FIRST_PORT = 6000;
const SOCKETS = 32;

describe.skipIf(requireBed() ?? requireVlan())('two VLANs', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;

  beforeAll(async () => {
    bed = await Bed.start();
    for (const { ends } of bed.network.links) {
      const [{ host, name, addresses }] = ends;
      if (bed.network.clients.some(station => station.host === host)) joinVlan(host, name, CLIENTS, addresses);
      if (bed.network.nodes.some(node => node.host === host)) joinVlan(host, name, NODES, addresses);
    }
    client = await bed.startClient(0, FIRST_PORT);
  });
  afterEach(() => balancer.stop());
  afterAll(() => bed?.close());

  function start(client: string, server: string, lanes: number): Promise<Balancer> {
    const nodes = bed.network.nodes.map(({ name, address }) => `  - { name: ${name}, address: ${address} }`);
    const ports = `  client: { ${client}, vlan: ${CLIENTS.vlan} }
  server: { ${server}, vlan: ${NODES.vlan}, address: ${BALANCER_SERVER_ADDRESS} }`;
    const text = `vip: ${VIP}\nports:\n${ports}\nnodes:\n${nodes.join('\n')}\nlanes: ${lanes}\n`;
    return bed.startBalancerWith(['--config', bed.writeConfig('vlan.yaml', text)]);
  }

  async function askAll(command: (key: string) => string): Promise<string[]> {
    const requests = KEYS.map((key, n) => datagram(n, command(key)));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: 32, sockets: SOCKETS });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    return replies.map(bodyOf);
  }

  async function expectService(): Promise<void> {
    expect(new Set(await askAll(key => `set ${key} 0 0 ${key.length}\r\n${key}\r\n`))).toEqual(new Set(['STORED\r\n']));
    const found = KEYS.map(key => `VALUE ${key} 0 ${key.length}\r\n${key}\r\nEND\r\n`);
    expect(await askAll(key => `get ${key}\r\n`)).toEqual(found);
    const value = 'x'.repeat(1380);
    expect(await client.ask(`set full 0 0 1380\r\n${value}\r\n`)).toBe('STORED\r\n');
    const figures = await balancer.figuresWhen('all replies', ({ counters }) => counters.replies === 1001);
    expect(faults(figures)).toEqual({});
    expect(figures.lanes.every(({ requests, replies }) => requests > 100 && requests === replies)).toBe(true);
  }

  test.each([
    ['on two interfaces', 'cl0', 'sv0', 1],
    ['on two interfaces', 'cl0', 'sv0', 2],
    ['on one interface', 'cl0', 'cl0', 1],
    ['on one interface', 'cl0', 'cl0', 2],
  ])('%s, %s and %s, %i lane(s)', async (_, from, to, lanes) => {
    balancer = await start(`interface: ${from}`, `interface: ${to}`, lanes);
    await expectService();
  });

  test.skipIf(requireTap())('one of them by a TAP that carries both', async () => {
    balancer = await start('interface: cl0', 'interface: ksv, transport: tap', 2);
    const switchHost = bed.network.links[0]!.ends[1].host;
    ipBatch([`link set ksv netns ${switchHost}`], bed.network.balancer.host);
    ipBatch(['link set ksv master brs up'], switchHost);
    await expectService();
  });
});
