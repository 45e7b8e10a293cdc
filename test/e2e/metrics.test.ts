/** /metrics, read by a parser of others, against what the test knows to have happened. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COUNT, LANE_COUNTERS, NODE_COUNTERS } from '../../src/dataplane/counters.ts';
import { PORT_COUNTERS } from '../../src/port/port.ts';
import { type ParsedFamily, parseOpenMetrics, requireOpenMetricsParser, sumOf } from '../support/openmetrics.ts';
import type { Balancer } from './balancer.ts';
import { Bed } from './bed.ts';
import { fetchText } from './fetch.ts';
import { requireBed } from './program.ts';
import { datagram, type UdpClient } from './udp-client.ts';

const READS = 200;
const WRITES = 100;

describe.skipIf(requireBed() ?? requireOpenMetricsParser())('metrics', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;
  let families: ParsedFamily[];

  beforeAll(async () => {
    bed = await Bed.start();
    balancer = await bed.startBalancer(['--lanes', '2']);
    client = await bed.startClient();
    await ask(WRITES, n => `set key-${n} 0 0 1\r\nx\r\n`);
    await ask(READS, n => `get key-${n}\r\n`);
    expect(await client.ask('nonsense\r\n')).toBe('ERROR\r\n');
    await balancer.figuresWhen('all replies', ({ counters }) => counters.replies === READS + WRITES);
    const { status, type, text } = await fetchText(balancer.admin, 'GET', '/metrics');
    expect([status, type]).toEqual([200, 'application/openmetrics-text; version=1.0.0; charset=utf-8']);
    families = parseOpenMetrics(text);
  });
  afterAll(() => bed?.close());

  async function ask(count: number, body: (n: number) => string): Promise<void> {
    const requests = Array.from({ length: count }, (_, n) => datagram(n, body(n)));
    const { timedOut } = await client.exchange(requests, { window: 8, sockets: 16 });
    expect(timedOut).toEqual([]);
  }

  const value = (name: string, labels?: Record<string, string>) => sumOf(families, name, labels);

  test('count what happened', () => {
    expect({
      requests: value('keysteer_requests_total'),
      reads: value('keysteer_reads_total'),
      writes: value('keysteer_writes_total'),
      replies: value('keysteer_replies_total'),
      refused: value('keysteer_refusals_total', { reason: 'verb' }),
      allRefused: value('keysteer_refusals_total'),
      drops: value('keysteer_drops_total'),
      reloads: value('keysteer_reloads_total'),
      restarts: value('keysteer_lane_restarts_total'),
    }).toEqual({
      requests: READS + WRITES,
      reads: READS,
      writes: WRITES,
      replies: READS + WRITES,
      refused: 1,
      allRefused: 1,
      drops: 0,
      reloads: 0,
      restarts: 0,
    });
  });

  test('name every counter of a lane, a port and a node, with the lane, port and node it is of', () => {
    const names = new Set(families.map(({ name }) => name));
    const seconds = (name: string) => name.replace(/_us$/, '_seconds');
    const plain = Object.keys(COUNT).filter(name => !name.startsWith('drop_'));
    for (const name of plain) expect(names).toContain(`keysteer_${seconds(name)}`);
    for (const name of PORT_COUNTERS) expect(names).toContain(`keysteer_port_${name}`);
    for (const name of NODE_COUNTERS) expect(names).toContain(`keysteer_node_${name}`);
    const reasons = ['drop', 'refused'].flatMap((prefix, i) => {
      const family = families.find(({ name }) => name === ['keysteer_drops', 'keysteer_refusals'][i])!;
      const ofLane0 = family.samples.filter(({ labels }) => labels.lane === '0');
      return ofLane0.map(({ labels }) => `${prefix}_${labels.reason}`);
    });
    expect(reasons.sort()).toEqual(LANE_COUNTERS.filter(name => /^(drop|refused)_/.test(name)).sort());
    const labelled = (name: string) =>
      families.find(family => family.name === name)!.samples.map(({ labels }) => labels);
    expect(labelled('keysteer_requests')).toEqual([{ lane: '0' }, { lane: '1' }]);
    expect(labelled('keysteer_port_received_frames')).toHaveLength(4);
    expect(labelled('keysteer_node_requests')).toEqual([
      { node: 'mc1', address: '10.77.1.11:11211' },
      { node: 'mc2', address: '10.77.1.12:11211' },
    ]);
  });

  test('have help and a type each, and units where there are some', () => {
    for (const { name, help, type, unit } of families) {
      expect({ name, help: help === '' ? '' : 'text', type }).toEqual({
        name,
        help: 'text',
        type: expect.stringMatching(/^(counter|gauge|histogram|info|stateset)$/),
      });
      if (/_(seconds|bytes|ratio)$/.test(name)) expect({ name, unit }).toEqual({ name, unit: name.split('_').at(-1) });
    }
  });

  test('tell the load of each node, and its state', async () => {
    const { nodes } = await balancer.figures();
    for (const { name: node, requests, request_bytes, reply_bytes } of nodes) {
      expect(requests).toBeGreaterThan(0);
      expect(value('keysteer_node_requests_total', { node })).toBe(requests);
      expect(value('keysteer_node_answered_total', { node })).toBe(requests);
      expect(value('keysteer_node_request_bytes_total', { node })).toBe(request_bytes);
      expect(value('keysteer_node_reply_bytes_total', { node })).toBe(reply_bytes);
      expect(value('keysteer_node_outstanding', { node })).toBe(0);
      expect(value('keysteer_node_unanswered_total', { node })).toBe(0);
      expect(value('keysteer_node_state', { node, keysteer_node_state: 'up' })).toBe(1);
      expect(value('keysteer_node_state', { node, keysteer_node_state: 'drained' })).toBe(0);
      expect(value('keysteer_node_neighbour', { node, keysteer_node_neighbour: 'reachable' })).toBe(1);
    }
    expect(value('keysteer_node_slots_ratio')).toBeCloseTo(1, 9);
  });

  test('tell latency by kind of verb: as many as were answered, within the time the test took', () => {
    const of = (verbs: string) => ({ verbs, path: 'forwarded' });
    expect(value('keysteer_latency_seconds_count', of('read'))).toBe(READS);
    expect(value('keysteer_latency_seconds_count', of('write'))).toBe(WRITES);
    expect(value('keysteer_latency_seconds_count', of('other'))).toBe(0);
    expect(value('keysteer_latency_seconds_bucket', { ...of('read'), le: '+Inf' })).toBe(READS);
    expect(value('keysteer_latency_seconds_bucket', { ...of('read'), le: '16.777216' })).toBe(READS);
    // Two frames over veth and a process between them: not done in 2 µs, unless both bear the time of one cycle.
    expect(value('keysteer_latency_seconds_bucket', { ...of('read'), le: '0.000002' })).toBe(0);
    const sum = value('keysteer_latency_seconds_sum', of('read'));
    expect(sum).toBeGreaterThan(READS * 1e-6);
    expect(sum).toBeLessThan(60);
  });

  test('tell what lanes do with their time: at work, asleep, and never more than there was', async () => {
    const { seconds } = await balancer.figures();
    for (const lane of ['0', '1']) {
      const busy = value('keysteer_busy_seconds_total', { lane });
      const idle = value('keysteer_idle_seconds_total', { lane });
      expect(busy).toBeGreaterThan(0);
      expect(idle).toBeGreaterThan(0);
      expect(busy + idle).toBeLessThan(seconds);
      expect(value('keysteer_busy_cycles_total', { lane })).toBeLessThanOrEqual(
        value('keysteer_cycles_total', { lane }),
      );
      expect(value('keysteer_lane_state', { lane, keysteer_lane_state: 'running' })).toBe(1);
    }
  });
});
