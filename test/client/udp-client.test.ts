/** The client against a server that misbehaves on purpose. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import * as client from '../../src/client/index.ts';
import { requireBuild } from '../support/requirements.ts';
import { cut, datagram, FakeServer, type Request } from './fake-server.ts';

const { ArgumentError, ClosedError, KeyError, ReplyError, requests, ServerError, TimeoutError, UdpClient } = client;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** For what must time out. */
const SHORT_MS = 40;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(each => each.close()));
});

async function serve(onRequest: (request: Request) => void): Promise<FakeServer> {
  const server = await FakeServer.start(onRequest);
  open.push(server);
  return server;
}

async function connect(server: FakeServer, options?: client.ClientOptions): Promise<client.UdpClient> {
  const connected = await UdpClient.connect(server.address, { timeoutMs: 5000, ...options });
  open.push(connected);
  return connected;
}

const hit = (key: string, value = `value of ${key}`) => `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`;
const keyOf = ({ text }: Request) => text.trimEnd().split(' ')[1]!;

describe('replies', () => {
  test('are matched by id: many outstanding, answered in reverse', async () => {
    const held: Request[] = [];
    const server = await serve(request => {
      held.push(request);
      if (held.length === 100) for (const each of held.reverse()) each.answer(hit(keyOf(each)));
    });
    const { get } = bound(await connect(server));
    const keys = Array.from({ length: 100 }, (_, n) => `k${n}`);
    const items = await Promise.all(keys.map(key => get(key)));
    expect(items.map(item => String(item!.value))).toEqual(keys.map(key => `value of ${key}`));
    expect(new Set(server.requests.map(({ id }) => id)).size).toBe(100);
  });

  test('of several datagrams: reversed, each twice', async () => {
    const value = 'abcdefghij'.repeat(1000);
    const server = await serve(({ id, send }) => {
      const parts = cut(id, hit('a', value)).reverse();
      send(...parts.slice(0, -1).flatMap(part => [part, part]), parts.at(-1)!);
    });
    const connected = await connect(server);
    expect(String((await connected.get('a'))!.value)).toBe(value);
    expect(connected.counts).toMatchObject({ sent: 1, received: 15, duplicates: 7, strays: 0 });
  });

  test('what belongs to no request is counted and ignored', async () => {
    const server = await serve(({ id, send }) => {
      send(Buffer.from('short'), datagram(id ^ 1, 0, 1, 'END\r\n'), datagram(id, 3, 2, 'x'), ...cut(id, hit('a')));
    });
    const connected = await connect(server);
    expect(await connected.get('a')).toMatchObject({ key: 'a' });
    expect(connected.counts).toMatchObject({ received: 4, strays: 1, malformed: 2 });
  });

  test('from somebody else are not even seen', async () => {
    const stranger = await serve(() => {});
    const server = await serve(({ id, port, answer }) => {
      stranger.send(port, ...cut(id, hit('a', 'forged')));
      answer(hit('a', 'right'));
    });
    const connected = await connect(server);
    expect(String((await connected.get('a'))!.value)).toBe('right');
    expect(connected.counts.received).toBe(1);
  });

  test('the first id is random, the next ones follow', async () => {
    const server = await serve(({ answer }) => answer('END\r\n'));
    const firsts = new Set<number>();
    for (let n = 0; n < 8; n++) {
      const { get } = bound(await connect(server));
      await get('a');
      await get('a');
      const [first, second] = server.requests.splice(0).map(({ id }) => id);
      firsts.add(first!);
      expect(second).toBe((first! + 1) & 0xffff);
    }
    expect(firsts.size).toBeGreaterThan(1);
  });

  test.each<[string, (c: client.UdpClient) => Promise<unknown>, string, unknown]>([
    ['get', c => c.get('a'), 'END\r\n', undefined],
    ['set', c => c.set('a', 'v'), 'STORED\r\n', true],
    ['add', c => c.add('a', 'v'), 'NOT_STORED\r\n', false],
    ['cas', c => c.cas('a', 'v', 5n), 'EXISTS\r\n', 'exists'],
    ['delete', c => c.delete('a'), 'NOT_FOUND\r\n', false],
    ['incr', c => c.incr('a', 5), '12\r\n', 12n],
    ['decr', c => c.decr('a', 5n), 'NOT_FOUND\r\n', undefined],
    ['touch', c => c.touch('a', 5), 'TOUCHED\r\n', true],
    ['version', c => c.version(), 'VERSION x y\r\n', 'x y'],
    ['meta', c => c.meta('mg a v'), 'EN\r\n', { code: 'EN', flags: [] }],
    ['stats', c => c.stats('locate a'), 'STAT node mc1\r\nEND\r\n', new Map([['node', 'mc1']])],
    ['request', c => c.request(Buffer.from('x')), 'anything', Buffer.from('anything')],
  ])('%s', async (_verb, call, reply, expected) => {
    const connected = await connect(await serve(({ answer }) => answer(reply)));
    expect(await call(connected)).toEqual(expected);
  });
});

describe('getMany', () => {
  test('a hit that may be a splice is asked for again, alone', async () => {
    const wide = (key: string) => `VALUE ${key} 0 3000\r\n${key.repeat(3000)}\r\n`;
    const server = await serve(({ id, text, send, answer }) => {
      if (text === 'get a\r\n') return answer(`${wide('a')}END\r\n`);
      const [first] = cut(id, wide('a'));
      const [, ...rest] = cut(id, `${wide('b')}END\r\n`);
      send(first!, ...rest); // the tail of a and the head of b are lost
    });
    const connected = await connect(server);
    const items = await connected.getMany(['a', 'b']);
    expect([...items].map(([key, { value }]) => [key, String(value)])).toEqual([['a', 'a'.repeat(3000)]]);
    expect(server.requests.map(({ text }) => text)).toEqual(['get a b\r\n', 'get a\r\n']);
  });

  test('a hit that END has overtaken is found', async () => {
    const server = await serve(({ answer }) => answer('END\r\n', 'VALUE a 0 1\r\nx\r\n'));
    const items = await (await connect(server, { settleMs: 500 })).getMany(['a', 'm']);
    expect([...items.keys()]).toEqual(['a']);
  });

  test('nothing to ask: nothing is sent; a key twice is asked for once', async () => {
    const server = await serve(({ answer }) => answer('VALUE a 0 1 7\r\nx\r\nEND\r\n'));
    const connected = await connect(server);
    expect(await connected.getMany([])).toEqual(new Map());
    const items = await connected.getMany(['a', 'a'], { cas: true });
    expect(items.get('a')).toMatchObject({ cas: 7n });
    expect(server.requests.map(({ text }) => text)).toEqual(['gets a\r\n']);
  });
});

describe('no answer', () => {
  test('TimeoutError names server, key and time', async () => {
    const server = await serve(() => {});
    const connected = await connect(server, { timeoutMs: SHORT_MS });
    const error = await connected.get('a b'.replace(' ', '-')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ server: server.address, verb: 'get', key: 'a-b', attempts: 1, refused: false });
    expect(String(error)).toBe(`TimeoutError: no answer from ${server.address} to get "a-b" within ${SHORT_MS} ms`);
  });

  test('it says when part of the reply came', async () => {
    const server = await serve(({ id, send }) => send(...cut(id, hit('a', 'x'.repeat(3000))).slice(1)));
    const connected = await connect(server, { timeoutMs: SHORT_MS });
    await expect(connected.get('a')).rejects.toMatchObject({ datagrams: 2 });
  });

  test('it says when nothing listens there, and a server that comes up is heard', async () => {
    const gone = await FakeServer.start(() => {});
    await gone.close();
    const connected = await connect(gone, { timeoutMs: SHORT_MS });
    const asked = [1, 2, 3].map(() => connected.get('a').catch((e: unknown) => e));
    for (const error of await Promise.all(asked)) expect(error).toMatchObject({ refused: true });
    await expect(connected.get('a')).rejects.toThrow('nothing listens there (ICMP port unreachable)');
    open.push(await FakeServer.start(({ answer }) => answer(hit('a')), gone.port));
    expect(await connected.get('a')).toMatchObject({ key: 'a' });
  });

  test.each<[string, (c: client.UdpClient) => Promise<unknown>, number]>([
    ['get', c => c.get('a'), 3],
    ['gets', c => c.gets('a'), 3],
    ['getMany', c => c.getMany(['a', 'b']), 3],
    ['version', c => c.version(), 3],
    ['stats', c => c.stats(), 3],
    ['stats reset', c => c.stats('reset'), 1],
    ['set', c => c.set('a', 'v'), 1],
    ['append', c => c.append('a', 'v'), 1],
    ['cas', c => c.cas('a', 'v', 1n), 1],
    ['delete', c => c.delete('a'), 1],
    ['incr', c => c.incr('a'), 1],
    ['touch', c => c.touch('a', 1), 1],
    ['gat', c => c.gat('a', 1), 1],
    ['gats', c => c.gats('a', 1), 1],
    ['meta', c => c.meta('mg a N30'), 1],
    ['request', c => c.request(Buffer.from('get a\r\n')), 1],
  ])('with 2 retries %s is sent %i times in all, each under an id of its own', async (_verb, call, times) => {
    const server = await serve(() => {});
    const connected = await connect(server, { timeoutMs: SHORT_MS, retries: 2 });
    await expect(call(connected)).rejects.toMatchObject({ name: 'TimeoutError', attempts: times });
    expect(server.requests).toHaveLength(times);
    expect(new Set(server.requests.map(({ id }) => id)).size).toBe(times);
    expect(connected.counts).toMatchObject({ retries: times - 1, timeouts: times });
  });

  test('a retry that is answered is an answer; a late reply to the first try is a stray', async () => {
    const held: Request[] = [];
    const server = await serve(request => {
      held.push(request);
      if (held.length === 1) return;
      held[0]!.answer('END\r\n');
      request.answer(hit('a'));
    });
    const connected = await connect(server, { timeoutMs: SHORT_MS, retries: 5 });
    expect(await connected.get('a')).toMatchObject({ key: 'a' });
    expect(connected.counts.strays).toBeGreaterThanOrEqual(1);
  });
});

describe('errors', () => {
  test('an error line is a ServerError with the line, anything else a ReplyError', async () => {
    const server = await serve(({ text, answer }) =>
      answer(text === 'get e\r\n' ? 'SERVER_ERROR busy\r\n' : 'what\r\n'),
    );
    const connected = await connect(server);
    await expect(connected.get('e')).rejects.toThrow(ServerError);
    await expect(connected.get('e')).rejects.toMatchObject({ line: 'SERVER_ERROR busy' });
    await expect(connected.get('f')).rejects.toThrow(ReplyError);
    await expect(connected.get('f')).rejects.toThrow('no answer to get "f": the server sent 6 bytes, "what\\r\\n"');
  });

  test('what cannot be sent is refused before anything is sent', async () => {
    const server = await serve(() => {});
    const connected = await connect(server);
    await expect(connected.get('a b')).rejects.toThrow(KeyError);
    await expect(connected.set('a', Buffer.alloc(65_507))).rejects.toThrow(ArgumentError);
    await expect(connected.meta('ms a 9', 'short')).rejects.toThrow(ArgumentError);
    await expect(connected.request(Buffer.alloc(0))).rejects.toThrow(ArgumentError);
    await expect(connected.send(Buffer.alloc(65_500))).rejects.toThrow(ArgumentError);
    expect(connected.counts.sent).toBe(0);
  });

  test.each(['', ':11211', 'host:', 'host:0', 'host:65536', 'a b', '[::1]:11211', 'host:1:2', '-x'])(
    'server %j is refused',
    async server => {
      await expect(UdpClient.connect(server)).rejects.toThrow('must be HOST or HOST:PORT');
    },
  );

  test.each([
    { timeoutMs: 0 },
    { timeoutMs: 1.5 },
    { timeoutMs: 2 ** 31 },
    { retries: -1 },
    { retries: 101 },
    { settleMs: -1 },
  ])('option %j is refused', async options => {
    await expect(UdpClient.connect('127.0.0.1', options)).rejects.toThrow(ArgumentError);
  });
});

describe('the end', () => {
  test('close fails what is outstanding, and what is asked later', async () => {
    const connected = await connect(await serve(() => {}));
    const outstanding = connected.get('a').catch((e: unknown) => e);
    await connected.close();
    await connected.close();
    expect(await outstanding).toBeInstanceOf(ClosedError);
    await expect(connected.get('a')).rejects.toThrow(ClosedError);
    await expect(connected.send(Buffer.from('x'))).rejects.toThrow(ClosedError);
  });

  test('noreply: sent, and nothing awaited', async () => {
    let arrived: (text: string) => void;
    const text = new Promise<string>(resolve => {
      arrived = resolve;
    });
    const connected = await connect(await serve(request => arrived(request.text)));
    await connected.send(requests.store('set', 'a', 'v', { noreply: true }));
    expect(await text).toBe('set a 0 0 1 noreply\r\nv\r\n');
  });

  describe.skipIf(requireBuild())('of a process', () => {
    const programs: [string, string, string][] = [
      ['that has its answer and closes nothing ends', 'await client.version()', 'VERSION 1'],
      ['that asks nothing ends', '"idle"', 'idle'],
      ['waits for what is outstanding', 'await client.get("lost").catch(error => error.name)', 'TimeoutError'],
    ];
    test.each(programs)('%s', async (_what, expression, printed) => {
      const server = await serve(({ text, answer }) => {
        if (text === 'version\r\n') answer('VERSION VERSION 1\r\n');
      });
      const source = `import { UdpClient } from 'keysteer/client';
        const client = await UdpClient.connect('${server.address}', { timeoutMs: 300 });
        console.log(${expression});`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
        stdio: ['ignore', 'pipe', 'inherit'],
        timeout: 20_000,
        cwd: ROOT,
      });
      let output = '';
      child.stdout.on('data', chunk => {
        output += chunk;
      });
      const [code] = await once(child, 'close');
      expect({ code, output }).toEqual({ code: 0, output: `${printed}\n` });
    });
  });
});

/** Methods that can be passed around. */
function bound(connected: client.UdpClient) {
  return { get: (key: string) => connected.get(key) };
}
