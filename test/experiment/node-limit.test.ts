import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ipBatch, runIn } from '../../src/experiment/namespaces.ts';
import { limitNodes, type NodeMeter } from '../../src/experiment/node-limit.ts';
import { buildTestBed, type TestBed } from '../../src/experiment/topology.ts';
import { requireNamespaces } from '../support/requirements.ts';
import { eventually } from './script.ts';

const FRAMES_PER_SECOND = 100;
const BURST = 8;
const BALANCER = '10.77.1.1';

describe.skipIf(requireNamespaces()).each(['direct-veth', 'switched'] as const)('limited nodes, %s', layout => {
  let bed: TestBed;
  let meter: NodeMeter;
  beforeAll(() => {
    bed = buildTestBed({ layout, clients: 1, nodes: 2 });
    for (const host of new Set(bed.nodes.map(node => node.host))) {
      ipBatch([`neigh replace ${BALANCER} lladdr 02:00:00:00:00:99 dev eth0 nud permanent`], host);
    }
    meter = limitNodes(bed, FRAMES_PER_SECOND);
  });
  afterAll(() => bed.close());

  /** From a node to the balancer. */
  function send(node: number, datagrams: number, bytes: number): void {
    const { host, address } = bed.nodes[node]!;
    const program = `const s = require('dgram').createSocket('udp4');
      s.bind(0, '${address}', () => {
        let left = ${datagrams};
        for (let i = left; i > 0; i--) s.send(Buffer.alloc(${bytes}), 9, '${BALANCER}', () => --left || s.close());
      });`;
    runIn(host, [process.execPath, '-e', program]);
  }

  test('each sends so many frames a second, short or long, and each is counted', async () => {
    expect(meter.frames()).toEqual([0, 0]);
    const startedMs = performance.now();
    send(0, 40, 20);
    send(1, 30, 300);
    await eventually(() => meter.frames().join() === '40,30');
    expect(meter.frames()).toEqual([40, 30]);
    const atLeastMs = ((40 - BURST - 1) * 1000) / FRAMES_PER_SECOND;
    expect(performance.now() - startedMs).toBeGreaterThan(atLeastMs);
  });
});
