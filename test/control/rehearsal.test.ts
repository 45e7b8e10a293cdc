/** The rehearsal: a real lane, all that is asked is answered, hot keys included. */
import { describe, expect, it } from 'vitest';
import { configFromFlags, loadConfig } from '../../src/control/config/load.ts';
import type { Config } from '../../src/control/config/normalise.ts';
import { planRehearsal } from '../../src/control/rehearsal-plan.ts';
import { LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import { Rehearsal } from '../../src/dataplane/rehearsal.ts';

const CYCLES = 3000;
const CYCLE_MS = 0.3;
const TWO_ARMS = { client: 'cl0', server: 'sv0', serverAddress: '10.77.1.1/24' };
const ONE_ARM = { client: 'cl0', clientAddress: '10.77.1.1/24' };

function counted(flags: object): Record<string, number> {
  const node = ['mc1=10.77.1.11', 'mc2=10.77.1.12'];
  return countedOf(configFromFlags({ vip: '10.77.0.100', node, ...flags }));
}

function countedOf(config: Config): Record<string, number> {
  const rehearsal = new Rehearsal(planRehearsal(config, 1));
  for (let cycle = 1; cycle <= CYCLES; cycle++) rehearsal.cycle(1000 + cycle * CYCLE_MS);
  const { counters } = rehearsal.lane.path.memory;
  return Object.fromEntries(LANE_COUNTERS.flatMap((name, i) => (counters[i]! > 0 ? [[name, counters[i]!]] : [])));
}

describe('a rehearsal', () => {
  it.each([
    ['nat', 'two arms', TWO_ARMS],
    ['nat', 'one arm', ONE_ARM],
    ['gateway', 'two arms', TWO_ARMS],
    ['dsr', 'two arms', TWO_ARMS],
  ] as const)('mode %s, %s: reads, writes, hits and writes of a hot key', (mode, _, arms) => {
    const counters = counted({ mode, ...arms });
    expect(counters).toMatchObject({ hot_promotions: 1 });
    expect(counters.requests).toBeGreaterThan(10_000);
    expect(counters.hot_hits).toBeGreaterThan(5000);
    expect(counters.hot_writes).toBeGreaterThan(50);
    // In dsr mode nodes answer past the lane.
    if (mode !== 'dsr') expect(counters.replies).toBeGreaterThan(10_000);
    const astray = Object.keys(counters).filter(name => /^(drop|refused)_|error_answers|hot_repeats/.test(name));
    expect(astray).toEqual([]);
  });

  it('as well where few may ask, and little', () => {
    const file = [
      'vip: 10.77.0.100',
      'ports: { client: { interface: cl0 }, server: { interface: sv0, address: 10.77.1.1/24 } }',
      'nodes: [{ name: mc1, address: 10.77.1.11 }]',
      'commands: { deny: [get] }',
      'gatekeeper: { allow: [10.1.2.0/24], requests_per_second: 10, response_bytes_per_second: 2000, response_ratio_max: 2 }',
      'hot: { cache: false }',
    ];
    const counters = countedOf(loadConfig(file.join('\n'), 'f.yaml', {}));
    expect(counters.replies).toBeGreaterThan(10_000);
    expect(Object.keys(counters).filter(name => /^(drop|refused)_|hot_hits/.test(name))).toEqual([]);
  });

  it('without hot keys', () => {
    const counters = counted({ ...TWO_ARMS, hot: 'off' });
    expect(counters.replies).toBeGreaterThan(10_000);
    expect(Object.keys(counters).filter(name => /^(drop|refused|hot)_/.test(name))).toEqual([]);
  });
});
