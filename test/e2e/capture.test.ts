/** `keysteer capture` among real traffic, its files read by Wireshark's programs, and replayed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RecordSummary } from '../../src/capture/record.ts';
import { loadConfig } from '../../src/control/config/load.ts';
import { explainKey } from '../../src/control/explain.ts';
import { runIn } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { VIP } from '../../src/experiment/topology.ts';
import type { CapturedFrame } from '../../src/pcap/frame.ts';
import { createCapture } from '../../src/pcap/writer.ts';
import { readAll } from '../pcap/memory-file.ts';
import { requireEthtool, requirePcap, requireTshark } from '../support/requirements.ts';
import type { Balancer } from './balancer.ts';
import { Bed } from './bed.ts';
import { finish, keysteer } from './command.ts';
import { CLI, requireBed } from './program.ts';
import { datagram, type UdpClient } from './udp-client.ts';

const DISSECTOR = fileURLToPath(new URL('../../scripts/memcached-udp.lua', import.meta.url));
const START_MS_MAX = 10_000;
const REQUESTS = [
  ...Array.from({ length: 20 }, (_, n) => `set key-${n} 0 0 ${n}\r\n${'v'.repeat(n)}\r\n`),
  ...Array.from({ length: 20 }, (_, n) => `get key-${n}\r\n`),
  'get long\r\n',
  'mg key-3 v k\r\n',
];
const LONG = 'z'.repeat(5000);

/** A capture that goes on. */
class RunningCapture {
  readonly group: ProcessGroup;
  readonly path: string;

  private constructor(group: ProcessGroup, path: string) {
    this.group = group;
    this.path = path;
  }

  static async start(bed: Bed, host: string, path: string, args: readonly string[] = []): Promise<RunningCapture> {
    const argv = [process.execPath, CLI, 'capture', '--json', '-i', 'eth0', '-w', path, ...args];
    const group = bed.namespaces.spawn(host, argv);
    await group.untilOutput(/"event":"capturing".*\n/, START_MS_MAX);
    return new RunningCapture(group, path);
  }

  async stop(): Promise<RecordSummary> {
    this.group.signal('SIGINT');
    const { code } = await this.group.ended;
    expect(code, this.group.output).toBe(0);
    return JSON.parse(this.group.output.trim().split('\n').at(-1)!);
  }

  get frames(): CapturedFrame[] {
    return readAll(readFileSync(this.path), 65_536);
  }

  /** Resolves once so many frames are in the file. */
  async until(count: number): Promise<void> {
    const holds = () => {
      try {
        return this.frames.length >= count;
      } catch {
        return false; // it is being written
      }
    };
    for (const endMs = performance.now() + 5000; !holds() && performance.now() < endMs; ) {
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  }
}

describe.skipIf(requireBed() ?? requirePcap() ?? requireEthtool())('keysteer capture', () => {
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;
  let folder: string;
  let config: string;

  const clientHost = () => bed.network.clients[0]!.host;
  const nodeHost = () => bed.network.nodes[0]!.host;

  beforeAll(async () => {
    bed = await Bed.start({ layout: 'direct-veth' });
    folder = mkdtempSync(join(tmpdir(), 'keysteer-e2e-'));
    const { client: near, server: far } = bed.network.balancer;
    const nodes = bed.network.nodes.map(
      ({ name, address, port }) => `  - { name: ${name}, address: "${address}:${port}" }`,
    );
    config = bed.writeConfig(
      'f.yaml',
      [
        `vip: ${VIP}:11211`,
        'ports:',
        `  client: { interface: ${near.name} }`,
        `  server: { interface: ${far.name}, address: 10.77.1.1/24 }`,
        `nodes:`,
        ...nodes,
        // A replay knows nothing of what came before the capture, and sends no probes.
        'gatekeeper: { enabled: false }',
        'health: { enabled: false }',
      ].join('\n'),
    );
    client = await bed.startClient();
    for (const to of bed.network.nodes) await client.ask(`set long 0 0 ${LONG.length}\r\n${LONG}\r\n`, { to });
  });

  afterEach(async () => {
    await balancer?.stop();
  });

  afterAll(async () => {
    if (folder) rmSync(folder, { recursive: true });
    await bed?.close();
  });

  async function exchange(): Promise<void> {
    balancer = await bed.startBalancerWith(['--config', config]);
    const requests = REQUESTS.map((body, n) => datagram(0x4000 + n, body));
    const { timedOut } = await client.exchange(requests);
    expect(timedOut).toEqual([]);
  }

  test('comments name verb, key and node; Wireshark shows header, key and command', async () => {
    const path = join(folder, 'client.pcapng');
    const capture = await RunningCapture.start(bed, clientHost(), path, ['--config', config, '--filter', 'udp']);
    await exchange();
    await capture.until(REQUESTS.length * 2 + 3);
    const summary = await capture.stop();
    const asked = capture.frames.filter(({ comment }) => /^(get|set|mg) /.test(comment));
    const steering = loadConfig(readFileSync(config, 'utf8'), config);
    for (const [n, { comment }] of asked.entries()) {
      const [, verb, key] = /^(\w+) (\S+)/.exec(REQUESTS[n]!)!;
      const node = explainKey(steering, key!).node!;
      expect(comment).toBe(`${verb} ${key} → ${node.name} (${node.address})`);
    }
    expect(asked).toHaveLength(REQUESTS.length);
    expect(summary).toMatchObject({
      requests: REQUESTS.length,
      verbs: { set: 20, get: 21, mg: 1 },
      frames: capture.frames.length,
    });
    // 5,000 bytes come in four datagrams.
    expect(summary.replies).toBe(REQUESTS.length + 3);
    expect(Object.values(summary.nodes).reduce((sum, keys) => sum + keys, 0)).toBe(REQUESTS.length);
    for (const [n, { timeNs }] of capture.frames.entries()) {
      expect(timeNs >= (capture.frames[n - 1]?.timeNs ?? 0n)).toBe(true);
      expect(Math.abs(Number(timeNs / 1_000_000n) - Date.now())).toBeLessThan(60_000);
    }
  });

  test.skipIf(requireTshark())('tshark reads it, with the dissector for the UDP header', async () => {
    const path = join(folder, 'tshark.pcapng');
    const capture = await RunningCapture.start(bed, clientHost(), path, ['--filter', 'udp port 11211']);
    await exchange();
    await capture.until(REQUESTS.length * 2 + 3);
    await capture.stop();
    const fields = ['frame.comment', 'memcached_udp.request_id', 'memcached_udp.total', 'memcache.command'];
    const extra = ['memcache.key', '_ws.malformed', 'memcached_udp.fault'];
    const argv = ['-X', `lua_script:${DISSECTOR}`, '-r', path, '-T', 'fields'];
    const printed = execFileSync('tshark', [...argv, ...[...fields, ...extra].flatMap(field => ['-e', field])], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const rows = printed
      .replace(/\n$/, '')
      .split('\n')
      .map(line => line.split('\t'));
    expect(rows).toHaveLength(REQUESTS.length * 2 + 3);
    expect(rows).toContainEqual(['set key-7', String(0x4000 + 7), '1', 'set', 'key-7', '', '']);
    expect(rows).toContainEqual(['get key-7', String(0x4000 + 27), '1', 'get', 'key-7', '', '']);
    expect(rows).toContainEqual(['VALUE key-7, 7 bytes', String(0x4000 + 27), '1', '', 'key-7', '', '']);
    expect(rows.filter(([, id, total]) => id === String(0x4000 + 40) && total === '4')).toHaveLength(4);
    expect(rows.filter(row => row[5] !== '' || row[6] !== '')).toEqual([]);
  });

  test('what was captured on both sides, replayed, gives what Keysteer had sent, to the byte', async () => {
    for (const host of [clientHost(), nodeHost()]) runIn(host, ['ethtool', '-K', 'eth0', 'tx', 'off']);
    const [near, far] = await Promise.all([
      RunningCapture.start(bed, clientHost(), join(folder, 'near.pcapng'), ['--filter', 'udp']),
      RunningCapture.start(bed, nodeHost(), join(folder, 'far.pcapng'), ['--filter', 'udp']),
    ]);
    await exchange();
    await Promise.all([near, far].map(capture => capture.until(REQUESTS.length * 2 + 3)));
    await Promise.all([near.stop(), far.stop()]);
    const isTo = (port: number) => (frame: CapturedFrame) => frame.bytes[36]! * 256 + frame.bytes[37]! === port;
    const heard = [...near.frames.filter(isTo(11211))].flatMap((request, n) => [request, ...repliesTo(n)]);
    function repliesTo(n: number): CapturedFrame[] {
      const replies = far.frames.filter(frame => !isTo(11211)(frame));
      return replies.filter(({ bytes }) => bytes[42]! * 256 + bytes[43]! === n);
    }
    const merged = join(folder, 'heard.pcap');
    const writer = createCapture(merged);
    for (const [ms, { bytes }] of heard.entries()) writer.write({ bytes, timeNs: BigInt(ms) * 1_000_000n });
    writer.close();
    const out = join(folder, 'sent.pcapng');
    const { code, stdout } = await keysteer(['replay', merged, '-o', out, '--config', config, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      frames: heard.length,
      counters: { requests: REQUESTS.length, replies: REQUESTS.length + 3 },
      nextHops: bed.network.nodes.map(({ address, macs }) => ({ address, mac: macs.balancer, isInvented: false })),
    });
    const hexOf = (frames: readonly CapturedFrame[]) => frames.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
    const sent = readAll(readFileSync(out)).filter(({ bytes }) => bytes[12] === 0x08 && bytes[13] === 0x00);
    expect(hexOf(sent.filter(({ interface: port }) => port === 1))).toEqual(hexOf(far.frames.filter(isTo(11211))));
    expect(hexOf(sent.filter(({ interface: port }) => port === 0))).toEqual(
      hexOf(near.frames.filter(frame => !isTo(11211)(frame))),
    );
    for (const host of [clientHost(), nodeHost()]) runIn(host, ['ethtool', '-K', 'eth0', 'tx', 'on']);
  });

  test('--count ends it; standard output carries the file alone', async () => {
    const argv = [CLI, 'capture', '-i', 'eth0', '-w', '-', '--count', '6', '--filter', 'udp', '--json'];
    const { group } = { group: bed.namespaces.spawn(clientHost(), [process.execPath, ...argv]) };
    const bytes: Buffer[] = [];
    group.child.stdout!.on('data', chunk => bytes.push(chunk));
    await group.untilOutput(/"event":"capturing"/, START_MS_MAX);
    await exchange();
    expect(await group.ended).toMatchObject({ code: 0 });
    expect(readAll(Buffer.concat(bytes), 4096)).toHaveLength(6);
  });

  test('--seconds ends it; who reads standard output may go away', async () => {
    const command = `${process.execPath} ${CLI} capture -i eth0 -w - --seconds 30 | head -c 100 >/dev/null; echo ended`;
    const group = bed.namespaces.spawn(clientHost(), ['bash', '-c', command]);
    await group.untilOutput(/capturing/, START_MS_MAX);
    await exchange();
    await group.untilOutput(/ended/, START_MS_MAX);
    expect(group.output).toMatch(/frames /);
    const path = join(folder, 'short.pcapng');
    const args = ['capture', '-i', 'eth0', '-w', path, '--seconds', '0.1'];
    const { code, stdout } = await keysteer(args, { namespace: clientHost() });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^capturing on eth0 to .*\nframes /);
  });

  test.each<[what: string, args: string[], message: RegExp, status: number]>([
    ['an interface that is not there', ['-i', 'nope', '-w', 'x.pcap'], /interface nope: no such interface/, 1],
    ['a filter that is none', ['-i', 'eth0', '-w', 'x.pcap', '--filter', 'udpx'], /filter "udpx": .*syntax error/, 1],
    ['a folder that is not there', ['-i', 'eth0', '-w', '/nowhere/x.pcap'], /ENOENT.*\/nowhere\/x\.pcap/, 1],
    ['a wrong count', ['-i', 'eth0', '-w', 'x.pcap', '--count', '1.5'], /--count is 1.5; it must be a whole number/, 2],
    [
      'a wrong time',
      ['-i', 'eth0', '-w', 'x.pcap', '--seconds', '0'],
      /--seconds is 0; it must be a number above 0/,
      2,
    ],
    ['a wrong port', ['-i', 'eth0', '-w', 'x.pcap', '--port', '70000'], /--port is 70000; it must be a UDP port/, 2],
  ])('%s: an exit status, said in a line, no file', async (_what, args, message, status) => {
    const cwd = folder;
    const inside = ['nsenter', `--net=/run/netns/${clientHost()}`, '--', process.execPath, CLI, 'capture', ...args];
    const { code, stdout, stderr } = await finish(inside, cwd);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ code, stdout }).toEqual({ code: status, stdout: '' });
    expect(existsSync(join(folder, 'x.pcap'))).toBe(false);
  });

  test('without privileges: what it needs is said', () => {
    const argv = [
      `--net=/run/netns/${clientHost()}`,
      '--',
      'setpriv',
      '--bounding-set',
      '-net_raw',
      '--inh-caps',
      '-net_raw',
    ];
    const run = spawnSync('nsenter', [...argv, process.execPath, CLI, 'capture', '-i', 'eth0', '-w', '-'], {
      encoding: 'utf8',
    });
    expect(run.stderr).toMatch(/interface eth0: .*CAP_NET_RAW/);
    expect(run.status).toBe(1);
  });
});
