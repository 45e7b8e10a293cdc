/** Hot keys in mode gateway: linearizable, whatever goes wrong and however often they become hot and cold. */
import { describe } from 'vitest';
import { testSeeds } from './hot-runs.ts';

describe('hot keys, as the seed says', () => {
  testSeeds('gateway', 20_000, 60);
});
