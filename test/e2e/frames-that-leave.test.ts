/**
 * Every frame that leaves Keysteer, captured by libpcap where it arrives and decoded by somebody else's decoder: who it
 * is from and to, its lengths, its checksums, and what it carries.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runIn } from '../../src/experiment/namespaces.ts';
import { MEMCACHED_PORT, VIP } from '../../src/experiment/topology.ts';
import { binary, SET_EXTRAS } from '../memcached/rows.ts';
import { type Capture, type CapturedFrame, requireCapDecoder, startCapture } from '../support/cap-decoder.ts';
import { requireEthtool } from '../support/requirements.ts';
import { decodeReplyDatagram, decodeRequestDatagram, decodeStrict } from '../support/strict-decoder.ts';
import { assertFrameChecksums, slowPartialChecksum, slowUdpChecksum } from '../wire/slow-checksum.ts';
import type { Balancer } from './balancer.ts';
import { Bed } from './bed.ts';
import { requireBed } from './program.ts';
import { datagram, type UdpClient } from './udp-client.ts';

const OWN = '10.77.1.1';
const FIRST_SOURCE_PORT = 40_000;
const IP_OFFSET = 14;
const UDP_CHECKSUM_AT = IP_OFFSET + 20 + 6;
const LONG = 'z'.repeat(20_000);

/** What Keysteer forwards, in every protocol, with bodies of even and of odd length. */
const FORWARDED = [
  ...Array.from({ length: 40 }, (_, n) => `set key-${n} 0 0 ${n}\r\n${'v'.repeat(n)}\r\n`),
  ...Array.from({ length: 40 }, (_, n) => `get key-${n}\r\n`),
  `set big 0 0 1400\r\n${'b'.repeat(1400)}\r\n`,
  'get big\r\n',
  'get long\r\n',
  'mg key-7 v k f Otoken\r\n',
  'ms meta 3\r\nabc\r\n',
  binary({ op: 0x01, key: 'bin', extras: SET_EXTRAS, value: 'abc' }),
  binary({ op: 0x0c, key: 'bin' }),
  'incr key-1 1\r\n',
  'delete key-2\r\n',
];
const REFUSED = ['frob key\r\n', 'set key 0 0 9\r\nabc\r\n', 'quit\r\n'];

describe.skipIf(requireBed() ?? requireCapDecoder() ?? requireEthtool())('frames that leave Keysteer', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;
  /** All frames that arrive at the client and at the nodes: there is nobody but Keysteer to send any. */
  let nearCapture: Capture;
  let farCapture: Capture;

  const clientSide = () => ({ host: bed.network.clients[0]!.host, path: bed.network.clients[0]!.paths.balancer });
  const nodeHost = () => bed.network.nodes[0]!.host;

  beforeAll(async () => {
    bed = await Bed.start({ layout: 'direct-veth' });
    client = await bed.startClient();
    for (const to of bed.network.nodes) await client.ask(`set long 0 0 ${LONG.length}\r\n${LONG}\r\n`, { to });
  });

  beforeEach(async () => {
    [nearCapture, farCapture] = await Promise.all([
      startCapture({
        interfaceName: 'eth0',
        namespace: clientSide().host,
        filter: `not ether src ${clientSide().path.mac}`,
      }),
      startCapture({
        interfaceName: 'eth0',
        namespace: nodeHost(),
        filter: `not ether src ${bed.network.nodes[0]!.macs.balancer}`,
      }),
    ]);
    for (const host of [clientSide().host, nodeHost()]) runIn(host, ['ip', 'neigh', 'flush', 'dev', 'eth0']);
    // Frame by frame: a capture sees a super-frame as one.
    balancer = await bed.startBalancer(['--segmentation-offload', 'off']);
  });

  afterEach(async () => {
    await Promise.all([nearCapture.stop(), farCapture.stop()]);
  });

  afterAll(() => bed?.close());

  /** All of `FORWARDED` and `REFUSED`, then the end of Keysteer; the answers, and what it sent. */
  async function run() {
    const bodies = [...FORWARDED, ...REFUSED];
    const requests = bodies.map((body, n) => datagram(0x4000 + n, body));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: 4 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    const { figures } = await balancer.stop();
    const [near, far] = figures.ports.map(port => port.counters.transmitted_frames!);
    return {
      replies: replies.flat(),
      near: await nearCapture.until(near!),
      far: await farCapture.until(far!),
      figures,
    };
  }

  function expectRequest({ ethernet, ipv4, udp, payload }: CapturedFrame): void {
    const node = bed.network.nodes.find(({ address }) => address === ipv4!.dstaddr)!;
    expect(ethernet.dstmac).toBe(node.macs.balancer);
    expect(ipv4).toMatchObject({ srcaddr: OWN, ttl: 63, totallen: 20 + 8 + payload!.length });
    expect(udp).toMatchObject({ dstport: MEMCACHED_PORT, length: payload!.length });
    expect(udp!.srcport - FIRST_SOURCE_PORT).toBeGreaterThanOrEqual(0);
    expect(udp!.srcport - FIRST_SOURCE_PORT).toBeLessThan(4);
  }

  function expectAnswer({ ethernet, ipv4, udp, payload }: CapturedFrame): void {
    const { mac, address } = clientSide().path;
    expect(ethernet.dstmac).toBe(mac);
    expect(ipv4).toMatchObject({ srcaddr: VIP, dstaddr: address, totallen: 20 + 8 + payload!.length });
    expect([63, 64]).toContain(ipv4!.ttl); // a node's answer one hop on, or Keysteer's own
    expect(udp).toMatchObject({ srcport: MEMCACHED_PORT, length: payload!.length });
  }

  function expectProbe({ ethernet, ipv4, udp, payload }: CapturedFrame): void {
    const node = bed.network.nodes.find(({ address }) => address === ipv4!.dstaddr)!;
    expect(ethernet.dstmac).toBe(node.macs.balancer);
    expect(ipv4).toMatchObject({ srcaddr: OWN, ttl: 64, totallen: 20 + 8 + payload!.length });
    expect(udp).toMatchObject({ dstport: MEMCACHED_PORT, length: payload!.length });
    expect(Buffer.from(decodeRequestDatagram(payload!).body).toString('latin1')).toBe('version\r\n');
  }

  /** What both runs share: who, where to, and what is carried; nothing is left over. */
  function expectContents({ replies, near, far, figures }: Awaited<ReturnType<typeof run>>): void {
    const probes = far.filter(isProbe);
    for (const frame of probes) expectProbe(frame);
    const requests = far.filter(frame => frame.udp && !isProbe(frame));
    const answers = near.filter(({ udp }) => udp);
    for (const frame of requests) expectRequest(frame);
    for (const frame of answers) expectAnswer(frame);
    const places = requests.map(({ udp, payload }) => `${udp!.srcport}/${decodeRequestDatagram(payload!).id}`);
    expect(new Set(places).size).toBe(FORWARDED.length);
    const carried = requests.map(({ payload }) => Buffer.from(decodeRequestDatagram(payload!).body).toString('latin1'));
    expect(carried.sort()).toEqual([...FORWARDED].sort());
    for (const { payload } of answers) decodeReplyDatagram(payload!);
    const hexOf = (payload: Uint8Array) => Buffer.from(payload).toString('hex');
    expect(answers.map(({ payload }) => hexOf(payload!)).sort()).toEqual(replies.map(hexOf).sort());
    for (const [frames, host, ip] of [
      [near, clientSide().host, VIP],
      [far, nodeHost(), OWN],
    ] as const) {
      const learnt = runIn(host, ['ip', 'neigh', 'show', ip, 'dev', 'eth0']);
      for (const { ethernet } of frames) expect(learnt).toContain(`lladdr ${ethernet.srcmac} `);
    }
    // A node that is slow with its first answer on a busy machine is asked by ICMP, too.
    const others = [...near, ...far].filter(({ udp, ipv4 }) => !udp && !(ipv4 && figures.counters.pings_sent! > 0));
    expect(others.every(({ arp }) => arp !== undefined)).toBe(true);
    expect(others).toHaveLength(figures.counters.arp_requests! + figures.counters.arp_answers!);
    expect(figures.counters.arp_requests).toBeGreaterThanOrEqual(bed.network.nodes.length);
    expect(figures.counters.arp_answers).toBeGreaterThanOrEqual(1);
  }

  test('whole checksums in, whole checksums out', async () => {
    setOffload('off');
    const seen = await run();
    expectContents(seen);
    for (const { frame } of [...seen.near, ...seen.far]) {
      decodeStrict(frame);
      assertFrameChecksums(frame);
    }
    for (const { frame, udp } of [...seen.near, ...seen.far]) if (udp) expect(udpChecksumOf(frame)).toBe('whole');
  });

  test("partial checksums stay partial, and the receiving kernel takes them; Keysteer's own are whole", async () => {
    setOffload('on');
    const errorsBefore = checksumErrors();
    const seen = await run();
    expectContents(seen);
    const kinds = [...seen.near, ...seen.far].filter(({ udp }) => udp).map(({ frame }) => udpChecksumOf(frame));
    expect(kinds.filter(kind => kind === 'wrong')).toEqual([]);
    // Otherwise this kernel had no partial checksums to give, and nothing was shown.
    expect(kinds).toContain('partial');
    const refusals = seen.near.filter(({ ipv4, udp }) => udp && ipv4!.ttl === 64);
    expect(refusals.map(({ frame }) => udpChecksumOf(frame))).toEqual(REFUSED.map(() => 'whole'));
    expect(checksumErrors()).toBe(errorsBefore);
  });

  /** Whether the kernels of client and nodes leave their checksums to a network card that is not there. */
  function setOffload(state: 'on' | 'off'): void {
    for (const host of [clientSide().host, nodeHost()]) runIn(host, ['ethtool', '-K', 'eth0', 'tx', state]);
  }

  /** Datagrams that the kernels of client and nodes have thrown away for their checksum. */
  function checksumErrors(): number {
    const lines = [clientSide().host, nodeHost()].flatMap(host =>
      runIn(host, ['cat', '/proc/net/snmp'])
        .split('\n')
        .filter(line => line.startsWith('Udp:')),
    );
    const column = lines[0]!.split(' ').indexOf('InCsumErrors');
    return lines
      .filter((_, n) => n % 2 === 1)
      .map(line => Number(line.split(' ')[column]))
      .reduce((sum, errors) => sum + errors, 0);
  }
});

/** Whether it comes from the port that nodes are probed from. */
function isProbe({ udp }: CapturedFrame): boolean {
  return udp?.srcport === FIRST_SOURCE_PORT - 1;
}

function udpChecksumOf(frame: Uint8Array): 'whole' | 'partial' | 'wrong' {
  const field = frame[UDP_CHECKSUM_AT]! * 256 + frame[UDP_CHECKSUM_AT + 1]!;
  if (field === slowUdpChecksum(frame, IP_OFFSET)) return 'whole';
  return field === slowPartialChecksum(frame, IP_OFFSET) ? 'partial' : 'wrong';
}
