/**
 * 1000 reloads under load, every fifth of a file that is wrong: nothing is lost, nothing is wrong, the refused ones change
 * nothing, and rows, neighbours and memory are bounded.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AdminRefusal, askAdmin } from '../../src/control/admin/client.ts';
import type { Status } from '../../src/control/admin/status.ts';
import { VIP } from '../../src/experiment/topology.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { Load } from './load.ts';
import { requireBed } from './program.ts';

const RELOADS = 1000;
/** Every fifth. */
const INVALID_EVERY = 5;
const NODES = 4;
const REFUSED = RELOADS / INVALID_EVERY;
/** Of the test alone: a reload takes some 25 ms on a busy machine. */
const STORM_MS_MAX = 180_000;
/** What V8 leaves lying about before it collects, and no more: a reload that kept its table would add 3 MB each time. */
const GROWTH_BYTES_MAX = 150 * 2 ** 20;
const PLAN = { keyCount: 2000, window: 16, getRatio: 0.9, warmupSeconds: 0, seconds: 600, timeoutMs: 2000 };

const HEAD = `vip: ${VIP}
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
`;
const TAIL = 'slots: { count: 16384, reply_lifetime_ms: 500 }\nlanes: 2\n';
const node = (n: number, weight: number) => `  - { name: mc${n}, address: 10.77.1.${10 + n}, weight: ${weight} }\n`;

/** Ways to be wrong: no YAML, an unknown field, a broken rule, and what only a restart can change. */
const WRONG: readonly ((text: string) => string)[] = [
  text => text.replace('nodes:', 'nodes: {'),
  text => `${text}lane: 2\n`,
  text => `${text}  - { name: mc1, address: 10.77.1.99 }\n`,
  text => text.replace('count: 16384', 'count: 32768'),
  text => text.replace('lanes: 2', 'lanes: 3'),
];

/** Configuration `n` of the storm: nodes come, go, drain and weigh in ever other ways; the first one always stays. */
function configuration(n: number): string {
  const nodes = Array.from({ length: NODES }, (_, i) => i + 1).filter(i => i === 1 || (n >> (i - 2)) % 3 !== 0);
  const list = nodes.map(i => node(i, i === 1 ? 1 : (n * i) % 4));
  const algorithm = n % 7 === 0 ? 'maglev' : 'ketama';
  return `${HEAD}${TAIL}steering: { algorithm: ${algorithm} }\nnodes:\n${list.join('')}`;
}

describe.skipIf(requireBed())('a storm of reloads', () => {
  let bed: Bed;
  let balancer: Balancer;
  let path: string;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: NODES, kernelClients: false });
    path = bed.writeConfig('storm.yaml', configuration(1));
    balancer = await bed.startBalancerWith(['--config', path]);
  });
  afterAll(() => bed?.close());

  /** Returns how many were refused. */
  async function storm(): Promise<number> {
    let refused = 0;
    for (let n = 1; n <= RELOADS; n++) {
      const isWrong = n % INVALID_EVERY === 0;
      const text = configuration(n);
      bed.writeConfig('storm.yaml', isWrong ? WRONG[(n / INVALID_EVERY) % WRONG.length]!(text) : text);
      refused += await reload(n);
    }
    return refused;
  }

  async function reload(n: number): Promise<number> {
    try {
      await askAdmin(balancer.admin, 'POST', '/reload', {});
      return 0;
    } catch (error) {
      if (!(error instanceof AdminRefusal) || n % INVALID_EVERY !== 0) throw error;
      return 1;
    }
  }

  test(
    'loses nothing',
    async () => {
      const load = new Load(bed.network, PLAN);
      await balancer.figuresWhen('the load', ({ counters }) => counters.requests! > 5000);
      await reload(1); // what a first one needs for good
      const before = residentBytes();
      expect(await storm()).toBe(REFUSED);
      const grown = residentBytes() - before;

      const { lost, wrong, errors, hits, late, duplicates } = await load.end();
      expect({ lost, wrong, errors, late, duplicates }).toEqual({
        lost: 0,
        wrong: 0,
        errors: 0,
        late: 0,
        duplicates: 0,
      });
      expect(hits).toBeGreaterThan(1000);
      const { reloads, lanes } = await askAdmin<Status>(balancer.admin, 'GET', '/status');
      expect(reloads).toMatchObject({ applied: RELOADS + 1 - REFUSED, refused: REFUSED });
      expect(lanes.map(({ state, restarts }) => [state, restarts])).toEqual([
        ['running', 0],
        ['running', 0],
      ]);
      const { figures } = await balancer.stop();
      expect(faults(figures)).toEqual({});
      expect(figures.counters).toMatchObject({ parked: 0 });
      expect(figures.counters.requests).toBe(figures.counters.replies);
      for (const { unanswered, outstanding, row } of figures.nodes) {
        expect({ unanswered, outstanding }).toEqual({ unanswered: 0, outstanding: 0 });
        // Who comes back within the lifetime has its row back; who does not, another that is free.
        expect(row).toBeLessThan(2 * NODES);
      }
      expect(grown).toBeLessThan(GROWTH_BYTES_MAX);
    },
    STORM_MS_MAX,
  );

  function residentBytes(): number {
    const status = readFileSync(`/proc/${balancer.group.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024;
  }
});
