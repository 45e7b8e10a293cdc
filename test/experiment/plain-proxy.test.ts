import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { type PlainProxy, type PlainProxyOptions, runPlainProxy } from '../../src/experiment/baselines/plain-proxy.ts';
import { hashText, KEY_HASHES } from '../../src/steer/hash.ts';
import { lookup } from '../../src/steer/lookup.ts';
import { SteerTable } from '../../src/steer/table.ts';
import { eventually } from './script.ts';

const LISTEN = { address: '127.0.0.1', port: 21211 };
const NODES = [
  { name: 'mc1', address: '127.0.0.2', port: 21212 },
  { name: 'mc2', address: '127.0.0.3', port: 21212, weight: 2 },
  { name: 'mc3', address: '127.0.0.4', port: 21212 },
];

const sockets: Socket[] = [];
let proxy: PlainProxy | undefined;

afterEach(async () => {
  await proxy?.close();
  proxy = undefined;
  for (const socket of sockets.splice(0)) socket.close();
});

async function bind(address: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4').bind(port, address);
  await once(socket, 'listening');
  sockets.push(socket);
  return socket;
}

/** Nodes that answer every datagram with its 8-byte header, their name and what they were asked. */
async function startNodes(datagrams = 1): Promise<void> {
  for (const { name, address, port } of NODES) {
    const socket = await bind(address, port);
    socket.on('message', (message, from) => {
      const reply = Buffer.concat([message.subarray(0, 8), Buffer.from(`${name} `), message.subarray(8)]);
      for (let sent = 0; sent < datagrams; sent++) socket.send(reply, from.port, from.address);
    });
  }
}

async function startProxy(options: Partial<PlainProxyOptions> = {}): Promise<PlainProxy> {
  proxy = await runPlainProxy({ listen: LISTEN, nodes: NODES, ...options });
  return proxy;
}

function datagram(id: number, text: string): Buffer {
  const header = Buffer.from([id >> 8, id & 255, 0, 0, 0, 1, 0, 0]);
  return Buffer.concat([header, Buffer.from(text, 'latin1')]);
}

/** Sends and returns the next `count` answers as `id text`. */
async function ask(client: Socket, request: Buffer, count = 1): Promise<string[]> {
  const answers: string[] = [];
  const listen = (message: Buffer) =>
    answers.push(`${message.readUInt16BE(0)} ${message.subarray(8).toString('latin1')}`);
  client.on('message', listen);
  client.send(request, LISTEN.port, LISTEN.address);
  await eventually(() => answers.length >= count);
  client.off('message', listen);
  return answers;
}

function homeByTheRing(key: string): string {
  const capacity = { nodesMax: NODES.length, lanesMax: 1 };
  const table = new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(capacity)), 0, capacity);
  const rows = NODES.map(({ port, weight = 1 }, row) => ({ address: 0x7f000002 + row, port, weight, neighbour: row }));
  table.publish(rows, { algorithm: 'ketama', hash: 'murmur3' });
  return NODES[lookup(table.words, table.current, hashText(key, KEY_HASHES.murmur3))]!.name;
}

describe('the plain proxy', () => {
  test('steers every verb of a key to the node that the ring names', async () => {
    await startNodes();
    await startProxy();
    const client = await bind('127.0.0.1', 0);
    const reached = new Set<string>();
    for (let n = 0; n < 12; n++) {
      const home = homeByTheRing(`key-${n}`);
      reached.add(home);
      for (const line of [`get key-${n}\r\n`, `set key-${n} 0 0 2\r\nab\r\n`, `mg key-${n} v\r\n`]) {
        expect(await ask(client, datagram(n, line))).toEqual([`${n} ${home} ${line}`]);
      }
    }
    expect([...reached].sort()).toEqual(['mc1', 'mc2', 'mc3']);
    expect(proxy!.counters).toMatchObject({ requests: 36, replies: 36, refused: 0, clients: 1, socketErrors: 0 });
  });

  test('gives each of two clients with the same request id its own answer', async () => {
    await startNodes();
    await startProxy();
    const [one, two] = [await bind('127.0.0.1', 0), await bind('127.0.0.1', 0)];
    const answers = await Promise.all([
      ask(one, datagram(7, 'get of-one\r\n')),
      ask(two, datagram(7, 'get of-two\r\n')),
    ]);
    expect(answers.flat()).toEqual([
      `7 ${homeByTheRing('of-one')} get of-one\r\n`,
      `7 ${homeByTheRing('of-two')} get of-two\r\n`,
    ]);
    expect(proxy!.counters.clients).toBe(2);
  });

  test('passes on every datagram of a long reply', async () => {
    await startNodes(15);
    await startProxy();
    const client = await bind('127.0.0.1', 0);
    expect(await ask(client, datagram(1, 'get long\r\n'), 15)).toHaveLength(15);
  });

  test.each([
    ['a runt', Buffer.from([0, 1, 0])],
    ['a frame header alone', datagram(1, '')],
    ['no newline', datagram(1, 'get key')],
    ['a verb that does not exist', datagram(1, 'fetch key\r\n')],
    ['no key', datagram(1, 'version\r\n')],
    ['a set that is shorter than it says', datagram(1, 'set key 0 0 60\r\nab\r\n')],
  ])('refuses %s', async (_what, request) => {
    await startNodes();
    const { counters } = await startProxy();
    const client = await bind('127.0.0.1', 0);
    client.send(request, LISTEN.port, LISTEN.address);
    expect(await eventually(() => counters.refused === 1)).toBe(true);
    expect(counters.requests).toBe(0);
  });

  test("closes an idle client's socket, and serves the client again", async () => {
    await startNodes();
    const { counters } = await startProxy({ idleMs: 1000 });
    const client = await bind('127.0.0.1', 0);
    await ask(client, datagram(1, 'get key\r\n'));
    await new Promise(resolve => setTimeout(resolve, 2200));
    expect(counters.clientsExpired).toBe(1);
    expect(await ask(client, datagram(2, 'get key\r\n'))).toHaveLength(1);
    expect(counters.clients).toBe(2);
  });

  test('does not start on an address that is taken, or not ours', async () => {
    await bind(LISTEN.address, LISTEN.port);
    await expect(startProxy()).rejects.toThrow('EADDRINUSE');
    await expect(startProxy({ listen: { address: '10.99.0.1', port: 21211 } })).rejects.toThrow('EADDRNOTAVAIL');
  });

  test('close gives the final figures and frees the address', async () => {
    await startProxy();
    expect(await proxy!.close()).toMatchObject({ requests: 0, clients: 0 });
    proxy = undefined;
    await bind(LISTEN.address, LISTEN.port);
  });
});
