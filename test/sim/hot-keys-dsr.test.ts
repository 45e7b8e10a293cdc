/** Hot keys in mode dsr: linearizable, whatever goes wrong and however often they become hot and cold. */
import { describe } from 'vitest';
import { testSeeds } from './hot-runs.ts';

describe('hot keys, as the seed says', () => {
  testSeeds('dsr', 30_000, 60);
});
