/** dsr mode: a request is sent on as it came, to the Ethernet address of its node; the reply does not pass us. */
import { describe, expect, it } from 'vitest';
import { MODE_DSR } from '../../src/dataplane/setup.ts';
import { FLAG_VLAN, VLAN_SHIFT } from '../../src/port/port.ts';
import { hex } from '../support/frames.ts';
import {
  ALICE,
  type BedOptions,
  LaneBed,
  MC1,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  OWN,
  partialFlags,
  reply,
  request,
} from '../support/lane-bed.ts';
import { checkRows, type Row } from './rows.ts';

const DSR: BedOptions = { mode: MODE_DSR };
const GET = 'get k\r\n';
const NOPS = [1, 1, 1, 0];
const READ = 'requests reads';
/** Between Keysteer and the node. */
const LINK = { srcMac: NF_SERVER_MAC, dstMac: MC1.mac };

const rows: readonly Row[] = [
  { name: 'a get', frame: request(GET), counted: READ, out: ['server', request(GET, LINK)] },
  {
    name: 'a set without reply',
    frame: request('set k 0 0 1 noreply\r\nx\r\n'),
    counted: 'requests writes',
    out: ['server', request('set k 0 0 1 noreply\r\nx\r\n', LINK)],
  },
  {
    name: 'options, padding, a sequence number',
    frame: request(GET, { options: NOPS, padding: 18, sequence: 3 }),
    counted: READ,
    out: ['server', request(GET, { options: NOPS, padding: 18, sequence: 3, ...LINK })],
  },
  {
    name: 'no UDP checksum',
    frame: request(GET, { checksum: 'zero' }),
    counted: READ,
    out: ['server', request(GET, { checksum: 'zero', ...LINK })],
  },
  {
    name: 'a partial UDP checksum',
    frame: request(GET, { checksum: 'partial' }),
    flags: partialFlags(),
    counted: READ,
    out: ['server', request(GET, { checksum: 'partial', ...LINK })],
    outFlags: partialFlags(),
  },
  {
    name: 'TTL 2 stays 2',
    frame: request(GET, { ttl: 2 }),
    counted: READ,
    out: ['server', request(GET, { ttl: 2, ...LINK })],
  },
  { name: 'TTL 1 is at its end', frame: request(GET, { ttl: 1 }), counted: 'drop_ttl_expired' },
  {
    name: 'one arm',
    bed: { arms: 1 },
    frame: request(GET),
    counted: READ,
    out: ['client', request(GET, { srcMac: NF_CLIENT_MAC, dstMac: MC1.mac })],
  },
  {
    name: 'into the nodes’ VLAN',
    bed: { serverVlan: 7 },
    frame: request(GET),
    counted: READ,
    out: ['server', request(GET, LINK)],
    outFlags: FLAG_VLAN | (7 << VLAN_SHIFT),
  },
  {
    name: 'a reply that strays here is foreign',
    at: 'server',
    after: [request(GET)],
    frame: reply('END\r\n', { dst: ALICE.ip, dport: ALICE.port }),
    counted: 'foreign',
  },
];

describe('dsr mode: only the Ethernet addresses change', () => {
  checkRows(rows.map(row => ({ ...row, bed: { ...DSR, ...row.bed } })));

  it('waits until the next hop is resolved', () => {
    const bed = new LaneBed({ ...DSR, resolved: false });
    expect(bed.hear('client', request(GET)).counted).toMatchObject({ parked: 1, reads: 1 });
    bed.resolve(MC1);
    const { sent, counted } = bed.wait(20);
    expect(counted).toEqual({ requests: 1, parked_sent: 1 });
    expect(sent.map(({ frame }) => hex(frame))).toEqual([hex(request(GET, LINK))]);
  });

  it('takes no slot: of any number of requests none is refused, and none is awaited', () => {
    const bed = new LaneBed(DSR);
    for (let n = 0; n < 3000; n++) expect(bed.hear('client', request(GET)).counted.requests).toBe(1);
    expect([...bed.lane().path.memory.nodeCounters.slice(0, 6)]).toEqual([3000, 0, 3000 * 15, 0, 3000, 0]);
  });

  it('keys of a multi-key request are asked for from our own address', () => {
    const bed = new LaneBed(DSR);
    const { sent } = bed.hear('client', request('get a b\r\n'));
    const own = hex(Uint8Array.from(OWN.split('.').map(Number)));
    expect(sent.map(({ frame }) => hex(frame.subarray(26, 30)))).toEqual([own, own]);
    bed.hear('server', reply('END\r\n', { slot: 0 }));
    expect(bed.hear('server', reply('END\r\n', { slot: 1 })).counted.multiget_answers).toBe(1);
  });
});
