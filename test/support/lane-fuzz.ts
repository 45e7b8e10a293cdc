/**
 * Arbitrary bytes, and valid frames with something wrong in them: the lane never throws, never writes outside the room of
 * a frame, counts each frame once, and whatever it sends passes the strict decoder.
 *
 * KEYSTEER_FUZZ_FRAMES sets the number of frames of each test file, KEYSTEER_FUZZ_SEED replays a run.
 */
import { describe, expect, it } from 'vitest';
import { COUNT, LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import { MODE_GATEWAY } from '../../src/dataplane/setup.ts';
import {
  CHECKSUM_START_SHIFT,
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_SUPERFRAME,
  FLAG_TRUNCATED,
  FLAG_VLAN,
} from '../../src/port/port.ts';
import { arpReply, arpRequest, icmpEcho, udpFragments, udpFrame } from './frames.ts';
import { Random } from './fuzz-random.ts';
import {
  ALICE,
  type BedOptions,
  BOB,
  binaryRequest,
  binaryResponse,
  datagram,
  FIRST_PORT,
  judge,
  LaneBed,
  MC1,
  MEMCACHED_PORT,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  OWN,
  reply,
  request,
  type Side,
  VIP,
} from './lane-bed.ts';
import { CANARY_FRAMES, CANARY_ROOM_BYTES, CanaryBed } from './lane-bed-canaries.ts';
import { decodeReplyDatagram, decodeRequestDatagram, decodeStrict } from './strict-decoder.ts';

const FRAMES = Number(process.env.KEYSTEER_FUZZ_FRAMES ?? 2_500_000);
const SEED = Number(process.env.KEYSTEER_FUZZ_SEED ?? Date.now() % 2 ** 31);
export const SLOTS = 64;
/** One in so many frames that leave is judged by the slow checksum too, beside the strict decoder's own. */
const SECOND_OPINION = 16;

const NOPS = [1, 1, 1, 0];
const echo = { src: ALICE.ip, dst: VIP, dstMac: NF_CLIENT_MAC, identifier: 1, sequence: 1 };

/** One datagram in two pieces, each of which comes as often as any other frame. */
const storeInPieces = udpFragments(
  {
    ...{ srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, dst: VIP },
    ...{ sport: ALICE.port, dport: MEMCACHED_PORT, identification: 7 },
    payload: datagram(`set k 0 0 900\r\n${'v'.repeat(900)}\r\n`),
  },
  512,
);
const valueInPieces = udpFragments(
  {
    ...{ srcMac: MC1.mac, dstMac: NF_SERVER_MAC, src: MC1.ip, dst: OWN },
    ...{ sport: MEMCACHED_PORT, dport: FIRST_PORT, identification: 9, checksum: 'zero' },
    payload: datagram(`VALUE k 0 900\r\n${'v'.repeat(900)}\r\nEND\r\n`, { id: 0 }),
  },
  512,
);

const fromClients: readonly Uint8Array[] = [
  request('get k\r\n'),
  request('get k\r\n', { client: BOB, options: NOPS }),
  request('get k\r\n', { checksum: 'zero', padding: 18 }),
  request('gets k\r\n', { ttl: 2 }),
  request('get a b c\r\n'),
  request('gats 60 k k k\r\n', { client: BOB }),
  request(`get${' k'.repeat(100)}\r\n`),
  request(binaryRequest({ opcode: 0x0d, key: 'k' }) + binaryRequest({ opcode: 0x0a })),
  request(binaryRequest({ opcode: 0x09, key: 'k' }) + binaryRequest({ opcode: 0x0c, key: 'k' })),
  request('set k 0 0 10\r\n0123456789\r\n'),
  request('set k 0 0 10 noreply\r\n0123456789\r\n'),
  request(`set k 0 0 1400\r\n${'v'.repeat(1400)}\r\n`),
  request('cas k 0 0 3 77\r\nabc\r\n'),
  request('incr k 1\r\n'),
  request('mg k t v O123\r\n'),
  request('ms k 3 T60\r\nabc\r\n'),
  request('flush_all\r\n'),
  request('flush_all 10 noreply\r\n'),
  request('verbosity 1\r\n'),
  request('version\r\n'),
  request('mn\r\n'),
  request('stats\r\n'),
  request('stats nodes\r\n', { client: BOB }),
  request('stats locate k\x10\r\n'),
  request('touch k 9\r\n'),
  request('me k\r\n'),
  request(binaryRequest({ opcode: 0x08, extras: '\0\0\0\x05' })),
  request(binaryRequest({ opcode: 0x10 })),
  request(binaryRequest({ opcode: 0x10, key: 'locate k' })),
  request(binaryRequest({ opcode: 0x0a })),
  request(binaryRequest({ opcode: 0x0c, key: 'k' })),
  request(binaryRequest({ opcode: 0x01, extras: '\0'.repeat(8), key: 'k', value: 'abc' })),
  request(binaryRequest({ opcode: 0x55, key: 'k' })),
  request(binaryRequest({ opcode: 0x09, key: 'k' })),
  request('get k\r\n', { client: { ...ALICE, ip: '10.77.0.3' } }),
  request('get k\r\n', { total: 2 }),
  ...storeInPieces,
  arpRequest({ senderIp: ALICE.ip, targetIp: VIP, padding: 18 }),
  icmpEcho(echo),
  icmpEcho({ ...echo, payload: 'z'.repeat(999), options: NOPS }),
];

const fromNodes: readonly Uint8Array[] = [
  reply('VALUE k 0 3\r\nabc\r\nEND\r\n'),
  reply('VALUE k 0 3\r\nabc\r\nEND\r\n', { checksum: 'zero', options: NOPS }),
  reply('END\r\n', { padding: 5 }),
  reply('STORED\r\n', { ttl: 2 }),
  reply('OK\r\n'),
  ...valueInPieces,
  reply('', { total: 0 }),
  reply(`VALUE k 0 3000\r\n${'v'.repeat(1376)}`, { total: 3 }),
  reply('v'.repeat(1392), { sequence: 1, total: 3 }),
  // Behind the parts that a slot tells apart one by one, and a part of nothing.
  reply('v'.repeat(1392), { sequence: 70, total: 99 }),
  reply('', { sequence: 1, total: 3 }),
  reply('v'.repeat(1392), { sequence: 2, total: 4 }),
  reply(`${'v'.repeat(232)}\r\nEND\r\n`, { sequence: 2, total: 3 }),
  reply('VA 1 kk O9\r\nx\r\n'),
  reply(binaryResponse({ opcode: 0x0c, extras: '\0\0\0\0', key: 'k', value: 'abc' })),
  arpReply({ srcMac: MC1.mac, dstMac: NF_SERVER_MAC, senderIp: MC1.ip, targetIp: OWN, padding: 18 }),
  arpRequest({ srcMac: MC1.mac, senderIp: MC1.ip, targetIp: OWN }),
  udpFrame({ ...echo, dst: OWN, dstMac: NF_SERVER_MAC, sport: 1, dport: 20_000, payload: 'short' }),
];

/** gateway mode: what nodes say to clients, on its way through. */
const toAlice = { dst: ALICE.ip, dport: ALICE.port };
const returns: readonly Uint8Array[] = [
  reply('VALUE k 0 3\r\nabc\r\nEND\r\n', toAlice),
  reply('END\r\n', { ...toAlice, checksum: 'zero', options: NOPS }),
  reply('END\r\n', { ...toAlice, dst: '10.77.0.9', padding: 5 }),
  reply('v'.repeat(1392), { ...toAlice, sequence: 1, total: 3 }),
  reply('', { ...toAlice, total: 0 }),
];

interface Made {
  readonly frame: Uint8Array;
  readonly flags: number;
}

/** Bytes without rhyme or reason, sometimes behind a header that gets them past the first checks. */
function noise(random: Random, toMac: string): Made {
  const frame = new Uint8Array(random.once(20) ? random.below(CANARY_ROOM_BYTES + 1) : random.below(120));
  for (let i = 0; i < frame.length; i++) frame[i] = random.below(256);
  const headers = [[], [0x08, 0x00], [0x08, 0x06], [0x08, 0x00, 0x45, 0, 0, frame.length - 14]];
  const header = random.oneOf(headers);
  if (header.length > 0 && frame.length >= 20) {
    frame.set(toMac.split(':').map(octet => Number.parseInt(octet, 16)));
    frame.set(header, 12);
  }
  return { frame, flags: 0 };
}

let lastSlot = 0;

/**
 * A valid frame with up to three things wrong, and perhaps its checksums put right again.
 * @param aims whether it is for a slot
 */
function mutated(random: Random, corpus: readonly Uint8Array[], aims: boolean): Made {
  let frame: Uint8Array = random.oneOf(corpus).slice();
  // Most replies are for the slot of the one before: parts of one reply, which may contradict each other.
  if (random.once(3)) lastSlot = random.below(SLOTS);
  if (aims) aim(frame, lastSlot);
  for (let faults = random.below(4); faults > 0; faults--) frame = spoil(frame, random);
  const flags = random.once(8) ? 0 : repair(frame, random);
  return { frame, flags: random.once(50) ? flags | random.oneOf([FLAG_TRUNCATED, FLAG_SUPERFRAME, FLAG_VLAN]) : flags };
}

/** The reply is for this slot; its checksum is repaired later. */
function aim(frame: Uint8Array, slot: number): void {
  const udpAt = 14 + (frame[14]! & 15) * 4;
  if (frame[12] === 8 && frame[13] === 0) frame[udpAt + 9] = slot;
}

function spoil(frame: Uint8Array, random: Random): Uint8Array {
  const at = random.below(frame.length);
  const kind = random.below(8);
  if (kind === 0) return frame.slice(0, at);
  if (kind === 1) return lengthened(frame, Math.min(random.below(40), CANARY_ROOM_BYTES - frame.length));
  if (kind === 2)
    frame[random.once(2) ? 17 : 16] = random.below(256); // IPv4 total length
  else if (kind === 3)
    frame[39] = random.below(256); // UDP length
  else if (kind === 4)
    frame[14] = random.below(256); // version and IHL
  else if (kind === 5) frame[at] = random.oneOf([0, 1, 0x0a, 0x0d, 0x20, 0x7f, 0x80, 0xff]);
  else frame[at] = frame[at]! ^ (1 << random.below(8));
  return frame;
}

function lengthened(frame: Uint8Array, by: number): Uint8Array {
  const longer = new Uint8Array(frame.length + by).fill(0x20, frame.length);
  longer.set(frame);
  return longer;
}

/** Puts the checksums right as far as there are any, in one of the ways a frame may carry them. Returns its flags. */
function repair(frame: Uint8Array, random: Random): number {
  const headerBytes = (frame[14]! & 15) * 4;
  const udpAt = 14 + headerBytes;
  if (frame.length < 34 || frame[12] !== 8 || frame[13] !== 0 || udpAt > frame.length || headerBytes < 20) return 0;
  frame.fill(0, 24, 26);
  put(frame, 24, 0xffff - sum(frame, 14, headerBytes, 0));
  if (frame[23] !== 17 || udpAt + 8 > frame.length) return 0;
  const udpBytes = frame[udpAt + 4]! * 256 + frame[udpAt + 5]!;
  const pseudo = sum(frame, 26, 8, 17 + udpBytes);
  const way = random.below(6);
  if (way === 0) return put(frame, udpAt + 6, 0);
  if (way === 1) return put(frame, udpAt + 6, pseudo) | FLAG_PARTIAL_CHECKSUM | (udpAt << CHECKSUM_START_SHIFT);
  if (udpBytes < 8 || udpAt + udpBytes > frame.length) return 0;
  put(frame, udpAt + 6, 0);
  put(frame, udpAt + 6, 0xffff - sum(frame, udpAt, udpBytes, pseudo) || 0xffff);
  return way === 2 ? FLAG_CHECKSUM_VERIFIED : 0;
}

function sum(bytes: Uint8Array, from: number, length: number, initial: number): number {
  let total = initial;
  for (let i = 0; i < length; i++) total += i % 2 === 0 ? bytes[from + i]! * 256 : bytes[from + i]!;
  while (total > 0xffff) total = (total % 65_536) + Math.floor(total / 65_536);
  return total;
}

function put(bytes: Uint8Array, at: number, word: number): 0 {
  bytes[at] = word >> 8;
  bytes[at + 1] = word;
  return 0;
}

/** As `judge`, by the strict decoder alone. */
function judgeOnce(frame: Uint8Array, flags: number, side: Side): void {
  const isPartial = (flags & FLAG_PARTIAL_CHECKSUM) !== 0;
  const decoded = decodeStrict(frame, isPartial ? (flags >>> CHECKSUM_START_SHIFT) & 0xff : undefined);
  if (decoded.kind !== 'udp') return;
  if (side === 'client') decodeReplyDatagram(decoded.payload);
  else decodeRequestDatagram(decoded.payload);
}

/** The tests of one kind of lane. */
export function fuzzLane(what: string, options: BedOptions): void {
  describe(`property: whatever arrives, ${what} (seed ${SEED})`, () => tests(options));
}

function tests(options: BedOptions): void {
  const neighbourTimes = { retryMs: 20, retries: 3, lifetimeMs: 300 };
  const multiget = { gathers: 4, chunks: 64, timeoutMs: 20 };
  const times = { replyLifetimeMs: 40, neighbourTimes };
  const bed = new CanaryBed(new LaneBed({ slots: SLOTS, parkingFrames: 8, multiget, ...times, ...options }));
  const random = new Random(SEED);
  const isNat = options.mode === undefined;
  const fromServers = options.mode === MODE_GATEWAY ? [...fromNodes, ...returns, ...returns] : fromNodes;
  let offered = 0;
  let left = 0;

  const make = (side: 'client' | 'server'): Made => {
    if (random.once(5)) return noise(random, side === 'client' ? NF_CLIENT_MAC : NF_SERVER_MAC);
    return side === 'client' ? mutated(random, fromClients, false) : mutated(random, fromServers, true);
  };

  function play(): void {
    for (const side of ['client', 'server'] as const) {
      const frames = random.below(CANARY_FRAMES + 1);
      let made = make(side);
      for (let i = 0; i < frames; i++) {
        // Networks double frames.
        if (!random.once(8)) made = make(side);
        bed[side].offer(made.frame, made.flags);
      }
      offered += frames;
    }
    try {
      for (const { side, frame, flags } of bed.cycle(random.below(10))) {
        if (left++ % SECOND_OPINION === 0) judge(frame, flags, side);
        else judgeOnce(frame, flags, side);
      }
    } catch (error) {
      throw new Error(`KEYSTEER_FUZZ_SEED=${SEED}, within ${offered} frames: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  it(`holds for ${FRAMES} frames`, { timeout: 300_000 + FRAMES }, () => {
    const [startMs, cpu] = [performance.now(), process.cpuUsage()];
    while (offered < FRAMES) play();
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const cpuSeconds = (process.cpuUsage(cpu).user / 1e6).toFixed(1);
    console.log(`lane: ${offered} frames in, ${left} out, in ${seconds} s (CPU ${cpuSeconds} s), seed ${SEED}`);
  });

  it('and reaches far: a good part of the frames travel on, every way in is taken', () => {
    expect(left / offered).toBeGreaterThan(0.1);
    const { counters } = bed.lane.path.memory;
    const seen = LANE_COUNTERS.filter((_, i) => counters[i]! > 0);
    expect(seen.length).toBeGreaterThan(isNat ? 40 : 35);
    const guarded = ['broadcasts', 'broadcast_requests', 'refused_broadcast', 'refused_source'];
    expect(guarded.filter(name => seen.includes(name))).toEqual('gate' in options ? guarded : []);
    expect(seen).toEqual(expect.arrayContaining(['local_answers', 'fragments_joined']));
    if (isNat) expect(seen).toEqual(expect.arrayContaining(['quiet_misses', 'drop_reply_stray']));
    if (options.mode === MODE_GATEWAY) {
      expect(seen).toEqual(expect.arrayContaining(['replies', 'drop_return_no_client']));
    }
    for (const name of [
      'multiget_answers',
      'multiget_unanswered',
      'drop_multiget_late',
      'drop_multiget_part',
    ] as const) {
      expect(counters[COUNT[name]], name).toBeGreaterThan(0);
    }
  });
}
