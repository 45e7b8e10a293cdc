/** What lane 0 asks the nodes, exact to the byte, and what it makes of their answers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ANSWERED,
  ECHO,
  ECHOES,
  FLUSH,
  FLUSHED,
  PERIOD,
  REFUSALS,
  RTT_US,
  SENT,
  SETTLED,
  UNFLUSHED,
} from '../../src/dataplane/health-block.ts';
import { hex, icmpEcho, ipv4Frame } from '../support/frames.ts';
import {
  BED_TIMES,
  type Host,
  LaneBed,
  MC1,
  MC2,
  NF_SERVER_MAC,
  OWN,
  PROBE_PORT,
  reply,
  request,
  toNode,
} from '../support/lane-bed.ts';

const VERSION = 'VERSION 1.6.18\r\n';
const NODES = [MC1, MC2];

const idOf = (node: number, round: number) => (node << 6) | (round & 31);
const flushIdOf = (node: number, number: number) => (node << 6) | 32 | (number & 31);

function padded(frame: Uint8Array): string {
  const bytes = new Uint8Array(60);
  if (frame.length >= 60) return hex(frame);
  bytes.set(frame);
  return hex(bytes);
}

const ask = (node: number, id: number, body: string) =>
  padded(toNode(body, { node: NODES[node]!, id, sport: PROBE_PORT, ttl: 64 }));
const probe = (node: number, round: number) => ask(node, idOf(node, round), 'version\r\n');
const answer = (node: number, round: number, fields: Parameters<typeof reply>[1] = {}, body = VERSION) =>
  reply(body, { node: NODES[node]!, id: idOf(node, round), dport: PROBE_PORT, ...fields });
const ping = (node: number, round: number) =>
  padded(
    icmpEcho({
      ...between(NF_SERVER_MAC, OWN, NODES[node]!),
      identifier: PROBE_PORT,
      sequence: idOf(node, round),
      payload: '',
    }),
  );

function between(srcMac: string, src: string, to: Host) {
  return { srcMac, dstMac: to.mac, src, dst: to.ip };
}

function toUs(from: Host) {
  return { srcMac: from.mac, dstMac: NF_SERVER_MAC, src: from.ip, dst: OWN };
}

/** ICMP "port unreachable" from a node about what was sent to it. */
function unreachable(about: Uint8Array, from: Host = MC1, code = 3): Uint8Array {
  const quoted = about.slice(14, 14 + 28 + 8);
  const message = Uint8Array.from([3, code, 0, 0, 0, 0, 0, 0, ...quoted]);
  let sum = 0;
  for (let at = 0; at < message.length; at += 2) sum += message[at]! * 256 + message[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  message.set([(~sum >>> 8) & 255, ~sum & 255], 2);
  return ipv4Frame({ ...toUs(from), protocol: 1, payload: message });
}

/** A bed with both nodes known, and these orders given. */
function bedWith(orders: Partial<Record<number, number>>, node = 0, options = {}): LaneBed {
  const bed = new LaneBed({ nodes: NODES, ...options });
  order(bed, orders, node);
  return bed;
}

function order(bed: LaneBed, orders: Partial<Record<number, number>>, node = 0): void {
  for (const [word, value] of Object.entries(orders)) bed.health.set(node, Number(word), value!);
  bed.health.announceOrders();
}

const heard = (bed: LaneBed, node: number, ...words: number[]) => words.map(word => bed.health.get(node, word));
const sent = ({ sent: frames }: { sent: readonly { frame: Uint8Array }[] }) => frames.map(({ frame }) => hex(frame));

describe('probes', () => {
  it('nothing is asked without an order', () => {
    const bed = new LaneBed({ nodes: NODES });
    expect([bed.turn(), bed.wait(5000)].flatMap(sent)).toEqual([]);
  });

  it('one at once, then one a period, numbered; each counted', () => {
    const bed = bedWith({ [PERIOD]: 100 });
    const first = bed.turn();
    expect(sent(first)).toEqual([probe(0, 1)]);
    expect(first.counted).toEqual({ probes_sent: 1 });
    expect(sent(bed.wait(99))).toEqual([]);
    expect(sent(bed.wait(1))).toEqual([probe(0, 2)]);
    expect(sent(bed.wait(100))).toEqual([probe(0, 3)]);
    expect(heard(bed, 0, SENT, SETTLED, ANSWERED)).toEqual([3, 2, 0]);
  });

  it('the rounds of a request id come again after 32', () => {
    const bed = bedWith({ [PERIOD]: 100 });
    bed.turn();
    for (let round = 2; round < 33; round++) bed.wait(100);
    expect(sent(bed.wait(100))).toEqual([ask(0, idOf(0, 1), 'version\r\n')]);
    expect(heard(bed, 0, SENT)).toEqual([33]);
  });

  it('the first probes of several nodes are spread over the period', () => {
    const bed = bedWith({ [PERIOD]: 640 });
    order(bed, { [PERIOD]: 640 }, 1);
    expect(sent(bed.turn())).toEqual([probe(0, 1)]);
    expect(sent(bed.wait(9))).toEqual([]);
    expect(sent(bed.wait(1))).toEqual([probe(1, 1)]);
  });

  it('a period that has become shorter counts from the last probe on', () => {
    const bed = bedWith({ [PERIOD]: 1000 });
    bed.turn();
    expect(sent(bed.wait(30))).toEqual([]);
    order(bed, { [PERIOD]: 40 });
    expect(sent(bed.turn())).toEqual([]);
    expect(sent(bed.wait(10))).toEqual([probe(0, 2)]);
    order(bed, { [PERIOD]: 10 });
    expect(sent(bed.wait(10))).toEqual([probe(0, 3)]);
  });

  it('with an ICMP echo request beside each while that is ordered', () => {
    const bed = bedWith({ [PERIOD]: 100, [ECHO]: 1 });
    const outcome = bed.turn();
    expect(sent(outcome)).toEqual([probe(0, 1), ping(0, 1)]);
    expect(outcome.counted).toEqual({ probes_sent: 1, pings_sent: 1 });
    order(bed, { [ECHO]: 0 });
    expect(sent(bed.wait(100))).toEqual([probe(0, 2)]);
  });

  it('a node whose next hop is being asked after waits for it; nothing is held against it', () => {
    const bed = bedWith({ [PERIOD]: 500 }, 0, { resolved: false });
    for (let i = 0; i < 10; i++) bed.wait(50);
    expect(heard(bed, 0, SENT)).toEqual([0]);
    bed.resolve(MC1);
    expect(sent(bed.wait(10))).toContain(probe(0, 1));
  });

  it('a next hop that does not answer: each round is lost', () => {
    const bed = bedWith({ [PERIOD]: 50 }, 0, { resolved: false, neighbourTimes: { ...BED_TIMES, retries: 1 } });
    for (let i = 0; i < 20 && !bed.neighbours.hasFailed(0); i++) bed.wait(50);
    for (let i = 0; i < 4; i++) bed.wait(50);
    expect(bed.count('probes_sent')).toBe(0);
    expect(bed.health.missed(0)).toBeGreaterThan(1);
    bed.resolve(MC1);
    expect(bed.wait(50).counted.probes_sent).toBe(1);
  });

  it('a node that is disabled is not asked', () => {
    const bed = new LaneBed({ nodes: [{ ...MC1, enabled: false }, MC2] });
    order(bed, { [PERIOD]: 10 }, 0);
    expect(sent(bed.turn())).toEqual([]);
  });

  it('only lane 0 asks', () => {
    const bed = bedWith({ [PERIOD]: 10 }, 0, { lanes: 2 });
    expect(sent(bed.turn(1))).toEqual([]);
    expect(sent(bed.turn(0))).toEqual([probe(0, 1)]);
  });
});

describe('answers', () => {
  it('settle their round, with the round trip', () => {
    const bed = bedWith({ [PERIOD]: 100 });
    bed.turn();
    bed.nowMs += 1.25;
    expect(bed.hear('server', answer(0, 1)).counted).toEqual({ probe_answers: 1 });
    expect(heard(bed, 0, SENT, SETTLED, ANSWERED, RTT_US)).toEqual([1, 1, 1, 1250]);
    expect(bed.unaccounted()).toBe(0);
  });

  it('a later one settles all before it', () => {
    const bed = bedWith({ [PERIOD]: 10 });
    bed.turn();
    bed.wait(10);
    bed.hear('server', answer(0, 2));
    expect(heard(bed, 0, SENT, SETTLED, ANSWERED)).toEqual([2, 2, 2]);
  });

  it('none in time: missed, until one comes, be it late', () => {
    const bed = bedWith({ [PERIOD]: 10 });
    const seen = [];
    for (let i = 0; i < 6; i++) {
      bed.wait(i === 0 ? 0 : 10);
      seen.push(bed.health.missed(0));
    }
    expect(seen).toEqual([0, 0, 1, 2, 3, 4]);
    bed.hear('server', answer(0, 3));
    expect(heard(bed, 0, SETTLED, ANSWERED)).toEqual([4, 3]);
    expect(bed.health.missed(0)).toBe(1);
  });

  const rows: readonly (readonly [name: string, frame: Uint8Array])[] = [
    ['from another node', answer(0, 1, { node: MC2 })],
    ['from one that nothing was asked of', answer(1, 1)],
    ['from another port of the node', answer(0, 1, { sport: 11_212 })],
    ['for a row beyond the table', answer(0, 1, { id: idOf(700, 1) })],
    ['to a round not asked yet', answer(0, 2)],
    ['that are no memcached reply', answer(0, 1, {}, 'hello\r\n')],
    ['to a flush nobody ordered', answer(0, 1, { id: flushIdOf(0, 1) }, 'OK\r\n')],
  ];
  it.each(rows)('%s are dropped', (_, frame) => {
    const bed = bedWith({ [PERIOD]: 100 });
    bed.turn();
    expect(bed.hear('server', frame).counted).toEqual({ drop_probe_answer: 1 });
    expect(heard(bed, 0, SENT, SETTLED, ANSWERED, FLUSHED, UNFLUSHED)).toEqual([1, 0, 0, 0, 0]);
    expect(bed.unaccounted()).toBe(0);
  });

  it('of a node that a reload has taken the row from tell nothing of the new one, and are no drop', () => {
    const bed = bedWith({ [PERIOD]: 100 });
    bed.turn();
    const other = { ...MC1, ip: '10.77.1.99' };
    bed.publish([other, MC2]);
    expect(bed.hear('server', answer(0, 1)).counted).toEqual({ probe_answers: 1 });
    expect(heard(bed, 0, SENT, ANSWERED)).toEqual([1, 0]);
  });

  it('the same once more is dropped', () => {
    const bed = bedWith({ [PERIOD]: 100 });
    bed.turn();
    bed.hear('server', answer(0, 1));
    expect(bed.hear('server', answer(0, 1)).counted).toEqual({ drop_probe_answer: 1 });
  });

  it('an error line is a sign of life too', () => {
    const bed = bedWith({ [PERIOD]: 100 });
    bed.turn();
    expect(bed.hear('server', answer(0, 1, {}, 'CLIENT_ERROR unauthenticated\r\n')).counted).toEqual({
      probe_answers: 1,
    });
  });

  it('the other lanes leave them be', () => {
    const bed = bedWith({ [PERIOD]: 100 }, 0, { lanes: 2 });
    expect(bed.hear('server', answer(0, 1), { lane: 1 }).counted).toEqual({ drop_reply_no_slot: 1 });
  });
});

describe('time', () => {
  it('after a pause of the lane, what came in meanwhile is heard before probes are judged', () => {
    const bed = bedWith({ [PERIOD]: 1000 });
    bed.turn();
    bed.nowMs += 500;
    bed.hear('server', answer(0, 1));
    expect(bed.health.missed(0)).toBe(0);
    bed.nowMs += 500;
    bed.turn();
    bed.nowMs += 500;
    bed.turn();
    expect(bed.health.missed(0)).toBe(1);
  });

  const crowd = (count: number) => Array.from({ length: count }, () => reply('END\r\n', { slot: 9 }));

  it('and all of it: the answer may lie behind more frames than a cycle takes', () => {
    const bed = bedWith({ [PERIOD]: 1000 });
    bed.turn();
    bed.nowMs += 500;
    bed.hear('server', [...crowd(64), answer(0, 1)]);
    expect(heard(bed, 0, SETTLED, ANSWERED)).toEqual([0, 0]);
    bed.turn();
    expect(heard(bed, 0, SETTLED, ANSWERED)).toEqual([1, 1]);
  });

  it('a lane that is never done with its queue judges later', () => {
    const bed = bedWith({ [PERIOD]: 1000 });
    bed.turn();
    const seen = [];
    for (let ms = 0; ms < 60; ms += 10) {
      bed.nowMs += 10;
      bed.hear('server', crowd(64));
      seen.push(bed.health.missed(0));
    }
    expect(seen).toEqual([0, 0, 0, 0, 1, 1]);
  });

  it('rounds and µs that wrap', () => {
    const bed = new LaneBed({ nodes: NODES, startMs: 2 ** 31 / 1000 - 15 });
    const row = bed.health.row(0);
    for (const word of [SENT, SETTLED, ANSWERED]) bed.health.words[row + word] = 0x7fffffff;
    order(bed, { [PERIOD]: 10 });
    for (let i = 0; i < 4; i++) bed.wait(i === 0 ? 0 : 10);
    expect(bed.health.missed(0)).toBe(2);
    bed.nowMs += 1;
    bed.hear('server', answer(0, bed.health.get(0, SENT)));
    expect([bed.health.missed(0), bed.health.get(0, RTT_US)]).toEqual([0, 1000]);
  });

  it('a lane started for one that died holds nothing against anybody, and goes on counting', () => {
    const bed = bedWith({ [PERIOD]: 10, [FLUSH]: 3 });
    for (let i = 0; i < 5; i++) bed.wait(10);
    const missed = bed.health.missed(0);
    bed.restart();
    expect(sent(bed.turn())).toEqual([probe(0, 6)]);
    expect(bed.health.missed(0)).toBe(missed);
    bed.hear('server', answer(0, 6));
    expect(bed.health.missed(0)).toBe(0);
  });
});

describe('ICMP', () => {
  /** A bed whose first node was asked already. */
  const asked = () => {
    const bed = bedWith({ [PERIOD]: 1000, [ECHO]: 1 });
    bed.turn();
    return bed;
  };
  const pong = (fields: object = {}) =>
    icmpEcho({ ...toUs(MC1), type: 'reply', identifier: PROBE_PORT, sequence: idOf(0, 1), payload: '', ...fields });

  it('an echo reply counts for its node', () => {
    const bed = asked();
    expect(bed.hear('server', pong()).counted).toEqual({ ping_answers: 1 });
    expect(heard(bed, 0, ECHOES)).toEqual([1]);
    expect(bed.unaccounted()).toBe(0);
  });

  it('a refused probe counts for its node, and so does a refused request of any lane', () => {
    const bed = bedWith({ [PERIOD]: 100 });
    const { frame } = bed.turn().sent[0]!;
    expect(bed.hear('server', unreachable(frame)).counted).toEqual({ icmp_unreachable: 1 });
    const [forwarded] = bed.hear('client', request('get k\r\n')).sent;
    const node = sent({ sent: [forwarded!] })[0] === hex(toNode('get k\r\n')) ? 0 : 1;
    bed.hear('server', unreachable(forwarded!.frame, NODES[node]));
    expect(bed.count('icmp_unreachable')).toBe(2);
    expect(bed.health.get(0, REFUSALS) + bed.health.get(1, REFUSALS)).toBe(2);
    expect(bed.unaccounted()).toBe(0);
  });

  const theirs = toNode('version\r\n', { sport: PROBE_PORT });
  const rows: readonly (readonly [name: string, frame: Uint8Array])[] = [
    ['an echo reply to somebody else', pong({ identifier: 7 })],
    ['an echo reply from another host', pong({ src: MC2.ip })],
    ['an echo reply for a row beyond the table', pong({ sequence: idOf(700, 1) })],
    ['an echo reply with a bad checksum', pong({ checksum: 'bad' })],
    ['"unreachable" about a port that is no node’s', unreachable(toNode('version\r\n', { dport: 1 }))],
    ['"unreachable" from another host', unreachable(theirs, MC2)],
    ['"unreachable" about what we did not send', unreachable(toNode('version\r\n', { src: '10.77.1.9' }))],
    ['"host unreachable"', unreachable(theirs, MC1, 1)],
    ['"unreachable" that quotes too little', unreachable(theirs.slice(0, 14 + 27))],
  ];
  it.each(rows)('%s is dropped', (_, frame) => {
    const bed = asked();
    expect(bed.hear('server', frame).counted).toEqual({ drop_icmp: 1 });
    expect(heard(bed, 0, ECHOES, REFUSALS)).toEqual([0, 0]);
  });
});

describe('flushes', () => {
  it('one is sent for each number, and its OK noted', () => {
    const bed = bedWith({ [FLUSH]: 1 });
    const outcome = bed.turn();
    expect(sent(outcome)).toEqual([ask(0, flushIdOf(0, 1), 'flush_all\r\n')]);
    expect(outcome.counted).toEqual({ flushes_sent: 1 });
    expect(sent(bed.wait(1000))).toEqual([]);
    bed.hear('server', reply('OK\r\n', { id: flushIdOf(0, 1), dport: PROBE_PORT }));
    expect(heard(bed, 0, FLUSHED, UNFLUSHED)).toEqual([1, 0]);
  });

  it('the answer to an earlier one counts for that one', () => {
    const bed = bedWith({ [FLUSH]: 1 });
    bed.turn();
    order(bed, { [FLUSH]: 2 });
    expect(sent(bed.turn())).toEqual([ask(0, flushIdOf(0, 2), 'flush_all\r\n')]);
    bed.hear('server', reply('OK\r\n', { id: flushIdOf(0, 1), dport: PROBE_PORT }));
    expect(heard(bed, 0, FLUSHED)).toEqual([1]);
  });

  it('a refusal is noted as such', () => {
    const bed = bedWith({ [FLUSH]: 1 });
    bed.turn();
    bed.hear('server', reply('CLIENT_ERROR flush_all not allowed\r\n', { id: flushIdOf(0, 1), dport: PROBE_PORT }));
    expect(heard(bed, 0, FLUSHED, UNFLUSHED)).toEqual([0, 1]);
  });

  it('waits for a next hop', () => {
    const bed = bedWith({ [FLUSH]: 1 }, 0, { resolved: false });
    expect(bed.turn().counted.flushes_sent).toBe(undefined);
    bed.resolve(MC1);
    bed.health.announceOrders();
    expect(bed.turn().counted.flushes_sent).toBe(1);
  });
});

it('property: bytes of any kind to the probe port are answers or drops, and never go on', () => {
  const bed = bedWith({ [PERIOD]: 10, [FLUSH]: 1 });
  bed.turn();
  const body = fc.oneof(fc.string(), fc.constantFrom(VERSION, 'OK\r\n', 'END\r\n'));
  fc.assert(
    fc.property(body, fc.nat(0xffff), fc.nat(3), fc.boolean(), (text, id, sequence, first) => {
      const frame = reply(text, { id, sequence, node: first ? MC1 : MC2, dport: PROBE_PORT });
      const { counted } = bed.hear('server', frame);
      expect((counted.probe_answers ?? 0) + (counted.drop_probe_answer ?? 0)).toBe(1);
    }),
  );
  expect(bed.unaccounted()).toBe(0);
});
