/** Where things lie that lanes tell each other. */
import { expect, test } from 'vitest';
import {
  answeredWord,
  HOT_LIVES,
  HOT_THRESHOLDS,
  type HotSettings,
  hotShared,
  timeWord,
} from '../../../src/dataplane/hot/setup.ts';

const SETTINGS: HotSettings = {
  items: 64,
  l1Items: 16,
  detector: { name: 'exact', options: {}, instant: { window: 64, threshold: 16 } },
  epochMs: 1000,
  lifeMs: 2000,
  leaseMs: 10_000,
  refreshMs: 1000,
  ttlGuardMs: 2000,
  operations: 16,
  waiting: 16,
};

test.each([1, 2, 3, 64])('words of %i lanes: each its own, and before the items', lanes => {
  const words = Array.from({ length: lanes }, (_, lane) => [
    HOT_THRESHOLDS + lane,
    timeWord(lanes, lane),
    answeredWord(lanes, lane),
  ]).flat();
  expect(new Set(words).size).toBe(3 * lanes);
  expect(Math.min(...words)).toBeGreaterThan(HOT_LIVES);
  const { controlOffset, itemsOffset } = hotShared(SETTINGS, lanes, 128);
  expect(controlOffset + 4 * Math.max(...words)).toBeLessThan(itemsOffset);
});
