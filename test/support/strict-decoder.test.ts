import { describe, expect, it } from 'vitest';
import {
  arpReply,
  arpRequest,
  ethernetFrame,
  icmpEcho,
  icmpUnreachable,
  ipv4Frame,
  udpFragments,
  udpFrame,
} from './frames.ts';
import { decodeReplyDatagram, decodeRequestDatagram, decodeStrict } from './strict-decoder.ts';

const datagram = {
  src: '10.77.0.100',
  dst: '10.77.0.1',
  sport: 11211,
  dport: 4000,
  payload: '\0\x07\0\0\0\x01\0\0END\r\n',
};
const echo = { src: '10.77.0.100', dst: '10.77.0.1', identifier: 1, sequence: 2, type: 'reply' } as const;
const arp = { senderIp: '10.77.1.1', targetIp: '10.77.1.11' };

const unreachable = (code: number, mtu: number) =>
  icmpUnreachable({
    src: '10.77.0.100',
    dst: '10.77.0.1',
    code,
    mtu,
    about: udpFrame({ ...datagram, payload: 'x'.repeat(700) }),
  });

describe('the strict decoder takes', () => {
  it('a UDP datagram', () => {
    expect(decodeStrict(udpFrame({ ...datagram, padding: 3, options: [1, 1, 1, 0] }))).toMatchObject({
      kind: 'udp',
      src: '10.77.0.100',
      sport: 11211,
      dport: 4000,
      ttl: 64,
      checksum: 'full',
      optionBytes: 4,
      trailerBytes: 3,
      payload: Uint8Array.from(Buffer.from(datagram.payload, 'latin1')),
    });
  });

  it.each([
    ['none', udpFrame({ ...datagram, checksum: 'zero' }), undefined, 'none'],
    ['a partial checksum', udpFrame({ ...datagram, checksum: 'partial' }), 34, 'partial'],
  ])('a datagram with %s', (_, frame, partialFrom, checksum) => {
    expect(decodeStrict(frame, partialFrom)).toMatchObject({ kind: 'udp', checksum });
  });

  it('an echo request', () => {
    const request = icmpEcho({ ...echo, type: 'request' });
    expect(decodeStrict(request)).toMatchObject({ kind: 'echo request', identifier: 1, sequence: 2 });
  });

  it('an echo reply', () => {
    expect(decodeStrict(icmpEcho(echo))).toMatchObject({ kind: 'echo reply', identifier: 1, sequence: 2, ttl: 64 });
  });

  it('an ARP request and an ARP reply', () => {
    expect(decodeStrict(arpRequest(arp))).toMatchObject({
      kind: 'arp',
      operation: 'request',
      target: { ip: '10.77.1.11' },
    });
    expect(decodeStrict(arpReply(arp))).toMatchObject({ kind: 'arp', operation: 'reply', sender: { ip: '10.77.1.1' } });
  });
});

describe('the strict decoder takes apart, too', () => {
  it('a fragment', () => {
    const [, second] = udpFragments({ ...datagram, identification: 77 }, 8);
    expect(decodeStrict(second!)).toMatchObject({ kind: 'fragment', identification: 77, at: 8, more: true });
  });

  it('“fragmentation needed”', () => {
    expect(decodeStrict(unreachable(4, 576))).toMatchObject({ kind: 'fragmentation needed', mtu: 576 });
  });
});

describe('the strict decoder refuses', () => {
  const piece = { ...datagram, protocol: 17, moreFragments: true, dontFragment: false, payload: 'x'.repeat(16) };

  const cut = (frame: Uint8Array, bytes: number) => frame.slice(0, bytes);
  const group = { srcMac: '03:00:00:00:00:01' };

  it.each<[string, Uint8Array, RegExp, number?]>([
    ['half an Ethernet header', cut(udpFrame(datagram), 13), /no Ethernet frame/],
    ['a group as source', udpFrame({ ...datagram, ...group }), /is a group/],
    ['IPv4 to a group', udpFrame({ ...datagram, dstMac: 'ff:ff:ff:ff:ff:ff' }), /to the group/],
    ['a tagged frame', udpFrame({ ...datagram, vlan: 7 }), /EtherType 0x8100/],
    ['IPv6', ethernetFrame({ etherType: 0x86dd, payload: new Uint8Array(60) }), /EtherType 0x86dd/],
    ['half an IPv4 header', cut(udpFrame(datagram), 33), /no IPv4 header/],
    ['version 6', udpFrame({ ...datagram, version: 6 }), /IP version 6/],
    ['IHL 4', udpFrame({ ...datagram, ihl: 4 }), /IHL 4/],
    ['a total length beyond the frame', udpFrame({ ...datagram, totalLength: 100 }), /total length 100/],
    ['a total length below the header', udpFrame({ ...datagram, totalLength: 19 }), /IHL 5 in a packet of 19/],
    ['a bad header checksum', udpFrame({ ...datagram, headerChecksum: 'bad' }), /IPv4 header checksum/],
    ['a fragment of TCP', ipv4Frame({ ...datagram, protocol: 6, moreFragments: true }), /fragment of protocol 6/],
    ['a fragment, not to be fragmented', ipv4Frame({ ...piece, dontFragment: true }), /must not be/],
    ['a fragment of 15 bytes before the end', ipv4Frame({ ...piece, payload: 'x'.repeat(15) }), /of 15 bytes/],
    ['a fragment of nothing', ipv4Frame({ ...piece, payload: '' }), /of nothing/],
    ['a fragment beyond 65,535 bytes', ipv4Frame({ ...piece, fragmentOffset: 65_504 }), /up to byte 65520/],
    ['a fragment with a partial checksum', ipv4Frame(piece), /partial/, 34],
    ['ICMP port unreachable', unreachable(3, 576), /code 3/],
    ['an MTU above the datagram’s size', unreachable(4, 1500), /MTU of 1500/],
    ['an MTU of 67', unreachable(4, 67), /MTU of 67/],
    ['TTL 0', udpFrame({ ...datagram, ttl: 0 }), /TTL 0/],
    ['a loopback source', udpFrame({ ...datagram, src: '127.0.0.1' }), /source 127/],
    ['a multicast destination', udpFrame({ ...datagram, dst: '224.0.0.1' }), /destination 224/],
    ['TCP', ipv4Frame({ ...datagram, protocol: 6 }), /protocol 6/],
    ['half a UDP header', ipv4Frame({ ...datagram, protocol: 17, payload: new Uint8Array(7) }), /UDP header of 7/],
    ['a UDP length below 8', udpFrame({ ...datagram, udpLength: 7 }), /UDP length 7/],
    ['a UDP length beyond the packet', udpFrame({ ...datagram, udpLength: 100, padding: 100 }), /UDP length 100/],
    ['destination port 0', udpFrame({ ...datagram, dport: 0 }), /port 0/],
    ['a bad UDP checksum', udpFrame({ ...datagram, checksum: 'bad' }), /UDP checksum/],
    ['a partial checksum that nobody speaks of', udpFrame({ ...datagram, checksum: 'partial' }), /UDP checksum/],
    ['a full checksum called partial', udpFrame(datagram), /partial UDP checksum/, 34],
    ['a partial checksum that begins elsewhere', udpFrame({ ...datagram, checksum: 'partial' }), /from byte 38/, 38],
    [
      'another ICMP message',
      ipv4Frame({ ...echo, protocol: 1, payload: Uint8Array.of(13, 0, 0xf2, 0xff, 0, 0, 0, 0) }),
      /no echo/,
    ],
    ['a bad ICMP checksum', icmpEcho({ ...echo, checksum: 'bad' }), /ICMP checksum/],
    ['half an ARP packet', cut(arpRequest(arp), 41), /ARP frame of 41/],
    ['ARP in the name of another', arpRequest({ ...arp, senderMac: '02:00:00:00:00:09' }), /in the name of/],
    ['an ARP request to one station', arpRequest({ ...arp, dstMac: '02:00:00:00:00:02' }), /ARP operation 1 to/],
    [
      'an ARP reply to all',
      arpReply({ ...arp, dstMac: 'ff:ff:ff:ff:ff:ff', targetMac: '02:00:00:00:00:02' }),
      /operation 2 to/,
    ],
    ['an ARP sender 0.0.0.0', arpRequest({ ...arp, senderIp: '0.0.0.0' }), /ARP sender/],
  ])('%s', (_, frame, complaint, partialFrom) => {
    expect(() => decodeStrict(frame, partialFrom)).toThrow(complaint);
  });
});

describe('memcached datagrams', () => {
  const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));

  it('one of three, and a request', () => {
    expect(decodeReplyDatagram(bytes('\x12\x34\0\x02\0\x03\0\0x'))).toEqual({
      id: 0x1234,
      sequence: 2,
      total: 3,
      body: bytes('x'),
    });
    expect(decodeRequestDatagram(bytes('\0\0\0\0\0\x01\0\0x'))).toMatchObject({ id: 0, total: 1, body: bytes('x') });
  });

  it.each([
    ['7 bytes', () => decodeReplyDatagram(new Uint8Array(7)), /7 bytes/],
    ['0 of 0', () => decodeReplyDatagram(new Uint8Array(8)), /0 of 0/],
    ['3 of 3', () => decodeReplyDatagram(bytes('\0\0\0\x03\0\x03\0\0')), /3 of 3/],
    ['a request in two', () => decodeRequestDatagram(bytes('\0\0\0\0\0\x02\0\0x')), /in 2 datagrams/],
    ['a request of nothing', () => decodeRequestDatagram(bytes('\0\0\0\0\0\x01\0\0')), /nothing/],
  ])('%s: refused', (_, decode, complaint) => {
    expect(decode).toThrow(complaint);
  });
});
