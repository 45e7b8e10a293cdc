/**
 * libmemcached's load generator over UDP, which verifies the values it reads: nothing lost, nothing wrong, nothing missed.
 *
 * Left out is what memcaslap 1.1.4 cannot do against memcached itself: binary (-B: "Failed to write"), and overwriting
 * (-o: its verification fails for what it has overwritten). Ten keys a request (-d) make it abort when memcached answers,
 * whose framing of such answers it does not take; through Keysteer it runs.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VIP } from '../../src/experiment/topology.ts';
import { requireMemcaslap } from '../support/requirements.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';

describe.skipIf(requireBed() ?? requireMemcaslap())('memcaslap -U through Keysteer', () => {
  let bed: Bed;
  let balancer: Balancer;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3 });
    balancer = await bed.startBalancer(['--lanes', '2']);
  });
  afterAll(() => bed?.close());

  /** What it says at its end: `name: number` lines. */
  async function slap(options: string): Promise<Record<string, number>> {
    const argv = ['memcaslap', '-U', '-s', `${VIP}:11211`, '-T', '1', ...options.split(' ')];
    const group = bed.namespaces.spawn(bed.network.clients[0]!.host, argv);
    const { code } = await group.ended;
    expect(code, group.output).toBe(0);
    return Object.fromEntries([...group.output.matchAll(/^(\w+): (\d+)$/gm)].map(([, name, n]) => [name, Number(n)]));
  }

  test.each([
    ['small values, each verified', '-t 3s -c 16 -v 1 -X 64'],
    ['large values, each verified', '-t 3s -c 8 -v 1 -X 1000'],
    ['ten keys a request', '-t 3s -c 8 -v 1 -X 100 -d 10'],
  ])('%s', async (_what, options) => {
    const before = (await balancer.figures()).counters;
    const said = await slap(options);
    const { counters } = await balancer.figures();
    const carried = counters.requests! - before.requests!;
    console.log(`memcaslap -U ${options}: ${said.cmd_get} gets, ${said.cmd_set} sets, ${carried} requests carried`);
    expect(said).toMatchObject({
      get_misses: 0,
      verify_misses: 0,
      verify_failed: 0,
      packet_disorder: 0,
      packet_drop: 0,
      udp_timeout: 0,
    });
    expect(said.cmd_get).toBeGreaterThan(500);
    expect(said.cmd_set).toBeGreaterThan(50);
  });

  test('nothing was dropped, nothing refused, every request answered', async () => {
    const { figures } = await balancer.stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters.multigets).toBeGreaterThan(50);
    expect(figures.counters.multiget_keys).toBe(10 * figures.counters.multigets!);
    expect(figures.counters.multiget_unanswered).toBe(0);
    expect(figures.counters.replies).toBeGreaterThanOrEqual(figures.counters.requests!);
    expect(figures.nodes.map(({ requests, answered }) => requests - answered)).toEqual([0, 0, 0]);
  });
});
