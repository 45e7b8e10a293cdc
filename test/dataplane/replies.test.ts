/** Which replies reach which client: in-frame, counter, out-frame, exact to the byte. */
import { describe, expect, it } from 'vitest';
import {
  ALICE,
  BOB,
  binaryRequest,
  binaryResponse,
  CLIENT_ID,
  LaneBed,
  MC1,
  MC2,
  OWN,
  partialFlags,
  reply,
  request,
  toClient,
} from '../support/lane-bed.ts';
import { checkRows, type Row } from './rows.ts';

const GET = 'get k\r\n';
const VALUE = 'VALUE k 0 3\r\nabc\r\nEND\r\n';
const META_GET = 'mg k k v O9\r\n';
const BINARY_GETK = binaryRequest({ opcode: 0x0c, key: 'k' });
const NOPS = [1, 1, 1, 0];

type ReplyRow = Omit<Row, 'counted'> & { readonly asked?: string; readonly counted?: string };

/** A reply to one outstanding request, `get k` unless said otherwise. */
function answering({ asked = GET, ...row }: ReplyRow): Row {
  return { at: 'server', after: [request(asked)], counted: 'replies', ...row };
}

describe('a reply to an outstanding request reaches its client', () => {
  const passing: ReplyRow[] = [
    { name: 'a value', frame: reply(VALUE), out: ['client', toClient(VALUE)] },
    { name: 'a miss', frame: reply('END\r\n'), out: ['client', toClient('END\r\n')] },
    { name: 'an error line', frame: reply('SERVER_ERROR x\r\n'), out: ['client', toClient('SERVER_ERROR x\r\n')] },
    { name: 'nothing behind the frame header', frame: reply(''), out: ['client', toClient('')] },
    {
      name: 'STORED',
      asked: 'set k 0 0 1\r\nx\r\n',
      frame: reply('STORED\r\n'),
      out: ['client', toClient('STORED\r\n')],
    },
    {
      name: 'a meta value that names its key',
      asked: META_GET,
      frame: reply('VA 1 kk O9\r\nx\r\n'),
      out: ['client', toClient('VA 1 kk O9\r\nx\r\n')],
    },
    {
      name: 'a meta miss',
      asked: META_GET,
      frame: reply('EN\r\n'),
      out: ['client', toClient('EN\r\n')],
    },
    {
      name: 'a meta value that names its key in base64, asked for so',
      asked: 'mg a2V5 b k v\r\n',
      frame: reply('VA 1 ka2V5 b\r\nx\r\n'),
      out: ['client', toClient('VA 1 ka2V5 b\r\nx\r\n')],
    },
    {
      name: 'a binary value that names its key',
      asked: BINARY_GETK,
      frame: reply(binaryResponse({ opcode: 0x0c, extras: '\0\0\0\0', key: 'k', value: 'abc' })),
      out: ['client', toClient(binaryResponse({ opcode: 0x0c, extras: '\0\0\0\0', key: 'k', value: 'abc' }))],
    },
    {
      name: 'IPv4 options and trailer padding stay',
      frame: reply(VALUE, { options: NOPS, padding: 2 }),
      out: ['client', toClient(VALUE, { options: NOPS, padding: 2 })],
    },
    {
      name: 'without a UDP checksum',
      frame: reply(VALUE, { checksum: 'zero' }),
      out: ['client', toClient(VALUE, { checksum: 'zero' })],
    },
    {
      name: 'with a partial UDP checksum',
      frame: reply(VALUE, { checksum: 'partial' }),
      flags: partialFlags(),
      out: ['client', toClient(VALUE, { checksum: 'partial' })],
      outFlags: partialFlags(),
    },
    {
      name: 'the last hop but one',
      frame: reply(VALUE, { ttl: 2 }),
      out: ['client', toClient(VALUE, { ttl: 1 })],
    },
    {
      name: 'to the second client, who asked under the same id from the same port',
      after: [request(GET), request(GET, { client: BOB })],
      frame: reply(VALUE, { slot: 1 }),
      out: ['client', toClient(VALUE, { client: BOB })],
    },
    {
      name: 'slot 65,536: the second source port, id 0',
      bed: { slots: 131_072, firstSlot: 65_536 },
      frame: reply(VALUE, { slot: 65_536 }),
      out: ['client', toClient(VALUE)],
    },
    {
      name: 'any datagram of several: only the first can name a key',
      frame: reply('VALUE other 0 3\r\n', { sequence: 1, total: 2 }),
      out: ['client', toClient('VALUE other 0 3\r\n', { sequence: 1, total: 2 })],
    },
  ];
  checkRows(passing.map(answering));
});

describe('a reply that is not what was asked for goes nowhere', () => {
  const refused: ReplyRow[] = [
    { name: 'from another address', frame: reply(VALUE, { src: MC2.ip }), counted: 'drop_reply_wrong_node' },
    { name: 'from another port', frame: reply(VALUE, { sport: 11_212 }), counted: 'drop_reply_wrong_node' },
    { name: 'for a slot never taken', frame: reply(VALUE, { slot: 1 }), counted: 'drop_reply_no_slot' },
    { name: 'for an id beyond the table', frame: reply(VALUE, { slot: 1024 }), counted: 'drop_reply_no_slot' },
    { name: 'to a port above ours', frame: reply(VALUE, { dport: 20_001 }), counted: 'drop_reply_no_slot' },
    { name: 'to a port below ours', frame: reply(VALUE, { dport: 19_998 }), counted: 'drop_reply_no_slot' },
    {
      name: 'the VIP’s own port on the server side',
      frame: reply(VALUE, { dport: 11_211 }),
      counted: 'drop_reply_no_slot',
    },
    { name: 'datagram 1 of 1', frame: reply(VALUE, { sequence: 1 }), counted: 'drop_reply_framing' },
    { name: 'datagram 3 of 3', frame: reply(VALUE, { sequence: 3, total: 3 }), counted: 'drop_reply_framing' },
    { name: 'datagram 0 of 0', frame: reply('', { total: 0 }), counted: 'drop_reply_framing' },
    {
      name: 'a value under another key',
      frame: reply('VALUE j 0 3\r\nabc\r\nEND\r\n'),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'a value under another key, the first datagram of two',
      frame: reply('VALUE j 0 3000\r\nabc', { total: 2 }),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'a value under a key that only begins the same',
      frame: reply('VALUE kk 0 3\r\nabc\r\nEND\r\n'),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'a meta value under another key',
      asked: META_GET,
      frame: reply('VA 1 kj O9\r\nx\r\n'),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'a meta value under another key in base64',
      asked: 'mg a2V5 b k v\r\n',
      frame: reply('VA 1 kb3RoZXI= b\r\nx\r\n'),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'a meta value under the letters of the base64 key, as if they were the key',
      asked: 'mg a2V5 b k v\r\n',
      frame: reply('VA 1 ka2V5\r\nx\r\n'),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'a meta value under a base64 key that is none',
      asked: 'mg a2V5 b k v\r\n',
      frame: reply('VA 1 ka2V5= b\r\nx\r\n'),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'a binary value under another key',
      asked: BINARY_GETK,
      frame: reply(binaryResponse({ opcode: 0x0c, extras: '\0\0\0\0', key: 'j', value: 'abc' })),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'the value another client asked for, under this client’s slot',
      after: [request(GET), request('get j\r\n', { client: BOB })],
      frame: reply('VALUE j 0 3\r\nabc\r\nEND\r\n', { slot: 0 }),
      counted: 'drop_reply_wrong_key',
    },
    {
      name: 'from the wrong one of two nodes',
      bed: { nodes: [MC1, { ...MC2, weight: 0 }] },
      frame: reply(VALUE, { node: MC2 }),
      counted: 'drop_reply_wrong_node',
    },
    { name: 'to our address on the client side', at: 'client', frame: reply(VALUE), counted: 'foreign' },
    {
      name: 'to our address on the client side, in a frame to that port',
      at: 'client',
      frame: reply(VALUE, { dstMac: '02:4b:00:00:00:0a' }),
      counted: 'foreign',
    },
  ];
  checkRows(refused.map(answering));
});

describe('a reply and time', () => {
  it.each([
    ['at the end of its lifetime', 1000, { replies: 1 }],
    ['a millisecond later', 1001, { drop_reply_late: 1 }],
    ['after an hour and a quarter, when the µs clock has wrapped', 4_296_000, { drop_reply_late: 1 }],
    ['after forty minutes, half of that', 2_400_000, { drop_reply_late: 1 }],
  ])('%s', (_, ms, counted) => {
    const bed = new LaneBed({ replyLifetimeMs: 1000 });
    bed.hear('client', request(GET));
    bed.nowMs += ms;
    expect(bed.hear('server', reply(VALUE)).counted).toMatchObject(counted);
  });

  it('is measured across the wrap of the µs clock', () => {
    const bed = new LaneBed({ startMs: 2 ** 32 / 1000 - 0.5 });
    bed.hear('client', request(GET));
    bed.nowMs += 1;
    expect(bed.hear('server', reply(VALUE)).sent).toHaveLength(1);
  });

  it('a single reply is taken once, its duplicate is not', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    expect(bed.hear('server', [reply(VALUE), reply(VALUE)]).counted).toEqual({ replies: 1, drop_reply_no_slot: 1 });
    expect(bed.hear('server', reply(VALUE)).counted).toEqual({ drop_reply_no_slot: 1 });
  });

  it('a wrong reply does not use up the slot: the right one still comes through', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    const wrong = [reply(VALUE, { sport: 1 }), reply('VALUE j 0 0\r\n\r\nEND\r\n'), reply('', { total: 0 })];
    expect(bed.hear('server', wrong).sent).toEqual([]);
    expect(bed.hear('server', reply(VALUE)).counted).toEqual({ replies: 1 });
  });

  it('a slot that moved on answers its new request only', () => {
    const bed = new LaneBed({ slots: 1, replyLifetimeMs: 100 });
    bed.hear('client', request('get old\r\n'));
    bed.nowMs += 101;
    bed.hear('client', request('get new\r\n', { client: BOB }));
    const late = reply('VALUE old 0 1\r\nx\r\nEND\r\n');
    expect(bed.hear('server', late)).toEqual({ sent: [], counted: { drop_reply_wrong_key: 1 } });
    const [sent] = bed.hear('server', reply('VALUE new 0 1\r\ny\r\nEND\r\n')).sent;
    expect(sent?.frame).toEqual(toClient('VALUE new 0 1\r\ny\r\nEND\r\n', { client: BOB }));
  });
});

describe('a value of 20,000 bytes', () => {
  const text = `VALUE k 0 20000\r\n${'0123456789'.repeat(2000)}\r\nEND\r\n`;
  /** memcached cuts at 1400 bytes, frame header included. */
  const pieces = text.match(/.{1,1392}/gs)!;
  const parts = (make: typeof reply) => {
    return pieces.map((piece, sequence) => make(piece, { sequence, total: pieces.length }));
  };

  it('comes back in 15 datagrams, each under the client’s id, in order', () => {
    expect(pieces).toHaveLength(15);
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    const { sent, counted } = bed.hear('server', parts(reply));
    expect(counted).toEqual({ replies: 15 });
    expect(sent.map(({ frame }) => frame)).toEqual(
      parts((body, fields) => toClient(body, { ...fields, id: CLIENT_ID })),
    );
  });

  it('in any order, one after the other', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    const shuffled = parts(reply).reverse();
    expect(shuffled.map(frame => bed.hear('server', frame).counted)).toEqual(Array(15).fill({ replies: 1 }));
  });

  it('its slot is not given away while datagrams may come', () => {
    const bed = new LaneBed({ slots: 2, replyLifetimeMs: 100 });
    bed.hear('client', request(GET));
    bed.hear('server', parts(reply)[0]!);
    bed.hear('client', request('get j\r\n', { client: BOB }));
    bed.hear('server', reply('END\r\n', { slot: 1 }));
    const { counted } = bed.hear('client', request('get j\r\n', { client: BOB }));
    expect(counted).toMatchObject({ slots_skipped: 1, requests: 1 });
    const [sent] = bed.hear('server', parts(reply)[1]!).sent;
    expect(sent?.frame).toEqual(toClient(pieces[1]!, { client: ALICE, sequence: 1, total: 15 }));
  });
});

describe('figures per node', () => {
  it('count requests, replies and their bytes, frame header included', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    bed.hear('server', reply(VALUE));
    expect([...bed.lane().path.memory.nodeCounters.slice(0, 4)]).toEqual([1, 1, 8 + GET.length, 8 + VALUE.length]);
  });

  it('a refused reply counts for none', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    bed.hear('server', reply(VALUE, { src: OWN }));
    bed.hear('server', reply(VALUE, { sport: 1 }));
    expect([...bed.lane().path.memory.nodeCounters.slice(0, 4)]).toEqual([1, 0, 8 + GET.length, 0]);
  });
});
