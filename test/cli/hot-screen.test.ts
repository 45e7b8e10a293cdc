import { describe, expect, it } from 'vitest';
import { type HotListing, hotScreen, shareText } from '../../src/cli/hot-screen.ts';
import { noCounts } from '../../src/control/hot/counts.ts';
import type { HotFigures, HotKey } from '../../src/control/hot/report.ts';

const key = (fields: Partial<HotKey>): HotKey => ({
  key: 'k',
  share: 0.1,
  shareError: 0,
  readsPerSecond: 1000,
  writesPerSecond: 10,
  layer: 'L1',
  state: 'clean',
  pinned: false,
  cached: true,
  valueBytes: 5,
  replicas: [],
  copies: 1,
  ageSeconds: 5,
  reads: 1234567,
  ...fields,
});

const figures: HotFigures = {
  enabled: true,
  capacity: 8192,
  items: 2,
  l1: 1,
  l2: 1,
  states: {},
  cached: 1,
  replicated: 1,
  copies: 2,
  pinned: 1,
  banned: 0,
  leftAlone: 0,
  stuck: 0,
  share: 0.0001,
  limits: { share: 0.0001, imbalance: 1.1, copiesMax: 8, writeShareMax: 0.5 },
  detectors: { count: 1000, epsilon: 0.00002, entries: 12, displaced: 0 },
  balance: { predicted: 1.03, untreated: 2, measured: 1.042, met: true, limits: {} },
  counts: noCounts(),
};

const listing = (fields: Partial<HotListing>): HotListing => ({
  hot: figures,
  pinned: [],
  banned: [],
  keys: [],
  ...fields,
});

describe('keysteer hot', () => {
  it('is a screen of 80 columns', () => {
    const long = `user:${'x'.repeat(200)}`;
    const screen = hotScreen(
      listing({
        banned: ['b'],
        keys: [
          key({ key: 'front-page', share: 0.2534, shareError: 0.000021, pinned: true }),
          key({
            key: long,
            layer: 'L2',
            cached: false,
            replicas: ['mc2', 'mc3'],
            copies: 4,
            ageSeconds: 7200,
            reads: 12,
          }),
        ],
      }),
      80,
    );
    expect(screen).toEqual([
      '2 of 8192 hot keys: L1 1, L2 1, 1 cached, 1 copied (2), 1 pinned, 1 banned',
      'hot from 0.01 % of requests; detector error 0.002 %, 12 entries',
      'busiest node ÷ mean: 1.04 measured, 1.03 foreseen, 1.10 allowed',
      '',
      expect.stringMatching(/^KEY +SHARE% +\+ERR% +GET\/S +SET\/S +AT +STATE +COPIES +AGE +READS$/),
      expect.stringMatching(/^front-page +25\.3 +0\.0021 +1 k +10 +L1\* +cached +– +5 s +1\.23 M$/),
      expect.stringMatching(/^user:x+… +10 +0 +1 k +10 +L2 +clean +3\/4 +2 h +12$/),
    ]);
    expect(Math.max(...screen.map(line => line.length))).toBeLessThanOrEqual(80);
  });

  it('says when there is nothing, when more is hidden, and when something hangs', () => {
    expect(hotScreen(listing({}), 80)).toContain('no key is hot');
    expect(hotScreen(listing({ keys: [key({})] }), 80).at(-1)).toBe('… and 1 cooler ones');
    const stuck = listing({ hot: { ...figures, stuck: 3 } });
    expect(hotScreen(stuck, 80)).toContain('3 keys are under way for longer than anything explains');
  });

  it.each([
    [0, '0 %'],
    [0.5, '50 %'],
    [0.01234, '1.2 %'],
    [0.0000123, '0.0012 %'],
    [1e-9, '<0.0001 %'],
  ])('a share of %d is %s', (share, text) => {
    expect(shareText(share)).toBe(text);
  });
});
