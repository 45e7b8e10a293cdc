/** `keysteer plain-proxy`, the baseline, as a command: it serves real clients from real nodes, and ends in good order. */
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MEMCACHED_PORT, PROXY_CLIENT_ADDRESS } from '../../src/experiment/topology.ts';
import { nodeFlags } from './balancer.ts';
import { Bed } from './bed.ts';
import { keysteer } from './command.ts';
import { CLI, requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const PROXY = { address: PROXY_CLIENT_ADDRESS, port: MEMCACHED_PORT };
const KEYS = Array.from({ length: 200 }, (_, n) => `key-${n}`);

describe.skipIf(requireBed())('plain-proxy', () => {
  let bed: Bed;
  let client: UdpClient;

  beforeAll(async () => {
    bed = await Bed.start();
    client = await bed.startClient();
  });
  afterAll(() => bed?.close());

  const args = () => ['plain-proxy', '--listen', `${PROXY.address}:${PROXY.port}`, ...nodeFlags(bed.network.nodes)];

  async function askAll(command: (key: string) => string): Promise<string[]> {
    const requests = KEYS.map((key, n) => datagram(n, command(key)));
    const { replies, timedOut, strays } = await client.exchange(requests, { to: PROXY, window: 16 });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    return replies.map(bodyOf);
  }

  test.each(['SIGINT', 'SIGTERM'] as const)('serves, and ends with its counters after %s', async signal => {
    const group = bed.namespaces.spawn(bed.network.proxy.host, [process.execPath, CLI, ...args(), '--json']);
    const lines: string[] = [];
    createInterface({ input: group.child.stdout! }).on('line', line => lines.push(line));
    await group.untilOutput(/"event":"ready".*\n/, 10_000);
    await askAll(key => `set ${key} 0 0 ${key.length}\r\n${key}\r\n`);
    expect(await askAll(key => `get ${key}\r\n`)).toEqual(
      KEYS.map(key => `VALUE ${key} 0 ${key.length}\r\n${key}\r\nEND\r\n`),
    );
    group.signal(signal);
    expect(await group.ended).toEqual({ code: 0, signal: null });
    const [ready, final] = lines.map(line => JSON.parse(line));
    expect(lines).toHaveLength(2);
    expect(ready).toMatchObject({ event: 'ready', nodes: 2 });
    expect(final.counters).toMatchObject({ requests: 400, replies: 400, refused: 0, clients: 1, socketErrors: 0 });
  });

  test('an address that is not this kernel’s: exit status 1, and which', async () => {
    const { code, stderr } = await keysteer(args(), { namespace: bed.network.balancer.host });
    expect(stderr).toContain(PROXY.address);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });
});
