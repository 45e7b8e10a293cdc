/** The generator and the sink as processes of their own: real interfaces, real memcached. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addVethPairs, ipBatch, NamespaceSet } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import type { LoadResult } from '../../src/load/result.ts';
import { requireBuild, requireMemcached, requireNamespaces, requireShim } from '../support/requirements.ts';

const PROCESS = fileURLToPath(new URL('../../dist/src/load/process.js', import.meta.url));
const SINK_PROCESS = fileURLToPath(new URL('../../dist/src/load/sink-process.js', import.meta.url));
const CLIENT = '10.66.0.1';
const KERNEL_ADDRESS = '10.66.0.2';
const SINK_ADDRESS = '10.66.0.3';

const unbuilt = requireBuild();
const missing = unbuilt ?? requireShim() ?? requireNamespaces();

type Line = { type: 'progress' | 'result' | 'error'; result: LoadResult; name: string; message: string };

function lines(output: string): Line[] {
  return output
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

describe.skipIf(unbuilt)('options', () => {
  it.each([
    ['no interface', '{"clients":["10.0.0.1"],"targets":["10.0.0.2:1"]}', 'LoadOptionsError', /interface/],
    ['no JSON', 'hello', 'SyntaxError', /JSON/],
  ])('%s: an error line and exit code 1', (_, options, name, message) => {
    const { status, stdout } = spawnSync(process.execPath, [PROCESS, options], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(lines(stdout)).toEqual([{ type: 'error', name, message: expect.stringMatching(message) }]);
  });

  it('come from standard input when there is no argument', () => {
    const { status, stdout } = spawnSync(process.execPath, [PROCESS], { encoding: 'utf8', input: '{}' });
    expect([status, lines(stdout)[0]?.name]).toEqual([1, 'LoadOptionsError']);
  });
});

describe.skipIf(missing)('over veth', () => {
  const namespaces = new NamespaceSet();
  let client = '';
  let server = '';

  beforeAll(() => {
    [client = '', server = ''] = namespaces.create(['load-client', 'load-server']);
    addVethPairs([
      [
        { namespace: client, name: 'veth0' },
        { namespace: server, name: 'veth0' },
      ],
    ]);
    ipBatch(['link set veth0 up'], client);
    ipBatch(['link set veth0 up', `address add ${KERNEL_ADDRESS}/24 dev veth0`], server);
  });
  afterAll(() => namespaces.close());

  function start(options: object): ProcessGroup {
    const all = { interface: 'veth0', clients: [CLIENT], keyCount: 2000, warmupSeconds: 0.1, seconds: 0.4, ...options };
    return namespaces.spawn(client, [process.execPath, PROCESS, JSON.stringify(all)]);
  }

  async function load(options: object): Promise<LoadResult> {
    const group = start(options);
    const { code } = await group.ended;
    const last = lines(group.output).at(-1)!;
    expect(code, last.message).toBe(0);
    return last.result;
  }

  function expectAllRight(result: LoadResult): void {
    expect(result.wrongSamples).toEqual([]);
    expect([result.wrong, result.misses, result.errors, result.late, result.duplicates]).toEqual([0, 0, 0, 0, 0]);
    expect(result.hits + result.stored + result.lost).toBe(result.requests);
    expect(result.replies).toBeGreaterThan(500);
  }

  it('a sink answers all, rightly', async () => {
    const options = { interface: 'veth0', endpoint: `${SINK_ADDRESS}:11211`, valueBytes: [20, 900] };
    const sink = namespaces.spawn(server, [process.execPath, SINK_PROCESS, JSON.stringify(options)]);
    await sink.untilOutput(/"type":"ready"/, 5000);
    const result = await load({ targets: [`${SINK_ADDRESS}:11211`], valueBytes: [20, 900] });
    await sink.stop();
    expectAllRight(result);
    expect(result.lost).toBe(0);
    const answered = (lines(sink.output).at(-1) as unknown as { result: { gets: number; sets: number } }).result;
    expect(answered.gets).toBe(result.tally.warmup.get_requests + result.get.requests);
  });

  it('nobody there: an error that says so', async () => {
    const group = start({ targets: ['10.66.0.99:11211'], patienceMs: 300 });
    expect((await group.ended).code).toBe(1);
    expect(lines(group.output).at(-1)).toMatchObject({
      type: 'error',
      name: 'LoadError',
      message: expect.stringMatching(/10\.66\.0\.99/),
    });
  });

  it('no such interface: an error with advice', async () => {
    const group = start({ targets: [`${SINK_ADDRESS}:11211`], interface: 'nosuch0' });
    expect((await group.ended).code).toBe(1);
    expect(lines(group.output).at(-1)).toMatchObject({
      name: 'PortError',
      message: expect.stringMatching(/nosuch0.*ENODEV/),
    });
  });

  describe.skipIf(requireMemcached())('memcached itself', () => {
    let memcached: ProcessGroup;
    beforeAll(async () => {
      const flags = ['-U', '11211', '-t', '1', '-m', '64', '-l', KERNEL_ADDRESS, '-u', 'root', '-v'];
      memcached = namespaces.spawn(server, ['memcached', ...flags]);
    });
    afterAll(() => memcached.stop());

    it.each([
      [{ protocol: 'classic', checksum: 'partial' }],
      [{ protocol: 'classic', checksum: 'full', valueBytes: [12, 1354] }],
      [{ protocol: 'meta', valueBytes: [12, 1363] }],
      [{ protocol: 'binary', valueBytes: [12, 1348] }],
    ])('every reply is right: %j', async options => {
      expectAllRight(await load({ targets: [`${KERNEL_ADDRESS}:11211`], getRatio: 0.7, ...options }));
    });

    it('SIGTERM ends a run early, with a result', async () => {
      const group = start({ targets: [`${KERNEL_ADDRESS}:11211`], seconds: 60 });
      await group.untilOutput(/"phase":"measure"/, 10_000);
      group.signal('SIGTERM');
      expect((await group.ended).code).toBe(0);
      const { result } = lines(group.output).at(-1)!;
      expect(result.aborted).toBe(true);
      expect(result.replies).toBe(result.requests - result.lost);
    });

    it('a port nobody listens on: ICMP says so, and every request is lost', async () => {
      const result = await load({ targets: [`${KERNEL_ADDRESS}:11299`], prefill: false, rate: 50 });
      expect(result.lost).toBe(result.requests);
      expect(result.unreachable).toBeGreaterThan(0);
    });
  });
});
