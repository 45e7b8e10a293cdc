/** Frames that end here: not for us, or for us and not fit to travel on. One counter each, named. */
import { describe, expect, it } from 'vitest';
import { LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import { FLAG_CHECKSUM_VERIFIED, FLAG_SUPERFRAME, FLAG_TRUNCATED, FLAG_VLAN } from '../../src/port/port.ts';
import { ethernetFrame, icmpEcho, ipv4Frame, udpFrame } from '../support/frames.ts';
import { ALICE, LaneBed, MC1, NF_CLIENT_MAC, NF_SERVER_MAC, OWN, reply, request, VIP } from '../support/lane-bed.ts';
import { checkRows, type Row } from './rows.ts';

const GET = 'get k\r\n';
const ASK = { src: ALICE.ip, dst: VIP, sport: 4000, dport: 11_211, srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC };

type Drop = readonly [name: string, frame: Uint8Array, counted: string, more?: Partial<Row>];

const drop = ([name, frame, counted, more]: Drop): Row => ({ name, frame, counted, ...more });

const SERVER: Partial<Row> = { at: 'server' };
const cut = (frame: Uint8Array, bytes: number) => frame.slice(0, bytes);

const ours: readonly Drop[] = [
  ['half an Ethernet header', cut(request(GET), 13), 'drop_runt'],
  ['half an IPv4 header', cut(request(GET), 33), 'drop_runt'],
  ['no IPv4 header at all', cut(request(GET), 14), 'drop_runt'],
  ['longer than its slot', request(GET), 'drop_truncated', { flags: FLAG_TRUNCATED }],
  ['a super-frame', request(GET), 'drop_superframe', { flags: FLAG_SUPERFRAME }],
  ['from our own Ethernet address', request(GET, { srcMac: NF_CLIENT_MAC }), 'drop_own_source'],
  ['from our own Ethernet address, server side', reply(GET, { srcMac: NF_SERVER_MAC }), 'drop_own_source', SERVER],
  ['from an Ethernet group', request(GET, { srcMac: '01:00:5e:00:00:01' }), 'drop_bad_source'],
  ['from the Ethernet broadcast', request(GET, { srcMac: 'ff:ff:ff:ff:ff:ff' }), 'drop_bad_source'],
  ['from the VIP', request(GET, { src: VIP }), 'drop_bad_source'],
  ['from our own address', request(GET, { src: OWN }), 'drop_bad_source'],
  ['from 0.0.0.0', request(GET, { src: '0.0.0.0' }), 'drop_bad_source'],
  ['from 127.0.0.1', request(GET, { src: '127.0.0.1' }), 'drop_bad_source'],
  ['from a multicast address', request(GET, { src: '224.0.0.1' }), 'drop_bad_source'],
  ['from 255.255.255.255', request(GET, { src: '255.255.255.255' }), 'drop_bad_source'],
  ['version 5', request(GET, { version: 5 }), 'drop_ip_header'],
  ['IHL 4', request(GET, { ihl: 4 }), 'drop_ip_header'],
  ['IHL 15 in a short frame', request(GET, { ihl: 15 }), 'drop_ip_header'],
  ['a total length beyond the frame', request(GET, { totalLength: 44 }), 'drop_ip_header'],
  ['a total length below the header', request(GET, { totalLength: 19 }), 'drop_ip_header'],
  ['a frame cut short', cut(request(GET), request(GET).length - 1), 'drop_ip_header'],
  ['a bad IPv4 checksum', request(GET, { headerChecksum: 'bad' }), 'drop_ip_checksum'],
  [
    'a bad IPv4 checksum, said to be verified',
    request(GET, { headerChecksum: 'bad' }),
    'drop_ip_checksum',
    { flags: FLAG_CHECKSUM_VERIFIED },
  ],
  ['TTL 1', request(GET, { ttl: 1 }), 'drop_ttl_expired'],
  ['TTL 0', request(GET, { ttl: 0 }), 'drop_ttl_expired'],
  ['a reply with TTL 1', reply('END\r\n', { ttl: 1 }), 'drop_ttl_expired', SERVER],
  ['TCP', ipv4Frame({ ...ASK, protocol: 6, payload: new Uint8Array(20) }), 'drop_protocol'],
  ['half a UDP header', ipv4Frame({ ...ASK, protocol: 17, payload: new Uint8Array(7) }), 'drop_udp_length'],
  ['a UDP length beyond the packet', request(GET, { udpLength: 24 }), 'drop_udp_length'],
  ['a UDP length in the padding', request(GET, { udpLength: 24, padding: 1, checksum: 'zero' }), 'drop_udp_length'],
  ['a UDP length below 8', request(GET, { udpLength: 7 }), 'drop_udp_length'],
  ['a bad UDP checksum', request(GET, { checksum: 'bad' }), 'drop_udp_checksum'],
  ['a partial checksum that nobody speaks of', request(GET, { checksum: 'partial' }), 'drop_udp_checksum'],
  ['a bad UDP checksum in a reply', reply('END\r\n', { checksum: 'bad' }), 'drop_udp_checksum', SERVER],
  ['the VIP, another port', request(GET, { dport: 11_212 }), 'drop_udp_port'],
  ['from port 0', request(GET, { sport: 0 }), 'drop_udp_port'],
  ['from port 0, server side', reply('END\r\n', { sport: 0 }), 'drop_udp_port', SERVER],
  ['half a memcached header', udpFrame({ ...ASK, payload: 'seven b' }), 'drop_frame_header'],
  ['an empty datagram', udpFrame({ ...ASK, payload: '' }), 'drop_frame_header'],
  ['an ICMP echo reply', icmpEcho({ ...ASK, type: 'reply', identifier: 1, sequence: 1 }), 'drop_icmp'],
  ['a bad ICMP checksum', icmpEcho({ ...ASK, checksum: 'bad', identifier: 1, sequence: 1 }), 'drop_icmp'],
  ['half an ICMP header', ipv4Frame({ ...ASK, protocol: 1, payload: new Uint8Array(7) }), 'drop_icmp'],
  ['half an ARP packet', ethernetFrame({ etherType: 0x0806, payload: new Uint8Array(27) }), 'drop_runt'],
  ['ARP for something else than IPv4', ethernetFrame({ etherType: 0x0806, payload: new Uint8Array(28) }), 'drop_runt'],
];

describe('for us, and not fit to travel on', () => {
  checkRows(ours.map(drop));

  it('every reason to drop a frame has its row, here or where it is named', () => {
    const elsewhere: Record<string, string> = {
      drop_reply_no_slot: 'replies.test.ts',
      drop_reply_late: 'replies.test.ts',
      drop_reply_wrong_node: 'replies.test.ts',
      drop_reply_framing: 'replies.test.ts',
      drop_reply_wrong_key: 'replies.test.ts',
      drop_too_big: 'too-large.test.ts',
      drop_fragment_bad: 'fragments.test.ts',
      drop_fragment_overlap: 'fragments.test.ts',
      drop_fragment_duplicate: 'fragments.test.ts',
      drop_fragment_too_large: 'fragments.test.ts',
      drop_fragment_timeout: 'fragments.test.ts',
      drop_fragment_table_full: 'fragments.test.ts',
      drop_fragment_source_full: 'fragments.test.ts',
      drop_handover_full: 'handover.test.ts',
      drop_reply_stray: 'reply-parts.test.ts',
      drop_reply_over_budget: 'gate-lane.test.ts',
      drop_neighbour_queue_full: 'lane-neighbours.test.ts',
      drop_neighbour_unreachable: 'lane-neighbours.test.ts',
      drop_probe_answer: 'prober.test.ts',
      drop_lane_crash: 'worker.test.ts',
      drop_not_started: 'worker.test.ts',
      drop_multiget_late: 'gather.test.ts',
      drop_client_no_place: 'gateway.test.ts',
      drop_return_no_client: 'gateway.test.ts',
      drop_multiget_part: 'gather.test.ts',
    };
    const here = ours.map(([, , counted]) => counted);
    const missing = LANE_COUNTERS.filter(name => name.startsWith('drop_') && !here.includes(name) && !elsewhere[name]);
    expect(missing).toEqual([]);
  });
});

const foreign: readonly Drop[] = [
  ['for another station', request(GET, { dstMac: '02:00:00:00:00:99' }), 'foreign'],
  ['to all stations', request(GET, { dstMac: 'ff:ff:ff:ff:ff:ff' }), 'foreign'],
  ['for another address, through us', request(GET, { dst: '10.77.0.101' }), 'foreign'],
  ['for our server address, on the client side', request(GET, { dst: OWN }), 'foreign'],
  ['for the VIP, on the server side', reply('END\r\n', { dst: VIP }), 'foreign', SERVER],
  ['a bad checksum in what is not ours', request(GET, { dst: '10.77.0.101', headerChecksum: 'bad' }), 'foreign'],
  ['IPv6', ethernetFrame({ etherType: 0x86dd, dstMac: NF_CLIENT_MAC, payload: new Uint8Array(60) }), 'foreign'],
  ['an 802.3 length', ethernetFrame({ etherType: 46, dstMac: NF_CLIENT_MAC, payload: new Uint8Array(46) }), 'foreign'],
  ['a tagged frame', request(GET, { vlan: 7 }), 'foreign'],
  ['a frame whose tag the kernel stripped', request(GET), 'foreign', { flags: FLAG_VLAN | (7 << 16) }],
];

describe('not for us', () => {
  checkRows(foreign.map(drop));
});

describe('what the port vouches for', () => {
  it('a checksum said to be verified is not summed again: one that is wrong leaves wrong, never repaired', () => {
    const bed = new LaneBed();
    const frame = request(GET, { checksum: 'bad' });
    expect(() => bed.hear('client', frame, { flags: FLAG_CHECKSUM_VERIFIED })).toThrow('UDP checksum');
  });
});

describe('each frame is counted once', () => {
  it('in a cycle of all of them at once', () => {
    const bed = new LaneBed({ nodes: [MC1] });
    const frames = [...ours, ...foreign].filter(([, , , more]) => more === undefined).map(([, frame]) => frame);
    const { counted } = bed.hear('client', [
      ...frames,
      request(GET),
      request('frob\r\n'),
      request('set k 0 0 9\r\n\r\n'),
    ]);
    const total = Object.entries(counted).reduce(
      (sum, [name, by]) => (name === 'reads' || name === 'error_answers' ? sum : sum + by),
      0,
    );
    expect(total).toBe(frames.length + 3);
    expect(bed.unaccounted()).toBe(0);
  });
});
