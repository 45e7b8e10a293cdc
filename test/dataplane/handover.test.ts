/** Replies in fragments, with several lanes: put together by one, handled by the lane that has the slot. */
import { describe, expect, it } from 'vitest';
import { BOXES, HANDOVER_BYTES_MAX, Handover, mailPlace } from '../../src/dataplane/handover.ts';
import { Arena } from '../../src/mem/arena.ts';
import { FLAG_VLAN } from '../../src/port/port.ts';
import { hex, udpFragments } from '../support/frames.ts';
import { datagram, FIRST_PORT, LaneBed, MC1, NF_SERVER_MAC, OWN, request, toClient } from '../support/lane-bed.ts';

const VALUE = 'v'.repeat(1200);
const FOUND = `VALUE k 0 1200\r\n${VALUE}\r\nEND\r\n`;

/** The reply to slot `slot` of a lane, in fragments. */
function pieces(
  lane: number,
  { body = FOUND, slot = 0, identification = 1, dport = FIRST_PORT + lane } = {},
): Uint8Array[] {
  const link = { srcMac: MC1.mac, dstMac: NF_SERVER_MAC, src: MC1.ip, dst: OWN };
  const payload = datagram(body, { id: slot });
  return udpFragments({ ...link, sport: MC1.port, dport, payload, identification }, 976);
}

const GATHERED = { fragments_received: 2, fragments_joined: 1, datagrams_reassembled: 1 };

describe('a reply put together by another lane', () => {
  it.each([
    [0, 1],
    [1, 0],
    [2, 0],
  ])('lane %i has the slot, lane %i the fragments', (owner, other) => {
    const bed = new LaneBed({ lanes: 3, serverMtu: 1000 });
    bed.hear('client', request('get k\r\n'), { lane: owner });
    expect(bed.hear('server', pieces(owner), { lane: other })).toEqual({
      sent: [],
      counted: { ...GATHERED, handed_over: 1 },
    });
    const { sent, counted } = bed.turn(owner);
    expect(counted).toEqual({ taken_over: 1, replies: 1 });
    const expected = toClient(FOUND, { dontFragment: false, identification: 1 });
    expect(sent.map(({ side, frame }) => [side, hex(frame)])).toEqual([['client', hex(expected)]]);
    expect([0, 1, 2].map(lane => bed.unaccounted(lane))).toEqual([0, 0, 0]);
    expect(bed.turn(owner)).toEqual({ sent: [], counted: {} });
  });

  it('the lane that has the slot keeps its own', () => {
    const bed = new LaneBed({ lanes: 2, serverMtu: 1000 });
    bed.hear('client', request('get k\r\n'), { lane: 1 });
    expect(bed.hear('server', pieces(1), { lane: 1 }).counted).toEqual({ ...GATHERED, replies: 1 });
  });

  it.each([
    ['below the lanes’ and the prober’s', FIRST_PORT - 2],
    ['above the lanes’', FIRST_PORT + 2],
  ])('to a port %s is nobody’s', (_, dport) => {
    const bed = new LaneBed({ lanes: 2, serverMtu: 1000 });
    expect(bed.hear('server', pieces(0, { dport })).counted).toEqual({ ...GATHERED, drop_reply_no_slot: 1 });
  });

  it('on a VLAN stays on it', () => {
    const bed = new LaneBed({ lanes: 2, serverMtu: 1000, serverVlan: 7 });
    bed.hear('client', request('get k\r\n'), { lane: 1 });
    const flags = FLAG_VLAN | (7 << 16);
    expect(bed.hear('server', pieces(1), { flags }).counted).toEqual({ ...GATHERED, handed_over: 1 });
    expect(bed.turn(1).counted).toEqual({ taken_over: 1, replies: 1 });
  });

  it('is judged by its new lane as any other', () => {
    const bed = new LaneBed({ lanes: 2, serverMtu: 1000 });
    bed.hear('server', pieces(1));
    expect(bed.turn(1).counted).toEqual({ taken_over: 1, drop_reply_no_slot: 1 });
  });

  it('longer than any of memcached’s is dropped', () => {
    const bed = new LaneBed({ lanes: 2 });
    const long = pieces(1, { body: 'v'.repeat(2000) });
    expect(bed.hear('server', long).counted).toMatchObject({ drop_handover_full: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('finds no box while its lane sleeps and 64 others wait; then all of them arrive', () => {
    const bed = new LaneBed({ lanes: 2, serverMtu: 1000, slots: 1024 });
    for (let slot = 0; slot < 70; slot++) bed.hear('client', request('get k\r\n'), { lane: 1 });
    for (let slot = 0; slot < 70; slot++) bed.hear('server', pieces(1, { slot, identification: slot }));
    expect([bed.count('handed_over'), bed.count('drop_handover_full')]).toEqual([64, 6]);
    expect(bed.turn(1).counted).toEqual({ taken_over: 64, replies: 64 });
    bed.hear('server', pieces(1, { slot: 64, identification: 64 }));
    expect(bed.turn(1).counted).toEqual({ taken_over: 1, replies: 1 });
    expect([bed.unaccounted(0), bed.unaccounted(1)]).toEqual([0, 0]);
  });

  it('is found by a lane that was started again', () => {
    const bed = new LaneBed({ lanes: 2, serverMtu: 1000 });
    bed.hear('client', request('get k\r\n'), { lane: 1 });
    bed.hear('server', pieces(1));
    bed.restart(1);
    expect(bed.turn(1).counted).toEqual({ taken_over: 1, replies: 1 });
  });
});

describe('boxes', () => {
  it('hold any length up to theirs, to the byte, for many lanes at once', () => {
    const lanes = 5;
    const shared = Arena.create(Handover.byteLength(lanes) + 4096);
    const base = shared.allocate(Handover.byteLength(lanes));
    const all = Array.from({ length: lanes }, (_, lane) => {
      const own = Arena.create(1 << 18);
      return { own, place: mailPlace(own.allocate(4096), 0), handover: new Handover(own, shared, base, lane, lanes) };
    });
    const expected = new Map<number, string[]>();
    for (let n = 0; n < lanes * BOXES; n++) {
      const [giver, taker] = [n % lanes, (n * 3 + (n >> 3)) % lanes];
      const length = 1 + ((n * 379) % HANDOVER_BYTES_MAX);
      const { own, handover, place } = all[giver]!;
      own.bytes.fill(n & 255, place, place + length);
      expect(handover.give(taker, place, length, n << 16)).toBe(true);
      expected.set(taker, [...(expected.get(taker) ?? []), `${n & 255}×${length}`]);
    }
    for (const [taker, { own, handover, place }] of all.entries()) {
      const taken: string[] = [];
      expect(handover.hasMail()).toBe(true);
      own.bytes.fill(0);
      for (let length = handover.take(place); length > 0; length = handover.take(place)) {
        expect(new Set(own.bytes.slice(place, place + length)).size).toBe(1);
        expect([own.bytes[place - 1], own.bytes[place + length]]).toEqual([0, 0]);
        expect((handover.flags >> 16) & 255).toBe(own.bytes[place]);
        taken.push(`${own.bytes[place]}×${length}`);
        own.bytes.fill(0);
      }
      expect(taken.sort()).toEqual(expected.get(taker)!.sort());
      expect(handover.hasMail()).toBe(false);
    }
  });

  it('a lane alone has none, and looks for none', () => {
    const arena = Arena.create(65_536);
    expect(Handover.byteLength(1)).toBe(0);
    expect(new Handover(arena, arena, 0, 0, 1).hasMail()).toBe(false);
  });
});
