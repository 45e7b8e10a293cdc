/** Several lanes: how the traffic spreads over them, and what becomes of it when one dies. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Figures } from '../../src/control/conductor.ts';
import { Bed, faults } from './bed.ts';
import { Program, requireBed } from './program.ts';
import type { ConductorOrder } from './programs/conductor.ts';
import { bodyOf, datagram, type Outcome, type UdpClient } from './udp-client.ts';

/** Always the same: chance has no part in how they spread over the lanes. */
const FIRST_PORT = 6000;
const CLIENT_PORTS = 64;
const REQUESTS = 4096;

const CONFIG = `vip: 10.77.0.100:11211
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11 }
  - { name: mc2, address: 10.77.1.12 }
lanes: 2
hot: { enabled: false }
`;

const range = (count: number) => Array.from({ length: count }, (_, n) => n);
const key = (n: number) => `key-${n % 100}`;

describe.skipIf(requireBed())('two lanes', () => {
  let bed: Bed;
  let client: UdpClient;

  beforeAll(async () => {
    bed = await Bed.start();
    client = await bed.startClient(0, FIRST_PORT);
  });
  afterAll(() => bed?.close());

  /** Reads from many source ports; ids repeat from port to port. */
  function read(count: number, timeoutMs?: number): Promise<Outcome> {
    const requests = range(count).map(n => datagram(Math.floor(n / CLIENT_PORTS), `get ${key(n)}\r\n`));
    return client.exchange(requests, { window: 64, sockets: CLIENT_PORTS, timeoutMs });
  }

  async function write(): Promise<void> {
    const requests = range(100).map(n => datagram(n, `set ${key(n)} 0 0 ${key(n).length}\r\n${key(n)}\r\n`));
    expect((await client.exchange(requests, { window: 16 })).timedOut).toEqual([]);
  }

  function expectAllAnswered(outcome: Outcome): void {
    expect({ timedOut: outcome.timedOut, strays: outcome.strays }).toEqual({ timedOut: [], strays: [] });
    expect(outcome.replies.map(bodyOf)).toEqual(
      outcome.replies.map((_, n) => `VALUE ${key(n)} 0 ${key(n).length}\r\n${key(n)}\r\nEND\r\n`),
    );
  }

  test('share the traffic of many client ports; every reply reaches the lane that has its slot', async () => {
    const balancer = await bed.startBalancer(['--lanes', '2', '--hot', 'off']);
    await write();
    expectAllAnswered(await read(REQUESTS));
    const { figures, code, ms } = await balancer.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(1000);
    expect(faults(figures)).toEqual({});
    expect(figures.lanes.map(({ state, restarts }) => ({ state, restarts }))).toEqual(
      range(2).map(() => ({ state: 'stopped', restarts: 0 })),
    );
    for (const { requests, replies } of figures.lanes) {
      expect(requests).toBeGreaterThan(REQUESTS / 5);
      expect(replies).toBe(requests);
    }
    expect(figures.lanes.reduce((sum, { requests }) => sum + requests, 0)).toBe(REQUESTS + 100);
  });

  test('one that dies under traffic is started again, counted and shown; its slots and clients are served on', async () => {
    const config = bed.writeConfig('two-lanes.yaml', CONFIG);
    const conductor = await Program.start<ConductorOrder, Figures & { stopMs: number }>(
      bed.namespaces,
      bed.network.balancer.host,
      'conductor',
      [config],
    );
    await write();
    const underWay = read(4 * REQUESTS, 2000);
    await until('half of the traffic', conductor, ({ counters }) => counters.requests! > 2 * REQUESTS);
    await conductor.ask({ order: 'crash', thread: 0 });
    await until(
      'the lane started again',
      conductor,
      ({ lanes }) => lanes.some(({ restarts }) => restarts === 1) && lanes.every(({ state }) => state === 'running'),
    );
    const { replies, timedOut, strays } = await underWay;
    // What the lane had in hand is lost, and nothing else: the rest waited in its ring.
    const { counters } = await conductor.ask({ order: 'figures' });
    expect(timedOut.length).toBeLessThanOrEqual(counters.drop_lane_crash!);
    expect(replies.filter(reply => reply.length > 0)).toHaveLength(4 * REQUESTS - timedOut.length);
    expect(strays).toEqual([]);

    expectAllAnswered(await read(REQUESTS));
    const figures = await conductor.ask({ order: 'stop' });
    expect(figures.stopMs).toBeLessThan(1000);
    const restarts = figures.lanes.map(lane => lane.restarts);
    expect([...restarts].sort()).toEqual([0, 1]);
    expect(figures.lanes[restarts.indexOf(1)]!.lastError).toMatch(/worker|terminat|thread/i);
    expect(figures.lanes.map(({ state }) => state)).toEqual(['stopped', 'stopped']);
    expect(figures.lanes.every(({ requests }) => requests > REQUESTS / 5)).toBe(true);
    await conductor.stop();
  });
});

/** Asks for the figures until they are as awaited, at most 5 s. */
async function until(
  what: string,
  conductor: Program<ConductorOrder, Figures>,
  holds: (figures: Figures) => boolean,
): Promise<void> {
  for (const deadline = Date.now() + 5000; Date.now() < deadline; ) {
    if (holds(await conductor.ask({ order: 'figures' }))) return;
  }
  throw new Error(`not seen within 5 s: ${what}`);
}
