/** The node directory against a model: rows that stay, rows that are free again, figures that begin at zero. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeConfig } from '../../src/control/config/normalise.ts';
import { NextHops } from '../../src/control/next-hops.ts';
import { type DirectoryNode, NodeDirectory, RowsInUseError, takesKeys } from '../../src/control/nodes.ts';
import { Neighbours, neighboursByteLength } from '../../src/dataplane/neighbours.ts';

const ROWS = 4;
const KEEP_MS = 100;
const TIMES = { retryMs: 200, retries: 3, lifetimeMs: 60_000 };

const nodeConfig = (n: number, fields: Partial<NodeConfig> = {}): NodeConfig => ({
  name: `mc${n}`,
  address: 0x0a000000 + n,
  text: `10.0.0.${n}`,
  port: 11211,
  weight: 1,
  hashName: `10.0.0.${n}`,
  nextHop: 0x0a000000 + n,
  ...fields,
});

class Bed {
  readonly neighbours: Neighbours;
  /** What lanes have counted in each row. */
  readonly counted = new Float64Array(8);
  readonly directory: NodeDirectory;
  nowMs = 0;

  constructor(rows = ROWS) {
    this.neighbours = new Neighbours(new Int32Array(neighboursByteLength(rows) / 4), 0, TIMES);
    const hops = new NextHops(this.neighbours, rows);
    this.directory = new NodeDirectory(rows, KEEP_MS, hops, row => Float64Array.of(this.counted[row]!));
  }

  reload(...numbers: number[]): readonly DirectoryNode[] {
    this.directory.commit(this.directory.prepare(numbers.map(n => nodeConfig(n))));
    return this.directory.nodes;
  }

  /** Time passes; lane 0 looks after the neighbours. */
  wait(ms: number, lanesAreCurrent = true): void {
    this.nowMs += ms;
    this.directory.sweep(this.nowMs, lanesAreCurrent);
    for (let row = 0; row < this.neighbours.count; row++) this.neighbours.advance(row, this.nowMs);
  }

  /** Rows by name. */
  get rows(): Record<string, number> {
    return Object.fromEntries(this.directory.nodes.map(({ config, row }) => [config.name, row]));
  }
}

describe('the node directory', () => {
  it('gives rows in order, and keeps them for those that stay', () => {
    const bed = new Bed();
    bed.reload(1, 2, 3);
    expect(bed.rows).toEqual({ mc1: 0, mc2: 1, mc3: 2 });
    bed.reload(3, 4, 2);
    expect(bed.rows).toEqual({ mc3: 2, mc4: 3, mc2: 1 });
    expect(bed.directory.nodes.map(({ config }) => config.name)).toEqual(['mc3', 'mc4', 'mc2']);
  });

  it('frees the row of a node that left once the lanes have moved on and the lifetime is over', () => {
    const bed = new Bed();
    bed.reload(1, 2);
    bed.reload(2);
    bed.wait(10 * KEEP_MS, false); // a lane still steers by the old table
    bed.reload(2, 3);
    expect(bed.rows).toEqual({ mc2: 1, mc3: 2 });
    bed.wait(1);
    bed.wait(KEEP_MS - 1);
    bed.reload(2, 3, 4);
    expect(bed.rows).toEqual({ mc2: 1, mc3: 2, mc4: 3 });
    bed.wait(1);
    bed.reload(2, 3, 4, 5);
    expect(bed.rows).toEqual({ mc2: 1, mc3: 2, mc4: 3, mc5: 0 });
  });

  it('gives a node that comes back in time its row, flags of health and figures back; not the drain', () => {
    const bed = new Bed();
    const [first] = bed.reload(1, 2);
    Object.assign(first!, { available: false, reason: 'silent', drained: true });
    bed.counted[0] = 7;
    bed.reload(2);
    bed.wait(KEEP_MS / 2);
    const [back] = bed.reload(1, 2);
    expect(back).toMatchObject({ row: 0, available: false, reason: 'silent', drained: false });
    expect(back!.base).toEqual(Float64Array.of(0));
    bed.wait(10 * KEEP_MS);
    expect(bed.directory.rowsTaken).toBe(2);
  });

  it('starts another node in the row with figures of zero', () => {
    const bed = new Bed();
    bed.reload(1);
    bed.counted[0] = 7;
    bed.reload(2);
    bed.wait(0);
    bed.wait(KEEP_MS);
    const [, third] = bed.reload(2, 3);
    expect(third).toMatchObject({ row: 0, base: Float64Array.of(7) });
  });

  it.each([
    ['name', { name: 'other' }],
    ['address', { address: 0x0a000009 }],
    ['port', { port: 11212 }],
  ])('takes a node of another %s for another node', (_, fields) => {
    const bed = new Bed();
    bed.reload(1);
    bed.directory.commit(bed.directory.prepare([nodeConfig(1, fields)]));
    expect(bed.directory.nodes[0]!.row).toBe(1);
  });

  it('takes weight and hash name over without another row', () => {
    const bed = new Bed();
    bed.reload(1);
    bed.directory.commit(bed.directory.prepare([nodeConfig(1, { weight: 0, hashName: 'old' })]));
    const [node] = bed.directory.nodes;
    expect(node).toMatchObject({ row: 0, config: { weight: 0, hashName: 'old' } });
    expect(takesKeys(node!)).toBe(false);
  });

  it('full: refuses, says until when, and nothing has changed', () => {
    const bed = new Bed();
    bed.reload(1, 2, 3);
    bed.reload(3);
    const before = bed.directory.nodes;
    expect(() => bed.directory.prepare([2, 3, 4, 5].map(n => nodeConfig(n)))).toThrow(
      new RowsInUseError(
        'there is no row for another node: 4 of 4 are in use, 1 of them by nodes that were removed less than 1 s ago; try again then',
      ),
    );
    expect(bed.directory.nodes).toBe(before);
    bed.reload(2, 3);
    expect(bed.rows).toEqual({ mc2: 1, mc3: 2 });
    bed.wait(0);
    bed.wait(KEEP_MS);
    bed.reload(2, 3, 4, 5);
    expect(bed.directory.rowsTaken).toBe(4);
  });

  it('shares a neighbour row among nodes behind one router, and gives it back with the last', () => {
    const bed = new Bed();
    const behind = (n: number) => nodeConfig(n, { nextHop: 0x0a0000fe });
    bed.directory.commit(bed.directory.prepare([behind(1), behind(2)]));
    expect(bed.directory.nodes.map(({ neighbour }) => neighbour)).toEqual([0, 0]);
    bed.directory.commit(bed.directory.prepare([behind(2)]));
    for (const ms of [0, KEEP_MS]) bed.wait(ms);
    expect(bed.neighbours.address(0)).toBe(0x0a0000fe);
    bed.reload(3);
    for (const ms of [0, KEEP_MS]) bed.wait(ms);
    expect(bed.neighbours.address(0)).toBe(0);
  });

  it('abandoned: as if nothing had been prepared', () => {
    const bed = new Bed();
    bed.reload(1, 2);
    bed.reload(2);
    const prepared = bed.directory.prepare([1, 2, 3].map(n => nodeConfig(n)));
    bed.directory.abandon(prepared);
    expect(bed.rows).toEqual({ mc2: 1 });
    expect(bed.directory.rowsTaken).toBe(2);
    for (const ms of [0, KEEP_MS]) bed.wait(ms);
    expect(bed.directory.rowsTaken).toBe(1);
  });
});

describe('property: whatever is reloaded, abandoned and waited for', () => {
  const nodes = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 });
  const step = fc.oneof(
    fc.record({ reload: nodes, commits: fc.boolean() }),
    fc.record({ wait: fc.nat(KEEP_MS * 2), lanesAreCurrent: fc.boolean() }),
  );

  it('no row is two nodes’ within the lifetime, none moves, and none is lost', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), steps => {
        const bed = new Bed(6);
        /** Row → who had it last, and since when nobody may. */
        const owners = new Map<number, { name: string; leftMs?: number }>();
        for (const what of steps) {
          if ('wait' in what) {
            bed.wait(what.wait, what.lanesAreCurrent);
          } else {
            change(bed, what.reload, what.commits);
          }
          check(bed, owners);
        }
        for (const ms of [0, KEEP_MS]) bed.wait(ms);
        bed.reload(1);
        for (const ms of [0, KEEP_MS, 0]) bed.wait(ms);
        expect(bed.directory.rowsTaken).toBe(1);
        expect([...Array(bed.neighbours.count).keys()].filter(row => bed.neighbours.address(row) !== 0)).toHaveLength(
          1,
        );
      }),
      { numRuns: 300 },
    );
  });

  function change(bed: Bed, numbers: number[], commits: boolean): void {
    try {
      const prepared = bed.directory.prepare(numbers.map(n => nodeConfig(n)));
      if (commits) bed.directory.commit(prepared);
      else bed.directory.abandon(prepared);
    } catch (error) {
      expect(error).toBeInstanceOf(RowsInUseError);
    }
  }

  function check(bed: Bed, owners: Map<number, { name: string; leftMs?: number }>): void {
    const { nodes: members } = bed.directory;
    expect(new Set(members.map(({ row }) => row)).size).toBe(members.length);
    for (const { row, config, neighbour } of members) {
      expect(bed.neighbours.address(neighbour)).toBe(config.nextHop);
      const owner = owners.get(row);
      if (owner !== undefined && owner.name !== config.name) {
        expect(owner.leftMs).toBeDefined();
        expect(bed.nowMs - owner.leftMs!).toBeGreaterThanOrEqual(KEEP_MS);
      }
      owners.set(row, { name: config.name });
    }
    for (const [row, owner] of owners) {
      if (!members.some(member => member.row === row)) owner.leftMs ??= bed.nowMs;
    }
  }
});
