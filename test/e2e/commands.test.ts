/** Keyless and administrative commands, out of the kernel's sockets, with real memcached behind. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KNOWN_AFTER_MS } from '../../src/dataplane/source-table.ts';
import { BALANCER_SERVER_ADDRESS, VIP } from '../../src/experiment/topology.ts';
import { binaryRequest, binaryResponse } from '../support/lane-bed-frames.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const KEYS = Array.from({ length: 60 }, (_, n) => `key-${n}`);
const OK = 'OK\r\n';
const DENIED = 'CLIENT_ERROR command denied\r\n';
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const VERSION = `1.6.0-keysteer-${version}`;

describe.skipIf(requireBed())('commands', () => {
  let bed: Bed;
  let client: UdpClient;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3 });
    client = await bed.startClient();
  });
  afterAll(() => bed?.close());

  function start(rules: string): Promise<Balancer> {
    const { client: near, server } = bed.network.balancer;
    const nodes = bed.network.nodes.map(
      ({ name, address, port }) => `{ name: ${name}, address: "${address}:${port}" }`,
    );
    const config = `vip: ${VIP}
ports:
  client: { interface: ${near.name} }
  server: { interface: ${server.name}, address: ${BALANCER_SERVER_ADDRESS} }
nodes: [${nodes.join(', ')}]
${rules}
`;
    return bed.startBalancerWith(['--config', bed.writeConfig('commands.yaml', config)]);
  }

  async function askForAll(command: (key: string) => string): Promise<string[]> {
    const { replies, timedOut } = await client.exchange(
      KEYS.map((key, n) => datagram(n, command(key))),
      { window: 20 },
    );
    expect(timedOut).toEqual([]);
    return replies.map(bodyOf);
  }

  const stats = (text: string) =>
    new Map([...text.matchAll(/STAT (\S+) (.*)\r\n/g)].map(([, name, value]) => [name!, value!]));

  describe('as they are by default', () => {
    let balancer: Balancer;
    beforeAll(async () => {
      balancer = await start('');
    });
    afterAll(() => balancer?.stop());

    test('the NF answers what is for it', async () => {
      expect(await client.ask('version\r\n')).toBe(`VERSION ${VERSION}\r\n`);
      expect(await client.ask('mn\r\n')).toBe('MN\r\n');
      const noop = { opcode: 0x0a, opaque: 'abcd' };
      expect(await client.ask(binaryRequest(noop))).toBe(binaryResponse(noop));
      const version = { opcode: 0x0b, opaque: 'abcd' };
      expect(await client.ask(binaryRequest(version))).toBe(binaryResponse({ ...version, value: VERSION }));
      expect(await client.ask('stats items\r\n')).toBe('END\r\n');
    });

    test.each(['flush_all\r\n', 'verbosity 1\r\n', 'me k\r\n', 'shutdown\r\n', 'quit\r\n', 'lru mode flat\r\n'])(
      '%j is denied',
      async command => {
        expect(await client.ask(command)).toBe(DENIED);
      },
    );

    test('stats tell what it has done', async () => {
      const before = stats((await client.ask('stats\r\n'))!);
      await askForAll(key => `set ${key} 0 0 1\r\nx\r\n`);
      await askForAll(key => `get ${key}\r\n`);
      const after = stats((await client.ask('stats\r\n'))!);
      const grown = (name: string) => Number(after.get(name)) - Number(before.get(name) ?? 0);
      expect([grown('cmd_get'), grown('cmd_set')]).toEqual([KEYS.length, KEYS.length]);
      expect(grown('total_requests')).toBe(2 * KEYS.length + 1);
      expect(after.get('version')).toBe(VERSION);
      expect(Math.abs(Number(after.get('time')) - Date.now() / 1000)).toBeLessThan(5);
      expect(Number(after.get('uptime'))).toBeLessThan(60);
      expect(after.get('pid')).toBe(before.get('pid'));
    });

    test('binary stats end with an empty packet, in datagrams of at most 1400 bytes', async () => {
      const { replies } = await client.exchange([datagram(1, binaryRequest({ opcode: 0x10 }))]);
      for (const part of replies[0]!) expect(part.length).toBeLessThanOrEqual(1400);
      expect(bodyOf(replies[0]!).endsWith(binaryResponse({ opcode: 0x10 }))).toBe(true);
    });

    test('stats locate names the node that has the key', async () => {
      await askForAll(key => `set ${key} 0 0 1\r\nx\r\n`);
      for (const key of KEYS.slice(0, 12)) {
        const found = stats((await client.ask(`stats locate ${key}\r\n`))!);
        const node = bed.network.nodes.find(({ name }) => name === found.get('node'))!;
        expect(found.get('address')).toBe(`${node.address}:${node.port}`);
        const to = { address: node.address, port: node.port };
        expect(await client.ask(`get ${key}\r\n`, { to })).toBe(`VALUE ${key} 0 1\r\nx\r\nEND\r\n`);
      }
    });

    test('stats nodes list every node', async () => {
      const listed = stats((await client.ask('stats nodes\r\n'))!);
      expect([...listed.keys()]).toEqual(['mc1', 'mc2', 'mc3']);
      for (const { name, address, port } of bed.network.nodes) {
        expect(listed.get(name)).toMatch(new RegExp(`^${address}:${port} weight=1 requests=\\d+ replies=\\d+$`));
      }
    });

    test('a key of control bytes is one item in every protocol', async () => {
      const key = 'k\x10\x01\x7f\t';
      const base64 = Buffer.from(key, 'latin1').toString('base64');
      expect(await client.ask(`set ${key} 0 0 2\r\nhi\r\n`)).toBe('STORED\r\n');
      expect(await client.ask(`get ${key}\r\n`)).toBe(`VALUE ${key} 0 2\r\nhi\r\nEND\r\n`);
      expect(await client.ask(`mg ${base64} b v\r\n`)).toBe('VA 2\r\nhi\r\n');
      const get = binaryRequest({ opcode: 0, key });
      expect(await client.ask(get)).toMatch(/hi$/);
      expect(await client.ask(`touch ${key} 60\r\n`)).toBe('TOUCHED\r\n');
      expect(await client.ask(`gat 60 ${key}\r\n`)).toBe(`VALUE ${key} 0 2\r\nhi\r\nEND\r\n`);
      expect(await client.ask(`gats 60 ${key}\r\n`)).toMatch(/^VALUE .* 0 2 \d+\r\nhi\r\nEND\r\n$/);
      expect(await client.ask(`md ${base64} b\r\n`)).toBe('HD\r\n');
      expect(await client.ask(`get ${key}\r\n`)).toBe('END\r\n');
    });
  });

  describe('where they are allowed', () => {
    let balancer: Balancer;
    beforeAll(async () => {
      balancer = await start(
        'commands: { flush_all: broadcast, verbosity: broadcast, me: forward, broadcast_timeout_ms: 300 }',
      );
    });

    test.each([
      ['ASCII', 'flush_all\r\n', OK],
      ['with a delay in the past', 'flush_all 0\r\n', OK],
      ['binary', binaryRequest({ opcode: 0x08 }), binaryResponse({ opcode: 0x08 })],
    ])('flush_all empties every node, %s', async (_, command, answer) => {
      await askForAll(key => `set ${key} 0 0 1\r\nx\r\n`);
      const items = await Promise.all(bed.nodes.map(node => node.stats()));
      for (const { curr_items } of items) expect(curr_items).toBeGreaterThan(0);
      expect(await client.ask(command)).toBe(answer);
      expect(await askForAll(key => `get ${key}\r\n`)).toEqual(KEYS.map(() => 'END\r\n'));
    });

    test('with noreply it works in silence', async () => {
      await askForAll(key => `set ${key} 0 0 1\r\nx\r\n`);
      const before = (await balancer.figures()).counters.broadcasts!;
      const { strays } = await client.exchange([datagram(1, 'flush_all noreply\r\n')], {
        unawaited: [0],
        timeoutMs: 1,
      });
      await balancer.figuresWhen('the broadcast', ({ counters }) => counters.broadcasts! > before);
      expect(strays).toEqual([]);
      expect(await askForAll(key => `get ${key}\r\n`)).toEqual(KEYS.map(() => 'END\r\n'));
    });

    test('verbosity is for all nodes, me for the one of its key', async () => {
      expect(await client.ask('verbosity 1\r\n')).toBe(OK);
      await client.ask('set k 0 0 1\r\nx\r\n');
      expect(await client.ask('me k\r\n')).toMatch(/^ME k exp=-1 /);
      expect(await client.ask(`me ${Buffer.from('k').toString('base64')} b\r\n`)).toMatch(/^ME /);
      expect(await client.ask('me nothing\r\n')).toBe('EN\r\n');
    });

    test('a node that does not answer makes it fail, in time', async () => {
      bed.nodes[1]!.group.signal('SIGSTOP');
      try {
        expect(await client.ask('flush_all\r\n', { timeoutMs: 2500 })).toBe(
          'SERVER_ERROR not every node answered in time\r\n',
        );
      } finally {
        bed.nodes[1]!.group.signal('SIGCONT');
      }
      expect(await client.ask('flush_all\r\n')).toBe(OK);
    });

    test('of all that, nothing else was dropped', async () => {
      const { figures } = await balancer.stop();
      expect(Object.keys(faults(figures)).filter(name => name !== 'refused_broadcast')).toEqual([]);
      expect(figures.counters.refused_broadcast).toBe(1);
    });
  });

  test('a read-only pool', async () => {
    const balancer = await start('commands: { deny: [writes, version] }');
    expect(await client.ask('set k 0 0 1\r\nx\r\n')).toBe(DENIED);
    expect(await client.ask('mg k v T60\r\n')).toBe(DENIED);
    expect(await client.ask('version\r\n')).toBe(DENIED);
    const touch = { opcode: 0x1c, extras: '\0\0\0\x3c', key: 'k' };
    expect(await client.ask(binaryRequest(touch))).toBe(
      binaryResponse({ opcode: 0x1c, status: 0x83, value: 'command denied' }),
    );
    expect(await client.ask('get nothing\r\n')).toBe('END\r\n');
    expect(await client.ask('mg nothing v\r\n')).toBe('EN\r\n');
    await balancer.stop();
  });

  test('an allow-list, and budgets', async () => {
    const others = await start('gatekeeper: { allow: [10.99.0.0/16] }');
    expect(await client.ask('version\r\n', { timeoutMs: 200 })).toBeUndefined();
    const { figures } = await others.stop();
    expect(faults(figures)).toEqual({ refused_source: 1 });

    const slow = await start('gatekeeper: { allow: [10.77.0.0/24], requests_per_second: 20 }');
    const { replies } = await client.exchange(
      KEYS.map((_, n) => datagram(n, 'mn\r\n')),
      { window: KEYS.length, timeoutMs: 300 },
    );
    // As a newcomer it has a part of the newcomers' 320; known, its own 20.
    expect(replies.filter(reply => reply.length > 0).length).toBe(KEYS.length);
    // What makes a source known is time.
    await new Promise(resolve => setTimeout(resolve, 2 * KNOWN_AFTER_MS));
    const again = await client.exchange(
      KEYS.map((_, n) => datagram(n, 'mn\r\n')),
      { window: KEYS.length, timeoutMs: 300 },
    );
    const answered = again.replies.filter(reply => reply.length > 0).length;
    expect(answered).toBeGreaterThanOrEqual(20);
    expect(answered).toBeLessThanOrEqual(28);
    const stopped = await slow.stop();
    expect(faults(stopped.figures)).toEqual({ refused_rate: KEYS.length - answered });
  });
});
