/** Interfaces of a larger MTU: requests beyond 1500 bytes in one frame. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import type { UdpClient } from './udp-client.ts';

const MTU = 9000;
/** Fits one frame of that MTU together with its command line. */
const VALUE_BYTES = 8800;

describe.skipIf(requireBed())('with an MTU of 9000 on every link', () => {
  let bed: Bed;
  let client: UdpClient;

  beforeAll(async () => {
    bed = await Bed.start();
    for (const { ends } of bed.network.links) {
      for (const { host, name } of ends) ipBatch([`link set dev ${name} mtu ${MTU}`], host);
    }
    client = await bed.startClient();
  });
  afterAll(() => bed?.close());

  test('a value of 8800 bytes is stored in one frame and comes back', async () => {
    const balancer = await bed.startBalancer();
    const value = 'abcdefghij'.repeat(VALUE_BYTES / 10);
    expect(await client.ask(`set first 0 0 ${VALUE_BYTES}\r\n${value}\r\n`)).toBe('STORED\r\n');
    expect(await client.ask('get first\r\n')).toBe(`VALUE first 0 ${VALUE_BYTES}\r\n${value}\r\nEND\r\n`);
    const { figures } = await balancer.stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters).toMatchObject({ requests: 2, replies: 1 + 7 });
  });
});
