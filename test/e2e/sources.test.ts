/**
 * `ping --sources`: clients at addresses of their own, through Keysteer to real memcached and back to each of them.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SourcesSummary } from '../../src/client/sources.ts';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import { VIP } from '../../src/experiment/topology.ts';
import { requireBuild, requireRawSocket } from '../support/requirements.ts';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { finish, keysteer } from './command.ts';
import { CLI, requireBed } from './program.ts';

/** Makes the package unfindable, as on a machine where it could not be built. */
const HIDE = `data:text/javascript,${encodeURIComponent(
  `import { register } from 'node:module';
   register('data:text/javascript,' + encodeURIComponent(
     "export const resolve = (name, context, next) => { if (name === 'raw-socket') throw new Error('not there'); return next(name, context); };"));`,
)}`;

describe.skipIf(requireBed() ?? requireRawSocket())('many sources', () => {
  let bed: Bed;
  let balancer: Balancer;
  let client: string;

  beforeAll(async () => {
    bed = await Bed.start({ clients: 1, nodes: 2 });
    client = bed.network.clients[0]!.host;
    // 10.99.0.0 … 10.99.0.63 belong to the client; replies to others, which come to its interface too, are not taken.
    ipBatch(['route add local 10.99.0.0/26 dev lo'], client);
    balancer = await bed.startBalancer();
  });
  afterAll(() => bed?.close());

  async function ping(...args: string[]): Promise<{ code: number | null; summary: SourcesSummary }> {
    const all = ['ping', '--server', VIP, '--json', '--timeout', '2000', ...args];
    const { code, stdout, stderr } = await keysteer(all, { namespace: client });
    expect(stderr).toBe('');
    return { code, summary: JSON.parse(stdout) };
  }

  test('each has every answer, to its own address and under its own id', async () => {
    const before = balancer.lines.length;
    const { code, summary } = await ping('--sources', '60', '--count', '5', '--interval', '0.1');
    const { sources, latency, seconds, ...counts } = summary;
    expect(counts).toEqual({
      ...{ event: 'summary', server: VIP, sent: 300, received: 300, lost: 0, pending: 0 },
      ...{ duplicates: 0, strays: 0, misdirected: 0, wrong: 0, unsent: 0 },
    });
    expect(sources).toHaveLength(60);
    expect(sources.map(({ address }) => address)).toEqual(Array.from({ length: 60 }, (_, n) => `10.99.0.${n + 1}`));
    for (const each of sources) expect(each).toMatchObject({ sent: 5, received: 5, lost: 0 });
    expect([seconds > 0, latency!.min > 0, code]).toEqual([true, true, 0]);
    const figures = await balancer.figuresWhen('300 replies', ({ counters }) => counters.replies >= 300);
    expect(figures.counters.requests).toBe(300);
    expect(faults(figures)).toEqual({});
    expect(balancer.lines.length).toBeGreaterThan(before);
  });

  test('an interval of 0: as the answers come', async () => {
    const { summary } = await ping('--sources', '50', '--count', '20', '--interval', '0');
    expect(summary).toMatchObject({ sent: 1000, received: 1000, lost: 0, duplicates: 0, wrong: 0 });
  });

  test('loss is counted for the source that has it', async () => {
    const args = ['--source-base', '10.99.0.60', '--sources', '8', '--unrouted', '--count', '3', '--timeout', '300'];
    const { code, summary } = await ping(...args, '--interval', '0.05');
    expect(summary).toMatchObject({ sent: 24, received: 12, lost: 12 });
    expect(summary.sources.map(({ address, lost }) => `${address} ${lost}`)).toEqual([
      ...['10.99.0.60 0', '10.99.0.61 0', '10.99.0.62 0', '10.99.0.63 0'],
      ...['10.99.0.64 3', '10.99.0.65 3', '10.99.0.66 3', '10.99.0.67 3'],
    ]);
    expect(code).toBe(0);
  });

  test('for people: the worst sources first', async () => {
    const args = ['--source-base', '10.99.0.62', '--sources', '4', '--unrouted', '--count', '2', '--timeout', '200'];
    const { stdout } = await keysteer(['ping', '--server', VIP, '--interval', '0', ...args], { namespace: client });
    expect(stdout).toContain('8 sent, 4 received, 4 lost (50.0 %), 0 duplicates');
    expect(stdout).toContain('2 of 4 sources lost something:');
    expect(stdout).toMatch(/^10.99.0.64 +2 +0 +2 +100.0 %$/m);
  });

  test('addresses that are not local here are refused with the command that makes them so', async () => {
    const { code, stderr } = await keysteer(['ping', '--server', VIP, '--sources', '100'], { namespace: client });
    expect(stderr).toContain('source is "10.99.0.100"; it must be local here for replies to come back');
    expect(stderr).toMatch(/: ip route add local 10.99.0.0\/25 dev lo\n$/);
    expect(code).toBe(2);
  });

  test('without CAP_NET_RAW: what is lost, and how to have it', async () => {
    const prefix = ['setpriv', '--bounding-set', '-net_raw', '--inh-caps', '-net_raw'];
    const { code, stderr } = await keysteer(['ping', '--server', VIP, '--sources', '2'], { namespace: client, prefix });
    expect(stderr).toMatch(
      /^keysteer: a raw socket needs CAP_NET_RAW \(Operation not permitted\); only .*--sources.* is lost/,
    );
    expect(stderr).toMatch(/As root: sudo .*ping/);
    expect(code).toBe(1);
  });
});

describe.skipIf(requireBuild())('without the package raw-socket', () => {
  const without = (...args: string[]) => finish([process.execPath, '--import', HIDE, CLI, ...args]);

  test('--sources says what is lost and how to install it', async () => {
    const { code, stderr } = await without('ping', '--sources', '2', '--unrouted');
    expect(stderr).toMatch(
      /^keysteer: the optional package raw-socket is not usable \(not there\); only .*--sources.* is lost/,
    );
    expect(stderr).toContain('npm install raw-socket');
    expect(code).toBe(1);
  });

  test('everything else of ping is there', async () => {
    const { code, stdout } = await without('ping', '--count', '1', '--timeout', '50', '--server', '127.0.0.1:1');
    expect(stdout).toContain('1 sent, 0 received');
    expect(code).toBe(3);
  });
});
