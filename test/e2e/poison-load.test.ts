/**
 * What it must stand: honest GETs from the load generator beside 10^5 stores of every storing verb whose declared length
 * is not their real one. Through Keysteer no honest request is lost and no value is wrong; the same beside memcached asked
 * directly is printed for comparison.
 *
 *     KEYSTEER_POISON_RATE=50000     honest GETs a second (open loop); default: as many as the machine sustains (closed
 *                                    loop, 64 outstanding), so that a slow or busy machine loses none of its own accord
 *     KEYSTEER_POISONS=100000        poisons through Keysteer
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MemcachedNode, startMemcachedNodes } from '../../src/experiment/memcached-node.ts';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import type { RunningSystem } from '../../src/experiment/systems.ts';
import {
  BALANCER_SERVER_ADDRESS,
  buildTestBed,
  MEMCACHED_PORT,
  type TestBed,
  VIP,
} from '../../src/experiment/topology.ts';
import type { LoadResult } from '../../src/load/result.ts';
import { Balancer } from './balancer.ts';
import { POISONS } from './poisons.ts';
import { DIST, Program, requireBed } from './program.ts';
import type { Poisoned, Poisoning } from './programs/poisoner.ts';
import { datagram } from './udp-client.ts';

const COUNT = Number(process.env.KEYSTEER_POISONS ?? 100_000);
const RATE = process.env.KEYSTEER_POISON_RATE;
/** So that the poisons, whose answers cost as much as those of honest requests, take about half of the time. */
const POISONS_PER_SECOND = 20_000;
const SECONDS = COUNT / POISONS_PER_SECOND + 3;
/** A node that is poisoned stays silent until it has had its fill: no need of many. */
const DIRECT_COUNT = 1000;
const DIRECT_SECONDS = 4;

/** The generator is started from where it is built. */
const loadRunner = () =>
  import(`${DIST}src/experiment/load-runner.js`) as Promise<typeof import('../../src/experiment/load-runner.ts')>;

/** What a load is aimed at. */
type Aim = Pick<RunningSystem, 'targets' | 'path'>;

interface Beside {
  readonly honest: LoadResult;
  readonly poisoned: Poisoned;
}

describe.skipIf(requireBed())('honest requests beside poison', () => {
  let bed: TestBed;
  let nodes: MemcachedNode[];
  let poisoner: Program<Poisoning, Poisoned>;
  const scratch = mkdtempSync(join(tmpdir(), 'keysteer-poison-'));

  beforeAll(async () => {
    bed = buildTestBed({ layout: 'switched', clients: 2, nodes: 2, kernelClients: false });
    nodes = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const { host, paths } = bed.clients[1]!;
    const addresses = [paths.balancer.address, paths.direct.address];
    ipBatch(
      addresses.map(address => `address add ${address}/24 dev ${paths.balancer.interface}`),
      host,
    );
    poisoner = await Program.start(bed.namespaces, host, 'poisoner');
  });
  afterAll(async () => {
    rmSync(scratch, { recursive: true });
    await bed?.close();
  });

  /** Rings that outlast what a busy machine keeps a lane from its CPU: what is lost is then lost for another reason. */
  function startBalancer(): Promise<Balancer> {
    const { host, client, server } = bed.balancer;
    const config = join(scratch, 'keysteer.yaml');
    const nodeList = bed.nodes.map(({ name, address, port }) => `{ name: ${name}, address: "${address}:${port}" }`);
    writeFileSync(
      config,
      `vip: ${VIP}
ports:
  client: { interface: ${client.name}, ring: { frames: 16384 } }
  server: { interface: ${server.name}, address: ${BALANCER_SERVER_ADDRESS}, ring: { frames: 16384 } }
nodes: [${nodeList.join(', ')}]
`,
    );
    return Balancer.start(bed.namespaces, host, ['--config', config]);
  }

  /** The poisons begin when the honest requests are measured. */
  async function both(aim: Aim, count: number, perSecond: number, seconds: number): Promise<Beside> {
    const honestClient = { ...bed, clients: [bed.clients[0]!] };
    const pace = RATE === undefined ? { window: 64 } : { rate: Number(RATE) };
    const plan = { ...pace, keyCount: 10_000, getRatio: 1, warmupSeconds: 0.5, seconds, timeoutMs: 2000 };
    const { runClients } = await loadRunner();
    let poisoned: Promise<Poisoned> | undefined;
    const honest = await runClients(honestClient, aim, plan, ({ phase }) => {
      if (phase !== 'measure') return;
      poisoned ??= poisoner.ask({ to: targetsOf(aim), datagrams: encoded(), count, perSecond });
    });
    return { honest, poisoned: await poisoned! };
  }

  test(`${COUNT} of them through Keysteer: nothing lost, nothing wrong`, async () => {
    const balancer = await startBalancer();
    const aim: Aim = { targets: [`${VIP}:${MEMCACHED_PORT}`], path: client => client.paths.balancer };
    const storesBefore = await storesSeen();
    const beside = await both(aim, COUNT, POISONS_PER_SECOND, SECONDS);
    report('keysteer', beside);
    const { honest, poisoned } = beside;
    expect({ lost: honest.lost, wrong: honest.wrong, misses: honest.misses, errors: honest.errors }).toEqual({
      lost: 0,
      wrong: 0,
      misses: 0,
      errors: 0,
    });
    expect(honest.replies).toBe(honest.requests);
    expect(honest.requests).toBeGreaterThan(1000);
    expect(poisoned.sent).toBe(COUNT);
    // The load generator's own stores are all that came as far as a node.
    expect((await storesSeen()) - storesBefore).toBe(honest.prefill.keys + honest.prefill.retries);
    const { figures } = await balancer.stop();
    const { counters } = figures;
    const refused = counters.refused_length! + counters.refused_trailing!;
    // On a busy machine the poisoner's own socket, or the ring, loses some of them.
    expect(refused).toBeLessThanOrEqual(COUNT);
    expect(refused).toBeGreaterThan(COUNT * 0.95);
  });

  test('a thousand of them at memcached itself: it falls silent, the fixture bites', async () => {
    const targets = bed.nodes.map(({ address, port }) => `${address}:${port}`);
    const beside = await both(
      { targets, path: client => client.paths.direct },
      DIRECT_COUNT,
      DIRECT_COUNT,
      DIRECT_SECONDS,
    );
    report('direct', beside);
    const { lost, wrong, errors } = beside.honest;
    expect(lost + wrong + errors).toBeGreaterThan(0);
  });

  async function storesSeen(): Promise<number> {
    const stats = await Promise.all(nodes.map(node => node.stats()));
    return stats.reduce((sum, { cmd_set }) => sum + cmd_set, 0);
  }
});

function encoded(): string[] {
  return POISONS.map(({ body }, n) => datagram(n, body).toString('base64'));
}

function targetsOf({ targets }: Aim): Poisoning['to'] {
  return targets.map(target => {
    const [address, port] = target.split(':') as [string, string];
    return { address, port: Number(port) };
  });
}

function report(system: string, { honest, poisoned }: Beside): void {
  const { requests, requestsPerSecond, lost, wrong, errors, latency } = honest;
  const shown = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);
  const answers = Object.entries(poisoned.answers).map(([text, count]) => `${count} × ${shown(text)}`);
  console.log(
    `${system}: ${requests} honest GETs at ${Math.round(requestsPerSecond)}/s beside ${poisoned.sent} poisons at ` +
      `${Math.round(poisoned.sent / poisoned.seconds)}/s (${POISONS.length} kinds): lost ${lost}, wrong ${wrong}, ` +
      `errors ${errors}, p99 ${Math.round(latency.p99Us)} µs; the poisoner heard ${answers.join(', ') || 'nothing'}`,
  );
}
