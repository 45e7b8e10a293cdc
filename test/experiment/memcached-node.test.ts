import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMemcachedNodes } from '../../src/experiment/memcached-node.ts';
import { buildTestBed, type TestBed } from '../../src/experiment/topology.ts';
import { requireMemcached, requireNamespaces } from '../support/requirements.ts';
import { isAlive } from './script.ts';

describe.skipIf(requireNamespaces() ?? requireMemcached())('real memcached nodes', () => {
  let bed: TestBed;
  beforeAll(() => {
    bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: 2 });
  });
  afterAll(() => bed.close());

  test('answer when started, count, and end when stopped', async () => {
    const [one, two] = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const before = await one!.stats();
    expect(await one!.ask('mg some-key v')).toBe('EN\r\n');
    await one!.ask('get a b c');
    const after = await one!.stats();
    expect(after.cmd_get - before.cmd_get).toBe(4);
    expect(after.get_misses - before.get_misses).toBe(4);
    expect(after.curr_items).toBe(0);
    expect((await two!.stats()).cmd_get).toBe(0);

    await one!.stop();
    expect(isAlive(one!.group.pid)).toBe(false);
    await expect(one!.stats()).rejects.toThrow("mc1 does not answer 'stats'");
    expect((await two!.stats()).threads).toBe(1);
    await two!.stop();
  });

  test('one that cannot start says why', async () => {
    const [node] = bed.nodes;
    const foreign = { ...node!, address: '10.99.0.1' };
    await expect(startMemcachedNodes(bed.namespaces, [foreign])).rejects.toThrow(
      /mc1: memcached ended at once:.*bind/s,
    );
  });
});
