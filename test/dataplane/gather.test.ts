/** Requests for several keys: what the nodes are asked, and the one reply that the client hears. */

import { describe, expect, it } from 'vitest';
import { NODE_COUNTER_COUNT } from '../../src/dataplane/counters.ts';
import { KNOWN_AFTER_MS } from '../../src/dataplane/source-table.ts';
import {
  ALICE,
  BOB,
  binaryRequest,
  binaryResponse,
  CLIENT_ID,
  type Host,
  LaneBed,
  MC1,
  MC2,
  MC3,
  NF_CLIENT_MAC,
  reply,
  request,
  toClient,
  toNode,
} from '../support/lane-bed.ts';
import { type Asked, MemcachedBed } from '../support/lane-bed-memcached.ts';
import { answerBinary, answerText, joined, packetsOf } from '../support/memcached-model.ts';

const IDLE = { gathers: 0, chunks: 0 };

function bedWith(values: Record<string, string>, options: ConstructorParameters<typeof MemcachedBed>[0] = {}) {
  const world = new MemcachedBed(options);
  for (const [key, value] of Object.entries(values)) world.set(key, value);
  return world;
}

describe('a request for several keys', () => {
  it('is one request for each, and one reply, exact to the byte', () => {
    const bed = new LaneBed({ nodes: [MC1] });
    const plain = { dontFragment: false, ttl: 64 };
    const asked = bed.hear('client', request('get a b\r\n'));
    expect(asked.sent.map(({ frame }) => frame)).toEqual([
      toNode('get a\r\n', { slot: 0, identification: 1, ...plain }),
      toNode('get b\r\n', { slot: 1, identification: 2, ...plain }),
    ]);
    expect(asked.counted).toEqual({ multigets: 1, multiget_keys: 2, requests: 2, reads: 2 });
    expect(bed.hear('server', reply('VALUE b 5 1\r\nB\r\nEND\r\n', { slot: 1 })).sent).toEqual([]);
    const answered = bed.hear('server', reply('VALUE a 0 2\r\nAA\r\nEND\r\n', { slot: 0 }));
    const merged = 'VALUE a 0 2\r\nAA\r\nVALUE b 5 1\r\nB\r\nEND\r\n';
    expect(answered.sent.map(({ frame }) => frame)).toEqual([toClient(merged, { identification: 3, ...plain })]);
    expect(answered.counted).toEqual({ replies: 1, multiget_answers: 1, multiget_datagrams: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  const ROWS: [what: string, request: string, asked: string[]][] = [
    ['all found', 'get a b c\r\n', ['get a', 'get b', 'get c']],
    ['one missing in between', 'get a nope b\r\n', ['get a', 'get nope', 'get b']],
    ['the first missing', 'get nope a\r\n', ['get nope', 'get a']],
    ['the last missing', 'get a nope\r\n', ['get a', 'get nope']],
    ['none found', 'get nope nada\r\n', ['get nope', 'get nada']],
    ['the same key again and again', 'get a b a a\r\n', ['get a', 'get b', 'get a', 'get a']],
    ['with CAS ids', 'gets a nope c\r\n', ['gets a', 'gets nope', 'gets c']],
    ['touched', 'gat 100 a b\r\n', ['gat 100 a', 'gat 100 b']],
    ['touched, with CAS ids', 'gats -1 a nope\r\n', ['gats -1 a', 'gats -1 nope']],
    ['spaces where none are needed', '  get   a    b  \r\n', ['get a', 'get b']],
    ['a bare LF', 'get a b\n', ['get a', 'get b']],
    ['an empty value', 'get empty a\r\n', ['get empty', 'get a']],
    ['a value that looks like a reply', 'get evil a\r\n', ['get evil', 'get a']],
  ];
  it.each(ROWS)('%s: %j', (_, body, asked) => {
    const world = bedWith({ a: 'AAA', b: 'B', c: 'c\r\n', empty: '', evil: 'x\r\nEND\r\nVALUE b 0 1\r\n' });
    expect(joined(world.exchange(body), CLIENT_ID)).toBe(answerText(world.items, body));
    expect(world.asked.map(each => each.body)).toEqual(asked.map(line => `${line}\r\n`));
    expect(world.held).toEqual(IDLE);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('goes to the node of each key, and counts as that many requests there', () => {
    const world = bedWith({});
    const keys = Array.from({ length: 60 }, (_, i) => `key:${i}`);
    world.exchange(`get ${keys.join(' ')}\r\n`);
    for (const { node, body } of [...world.asked]) {
      expect(world.ask(body).map(single => single.node)).toEqual([node]);
    }
    expect(new Set(world.asked.map(({ node }) => node.ip)).size).toBe(3);
    const { nodeCounters } = world.bed.lane().path.memory;
    const asked = [0, 1, 2].map(node => nodeCounters[node * NODE_COUNTER_COUNT]!);
    expect(asked[0]! + asked[1]! + asked[2]!).toBe(120);
  });

  it('waits for an Ethernet address like any other', () => {
    const world = bedWith({ a: 'A', b: 'B' }, { resolved: false });
    expect(world.ask('get a b\r\n')).toEqual([]);
    expect(world.bed.count('parked')).toBe(2);
    for (const node of [MC1, MC2]) world.bed.resolve(node);
    world.bed.resolve({ mac: '02:00:00:00:01:0d', ip: '10.77.1.13', port: 11211 });
    world.wait(1);
    expect(world.asked.map(({ body }) => body).sort()).toEqual(['get a\r\n', 'get b\r\n']);
    for (const asked of [...world.asked]) world.deliver(world.answer(asked));
    expect(joined(world.heard, CLIENT_ID)).toBe('VALUE a 0 1\r\nA\r\nVALUE b 0 1\r\nB\r\nEND\r\n');
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('of two clients with the same id each hears its own', () => {
    const world = bedWith({ a: 'A', b: 'B', c: 'C', d: 'D' });
    const ofAlice = world.ask('get a b\r\n', { client: ALICE });
    const ofBob = world.ask('get c d\r\n', { client: BOB });
    for (const asked of [...ofBob, ...ofAlice]) world.deliver(world.answer(asked));
    expect(world.heard.map(({ client, body }) => [client, body])).toEqual([
      [BOB.ip, answerText(world.items, 'get c d\r\n')],
      [ALICE.ip, answerText(world.items, 'get a b\r\n')],
    ]);
  });

  it('one-arm', () => {
    const world = bedWith({ a: 'A', b: 'B' }, { arms: 1, nodes: [MC1] });
    const { sent } = world.bed.hear('client', request('get a b\r\n'));
    expect(sent.length).toBe(2);
    const frames = ['a', 'b'].map((key, slot) =>
      reply(world.answerOf(`get ${key}\r\n`), { slot, dstMac: NF_CLIENT_MAC }),
    );
    const answered = world.bed.hear('client', frames);
    expect(answered.counted).toMatchObject({ multiget_answers: 1, multiget_datagrams: 1 });
    expect(answered.sent.map(({ frame }) => frame)).toEqual([
      toClient(answerText(world.items, 'get a b\r\n'), { identification: 3, dontFragment: false, ttl: 64 }),
    ]);
  });
});

describe('values of any length', () => {
  const border = (key: string) => 1392 - `VALUE ${key} 0 1390\r\n`.length - 2;
  const LENGTHS = [
    0,
    1,
    border('k') - 1,
    border('k'),
    border('k') + 1,
    1385,
    1390,
    1391,
    1392,
    1393,
    1400,
    2784,
    20_000,
  ];
  it.each(LENGTHS)('%i bytes', length => {
    const world = bedWith({ k: 'x'.repeat(length), l: 'y'.repeat(1300), z: 'z' });
    for (const body of ['get k l\r\n', 'get l k\r\n', 'get k k nope z\r\n']) {
      expect(joined(world.exchange(body), CLIENT_ID)).toBe(answerText(world.items, body));
    }
    expect(world.held).toEqual(IDLE);
  });

  it('900 kB twice: over many cycles, with a bounded number of datagrams in each', () => {
    const world = bedWith({ k: 'x'.repeat(900_000), l: 'y'.repeat(900_000) }, { multiget: { chunks: 20_000 } });
    const heard = world.exchange('get k l\r\n');
    expect(joined(heard, CLIENT_ID)).toBe(answerText(world.items, 'get k l\r\n'));
    expect(heard.length).toBe(Math.ceil(answerText(world.items, 'get k l\r\n').length / 1392));
    expect(Math.max(...world.bursts)).toBeLessThanOrEqual(64);
    expect(world.held).toEqual(IDLE);
  });

  it('several long replies share the cycles', () => {
    const world = bedWith({ k: 'x'.repeat(200_000), l: 'y'.repeat(200_000) }, { multiget: { chunks: 20_000 } });
    const ofAlice = world.ask('get k nope\r\n', { client: ALICE });
    const ofBob = world.ask('get l nope\r\n', { client: BOB });
    const parts = [...ofBob, ...ofAlice].map(asked => world.answer(asked));
    const last = parts.map(frames => frames.pop()!);
    for (const frames of parts) world.deliver(frames);
    world.deliver(last);
    expect(world.held.gathers).toBe(2);
    world.settle();
    const heardBy = (ip: string) => world.heard.filter(({ client }) => client === ip);
    expect(joined(heardBy(ALICE.ip), CLIENT_ID)).toBe(answerText(world.items, 'get k nope\r\n'));
    expect(joined(heardBy(BOB.ip), CLIENT_ID)).toBe(answerText(world.items, 'get l nope\r\n'));
    expect(Math.max(...world.bursts)).toBeLessThanOrEqual(64);
  });

  it('a client port with a short MTU gets shorter datagrams', () => {
    const world = bedWith({ k: 'x'.repeat(3000), l: 'y' }, { clientMtu: 1000 });
    expect(joined(world.exchange('get k l\r\n'), CLIENT_ID, 1000 - 36)).toBe(answerText(world.items, 'get k l\r\n'));
  });
});

describe('parts that come out of order, twice, or not at all', () => {
  const VALUES = { k: 'abcdefgh'.repeat(1000), l: 'y' };
  const whole = (world: MemcachedBed) => answerText(world.items, 'get k l\r\n');

  it('out of order', () => {
    const world = bedWith(VALUES);
    const frames = world.ask('get k l\r\n').flatMap(asked => world.answer(asked));
    world.deliver([...frames].reverse());
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world));
  });

  it('twice: the second is dropped, at the beginning of a long value and far behind', () => {
    const world = bedWith({ ...VALUES, k: 'abcdefgh'.repeat(7000) });
    const [long, short] = world.ask('get k l\r\n').map(asked => world.answer(asked));
    world.deliver([...long!.slice(0, 3), long![0]!, long![2]!, ...long!.slice(3, 38), long![36]!, ...long!.slice(38)]);
    world.deliver(short!);
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world));
    expect([world.bed.count('drop_reply_stray'), world.bed.count('drop_multiget_part')]).toEqual([2, 1]);
    expect(world.held).toEqual(IDLE);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('a total that changes on the way is not believed', () => {
    const world = bedWith(VALUES);
    const [k, l] = world.ask('get k l\r\n');
    const frames = world.answer(k!);
    world.deliver([frames[0]!, reply('x'.repeat(100), { ...k!, sequence: 1, total: 2 }), ...frames.slice(1)]);
    world.deliver(world.answer(l!));
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world));
    expect(world.bed.count('drop_reply_stray')).toBe(1);
  });

  it('a node that says nothing: all its keys are misses', () => {
    const world = bedWith({ a: 'A', b: 'B', c: 'C', d: 'D', e: 'E' });
    const asked = world.ask('get a b c d e\r\n');
    const silent = asked[0]!.node;
    for (const each of asked) if (each.node !== silent) world.deliver(world.answer(each));
    world.wait(200);
    const lost = asked.filter(({ node }) => node === silent).map(({ body }) => body.split(/\s/)[1]!);
    for (const key of lost) world.items.delete(key);
    expect(joined(world.heard, CLIENT_ID)).toBe(answerText(world.items, 'get a b c d e\r\n'));
    expect(world.bed.count('multiget_unanswered')).toBe(lost.length);
  });

  it('deadlines end in the order of the requests, each in its own time', () => {
    const world = bedWith({});
    world.ask('get a b\r\n', { id: 1 });
    world.wait(100);
    world.ask('get c d\r\n', { id: 2 });
    world.wait(100);
    expect(world.heard.map(({ id, body }) => [id, body])).toEqual([[1, 'END\r\n']]);
    world.wait(100);
    expect(world.heard.map(({ id }) => id)).toEqual([1, 2]);
  });

  const WRONG: [what: string, reply: string, counter: string][] = [
    ['an error', 'SERVER_ERROR out of memory\r\n', 'multiget_node_errors'],
    ['a status', 'STORED\r\n', 'multiget_node_errors'],
    ['a value that is shorter than it says', 'VALUE a 0 10\r\nAAA\r\nEND\r\n', 'multiget_node_errors'],
    ['a value that is longer than it says', 'VALUE a 0 1\r\nAAA\r\nEND\r\n', 'multiget_node_errors'],
    [
      'a binary hit',
      binaryResponse({ opcode: 0x0c, extras: '\0\0\0\0', key: 'a', value: 'v' }),
      'multiget_node_errors',
    ],
  ];
  it.each(WRONG)('%s instead of a value makes a miss', (_, text, counter) => {
    const world = bedWith({ b: 'B' });
    const [a, b] = world.ask('get a b\r\n');
    world.deliver([...world.answer(b!), ...world.answer(a!, text)]);
    expect(joined(world.heard, CLIENT_ID)).toBe('VALUE b 0 1\r\nB\r\nEND\r\n');
    expect(world.bed.count(counter)).toBe(1);
    expect(world.held).toEqual(IDLE);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('what follows the first datagram of an error is late', () => {
    const world = bedWith({ b: 'B' });
    const [a, b] = world.ask('get a b\r\n');
    const [first, second] = world.answer(a!, `SERVER_ERROR ${'x'.repeat(1500)}\r\n`);
    world.deliver([first!, second!, ...world.answer(b!)]);
    expect(joined(world.heard, CLIENT_ID)).toBe('VALUE b 0 1\r\nB\r\nEND\r\n');
    expect(world.bed.count('drop_multiget_late')).toBe(1);
    expect(world.held).toEqual(IDLE);
  });

  it('a value under another key, or from another node, does not count', () => {
    const world = bedWith({ a: 'A', b: 'B' });
    const [a, b] = world.ask('get a b\r\n');
    world.deliver(world.answer(a!, 'VALUE b 0 5\r\nwrong\r\nEND\r\n'));
    const stranger = a!.node === MC1 ? MC2 : MC1;
    world.deliver(world.answer({ ...a!, node: stranger }, 'VALUE a 0 5\r\nwrong\r\nEND\r\n'));
    world.deliver([...world.answer(a!), ...world.answer(b!)]);
    expect(joined(world.heard, CLIENT_ID)).toBe(answerText(world.items, 'get a b\r\n'));
    expect(world.bed.count('drop_reply_wrong_key') + world.bed.count('drop_reply_wrong_node')).toBe(2);
  });

  it('a lane that starts anew knows nothing of them, and does not mistake their parts', () => {
    const world = bedWith({ a: 'A', b: 'B' });
    const before = world.ask('get a b\r\n');
    world.bed.restart();
    world.ask('get c d\r\n', { id: 1 });
    for (const asked of before) world.deliver(world.answer(asked));
    expect(world.bed.count('drop_multiget_late')).toBe(2);
    expect(world.heard).toEqual([]);
    expect(world.held).toEqual({ gathers: 1, chunks: 3 });
  });
});

describe('what does not come is asked for again', () => {
  it('whatever else lane 0 says in that cycle: frames that are queued stay as they are', () => {
    const neighbourTimes = { retryMs: 200, retries: 3, lifetimeMs: 1000 };
    const bed = new LaneBed({ nodes: [MC1, MC2], neighbourTimes });
    bed.wait(990);
    const asked = bed.hear('client', request('get a b\r\n')).sent;
    const { sent, counted } = bed.wait(60);
    expect(counted).toMatchObject({ multiget_retries: 2, arp_requests: 2 });
    const payloads = (frames: typeof sent) => frames.map(({ frame }) => Buffer.from(frame).toString('latin1', 50, 55));
    expect(payloads(sent)).toEqual(expect.arrayContaining(payloads(asked)));
  });

  const VALUES = { k: 'abcdefgh'.repeat(1000), l: 'y' };
  const whole = (world: MemcachedBed, body = 'get k l\r\n') => answerText(world.items, body);
  const bodies = (asked: readonly Asked[]) => asked.map(({ body }) => body);

  it('after a quarter of the time-out, and again, and then not any more', () => {
    const world = bedWith({ a: 'A' });
    const first = world.ask('get a b\r\n');
    const askedWithin = (ms: number) => {
      const before = world.asked.length;
      world.wait(ms);
      return bodies(world.asked.slice(before));
    };
    expect(askedWithin(45)).toEqual([]);
    expect(askedWithin(5)).toEqual(bodies(first));
    world.deliver(world.answer(world.asked[2]!));
    expect(askedWithin(50)).toEqual(['get b\r\n']);
    expect(askedWithin(95)).toEqual([]);
    expect(world.heard).toEqual([]);
    expect(askedWithin(5)).toEqual([]);
    expect(joined(world.heard, CLIENT_ID)).toBe('VALUE a 0 1\r\nA\r\nEND\r\n');
    expect([world.bed.count('multiget_retries'), world.bed.count('multiget_unanswered')]).toEqual([3, 1]);
    expect(world.held).toEqual(IDLE);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('a part of a value: the whole of it, and what is left of the first does not count', () => {
    const world = bedWith(VALUES);
    const [k, l] = world.ask('get k l\r\n').map(asked => world.answer(asked));
    world.deliver([...k!.slice(0, 2), ...k!.slice(3), ...l!]);
    world.wait(95);
    expect(world.asked.length).toBe(2);
    world.wait(5);
    expect(bodies(world.asked.slice(2))).toEqual(['get k\r\n']);
    const again = world.answer(world.asked[2]!);
    world.deliver(again.slice(1));
    world.deliver([k![2]!]);
    expect(world.bed.count('drop_multiget_late')).toBe(1);
    expect(world.heard).toEqual([]);
    world.deliver(again.slice(0, 1));
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world));
    expect(world.held).toEqual(IDLE);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('a value that has changed meanwhile is never mixed', () => {
    const world = bedWith(VALUES);
    const [k, l] = world.ask('get k l\r\n');
    const old = world.answer(k!);
    world.deliver([...old.slice(0, -1), ...world.answer(l!)]);
    world.set('k', 'ABCDEFGH'.repeat(1000));
    world.wait(100);
    const fresh = world.answer(world.asked[2]!);
    world.deliver([fresh[0]!, old.at(-1)!, ...fresh.slice(1)]);
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world));
  });

  it('the first answer, if it comes late and whole, is as good', () => {
    const world = bedWith({ a: 'A', b: 'B' });
    const [a, b] = world.ask('get a b\r\n');
    world.deliver(world.answer(b!));
    world.wait(60);
    world.deliver([...world.answer(a!), ...world.answer(world.asked[2]!)]);
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world, 'get a b\r\n'));
    expect(world.bed.count('drop_multiget_late')).toBe(1);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('as long as a long value goes on, nobody is asked again, and nothing is given up', () => {
    const world = bedWith({ k: 'x'.repeat(20_000) });
    const [k] = world.ask('get k nope\r\n').map(asked => world.answer(asked));
    for (const frame of k!) {
      world.deliver([frame]);
      world.wait(40);
    }
    expect(world.asked.length).toBe(2);
    world.wait(55);
    expect(bodies(world.asked.slice(2))).toEqual(['get nope\r\n']);
    world.deliver(world.answer(world.asked[2]!));
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world, 'get k nope\r\n'));
  });

  it('long values one at a time', () => {
    const world = bedWith({ k: 'x'.repeat(60_000), l: 'y'.repeat(60_000) }, { multiget: { chunks: 4096 } });
    const parts = world.ask('get k l\r\n').map(asked => world.answer(asked));
    for (const frames of parts) world.deliver(frames.slice(1));
    world.wait(100);
    expect(bodies(world.asked.slice(2))).toEqual(['get k\r\n']);
    world.deliver(world.answer(world.asked[2]!));
    world.wait(100);
    expect(bodies(world.asked.slice(3))).toEqual(['get l\r\n']);
    world.deliver(world.answer(world.asked[3]!));
    world.settle();
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world));
  });

  it('where the key lives by now', () => {
    const world = bedWith({ a: 'A', b: 'B' });
    const [a, b] = world.ask('get a b\r\n');
    world.deliver(world.answer(b!));
    world.bed.publish([MC1, MC2, MC3].map(node => ({ ...node, enabled: node !== a!.node })));
    world.wait(50);
    const again = world.asked[2]!;
    expect(again.node).not.toBe(a!.node);
    expect(again.node).toBe(world.ask('get a\r\n')[0]!.node);
    world.deliver(world.answer(again));
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world, 'get a b\r\n'));
  });

  it.each([
    ['a long key with an expiry time', `gats ${'0'.repeat(30)}99 ${'k'.repeat(250)} l\r\n`],
    [
      'a binary key',
      binaryRequest({ opcode: 0x09, key: `${'z'.repeat(240)} with sp` }) + binaryRequest({ opcode: 0x0a }),
    ],
  ])('%s, word for word', (_, body) => {
    const world = bedWith({});
    const first = world.ask(body);
    world.wait(50);
    const again = world.asked.slice(first.length);
    expect(bodies(again)).toEqual(bodies(first));
    expect(again.map(({ node }) => node)).toEqual(first.map(({ node }) => node));
  });

  it('of a newcomer, under a slot of the newcomers', () => {
    const world = bedWith({}, { gate: { watches: true }, slots: 64, newcomerSlots: 16 });
    const { slots } = world.bed.lane().path;
    const asked = world.ask('get a b\r\n');
    slots.aim(false);
    world.wait(50);
    for (const { slot } of [...asked, ...world.asked.slice(2)])
      expect(slot).toBeGreaterThanOrEqual(slots.circles[0]!.length);
    expect(world.asked.length).toBe(4);
  });

  it('of all keys a tenth, and 256 in a row', () => {
    const world = bedWith({}, { multiget: { gathers: 64 }, slots: 16_384 });
    for (let id = 0; id < 40; id++)
      world.ask(`get ${Array.from({ length: 50 }, (_, n) => `k${n}`).join(' ')}\r\n`, { id });
    world.wait(200);
    expect(world.bed.count('multiget_retries')).toBe(256);
    expect(world.heard.length).toBe(40);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('not while frames of the nodes are still to be read', () => {
    const world = bedWith({ a: 'A', b: 'B' });
    const asked = world.ask('get a b\r\n');
    world.bed.nowMs += 60;
    const noise = Array.from({ length: 64 }, () => reply('END\r\n', { slot: 1000 }));
    world.deliver([...noise, ...asked.flatMap(each => world.answer(each))]);
    expect(world.asked.length).toBe(2);
    expect(joined(world.heard, CLIENT_ID)).toBe(whole(world, 'get a b\r\n'));
  });
});

describe('bounds', () => {
  const keys = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`).join(' ');

  it('as many keys as allowed, and not one more', () => {
    const world = bedWith({ k0: 'first', k99: 'last' });
    const body = `get ${keys(100)}\r\n`;
    expect(joined(world.exchange(body), CLIENT_ID)).toBe(answerText(world.items, body));
    world.ask(`get ${keys(101)}\r\n`);
    expect(world.heard.at(-1)!.body).toBe('CLIENT_ERROR too many keys in one request\r\n');
    expect(world.bed.count('refused_multiget_keys')).toBe(1);
    expect(world.asked.length).toBe(100);
    expect(world.held).toEqual(IDLE);
  });

  it('more requests at once than there is room for', () => {
    const world = bedWith({}, { multiget: { gathers: 2 } });
    for (const id of [1, 2, 3]) world.ask('get a b\r\n', { id });
    expect(world.heard.map(({ id, body }) => [id, body])).toEqual([
      [3, 'SERVER_ERROR too many outstanding multi-key requests\r\n'],
    ]);
    expect(world.bed.count('refused_multiget_busy')).toBe(1);
    world.wait(200);
    expect(world.exchange('get a b\r\n').map(({ body }) => body)).toEqual(['END\r\n']);
  });

  it('no slot for the last key: the others give theirs back', () => {
    const world = bedWith({}, { slots: 16, multiget: { gathers: 64 } });
    world.ask(`get ${keys(10)}\r\n`, { id: 1 });
    world.ask(`get ${keys(10)}\r\n`, { id: 2 });
    expect(world.heard.map(({ id, body }) => [id, body])).toEqual([
      [2, 'SERVER_ERROR too many outstanding requests\r\n'],
    ]);
    expect(world.held).toEqual({ gathers: 1, chunks: 11 });
    expect(world.ask(`get ${keys(6)}\r\n`, { id: 3 }).length).toBe(6);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it.each([
    ['as its first datagram says', (frames: Uint8Array[]) => frames],
    ['whatever its order', (frames: Uint8Array[]) => [...frames].reverse()],
  ])('a value longer than half of the buffer, %s: an error for the whole request', (_, order) => {
    const world = bedWith({ k: 'x'.repeat(20_000), l: 'y' }, { multiget: { chunks: 100 } });
    const [k, l] = world.ask('get k l\r\n');
    world.deliver(world.answer(l!));
    world.deliver(order(world.answer(k!)));
    expect(world.heard.map(({ body }) => body)).toEqual(['SERVER_ERROR out of memory writing get response\r\n']);
    expect(world.bed.count('refused_multiget_memory')).toBe(1);
    expect(world.held).toEqual(IDLE);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('one request does not take the room of another', () => {
    const world = bedWith({ k: 'x'.repeat(9_000), l: 'y' }, { multiget: { chunks: 100 } });
    const first = world.ask('get k nope\r\n', { id: 1 });
    const second = world.ask('get k l\r\n', { id: 2 });
    world.deliver(world.answer(first[0]!));
    for (const asked of second) world.deliver(world.answer(asked));
    expect(joined(world.heard, 2)).toBe(answerText(world.items, 'get k l\r\n'));
  });

  it('what a broken value took of the room is given back', () => {
    const world = bedWith({ k: 'x'.repeat(9000), l: 'y'.repeat(9000) }, { multiget: { chunks: 100 } });
    const [k, l] = world.ask('get k l\r\n');
    world.deliver(world.answer(k!, world.answerOf(k!.body).slice(0, -1000)));
    world.deliver(world.answer(l!));
    world.items.delete('k');
    expect(joined(world.heard, CLIENT_ID)).toBe(answerText(world.items, 'get k l\r\n'));
    expect(world.bed.count('multiget_node_errors')).toBe(1);
  });

  it('a slot is free again as soon as all datagrams of its reply have come', () => {
    const world = bedWith({ k: 'x'.repeat(5000) }, { slots: 16 });
    for (let id = 0; id < 40; id++) {
      expect(joined(world.exchange('get k k nope\r\n', { id }), id)).toBe(answerText(world.items, 'get k k nope\r\n'));
    }
    expect(world.bed.count('slots_skipped')).toBe(0);
  });

  it('no node takes keys', () => {
    const world = bedWith({}, { nodes: [{ ...MC1, enabled: false }] });
    world.ask('get a b\r\n');
    expect(world.heard.map(({ body }) => body)).toEqual(['SERVER_ERROR no node available\r\n']);
  });

  it('an expiry time longer than any sense', () => {
    const world = bedWith({});
    world.ask(`gat ${'0'.repeat(60)}1 a b\r\n`);
    expect(world.heard.map(({ body }) => body)).toEqual(['CLIENT_ERROR bad command line format\r\n']);
  });
});

describe('the gatekeeper', () => {
  function makeKnown(world: MemcachedBed, client: Host): void {
    for (let n = 0; n < 2; n++) {
      world.exchange('get x\r\n', { client });
      world.bed.nowMs += KNOWN_AFTER_MS;
    }
    world.heard.length = 0;
  }

  it('charges for the whole reply, before a datagram of it leaves', () => {
    const values = { k: 'x'.repeat(3000), l: 'y'.repeat(3000) };
    const world = bedWith(values, { gate: { watches: true, responseBytesPerSecond: 8000 } });
    makeKnown(world, ALICE);
    expect(joined(world.exchange('get k l\r\n'), CLIENT_ID)).toBe(answerText(world.items, 'get k l\r\n'));
    expect(world.exchange('get k l\r\n', { id: 2 })).toEqual([]);
    expect(world.bed.count('answers_withheld')).toBe(1);
    expect(world.held).toEqual(IDLE);
    expect(joined(world.exchange('get x y\r\n', { id: 3 }), 3)).toBe('END\r\n');
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('counts every key as a request', () => {
    const world = bedWith({}, { gate: { watches: true, requestsPerSecond: 10 } });
    makeKnown(world, ALICE);
    world.wait(1000);
    const answered = (body: string, id: number) => world.exchange(body, { id }).length > 0;
    expect(answered('get a b c d e f g h\r\n', 1)).toBe(true);
    expect(answered('get a b c d e f g h\r\n', 2)).toBe(true);
    world.wait(600);
    expect(answered('get a\r\n', 3)).toBe(false);
    world.wait(200);
    expect(answered('get a\r\n', 4)).toBe(true);
    expect(world.bed.count('refused_rate')).toBe(1);
  });

  it('knows whose slots they are', () => {
    const world = bedWith({}, { gate: { watches: true }, slots: 64, multiget: { gathers: 64 } });
    makeKnown(world, ALICE);
    makeKnown(world, BOB);
    for (let id = 0; world.ask('get a b\r\n', { client: ALICE, id }).length > 0; id++) expect(id).toBeLessThan(31);
    expect([world.bed.count('refused_share'), world.bed.count('refused_busy')]).toEqual([1, 0]);
    expect(world.ask('get a b\r\n', { client: BOB }).length).toBe(2);
  });
});

describe('a binary run of quiet gets', () => {
  const VALUES = { a: 'AAA', b: 'b'.repeat(3000), 'with space': 'S', z: 'Z' };
  const get = (opcode: number, key: string, opaque: string) => binaryRequest({ opcode, key, opaque });
  const noop = binaryRequest({ opcode: 0x0a, opaque: 'noop' });

  const RUNS: [what: string, run: string][] = [
    ['getkq and a noop', get(0x0d, 'a', 'op-1') + get(0x0d, 'nope', 'op-2') + get(0x0d, 'b', 'op-3') + noop],
    ['getq and a noop', get(0x09, 'a', 'op-1') + get(0x09, 'b', 'op-2') + get(0x09, 'nope', 'op-3') + noop],
    ['one getkq and a noop', get(0x0d, 'a', 'op-1') + noop],
    ['nothing found, and a noop', get(0x0d, 'nope', 'op-1') + noop],
    ['getk at the end, found', get(0x09, 'b', 'op-1') + get(0x0c, 'z', 'op-2')],
    ['getk at the end, missing', get(0x09, 'a', 'op-1') + get(0x0c, 'nope', 'op-2')],
    ['get at the end, found', get(0x0d, 'a', 'op-1') + get(0x00, 'z', 'op-2')],
    ['get at the end, missing', get(0x0d, 'a', 'op-1') + get(0x00, 'nope', 'op-2')],
    ['no end', get(0x0d, 'a', 'op-1') + get(0x09, 'z', 'op-2')],
    ['a key that no text line can carry', get(0x0d, 'with space', 'op-1') + noop],
  ];
  it.each(RUNS)('%s', (_, run) => {
    const world = bedWith(VALUES);
    const heard = world.exchange(run);
    expect(joined(heard, CLIENT_ID)).toBe(answerBinary(world.items, packetsOf(run)));
    expect(world.asked.map(({ body }) => packetsOf(body).map(({ opcode }) => opcode))).toEqual(
      world.asked.map(() => [0x0c]),
    );
    expect(world.held).toEqual(IDLE);
    expect(world.bed.unaccounted()).toBe(0);
  });

  it('nothing found, and no end: silence, as from memcached', () => {
    const world = bedWith({});
    expect(world.exchange(get(0x0d, 'x', 'op-1') + get(0x09, 'y', 'op-2'))).toEqual([]);
    expect(world.held).toEqual(IDLE);
  });

  it('parts in any order', () => {
    const world = bedWith(VALUES);
    const run = get(0x09, 'b', 'op-1') + get(0x0d, 'b', 'op-2') + get(0x0c, 'a', 'op-3');
    const frames = world.ask(run).flatMap(asked => world.answer(asked));
    world.deliver([...frames].reverse());
    expect(joined(world.heard, CLIENT_ID)).toBe(answerBinary(world.items, packetsOf(run)));
  });

  it('a node that does not answer for the last key: not found', () => {
    const world = bedWith(VALUES);
    const run = get(0x0d, 'a', 'op-1') + get(0x0c, 'z', 'op-2');
    world.deliver(world.answer(world.ask(run)[0]!));
    world.wait(200);
    world.items.delete('z');
    expect(joined(world.heard, CLIENT_ID)).toBe(answerBinary(world.items, packetsOf(run)));
  });

  it('no room: the noop is answered with an error', () => {
    const world = bedWith({ k: 'x'.repeat(20_000) }, { multiget: { chunks: 100 } });
    const heard = world.exchange(get(0x0d, 'k', 'op-1') + noop);
    const value = 'out of memory writing get response';
    expect(heard.map(({ body }) => body)).toEqual([
      binaryResponse({ opcode: 0x0a, opaque: 'noop', status: 0x82, value }),
    ]);
    expect(world.held).toEqual(IDLE);
  });

  it('too many keys: an error with the opaque of the first', () => {
    const world = bedWith({}, { multiget: { keysMax: 2 } });
    world.ask(get(0x0d, 'a', 'op-1') + get(0x0d, 'b', 'op-2') + get(0x0d, 'c', 'op-3') + noop);
    const value = 'too many keys in one request';
    expect(world.heard.map(({ body }) => body)).toEqual([
      binaryResponse({ opcode: 0x0d, opaque: 'op-1', status: 4, value }),
    ]);
  });

  const REFUSED: [what: string, run: string][] = [
    ['something else among them', get(0x0d, 'a', 'op-1') + get(0x04, 'b', 'op-2') + noop],
    ['something behind the noop', get(0x0d, 'a', 'op-1') + noop + get(0x0d, 'a', 'op-2')],
    ['two noops', noop + noop],
    ['two gets that are not quiet', get(0x00, 'a', 'op-1') + get(0x00, 'b', 'op-2')],
    ['a set behind it', get(0x0d, 'a', 'op-1') + binaryRequest({ opcode: 0x01, key: 'k', extras: '\0'.repeat(8) })],
    ['half a packet behind it', get(0x0d, 'a', 'op-1') + noop.slice(0, 23)],
    ['a key that is too long', get(0x0d, 'a', 'op-1') + get(0x0d, 'k'.repeat(251), 'op-2') + noop],
    ['a get without a key', get(0x0d, 'a', 'op-1') + get(0x0d, '', 'op-2') + noop],
    ['a body that lies', get(0x0d, 'a', 'op-1') + binaryRequest({ opcode: 0x0d, key: 'b', bodyLength: 9 })],
  ];
  it.each(REFUSED)('%s: more than one command in a datagram', (_, run) => {
    const world = bedWith(VALUES);
    expect(world.ask(run)).toEqual([]);
    expect(world.bed.count('refused_trailing')).toBe(1);
    expect(world.heard.length).toBe(1);
  });
});
