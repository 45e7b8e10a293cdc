import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExplainedFrame, explainCapture } from '../../src/capture/explain.ts';
import type { ReplayOptions } from '../../src/capture/replay.ts';
import { frameText } from '../../src/cli/frame-text.ts';
import { configFromFlags } from '../../src/control/config/load.ts';
import { createCapture } from '../../src/pcap/writer.ts';
import { arpRequest, icmpEcho } from '../support/frames.ts';
import { ALICE, MC1, NF_CLIENT_MAC, reply, request, toNode, VIP } from '../support/lane-bed.ts';
import { everyMs } from './captures.ts';
import { CONFIG, FLAGS } from './config.ts';

const VALUE = 'VALUE user:7 0 3\r\nabc\r\nEND\r\n';
const GET = request('get user:7\r\n');
const fromAlice = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC };

describe('explained', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-explain-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function explain(frames: readonly Uint8Array[], options: ReplayOptions & { config?: typeof CONFIG } = {}) {
    const path = join(folder, 'in.pcapng');
    const writer = createCapture(path);
    for (const frame of everyMs(frames)) writer.write(frame);
    writer.close();
    return [...explainCapture(options.config ?? CONFIG, path, options)];
  }

  /** `field before → after: why` */
  function changes({ sends }: ExplainedFrame, send = 0): string[] {
    return sends[send]!.changes.map(({ field, before, after, why }) => `${field} ${before} → ${after}: ${why}`);
  }

  const sum = expect.stringMatching(/^(ip|udp)\.checksum 0x[0-9a-f]{4} → 0x[0-9a-f]{4}: RFC 1624, for /);

  test('a request', () => {
    const [request, answer] = explain([GET, reply(VALUE)]);
    expect(request).toMatchObject({
      frame: 1,
      seconds: 0,
      bytes: GET.length,
      port: 'client',
      says: `get user:7 → mc1 (${MC1.ip}:${MC1.port})`,
      verdict: 'forwarded',
      reasons: [],
      counted: { requests: 1, reads: 1 },
      sends: [{ port: 'server', node: 'mc1', bytes: GET.length }],
    });
    expect(changes(request!)).toEqual([
      'eth.dst 02:4b:00:00:00:0a → 02:00:00:00:01:0b: node mc1',
      "eth.src 02:00:00:00:00:01 → 02:4b:00:00:00:0b: Keysteer's server port",
      'ip.ttl 64 → 63: one hop less (RFC 1812 5.3.1)',
      sum,
      "ip.src 10.77.0.1 → 10.77.1.1: nat sends from Keysteer's own address",
      'ip.dst 10.77.0.100 → 10.77.1.11: node mc1, home of user:7',
      'udp.src_port 4000 → 20000: slot 0: the reply is known by port and id',
      sum,
      'memcached.request_id 0xbeef → 0x0000: slot 0: the reply is known by port and id',
    ]);
    expect(answer).toMatchObject({ frame: 2, seconds: 0.001, verdict: 'forwarded', says: 'VALUE user:7, 3 bytes' });
  });

  test('a reply', () => {
    const [, answer] = explain([GET, reply(VALUE)]);
    expect(answer!.sends[0]).not.toHaveProperty('node');
    expect(changes(answer!)).toEqual([
      'eth.dst 02:4b:00:00:00:0b → 02:00:00:00:00:01: the client that asked',
      "eth.src 02:00:00:00:01:0b → 02:4b:00:00:00:0a: Keysteer's client port",
      'ip.ttl 64 → 63: one hop less (RFC 1812 5.3.1)',
      sum,
      'ip.src 10.77.1.11 → 10.77.0.100: clients know the virtual address alone',
      'ip.dst 10.77.1.1 → 10.77.0.1: the client that asked, from the slot table',
      'udp.dst_port 20000 → 4000: the client that asked, from the slot table',
      sum,
      'memcached.request_id 0x0000 → 0xbeef: as the client has called its request',
    ]);
  });

  test('an error line', () => {
    const [refused] = explain([request('set k 0 0 9\r\nabc\r\n')]);
    expect(refused).toMatchObject({ verdict: 'refused', reasons: ['length'], counted: { refused_length: 1 } });
    expect(changes(refused!)).toEqual(
      expect.arrayContaining([
        'eth.dst 02:4b:00:00:00:0a → 02:00:00:00:00:01: back to where it came from',
        'ip.src 10.77.0.1 → 10.77.0.100: the address that was asked',
        'udp.src_port 4000 → 11211: the port that was asked',
        expect.stringMatching(/^udp.checksum 0x.* → 0x.*: computed anew$/),
        expect.stringMatching(/^memcached.body .* → "CLIENT_ERROR bad data ch…", 29 bytes: Keysteer's answer$/),
      ]),
    );
  });

  test('ARP and ICMP', () => {
    const [arp, echo] = explain([
      arpRequest({ srcMac: ALICE.mac, senderIp: ALICE.ip, targetIp: VIP }),
      icmpEcho({ ...fromAlice, src: ALICE.ip, dst: VIP, identifier: 1, sequence: 1 }),
    ]);
    expect([arp!.verdict, echo!.verdict]).toEqual(['answered', 'answered']);
    expect(changes(arp!)).toContain('arp.operation 1 → 2: the answer to who has 10.77.0.100 (RFC 826)');
    expect(changes(echo!)).toContain('icmp.type 8 → 0: an echo reply (RFC 1122 3.2.2.6)');
  });

  test.each<[frame: Uint8Array, verdict: string, reason: RegExp, counter: string]>([
    [request('get k\r\n', { ttl: 1 }), 'dropped', /a TTL of 1 or 0/, 'drop_ttl_expired'],
    [request('get k\r\n', { checksum: 'bad' }), 'dropped', /UDP checksum is wrong/, 'drop_udp_checksum'],
    [request('get k\r\n', { dport: 53 }), 'dropped', /to another port/, 'drop_udp_port'],
    [reply('END\r\n'), 'dropped', /a reply without a request/, 'drop_reply_no_slot'],
    [request('get k\r\n', { dst: '10.77.0.9' }), 'foreign', /not for Keysteer/, 'foreign'],
  ])('no way on: %#', (frame, verdict, reason, counter) => {
    const [explained] = explain([frame]);
    expect(explained).toMatchObject({
      verdict,
      reasons: [expect.stringMatching(reason)],
      counted: { [counter]: 1 },
      sends: [],
    });
  });

  test("Keysteer's own frames, unknown next hops, routers, partial checksums", () => {
    const [first, own] = explain([GET, toNode('get user:7\r\n')]);
    expect(own).toMatchObject({ verdict: 'own', sends: [], counted: {} });
    expect(changes(first!)[0]).toMatch(/: node mc1$/);

    const [unknown] = explain([GET]);
    expect(changes(unknown!)[0]).toBe(
      'eth.dst 02:4b:00:00:00:0a → 02:4b:0a:4d:01:0b: node mc1, invented by this replay',
    );

    const config = configFromFlags({ ...FLAGS, serverGateway: '10.77.1.254', node: ['mc1=192.0.2.1'] });
    const [routed] = explain([GET], { config });
    expect(changes(routed!)[0]).toMatch(/: the router 10.77.1.254 to node mc1, invented by this replay$/);

    const [partial] = explain([request('get user:7\r\n', { checksum: 'partial' })]);
    expect(changes(partial!)).toContainEqual(
      expect.stringMatching(/^udp.checksum .*: its sender had left it to the network card; complete now$/),
    );

    const [waiting] = explain([GET], { macOfNodes: 'capture' });
    expect(waiting).toMatchObject({ verdict: 'waiting', reasons: [expect.stringContaining('ARP')], sends: [] });
  });

  test('fits 80 columns', () => {
    const frames = [GET, reply(VALUE), request('set k 0 0 9\r\nabc\r\n'), request(`get ${'k'.repeat(60)} b\r\n`)];
    const text = explain([...frames, request('get k\r\n', { ttl: 1 })])
      .map(frameText)
      .join('\n');
    expect(text.split('\n').filter(line => line.length > 80 && !line.includes('k'.repeat(60)))).toEqual([]);
    expect(text).toContain(
      [
        'frame 1, 0.000000 s, client port, 62 bytes: get user:7 → mc1 (10.77.1.11:11211)',
        'forwarded (requests, reads)',
      ].join('\n'),
    );
    expect(text).toContain('  ip.ttl               64 → 63  one hop less (RFC 1812 5.3.1)\n');
    expect(text).toContain(
      "  ip.src               10.77.0.1 → 10.77.1.1\n                         nat sends from Keysteer's own address\n",
    );
  });
});
