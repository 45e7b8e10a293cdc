/** A lane and the next hops it does not know yet: what it asks, what waits, what is lost. */
import { describe, expect, it } from 'vitest';
import { arpReply, arpRequest, hex } from '../support/frames.ts';
import {
  ALICE,
  type BedOptions,
  BOB,
  type Host,
  LaneBed,
  MC1,
  MC2,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  type Outcome,
  OWN,
  partialFlags,
  request,
  toNode,
  VIP,
} from '../support/lane-bed.ts';

const UNKNOWN: BedOptions = { resolved: false };

/** Broadcast, and filled with zeros to the shortest frame of Ethernet, 60 bytes. */
function question(ip: string, from = { srcMac: NF_SERVER_MAC, senderIp: OWN }): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes.set(arpRequest({ ...from, targetIp: ip }));
  return bytes;
}

function answerOf({ mac, ip }: Pick<Host, 'mac' | 'ip'>): Uint8Array {
  return arpReply({ srcMac: mac, dstMac: NF_SERVER_MAC, senderIp: ip, targetIp: OWN });
}

const frames = ({ sent }: Outcome) => sent.map(({ frame }) => hex(frame));

/** Milliseconds, from now on, at which an ARP request leaves; looked at every 10 ms. */
function questionsWithin(bed: LaneBed, ms: number): number[] {
  const asked: number[] = [];
  for (let at = 0; at < ms; at += 10) if (bed.wait(at === 0 ? 0 : 10).counted.arp_requests) asked.push(at);
  return asked;
}

describe('a lane resolves its next hops itself', () => {
  it('asks for each before the first request comes, exact to the byte', () => {
    const bed = new LaneBed({ ...UNKNOWN, nodes: [MC1, MC2] });
    const { serverPort, memory } = bed.lane().path;
    const lent = serverPort.claim();
    memory.bytes.fill(0xee, lent, lent + 60); // what was said from there before
    serverPort.transmit(new Int32Array(4), 0);
    const { sent, counted } = bed.turn();
    expect(counted).toEqual({ arp_requests: 2 });
    expect(sent.map(({ side }) => side)).toEqual(['server', 'server']);
    expect(sent.map(({ frame }) => hex(frame))).toEqual([MC1, MC2].map(({ ip }) => hex(question(ip))));
  });

  it('asks three times, 200 ms apart, then gives up until somebody wants it again', () => {
    const bed = new LaneBed(UNKNOWN);
    expect(questionsWithin(bed, 3000)).toEqual([0, 200, 400]);
    bed.hear('client', request('get k\r\n'));
    expect(questionsWithin(bed, 3000)).toEqual([10, 210, 410]);
  });

  it('asks again when what it knows is old, and goes on using it meanwhile', () => {
    const bed = new LaneBed({ neighbourTimes: { retryMs: 200, retries: 3, lifetimeMs: 1000 } });
    expect(questionsWithin(bed, 1250)).toEqual([1000, 1200]);
    expect(frames(bed.hear('client', request('get k\r\n')))).toEqual([hex(toNode('get k\r\n'))]);
    bed.hear('server', answerOf(MC1));
    expect(questionsWithin(bed, 1000)).toEqual([]);
  });

  it('asks once for many nodes behind one gateway, and its answer serves them all', () => {
    const via = '10.77.1.254';
    const nodes = [1, 2, 3, 4].map(i => ({ mac: MC2.mac, ip: `10.8.0.${i}`, port: 11_211, via }));
    const bed = new LaneBed({ ...UNKNOWN, nodes });
    const keys = Array.from({ length: 12 }, (_, i) => request(`get key${i}\r\n`));
    expect(bed.hear('client', keys).counted).toMatchObject({ arp_requests: 1, parked: 12 });
    const { sent } = bed.hear('server', answerOf({ mac: MC2.mac, ip: via }));
    expect(sent).toHaveLength(12);
    expect(new Set(sent.map(({ frame }) => hex(frame.slice(0, 6)))).size).toBe(1);
    expect(new Set(sent.map(({ frame }) => frame.slice(30, 34).join('.')))).toEqual(new Set(nodes.map(({ ip }) => ip)));
  });

  it.each([
    ['a reply', answerOf(MC1)],
    ['a request of the node for our address', arpRequest({ srcMac: MC1.mac, senderIp: MC1.ip, targetIp: OWN })],
    ['a request of the node for anybody', arpRequest({ srcMac: MC1.mac, senderIp: MC1.ip, targetIp: '10.77.1.99' })],
    ['an announcement', arpRequest({ srcMac: MC1.mac, senderIp: MC1.ip, targetIp: MC1.ip })],
  ])('learns from %s', (_, frame) => {
    const bed = new LaneBed(UNKNOWN);
    bed.hear('client', request('get k\r\n'));
    expect(bed.hear('server', frame).counted).toMatchObject({ parked_sent: 1, requests: 1 });
  });

  it('follows a node that moves to another Ethernet address', () => {
    const bed = new LaneBed();
    const moved = { ...MC1, mac: '02:00:00:00:09:99' };
    bed.hear('server', answerOf(moved));
    expect(frames(bed.hear('client', request('get k\r\n')))).toEqual([hex(toNode('get k\r\n', { node: moved }))]);
  });

  it('does not believe what the client side says of a node', () => {
    const bed = new LaneBed();
    bed.hear('client', arpReply({ srcMac: BOB.mac, dstMac: NF_CLIENT_MAC, senderIp: MC1.ip, targetIp: VIP }));
    expect(frames(bed.hear('client', request('get k\r\n')))).toEqual([hex(toNode('get k\r\n'))]);
  });

  it('in one-arm asks by its only port', () => {
    const bed = new LaneBed({ ...UNKNOWN, arms: 1 });
    const [sent] = bed.turn().sent;
    expect(sent).toMatchObject({ side: 'client', frame: question(MC1.ip, { srcMac: NF_CLIENT_MAC, senderIp: OWN }) });
  });
});

describe('requests wait for their next hop', () => {
  const asks = (count: number) => Array.from({ length: count }, (_, i) => request(`get key${i}\r\n`));
  const leaves = (count: number) =>
    Array.from({ length: count }, (_, i) => hex(toNode(`get key${i}\r\n`, { slot: i })));

  it('in order, and leave as they would have left at once', () => {
    const bed = new LaneBed(UNKNOWN);
    expect(bed.hear('client', asks(5)).counted).toMatchObject({ parked: 5, reads: 5 });
    expect(bed.unaccounted()).toBe(0);
    bed.nowMs += 50;
    const outcome = bed.hear('server', answerOf(MC1));
    expect(outcome.counted).toEqual({ arp_learned: 1, parked_sent: 5, requests: 5 });
    expect(frames(outcome)).toEqual(leaves(5));
    expect(bed.unaccounted()).toBe(0);
  });

  it('with their partial checksums and what marks them', () => {
    const bed = new LaneBed(UNKNOWN);
    bed.hear('client', request('get k\r\n', { checksum: 'partial', options: [1, 1, 1, 0] }), {
      flags: partialFlags(38),
    });
    const [sent] = bed.hear('server', answerOf(MC1)).sent;
    expect(sent).toMatchObject({
      flags: partialFlags(38),
      frame: toNode('get k\r\n', { checksum: 'partial', options: [1, 1, 1, 0] }),
    });
  });

  it('more than a batch of them: the rest a cycle later, still in order', () => {
    const bed = new LaneBed({ ...UNKNOWN, parkingFrames: 200 });
    bed.hear('client', asks(64));
    bed.hear('client', asks(100).slice(64));
    const first = frames(bed.hear('server', answerOf(MC1)));
    expect([...first, ...frames(bed.turn())]).toEqual(leaves(100));
  });

  it('for one next hop half as many as there are places; the next are dropped and counted', () => {
    const bed = new LaneBed({ ...UNKNOWN, parkingFrames: 8 });
    expect(bed.hear('client', asks(6)).counted).toMatchObject({ parked: 4, drop_neighbour_queue_full: 2 });
    expect(bed.unaccounted()).toBe(0);
    expect(frames(bed.hear('server', answerOf(MC1)))).toEqual(leaves(4));
  });

  it('until the next hop fails: then all of them are dropped and counted', () => {
    const bed = new LaneBed(UNKNOWN);
    bed.hear('client', asks(3));
    for (let ms = 0; ms <= 600; ms += 10) bed.wait(10);
    expect([bed.count('parked'), bed.count('drop_neighbour_unreachable'), bed.count('requests')]).toEqual([3, 3, 0]);
    expect(bed.unaccounted()).toBe(0);
  });

  it('one that comes when it has failed is lost, and is what makes us ask again', () => {
    const bed = new LaneBed(UNKNOWN);
    for (let ms = 0; ms < 1000; ms += 10) bed.wait(10);
    bed.nowMs += 10;
    const { counted } = bed.hear('client', request('get k\r\n'));
    expect(counted).toMatchObject({ parked: 1, drop_neighbour_unreachable: 1, arp_requests: 1 });
    bed.hear('server', answerOf(MC1));
    expect(bed.hear('client', request('get k\r\n')).counted).toEqual({ requests: 1, reads: 1 });
  });

  it('each for its own: those of one node do not hold up those of another', () => {
    const bed = new LaneBed({ ...UNKNOWN, nodes: [MC1, MC2] });
    bed.hear('client', asks(12));
    const second = bed.hear('server', answerOf(MC2)).sent.map(({ frame }) => Buffer.from(frame).toString('latin1', 50));
    const first = bed.hear('server', answerOf(MC1)).sent.map(({ frame }) => Buffer.from(frame).toString('latin1', 50));
    expect(first.length * second.length).toBeGreaterThan(0);
    const all = asks(12).map((_, i) => `get key${i}\r\n`);
    expect([...first, ...second].sort()).toEqual([...all].sort());
    for (const group of [first, second]) expect(group).toEqual(all.filter(line => group.includes(line)));
  });
});

describe('lanes other than the first', () => {
  const words = (bed: LaneBed) => {
    const { table } = { table: bed.neighbours };
    return [table.state(0), table.macHigh(0), table.macLow(0)];
  };

  it('never ask', () => {
    const bed = new LaneBed({ ...UNKNOWN, lanes: 2 });
    for (let ms = 0; ms < 2000; ms += 10) expect(bed.wait(10, 1).sent).toEqual([]);
  });

  it('never write what an ARP packet says, should one come their way', () => {
    const bed = new LaneBed({ ...UNKNOWN, lanes: 2 });
    const before = words(bed);
    expect(bed.hear('server', answerOf(MC1), { lane: 1 }).counted).toEqual({ foreign: 1 });
    expect(words(bed)).toEqual(before);
  });

  it('want, and have the first lane ask; use what it learnt', () => {
    const bed = new LaneBed({ ...UNKNOWN, lanes: 2 });
    for (let ms = 0; ms < 1000; ms += 10) bed.wait(10, 0);
    bed.hear('client', request('get k\r\n', { client: ALICE }), { lane: 1 });
    expect(bed.turn(0).counted.arp_requests).toBeUndefined();
    expect(bed.wait(10, 0).counted.arp_requests).toBe(1);
    bed.hear('client', request('get k\r\n'), { lane: 1 });
    bed.hear('server', answerOf(MC1), { lane: 0 });
    expect(bed.turn(1).counted).toEqual({ parked_sent: 1, requests: 1 });
  });
});
