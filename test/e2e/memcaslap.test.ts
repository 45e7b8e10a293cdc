/**
 * Somebody else's client: libmemcached's memcaslap over UDP, whose keys hold control bytes. Everything that it stores and
 * reads through Keysteer must come back, and be what it stored. (Of its binary mode over UDP nothing can be learnt: it stops after
 * a few requests, memcached asked directly included.)
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MEMCACHED_PORT, VIP } from '../../src/experiment/topology.ts';
import { requireMemcaslap } from '../support/requirements.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';

const OPERATIONS = 20_000;
const MS_MAX = 60_000;

describe.skipIf(requireBed() ?? requireMemcaslap())('memcaslap', () => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await Bed.start({ nodes: 2 });
  });
  afterAll(() => bed?.close());

  test.each([
    ['one key at a time', []],
    ['ten keys at a time', ['-d', '10']],
  ])('runs clean through Keysteer: %s', async (_, flags) => {
    const balancer = await bed.startBalancer();
    // One thread and few at once: memcaslap gives up a request after a while, and a busy machine must not look like loss.
    const load = ['-U', '-T', '1', '-c', '8', '-x', `${OPERATIONS}`, '-v', '1', '-X', '100'];
    const argv = ['memcaslap', '-s', `${VIP}:${MEMCACHED_PORT}`, ...load, ...flags];
    const group = bed.namespaces.spawn(bed.network.clients[0]!.host, argv);
    await group.untilOutput(/Run time: .*\n/, MS_MAX);
    const figure = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(group.output)?.[1]);
    const names = ['get_misses', 'verify_misses', 'verify_failed', 'packet_disorder', 'packet_drop', 'udp_timeout'];
    expect(names.map(name => [name, figure(name)])).toEqual(names.map(name => [name, 0]));
    expect(figure('cmd_get') + figure('cmd_set')).toBeGreaterThanOrEqual(OPERATIONS);
    const { figures } = await balancer.stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters.replies).toBe(figures.counters.requests);
  });
});
