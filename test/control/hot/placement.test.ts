import { expect, it } from 'vitest';
import { loadConfig } from '../../../src/control/config/load.ts';
import { steerTableOf } from '../../../src/control/explain.ts';
import { placementOf } from '../../../src/control/hot/placement.ts';
import type { Steering } from '../../../src/control/steering.ts';
import { nodeTag } from '../../../src/dataplane/hot/sender.ts';

it('finds the row of a node by the tag that lanes give it', () => {
  const config = loadConfig(
    `vip: 10.77.0.100
ports: { client: { interface: cl0, address: 10.77.0.1/24 } }
nodes: [{ name: mc1, address: 10.77.0.11 }, { name: mc2, address: 10.77.0.12 }]`,
    'f.yaml',
  );
  const table = steerTableOf(config);
  const placement = placementOf({ table, directory: { nodes: [] } } as unknown as Steering, () => new Float64Array(8));
  expect([0, 1].map(row => placement.rowOfTag(nodeTag(table.words, table.current, row)))).toEqual([0, 1]);
  expect(placement.rowOfTag(2)).toBe(-1); // another address's
});
