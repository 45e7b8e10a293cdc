/** `transport: pcap`: the same lane, its frames through libpcap. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runIn } from '../../src/experiment/namespaces.ts';
import { VIP } from '../../src/experiment/topology.ts';
import { requirePcap } from '../support/requirements.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { keysteer } from './command.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const LONG = 'z'.repeat(5000);
const REQUESTS = Array.from({ length: 50 }, (_, n) => [
  `set key-${n} 0 0 ${n}\r\n${'v'.repeat(n)}\r\n`,
  `get key-${n}\r\n`,
]).flat();
const ANSWERS = REQUESTS.map((request, n) => {
  const length = n >> 1;
  return request.startsWith('set')
    ? 'STORED\r\n'
    : `VALUE key-${length} 0 ${length}\r\n${'v'.repeat(length)}\r\nEND\r\n`;
});

describe.skipIf(requireBed() ?? requirePcap())('transport pcap', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer | undefined;

  beforeAll(async () => {
    bed = await Bed.start({ layout: 'switched', nodes: 2 });
    client = await bed.startClient();
    for (const to of bed.network.nodes) await client.ask(`set long 0 0 ${LONG.length}\r\n${LONG}\r\n`, { to });
  });
  afterEach(async () => {
    await balancer?.stop();
    balancer = undefined;
    // One-arm has Keysteer's addresses on another port than two-armed: nobody shall remember.
    const hosts = [...bed.network.clients, ...bed.network.nodes].map(({ host }) => host);
    for (const host of new Set(hosts)) runIn(host, ['ip', 'neigh', 'flush', 'all']);
  });
  afterAll(() => bed?.close());

  function config(client: string, server: string | undefined, more = ''): string {
    const nodes = bed.network.nodes.map(
      ({ name, address, port }) => `  - { name: ${name}, address: "${address}:${port}" }`,
    );
    const lines = [
      `vip: ${VIP}:11211`,
      'ports:',
      `  client: { ${client} }`,
      ...(server ? [`  server: { ${server} }`] : []),
    ];
    return bed.writeConfig('pcap.yaml', [...lines, 'nodes:', ...nodes, more].join('\n'));
  }

  const twoArmed = (clientTransport = 'pcap') => {
    const { client, server } = bed.network.balancer;
    return config(
      `interface: ${client.name}, transport: ${clientTransport}`,
      `interface: ${server.name}, transport: pcap, address: 10.77.1.1/24`,
    );
  };

  async function exchange(): Promise<string[]> {
    const requests = REQUESTS.map((body, n) => datagram(n, body));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: 8 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    return replies.map(bodyOf);
  }

  test.each(['pcap', 'af_packet'])('in front of real memcached, clients behind %s', async transport => {
    balancer = await bed.startBalancerWith(['--config', twoArmed(transport)]);
    const answers = await exchange();
    expect([...answers].sort()).toEqual([...ANSWERS].sort());
    expect(await client.ask('get long\r\n')).toContain(LONG);
    expect(await client.ask('frob\r\n')).toMatch(/ERROR/);
    const { figures, code } = await balancer.stop();
    balancer = undefined;
    expect(code).toBe(0);
    expect(faults(figures)).toEqual({ refused_verb: 1 });
    expect(figures.counters).toMatchObject({ requests: REQUESTS.length + 1, replies: REQUESTS.length + 4 });
    const { received_frames, transmitted_frames, transmit_refused, ring_dropped } = figures.ports[1]!.counters;
    expect(received_frames).toBeGreaterThanOrEqual(REQUESTS.length + 4);
    // Requests, and what Keysteer says to the nodes itself; ARP answers may be to either side.
    const { arp_requests, probes_sent, pings_sent, flushes_sent, arp_answers } = figures.counters;
    const own = arp_requests! + probes_sent! + pings_sent! + flushes_sent!;
    expect(transmitted_frames).toBeGreaterThanOrEqual(REQUESTS.length + 1 + own);
    expect(transmitted_frames).toBeLessThanOrEqual(REQUESTS.length + 1 + own + arp_answers!);
    expect({ transmit_refused, ring_dropped }).toEqual({ transmit_refused: 0, ring_dropped: 0 });
  });

  test('one-arm', async () => {
    const { client: port } = bed.network.balancer;
    const path = config(`interface: ${port.name}, transport: pcap, address: 10.77.1.1/24`, undefined);
    balancer = await bed.startBalancerWith(['--config', path]);
    expect([...(await exchange())].sort()).toEqual([...ANSWERS].sort());
  });

  test('a libpcap process that is killed is started again', async () => {
    balancer = await bed.startBalancerWith(['--config', twoArmed()]);
    expect(await client.ask('set k 0 0 1\r\nv\r\n')).toBe('STORED\r\n');
    const children = childrenOf(balancer.group.pid);
    expect(children).toHaveLength(4);
    for (const pid of children) process.kill(pid, 'SIGKILL');
    const isAnswered = async () =>
      (await client.ask('get k\r\n', { timeoutMs: 200 })) === 'VALUE k 0 1\r\nv\r\nEND\r\n';
    const endMs = performance.now() + 15_000;
    let answered = false;
    while (!answered && performance.now() < endMs) answered = await isAnswered();
    expect(answered).toBe(true);
    expect(childrenOf(balancer.group.pid)).toHaveLength(4);
    const pids = childrenOf(balancer.group.pid);
    await balancer.stop();
    balancer = undefined;
    expect(pids.filter(isRunning)).toEqual([]);
  });

  test('an interface that is not there, and more lanes than one', async () => {
    const { balancer: host } = bed.network;
    const missing = config('interface: nope, transport: pcap', `interface: ${host.server.name}, address: 10.77.1.1/24`);
    const none = await keysteer(['run', '--config', missing], { namespace: host.host });
    expect(none.stderr).toMatch(/interface nope: .*does not exist.*`ip link` lists them/);
    const half = config(`interface: ${host.client.name}, transport: pcap`, 'interface: nope, address: 10.77.1.1/24');
    const second = await keysteer(['run', '--config', half], { namespace: host.host });
    expect(second.stderr).toMatch(/interface nope/);
    const lanes = await keysteer(['run', '--config', twoArmed(), '--lanes', '2'], { namespace: host.host });
    expect(lanes.stderr).toMatch(
      /ports\.client\.transport is "pcap"; it must be af_packet when there is more than one/,
    );
    expect([none.code, second.code, lanes.code]).toEqual([1, 1, 1]);
  });
});

/** Below `pid`, at any depth: the libpcap processes, which have groups of their own. */
function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const direct = children === '' ? [] : children.split(' ').map(Number);
  return direct.flatMap(child => [...(isLibpcap(child) ? [child] : []), ...childrenOf(child)]);
}

function isLibpcap(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('cap-process.js');
}

function isRunning(pid: number): boolean {
  try {
    return isLibpcap(pid);
  } catch {
    return false;
  }
}
