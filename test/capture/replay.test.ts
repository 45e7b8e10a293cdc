import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replayFile } from '../../src/capture/file.ts';
import { configFromFlags } from '../../src/control/config/load.ts';
import { PcapError } from '../../src/pcap/error.ts';
import { createCapture } from '../../src/pcap/writer.ts';
import { readAll } from '../pcap/memory-file.ts';
import { arpReply, arpRequest, icmpEcho } from '../support/frames.ts';
import {
  ALICE,
  BOB,
  errorAnswer,
  judge,
  MC1,
  MC2,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  OWN,
  reply,
  request,
  toClient,
  toNode,
  VIP,
} from '../support/lane-bed.ts';
import { at, everyMs, replayed, START_NS } from './captures.ts';
import { CONFIG, FLAGS } from './config.ts';

const VALUE = 'VALUE user:7 0 3\r\nabc\r\nEND\r\n';
/** user:7 and k live on mc1, a on mc2. */
const ECHO = { src: ALICE.ip, srcMac: ALICE.mac, dst: VIP, dstMac: NF_CLIENT_MAC, identifier: 1, sequence: 1 };

function isArp(frame: Uint8Array): boolean {
  return frame[12] === 0x08 && frame[13] === 0x06;
}

describe('a capture through the lane', () => {
  test('requests and replies leave as from any lane, at the times of the capture', () => {
    const { sent, replay } = replayed([
      at(0, request('get user:7\r\n')),
      at(0.25, reply(VALUE, { slot: 0 })),
      at(2, request('set user:7 0 0 3\r\nabc\r\n', { client: BOB })),
      at(3, request('set user:7 0 0 9\r\nabc\r\n')),
    ]);
    expect(sent.filter(({ bytes }) => !isArp(bytes))).toEqual([
      { side: 'server', ms: 0, bytes: toNode('get user:7\r\n') },
      { side: 'client', ms: 0.25, bytes: toClient(VALUE) },
      { side: 'server', ms: 2, bytes: toNode('set user:7 0 0 3\r\nabc\r\n', { slot: 1 }) },
      { side: 'client', ms: 3, bytes: errorAnswer('CLIENT_ERROR bad data chunk\r\n') },
    ]);
    expect(replay.counters).toMatchObject({ requests: 2, replies: 1, refused_length: 1, error_answers: 1 });
    expect(replay.nodes.map(({ name, counters }) => [name, counters.requests, counters.replies])).toEqual([
      ['mc1', 2, 1],
      ['mc2', 0, 0],
    ]);
  });

  test('a frame that Keysteer itself sent is passed over', () => {
    const { steps, replay } = replayed(
      everyMs([request('get user:7\r\n'), toNode('get user:7\r\n'), reply(VALUE), toClient(VALUE)]),
    );
    expect(steps.map(({ side }) => side)).toEqual(['client', undefined, 'server', undefined]);
    expect(replay.passedOver).toBe(2);
    expect(replay.counters).toMatchObject({ requests: 1, replies: 1 });
  });

  test.each<[what: string, frame: Uint8Array, side: string]>([
    ['to the virtual address', request('get k\r\n'), 'client'],
    ["to Keysteer's own address", reply('END\r\n'), 'server'],
    ['from a node to somebody else', reply('END\r\n', { dst: ALICE.ip }), 'server'],
    ['between others', request('get k\r\n', { dst: '10.77.0.9' }), 'client'],
    ['ARP for the virtual address', arpRequest({ senderIp: ALICE.ip, targetIp: VIP }), 'client'],
    ["ARP for Keysteer's own address", arpRequest({ senderIp: MC1.ip, targetIp: OWN }), 'server'],
    ['ARP of a node', arpRequest({ senderIp: MC1.ip, srcMac: MC1.mac, targetIp: MC2.ip }), 'server'],
    ['ARP between others', arpRequest({ senderIp: '10.0.0.1', targetIp: '10.0.0.2' }), 'client'],
    ['no header', Uint8Array.of(1, 2, 3), 'client'],
    ['neither IPv4 nor ARP', new Uint8Array(60).fill(0x77), 'client'],
  ])('%s: which port', (_what, frame, side) => {
    expect(replayed([at(0, frame)]).steps[0]!.side).toBe(side);
    expect(replayed([at(0, frame)], { side: 'server' }).steps[0]!.side).toBe('server');
  });

  test('one-arm: everything passes by one port', () => {
    const { server: _, serverAddress: __, ...flags } = FLAGS;
    const config = configFromFlags({ ...flags, clientAddress: '10.77.1.1/24' });
    const capture = everyMs([request('get user:7\r\n'), reply(VALUE, { dstMac: NF_CLIENT_MAC })]);
    const { sent, steps } = replayed(capture, { config });
    expect(steps.map(({ side }) => side)).toEqual(['client', 'server']);
    expect(sent.filter(({ bytes }) => !isArp(bytes))).toEqual([
      { side: 'client', ms: 0, bytes: toNode('get user:7\r\n', { srcMac: NF_CLIENT_MAC }) },
      { side: 'client', ms: 1, bytes: toClient(VALUE) },
    ]);
  });

  test("the ports' addresses are the configuration's, where it says them", () => {
    const config = configFromFlags({ ...FLAGS, clientMac: '02:00:00:00:00:77' });
    const frame = request('get k\r\n');
    expect(replayed([at(0, frame)], { config }).steps[0]!.outcome.counted).toEqual({ foreign: 1 });
    const heard = replayed([at(0, request('get k\r\n', { dstMac: '02:00:00:00:00:77' }))], { config });
    expect(heard.steps[0]!.outcome.counted).toMatchObject({ requests: 1 });
  });

  test('what the capture has cut, or was never one frame, is dropped', () => {
    const whole = request('get k\r\n');
    const long = request(`set k 0 0 3000\r\n${'v'.repeat(3000)}\r\n`);
    const { steps } = replayed([at(0, whole, { wireBytes: 900 }), at(1, long)]);
    expect(steps.map(({ outcome }) => outcome.counted)).toEqual([{ drop_truncated: 1 }, { drop_truncated: 1 }]);
  });

  test('partial checksums are taken as such, and leave whole', () => {
    const { sent } = replayed([
      at(0, request('get user:7\r\n', { checksum: 'partial' })),
      at(1, reply(VALUE, { checksum: 'partial' })),
      at(2, request('get user:7\r\n', { checksum: 'bad' })),
    ]);
    expect(sent.filter(({ bytes }) => !isArp(bytes)).map(({ bytes }) => bytes)).toEqual([
      toNode('get user:7\r\n'),
      toClient(VALUE),
    ]);
  });
});

describe('time', () => {
  test('a reply within its lifetime is accepted, one after it is not', () => {
    const config = configFromFlags({ ...FLAGS, replyLifetimeMs: 2000 });
    const late = (ms: number) =>
      replayed([at(0, request('get user:7\r\n')), at(ms, reply(VALUE))], { config }).steps[1]!.outcome.counted;
    expect(late(1990)).toMatchObject({ replies: 1 });
    expect(late(2010)).toMatchObject({ drop_reply_late: 1 });
    expect(late(100_000_000)).toMatchObject({ drop_reply_late: 1 });
  });

  test('goes on where the capture has none, and never goes back', () => {
    const { sent } = replayed([
      at(0, request('get user:7\r\n')),
      at(5, request('get user:7\r\n')),
      at(3, request('get user:7\r\n')),
      at(0, request('get user:7\r\n'), { timeNs: -1n }),
      at(6, request('get user:7\r\n')),
    ]);
    expect(sent.filter(({ bytes }) => !isArp(bytes)).map(({ ms }) => ms)).toEqual([0, 5, 5, 5, 6]);
  });

  test('a capture without times', () => {
    const { sent } = replayed(everyMs([request('get user:7\r\n')]).map(frame => ({ ...frame, timeNs: -1n })));
    expect(sent.filter(({ bytes }) => !isArp(bytes))).toHaveLength(1);
  });

  test("the lane's timers fire in between", () => {
    const config = { ...CONFIG, neighbours: { ...CONFIG.neighbours, retryMs: 200, retries: 3 } };
    const capture = [at(0, request('get user:7\r\n')), at(2000, request('get user:7\r\n'))];
    const { sent, replay } = replayed(capture, { config, macOfNodes: 'capture', finishMs: 1000 });
    const asked = sent.filter(({ bytes }) => isArp(bytes) && bytes[41] === 11).map(({ ms }) => Math.round(ms));
    expect(asked.slice(0, 3)).toEqual([0, 200, 400]);
    expect(asked.length).toBeGreaterThan(3);
    expect(replay.counters).toMatchObject({ parked: 2, drop_neighbour_unreachable: 2 });
  });
});

describe("the next hops' Ethernet addresses", () => {
  const requests = everyMs([request('get user:7\r\n'), request('get a\r\n')]);
  const destination = (bytes: Uint8Array) => Buffer.from(bytes.slice(0, 6)).toString('hex');

  test('auto: as the capture has them, else invented', () => {
    const { sent, replay } = replayed([...requests, at(2, reply('END\r\n'))]);
    const forwarded = sent.filter(({ bytes }) => !isArp(bytes));
    expect(forwarded.slice(0, 2).map(({ bytes }) => destination(bytes))).toEqual(['02000000010b', '024b0a4d010c']);
    expect(replay.answered).toEqual([
      { address: MC1.ip, mac: MC1.mac, isInvented: false },
      { address: MC2.ip, mac: '02:4b:0a:4d:01:0c', isInvented: true },
    ]);
  });

  test.each([
    ['an ARP reply', arpReply({ srcMac: MC2.mac, dstMac: NF_SERVER_MAC, senderIp: MC2.ip, targetIp: OWN })],
    ['a request of its own', arpRequest({ srcMac: MC2.mac, senderIp: MC2.ip, targetIp: '10.77.1.99' })],
    ['a frame sent to it', toNode('get x\r\n', { node: MC2, srcMac: '02:99:00:00:00:01' })],
    ['a frame from it', reply('END\r\n', { node: MC2 })],
  ])('capture: known from %s, anywhere in it', (_what, frame) => {
    const { sent } = replayed([...requests, at(2, frame)], { macOfNodes: 'capture' });
    const forwarded = sent.filter(({ side, bytes }) => side === 'server' && !isArp(bytes));
    expect(forwarded.map(({ bytes }) => destination(bytes))).toContain('02000000010c');
  });

  test('capture: a next hop that it does not know is not reached', () => {
    const { sent, replay } = replayed([...requests, at(2, reply('END\r\n'))], {
      macOfNodes: 'capture',
      finishMs: 5000,
    });
    expect(sent.filter(({ side, bytes }) => side === 'server' && !isArp(bytes))).toHaveLength(1);
    expect(replay.counters).toMatchObject({ requests: 1, drop_neighbour_unreachable: 1 });
  });

  test('synthetic: invented, whatever the capture says', () => {
    const { sent } = replayed([...requests, at(2, reply('END\r\n'))], { macOfNodes: 'synthetic' });
    const forwarded = sent.filter(({ bytes }) => !isArp(bytes));
    expect(forwarded.slice(0, 2).map(({ bytes }) => destination(bytes))).toEqual(['024b0a4d010b', '024b0a4d010c']);
  });
});

describe('whatever a capture holds', () => {
  const frames = [
    request('get user:7\r\n'),
    request('get a\r\n', { client: BOB }),
    request('get a b\r\n'),
    request('flush_all\r\n'),
    reply(VALUE),
    reply('END\r\n', { slot: 1, node: MC2 }),
    icmpEcho(ECHO),
    arpRequest({ srcMac: ALICE.mac, senderIp: ALICE.ip, targetIp: VIP }),
    arpReply({ srcMac: MC1.mac, dstMac: NF_SERVER_MAC, senderIp: MC1.ip, targetIp: OWN }),
  ];
  const change = fc.record({ position: fc.nat(2000), value: fc.integer({ min: 0, max: 255 }) });
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.tuple(fc.constantFrom(...frames), fc.array(change, { maxLength: 3 })).map(([original, changes]) => {
      const bytes = original.slice();
      for (const { position, value } of changes) bytes[position % bytes.length] = value;
      return bytes;
    }),
  );
  const capture = fc.array(fc.record({ bytes: frame, ms: fc.nat(100_000), cut: fc.boolean() }), { maxLength: 12 });

  test('it never throws, what it sends is right, and the same capture gives the same bytes', () => {
    fc.assert(
      fc.property(capture, rows => {
        const given = rows.map(({ bytes, ms, cut }) => at(ms, bytes, cut ? { wireBytes: bytes.length + 1 } : {}));
        const once = replayed(given, { finishMs: 100 });
        for (const { bytes, side } of once.sent) judge(bytes, 0, side);
        expect(replayed(given, { finishMs: 100 }).sent).toEqual(once.sent);
      }),
      { numRuns: 60 },
    );
  });
});

describe('files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-replay-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function write(name: string, capture: ReturnType<typeof everyMs>): string {
    const path = join(folder, name);
    const writer = createCapture(path);
    for (const frame of capture) writer.write(frame);
    writer.close();
    return path;
  }

  const exchange = everyMs([request('get user:7\r\n'), reply(VALUE), request('get k\r\n', { ttl: 1 })]);

  test.each(['out.pcap', 'out.pcapng'])('%s: frames, times, ports; twice the same bytes', name => {
    const out = join(folder, name);
    const summary = replayFile(CONFIG, write('in.pcapng', exchange), out, {});
    expect(summary).toMatchObject({ frames: 3, passedOver: 0, sent: { client: 1, server: 3 } });
    expect(summary.counters).toMatchObject({ requests: 1, replies: 1, drop_ttl_expired: 1 });
    const written = readAll(readFileSync(out)).filter(({ bytes }) => !isArp(bytes));
    const port = (n: number) => (name === 'out.pcap' ? 0 : n);
    expect(written.map(({ bytes, timeNs, interface: n }) => ({ bytes, timeNs, interface: n }))).toEqual([
      { bytes: toNode('get user:7\r\n'), timeNs: START_NS, interface: port(1) },
      { bytes: toClient(VALUE), timeNs: START_NS + 1_000_000n, interface: port(0) },
    ]);
    const again = join(folder, `again-${name}`);
    replayFile(CONFIG, write('in.pcap', exchange), again, {});
    expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
  });

  test('a broken capture: what came before the fault is written, then the fault is told', () => {
    const path = join(folder, 'cut.pcap');
    writeFileSync(path, readFileSync(write('whole.pcap', exchange)).subarray(0, -3));
    const out = join(folder, 'cut-out.pcap');
    expect(() => replayFile(CONFIG, path, out, {})).toThrow(PcapError);
    const written = readAll(readFileSync(out)).filter(({ bytes }) => !isArp(bytes));
    expect(written.map(({ bytes }) => bytes)).toEqual([toNode('get user:7\r\n'), toClient(VALUE)]);
  });

  test('no capture at all: nothing is written', () => {
    const path = join(folder, 'text');
    writeFileSync(path, 'This is no capture.');
    expect(() => replayFile(CONFIG, path, join(folder, 'never.pcap'), {})).toThrow(/text: byte 0: .* neither pcap/);
    expect(existsSync(join(folder, 'never.pcap'))).toBe(false);
  });

  test('an empty capture', () => {
    const out = join(folder, 'empty-out.pcap');
    const summary = replayFile(CONFIG, write('empty.pcap', []), out, {});
    expect(summary).toMatchObject({ frames: 0, sent: { client: 0, server: 2 } });
  });
});
