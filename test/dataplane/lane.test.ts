/** Whole lanes: one arm and two, several over one table, a table replaced under traffic, a lane that died. */
import { describe, expect, it } from 'vitest';
import { arpReply, arpRequest, hex, icmpEcho } from '../support/frames.ts';
import {
  ALICE,
  BOB,
  binaryRequest,
  FIRST_PORT,
  LaneBed,
  MC1,
  MC2,
  NF_CLIENT_MAC,
  type Outcome,
  OWN,
  reply,
  request,
  toClient,
  toNode,
  VIP,
} from '../support/lane-bed.ts';
import { checkRows, type Row } from './rows.ts';

const GET = 'get k\r\n';
const VALUE = 'VALUE k 0 1\r\nx\r\nEND\r\n';
const frames = ({ sent }: Outcome) => sent.map(({ frame }) => hex(frame));

describe('one arm: both sides by one port', () => {
  const ping = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, identifier: 1, sequence: 1 };
  const pong = { ...ping, type: 'reply', srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, dst: ALICE.ip } as const;
  const arp = { srcMac: ALICE.mac, senderIp: ALICE.ip };

  const onlyArm = { bed: { arms: 1, ownAddress: OWN } as const };
  const via = { srcMac: NF_CLIENT_MAC, src: OWN };
  const rows: Row[] = [
    {
      name: 'a request leaves where it came in',
      frame: request(GET),
      counted: 'requests reads',
      out: ['client', toNode(GET, via)],
    },
    {
      name: 'a reply finds its client',
      after: [request(GET)],
      frame: reply(VALUE, { dstMac: NF_CLIENT_MAC, dst: OWN }),
      counted: 'replies',
      out: ['client', toClient(VALUE)],
    },
    {
      name: 'a node is a client too',
      frame: request(GET, { client: { ...MC1, port: 5000 } }),
      counted: 'requests reads',
      out: ['client', toNode(GET, via)],
    },
    {
      name: 'a reply nobody waits for',
      frame: reply(VALUE, { dstMac: NF_CLIENT_MAC, dst: OWN }),
      counted: 'drop_reply_no_slot',
    },
    ...[VIP, OWN].flatMap((ip): Row[] => [
      {
        name: `ARP for ${ip}`,
        frame: arpRequest({ ...arp, targetIp: ip }),
        counted: 'arp_answers',
        out: ['client', arpReply({ srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, senderIp: ip, targetIp: ALICE.ip })],
      },
      {
        name: `echo of ${ip}`,
        frame: icmpEcho({ ...ping, dst: ip }),
        counted: 'echo_answers',
        out: ['client', icmpEcho({ ...pong, src: ip })],
      },
    ]),
  ];
  checkRows(rows.map(row => ({ ...onlyArm, ...row })));
});

describe('two lanes over one table', () => {
  it('have source ports of their own, and each its slots', () => {
    const bed = new LaneBed({ lanes: 2 });
    const first = bed.hear('client', request(GET), { lane: 0 });
    const second = bed.hear('client', request(GET, { client: BOB }), { lane: 1 });
    expect([...frames(first), ...frames(second)]).toEqual([
      hex(toNode(GET)),
      hex(toNode(GET, { sport: FIRST_PORT + 1 })),
    ]);
  });

  it('know only their own outstanding requests', () => {
    const bed = new LaneBed({ lanes: 2 });
    bed.hear('client', request(GET), { lane: 0 });
    bed.hear('client', request(GET, { client: BOB }), { lane: 1 });
    const toSecond = reply(VALUE, { dport: FIRST_PORT + 1 });
    expect(bed.hear('server', toSecond, { lane: 0 }).counted).toEqual({ drop_reply_no_slot: 1 });
    expect(frames(bed.hear('server', toSecond, { lane: 1 }))).toEqual([hex(toClient(VALUE, { client: BOB }))]);
    expect(frames(bed.hear('server', reply(VALUE), { lane: 0 }))).toEqual([hex(toClient(VALUE))]);
  });

  it('send a key to the same node', () => {
    const bed = new LaneBed({ lanes: 2, nodes: [MC1, MC2] });
    const keys = Array.from({ length: 40 }, (_, i) => request(`get key:${i}\r\n`));
    const [here, there] = [0, 1].map(lane => {
      return bed.hear('client', keys, { lane }).sent.map(({ frame }) => frame.slice(30, 34).join('.'));
    });
    expect(here).toEqual(there);
    expect(new Set(here)).toEqual(new Set([MC1.ip, MC2.ip]));
  });
});

describe('one key has one home', () => {
  it('in whatever protocol it is asked for, base64 too', () => {
    const bed = new LaneBed({ nodes: [MC1, MC2] });
    const homes = Array.from({ length: 20 }, (_, i) => {
      const key = `key:${i}`;
      const base64 = Buffer.from(key).toString('base64');
      const asks = [
        `get ${key}\r\n`,
        `set ${key} 0 0 1\r\nx\r\n`,
        `mg ${key} v\r\n`,
        `md ${base64} b\r\n`,
        binaryRequest({ opcode: 0x0c, key }),
      ];
      const { sent } = bed.hear(
        'client',
        asks.map(ask => request(ask)),
      );
      return new Set(sent.map(({ frame }) => frame.slice(30, 34).join('.')));
    });
    expect(homes.map(({ size }) => size)).toEqual(Array(20).fill(1));
    expect(new Set(homes.flatMap(home => [...home])).size).toBe(2);
  });
});

describe('a table replaced under traffic', () => {
  it('outstanding requests are still answered, new ones go to the new node', () => {
    const bed = new LaneBed({ nodes: [MC1] });
    bed.resolve(MC1);
    bed.hear('client', request(GET));
    expect(bed.publish([MC2])).toBe(true);
    bed.resolve(MC2);
    expect(frames(bed.hear('client', request(GET)))).toEqual([hex(toNode(GET, { node: MC2, slot: 1 }))]);
    expect(bed.hear('server', reply(VALUE)).counted).toEqual({ replies: 1 });
    expect(bed.hear('server', reply(VALUE, { node: MC2, slot: 1 })).counted).toEqual({ replies: 1 });
  });

  it('a node that left cannot answer what was asked of its successor', () => {
    const bed = new LaneBed({ nodes: [MC1] });
    bed.publish([MC2]);
    bed.resolve(MC2);
    bed.hear('client', request(GET));
    expect(bed.hear('server', reply(VALUE, { node: MC1 })).counted).toEqual({ drop_reply_wrong_node: 1 });
  });

  it('a drained node gets no new requests, and its last replies pass', () => {
    const bed = new LaneBed({ nodes: [MC1] });
    bed.hear('client', request(GET));
    bed.publish([{ ...MC1, weight: 0 }, MC2]);
    bed.resolve(MC2);
    const keys = Array.from({ length: 50 }, (_, i) => request(`get key:${i}\r\n`));
    const { sent, counted } = bed.hear('client', keys);
    expect(counted.requests).toBe(50);
    expect(new Set(sent.map(({ frame }) => frame.slice(30, 34).join('.')))).toEqual(new Set([MC2.ip]));
    expect(frames(bed.hear('server', reply(VALUE)))).toEqual([hex(toClient(VALUE))]);
  });

  it('a request parked for a node that left is sent to it all the same', () => {
    const bed = new LaneBed({ resolved: false });
    bed.hear('client', request(GET));
    bed.publish([MC2]);
    bed.resolve(MC1);
    expect(frames(bed.turn())).toContain(hex(toNode(GET)));
  });

  it('waits for a lane that has not turned since the last change, unless it said goodbye', () => {
    const bed = new LaneBed({ nodes: [MC1] });
    bed.turn();
    expect(bed.publish([MC2])).toBe(true);
    expect(bed.publish([MC1])).toBe(false);
    bed.turn();
    expect(bed.publish([MC1])).toBe(true);
    bed.turn();
    bed.lane().path.leave();
    expect([bed.publish([MC2]), bed.publish([MC1])]).toEqual([true, true]);
  });

  it('in every cycle, with requests and replies in between: nothing is lost', () => {
    const bed = new LaneBed({ nodes: [MC1, MC2] });
    let requests: readonly { frame: Uint8Array }[] = [];
    for (let round = 0; round < 50; round++) {
      expect(bed.publish(round % 2 === 0 ? [MC1, MC2] : [MC2, MC1])).toBe(true);
      bed.hear(
        'server',
        requests.map(({ frame }) => answerTo(frame)),
      );
      requests = bed.hear('client', [request(`get a${round}\r\n`), request(`get b${round}\r\n`)]).sent;
    }
    expect([bed.count('requests'), bed.count('replies')]).toEqual([100, 98]);
  });

  /** END, from whichever node the request went to. */
  function answerTo(frame: Uint8Array): Uint8Array {
    const node = frame[33] === 11 ? MC1 : MC2;
    return reply('END\r\n', { node, id: frame[42]! * 256 + frame[43]! });
  }
});

describe('a lane that died and is started again', () => {
  it('goes on in the circle, and its outstanding requests are answered', () => {
    const bed = new LaneBed();
    bed.hear('client', [request('get a\r\n'), request('get b\r\n', { client: BOB })]);
    bed.restart();
    expect(frames(bed.hear('client', request('get c\r\n')))).toEqual([hex(toNode('get c\r\n', { slot: 2 }))]);
    const late = reply('VALUE b 0 1\r\nx\r\nEND\r\n', { slot: 1 });
    expect(frames(bed.hear('server', late))).toEqual([hex(toClient('VALUE b 0 1\r\nx\r\nEND\r\n', { client: BOB }))]);
  });
});

describe('what a lane that dies had in its own memory is counted', () => {
  it.each([
    ['a request whose next hop is not known', { resolved: false }, 'get a\r\n', 1],
    ['a request for several keys', {}, 'get a b\r\n', 1],
    ['and both: the request, and its parked parts', { resolved: false }, 'get a b\r\n', 3],
    ['nothing of one that is under way in a slot', {}, 'get a\r\n', 0],
  ] as const)('%s', (_, options, body, count) => {
    const bed = new LaneBed(options);
    bed.hear('client', request(body));
    bed.restart();
    expect(bed.count('drop_lane_crash')).toBe(count);
  });
});

describe('a cycle', () => {
  it('takes a batch of 64 at a time, and says how much it did', () => {
    const bed = new LaneBed();
    const many = Array.from({ length: 100 }, (_, i) => request(`get key:${i}\r\n`));
    expect(bed.hear('client', many).sent).toHaveLength(64);
    expect(bed.lane().cycle(bed.nowMs)).toBe(36);
    expect(bed.lane().cycle(bed.nowMs)).toBe(0);
  });

  it('leaves to each side what belongs there, in order of arrival', () => {
    const bed = new LaneBed();
    const { sent } = bed.hear('client', [
      request('frob\r\n'),
      request('get a\r\n'),
      request('frob\r\n'),
      request('get b\r\n'),
    ]);
    expect(sent.map(({ side }) => side)).toEqual(['client', 'client', 'server', 'server']);
    expect(sent.slice(2).map(({ frame }) => hex(frame))).toEqual([
      hex(toNode('get a\r\n', { slot: 0 })),
      hex(toNode('get b\r\n', { slot: 1 })),
    ]);
  });
});
