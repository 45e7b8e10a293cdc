import { afterEach, describe, expect, test } from 'vitest';
import { eachInterval } from '../../src/client/pace.ts';
import { keysOf, Ping, type PingOptions, type PingSummary, type Probe } from '../../src/client/ping.ts';
import { parseServer } from '../../src/client/server.ts';
import { LiveMemcached } from '../memcached/live-memcached.ts';
import { requireMemcached } from '../support/requirements.ts';
import { FakeServer, type Request } from './fake-server.ts';

const servers: FakeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => server.close()));
});

/** Answers `stats locate` like memcached (ERROR) unless `onLocate` does it, and hands on the rest. */
async function serve(
  onProbe: (request: Request, n: number) => void,
  onLocate = (request: Request, _key: string) => request.answer('ERROR\r\n'),
): Promise<FakeServer> {
  const server = await FakeServer.start(request => {
    const [, key] = /^stats locate (\S+)\r\n$/.exec(request.text) ?? [];
    if (key !== undefined) onLocate(request, key);
    else onProbe(request, Number(/^\S+ [^ ]*?([0-9]*)[ \r]/.exec(request.text)![1]));
  });
  servers.push(server);
  return server;
}

interface Run {
  readonly probes: Probe[];
  readonly summary: PingSummary;
}

async function ping(address: string, options: Partial<PingOptions>): Promise<Run> {
  const probes: Probe[] = [];
  const summary = await Ping.run(
    {
      ...{ server: parseServer(address), count: 1, intervalMs: 0, timeoutMs: 5000, keyOf: keysOf('key-%d') },
      ...{ signal: new AbortController().signal, ...options },
    },
    probe => probes.push(probe),
  );
  return { probes, summary };
}

describe('what a lossy server did is what the summary says', () => {
  test('lost, duplicated, which node', async () => {
    const server = await serve(
      ({ answer }, n) => {
        if (n % 5 === 0) return; // 5, 10, 15, 20
        answer('END\r\n', ...(n % 4 === 0 ? ['END\r\n', 'END\r\n'] : [])); // 4, 8, 12, 16: two more each
      },
      ({ answer }, key) => {
        const n = Number(key.slice('key-'.length));
        const name = n % 2 === 0 ? 'even' : 'odd';
        answer(`STAT node ${name}\r\nSTAT address 10.77.1.1${n % 2}:11211\r\nEND\r\n`);
      },
    );
    const { probes, summary } = await ping(server.address, { count: 21, timeoutMs: 60 });
    expect(summary).toMatchObject({ sent: 21, received: 17, lost: 4, pending: 0, duplicates: 8, late: 0, wrong: 0 });
    expect(summary.nodes).toEqual({ even: 8, odd: 9 });
    expect(probes.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 21 }, (_, n) => n + 1));
    expect(probes.filter(({ outcome }) => outcome === 'lost').map(({ sequence }) => sequence)).toEqual([5, 10, 15, 20]);
    expect(probes[0]).toMatchObject({
      key: 'key-1',
      outcome: 'miss',
      node: { name: 'odd', address: '10.77.1.11:11211' },
    });
    const { min, p50, p99, max, mean } = summary.get!;
    expect([min, p50, p99, max]).toEqual([min, p50, p99, max].toSorted((a, b) => a - b));
    expect(mean).toBeGreaterThanOrEqual(min);
    expect(mean).toBeLessThanOrEqual(max);
  });

  test('late answers are neither received nor duplicates', async () => {
    const held: Request[] = [];
    const server = await serve((request, n) => {
      if (n === 1) return held.push(request);
      for (const each of held.splice(0)) each.answer('END\r\n');
      request.answer('END\r\n');
    });
    const { summary } = await ping(server.address, { count: 2, timeoutMs: 60 });
    expect(summary).toMatchObject({ sent: 2, received: 1, lost: 1, duplicates: 0, late: 1 });
  });

  test('hits, misses, error lines, nonsense', async () => {
    const replies = ['', 'VALUE key-1 0 1\r\nx\r\nEND\r\n', 'END\r\n', 'SERVER_ERROR busy\u001b[2J\r\n', 'what?\r\n'];
    const server = await serve(({ answer }, n) => answer(replies[n]!));
    const { probes, summary } = await ping(server.address, { count: 4 });
    expect(probes.map(({ outcome }) => outcome)).toEqual(['hit', 'miss', 'error', 'error']);
    expect(probes[2]!.detail).toBe('the server answered: SERVER_ERROR busy?[2J');
    expect(summary).toMatchObject({ received: 4, lost: 0, errors: 2 });
  });

  test('written values that come back changed, or not', async () => {
    const kept = new Map<number, string>();
    const server = await serve(({ text, answer }, n) => {
      if (text.startsWith('set ')) {
        kept.set(n, text.split('\r\n')[1]!);
        return answer('STORED\r\n');
      }
      const value = n === 2 ? 'changed' : kept.get(n)!;
      answer(n === 3 ? 'END\r\n' : `VALUE key-${n} 0 ${value.length}\r\n${value}\r\nEND\r\n`);
    });
    const { probes, summary } = await ping(server.address, { count: 4, valueFor: n => Buffer.from(`value ${n}`) });
    expect(probes.map(({ outcome }) => outcome)).toEqual(['verified', 'wrong', 'wrong', 'verified']);
    expect(probes.map(({ detail }) => detail)).toEqual([
      undefined,
      'another value than was set: 7 of 7 bytes',
      'what was set is not there',
      undefined,
    ]);
    expect(summary).toMatchObject({
      received: 4,
      wrong: 2,
      get: { min: expect.any(Number) },
      set: { min: expect.any(Number) },
    });
  });

  test('nobody there: all lost, no latency', async () => {
    const { summary } = await ping('127.0.0.1:1', { count: 2, timeoutMs: 30 });
    expect(summary).toMatchObject({ sent: 2, received: 0, lost: 2, nodes: {} });
    expect(summary.get).toBeUndefined();
  });
});

describe('a run', () => {
  test('that is ended counts what is under way as neither lost nor received', async () => {
    const stop = new AbortController();
    const server = await serve(({ answer }, n) => {
      if (n < 3) answer('END\r\n');
      else stop.abort();
    });
    const { probes, summary } = await ping(server.address, { count: Number.POSITIVE_INFINITY, signal: stop.signal });
    expect(summary).toMatchObject({ sent: 3, received: 2, lost: 0, pending: 1 });
    expect(probes).toHaveLength(2);
  });

  test('sends at its interval whatever is answered', async () => {
    const all: Request[] = [];
    const server = await serve(request => {
      all.push(request);
      if (all.length === 5) for (const each of all) each.answer('END\r\n');
    });
    const { summary } = await ping(server.address, { count: 5, intervalMs: 5 });
    expect(summary).toMatchObject({ sent: 5, received: 5, lost: 0 });
  });

  test('asks a server that knows no nodes once', async () => {
    const located: string[] = [];
    const server = await serve(
      ({ answer }) => answer('END\r\n'),
      ({ answer }, key) => {
        located.push(key);
        answer('ERROR\r\n');
      },
    );
    const { probes } = await ping(server.address, { count: 3 });
    expect(located).toEqual(['key-1']);
    expect(probes.map(({ node }) => node)).toEqual([undefined, undefined, undefined]);
  });

  test('a node name with control characters is not shown', async () => {
    const server = await serve(
      ({ answer }) => answer('END\r\n'),
      ({ answer }) => answer('STAT node \u001b[31m\r\nEND\r\n'),
    );
    expect((await ping(server.address, {})).summary.nodes).toEqual({});
  });

  test.each<[string, Partial<PingOptions>]>([
    ['too long, once the number is in it', { keyOf: keysOf(`${'k'.repeat(245)}%d`) }],
    ['with a space', { keyOf: keysOf('a b') }],
  ])('of a key %s is refused at once', async (_what, options) => {
    await expect(ping('127.0.0.1:1', options)).rejects.toMatchObject({ name: 'KeyError' });
  });
});

describe('the pace', () => {
  test('a step that returns a promise is awaited; the count is kept', async () => {
    const events: string[] = [];
    await eachInterval(3, 0, new AbortController().signal, async n => {
      events.push(`begin ${n}`);
      await new Promise(resolve => setImmediate(resolve));
      events.push(`end ${n}`);
    });
    expect(events).toEqual(['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2']);
  });

  test('stops at once when it is told to, also within a pause of an hour or a step that never ends', async () => {
    for (const step of [() => undefined, () => new Promise<void>(() => {})]) {
      const stop = new AbortController();
      let calls = 0;
      await eachInterval(9, 3_600_000, stop.signal, () => {
        calls += 1;
        setImmediate(() => stop.abort());
        return step();
      });
      expect(calls).toBe(1);
    }
  });
});

describe.skipIf(requireMemcached())('a real memcached', () => {
  test('reads and writes', async () => {
    const memcached = await LiveMemcached.start();
    try {
      const address = `127.0.0.1:${memcached.port}`;
      const reading = await ping(address, { count: 20 });
      expect(reading.summary).toMatchObject({ sent: 20, received: 20, lost: 0, errors: 0, nodes: {} });
      expect(reading.probes.every(({ outcome }) => outcome === 'miss')).toBe(true);
      const valueFor = (n: number) => Buffer.alloc(3000, `${n}|`);
      const writing = await ping(address, { count: 20, valueFor });
      expect(writing.probes.map(({ outcome }) => outcome)).toEqual(Array(20).fill('verified'));
      expect(writing.summary).toMatchObject({ received: 20, wrong: 0, duplicates: 0, late: 0 });
    } finally {
      await memcached.stop();
    }
  });
});
