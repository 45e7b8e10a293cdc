/** Rates between two looks, and how they are shown: at 80 columns and in the room there is. */
import { describe, expect, it } from 'vitest';
import { topScreen } from '../../src/cli/top-screen.ts';
import type { Status } from '../../src/control/admin/status.ts';
import type { LaneFigures, NodeFigures } from '../../src/control/figures.ts';
import { ratesBetween } from '../../src/control/rates.ts';
import { bucketOf } from '../../src/mem/histogram.ts';

const node = (name: string, fields: Partial<NodeFigures> = {}): NodeFigures => ({
  name,
  address: '10.77.1.11:11211',
  row: 0,
  weight: 1,
  state: 'up',
  reason: '',
  health: 'healthy',
  rttUs: 0,
  neighbour: 'reachable',
  slotShare: 0.5,
  outstanding: 0,
  unanswered: 0,
  requests: 0,
  replies: 0,
  request_bytes: 0,
  reply_bytes: 0,
  silent_requests: 0,
  answered: 0,
  ...fields,
});

const lane = (fields: Partial<LaneFigures> = {}): LaneFigures => ({
  state: 'running',
  restarts: 0,
  requests: 0,
  replies: 0,
  busySeconds: 0,
  idleSeconds: 0,
  ...fields,
});

const status = (fields: Partial<Status> = {}): Status => ({
  version: '1',
  pid: 12345,
  startedAt: '2026-01-01T00:00:00.000Z',
  vip: '10.77.0.100:11211',
  mode: 'nat',
  reloads: { applied: 0, refused: 0 },
  seconds: 10,
  counters: {},
  ports: [],
  nodes: [],
  lanes: [],
  latency: [],
  hot: null,
  histograms: [],
  ...fields,
});

const BEFORE = status({
  counters: { requests: 1000, replies: 1000, drop_runt: 5, drop_icmp: 1, refused_verb: 0 },
  nodes: [node('mc1', { requests: 600, replies: 600 }), node('mc2', { row: 1, requests: 400 })],
  lanes: [lane({ busySeconds: 1, idleSeconds: 8, requests: 1000 })],
  histograms: [{ verbs: 'read', path: 'forwarded', sumUs: 10, buckets: [[bucketOf(100), 500]] }],
});
const NOW = status({
  seconds: 12,
  counters: { requests: 3000, replies: 2900, error_answers: 4, drop_runt: 5, drop_icmp: 41, refused_verb: 8 },
  nodes: [
    node('mc1', { requests: 2100, replies: 2090, outstanding: 3 }),
    node('mc3', { row: 2, requests: 500, replies: 480, unanswered: 6, state: 'down', reason: 'silent' }),
  ],
  lanes: [lane({ busySeconds: 2.5, idleSeconds: 8.25, requests: 3000 })],
  histograms: [
    {
      verbs: 'read',
      path: 'forwarded',
      sumUs: 10,
      buckets: [
        [bucketOf(100), 510],
        [bucketOf(5000), 90],
      ],
    },
    { verbs: 'write', path: 'forwarded', sumUs: 10, buckets: [[bucketOf(200), 20]] },
  ],
});

describe('rates', () => {
  const rates = ratesBetween(BEFORE, NOW);

  it('are of the time between', () => {
    expect(rates).toMatchObject({
      seconds: 2,
      requestsPerSecond: 1000,
      repliesPerSecond: 950,
      errorAnswersPerSecond: 2,
      drops: { drop_icmp: 20, refused_verb: 4 },
    });
    expect(Object.keys(rates.drops)).toEqual(['drop_icmp', 'refused_verb']);
  });

  it('of nodes: one that came meanwhile began at zero, one that left is gone', () => {
    expect(rates.nodes).toMatchObject([
      { name: 'mc1', loadShare: 0.75, requestsPerSecond: 750, repliesPerSecond: 745, outstanding: 3 },
      { name: 'mc3', loadShare: 0.25, requestsPerSecond: 250, unansweredPerSecond: 3, state: 'down' },
    ]);
  });

  it('of lanes: shares of the time', () => {
    expect(rates.lanes).toMatchObject([{ workShare: 0.75, idleShare: 0.125, requestsPerSecond: 1000 }]);
  });

  it('of latency: what was recorded meanwhile alone', () => {
    expect(rates.latency).toEqual([
      { verbs: 'read', path: 'forwarded', perSecond: 50, p50Us: 5120, p99Us: 5120 },
      { verbs: 'write', path: 'forwarded', perSecond: 10, p50Us: 224, p99Us: 224 },
    ]);
  });

  it('of hot keys: hits are a share of all reads', () => {
    const counters = { reads: 100, hot_hits: 300, hot_fills: 4, hot_writes: 8 };
    const { hot } = ratesBetween(status({ seconds: 10 }), status({ seconds: 12, counters }));
    expect(hot).toEqual({ hitsPerSecond: 150, hitShare: 0.75, fillsPerSecond: 2, writesPerSecond: 4 });
  });

  it('of an instance that was restarted meanwhile are not negative', () => {
    const fresh = status({ seconds: 1, nodes: [node('mc1')], lanes: [lane()] });
    const { nodes, lanes } = ratesBetween(NOW, fresh);
    expect([nodes[0]!.requestsPerSecond, lanes[0]!.workShare]).toEqual([0, 0]);
  });
});

describe('the screen', () => {
  it('shows it', () => {
    expect(topScreen(NOW, ratesBetween(BEFORE, NOW), 80, 24)).toEqual([
      'keysteer  10.77.0.100:11211  nat  pid 12345  up 00:00:12  lanes 1/1',
      '',
      '1 k requests/s   950 replies/s   2 errors/s   3 outstanding',
      'read forwarded: p50 5.12 ms, p99 5.12 ms, 50/s',
      'write forwarded: p50 224 µs, p99 224 µs, 10/s',
      'drops: drop_icmp 20/s, refused_verb 4/s',
      '',
      'NODE                LOAD  REQ/S  REPLIES/S  OPEN  LOST/S  STATE',
      'mc1   ███████▌    75.0 %    750        745     3       0     up',
      'mc3   ██▌         25.0 %    250        240     0       3   down',
      '',
      'LANE                WORK  ASLEEP  REQ/S  RESTARTS    STATE',
      '0     ███████▌    75.0 %  12.5 %    1 k         0  running',
    ]);
  });

  const many = (count: number) =>
    status({
      seconds: 12,
      counters: Object.fromEntries([...Array(40).keys()].map(n => [`drop_reason_number_${n}`, 100 + n])),
      nodes: [...Array(count).keys()].map(n =>
        node(`a-node-with-a-name-as-long-as-they-may-be-which-is-64-letters-${n}`, { row: n, requests: 1000 * n + 1 }),
      ),
      lanes: [...Array(64).keys()].map(n => lane({ busySeconds: n / 10, state: n % 2 ? 'running' : 'crashed' })),
      histograms: NOW.histograms,
    });

  it.each([
    [80, 24, 500],
    [80, 24, 1],
    [40, 12, 20],
    [200, 50, 1024],
  ])('keeps within %i columns and %i lines with %i nodes', (width, height, nodes) => {
    const now = many(nodes);
    const lines = topScreen(now, ratesBetween(status({ seconds: 10 }), now), width, height);
    expect(lines.filter(line => [...line].length > width)).toEqual([]);
    expect(lines.length).toBeLessThanOrEqual(Math.max(height, 20));
  });

  it('gives names what the figures leave', () => {
    const now = many(1);
    const lines = topScreen(now, ratesBetween(status({ seconds: 10 }), now), 80, 24);
    expect(lines.find(line => line.startsWith('a-node'))).toMatch(/^a-node-with-a… {2}██████████ +100\.0 % .* up$/);
  });

  it('sums up what there is no room for, and shows the busiest nodes', () => {
    const now = many(500);
    const lines = topScreen(now, ratesBetween(status({ seconds: 10 }), now), 200, 30);
    expect(lines.some(line => line.includes('letters-499'))).toBe(true);
    expect(lines.some(line => /^… and \d+ nodes with less load$/.test(line))).toBe(true);
    expect(lines.some(line => /^… and \d+ more, [0-9.]+ % at work on average$/.test(line))).toBe(true);
  });
});
