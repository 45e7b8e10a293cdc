/** What Keysteer answers itself: version, mn, noop, stats, exact to the byte. */
import { describe, expect, it } from 'vitest';
import { LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import { ipv4Bytes } from '../support/frames.ts';
import {
  ALICE,
  BED_PID,
  BED_TIME_ORIGIN,
  BED_VERSION,
  type BedNode,
  BOB,
  binaryRequest,
  binaryResponse,
  CLIENT_ID,
  errorAnswer,
  LaneBed,
  MC1,
  MC2,
  MEMCACHED_PORT,
  partialFlags,
  reply,
  request,
  type Sent,
} from '../support/lane-bed.ts';
import { decodeReplyDatagram, decodeStrict } from '../support/strict-decoder.ts';
import { checkRows, type Row } from './rows.ts';

function answered(name: string, body: string, answer: string, row: Partial<Row> = {}): Row {
  const out = ['client', errorAnswer(answer)] as const;
  return { name, frame: request(body), counted: 'local_answers', out, ...row };
}

describe('version, mn, noop', () => {
  checkRows([
    answered('version', 'version\r\n', `VERSION ${BED_VERSION}\r\n`),
    answered('version, with words behind it', 'version of what\n', `VERSION ${BED_VERSION}\r\n`),
    answered('mn', 'mn\r\n', 'MN\r\n'),
    answered(
      'binary noop',
      binaryRequest({ opcode: 0x0a, opaque: 'abcd' }),
      binaryResponse({ opcode: 0x0a, opaque: 'abcd' }),
    ),
    answered(
      'binary version',
      binaryRequest({ opcode: 0x0b, opaque: 'abcd' }),
      binaryResponse({ opcode: 0x0b, opaque: 'abcd', value: BED_VERSION }),
    ),
    answered('without nodes', 'mn\r\n', 'MN\r\n', { bed: { nodes: [] } }),
    answered('a partial checksum becomes a whole one', 'mn\r\n', 'MN\r\n', {
      frame: request('mn\r\n', { checksum: 'partial' }),
      flags: partialFlags(),
    }),
    answered('options of the packet are kept', 'mn\r\n', 'MN\r\n', {
      frame: request('mn\r\n', { options: [1, 1, 1, 0], padding: 7 }),
      out: ['client', errorAnswer('MN\r\n', { options: [1, 1, 1, 0] })],
    }),
    answered('in one-arm', 'mn\r\n', 'MN\r\n', { bed: { arms: 1 } }),
    {
      name: 'not to a server’s port: two servers must not talk for ever',
      frame: request('mn\r\n', { sport: MEMCACHED_PORT }),
      counted: 'refused_denied',
    },
    {
      name: 'not where the frame has no room',
      frame: request('mn\r\n'),
      bed: { clientMtu: 128 },
      counted: 'local_answers answers_withheld',
    },
  ]);
});

/** The figures of a reply in whichever protocol, its datagrams put together. */
function figuresOf(sent: readonly Sent[]): Map<string, string> {
  const text = textOf(sent);
  if (text.startsWith('\x81')) return new Map(packets(text));
  expect(text).toMatch(/^(STAT \S+ [^\r\n]*\r\n)*END\r\n$/);
  return new Map([...text.matchAll(/STAT (\S+) ([^\r\n]*)\r\n/g)].map(([, name, value]) => [name!, value!]));
}

function textOf(sent: readonly Sent[]): string {
  const datagrams = sent.map(({ side, frame, flags }) => {
    expect([side, flags]).toEqual(['client', 0]);
    const udp = decodeStrict(frame);
    if (udp.kind !== 'udp') throw new Error(`a ${udp.kind} left`);
    const header = new DataView(udp.payload.buffer, udp.payload.byteOffset);
    decodeReplyDatagram(udp.payload);
    expect(udp.payload.length).toBeLessThanOrEqual(1400);
    expect(header.getUint16(0)).toBe(CLIENT_ID);
    return { sequence: header.getUint16(2), total: header.getUint16(4), body: Buffer.from(udp.payload.slice(8)) };
  });
  expect(datagrams.map(({ sequence }) => sequence)).toEqual(datagrams.map((_, n) => n));
  for (const { total } of datagrams) expect(total).toBe(datagrams.length);
  return Buffer.concat(datagrams.map(({ body }) => body)).toString('latin1');
}

function packets(text: string): [string, string][] {
  const bytes = Buffer.from(text, 'latin1');
  const found: [string, string][] = [];
  for (let at = 0; at < bytes.length; ) {
    const key = at + 24 + bytes.readUInt16BE(at + 2);
    const end = at + 24 + bytes.readUInt32BE(at + 8);
    expect(bytes.subarray(at, at + 2)).toEqual(Buffer.from([0x81, 0x10]));
    expect(bytes.toString('latin1', at + 12, at + 16)).toBe('op4q');
    found.push([bytes.toString('latin1', at + 24, key), bytes.toString('latin1', key, end)]);
    at = end;
  }
  expect(found.at(-1)).toEqual(['', '']);
  return found.slice(0, -1);
}

/** A node's line in `stats nodes`. */
const nodeLine = (name: string, ip: string, requests: number, replies: number) =>
  `STAT ${name} ${ip}:11211 weight=1 requests=${requests} replies=${replies}\r\n`;

describe('stats', () => {
  it.each([
    ['ASCII', 'stats\r\n'],
    ['binary', binaryRequest({ opcode: 0x10 })],
  ])('tells the balancer’s own figures, %s', (_, body) => {
    const bed = new LaneBed({ startMs: 12_345_678, slots: 1024 });
    bed.hear('client', [request('get k\r\n'), request('delete k\r\n'), request('frob\r\n'), request('mn\r\n')]);
    bed.hear('server', [reply('END\r\n', { slot: 0 }), reply('x', { slot: 7 })]);
    const { sent, counted } = bed.hear('client', request(body));
    expect(counted).toEqual({ local_answers: 1 });
    const figures = figuresOf(sent);
    expect(Object.fromEntries(figures)).toEqual({
      pid: `${BED_PID}`,
      uptime: '12345',
      time: `${BED_TIME_ORIGIN / 1000 + 12_345}`,
      version: BED_VERSION,
      pointer_size: '64',
      threads: '1',
      cmd_get: '1',
      cmd_set: '1',
      total_requests: '4',
      bytes_read: `${8 + 7 + 8 + 10}`,
      bytes_written: `${8 + 5}`,
      curr_items: '0',
      limit_maxbytes: '0',
      keysteer_nodes: '1',
      keysteer_slots: '1024',
      keysteer_dropped: '1',
      keysteer_refused: '1',
      keysteer_requests: '2',
      keysteer_reads: '1',
      keysteer_writes: '1',
      keysteer_replies: '1',
      keysteer_local_answers: '1',
      keysteer_error_answers: '1',
      keysteer_refused_verb: '1',
      keysteer_drop_reply_no_slot: '1',
      keysteer_cycles: '2',
    });
    expect(bed.unaccounted()).toBe(0);
  });

  it('sums over lanes', () => {
    const bed = new LaneBed({ lanes: 3 });
    for (const lane of [0, 1, 1, 2]) bed.hear('client', request('get k\r\n'), { lane });
    bed.hear('server', reply('END\r\n', { dport: 20_002 }), { lane: 2 });
    const figures = figuresOf(bed.hear('client', request('stats\r\n'), { lane: 1 }).sent);
    expect([figures.get('cmd_get'), figures.get('threads')]).toEqual(['4', '3']);
    expect([figures.get('keysteer_replies'), figures.get('keysteer_slots')]).toEqual(['1', '3072']);
    const nodes = textOf(bed.hear('client', request('stats nodes\r\n'), { lane: 0 }).sent);
    expect(nodes).toBe(`${nodeLine('mc1', MC1.ip, 4, 1)}END\r\n`);
  });

  it('uptime and time go on when the ms clock has wrapped', () => {
    const bed = new LaneBed({ startMs: 2 ** 32 + 5000 });
    const figures = figuresOf(bed.hear('client', request('stats\r\n')).sent);
    expect(figures.get('uptime')).toBe(`${Math.floor((2 ** 32 + 5000) / 1000)}`);
  });

  it.each([
    ['ASCII', 'stats\r\n'],
    ['binary', binaryRequest({ opcode: 0x10 })],
  ])('that do not fit one datagram come in several, %s', (_, body) => {
    const bed = new LaneBed();
    bed.lane().path.memory.counters.fill(123_456_789_012);
    const { sent, counted } = bed.hear('client', request(body, { client: BOB }));
    expect(sent.length).toBeGreaterThan(2);
    expect(counted).toEqual({ local_answers: 1 });
    const figures = figuresOf(sent);
    expect(LANE_COUNTERS.filter(name => !figures.get(`keysteer_${name}`)?.startsWith('12345678901'))).toEqual([]);
    for (const { frame } of sent) {
      const udp = decodeStrict(frame);
      if (udp.kind === 'udp') expect([udp.dst, udp.dport]).toEqual([BOB.ip, BOB.port]);
      expect([...frame.slice(0, 6)]).toEqual([2, 0, 0, 0, 0, 2]);
    }
  });

  it('are cut to a small MTU', () => {
    const bed = new LaneBed({ clientMtu: 576 });
    const { sent } = bed.hear('client', request('stats\r\n'));
    expect(sent.length).toBeGreaterThan(0);
    for (const { frame } of sent) expect(frame.length).toBeLessThanOrEqual(590);
    expect(figuresOf(sent).get('pid')).toBe(`${BED_PID}`);
  });

  checkRows([
    ...['items', 'slabs', 'sizes', 'conns'].map(word => answered(`of ${word}: none`, `stats ${word}\r\n`, 'END\r\n')),
    answered('settings', 'stats settings\r\n', 'STAT udpport 11211\r\nSTAT tcpport 0\r\nSTAT num_threads 1\r\nEND\r\n'),
    answered('more words are passed over', 'stats sizes please\r\n', 'END\r\n'),
    answered(
      'binary, nothing to tell',
      binaryRequest({ opcode: 0x10, key: 'items' }),
      binaryResponse({ opcode: 0x10 }),
    ),
    answered('of no nodes', 'stats nodes\r\n', 'END\r\n', { bed: { nodes: [] } }),
    answered('of nodes', 'stats nodes\r\n', `${nodeLine('mc1', MC1.ip, 0, 0)}${nodeLine('two', MC2.ip, 0, 0)}END\r\n`, {
      bed: { nodes: [MC1, { ...MC2, name: 'two' }] },
    }),
    ...['reset', 'detail on', 'itemsx', 'item', 'locatex k'].map(
      (word): Row => ({
        name: `${word}: as memcached answers what it does not know`,
        frame: request(`stats ${word}\r\n`),
        counted: 'refused_stat error_answers',
        out: ['client', errorAnswer('ERROR\r\n')],
      }),
    ),
  ]);

  it('of many nodes with long names come in several datagrams', () => {
    const nodes = Array.from({ length: 16 }, (_, n) => ({
      ...MC1,
      ip: `10.77.1.${n + 11}`,
      name: `n${n}`.padEnd(64, 'x'),
    }));
    const { sent } = new LaneBed({ nodes }).hear('client', request('stats nodes\r\n'));
    expect(sent.length).toBe(2);
    expect([...figuresOf(sent).keys()]).toEqual(nodes.map(({ name }) => name));
  });
});

describe('stats locate', () => {
  const nodes: BedNode[] = [MC1, MC2, { ...MC1, ip: '10.77.1.13' }];

  it.each([
    ['a key', 'k', 'locate k'],
    ['a key with a control byte', 'k\x10', 'locate k\x10'],
    ['with spaces', 'k', '  locate   k  '],
    ['a long key', 'k'.repeat(250), `locate ${'k'.repeat(250)}`],
  ])('names the node that %s goes to, and its address', (_, key, words) => {
    for (const suffix of ['1', '2', '3', '4', '5']) {
      const bed = new LaneBed({ nodes });
      const asked = key.length < 250 ? `${key}${suffix}` : key;
      const [frame] = bed.hear('client', request(`get ${asked}\r\n`)).sent;
      const line = words.trimEnd() + (key.length < 250 ? suffix : '') + (words.endsWith(' ') ? '  ' : '');
      const figures = figuresOf(bed.hear('client', request(`stats ${line}\r\n`)).sent);
      const ip = [...frame!.frame.slice(30, 34)].join('.');
      const node = nodes.findIndex(candidate => candidate.ip === ip);
      expect(Object.fromEntries(figures)).toEqual({ node: `mc${node + 1}`, address: `${ip}:11211` });
      expect(ipv4Bytes(ip)).toHaveLength(4);
    }
  });

  it('binary, a key of any bytes', () => {
    const key = 'a b\0\r\n';
    const bed = new LaneBed({ nodes });
    const [frame] = bed.hear('client', request(binaryRequest({ opcode: 0, key }))).sent;
    const body = binaryRequest({ opcode: 0x10, key: `locate ${key}` });
    const figures = figuresOf(bed.hear('client', request(body, { client: ALICE })).sent);
    expect(figures.get('address')).toBe(`${[...frame!.frame.slice(30, 34)].join('.')}:11211`);
  });

  const refused = (name: string, body: string, reason: string, answer: string, bed = {}): Row => {
    const out = ['client', errorAnswer(answer)] as const;
    return { name, frame: request(body), counted: `refused_${reason} error_answers`, out, bed };
  };
  checkRows([
    refused('without a key', 'stats locate\r\n', 'arguments', 'ERROR\r\n'),
    refused('without a key, spaces', 'stats locate   \r\n', 'arguments', 'ERROR\r\n'),
    refused('a key too long', `stats locate ${'k'.repeat(251)}\r\n`, 'key', 'CLIENT_ERROR bad command line format\r\n'),
    refused('no node', 'stats locate k\r\n', 'no_node', 'SERVER_ERROR no node available\r\n', { nodes: [] }),
    refused(
      'binary without a key',
      binaryRequest({ opcode: 0x10, key: 'locate ' }),
      'arguments',
      binaryResponse({ opcode: 0x10, status: 4, value: 'ERROR' }),
    ),
  ]);
});
