import { defineConfig } from 'vitest/config';

/** Rooms whose tests lay networks and measure time: one file after another, with both cores to themselves. */
const ALONE = ['e2e', 'experiment', 'load', 'port', 'client'].map(room => `test/${room}/**/*.test.ts`);

const common = { hookTimeout: 60_000, pool: 'forks' } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'rooms',
          testTimeout: 120_000, // properties, which take CPU time alone
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'networks',
          testTimeout: 30_000,
          include: ALONE,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
