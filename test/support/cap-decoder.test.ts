/** What a lane sends, looked at by libpcap and the decoders of the package `cap`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Capture, requireCapDecoder, startCapture } from './cap-decoder.ts';
import { arpRequest, icmpEcho, udpFrame } from './frames.ts';
import {
  ALICE,
  CLIENT_ID,
  datagram,
  FIRST_PORT,
  LaneBed,
  MC1,
  MEMCACHED_PORT,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  type Outcome,
  OWN,
  reply,
  request,
  VIP,
} from './lane-bed.ts';
import { NOBODY_MAC, type TestPort, VethBed } from './lane-bed-veth.ts';
import { requireNamespaces, requireShim } from './requirements.ts';

const ETHERTYPE_ARP = 0x0806;
const PROTOCOL_ICMP = 1;
const PROTOCOL_UDP = 17;

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));

describe.skipIf(requireNamespaces() ?? requireShim() ?? requireCapDecoder())('libpcap and cap', () => {
  let bed: VethBed;
  let port: TestPort;
  let capture: Capture;
  let seen = 0;

  beforeAll(async () => {
    bed = new VethBed('ab');
    port = bed.open('a');
    capture = await startCapture({ interfaceName: 'b', namespace: bed.namespace });
  });

  afterAll(async () => {
    await capture.stop();
    await bed.remove();
  });

  /** Puts what a lane sent on a real wire; the last frame that is captured there. */
  async function onTheWire(outcome: Outcome | Uint8Array) {
    const frames = outcome instanceof Uint8Array ? [outcome] : outcome.sent.map(({ frame }) => frame);
    port.say(frames);
    seen += frames.length;
    const captured = await capture.until(seen);
    expect(captured.at(-1)!.frame).toEqual(frames.at(-1));
    return captured.at(-1)!;
  }

  it('agree about a request on its way to the node', async () => {
    expect(await onTheWire(new LaneBed().hear('client', request('get k\r\n')))).toMatchObject({
      truncated: false,
      ethernet: { srcmac: NF_SERVER_MAC, dstmac: MC1.mac, type: 0x0800 },
      ipv4: { srcaddr: OWN, dstaddr: MC1.ip, protocol: PROTOCOL_UDP, ttl: 63 },
      udp: { srcport: FIRST_PORT, dstport: MEMCACHED_PORT, length: 15 },
      payload: bytes(datagram('get k\r\n', { id: 0 })),
    });
  });

  it('agree about a reply on its way to the client', async () => {
    const lane = new LaneBed();
    lane.hear('client', request('get k\r\n'));
    expect(await onTheWire(lane.hear('server', reply('END\r\n')))).toMatchObject({
      ethernet: { srcmac: NF_CLIENT_MAC, dstmac: ALICE.mac },
      ipv4: { srcaddr: VIP, dstaddr: ALICE.ip },
      udp: { srcport: MEMCACHED_PORT, dstport: ALICE.port },
      payload: bytes(datagram('END\r\n', { id: CLIENT_ID })),
    });
  });

  it('agree about an error answer behind IPv4 options', async () => {
    const outcome = new LaneBed().hear('client', request('frob\r\n', { options: [1, 1, 1, 0] }));
    expect(await onTheWire(outcome)).toMatchObject({
      ipv4: { srcaddr: VIP, dstaddr: ALICE.ip, totallen: 24 + 8 + 8 + 7 },
      payload: bytes(datagram('ERROR\r\n')),
    });
  });

  it('agree about ARP and echo', async () => {
    const lane = new LaneBed();
    const arp = lane.hear('client', arpRequest({ srcMac: ALICE.mac, senderIp: ALICE.ip, targetIp: VIP }));
    expect(await onTheWire(arp)).toMatchObject({
      ethernet: { type: ETHERTYPE_ARP, dstmac: ALICE.mac },
      arp: { opcode: 2, sendermac: NF_CLIENT_MAC, senderip: VIP, targetmac: ALICE.mac, targetip: ALICE.ip },
    });
    const ping = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, dst: VIP, identifier: 1, sequence: 1 };
    const echo = await onTheWire(lane.hear('client', icmpEcho(ping)));
    expect(echo).toMatchObject({ ipv4: { protocol: PROTOCOL_ICMP, srcaddr: VIP, dstaddr: ALICE.ip, ttl: 64 } });
    expect(echo.udp).toBeUndefined();
  });

  it('a filter keeps out what it should', async () => {
    const only = await startCapture({ interfaceName: 'b', namespace: bed.namespace, filter: 'udp and dst port 9' });
    const frame = { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dstMac: NOBODY_MAC, payload: 'x' };
    port.say([udpFrame({ ...frame, dport: 8 }), udpFrame({ ...frame, dport: 9 }), udpFrame({ ...frame, dport: 10 })]);
    seen += 3;
    await only.until(1);
    expect((await only.stop()).map(({ udp }) => udp!.dstport)).toEqual([9]);
  });

  it('an interface that is not there: says so', async () => {
    await expect(startCapture({ interfaceName: 'nowhere', namespace: bed.namespace })).rejects.toThrow(/no capture/);
  });
});
