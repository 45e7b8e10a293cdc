/** Fragments of requests and replies on their way through a lane: what is put together, what is dropped and how it is counted. */
import { describe, expect, it } from 'vitest';
import { FLAG_PARTIAL_CHECKSUM } from '../../src/port/port.ts';
import { icmpEcho, ipv4Frame, udpFragments, wholeOf } from '../support/frames.ts';
import {
  ALICE,
  type BedOptions,
  BOB,
  datagram,
  errorAnswer,
  type Host,
  judge,
  LaneBed,
  MC1,
  MEMCACHED_PORT,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  type Outcome,
  OWN,
  reply,
  request,
  type Side,
  toClient,
  toNode,
  VIP,
} from '../support/lane-bed.ts';

const store = (bytes: number, key = 'k') => `set ${key} 0 0 ${bytes}\r\n${letters(bytes)}\r\n`;
const letters = (count: number) => Array.from({ length: count }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');

interface Cut {
  readonly client?: Host;
  /** IPv4 payload bytes of each fragment. */
  readonly size?: number;
  readonly identification?: number;
  readonly options?: readonly number[];
  readonly ttl?: number;
}

/** A request as its fragments, from first to last. */
function pieces(body: string, { client = ALICE, size = 1480, identification = 1, ...more }: Cut = {}): Uint8Array[] {
  const addresses = { srcMac: client.mac, dstMac: NF_CLIENT_MAC, src: client.ip, dst: VIP };
  const ports = { sport: client.port, dport: MEMCACHED_PORT };
  return udpFragments({ ...addresses, ...ports, identification, payload: datagram(body), ...more }, size);
}

/** What left by a side, put together again if it left in pieces, and judged as one. */
function left(outcome: Outcome, side: Side): Uint8Array {
  const frames = outcome.sent.filter(sent => sent.side === side).map(({ frame }) => frame);
  expect(frames.length).toBeGreaterThan(0);
  const whole = frames.length === 1 ? frames[0]! : wholeOf(frames);
  judge(whole, 0, side);
  return whole;
}

/** Headers apart from the identification and the flags: an NF gives its own. */
function sameDatagram(frame: Uint8Array, expected: Uint8Array): void {
  const bare = (bytes: Uint8Array) => Buffer.from(bytes).fill(0, 18, 22).fill(0, 24, 26).toString('latin1');
  expect(bare(frame)).toBe(bare(expected));
}

/** Lets a bed hear one frame a cycle; sums what was counted. */
function hearAll(bed: LaneBed, frames: readonly Uint8Array[], side: Side = 'client'): Outcome {
  const outcomes = frames.map(frame => bed.hear(side, frame));
  const counted: Record<string, number> = {};
  for (const outcome of outcomes) {
    for (const [name, by] of Object.entries(outcome.counted)) counted[name] = (counted[name] ?? 0) + by;
  }
  return { sent: outcomes.flatMap(({ sent }) => sent), counted };
}

const WRITE = { requests: 1, writes: 1 };
const gathered = (count: number) => ({
  fragments_received: count,
  fragments_joined: count - 1,
  datagrams_reassembled: 1,
});
const pieced = (count: number) => ({ datagrams_fragmented: 1, fragments_sent: count });

describe('a 4,096-byte set in three fragments', () => {
  const body = store(4096);
  const [a, b, c] = pieces(body) as [Uint8Array, Uint8Array, Uint8Array];

  it.each([
    ['in order', [a, b, c]],
    ['the last first', [c, b, a]],
    ['the first last', [b, c, a]],
    ['the middle last', [a, c, b]],
    ['the middle first', [b, a, c]],
  ])('%s: goes on in fragments of its own', (_, frames) => {
    const bed = new LaneBed();
    const outcome = hearAll(bed, frames);
    expect(outcome.counted).toEqual({ ...WRITE, ...gathered(3), ...pieced(3) });
    sameDatagram(left(outcome, 'server'), toNode(body));
    expect(bed.unaccounted()).toBe(0);
  });

  it('all in one batch', () => {
    const bed = new LaneBed();
    const outcome = bed.hear('client', [c, a, b]);
    sameDatagram(left(outcome, 'server'), toNode(body));
    expect(bed.unaccounted()).toBe(0);
  });

  it('leaves as one frame where the way is wide enough', () => {
    const bed = new LaneBed({ serverMtu: 9000 });
    const { sent, counted } = bed.hear('client', [a, b, c]);
    expect(counted).toEqual({ ...WRITE, ...gathered(3) });
    expect(sent).toHaveLength(1);
    sameDatagram(sent[0]!.frame, toNode(body));
  });

  it('is answered as any other', () => {
    const bed = new LaneBed();
    bed.hear('client', [a, b, c]);
    const { sent } = bed.hear('server', reply('STORED\r\n'));
    sameDatagram(sent[0]!.frame, toClient('STORED\r\n'));
  });

  it('IPv4 options of the first fragment stay, those meant for all go on to all', () => {
    const bed = new LaneBed({ clientMtu: 1600 });
    const routerAlert = [0x94, 4, 0, 0];
    const nops = [1, 1, 1, 1];
    const outcome = bed.hear('client', pieces(body, { options: [...routerAlert, ...nops] }));
    const headers = outcome.sent.map(({ frame }) => frame[14]! % 16);
    expect(headers).toEqual([7, 6, 6]);
    left(outcome, 'server');
  });

  it('fragments of two datagrams, mixed, with one identification but two sources', () => {
    const bed = new LaneBed();
    const bobs = pieces(store(3000, 'bob'), { client: BOB });
    const outcome = bed.hear('client', [a, bobs[2]!, c, bobs[0]!, bobs[1]!, b]);
    expect(outcome.counted).toMatchObject({ requests: 2, datagrams_reassembled: 2 });
    sameDatagram(wholeOf(outcome.sent.slice(0, 3).map(({ frame }) => frame)), toNode(store(3000, 'bob')));
    sameDatagram(wholeOf(outcome.sent.slice(3).map(({ frame }) => frame)), toNode(body, { slot: 1 }));
  });

  it('the identification can be used again at once', () => {
    const bed = new LaneBed();
    for (let slot = 0; slot < 3; slot++) {
      sameDatagram(left(bed.hear('client', [b, a, c]), 'server'), toNode(body, { slot }));
    }
  });
});

describe('sizes', () => {
  it('65,400 bytes of value, the largest datagram that memcached takes', () => {
    const body = store(65_400);
    const cut = pieces(body);
    expect(cut).toHaveLength(45);
    const bed = new LaneBed();
    const outcome = bed.hear('client', cut.toReversed());
    expect(outcome.counted).toEqual({ ...WRITE, ...gathered(45), ...pieced(45) });
    sameDatagram(left(outcome, 'server'), toNode(body));
  });

  it('in more fragments than a port has free frames', () => {
    const body = store(20_000);
    const bed = new LaneBed({ serverMtu: 100 });
    const outcome = bed.hear('client', pieces(body));
    expect(outcome.counted).toMatchObject({ requests: 1, datagrams_fragmented: 1 });
    // The world's ring holds 128: what came before was dropped there, by the count of a driver.
    expect(outcome.counted.fragments_sent).toBe(Math.ceil((20_000 + 42) / 80));
    expect(outcome.counted.fragments_refused).toBeUndefined();
  });

  it('what fits in one frame leaves in one frame', () => {
    const bed = new LaneBed();
    const outcome = bed.hear('client', pieces('get k\r\n', { size: 16 }));
    expect(outcome.counted).toEqual({ requests: 1, reads: 1, ...gathered(2) });
    sameDatagram(left(outcome, 'server'), toNode('get k\r\n'));
  });

  it.each([
    ['a first fragment without the memcached header', pieces('get k\r\n', { size: 8 })[0]!],
    ['a later one that begins within it', pieces(store(40), { size: 8 })[1]!],
    ['a length that is no multiple of 8, and more to come', piece({ bytes: 20, more: true })],
    ['nothing, and more to come', piece({ at: 16, bytes: 0, more: true })],
    ['nothing, at the end', piece({ at: 16, bytes: 0 })],
  ])('%s: bad', (_, frame) => {
    const bed = new LaneBed();
    expect(bed.hear('client', frame).counted).toEqual({ fragments_received: 1, drop_fragment_bad: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('a partial checksum, which nobody could have computed: bad', () => {
    const bed = new LaneBed();
    const { counted } = bed.hear('client', pieces(store(4096))[0]!, { flags: FLAG_PARTIAL_CHECKSUM | (34 << 8) });
    expect(counted).toEqual({ fragments_received: 1, drop_fragment_bad: 1 });
  });

  it('beyond 65,535 bytes: too large', () => {
    const bed = new LaneBed();
    const { counted } = bed.hear('client', piece({ at: 65_512, bytes: 8 }));
    expect(counted).toEqual({ fragments_received: 1, drop_fragment_too_large: 1 });
  });

  it('beyond 65,535 bytes by the options of the first: too large, all of it', () => {
    const bed = new LaneBed({ clientMtu: 1600 });
    const first = piece({ bytes: 65_504 - 64_000, more: true, options: [1, 1, 1, 1] });
    const rest = Array.from({ length: 43 }, (_, i) => piece({ at: 1504 + i * 1480, bytes: 1480, more: true }));
    const last = piece({ at: 65_144, bytes: 65_515 - 65_144 });
    const { counted } = hearAll(bed, [last, ...rest, first]);
    expect(counted).toEqual({ fragments_received: 45, drop_fragment_too_large: 45 });
    expect(bed.unaccounted()).toBe(0);
  });
});

/** A fragment of nothing in particular. */
function piece(fields: {
  at?: number;
  bytes: number;
  more?: boolean;
  fill?: string;
  identification?: number;
  src?: string;
  options?: readonly number[];
}): Uint8Array {
  const { at = 0, bytes, more = false, fill = 'x', identification = 1, src = ALICE.ip, options } = fields;
  return ipv4Frame({
    srcMac: ALICE.mac,
    dstMac: NF_CLIENT_MAC,
    src,
    dst: VIP,
    protocol: 17,
    identification,
    dontFragment: false,
    fragmentOffset: at,
    moreFragments: more,
    payload: fill.repeat(bytes),
    options,
  });
}

describe('what is said twice', () => {
  const body = store(4096);
  const [a, b, c] = pieces(body) as [Uint8Array, Uint8Array, Uint8Array];

  it.each([
    ['the first', [a, a, b, c]],
    ['the last', [c, c, a, b]],
    ['everything before the end', [a, b, a, b, c]],
    ['a part of the second', [a, b, part(40, 80), c]],
  ])('the same, byte by byte: passed over: %s', (_, frames) => {
    const bed = new LaneBed();
    const outcome = hearAll(bed, frames);
    sameDatagram(left(outcome, 'server'), toNode(body));
    expect(outcome.counted.drop_fragment_duplicate).toBe(frames.length - 3);
    expect(bed.unaccounted()).toBe(0);
  });

  const other = b.slice();
  other[200]! ^= 1;

  it.each<[string, Uint8Array[], string]>([
    ['other bytes in the same place', [a, b, other, c], 'drop_fragment_overlap'],
    ['one that reaches into the next', [a, c, piece({ at: 1480, bytes: 1488, more: true })], 'drop_fragment_overlap'],
    ['one that begins within another', [a, piece({ at: 1472, bytes: 16, more: true }), c], 'drop_fragment_overlap'],
    ['one that spans others', [a, c, piece({ at: 1472, bytes: 1496, more: true })], 'drop_fragment_overlap'],
    ['another end, sooner', [a, c, piece({ at: 2960, bytes: 100 })], 'drop_fragment_bad'],
    ['another end, later', [a, c, piece({ at: 2960, bytes: 1400 })], 'drop_fragment_bad'],
    ['bytes behind the end', [a, c, piece({ at: 5000, bytes: 80, more: true })], 'drop_fragment_bad'],
    ['an end before what is there', [b, piece({ at: 800, bytes: 80 })], 'drop_fragment_bad'],
    [
      'more to come at the end',
      [piece({ at: 80, bytes: 16 }), piece({ at: 80, bytes: 16, more: true })],
      'drop_fragment_bad',
    ],
  ])('%s: the whole datagram goes', (_, frames, counter) => {
    const bed = new LaneBed({ clientMtu: 1600 });
    const outcome = hearAll(bed, frames);
    expect(outcome.sent).toEqual([]);
    expect(outcome.counted[counter]).toBeGreaterThanOrEqual(2);
    expect(bed.unaccounted()).toBe(0);
    expect(bed.lane().path.fragments.held).toBe(0);
    // What comes later belongs to it, too.
    expect(bed.hear('client', b).counted).toEqual({ fragments_received: 1, drop_fragment_overlap: 1 });
    // Until its time is over: then the identification is another datagram's.
    bed.wait(500);
    sameDatagram(left(bed.hear('client', [a, b, c]), 'server'), toNode(body));
  });

  /** Bytes `from` … `to` − 1 of the second fragment's payload, as a fragment. */
  function part(from: number, to: number): Uint8Array {
    const fill = Buffer.from(b.slice(34 + from, 34 + to)).toString('latin1');
    return piece({ at: 1480 + from, bytes: 1, more: true, fill });
  }
});

describe('what never becomes whole', () => {
  const [a, b, c] = pieces(store(4096)) as [Uint8Array, Uint8Array, Uint8Array];

  it('is dropped when its time is over, and that is counted from the first to arrive', () => {
    const bed = new LaneBed();
    bed.hear('client', a);
    expect(bed.wait(300).counted).toEqual({});
    bed.hear('client', c);
    expect(bed.lane().path.fragments.held).toBe(2);
    expect(bed.wait(199).counted).toEqual({});
    expect(bed.wait(11).counted).toEqual({ drop_fragment_timeout: 2 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('a fragment that comes too late begins anew, also before anybody has swept', () => {
    const bed = new LaneBed();
    bed.hear('client', [a, c]);
    bed.nowMs += 500;
    expect(bed.hear('client', b).counted).toEqual({ fragments_received: 1, drop_fragment_timeout: 2 });
    expect(bed.lane().path.fragments.held).toBe(1);
  });

  it('gives way when the table is full: the one that has stood still for longest', () => {
    const bed = new LaneBed({ fragments: { datagrams: 3, perSource: 3 } });
    const first = (n: number) => piece({ bytes: 64, more: true, identification: n, src: `10.77.0.${n}` });
    hearAll(bed, [first(1), first(2), first(3)]);
    // 1 goes on: now 2 is the one.
    bed.hear('client', piece({ at: 64, bytes: 64, more: true, identification: 1, src: '10.77.0.1' }));
    expect(bed.hear('client', first(4)).counted).toEqual({ fragments_received: 1, drop_fragment_table_full: 1 });
    expect(bed.hear('client', first(1)).counted).toEqual({ fragments_received: 1, drop_fragment_duplicate: 1 });
    expect(bed.hear('client', first(3)).counted).toEqual({ fragments_received: 1, drop_fragment_duplicate: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('a source that has as many as it may gives up its own', () => {
    const bed = new LaneBed({ fragments: { datagrams: 8, perSource: 2 } });
    bed.hear('client', pieces(store(4096, 'bob'), { client: BOB }).slice(1));
    const first = (n: number) => piece({ bytes: 64, more: true, identification: n });
    hearAll(bed, [first(1), first(2)]);
    expect(bed.hear('client', first(3)).counted).toEqual({ fragments_received: 1, drop_fragment_source_full: 1 });
    expect(bed.hear('client', first(2)).counted).toEqual({ fragments_received: 1, drop_fragment_duplicate: 1 });
    const outcome = bed.hear('client', pieces(store(4096, 'bob'), { client: BOB })[0]!);
    sameDatagram(left(outcome, 'server'), toNode(store(4096, 'bob')));
  });

  it('of spoilt ones, the one spoilt last gives way first, within a source as in the whole table', () => {
    const bed = new LaneBed({ fragments: { datagrams: 8, perSource: 2 } });
    const bad = (n: number, bytes: number) => piece({ at: 16, bytes, identification: n });
    hearAll(bed, [bad(1, 64), bad(1, 72), bad(2, 64), bad(2, 72)]);
    hearAll(bed, [bad(3, 64)]);
    expect(bed.hear('client', bad(1, 64)).counted).toEqual({ fragments_received: 1, drop_fragment_overlap: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('datagrams made whole in one batch keep their contexts to its end; what finds none is dropped', () => {
    const bed = new LaneBed({ fragments: { datagrams: 2, perSource: 2 } });
    const two = (identification: number) => pieces('get k\r\n', { size: 16, identification });
    const outcome = bed.hear('client', [...two(1), ...two(2), ...two(3)]);
    expect(outcome.counted).toMatchObject({ requests: 2, drop_fragment_table_full: 2 });
    expect(bed.unaccounted()).toBe(0);
    expect(bed.hear('client', two(3)).counted).toMatchObject({ requests: 1 });
  });
});

describe('a flood of forged fragments', () => {
  /** Before each honest fragment, `between` first fragments of datagrams that are never ended, each from another source. */
  function flood(between: number, options: BedOptions['fragments']): number {
    const bed = new LaneBed({ fragments: options, slots: 1024 });
    let forged = 0;
    let served = 0;
    for (let round = 0; round < 20; round++) {
      for (const honest of pieces(store(4096), { identification: round })) {
        for (let i = 0; i < between; i++, forged++) {
          const src = `10.${80 + (forged >> 16)}.${(forged >> 8) & 255}.${forged & 255}`;
          bed.hear('client', piece({ bytes: 1480, more: true, identification: forged & 0xffff, src }));
        }
        served += bed.hear('client', honest).counted.requests ?? 0;
        bed.nowMs += 0.1;
      }
    }
    expect(bed.unaccounted()).toBe(0);
    expect(bed.lane().path.fragments.held).toBeLessThanOrEqual(options!.datagrams! + 2);
    return served;
  }

  it('costs no honest datagram whose fragments have fewer forged ones between them than there are contexts', () => {
    expect(flood(15, { datagrams: 16, perSource: 4 })).toBe(20);
  });

  it('beyond that it wins: the bound is what it is said to be', () => {
    expect(flood(16, { datagrams: 16, perSource: 4 })).toBe(0);
  });

  it('from one source it costs nobody else anything', () => {
    const bed = new LaneBed({ fragments: { datagrams: 8, perSource: 4 } });
    for (let round = 0; round < 10; round++) {
      let served = 0;
      for (const honest of pieces(store(4096), { identification: round, client: BOB })) {
        for (let i = 0; i < 100; i++) {
          bed.hear('client', piece({ bytes: 1480, more: true, identification: round * 300 + i }));
        }
        served += bed.hear('client', honest).counted.requests ?? 0;
      }
      expect(served).toBe(1);
    }
    expect(bed.unaccounted()).toBe(0);
  });
});

describe('the whole is judged as any datagram is', () => {
  it('by its checksum', () => {
    const bed = new LaneBed();
    const cut = pieces(store(4096));
    cut[1]![500]! ^= 1;
    expect(bed.hear('client', cut).counted).toEqual({ ...gathered(3), drop_udp_checksum: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('a store that declares more or less than it brings is refused, in the frame that a refusal fits in', () => {
    const bed = new LaneBed();
    const { sent, counted } = bed.hear('client', pieces(`set k 0 0 4097\r\n${letters(4096)}\r\n`));
    expect(counted).toEqual({ ...gathered(3), refused_length: 1, error_answers: 1 });
    sameDatagram(sent[0]!.frame, errorAnswer('CLIENT_ERROR bad data chunk\r\n'));
    expect(bed.unaccounted()).toBe(0);
  });

  it('by its port', () => {
    const bed = new LaneBed();
    const fields = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, dst: VIP, sport: 4000, dport: 53 };
    const { counted } = bed.hear('client', udpFragments({ ...fields, payload: 'x'.repeat(2000) }, 1480));
    expect(counted).toEqual({ ...gathered(2), drop_udp_port: 1 });
  });

  it('while the next hop is unknown there is no room to keep it', () => {
    const bed = new LaneBed({ resolved: false });
    const { counted } = bed.hear('client', pieces(store(4096)));
    expect(counted).toMatchObject({ drop_neighbour_queue_full: 1, writes: 1 });
    expect(bed.unaccounted()).toBe(0);
  });
});

describe('what is not ours', () => {
  it.each([
    ['a fragment for another station', { dstMac: '02:00:00:00:00:99' }, 'foreign'],
    ['for another address', { dst: '10.77.0.101' }, 'foreign'],
    ['of TCP', { protocol: 6 }, 'drop_protocol'],
    ['of ICMP', { protocol: 1 }, 'drop_icmp'],
    ['TTL 1', { ttl: 1 }, 'drop_ttl_expired'],
    ['a bad header checksum', { headerChecksum: 'bad' as const }, 'drop_ip_checksum'],
    ['from the VIP', { src: VIP }, 'drop_bad_source'],
  ])('%s takes up no context', (_, fields, counted) => {
    const bed = new LaneBed();
    const plain = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, dst: VIP, protocol: 17 };
    const frame = ipv4Frame({ ...plain, moreFragments: true, payload: 'x'.repeat(64), ...fields });
    expect(bed.hear('client', frame).counted).toEqual({ [counted]: 1 });
    expect(bed.lane().path.fragments.held).toBe(0);
  });

  it('an echo request in fragments is not answered', () => {
    const echo = icmpEcho({ ...request(''), src: ALICE.ip, dst: VIP, identifier: 1, sequence: 1, moreFragments: true });
    echo.set([2, 0x4b, 0, 0, 0, 0x0a]);
    expect(new LaneBed().hear('client', echo).sent).toEqual([]);
  });
});

describe('replies in fragments', () => {
  const body = `VALUE k 0 3000\r\n${letters(1376)}`;
  const ports = { sport: MC1.port, dport: 20_000 };
  const addresses = { srcMac: MC1.mac, dstMac: NF_SERVER_MAC, src: MC1.ip, dst: OWN };
  const cut = udpFragments(
    { ...addresses, ...ports, payload: datagram(body, { id: 0, total: 3 }), identification: 9 },
    552,
  );

  it.each([
    ['in order', cut],
    ['in reverse', cut.toReversed()],
  ])('%s: become the reply they were', (_, frames) => {
    const bed = new LaneBed({ serverMtu: 576 });
    bed.hear('client', request('get k\r\n'));
    const outcome = bed.hear('server', frames);
    expect(outcome.counted).toEqual({ replies: 1, ...gathered(3) });
    sameDatagram(left(outcome, 'client'), toClient(body, { total: 3 }));
    expect(bed.unaccounted()).toBe(0);
  });

  it('with the same source and identification as a request’s, in one-arm, are another datagram', () => {
    const bed = new LaneBed({ arms: 1 });
    bed.hear('client', request('get k\r\n'));
    const asked = pieces(store(1500), { client: { ...MC1, port: 4000 }, identification: 9 });
    const answered = cut.map(frame => Uint8Array.from([...[2, 0x4b, 0, 0, 0, 0x0a], ...frame.slice(6)]));
    const outcome = bed.hear('client', [answered[0]!, asked[0]!, answered[1]!, asked[1]!, answered[2]!]);
    expect(outcome.counted).toMatchObject({ requests: 1, replies: 1, datagrams_reassembled: 2 });
  });

  it('without an outstanding slot are dropped like any', () => {
    const bed = new LaneBed({ serverMtu: 576 });
    expect(bed.hear('server', cut).counted).toEqual({ ...gathered(3), drop_reply_no_slot: 1 });
  });
});
