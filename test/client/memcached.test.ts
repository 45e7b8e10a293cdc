/** The client against a real memcached on loopback. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requests, ServerError, UdpClient } from '../../src/client/index.ts';
import { LiveMemcached } from '../memcached/live-memcached.ts';
import { requireMemcached } from '../support/requirements.ts';

describe.skipIf(requireMemcached())('a real memcached', () => {
  let server: LiveMemcached;
  let client: UdpClient;

  beforeAll(async () => {
    server = await LiveMemcached.start();
    client = await UdpClient.connect(`127.0.0.1:${server.port}`, { timeoutMs: 5000 });
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });

  test('set, get, flags, bytes of every kind', async () => {
    const value = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    expect(await client.set('bytes-é', value, { flags: 4294967295, ttl: 100 })).toBe(true);
    expect(await client.get('bytes-é')).toEqual({ key: 'bytes-é', value, flags: 4294967295 });
    expect(await client.get('nothing')).toBeUndefined();
  });

  test('add, replace, append, prepend', async () => {
    expect(await client.replace('k', 'x')).toBe(false);
    expect(await client.append('k', 'x')).toBe(false);
    expect(await client.add('k', 'b')).toBe(true);
    expect(await client.add('k', 'x')).toBe(false);
    expect(await client.append('k', 'c')).toBe(true);
    expect(await client.prepend('k', 'a')).toBe(true);
    expect(String((await client.get('k'))!.value)).toBe('abc');
    expect(await client.replace('k', 'new')).toBe(true);
  });

  test('gets and cas', async () => {
    await client.set('c', 'one');
    const { cas } = (await client.gets('c'))!;
    expect(await client.cas('c', 'two', cas!)).toBe('stored');
    expect(await client.cas('c', 'three', cas!)).toBe('exists');
    expect(await client.cas('nothing', 'x', 1n)).toBe('not found');
    expect(String((await client.get('c'))!.value)).toBe('two');
  });

  test('incr and decr, to the ends of 64 bits', async () => {
    await client.set('n', '18446744073709551614');
    expect(await client.incr('n')).toBe(18446744073709551615n);
    expect(await client.incr('n', 2n)).toBe(1n);
    expect(await client.decr('n', 5)).toBe(0n);
    expect(await client.incr('nothing')).toBeUndefined();
    await client.set('text', 'abc');
    await expect(client.incr('text')).rejects.toThrow(ServerError);
  });

  test('delete, touch, gat, gats', async () => {
    await client.set('t', 'v');
    expect(await client.touch('t', 1000)).toBe(true);
    expect(await client.touch('nothing', 1)).toBe(false);
    expect(String((await client.gat('t', 100))!.value)).toBe('v');
    expect((await client.meta('mg t t')).flags).toEqual([expect.stringMatching(/^t(99|100)$/)]);
    expect((await client.gats('t', -1))!.cas).toBeTypeOf('bigint');
    expect(await client.get('t')).toBeUndefined();
    await client.set('t', 'v');
    expect(await client.delete('t')).toBe(true);
    expect(await client.delete('t')).toBe(false);
  });

  test('meta', async () => {
    expect(await client.meta('ms m 3 F7', 'abc')).toEqual({ code: 'HD', flags: [] });
    const { code, flags, value } = await client.meta('mg m v f k O123');
    expect([code, flags, String(value)]).toEqual(['VA', ['f7', 'km', 'O123'], 'abc']);
    expect((await client.meta('mg nothing v')).code).toBe('EN');
    expect((await client.meta('md nothing')).code).toBe('NF');
    expect((await client.meta('ma counter N0 J41 v')).value!.toString()).toBe('41');
    expect((await client.meta('mn')).code).toBe('MN');
    expect((await client.meta('me m')).code).toBe('ME');
    await expect(client.meta('mg m !')).rejects.toThrow(ServerError);
  });

  test('version, stats', async () => {
    expect(await client.version()).toMatch(/^\d+\.\d+/);
    const stats = await client.stats();
    expect(stats.get('version')).toBe(await client.version());
    expect(stats.size).toBeGreaterThan(50);
    expect((await client.stats('settings')).get('udpport')).toBe(`${server.port}`);
    await expect(client.stats('locate k')).rejects.toMatchObject({ line: 'ERROR' });
  });

  test('noreply, then read', async () => {
    await client.send(requests.store('set', 'quiet', 'v', { noreply: true }));
    expect(String((await client.get('quiet'))!.value)).toBe('v');
  });

  test('the largest value that fits one request comes back in 47 datagrams', async () => {
    const value = Buffer.alloc(65_507 - 8 - 'set big 0 0 65478\r\n\r\n'.length, 'abcdefg');
    expect(await client.set('big', value)).toBe(true);
    const before = client.counts.received;
    expect((await client.get('big'))!.value.equals(value)).toBe(true);
    expect(client.counts.received - before).toBe(Math.ceil((65_507 - 8) / 1392));
  });

  test('getMany: hits and misses anywhere, small and of many datagrams', async () => {
    const wide = (key: string) => key.repeat(4000);
    for (const key of ['a', 'b']) await client.set(key, `small ${key}`);
    for (const key of ['X', 'Y', 'Z']) await client.set(key, wide(key));
    const found = async (keys: string) => {
      const items = await client.getMany(keys.split(' '));
      return Object.fromEntries([...items].map(([key, { value }]) => [key, String(value)]));
    };
    expect(await found('a b')).toEqual({ a: 'small a', b: 'small b' });
    expect(await found('m1 a')).toEqual({ a: 'small a' });
    expect(await found('a m1')).toEqual({ a: 'small a' });
    expect(await found('m1 m2')).toEqual({});
    expect(await found('m1 m2 a m3 b m4')).toEqual({ a: 'small a', b: 'small b' });
    expect(await found('X Y Z')).toEqual({ X: wide('X'), Y: wide('Y'), Z: wide('Z') });
    expect(await found('m1 X a m2 Y')).toEqual({ X: wide('X'), a: 'small a', Y: wide('Y') });
  });

  test('getMany of 300 keys, with CAS ids', async () => {
    const keys = Array.from({ length: 300 }, (_, n) => `many-${n}`);
    await Promise.all(keys.filter((_, n) => n % 3 > 0).map(key => client.set(key, key)));
    const items = await client.getMany(keys, { cas: true });
    expect(items.size).toBe(200);
    for (const [key, item] of items) expect([String(item.value), typeof item.cas]).toEqual([key, 'bigint']);
  });

  test('1000 keys, 100 requests outstanding at a time', async () => {
    const keys = Array.from({ length: 1000 }, (_, n) => `key-${n}`);
    for (let n = 0; n < keys.length; n += 100)
      await Promise.all(keys.slice(n, n + 100).map(key => client.set(key, key)));
    for (let n = 0; n < keys.length; n += 100) {
      const items = await Promise.all(keys.slice(n, n + 100).map(key => client.get(key)));
      expect(items.map(item => String(item?.value))).toEqual(keys.slice(n, n + 100));
    }
  });

  test('request: bytes there, bytes back, whatever the protocol', async () => {
    const binaryVersion = Buffer.alloc(24);
    binaryVersion[0] = 0x80;
    binaryVersion[1] = 0x0b;
    const reply = await client.request(binaryVersion);
    expect([reply[0], reply[1], reply.toString('latin1', 24)]).toEqual([0x81, 0x0b, await client.version()]);
  });
});
