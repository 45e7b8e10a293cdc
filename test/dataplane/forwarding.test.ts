/** Requests that travel on: in-frame, counters, out-frame, exact to the byte. */
import { describe, it } from 'vitest';
import { BOB, binaryRequest, MC1, partialFlags, request, toNode } from '../support/lane-bed.ts';
import { checkRow, checkRows, type Row } from './rows.ts';

const READ = 'requests reads';
const WRITE = 'requests writes';

/** Flags 0, no expiry. */
const STORE_EXTRAS = '\0'.repeat(8);
/** Delta 1, initial 0, never create. */
const DELTA_EXTRAS = `${'\0'.repeat(7)}\x01${'\0'.repeat(8)}\xff\xff\xff\xff`;

describe('a request of every single-key verb goes to its node', () => {
  it.each<[string, string, string]>([
    ['classic get', 'get k\r\n', READ],
    ['classic get with a bare LF', 'get k\n', READ],
    ['classic get with extra spaces', 'get   k  \r\n', READ],
    ['classic gets', 'gets some:key\r\n', READ],
    ['classic get, longest key', `get ${'k'.repeat(250)}\r\n`, READ],
    ['classic gat', 'gat 60 k\r\n', WRITE],
    ['classic gats', 'gats 60 k\r\n', WRITE],
    ['classic set', 'set k 0 0 3\r\nabc\r\n', WRITE],
    ['classic set of nothing', 'set k 0 0 0\r\n\r\n', WRITE],
    ['classic set, noreply', 'set k 0 0 3 noreply\r\nabc\r\n', WRITE],
    ['classic set of bytes that look like a command', 'set k 0 0 12\r\nget x\r\nget y\r\n', WRITE],
    ['classic add', 'add k 1 0 1\r\nx\r\n', WRITE],
    ['classic replace', 'replace k 1 0 1\r\nx\r\n', WRITE],
    ['classic append', 'append k 0 0 1\r\nx\r\n', WRITE],
    ['classic prepend', 'prepend k 0 0 1\r\nx\r\n', WRITE],
    ['classic cas', 'cas k 0 0 1 18446744073709551615\r\nx\r\n', WRITE],
    ['classic incr', 'incr k 1\r\n', WRITE],
    ['classic decr', 'decr k 1 noreply\r\n', WRITE],
    ['classic delete', 'delete k\r\n', WRITE],
    ['classic touch', 'touch k 60\r\n', WRITE],
    ['meta get', 'mg k t f v\r\n', READ],
    ['meta get that touches', 'mg k T60 v\r\n', WRITE],
    ['meta get, quiet, with an opaque', 'mg k v q O123\r\n', READ],
    ['meta get, base64 key', 'mg a2V5 b v\r\n', READ],
    ['meta set', 'ms k 3 T60 F0\r\nabc\r\n', WRITE],
    ['meta delete', 'md k\r\n', WRITE],
    ['meta arithmetic', 'ma k D5\r\n', WRITE],
    ['binary get', binaryRequest({ opcode: 0x00, key: 'k' }), READ],
    ['binary getq', binaryRequest({ opcode: 0x09, key: 'k' }), READ],
    ['binary getk', binaryRequest({ opcode: 0x0c, key: 'k' }), READ],
    ['binary getkq', binaryRequest({ opcode: 0x0d, key: 'k' }), READ],
    ['binary get, a key with control bytes', binaryRequest({ opcode: 0x00, key: '\0 \n' }), READ],
    ['binary set', binaryRequest({ opcode: 0x01, extras: STORE_EXTRAS, key: 'k', value: 'abc' }), WRITE],
    ['binary add', binaryRequest({ opcode: 0x02, extras: STORE_EXTRAS, key: 'k', value: 'abc' }), WRITE],
    ['binary replace', binaryRequest({ opcode: 0x03, extras: STORE_EXTRAS, key: 'k', value: 'abc' }), WRITE],
    ['binary setq', binaryRequest({ opcode: 0x11, extras: STORE_EXTRAS, key: 'k', value: 'abc' }), WRITE],
    ['binary append', binaryRequest({ opcode: 0x0e, key: 'k', value: 'abc' }), WRITE],
    ['binary prepend', binaryRequest({ opcode: 0x0f, key: 'k', value: 'abc' }), WRITE],
    ['binary delete', binaryRequest({ opcode: 0x04, key: 'k' }), WRITE],
    ['binary increment', binaryRequest({ opcode: 0x05, extras: DELTA_EXTRAS, key: 'k' }), WRITE],
    ['binary decrement', binaryRequest({ opcode: 0x06, extras: DELTA_EXTRAS, key: 'k' }), WRITE],
    ['binary touch', binaryRequest({ opcode: 0x1c, extras: '\0\0\0\x3c', key: 'k' }), WRITE],
    ['binary gat', binaryRequest({ opcode: 0x1d, extras: '\0\0\0\x3c', key: 'k' }), WRITE],
  ])('%s', (name, body, counted) => {
    checkRow({ name, frame: request(body), counted, out: ['server', toNode(body)] });
  });
});

const GET = 'get k\r\n';
const NOPS = [1, 1, 1, 0];

const requests: readonly Row[] = [
  {
    name: 'from another client',
    frame: request(GET, { client: BOB, sport: 65_535 }),
    counted: READ,
    out: ['server', toNode(GET)],
  },
  {
    name: 'the second of two takes the next slot',
    after: [request(GET)],
    frame: request('get other\r\n'),
    counted: READ,
    out: ['server', toNode('get other\r\n', { slot: 1 })],
  },
  {
    name: 'slot 65,536 has the next source port, and id 0',
    bed: { slots: 131_072, firstSlot: 65_536 },
    frame: request(GET),
    counted: READ,
    out: ['server', toNode(GET, { slot: 65_536 })],
  },
  {
    name: 'to a node on a port of its own',
    bed: { nodes: [{ ...MC1, port: 22_122 }] },
    frame: request(GET),
    counted: READ,
    out: ['server', toNode(GET, { dport: 22_122 })],
  },
  {
    name: 'through a gateway: its Ethernet address, the node’s IPv4 address',
    bed: { nodes: [{ ...MC1, ip: '10.9.9.9', via: '10.77.1.254' }] },
    frame: request(GET),
    counted: READ,
    out: ['server', toNode(GET, { dst: '10.9.9.9' })],
  },
  {
    name: 'a sequence other than 0, which memcached does not look at',
    frame: request(GET, { sequence: 3 }),
    counted: READ,
    out: ['server', toNode(GET, { sequence: 3 })],
  },
  {
    name: 'IPv4 options stay, IHL 6',
    frame: request(GET, { options: NOPS }),
    counted: READ,
    out: ['server', toNode(GET, { options: NOPS })],
  },
  {
    name: '40 bytes of IPv4 options, IHL 15',
    frame: request(GET, { options: Array(40).fill(1) }),
    counted: READ,
    out: ['server', toNode(GET, { options: Array(40).fill(1) })],
  },
  {
    name: 'identification and a clear don’t-fragment bit stay',
    frame: request(GET, { identification: 0xabcd, dontFragment: false }),
    counted: READ,
    out: ['server', toNode(GET, { identification: 0xabcd, dontFragment: false })],
  },
  {
    name: 'trailer padding travels along and is in no length',
    frame: request(GET, { padding: 18 }),
    counted: READ,
    out: ['server', toNode(GET, { padding: 18 })],
  },
  {
    name: 'the last hop but one: TTL 2 leaves as 1',
    frame: request(GET, { ttl: 2 }),
    counted: READ,
    out: ['server', toNode(GET, { ttl: 1 })],
  },
  {
    name: 'TTL 255 leaves as 254',
    frame: request(GET, { ttl: 255 }),
    counted: READ,
    out: ['server', toNode(GET, { ttl: 254 })],
  },
  {
    name: 'without a UDP checksum: none is made up',
    frame: request(GET, { checksum: 'zero' }),
    counted: READ,
    out: ['server', toNode(GET, { checksum: 'zero' })],
  },
  {
    name: 'a partial UDP checksum stays partial, of the new addresses',
    frame: request(GET, { checksum: 'partial' }),
    flags: partialFlags(),
    counted: READ,
    out: ['server', toNode(GET, { checksum: 'partial' })],
    outFlags: partialFlags(),
  },
  {
    name: 'a partial UDP checksum behind IPv4 options',
    frame: request(GET, { checksum: 'partial', options: NOPS }),
    flags: partialFlags(38),
    counted: READ,
    out: ['server', toNode(GET, { checksum: 'partial', options: NOPS })],
    outFlags: partialFlags(38),
  },
  {
    name: 'the largest frame of the MTU',
    frame: request(`set k 0 0 1442\r\n${'v'.repeat(1442)}\r\n`),
    counted: WRITE,
    out: ['server', toNode(`set k 0 0 1442\r\n${'v'.repeat(1442)}\r\n`)],
  },
];

describe('a request', () => {
  checkRows(requests);
});
