/** Datagrams larger than their way: fragmented, or, where "don't fragment" counts, dropped with word to the sender. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Identifications } from '../../src/dataplane/identifications.ts';
import { PATH_MTU_MIN, PathMtus } from '../../src/dataplane/path-mtus.ts';
import { hex, icmpUnreachable, wholeOf } from '../support/frames.ts';
import {
  ALICE,
  type BedOptions,
  BOB,
  judge,
  LaneBed,
  MC1,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  type Outcome,
  OWN,
  partialFlags,
  reply,
  request,
  toClient,
  toNode,
  VIP,
} from '../support/lane-bed.ts';
import { decodeStrict } from '../support/strict-decoder.ts';

const VALUE = 'v'.repeat(1200);
const STORE = `set k 0 0 1200\r\n${VALUE}\r\n`;
const FOUND = `VALUE k 0 1200\r\n${VALUE}\r\nEND\r\n`;
const ROUTER = { srcMac: '02:00:00:00:00:fe', src: '192.0.2.1' };

/** What left, put together again, apart from the identification and flags, which the NF gives. */
function sameDatagram({ sent }: Outcome, expected: Uint8Array): void {
  const whole = wholeOf(sent.map(({ frame }) => frame));
  judge(whole, 0, sent[0]!.side);
  const bare = (bytes: Uint8Array) => hex(Uint8Array.from(bytes).fill(0, 18, 22).fill(0, 24, 26));
  expect(bare(whole)).toBe(bare(expected));
}

/** Bytes of the IPv4 packets that left. */
const sizes = ({ sent }: Outcome) => sent.map(({ frame }) => frame.length - 14);
const pieced = (count: number) => ({ datagrams_fragmented: 1, fragments_sent: count });

describe('larger than the first hop', () => {
  it('a request, though it says “don’t fragment”', () => {
    const bed = new LaneBed({ serverMtu: 576 });
    const outcome = bed.hear('client', request(STORE));
    expect(outcome.counted).toEqual({ requests: 1, writes: 1, ...pieced(3) });
    expect(sizes(outcome)).toEqual([572, 572, 20 + 1234 - 2 * 552]);
    sameDatagram(outcome, toNode(STORE));
    expect(bed.unaccounted()).toBe(0);
  });

  it('a reply', () => {
    const bed = new LaneBed({ clientMtu: 600 });
    bed.hear('client', request('get k\r\n'));
    const outcome = bed.hear('server', reply(FOUND));
    expect(outcome.counted).toEqual({ replies: 1, ...pieced(3) });
    sameDatagram(outcome, toClient(FOUND));
    expect(bed.unaccounted()).toBe(0);
  });

  it('a reply with a partial checksum: nobody on its way could complete it, so it is complete', () => {
    const bed = new LaneBed({ clientMtu: 600 });
    bed.hear('client', request('get k\r\n'));
    const outcome = bed.hear('server', reply(FOUND, { checksum: 'partial' }), { flags: partialFlags() });
    expect(outcome.sent.map(({ flags }) => flags)).toEqual([0, 0, 0]);
    sameDatagram(outcome, toClient(FOUND));
  });

  it('a reply without a checksum stays without', () => {
    const bed = new LaneBed({ clientMtu: 600 });
    bed.hear('client', request('get k\r\n'));
    sameDatagram(bed.hear('server', reply(FOUND, { checksum: 'zero' })), toClient(FOUND, { checksum: 'zero' }));
  });

  it('only by the padding behind it: leaves whole, without it', () => {
    const bed = new LaneBed({ clientMtu: 576 });
    bed.hear('client', request('get k\r\n'));
    const { sent, counted } = bed.hear('server', reply('END\r\n', { padding: 600 }));
    expect(counted).toEqual({ replies: 1 });
    expect(hex(sent[0]!.frame)).toBe(hex(toClient('END\r\n')));
  });

  it('a parked request, once its next hop is known', () => {
    const bed = new LaneBed({ serverMtu: 576, resolved: false });
    bed.turn();
    expect(bed.hear('client', request(STORE)).counted).toMatchObject({ parked: 1 });
    bed.resolve(MC1);
    const outcome = bed.turn();
    expect(outcome.counted).toEqual({ requests: 1, parked_sent: 1, ...pieced(3) });
    sameDatagram(outcome, toNode(STORE));
  });

  it('exactly as large as it may be: leaves as it is', () => {
    const bed = new LaneBed({ serverMtu: request(STORE).length - 14 });
    expect(bed.hear('client', request(STORE)).counted).toEqual({ requests: 1, writes: 1 });
  });

  it('property: any MTU, any length, any options: the fragments make the datagram', () => {
    const options = fc.nat(10).map(words => Array(words * 4).fill(1));
    fc.assert(
      fc.property(fc.integer({ min: 68, max: 1400 }), fc.nat(1300), options, (serverMtu, length, nops) => {
        const bed = new LaneBed({ serverMtu });
        const body = `set k 0 0 ${length}\r\n${'v'.repeat(length)}\r\n`;
        const outcome = bed.hear('client', request(body, { options: nops }));
        expect(outcome.counted).toMatchObject({ requests: 1 });
        for (const size of sizes(outcome)) expect(size).toBeLessThanOrEqual(serverMtu);
        sameDatagram(outcome, toNode(body, { options: nops }));
      }),
      { numRuns: 150 },
    );
  });
});

describe('identifications', () => {
  it('differ from one datagram to the next, and between lanes', () => {
    const lanes = [0, 1, 2].map(lane => new Identifications(lane, 3, 99));
    const given = lanes.flatMap(lane => Array.from({ length: 16_384 }, () => lane.next(0x0a4d_0001)));
    expect(new Set(given).size).toBe(3 * 16_384);
  });

  it('one lane has them all', () => {
    const alone = new Identifications(0, 1, 1);
    expect(new Set(Array.from({ length: 65_536 }, () => alone.next(1))).size).toBe(65_536);
  });
});

const DF: BedOptions = { honoursDontFragment: true };

describe('where “don’t fragment” counts', () => {
  it('the client is told, exact to the byte', () => {
    const bed = new LaneBed({ ...DF, serverMtu: 576 });
    const asked = request(STORE);
    const { sent, counted } = bed.hear('client', asked);
    expect(counted).toEqual({ drop_too_big: 1, icmp_frag_needed_sent: 1 });
    const told = icmpUnreachable({
      srcMac: NF_CLIENT_MAC,
      dstMac: ALICE.mac,
      src: VIP,
      dst: ALICE.ip,
      mtu: 576,
      about: asked,
    });
    expect(sent.map(({ side, frame }) => [side, hex(frame)])).toEqual([['client', hex(told)]]);
    expect(decodeStrict(sent[0]!.frame)).toMatchObject({ kind: 'fragmentation needed', mtu: 576 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('a node is told, and its reply takes up no slot’s answer', () => {
    const bed = new LaneBed({ ...DF, clientMtu: 600 });
    bed.hear('client', request('get k\r\n'));
    const { sent, counted } = bed.hear('server', reply(FOUND));
    expect(counted).toEqual({ drop_too_big: 1, icmp_frag_needed_sent: 1 });
    expect(decodeStrict(sent[0]!.frame)).toMatchObject({ src: OWN, dst: MC1.ip, dstMac: MC1.mac, mtu: 600 });
    expect(bed.hear('server', reply('END\r\n')).counted).toEqual({ replies: 1 });
  });

  it('a datagram that may be fragmented is', () => {
    const bed = new LaneBed({ ...DF, serverMtu: 576 });
    expect(bed.hear('client', request(STORE, { dontFragment: false })).counted).toMatchObject({
      requests: 1,
      ...pieced(3),
    });
  });

  it('nobody is told more than 20 times at once and 100 times a second', () => {
    const bed = new LaneBed({ ...DF, serverMtu: 576 });
    const said = (count: number) => {
      let told = 0;
      for (let i = 0; i < count; i++) told += bed.hear('client', request(STORE)).counted.icmp_frag_needed_sent ?? 0;
      return told;
    };
    expect(said(60)).toBe(20);
    bed.nowMs += 100;
    expect(said(60)).toBe(10);
    bed.nowMs += 10_000;
    expect(said(60)).toBe(20);
    expect(bed.count('drop_too_big')).toBe(180);
  });
});

describe('a router says how wide a client’s path is', () => {
  /** Alice has asked and been answered; a router could not pass the answer on. */
  function told(changes: Partial<Parameters<typeof icmpUnreachable>[0]> = {}, bed = new LaneBed()) {
    bed.hear('client', request('get k\r\n'));
    bed.hear('server', reply(FOUND, { slot: 0 }));
    const about = changes.about ?? toClient(FOUND);
    return {
      bed,
      outcome: bed.hear(
        'client',
        icmpUnreachable({ ...ROUTER, dstMac: NF_CLIENT_MAC, dst: VIP, mtu: 600, about, ...changes }),
      ),
    };
  }

  function answered(bed: LaneBed, slot: number, client = ALICE): Outcome {
    bed.hear('client', request('get k\r\n', { client }));
    return bed.hear('server', reply(FOUND, { slot }));
  }

  it('from now on what is larger leaves in fragments, to this client alone', () => {
    const { bed, outcome } = told();
    expect(outcome).toEqual({ sent: [], counted: { path_mtu_learned: 1 } });
    const after = answered(bed, 1);
    expect(after.counted).toEqual({ replies: 1, ...pieced(3) });
    expect(Math.max(...sizes(after))).toBeLessThanOrEqual(600);
    sameDatagram(after, toClient(FOUND));
    expect(answered(bed, 2, BOB).counted).toEqual({ replies: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('for ten minutes', () => {
    const { bed } = told();
    bed.nowMs += 599_000;
    expect(answered(bed, 1).counted).toMatchObject({ replies: 1, datagrams_fragmented: 1 });
    bed.nowMs += 2_000;
    expect(answered(bed, 2).counted).toEqual({ replies: 1 });
  });

  it.each([
    ['no MTU, from an old router: 576', { mtu: 0 }, 572],
    ['less than 576: 576', { mtu: 68 }, 572],
    ['no more than the IPv4 header and 8 bytes', { quotedBytes: 28 }, 596],
  ])('with %s', (_, changes, largest) => {
    const { bed, outcome } = told(changes);
    expect(outcome.counted).toEqual({ path_mtu_learned: 1 });
    expect(Math.max(...sizes(answered(bed, 1)))).toBe(largest);
  });

  const body = FOUND;
  it.each([
    ['about a client that has not asked', { about: toClient(body, { client: BOB }) }],
    ['about another port of it', { about: toClient(body, { dport: 4001 }) }],
    ['about another port of ours', { about: toClient(body, { sport: 53 }) }],
    ['about what somebody else sent', { about: toClient(body, { src: '10.77.0.99' }) }],
    ['with an MTU above the size of what did not fit', { mtu: 1300 }],
    ['quoting too little', { quotedBytes: 27 }],
    ['with a bad checksum', { checksum: 'bad' as const }],
    ['with another code', { code: 3 }],
    ['about a later fragment', { about: toClient(body, { fragmentOffset: 8, dontFragment: false }) }],
    ['about TCP', { about: withByte(toClient(body), 23, 6) }],
    ['about IPv6', { about: withByte(toClient(body), 14, 0x65) }],
    ['with a header beyond its end', { about: withByte(toClient(body), 14, 0x4f), quotedBytes: 60 }],
  ])('%s: not believed', (_, changes) => {
    const { bed, outcome } = told(changes);
    expect(outcome).toEqual({ sent: [], counted: { drop_icmp: 1 } });
    expect(answered(bed, 1).counted).toEqual({ replies: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('long after the request: not believed', () => {
    const bed = new LaneBed({ replyLifetimeMs: 1000 });
    bed.hear('client', request('get k\r\n'));
    bed.nowMs += 1100;
    const error = icmpUnreachable({ ...ROUTER, dstMac: NF_CLIENT_MAC, dst: VIP, mtu: 600, about: toClient(FOUND) });
    expect(bed.hear('client', error).counted).toEqual({ drop_icmp: 1 });
  });

  it('too often: not even looked at', () => {
    const { bed } = told();
    const error = icmpUnreachable({ ...ROUTER, dstMac: NF_CLIENT_MAC, dst: VIP, mtu: 600, about: toClient(FOUND) });
    const counted = Array.from({ length: 30 }, () => bed.hear('client', error).counted.path_mtu_learned ?? 0);
    expect(counted.reduce((sum, count) => sum + count)).toBe(19);
  });

  it('property: any bytes behind a right header never throw, and nothing leaves', () => {
    const error = icmpUnreachable({ ...ROUTER, dstMac: NF_CLIENT_MAC, dst: VIP, mtu: 600, about: toClient(FOUND) });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 34, max: 80 }), fc.nat(255)), { maxLength: 4 }), changes => {
        const bed = new LaneBed();
        bed.hear('client', request('get k\r\n'));
        const frame = error.slice();
        for (const [at, byte] of changes) frame[at] = byte;
        expect(bed.hear('client', frame).sent).toEqual([]);
        expect(bed.unaccounted()).toBe(0);
      }),
    );
  });
});

describe('a router says how wide a node’s path is', () => {
  const about = toNode(STORE);
  const error = { ...ROUTER, dstMac: NF_SERVER_MAC, dst: OWN, mtu: 600, about };

  it('what is larger leaves for it in fragments', () => {
    const bed = new LaneBed();
    bed.hear('client', request(STORE));
    expect(bed.hear('server', icmpUnreachable(error)).counted).toEqual({ path_mtu_learned: 1 });
    const outcome = bed.hear('client', request(STORE));
    expect(outcome.counted).toEqual({ requests: 1, writes: 1, ...pieced(3) });
    sameDatagram(outcome, toNode(STORE, { slot: 1 }));
  });

  it.each([
    ['about another node', { about: toNode(STORE, { dst: '10.77.1.12' }) }],
    ['about a port that is not ours', { about: toNode(STORE, { sport: 19_999 }) }],
    ['about the VIP’s', { about: toClient(FOUND) }],
  ])('%s: not believed', (_, changes) => {
    const bed = new LaneBed();
    bed.hear('client', request(STORE));
    expect(bed.hear('server', icmpUnreachable({ ...error, ...changes })).counted).toEqual({ drop_icmp: 1 });
  });
});

function withByte(frame: Uint8Array, at: number, byte: number): Uint8Array {
  const copy = frame.slice();
  copy[at] = byte;
  return copy;
}

describe('what is remembered of paths', () => {
  it('is empty, then bounded: a flood of addresses pushes out what would be forgotten soonest', () => {
    const paths = new PathMtus();
    expect(paths.of(7, 0)).toBe(65_536);
    for (let address = 1; address <= 100_000; address++) paths.learn(address, 1000, address);
    const known = Array.from({ length: 100_000 }, (_, i) => paths.of(i + 1, 100_000)).filter(mtu => mtu === 1000);
    expect(known.length).toBeLessThanOrEqual(256);
    expect(known.length).toBeGreaterThan(200);
    expect(paths.of(100_000, 100_000)).toBe(1000);
  });

  it('never widens, is never below 576, and lives across the clock’s wrap', () => {
    const paths = new PathMtus();
    const nowMs = 2 ** 31 - 10;
    paths.learn(5, 900, nowMs | 0);
    paths.learn(5, 1200, nowMs | 0);
    expect(paths.of(5, (nowMs + 1000) | 0)).toBe(900);
    paths.learn(5, 1, nowMs | 0);
    expect(paths.of(5, (nowMs + 1000) | 0)).toBe(PATH_MTU_MIN);
    expect(paths.of(5, (nowMs + 600_001) | 0)).toBe(65_536);
    paths.learn(5, 1200, (nowMs + 600_001) | 0);
    expect(paths.of(5, (nowMs + 600_001) | 0)).toBe(1200);
  });
});
