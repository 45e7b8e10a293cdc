/** scripts/memcached-udp.lua, in tshark. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCapture } from '../../src/pcap/writer.ts';
import { binaryRequest, reply, request } from '../support/lane-bed.ts';
import { requireTshark } from '../support/requirements.ts';
import { everyMs } from './captures.ts';

const DISSECTOR = fileURLToPath(new URL('../../scripts/memcached-udp.lua', import.meta.url));
const FIELDS = [
  'memcached_udp.request_id',
  'memcached_udp.sequence',
  'memcached_udp.total',
  'memcache.command',
  'memcache.opcode',
  'memcache.key',
  'memcached_udp.data',
  'memcached_udp.fault',
  '_ws.malformed',
];

describe.skipIf(requireTshark())('the dissector of the UDP header', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-lua-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function dissect(frames: readonly Uint8Array[], options: readonly string[] = []): Record<string, string>[] {
    const path = join(folder, 'in.pcap');
    const writer = createCapture(path);
    for (const frame of everyMs(frames)) writer.write(frame);
    writer.close();
    const argv = ['-X', `lua_script:${DISSECTOR}`, ...options, '-r', path, '-T', 'fields'];
    const printed = execFileSync('tshark', [...argv, ...FIELDS.flatMap(field => ['-e', field])], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return printed
      .replace(/\n$/, '')
      .split('\n')
      .map(line => {
        const values = line.split('\t').map((value, n) => [FIELDS[n]!, value] as const);
        return Object.fromEntries(values.filter(([, value]) => value !== ''));
      });
  }

  const header = (id: number, sequence = 0, total = 1) => ({
    'memcached_udp.request_id': String(id),
    'memcached_udp.sequence': String(sequence),
    'memcached_udp.total': String(total),
  });

  test('requests and replies of both protocols', () => {
    expect(
      dissect([
        request('get user:7\r\n', { id: 7 }),
        request(binaryRequest({ opcode: 0x0c, key: 'k' }), { id: 8 }),
        reply('VALUE user:7 0 3000\r\nabc', { id: 7, total: 3 }),
        reply('abc', { id: 7, sequence: 1, total: 3 }),
        reply('', { id: 9, total: 0 }),
      ]),
    ).toEqual([
      { ...header(7), 'memcache.command': 'get', 'memcache.key': 'user:7' },
      { ...header(8), 'memcache.opcode': '12', 'memcache.key': 'k' },
      { ...header(7, 0, 3), 'memcache.key': 'user:7' },
      { ...header(7, 1, 3), 'memcached_udp.data': '616263' },
      header(9, 0, 0),
    ]);
  });

  test('a sequence that is not below its total is marked', () => {
    const [marked] = dissect([reply('abc', { id: 7, sequence: 3, total: 3 })]);
    expect(marked).toHaveProperty(['memcached_udp.fault']);
  });

  test('on another port, by preference', () => {
    const frames = [request('get k\r\n', { id: 7, dport: 5000 })];
    expect(dissect(frames)[0]).not.toHaveProperty(['memcache.command']);
    const [found] = dissect(frames, ['-o', 'memcached_udp.port:5000']);
    expect(found).toMatchObject({ 'memcache.command': 'get', 'memcache.key': 'k' });
  });
});
