/** What a run does with hot keys, drawn like the rest of its plan: many become hot and cold again, and few things are as by default. */
import type { Random } from './random.ts';

export interface HotPlan {
  /** Lines of the section `hot`. */
  readonly settings: readonly string[];
  /** From one key that somebody pins or lets go to the next, ms on average; 0: nobody does. */
  readonly churnMs: number;
}

/** @returns undefined: no keys are hot */
export function hotPlanOf(random: Random, isHot: boolean | undefined): HotPlan | undefined {
  const isDrawn = random.chance(0.9);
  const isCached = random.chance(0.8);
  const drawn: HotPlan = {
    settings: [
      `keys: ${random.of([64, 256])}`,
      'l1_keys: 16',
      'detector_bytes: 16384',
      `epoch_ms: ${random.of([100, 100, 300])}`,
      'keep_s: 0',
      'share: 0.001',
      'error: 0.0001',
      'instant: { window: 64, count: 4 }',
      `cache: ${isCached}`,
      `imbalance: ${isCached ? 1.1 : 1.01}`,
      `write_share_max: ${random.of([0.5, 1])}`,
      `lease_s: ${random.of([1, 3, 10])}`,
      `refresh_ms: ${random.of([50, 1000])}`,
      `ttl_guard_ms: ${random.of([0, 500, 2000])}`,
    ],
    churnMs: random.of([0, 10, 50]),
  };
  return (isHot ?? isDrawn) ? drawn : undefined;
}

/** The section, as it stands in the file. */
export function hotSection(plan: HotPlan | undefined): string {
  if (plan === undefined) return 'hot: { enabled: false }\n';
  return `hot:\n${plan.settings.map(line => `  ${line}\n`).join('')}`;
}
