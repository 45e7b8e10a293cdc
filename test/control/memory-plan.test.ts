import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/control/config/load.ts';
import { planLaneMemory } from '../../src/control/memory-plan.ts';
import { Parking } from '../../src/dataplane/parking.ts';

const CONFIG = loadConfig(
  `vip: 10.77.0.100
ports: { client: { interface: cl0 }, server: { interface: sv0, address: 10.77.1.1/24 } }
nodes: [{ name: mc1, address: 10.77.1.11 }]
neighbours: { queue_frames: 3 }`,
  'f.yaml',
);

describe('the memory of a lane', () => {
  it.each([
    [1500, 1500],
    [1500, 9000],
    [9000, 1500],
    [9216, 9216],
  ])('MTUs of %i and %i: parked frames of the larger fill their places and nothing else', (client, server) => {
    const ports = [client, server].map(mtu => ({ transport: 'af_packet' as const, ringFrames: 64, mtu }));
    const { arena, parkingOffset, countersOffset } = planLaneMemory(CONFIG, 16, ports);
    const frameBytes = Math.max(client, server) + 14;
    const parking = new Parking(arena.bytes, parkingOffset, CONFIG.neighbours.queueFrames, frameBytes, 16);
    const from = arena.buffer.byteLength - 16384;
    arena.bytes.fill(0xee, from, from + frameBytes);
    for (let i = 0; i < 3; i++) expect(parking.park(from, frameBytes, 0, i)).toBe(true);
    expect(parking.offset(2) + frameBytes).toBeLessThanOrEqual(countersOffset);
    expect(arena.bytes.slice(countersOffset, countersOffset + 1024).every(byte => byte === 0)).toBe(true);
  });

  it('grows with the MTU: each slot of each ring', () => {
    const bytes = (mtu: number) =>
      planLaneMemory(CONFIG, 16, [{ transport: 'af_packet', ringFrames: 1024, mtu }]).arena.buffer.byteLength;
    expect(bytes(9000) - bytes(1500)).toBeGreaterThan(1024 * 7000);
  });
});
