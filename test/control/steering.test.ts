/** Publishing under lanes that are slow, quick, or stuck: what each table holds, and when. */
import { describe, expect, it } from 'vitest';
import { configFromFlags } from '../../src/control/config/load.ts';
import type { Config } from '../../src/control/config/normalise.ts';
import { NodeChoiceError, Steering, TableBusyError, UnknownNodeError } from '../../src/control/steering.ts';
import { Neighbours, neighboursByteLength } from '../../src/dataplane/neighbours.ts';
import { enterTable } from '../../src/mem/generation.ts';
import { nodeCount, nodeSlots } from '../../src/steer/lookup.ts';
import { SteerTable } from '../../src/steer/table.ts';

const CAPACITY = { nodesMax: 8, lanesMax: 2 };

function configOf(...nodes: string[]): Config {
  const own = { vip: '10.77.0.100', client: 'c', server: 's', serverAddress: '10.77.1.1/24' };
  const config = configFromFlags({ ...own, node: nodes });
  return { ...config, neighbours: { ...config.neighbours, retryMs: 10, retries: 1 } };
}

class Bed {
  readonly table = new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(CAPACITY)), 0, CAPACITY);
  readonly neighbours: Neighbours;
  readonly steering: Steering;

  constructor(config = configOf('mc1=10.77.1.11', 'mc2=10.77.1.12', 'mc3=10.77.1.13')) {
    const words = new Int32Array(neighboursByteLength(CAPACITY.nodesMax) / 4);
    this.neighbours = new Neighbours(words, 0, { retryMs: 10, retries: 1, lifetimeMs: 60_000 });
    this.steering = new Steering(config, this.table, this.neighbours, CAPACITY, () => new Float64Array(6));
  }

  /** A lane begins a cycle. */
  turn(lane = 0): void {
    enterTable(this.table.words, this.table.base, lane);
  }

  /** Lane 0 hears of a next hop. */
  resolve(address: number): void {
    this.neighbours.learn(address, 2, address, 0);
  }

  /** Rows that hold slots of the ring. */
  get live(): number[] {
    const { words, current } = this.table;
    return [...Array(nodeCount(words, current)).keys()].filter(row => nodeSlots(words, current, row) > 0);
  }
}

const soon = () => new Promise(resolve => setTimeout(resolve, 5));

describe('steering', () => {
  it('publishes at once while no lane is behind', () => {
    const bed = new Bed();
    bed.turn();
    void bed.steering.setAvailability(1, false, 'silent');
    expect(bed.live).toEqual([0, 2]);
    bed.turn();
    void bed.steering.setAvailability(1, true, '');
    expect(bed.live).toEqual([0, 1, 2]);
  });

  it('waits for a lane that is behind, then publishes everything that was asked for meanwhile, once', async () => {
    const bed = new Bed();
    bed.turn();
    void bed.steering.setAvailability(0, false, 'silent');
    const done = Promise.all([
      bed.steering.setAvailability(1, false, 'silent'),
      bed.steering.setAvailability(0, true, ''),
      bed.steering.setDrained('mc3', true),
    ]);
    await soon();
    expect(bed.live).toEqual([1, 2]);
    bed.turn();
    await done;
    expect(bed.live).toEqual([0]);
    expect(bed.table.canPublish).toBe(false);
    bed.turn();
    await soon();
    expect(bed.table.canPublish).toBe(true); // no second table followed
  });

  it('says nothing new: no table', () => {
    const bed = new Bed();
    bed.turn();
    void bed.steering.setAvailability(1, true, 'still fine');
    void bed.steering.setDrained('mc1', false);
    void bed.steering.setAvailability(7, false, 'nobody’s row');
    expect(bed.table.canPublish).toBe(true);
  });

  it('drains by name, but not the last one that takes keys', async () => {
    const bed = new Bed();
    await bed.steering.setDrained('mc1', true);
    await bed.steering.setAvailability(1, false, 'silent');
    expect(() => bed.steering.setDrained('mc3', true)).toThrow(NodeChoiceError);
    expect(() => bed.steering.setDrained('mc4', true)).toThrow(UnknownNodeError);
    expect(bed.live).toEqual([2]);
    await bed.steering.setDrained('mc1', false);
    await bed.steering.setDrained('mc3', true);
    expect(bed.live).toEqual([0]);
  });

  describe('adopts a configuration', () => {
    it('once its new next hops are known, so that no request for them waits', async () => {
      const { neighbours, ...config } = configOf('mc1=10.77.1.11', 'mc2=10.77.1.12', 'mc3=10.77.1.13');
      const bed = new Bed({ ...config, neighbours: { ...neighbours, retryMs: 10_000 } });
      const adopted = bed.steering.adopt(configOf('mc1=10.77.1.11', 'new=10.77.1.19'));
      await soon();
      expect(bed.live).toEqual([0, 1, 2]);
      bed.resolve(0x0a4d0113);
      expect(await adopted).toEqual([]);
      expect(bed.live).toEqual([0, 3]);
    });

    it('or silent, and says which', async () => {
      const bed = new Bed();
      expect(await bed.steering.adopt(configOf('mc1=10.77.1.11', 'new=10.77.1.19'))).toEqual(['new']);
      expect(bed.live).toEqual([0, 3]);
    });

    it('with what health and the admin said of those that stay', async () => {
      const bed = new Bed();
      await bed.steering.setAvailability(0, false, 'silent');
      await bed.steering.setDrained('mc2', true);
      await bed.steering.adopt(configOf('mc3=10.77.1.13', 'mc2=10.77.1.12', 'mc1=10.77.1.11'));
      expect(bed.live).toEqual([2]);
    });

    it('and tells its followers before the table is made: what they set is in it', async () => {
      const bed = new Bed();
      bed.steering.follow(nodes => {
        for (const { row, config } of nodes) {
          if (config.name === 'new') void bed.steering.setAvailability(row, false, 'not probed yet');
        }
      });
      await bed.steering.adopt(configOf('mc1=10.77.1.11', 'new=10.77.1.19'));
      await soon();
      expect(bed.live).toEqual([0]);
    });

    it('or nothing of it, while a lane is stuck in an older table', async () => {
      const bed = new Bed();
      bed.turn();
      void bed.steering.setAvailability(1, false, 'silent');
      await expect(bed.steering.adopt(configOf('mc1=10.77.1.11'))).rejects.toThrow(TableBusyError);
      expect(bed.steering.directory.nodes.map(({ config }) => config.name)).toEqual(['mc1', 'mc2', 'mc3']);
      bed.turn();
      expect(await bed.steering.adopt(configOf('mc1=10.77.1.11'))).toEqual([]);
      expect(bed.live).toEqual([0]);
    });
  });

  it('stopped, it waits for nobody any more', async () => {
    const bed = new Bed();
    bed.turn();
    void bed.steering.setAvailability(0, false, 'silent');
    const pending = bed.steering.setAvailability(1, false, 'silent');
    bed.steering.stop();
    await pending;
    expect(bed.live).toEqual([1, 2]);
  });
});
