/**
 * Wireshark's decoder on everything that passes on both sides of Keysteer while every verb of the three protocols goes
 * through: no frame malformed, no checksum wrong, no complaint of the UDP header's dissector.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecordSummary } from '../../src/capture/record.ts';
import { runIn } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { requireEthtool, requirePcap, requireTshark } from '../support/requirements.ts';
import { Bed } from './bed.ts';
import { CLI, requireBed } from './program.ts';
import { datagram, type UdpClient } from './udp-client.ts';
import { BINARY_ROWS, CLASSIC_ROWS, META_ROWS } from './verb-rows.ts';

const DISSECTOR = fileURLToPath(new URL('../../scripts/memcached-udp.lua', import.meta.url));
const START_MS_MAX = 10_000;
const ROUNDS = 5;
/** Beyond one datagram; the nodes hold it before Keysteer starts. */
const LONG = 'z'.repeat(5000);
const MIXED = [
  `get ${Array.from({ length: 100 }, (_, n) => `m${n}`).join(' ')}\r\n`,
  'gets long c-get m-1 absent\r\n',
  'get long\r\n',
  'version\r\n',
  'mn\r\n',
  'stats\r\n',
  'frob k\r\n',
  'set k 0 0 9\r\nabc\r\n',
  'quit\r\n',
  ...Array.from({ length: 100 }, (_, n) => `set m${n} 0 0 ${n * 13}\r\n${'v'.repeat(n * 13)}\r\n`),
];

/** What it says of each frame. Its memcache dissector knows no meta commands: it shows those as text. */
const FIELDS = [
  'udp.port',
  'ip.checksum.status',
  'udp.checksum.status',
  'memcached_udp.request_id',
  '_ws.malformed',
  'memcached_udp.fault',
  'udp.length.bad',
  'ip.bogus_ip_length',
  'ip.flags.mf',
  '_ws.expert.severity',
] as const;
type Judgement = Readonly<Record<(typeof FIELDS)[number], string>>;
/** "Good", in Wireshark's words. */
const GOOD = '1';
/** PI_ERROR of its expert information. */
const SEVERITY_ERROR = 0x800000;

describe.skipIf(requireBed() ?? requirePcap() ?? requireTshark() ?? requireEthtool())('tshark, on both sides', () => {
  let bed: Bed;
  let client: UdpClient;
  let folder: string;
  const captures: { path: string; group: ProcessGroup; summary?: RecordSummary }[] = [];

  beforeAll(async () => {
    bed = await Bed.start({ layout: 'direct-veth', nodes: 2 });
    folder = mkdtempSync(join(tmpdir(), 'keysteer-e2e-'));
    client = await bed.startClient();
    for (const to of bed.network.nodes) await client.ask(`set long 0 0 ${LONG.length}\r\n${LONG}\r\n`, { to });
    const hosts = [bed.network.clients[0]!.host, bed.network.nodes[0]!.host]; // all nodes of this layout live there
    // Otherwise the kernels leave their checksums to network cards that are not there, and Keysteer keeps them partial.
    for (const host of hosts) runIn(host, ['ethtool', '-K', 'eth0', 'tx', 'off']);
    for (const host of hosts) captures.push(await capture(host));
    const balancer = await bed.startBalancer();
    await load();
    await balancer.stop();
    for (const each of captures) each.summary = await stop(each.group);
  });

  afterAll(async () => {
    if (folder) rmSync(folder, { recursive: true });
    await bed?.close();
  });

  async function capture(host: string) {
    const path = join(folder, `${host}.pcapng`);
    const group = bed.namespaces.spawn(host, [process.execPath, CLI, 'capture', '--json', '-i', 'eth0', '-w', path]);
    await group.untilOutput(/"event":"capturing".*\n/, START_MS_MAX);
    return { path, group };
  }

  async function stop(group: ProcessGroup): Promise<RecordSummary> {
    group.signal('SIGINT');
    expect(await group.ended, group.output).toMatchObject({ code: 0 });
    return JSON.parse(group.output.trim().split('\n').at(-1)!);
  }

  /** Every verb some times, in the order of its row, whatever the answer; the rows that wait for none at last. */
  async function load(): Promise<void> {
    const rows = [...CLASSIC_ROWS, ...META_ROWS, ...BINARY_ROWS];
    const steps = rows.flatMap(({ steps }) => steps.map(([request]) => request));
    const bodies = steps.map(request => (typeof request === 'function' ? request(1n) : request.replace('<cas>', '1')));
    for (let round = 0; round < ROUNDS; round++) {
      const requests = [...bodies, ...MIXED].map((body, n) => datagram(n, body));
      await client.exchange(requests, { window: 256, timeoutMs: 300 });
    }
  }

  /** All frames of a capture. */
  function judge(path: string): Judgement[] {
    const argv = ['-X', `lua_script:${DISSECTOR}`, '-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE'];
    const fields = FIELDS.flatMap(field => ['-e', field]);
    const printed = execFileSync('tshark', [...argv, '-r', path, '-T', 'fields', ...fields], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 28,
    });
    const lines = printed.replace(/\n$/, '').split('\n');
    return lines.map(line => Object.fromEntries(line.split('\t').map((cell, n) => [FIELDS[n], cell])) as Judgement);
  }

  function isGood(frame: Judgement): boolean {
    const complaints = [frame['_ws.malformed'], frame['memcached_udp.fault'], frame['udp.length.bad']];
    const severity = Math.max(0, ...frame['_ws.expert.severity'].split(',').map(Number));
    if (complaints.some(cell => cell !== '') || severity >= SEVERITY_ERROR || frame['ip.bogus_ip_length'] !== '')
      return false;
    if (frame['udp.port'] === '') return true; // ARP, ICMP
    const sums = frame['ip.checksum.status'] === GOOD && frame['udp.checksum.status'] === GOOD;
    return sums && frame['memcached_udp.request_id'] !== '' && Number(frame['ip.flags.mf']) !== 1;
  }

  test.each([
    ["the clients' side", 0],
    ["the nodes' side", 1],
  ])('%s: every frame is judged, and none is complained of', (side, n) => {
    const { path, summary } = captures[n]!;
    const frames = judge(path);
    const datagrams = frames.filter(frame => frame['udp.port'] !== '').length;
    console.log(`tshark, ${side}: ${frames.length} frames, ${datagrams} datagrams`);
    expect(frames).toHaveLength(summary!.frames);
    expect(datagrams).toBeGreaterThan(1000);
    expect(frames.filter(frame => !isGood(frame))).toEqual([]);
  });
});
