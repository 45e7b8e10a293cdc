/**
 * Nodes that die, come back, or were never there; the others go on as if nothing were. What health makes of them under
 * load is the subject of health.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configFromFlags } from '../../src/control/config/load.ts';
import { explainKey } from '../../src/control/explain.ts';
import { MemcachedNode } from '../../src/experiment/memcached-node.ts';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import { BALANCER_SERVER_ADDRESS, MEMCACHED_PORT, VIP } from '../../src/experiment/topology.ts';
import { type Balancer, type ListedNode, nodeFlags } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const KEYS = Array.from({ length: 120 }, (_, n) => `key-${n}`);
/** What is not answered by then has been lost: an answer takes well under a millisecond. */
const PATIENCE_MS = 500;
const MISS = 'END\r\n';
const found = (key: string) => `VALUE ${key} 0 1\r\nx\r\nEND\r\n`;

describe.skipIf(requireBed())('failures', () => {
  let bed: Bed;
  let client: UdpClient;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3 });
    client = await bed.startClient();
  });
  afterAll(() => bed?.close());

  /** All keys at once: the answer to each, undefined where none came. */
  async function askForAll(command: (key: string) => string): Promise<(string | undefined)[]> {
    const requests = KEYS.map((key, n) => datagram(n, command(key)));
    const options = { window: KEYS.length, timeoutMs: PATIENCE_MS };
    const { replies, timedOut, strays } = await client.exchange(requests, options);
    expect(strays).toEqual([]);
    return replies.map((reply, n) => (timedOut.includes(n) ? undefined : bodyOf(reply)));
  }

  const getAll = () => askForAll(key => `get ${key}\r\n`);
  const setAll = () => askForAll(key => `set ${key} 0 0 1\r\nx\r\n`);

  /** A configuration of the bed's own nodes with more lines to it. */
  function configWith(name: string, nodes: readonly ListedNode[], lines: string): string {
    const list = nodes.map(({ name, address }) => `  - { name: ${name}, address: '${address}' }`).join('\n');
    const ports = `ports:\n  client: { interface: cl0 }\n  server: { interface: sv0, address: ${BALANCER_SERVER_ADDRESS} }`;
    return bed.writeConfig(name, `vip: ${VIP}\n${ports}\nnodes:\n${list}\n${lines}\n`);
  }

  describe('a node killed, and nobody watches', () => {
    let balancer: Balancer;
    let homes: string[];

    beforeAll(async () => {
      const config = configWith(
        'unwatched.yaml',
        bed.network.nodes,
        'health: { enabled: false }\nhot: { enabled: false }',
      );
      balancer = await bed.startBalancerWith(['--config', config]);
      homes = homesOf(bed.network.nodes);
      await setAll();
    });

    test('its keys are not answered, all others are', async () => {
      await bed.nodes[1]!.stop();
      expect(await getAll()).toEqual(KEYS.map((key, n) => (homes[n] === 'mc2' ? undefined : found(key))));
    });

    test('started again, it is asked again', async () => {
      await bed.restartNode(1);
      expect(await getAll()).toEqual(KEYS.map((key, n) => (homes[n] === 'mc2' ? MISS : found(key))));
    });

    test("the figures name it; only its kernel's ICMP came beside", async () => {
      const { figures } = await balancer.stop();
      const unanswered = figures.nodes.map(({ name, requests, replies }) => [name, requests - replies]);
      const lost = homes.filter(home => home === 'mc2').length;
      expect(lost).toBeGreaterThan(10);
      expect(unanswered).toEqual([
        ['mc1', 0],
        ['mc2', lost],
        ['mc3', 0],
      ]);
      expect(figures.counters.icmp_unreachable).toBeGreaterThan(0);
      expect(figures.counters.probes_sent).toBe(0);
      expect(faults(figures)).toEqual({});
    });
  });

  describe('a node killed', () => {
    let balancer: Balancer;
    let homes: string[];

    beforeAll(async () => {
      // A hot key outlives its node in the cache.
      balancer = await bed.startBalancer(['--hot', 'off']);
      homes = homesOf(bed.network.nodes);
      await setAll();
    });

    test('what waits for it ends as misses, what is written from then on goes to its successors', async () => {
      await bed.nodes[1]!.stop();
      expect(await getAll()).toEqual(KEYS.map((key, n) => (homes[n] === 'mc2' ? MISS : found(key))));
      await balancer.figuresWhen('mc2 out', ({ nodes: [, mc2] }) => mc2!.health === 'out');
      expect(await setAll()).toEqual(KEYS.map(() => 'STORED\r\n'));
      expect(await getAll()).toEqual(KEYS.map(found));
    });

    test('started again, it is flushed and asked again', async () => {
      await bed.restartNode(1);
      await balancer.figuresWhen('mc2 back', ({ nodes: [, mc2] }) => mc2!.health === 'healthy');
      expect((await bed.nodes[1]!.stats()).cmd_flush).toBeGreaterThanOrEqual(1);
      expect(await getAll()).toEqual(KEYS.map((key, n) => (homes[n] === 'mc2' ? MISS : found(key))));
    });

    test('nothing was dropped, nothing refused', async () => {
      const { figures } = await balancer.stop();
      const lost = homes.filter(home => home === 'mc2').length;
      expect(figures.counters.misses_answered).toBe(lost);
      expect(faults(figures)).toEqual({});
    });
  });

  test('an interface that goes down and comes up again: all nodes stay, what is asked meanwhile is missed', async () => {
    const balancer = await bed.startBalancer();
    await setAll();
    const { host, server } = bed.network.balancer;
    ipBatch([`link set ${server.name} down`], host);
    expect(await getAll()).toEqual(KEYS.map(() => MISS));
    const { nodes } = await balancer.figuresWhen('all kept', ({ nodes }) =>
      nodes.every(node => node.health === 'kept'),
    );
    expect(nodes.map(({ reason }) => reason)).toEqual(nodes.map(() => 'host down: no ICMP echo, no probe answer'));
    ipBatch([`link set ${server.name} up`], host);
    await balancer.figuresWhen('all well', ({ nodes }) => nodes.every(node => node.health === 'healthy'));
    expect(await getAll()).toEqual(KEYS.map(found));
    const { figures } = await balancer.stop();
    expect(figures.counters.flushes_sent).toBe(0);
    expect(figures.ports[1]!.counters.transmit_refused).toBeGreaterThanOrEqual(KEYS.length);
    expect(faults(figures)).toEqual({});
  });

  describe('a node that no ARP request finds, and nobody watches', () => {
    const GHOST = { name: 'ghost', address: '10.77.1.77', port: MEMCACHED_PORT };
    let balancer: Balancer;
    let homes: string[];
    let lost: number;

    beforeAll(async () => {
      const nodes = [...bed.network.nodes.slice(0, 2), GHOST];
      const lines = 'neighbours: { retry_ms: 20, retries: 3 }\nhealth: { enabled: false }';
      const config = configWith('ghost.yaml', nodes, lines);
      homes = homesOf(nodes);
      lost = homes.filter(home => home === 'ghost').length;
      balancer = await bed.startBalancerWith(['--config', config]);
      await balancer.figuresWhen('the ghost given up', ({ nodes: [, , ghost] }) => ghost!.neighbour === 'failed');
    });

    test('its requests are dropped and counted, all others are answered', async () => {
      // 3 requests 20 ms apart go by before the ghost's are given up: far less than PATIENCE_MS.
      expect(await setAll()).toEqual(homes.map(home => (home === 'ghost' ? undefined : 'STORED\r\n')));
      expect(await getAll()).toEqual(KEYS.map((key, n) => (homes[n] === 'ghost' ? undefined : found(key))));
      const figures = await balancer.figuresWhen(
        'all drops',
        ({ counters }) => counters.drop_neighbour_unreachable! >= 2 * lost,
      );
      expect(faults(figures)).toEqual({ drop_neighbour_unreachable: 2 * lost });
      expect(figures.nodes.map(({ name, neighbour }) => `${name} ${neighbour}`)).toEqual([
        'mc1 reachable',
        'mc2 reachable',
        'ghost failed',
      ]);
    });

    test('once it is there, the next request for it is asked after, and all that follow are answered', async () => {
      const { host } = bed.network.nodes[2]!;
      ipBatch([`addr add ${GHOST.address}/24 dev eth0`], host);
      await MemcachedNode.start(bed.network.namespaces, { ...GHOST, host });
      const probe = KEYS[homes.indexOf('ghost')]!;
      await client.exchange([datagram(0, `get ${probe}\r\n`)], { unawaited: [0] });
      await balancer.figuresWhen('the ghost found', ({ nodes: [, , ghost] }) => ghost!.neighbour === 'reachable');
      expect(await getAll()).toEqual(KEYS.map((key, n) => (homes[n] === 'ghost' ? MISS : found(key))));
      const { figures } = await balancer.stop();
      // What is asked for while the node counts as unreachable is not kept waiting: it has been tried three times.
      expect(faults(figures)).toEqual({ drop_neighbour_unreachable: 2 * lost + 1 });
    });
  });
});

/** Name of each key's node, by the code that steers frames. */
function homesOf(nodes: readonly ListedNode[]): string[] {
  const own = { vip: VIP, client: 'cl0', server: 'sv0', serverAddress: BALANCER_SERVER_ADDRESS };
  const config = configFromFlags({ ...own, node: nodeFlags(nodes).filter(flag => flag !== '--node') });
  return KEYS.map(key => explainKey(config, key).node!.name);
}
