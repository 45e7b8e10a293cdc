/** Many keys in one request, spread over four real memcached: one reply, framed as the protocol says. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { configFromFlags } from '../../src/control/config/load.ts';
import { explainKey } from '../../src/control/explain.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { binaryRequest } from '../support/lane-bed-frames.ts';
import { answerBinary, answerText, type Framed, type Item, joined, packetsOf } from '../support/memcached-model.ts';
import { type Balancer, nodeFlags } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { Program, requireBed } from './program.ts';
import type { Saying } from './programs/tcp-client.ts';
import { type Address, datagram, type UdpClient } from './udp-client.ts';

const TIMEOUT_MS = 200;
const range = (count: number) => Array.from({ length: count }, (_, n) => n);
/** Every value is one of its own, and no part of it looks like another. */
const valueFor = (key: string, bytes: number) =>
  range(Math.ceil(bytes / 16))
    .map(n => `${key}/${n}/`.padEnd(16, '.').slice(0, 16))
    .join('')
    .slice(0, bytes);

/** How many bytes each key's value has. */
const LENGTHS: Readonly<Record<string, number>> = {
  empty: 0,
  one: 1,
  ...Object.fromEntries(range(60).map(n => [`key-${n}`, 64 + n])),
  ...Object.fromEntries(range(11).map(n => [`cut-${1390 + n}`, 1390 + n])),
  ...Object.fromEntries(range(40).map(n => [`border-${1355 + n}`, 1355 + n])),
  page: 4096,
  long: 20_000,
  longer: 100_000,
};
const HUGE = { 'huge-1': 900_000, 'huge-2': 900_000, 'huge-3': 1_000_000 };

/** A reply of 900 kB is 650 datagrams, which the client's socket must be able to hold. */
const RECEIVE_BYTES_MAX = Number(readFileSync('/proc/sys/net/core/rmem_max', 'latin1'));

describe.skipIf(requireBed())('multi-get', () => {
  let bed: Bed;
  let balancer: Balancer;
  let client: UdpClient;
  let tcp: Program<Saying, string[]>;
  let id = 0;
  const items = new Map<string, Item>();

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 4 });
    balancer = await bed.startBalancer();
    client = await bed.startClient();
    tcp = await Program.start(bed.namespaces, bed.network.clients[0]!.host, 'tcp-client');
    for (const { address, port } of bed.network.nodes) await store({ address, port }, LENGTHS);
  });
  afterAll(() => bed?.close());

  const homeOf = (key: string) => {
    const own = { vip: VIP, client: 'cl0', server: 'sv0', serverAddress: BALANCER_SERVER_ADDRESS };
    const node = nodeFlags(bed.network.nodes).filter(flag => flag !== '--node');
    return explainKey(configFromFlags({ ...own, node }), key).node!.name;
  };

  /** Stores straight at a node. CAS ids differ from node to node, so that none can be taken for another's. */
  async function store(to: Address, lengths: Readonly<Record<string, number>>): Promise<void> {
    const keys = Object.keys(lengths);
    const values = keys.map(key => [key, valueFor(key, lengths[key]!)] as const);
    const sets = values.map(([key, value]) => `set ${key} 5 0 ${value.length}\r\n${value}\r\n`);
    const text = Buffer.from(sets.join(''), 'latin1').toString('base64');
    expect(await tcp.ask({ to, text, lines: keys.length })).toEqual(keys.map(() => 'STORED'));
    for (const [key, value] of values) items.set(key, { flags: 5, cas: 0, value });
  }

  const framed = (message: Buffer): Framed => ({
    id: message.readUInt16BE(0),
    sequence: message.readUInt16BE(2),
    total: message.readUInt16BE(4),
    body: message.toString('latin1', 8),
  });

  /** The body of the one reply; whatever else comes fails the test. */
  async function ask(body: string): Promise<string> {
    id = (id + 1) & 0xffff;
    const { replies, timedOut, strays } = await client.exchange([datagram(id, body)]);
    expect({ body: body.slice(0, 80), timedOut, strays }).toEqual({
      body: body.slice(0, 80),
      timedOut: [],
      strays: [],
    });
    expect(Math.max(...replies[0]!.map(message => message.length))).toBeLessThanOrEqual(1400);
    return joined(replies[0]!.map(framed), id);
  }

  /** 650 datagrams in a row may find a full ring on a busy machine: then the key is a miss, and is asked for again. */
  const expectRight = async (body: string, attempts = 1) => {
    let said = await ask(body);
    for (let more = attempts; more > 1 && said !== answerText(items, body); more--) said = await ask(body);
    expect(said === answerText(items, body), body).toBe(true);
  };
  const keys = (count: number) => range(count).map(n => (n < 60 ? `key-${n}` : `absent-${n}`));

  test.each([1, 2, 10, 60, 100])('%i keys, in the order asked', async count => {
    await expectRight(`get ${keys(count).join(' ')}\r\n`);
    await expectRight(`get ${keys(count).reverse().join(' ')}\r\n`);
  });

  test('101 keys are refused', async () => {
    const { replies } = await client.exchange([datagram(1, `get ${keys(101).join(' ')}\r\n`)]);
    expect(replies[0]!.map(message => message.toString('latin1', 8))).toEqual([
      'CLIENT_ERROR too many keys in one request\r\n',
    ]);
    const { counters } = await balancer.figuresWhen(
      'the refusal',
      figures => faults(figures).refused_multiget_keys === 1,
    );
    expect(counters.multiget_answers).toBe(counters.multigets);
  });

  test('hits and misses in any mixture', async () => {
    for (const pattern of range(32)) {
      const mixed = range(5).map(bit => (pattern & (1 << bit) ? `key-${bit}` : `absent-${bit}`));
      await expectRight(`get ${mixed.join(' ')}\r\n`);
    }
  });

  test('the same key twice is answered twice', () => expectRight('get one key-1 one one empty\r\n'));

  test('values of 0 and 1 byte, and around every border of a datagram', async () => {
    for (const key of Object.keys(LENGTHS)) {
      await expectRight(`get ${key} one\r\n`);
      await expectRight(`get empty absent ${key} ${key}\r\n`);
    }
  });

  test('values of 4, 20 and 100 kB among small ones', async () => {
    await expectRight('get long page longer one absent long empty\r\n');
  });

  test.skipIf(RECEIVE_BYTES_MAX < 4 << 20)('values of 900 kB and near 1 MB, alone and together', async () => {
    for (const { name, address, port } of bed.network.nodes) {
      const own = Object.entries(HUGE).filter(([key]) => homeOf(key) === name);
      if (own.length > 0) await store({ address, port }, Object.fromEntries(own));
    }
    await expectRight('get huge-1 one\r\n', 10);
    await expectRight('get one huge-2 absent\r\n', 10);
    await expectRight('get huge-3 key-1 huge-1\r\n', 10);
  });

  test('gets: each value with the CAS id of its node', async () => {
    const one = await ask('gets one\r\n');
    const page = await ask('gets page\r\n');
    expect(await ask('gets one absent page\r\n')).toBe(`${one.slice(0, -5)}${page}`);
    expect(one).toMatch(/^VALUE one 5 1 \d+\r\n/);
  });

  test('gat: every key is touched', async () => {
    await ask('set mortal-1 0 0 1\r\na\r\n');
    await ask('set mortal-2 0 0 1\r\nb\r\n');
    const answer = 'VALUE mortal-1 0 1\r\na\r\nVALUE mortal-2 0 1\r\nb\r\nEND\r\n';
    expect(await ask('gat -1 mortal-1 absent mortal-2\r\n')).toBe(answer);
    expect(await ask('get mortal-1 mortal-2\r\n')).toBe('END\r\n');
  });

  test('many at a time', async () => {
    const bodies = range(400).map(
      n =>
        `get ${range(10)
          .map(k => `key-${(n * 7 + k) % 70}`)
          .join(' ')}\r\n`,
    );
    const requests = bodies.map((body, n) => datagram(n, body));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: 32 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    const said = replies.map((reply, n) => joined(reply.map(framed), n));
    expect(said).toEqual(bodies.map(body => answerText(items, body)));
  });

  describe('binary runs', () => {
    const get = (opcode: number, key: string, opaque: string) => binaryRequest({ opcode, key, opaque });
    const noop = binaryRequest({ opcode: 0x0a, opaque: 'noop' });
    /** CAS ids are the nodes' own. */
    const withoutCas = (answer: string) => {
      const bytes = Buffer.from(answer, 'latin1');
      for (let at = 0; at < bytes.length; at += 24 + bytes.readUInt32BE(at + 8)) bytes.fill(0, at + 16, at + 24);
      return bytes.toString('latin1');
    };

    test.each([
      ['getkq, noop', get(0x0d, 'one', '0001') + get(0x0d, 'absent', '0002') + get(0x0d, 'page', '0003') + noop],
      ['getq, noop', get(0x09, 'long', '0001') + get(0x09, 'empty', '0002') + noop],
      ['getq, getk', get(0x09, 'one', '0001') + get(0x0c, 'key-3', '0002')],
      ['getkq, get, missing', get(0x0d, 'one', '0001') + get(0x00, 'absent', '0002')],
      ['getkq, getk, missing', get(0x0d, 'one', '0001') + get(0x0c, 'absent', '0002')],
    ])('%s', async (_, run) => {
      expect(withoutCas(await ask(run))).toBe(answerBinary(items, packetsOf(run)));
    });

    test('opaques, flags and CAS ids are those of the nodes’ single answers', async () => {
      const single = await ask(get(0x0c, 'one', 'aaaa'));
      const merged = await ask(get(0x0d, 'one', 'aaaa') + noop);
      expect(merged.slice(0, single.length)).toBe(`\x81\x0d${single.slice(2)}`);
    });
  });

  test('memcached itself frames a multi-get so that it cannot be put together', async () => {
    const { address, port } = bed.network.nodes[0]!;
    const fence = datagram(2, 'version\r\n');
    const direct = async (body: string) => {
      const { replies } = await client.exchange([datagram(1, body), fence], {
        to: { address, port },
        window: 2,
        unawaited: [0],
      });
      return replies[0]!;
    };
    const hits = await direct('get one empty key-1\r\n');
    expect(hits.map(message => message.toString('hex', 0, 8))).toEqual(range(3).map(() => '0001000000010000'));
    expect(() => joined(hits.map(framed), 1)).toThrow('"0 of 1" in a reply of 3 datagrams');
    const missFirst = await direct('get absent one\r\n');
    expect(missFirst[0]!.toString('hex')).toBe('0001000000000000');
    expect(() => joined(missFirst.map(framed), 1)).toThrow();
    const twoLong = await direct('get long longer\r\n');
    expect(() => joined(twoLong.map(framed), 1)).toThrow();
    for (const body of ['get one empty key-1\r\n', 'get absent one\r\n', 'get long longer\r\n'])
      await expectRight(body);
  });

  test('nothing else was dropped or refused', async () => {
    const { figures } = await balancer.stop();
    // An answer that was late on a busy machine: its key was asked for again.
    const { drop_multiget_late = 0, ...others } = faults(figures);
    expect(others).toEqual({ refused_multiget_keys: 1 });
    expect(drop_multiget_late).toBeLessThanOrEqual(figures.counters.multiget_retries!);
    expect(figures.counters.multiget_node_errors).toBe(0);
    expect(figures.counters.multiget_answers).toBe(figures.counters.multigets);
  });

  describe('a node that has stopped', () => {
    /** 60 keys, those of the node that stops, and what is there when they are not. */
    const asked = keys(60);
    const body = `get ${asked.join(' ')}\r\n`;
    const lost = () => asked.filter(key => homeOf(key) === bed.network.nodes[2]!.name);
    const without = (gone: readonly string[]) => new Map([...items].filter(([key]) => !gone.includes(key)));

    async function start(more: string): Promise<void> {
      const nodes = bed.network.nodes.map(({ name, address }) => `  - { name: ${name}, address: ${address} }`);
      const ports = [
        'ports:',
        '  client: { interface: cl0 }',
        `  server: { interface: sv0, address: ${BALANCER_SERVER_ADDRESS} }`,
      ];
      const config = [`vip: ${VIP}`, ...ports, 'nodes:', ...nodes, more].join('\n');
      balancer = await bed.startBalancerWith(['--config', bed.writeConfig('stopped.yaml', config)]);
      await expectRight(body); // every next hop is known from here on
    }
    afterEach(async () => {
      bed.nodes[2]!.group.signal('SIGCONT');
      await balancer.stop();
    });

    test('its keys are misses, in time, the others are answered', async () => {
      await start('health: { enabled: false }');
      const { multiget_unanswered: before } = (await balancer.figures()).counters;
      bed.nodes[2]!.group.signal('SIGSTOP');
      const startedMs = performance.now();
      const said = await ask(body);
      const tookMs = performance.now() - startedMs;
      bed.nodes[2]!.group.signal('SIGCONT');
      expect(said).toBe(answerText(without(lost()), body));
      expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 1);
      const { counters } = await balancer.figuresWhen(
        'its late answers',
        figures => figures.counters.drop_multiget_late! >= lost().length,
      );
      expect(counters.multiget_unanswered! - before!).toBe(lost().length);
      await expectRight(body);
    });

    test('once health has taken it out, its successors are asked', async () => {
      await start('');
      bed.nodes[2]!.group.signal('SIGSTOP');
      await balancer.figuresWhen('mc3 out', ({ nodes }) => nodes[2]!.health === 'out');
      await expectRight(body);
    });
  });
});
