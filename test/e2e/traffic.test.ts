/** Ordinary traffic from two clients to three nodes, one of them of double weight. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configFromFlags } from '../../src/control/config/load.ts';
import { explainKey } from '../../src/control/explain.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { type Balancer, nodeFlags } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { keysteer } from './command.ts';
import { requireBed } from './program.ts';
import { type Address, bodyOf, datagram, THE_VIP, type UdpClient } from './udp-client.ts';

/** Both clients send from it: only their addresses tell them apart. */
const SOURCE_PORT = 5555;
/** memcached cuts its answers so: 1400 bytes a datagram, 8 of them header. */
const DATA_BYTES = 1392;

const range = (count: number) => Array.from({ length: count }, (_, n) => n);
const found = (key: string, value: string) => `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`;
const letters = (bytes: number) =>
  range(bytes)
    .map(n => String.fromCharCode(97 + ((n * 7 + (n >> 8)) % 26)))
    .join('');

describe.skipIf(requireBed())('traffic', () => {
  let bed: Bed;
  let balancer: Balancer;
  let alice: UdpClient;
  let bob: UdpClient;
  let nodes: { name: string; address: string; port: number; weight: number }[];

  beforeAll(async () => {
    bed = await Bed.start({ clients: 2, nodes: 3 });
    nodes = bed.network.nodes.map(({ name, address, port }, n) => ({ name, address, port, weight: n === 1 ? 2 : 1 }));
    balancer = await bed.startBalancer([], nodes);
    alice = await bed.startClient(0, SOURCE_PORT);
    bob = await bed.startClient(1, SOURCE_PORT);
  });
  afterAll(() => bed?.close());

  /** One command after another; every one must be answered. Returns the answers. */
  async function askAll(client: UdpClient, bodies: readonly string[], to: Address = THE_VIP): Promise<string[]> {
    const requests = bodies.map((body, position) => datagram(position, body));
    const { replies, timedOut, strays } = await client.exchange(requests, { to, window: 32 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    return replies.map(bodyOf);
  }

  test('a value of 20,000 bytes comes back whole, in 15 datagrams that say so', async () => {
    const value = letters(20_000);
    expect(await askAll(alice, [`set long 0 0 20000\r\n${value}\r\n`])).toEqual(['STORED\r\n']);
    const { replies, strays } = await alice.exchange([datagram(0x1234, 'get long\r\n')]);
    const headers = replies[0]!.map(message => [0, 2, 4, 6].map(at => message.readUInt16BE(at)));
    expect(headers).toEqual(range(15).map(sequence => [0x1234, sequence, 15, 0]));
    const lengths = replies[0]!.map(message => message.length - 8);
    expect(lengths.slice(0, 14)).toEqual(range(14).map(() => DATA_BYTES));
    expect(bodyOf(replies[0]!)).toBe(found('long', value));
    expect(strays).toEqual([]);
  });

  test('two clients with the same source port and the same request ids get their own answers, 4000 each', async () => {
    const keysOf = (name: string) => range(100).map(n => `of-${name}-${n}`);
    const write = (name: string) => keysOf(name).map(key => `set ${key} 0 0 ${key.length}\r\n${key}\r\n`);
    await Promise.all([askAll(alice, write('alice')), askAll(bob, write('bob'))]);
    const asked = (name: string) => range(40).flatMap(() => keysOf(name));
    const read = (client: UdpClient, name: string) =>
      askAll(
        client,
        asked(name).map(key => `get ${key}\r\n`),
      );
    const [toAlice, toBob] = await Promise.all([read(alice, 'alice'), read(bob, 'bob')]);
    expect(toAlice).toEqual(asked('alice').map(key => found(key, key)));
    expect(toBob).toEqual(asked('bob').map(key => found(key, key)));
  });

  describe('keys lie on the node that is named for them', () => {
    const keys = range(200).map(n => `placed-${n}`);
    /** Names of the nodes that have it, per key. */
    let holders: string[][];

    beforeAll(async () => {
      await askAll(
        alice,
        keys.map(key => `set ${key} 0 0 1\r\nx\r\n`),
      );
      const answers = await Promise.all(
        nodes.map(node =>
          askAll(
            alice,
            keys.map(key => `get ${key}\r\n`),
            node,
          ),
        ),
      );
      holders = keys.map((_, n) => nodes.filter((_, node) => answers[node]![n] !== 'END\r\n').map(({ name }) => name));
    });

    test('by `keysteer explain KEY --json`', async () => {
      const flags = nodeFlags(nodes);
      for (const n of [0, 1, 2, 3, 4, 5]) {
        const { code, stdout } = await keysteer(['explain', keys[n]!, '--json', ...flags]);
        expect(code).toBe(0);
        expect(holders[n]).toEqual([JSON.parse(stdout).node.name]);
      }
    });

    test('by the code behind it, 200 keys; the heavy node has about half of them', () => {
      const client = { vip: VIP, client: 'cl0', server: 'sv0', serverAddress: BALANCER_SERVER_ADDRESS };
      const config = configFromFlags({ ...client, node: nodeFlags(nodes).filter(flag => flag !== '--node') });
      expect(holders).toEqual(keys.map(key => [explainKey(config, key).node?.name]));
      const heavy = holders.filter(([name]) => name === 'mc2').length;
      expect(heavy).toBeGreaterThan(60);
      expect(heavy).toBeLessThan(140);
    });
  });

  describe('large requests', () => {
    const set = (key: string, bytes: number) => `set ${key} 0 0 ${bytes}\r\n${letters(bytes)}\r\n`;
    /** IPv4 header, UDP header, frame header. */
    const headers = 20 + 8 + 8;

    test('a set of 1000 bytes passes, and so does one that fills the MTU', async () => {
      const overhead = set('mtu', 1000).length - 1000;
      const most = 1500 - headers - overhead;
      const answers = await askAll(alice, [set('kilo', 1000), 'get kilo\r\n', set('mtu', most), 'get mtu\r\n']);
      expect(answers).toEqual(['STORED\r\n', found('kilo', letters(1000)), 'STORED\r\n', found('mtu', letters(most))]);
    });

    test('one that needs IP fragments is stored too, and holds up nobody else', async () => {
      const small = (n: number) => `get of-alice-${n % 100}\r\n`;
      // Every tenth request needs three fragments.
      const answers = await askAll(
        alice,
        range(1000).map(n => (n % 10 === 0 ? set('fragmented', 4000) : small(n))),
      );
      for (const [n, answer] of answers.entries()) {
        const key = `of-alice-${n % 100}`;
        expect(answer).toBe(n % 10 === 0 ? 'STORED\r\n' : found(key, key));
      }
      expect(await askAll(alice, ['get fragmented\r\n'])).toEqual([found('fragmented', letters(4000))]);
    });
  });

  test('nothing was dropped or refused in all this', async () => {
    const { figures } = await balancer.stop();
    expect(faults(figures)).toEqual({});
  });
});
