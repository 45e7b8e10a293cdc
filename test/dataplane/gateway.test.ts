/** gateway mode: the client's address stays on the way to the node, and the reply passes us on its way back. */
import { describe, expect, it } from 'vitest';
import { CLIENT_ROWS, FRESH_MS } from '../../src/dataplane/client-table.ts';
import { MODE_GATEWAY } from '../../src/dataplane/setup.ts';
import { FLAG_SUPERFRAME, FLAG_VLAN, VLAN_SHIFT } from '../../src/port/port.ts';
import { hex, icmpEcho, type UdpFields, udpFragments } from '../support/frames.ts';
import {
  ALICE,
  type BedOptions,
  BOB,
  binaryRequest,
  CLIENT_ID,
  datagram,
  LaneBed,
  MC1,
  MC2,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  OWN,
  partialFlags,
  reply,
  request,
  toClient,
  toNode,
  VIP,
} from '../support/lane-bed.ts';
import { decodeReplyDatagram, decodeStrict } from '../support/strict-decoder.ts';
import { checkRow, checkRows, type Row } from './rows.ts';

const GATEWAY: BedOptions = { mode: MODE_GATEWAY };
const GET = 'get k\r\n';
const FOUND = 'VALUE k 0 1\r\nx\r\nEND\r\n';
const NOPS = [1, 1, 1, 0];
const READ = 'requests reads';

/** The request on its way to its node: only the destination is another. */
const passed = (body: string, fields: Parameters<typeof toNode>[1] = {}) =>
  toNode(body, { src: ALICE.ip, sport: ALICE.port, id: CLIENT_ID, ...fields });
/** A node answers the client itself. */
const returning = (body: string, fields: Parameters<typeof reply>[1] = {}) =>
  reply(body, { dst: ALICE.ip, dport: ALICE.port, id: CLIENT_ID, ...fields });

function rowsOf(rows: readonly Row[]): Row[] {
  return rows.map(row => ({ ...row, bed: { ...GATEWAY, ...row.bed } }));
}

describe('a request goes to its node under the client’s own address, port and id', () => {
  it.each<[string, string]>([
    ['get', GET],
    ['gat', 'gat 60 k\r\n'],
    ['set', 'set k 0 0 3\r\nabc\r\n'],
    ['set, noreply', 'set k 0 0 3 noreply\r\nabc\r\n'],
    ['mg', 'mg k t f v\r\n'],
    ['a quiet mg', 'mg k v q O123\r\n'],
    ['binary getkq', binaryRequest({ opcode: 0x0d, key: 'k' })],
  ])('%s', (name, body) => {
    const isRead = /^get|^mg|getkq/.test(body) || name.includes('getkq');
    const counted = isRead ? READ : 'requests writes';
    checkRow({ name, bed: GATEWAY, frame: request(body), counted, out: ['server', passed(body)] });
  });

  checkRows(
    rowsOf([
      {
        name: 'another client with the same port and id',
        after: [request(GET)],
        frame: request(GET, { client: BOB }),
        counted: READ,
        out: ['server', passed(GET, { src: BOB.ip })],
      },
      {
        name: 'to a node on a port of its own',
        bed: { nodes: [{ ...MC1, port: 22_122 }] },
        frame: request(GET),
        counted: READ,
        out: ['server', passed(GET, { dport: 22_122 })],
      },
      {
        name: 'through a router: its Ethernet address, the node’s IPv4 address',
        bed: { nodes: [{ ...MC1, ip: '10.9.9.9', via: '10.77.1.254' }] },
        frame: request(GET),
        counted: READ,
        out: ['server', passed(GET, { dst: '10.9.9.9' })],
      },
      {
        name: 'IPv4 options stay',
        frame: request(GET, { options: NOPS }),
        counted: READ,
        out: ['server', passed(GET, { options: NOPS })],
      },
      {
        name: 'trailer padding stays',
        frame: request(GET, { padding: 18 }),
        counted: READ,
        out: ['server', passed(GET, { padding: 18 })],
      },
      {
        name: 'without a UDP checksum: none is made up',
        frame: request(GET, { checksum: 'zero' }),
        counted: READ,
        out: ['server', passed(GET, { checksum: 'zero' })],
      },
      {
        name: 'a partial UDP checksum stays partial, of the new addresses',
        frame: request(GET, { checksum: 'partial', options: NOPS }),
        flags: partialFlags(38),
        counted: READ,
        out: ['server', passed(GET, { checksum: 'partial', options: NOPS })],
        outFlags: partialFlags(38),
      },
      {
        name: 'TTL 2 leaves as 1',
        frame: request(GET, { ttl: 2 }),
        counted: READ,
        out: ['server', passed(GET, { ttl: 1 })],
      },
      { name: 'TTL 1 does not leave', frame: request(GET, { ttl: 1 }), counted: 'drop_ttl_expired' },
      {
        name: 'one arm',
        bed: { arms: 1 },
        frame: request(GET),
        counted: READ,
        out: ['client', passed(GET, { srcMac: NF_CLIENT_MAC })],
      },
      {
        name: 'in its node’s VLAN, with its priority',
        bed: { clientVlan: 5, serverVlan: 7 },
        frame: request(GET),
        flags: FLAG_VLAN | (0xa005 << VLAN_SHIFT),
        counted: READ,
        out: ['server', passed(GET)],
        outFlags: FLAG_VLAN | (0xa007 << VLAN_SHIFT),
      },
    ]),
  );

  it('waits until the next hop is resolved', () => {
    const bed = new LaneBed({ ...GATEWAY, resolved: false });
    expect(bed.hear('client', request(GET)).counted).toMatchObject({ parked: 1, reads: 1 });
    bed.resolve(MC1);
    const { sent, counted } = bed.wait(20);
    expect(counted).toEqual({ requests: 1, parked_sent: 1 });
    expect(sent.map(({ frame }) => hex(frame))).toEqual([hex(passed(GET))]);
  });

  it('takes no slot, and no answer is awaited', () => {
    const bed = new LaneBed({ ...GATEWAY, slots: 1024 });
    for (let n = 0; n < 3000; n++) expect(bed.hear('client', request(GET)).counted.requests).toBe(1);
    expect(bed.lane().path.slots.circles[0]!.next).toBe(0);
    expect([...bed.lane().path.memory.nodeCounters.slice(0, 6)]).toEqual([3000, 0, 3000 * 15, 0, 3000, 0]);
  });
});

describe('a reply of a node passes on to the client, from the VIP', () => {
  checkRows(
    rowsOf([
      { name: 'a value', frame: returning(FOUND), counted: 'replies', out: ['client', toClient(FOUND)] },
      {
        name: 'of a node on a port of its own',
        bed: { nodes: [{ ...MC1, port: 22_122 }] },
        frame: returning(FOUND, { sport: 22_122 }),
        counted: 'replies',
        out: ['client', toClient(FOUND)],
      },
      {
        name: 'the third datagram of seven',
        frame: returning('xyz', { sequence: 2, total: 7 }),
        counted: 'replies',
        out: ['client', toClient('xyz', { sequence: 2, total: 7 })],
      },
      {
        name: 'to another port than the one that asked',
        frame: returning(FOUND, { dport: 4001 }),
        counted: 'replies',
        out: ['client', toClient(FOUND, { dport: 4001 })],
      },
      {
        name: 'IPv4 options stay, and padding',
        frame: returning(FOUND, { options: NOPS, padding: 4 }),
        counted: 'replies',
        out: ['client', toClient(FOUND, { options: NOPS, padding: 4 })],
      },
      {
        name: 'a partial UDP checksum stays partial',
        frame: returning(FOUND, { checksum: 'partial' }),
        flags: partialFlags(),
        counted: 'replies',
        out: ['client', toClient(FOUND, { checksum: 'partial' })],
        outFlags: partialFlags(),
      },
      {
        name: 'of a drained node',
        bed: { nodes: [{ ...MC2 }, { ...MC1, weight: 0 }] },
        frame: returning(FOUND),
        counted: 'replies',
        out: ['client', toClient(FOUND)],
      },
      { name: 'TTL 1 does not', frame: returning(FOUND, { ttl: 1 }), counted: 'drop_ttl_expired' },
      { name: 'a super-frame does not', frame: returning(FOUND), flags: FLAG_SUPERFRAME, counted: 'drop_superframe' },
      {
        name: 'nor one with a wrong IPv4 checksum',
        frame: corrupt(returning(FOUND), 25),
        counted: 'drop_ip_checksum',
      },
      { name: 'nor one with a wrong UDP checksum', frame: corrupt(returning(FOUND), 60), counted: 'drop_udp_checksum' },
      {
        name: 'nor what is no framing',
        frame: returning(FOUND, { sequence: 3, total: 3 }),
        counted: 'drop_reply_framing',
      },
      {
        name: 'nor "0 of 0", which says nothing',
        frame: returning('', { total: 0 }),
        counted: 'quiet_misses',
      },
      {
        name: 'nor one to a client that has not asked',
        frame: returning(FOUND, { dst: BOB.ip }),
        counted: 'drop_return_no_client',
      },
      { name: 'nor one to nobody', frame: returning(FOUND, { dst: '0.0.0.0' }), counted: 'drop_return_no_client' },
      { name: 'from another port of the node: foreign', frame: returning(FOUND, { sport: 22 }), counted: 'foreign' },
      { name: 'from another host: foreign', frame: returning(FOUND, { src: MC2.ip }), counted: 'foreign' },
      {
        name: 'of a node that is disabled: foreign',
        bed: { nodes: [MC2, { ...MC1, enabled: false }] },
        frame: returning(FOUND),
        counted: 'foreign',
      },
      { name: 'to the VIP: foreign', frame: returning(FOUND, { dst: VIP }), counted: 'foreign' },
      {
        name: 'on the clients’ side: foreign',
        at: 'client',
        frame: returning(FOUND, { dstMac: NF_CLIENT_MAC }),
        counted: 'foreign',
      },
      {
        name: 'to another Ethernet address: foreign',
        frame: returning(FOUND, { dstMac: '02:00:00:00:00:77' }),
        counted: 'foreign',
      },
      {
        name: 'from our own Ethernet address: dropped',
        frame: returning(FOUND, { srcMac: NF_SERVER_MAC }),
        counted: 'drop_own_source',
      },
    ] satisfies Row[]).map(row => ({ at: 'server' as const, after: [request(GET)], ...row })),
  );

  it('not in nat mode', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    expect(bed.hear('server', returning(FOUND))).toEqual({ sent: [], counted: { foreign: 1 } });
  });

  describe('in fragments', () => {
    const body = `VALUE k 0 1300\r\n${'v'.repeat(1300)}\r\nEND\r\n`;
    const inPieces = (fields: Partial<UdpFields> = {}) =>
      udpFragments(
        {
          srcMac: MC1.mac,
          dstMac: NF_SERVER_MAC,
          src: MC1.ip,
          dst: ALICE.ip,
          sport: MC1.port,
          dport: ALICE.port,
          payload: datagram(body, { id: CLIENT_ID }),
          ...fields,
        },
        576,
      );

    it.each(['in order', 'last first'])('%s: put together, and sent on whole', order => {
      const bed = new LaneBed(GATEWAY);
      bed.hear('client', request(GET));
      const pieces = order === 'in order' ? inPieces() : inPieces().reverse();
      const { sent, counted } = bed.hear('server', pieces);
      const fragments = { fragments_received: 3, fragments_joined: 2, datagrams_reassembled: 1 };
      expect(counted).toEqual({ ...fragments, replies: 1 });
      expect(sent).toHaveLength(1);
      const decoded = decodeStrict(sent[0]!.frame);
      if (decoded.kind !== 'udp') throw new Error(decoded.kind);
      expect(Buffer.from(decodeReplyDatagram(decoded.payload).body).toString('latin1')).toBe(body);
      expect(bed.unaccounted()).toBe(0);
    });

    it('from another port of a node: left to the kernel, which has copies of its own', () => {
      const bed = new LaneBed(GATEWAY);
      bed.hear('client', request(GET));
      const { sent, counted } = bed.hear('server', inPieces({ sport: 22 }));
      expect({ sent, foreign: counted.foreign }).toEqual({ sent: [], foreign: 1 });
      expect(bed.unaccounted()).toBe(0);
    });

    it('from somebody who is no node: foreign, and nothing is kept', () => {
      const bed = new LaneBed(GATEWAY);
      expect(bed.hear('server', inPieces({ src: '10.77.1.99' })).counted).toEqual({ foreign: 3 });
    });
  });

  it('in one arm', () => {
    const bed = new LaneBed({ ...GATEWAY, arms: 1 });
    bed.hear('client', request(GET));
    const { sent, counted } = bed.hear('client', returning(FOUND, { dstMac: NF_CLIENT_MAC }));
    expect(counted).toEqual({ replies: 1 });
    expect(sent.map(({ frame }) => hex(frame))).toEqual([hex(toClient(FOUND))]);
  });

  it('to the Ethernet address that the client asked from last', () => {
    const bed = new LaneBed(GATEWAY);
    bed.hear('client', request(GET));
    const moved = { ...ALICE, mac: '02:00:00:00:00:99' };
    bed.hear('client', request(GET, { client: moved }));
    const { sent } = bed.hear('server', returning(FOUND));
    expect(hex(sent[0]!.frame)).toBe(hex(toClient(FOUND, { client: moved })));
  });

  it('that comes to another lane than the request did', () => {
    const bed = new LaneBed({ ...GATEWAY, lanes: 3 });
    bed.hear('client', request(GET), { lane: 2 });
    const { sent, counted } = bed.hear('server', returning(FOUND), { lane: 1 });
    expect(counted).toEqual({ replies: 1 });
    expect(hex(sent[0]!.frame)).toBe(hex(toClient(FOUND)));
  });

  it('of nodes as the last table has them', () => {
    const bed = new LaneBed({ ...GATEWAY, nodes: [MC1] });
    bed.hear('client', request(GET));
    expect(bed.publish([MC2])).toBe(true);
    expect(bed.hear('server', returning(FOUND)).counted).toEqual({ foreign: 1 });
    expect(bed.publish([MC2, MC1])).toBe(true);
    expect(bed.hear('server', returning(FOUND)).counted).toEqual({ replies: 1 });
  });

  it('of the node that is counted for it', () => {
    const bed = new LaneBed({ ...GATEWAY, nodes: [MC2, MC1] });
    bed.hear('client', request(GET));
    const before = bed.lane().path.memory.nodeCounters.slice(0, 12);
    bed.hear('server', returning(FOUND));
    const moved = bed
      .lane()
      .path.memory.nodeCounters.slice(0, 12)
      .map((count, at) => count - before[at]!);
    expect([...moved]).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 0, 8 + FOUND.length, 0, 0]);
  });
});

describe('what the NF does itself works as in nat mode', () => {
  it('an error line', () => {
    const bed = new LaneBed(GATEWAY);
    const { sent, counted } = bed.hear('client', request('quit\r\n'));
    expect(counted.error_answers).toBe(1);
    expect(sent).toHaveLength(1);
  });

  it('an echo', () => {
    const bed = new LaneBed(GATEWAY);
    const echo = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, dst: VIP, identifier: 1, sequence: 1 };
    expect(bed.hear('client', icmpEcho(echo)).counted).toEqual({ echo_answers: 1 });
  });

  it('a request for two keys: from our own address, and put together from the replies to it', () => {
    const bed = new LaneBed(GATEWAY);
    const asked = bed.hear('client', request('get a b\r\n'));
    expect(asked.sent.map(({ frame }) => hex(frame.subarray(26, 30)))).toEqual([address4(OWN), address4(OWN)]);
    bed.hear('server', reply('VALUE a 0 1\r\nA\r\nEND\r\n', { slot: 0 }));
    const { sent, counted } = bed.hear('server', reply('END\r\n', { slot: 1 }));
    expect(counted.multiget_answers).toBe(1);
    expect(Buffer.from(sent[0]!.frame.subarray(50)).toString('latin1')).toBe('VALUE a 0 1\r\nA\r\nEND\r\n');
  });
});

describe('a flood of forged sources', () => {
  it('finds no place beside clients that asked lately, and does not push them out', () => {
    const bed = new LaneBed(GATEWAY);
    expect(bed.hear('client', request(GET)).counted.requests).toBe(1);
    let refused = 0;
    for (let n = 0; n < 3 * CLIENT_ROWS; n++) {
      const src = `11.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
      refused += bed.hear('client', request(GET, { src })).counted.drop_client_no_place ?? 0;
    }
    expect(refused).toBeGreaterThan(CLIENT_ROWS);
    expect(bed.hear('server', returning(FOUND)).counted).toEqual({ replies: 1 });
    expect(bed.unaccounted()).toBe(0);
    bed.nowMs += FRESH_MS;
    expect(bed.hear('client', request(GET, { client: BOB })).counted.requests).toBe(1);
  });
});

function address4(text: string): string {
  return hex(Uint8Array.from(text.split('.').map(Number)));
}

/** The frame with one bit of this byte another. */
function corrupt(frame: Uint8Array, at: number): Uint8Array {
  const copy = frame.slice();
  copy[at]! ^= 1;
  return copy;
}
