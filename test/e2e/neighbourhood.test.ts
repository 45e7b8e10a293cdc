/**
 * Keysteer among its neighbours: it is the host of its own two addresses, and leaves to the kernel what is the kernel's,
 * also on an interface that both use.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ipBatch, runIn } from '../../src/experiment/namespaces.ts';
import { VIP } from '../../src/experiment/topology.ts';
import { arpReply, arpRequest, ethernetFrame, hex, icmpEcho, ipv4Frame, udpFrame } from '../support/frames.ts';
import type { Balancer } from './balancer.ts';
import { Bed } from './bed.ts';
import { requireBed } from './program.ts';
import { RawStation } from './raw-station.ts';
import { datagram, type UdpClient } from './udp-client.ts';

const OWN = '10.77.1.1';
/** Of the kernel in Keysteer's namespace, on the interface towards the clients. */
const KERNEL = '10.77.0.50';
const NOBODY = '10.77.0.77';
const MISS = 'END\r\n';

const hexes = (frames: readonly Uint8Array[]) => frames.map(hex);

/** Ethernet addresses of Keysteer: as configured, and whether that is the one of its interface. */
const MACS = [
  ['interface', 'interface', true],
  ['auto', 'auto', false],
  ['given', '02:4b:53:0a:0b:0c', false],
] as const;

describe.skipIf(requireBed()).each(MACS)('Keysteer and its neighbours, MAC: %s', (_name, mac, isInterfaces) => {
  let bed: Bed;
  let balancer: Balancer;
  let client: UdpClient;
  /** One on each side, with an address that no kernel has. */
  let near: RawStation;
  let far: RawStation;

  beforeAll(async () => {
    bed = await Bed.start({ layout: 'direct-veth' });
    const { clients, nodes } = bed.network;
    const { host, client: clientSide } = bed.network.balancer;
    ipBatch([`addr add ${KERNEL}/24 dev ${clientSide.name}`], host);
    balancer = await bed.startBalancer(['--client-mac', mac, '--server-mac', mac]);
    client = await bed.startClient();
    for (let n = 0; n < 20; n++) expect(await client.ask(`get key-${n}\r\n`)).toBe(MISS);
    near = await RawStation.start(bed.namespaces, {
      host: clients[0]!.host,
      interface: 'eth0',
      mac: clients[0]!.paths.balancer.mac,
      ip: '10.77.0.60',
      peer: { mac: macOf(VIP, clients[0]!.host), ip: VIP },
    });
    far = await RawStation.start(bed.namespaces, {
      host: nodes[0]!.host,
      interface: 'eth0',
      mac: nodes[0]!.macs.balancer,
      ip: '10.77.1.60',
      peer: { mac: macOf(OWN, nodes[0]!.host), ip: OWN },
    });
  });
  afterAll(() => bed?.close());

  /** By what a kernel has learnt. */
  function macOf(ip: string, host: string): string {
    return /lladdr (\S+)/.exec(runIn(host, ['ip', 'neigh', 'show', ip, 'dev', 'eth0']))![1]!;
  }

  const ask = ({ options: { mac, ip } }: RawStation, targetIp: string) =>
    arpRequest({ srcMac: mac, senderIp: ip, targetIp });
  const answer = ({ options: { mac, ip, peer } }: RawStation, senderIp: string, srcMac = peer.mac) =>
    arpReply({ srcMac, dstMac: mac, senderIp, targetIp: ip });
  const echo = ({ options: { mac, ip, peer } }: RawStation, dst: string, fields: object = {}) =>
    icmpEcho({ srcMac: mac, dstMac: peer.mac, src: ip, dst, identifier: 7, sequence: 1, ...fields });
  const echoed = ({ options: { mac, ip, peer } }: RawStation, src: string, fields: object = {}) =>
    icmpEcho({ type: 'reply', srcMac: peer.mac, dstMac: mac, src, dst: ip, identifier: 7, sequence: 1, ...fields });

  test('is at its own Ethernet address, or at its interface’s, as configured', () => {
    const { client: clientSide, server: serverSide } = bed.network.balancer;
    const [nearMac, farMac] = [near.options.peer.mac, far.options.peer.mac];
    expect([nearMac === clientSide.mac, farMac === serverSide.mac]).toEqual([isInterfaces, isInterfaces]);
    if (mac.includes(':')) expect([nearMac, farMac]).toEqual([mac, mac]);
    // Locally administered, and of one station (IEEE 802, 8.2).
    expect(Number.parseInt(nearMac.slice(0, 2), 16) & 3).toBe(2);
  });

  describe('answers', () => {
    test('ARP for the VIP towards the clients, and for nobody else there', async () => {
      const heard = await near.say([ask(near, NOBODY), ask(near, VIP), ask(near, OWN)]);
      expect(hexes(heard)).toEqual([hex(answer(near, VIP))]);
    });

    test('ARP for its server address towards the nodes, and for nobody else there', async () => {
      const heard = await far.say([ask(far, NOBODY), ask(far, OWN), ask(far, VIP)]);
      expect(hexes(heard)).toEqual([hex(answer(far, OWN))]);
    });

    test('ICMP echo at both, with any data', async () => {
      const payload = 'x'.repeat(1001);
      expect(hexes(await near.say([echo(near, VIP), echo(near, VIP, { payload })]))).toEqual(
        hexes([echoed(near, VIP), echoed(near, VIP, { payload })]),
      );
      expect(hexes(await far.say([echo(far, OWN), echo(far, OWN, { payload })]))).toEqual(
        hexes([echoed(far, OWN), echoed(far, OWN, { payload })]),
      );
    });

    test('no echo whose checksum is wrong', async () => {
      expect(await near.say([echo(near, VIP, { checksum: 'bad' })])).toEqual([]);
    });
  });

  describe('leaves alone', () => {
    test('what is for nobody: unknown addresses, other protocols, tagged frames', async () => {
      const { mac, ip, peer } = near.options;
      const link = { srcMac: mac, dstMac: peer.mac };
      const request = { sport: 4000, dport: 11211, payload: datagram(1, 'get key\r\n') };
      expect(
        await near.say([
          echo(near, NOBODY),
          echo(near, NOBODY, { dstMac: bed.network.balancer.client.mac }),
          udpFrame({ ...link, src: ip, dst: NOBODY, ...request }),
          udpFrame({ ...link, src: ip, dst: VIP, ...request, vlan: 5 }),
          ipv4Frame({ ...link, src: ip, dst: VIP, protocol: 132, payload: 'sctp' }),
          ethernetFrame({ ...link, etherType: 0x86dd, payload: new Uint8Array(60) }),
          ethernetFrame({ ...link, etherType: 0x88b5, payload: new Uint8Array(46) }),
        ]),
      ).toEqual([]);
    });

    test("the kernel's own address: its ARP, its echo, its TCP", async () => {
      const kernelMac = bed.network.balancer.client.mac;
      const heard = hexes(await near.say([ask(near, KERNEL)]));
      expect(heard).toEqual([hex(answer(near, KERNEL, kernelMac))]);
      const [reply, ...more] = await near.say([echo(near, KERNEL, { dstMac: kernelMac })]);
      expect(more).toEqual([]);
      // From the identifier on: the kernel has an IPv4 identification of its own.
      expect(hex(reply!.slice(38))).toBe(hex(echoed(near, KERNEL).slice(38)));
      expect(await tcpEcho()).toBe('over TCP\n');
    });

    test('and serves its clients meanwhile', async () => {
      for (let n = 0; n < 20; n++) expect(await client.ask(`get key-${n}\r\n`)).toBe(MISS);
    });
  });

  test('one request, one answer: no kernel says anything about it', async () => {
    const { mac, ip, peer } = near.options;
    const link = { srcMac: mac, dstMac: peer.mac, src: ip, dst: VIP, sport: 4000, dport: 11211 };
    const first = await near.say([udpFrame({ ...link, payload: datagram(1, 'get key\r\n') })]);
    await balancer.figuresWhen('its answer', ({ counters }) => counters.replies === 41);
    const second = await near.say([udpFrame({ ...link, payload: datagram(2, 'no such verb\r\n') })]);
    const said = [...first, ...second].map(frame => Buffer.from(frame.slice(50)).toString('latin1'));
    expect(said).toEqual([MISS, 'ERROR\r\n']);
  });

  test('every frame is accounted for', async () => {
    const { figures } = await balancer.stop();
    expect(figures.counters).toMatchObject({
      requests: 41,
      replies: 41,
      error_answers: 1,
      drop_icmp: 1,
      drop_protocol: 1,
      refused_verb: 1,
    });
    const { counters } = figures;
    const ended = Object.entries(counters).filter(([name]) =>
      /^(requests|replies|arp_answers|arp_learned|echo_answers|probe_answers|ping_answers|icmp_unreachable|foreign|drop_.*|refused_.*)$/.test(
        name,
      ),
    );
    const received = figures.ports.reduce((sum, port) => sum + port.counters.received_frames!, 0);
    expect(ended.reduce((sum, [, count]) => sum + count, 0)).toBe(received);
  });

  /** Says a line to a TCP service of the kernel in Keysteer's namespace, which says it back. */
  async function tcpEcho(): Promise<string> {
    const server = `require('net').createServer(s => s.pipe(s)).listen(8080, '${KERNEL}', () => console.log('up'))`;
    const group = bed.namespaces.spawn(bed.network.balancer.host, [process.execPath, '-e', server]);
    await group.untilOutput(/up/, 5000);
    const talk = 'exec 3<>"/dev/tcp/$0/8080"; echo over TCP >&3; head -1 <&3';
    return runIn(bed.network.clients[0]!.host, ['timeout', '5', 'bash', '-c', talk, KERNEL]);
  }
});
