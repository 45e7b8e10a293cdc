/** Hot keys in mode nat: linearizable, whatever goes wrong and however often they become hot and cold. */
import { describe } from 'vitest';
import { testSeeds } from './hot-runs.ts';

describe('hot keys, as the seed says', () => {
  testSeeds('nat', 10_000, 60);
});
