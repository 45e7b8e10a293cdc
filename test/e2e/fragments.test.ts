/** IP fragments between real kernels: large stores, narrow links, routers, and what is never made whole. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { addVethPairs, ipBatch, runIn, setSysctls } from '../../src/experiment/namespaces.ts';
import { MEMCACHED_PORT, VIP } from '../../src/experiment/topology.ts';
import { ipv4Frame, udpFragments } from '../support/frames.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { RawStation } from './raw-station.ts';
import { bodyOf, datagram, UdpClient } from './udp-client.ts';

const range = (count: number) => Array.from({ length: count }, (_, n) => n);
/** Bytes that tell their place, none of them a line's end. */
const value = (bytes: number, seed = 0) =>
  String.fromCharCode(...range(bytes).map(n => 33 + ((n * 7 + (n >> 6) + seed) % 90)));
const store = (key: string, bytes: number, seed?: number) => `set ${key} 0 0 ${bytes}\r\n${value(bytes, seed)}\r\n`;
const found = (key: string, bytes: number, seed?: number) =>
  `VALUE ${key} 0 ${bytes}\r\n${value(bytes, seed)}\r\nEND\r\n`;
const sum = (counters: Readonly<Record<string, number>>, names: RegExp) =>
  Object.entries(counters).reduce((total, [name, count]) => (names.test(name) ? total + count : total), 0);

describe.skipIf(requireBed())('IP fragments', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer | undefined;

  beforeAll(async () => {
    bed = await Bed.start();
    client = await bed.startClient();
  });
  afterEach(async () => {
    await balancer?.stop();
    balancer = undefined;
    setMtu(1500);
  });
  afterAll(() => bed?.close());

  async function start(...flags: string[]): Promise<Balancer> {
    balancer = await bed.startBalancer(flags);
    return balancer;
  }

  async function stop() {
    const { figures } = await balancer!.stop();
    balancer = undefined;
    return figures;
  }

  /** Both ends of a link of the balancer, or of a node. */
  function setMtu(mtu: number, link: 'client' | 'nodes' | 'all' = 'all'): void {
    const { balancer, nodes } = bed.network;
    if (link !== 'nodes') ipBatch([`link set ${balancer.client.name} mtu ${mtu}`], balancer.host);
    if (link !== 'client') for (const { host } of nodes) ipBatch([`link set eth0 mtu ${mtu}`], host);
  }

  test('values of 1,400 to 65,400 bytes are stored and come back intact', async () => {
    await start();
    const sizes = [1400, 1460, 1472, 4096, 20_000, 65_000, 65_400];
    for (const size of sizes) {
      expect(await client.ask(store(`big-${size}`, size))).toBe('STORED\r\n');
      expect(await client.ask(`get big-${size}\r\n`)).toBe(found(`big-${size}`, size));
    }
    const figures = await stop();
    expect(faults(figures)).toEqual({});
    const { counters } = figures;
    expect(counters).toMatchObject({ writes: sizes.length, datagrams_reassembled: 6, datagrams_fragmented: 6 });
    expect(counters.fragments_received).toBe(counters.fragments_sent);
  });

  test('many at a time, over two lanes', async () => {
    await start('--lanes', '2');
    const count = 300;
    const writes = range(count).map(n => datagram(n >> 4, store(`k-${n}`, 4096, n)));
    const reads = range(count).map(n => datagram(n >> 4, `get k-${n}\r\n`));
    const spread = { window: 12, sockets: 16 };
    const written = await client.exchange(writes, spread);
    expect(written.timedOut).toEqual([]);
    const read = await client.exchange(reads, spread);
    expect(read.replies.map(bodyOf)).toEqual(range(count).map(n => found(`k-${n}`, 4096, n)));
    const figures = await stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters.datagrams_reassembled).toBe(count);
    for (const { requests } of figures.lanes) expect(requests).toBeGreaterThan(count / 5);
  });

  test('out of order, repeated, and with others between', async () => {
    const started = await start();
    const { station, link } = await rawStation();
    const cut = (key: string, n: number) => {
      const payload = datagram(n, store(key, 4096));
      return udpFragments({ ...link, sport: 4000 + n, dport: MEMCACHED_PORT, identification: n, payload }, 1480);
    };
    const [a, b] = [cut('mixed-a', 1), cut('mixed-b', 2)];
    await station.say([b[2]!, a[1]!, a[1]!, b[0]!, a[2]!, b[1]!, a[0]!]);
    await started.figuresWhen('both stored', ({ counters }) => counters.writes === 2);
    expect(await client.ask('get mixed-a\r\n')).toBe(found('mixed-a', 4096));
    expect(await client.ask('get mixed-b\r\n')).toBe(found('mixed-b', 4096));
    expect(faults(await stop())).toEqual({ drop_fragment_duplicate: 1 });
  });

  test('a flood of beginnings without an end costs no honest store, and is forgotten', async () => {
    const started = await start();
    const { station, link } = await rawStation();
    const forged = (n: number) => {
      const src = `10.${100 + (n >> 8)}.${n & 255}.1`;
      const piece = { identification: n, dontFragment: false, moreFragments: true, payload: 'x'.repeat(1480) };
      return ipv4Frame({ ...link, ...piece, src, protocol: 17 });
    };
    const rounds = 20;
    const flood = async () => {
      for (const round of range(rounds)) await station.say(range(50).map(n => forged(round * 50 + n)));
    };
    const stores = range(200).map(n => datagram(n, store(`flooded-${n}`, 4096, n)));
    const [{ replies, timedOut }] = await Promise.all([client.exchange(stores, { window: 4 }), flood()]);
    expect(timedOut).toEqual([]);
    expect(new Set(replies.map(bodyOf))).toEqual(new Set(['STORED\r\n']));
    const forgotten = /^drop_fragment_(timeout|table_full)$/;
    await started.figuresWhen('all of it forgotten', ({ counters }) => sum(counters, forgotten) === rounds * 50);
    const { counters } = await stop();
    expect(sum(counters, /^drop_|^refused_/)).toBe(rounds * 50);
    expect(counters.drop_fragment_table_full).toBeGreaterThan(0);
  });

  test('replies larger than the client’s link leave in fragments', async () => {
    setMtu(600, 'client');
    await start();
    expect(await client.ask(store('narrow', 500))).toBe('STORED\r\n');
    expect(await client.ask('get narrow\r\n')).toBe(found('narrow', 500));
    for (const size of [1000, 9000]) {
      // Stored without Keysteer: the client's own link is wide, and what it sends whole does not fit ours.
      for (const { address } of bed.network.nodes) {
        const to = { address, port: MEMCACHED_PORT };
        expect(await client.ask(store(`wide-${size}`, size), { to })).toBe('STORED\r\n');
      }
      expect(await client.ask(`get wide-${size}\r\n`)).toBe(found(`wide-${size}`, size));
    }
    const figures = await stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters.datagrams_fragmented).toBeGreaterThan(6);
  });

  test.each([1, 2])('replies that the nodes send in fragments become whole, with %i lanes', async lanes => {
    const keys = range(40).map(n => `pieces-${n}`);
    const spread = { window: 8, sockets: 8, timeoutMs: 1000 };
    for (const { address } of bed.network.nodes) {
      const to = { address, port: MEMCACHED_PORT };
      const direct = keys.map((key, n) => datagram(n, store(key, 5000, n)));
      expect((await client.exchange(direct, { to, window: 2 })).timedOut).toEqual([]);
    }
    setMtu(1000, 'nodes');
    await start('--lanes', `${lanes}`);
    const reads = keys.map((key, n) => datagram(n, `get ${key}\r\n`));
    const { replies, timedOut } = await client.exchange(reads, spread);
    expect(timedOut).toEqual([]);
    expect(replies.map(bodyOf)).toEqual(keys.map((key, n) => found(key, 5000, n)));
    const figures = await stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters.datagrams_reassembled).toBe(40 * 3);
    expect(figures.counters.handed_over! > 0).toBe(lanes > 1);
    expect(figures.counters.taken_over).toBe(figures.counters.handed_over);
  });

  test('a router that cannot pass a reply on says so, and the next one reaches the client behind it', async () => {
    const started = await start();
    const [router, far] = [bed.network.clients[0]!.host, bed.namespaces.create(['far'])[0]!];
    addVethPairs([
      [
        { namespace: router, name: 'far0' },
        { namespace: far, name: 'eth0' },
      ],
    ]);
    setSysctls(router, ['ipv4/ip_forward=1', 'ipv4/conf/all/rp_filter=0']);
    ipBatch(['addr add 10.99.0.1/24 dev far0', 'link set far0 mtu 600 up'], router);
    ipBatch(['addr add 10.99.0.2/24 dev eth0', 'link set eth0 mtu 600 up', 'route add default via 10.99.0.1'], far);
    const distant = await UdpClient.start(bed.namespaces, far);
    expect(await client.ask(store('far', 1200))).toBe('STORED\r\n');

    expect(await distant.ask('get far\r\n', { timeoutMs: 300 })).toBeUndefined();
    await started.figuresWhen('the router heard', ({ counters }) => counters.path_mtu_learned === 1);
    expect(await distant.ask('get far\r\n')).toBe(found('far', 1200));
    expect(await distant.ask(store('far-set', 5000))).toBe('STORED\r\n');
    expect(await distant.ask('get far-set\r\n')).toBe(found('far-set', 5000));
    expect(await client.ask('get far\r\n')).toBe(found('far', 1200));
    const figures = await stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters.datagrams_reassembled).toBe(1);
    await distant.stop();
  });

  /** Says whole frames on the client's interface, under an address that its kernel does not own. */
  async function rawStation() {
    await client.ask('get nothing\r\n');
    const { host } = bed.network.clients[0]!;
    const mac = /lladdr (\S+)/.exec(runIn(host, ['ip', 'neigh', 'show', VIP]))![1]!;
    const us = { mac: '02:4b:53:00:99:01', ip: '10.77.0.50' };
    const options = { host, interface: 'eth0', ...us, peer: { mac, ip: VIP } };
    const station = await RawStation.start(bed.namespaces, options);
    return { station, link: { srcMac: us.mac, dstMac: mac, src: us.ip, dst: VIP } };
  }
});
