/** Nodes that die, hang, lose their link and return, under load and watched; real memcached, real kernels. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Figures } from '../../src/control/conductor.ts';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import type { LoadResult } from '../../src/load/result.ts';
import type { Balancer, HealthLine } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { fetchText } from './fetch.ts';
import { receiveErrorsIn, ringDropsOf } from './kernel-losses.ts';
import { Load } from './load.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

/** Generous, as the machine may be busy with other tests; the figure itself is printed. */
const DETECTION_MS_MAX = 1000;
const RATE = 3000;

/** A pause of 80 ms that took longer, on a busy machine, is none. */
const PAUSE_MS_MAX = 90;

const moves = (lines: readonly HealthLine[]) => lines.map(({ from, to }) => `${from} → ${to}`);

describe.skipIf(requireBed())('health, under load', () => {
  let bed: Bed;
  let balancer: Balancer;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3, kernelClients: false });
  });
  // What another test's outage has left at the successors would be found there in the next one.
  beforeEach(() => Promise.all(bed.nodes.map(node => node.ask('flush_all'))));
  afterAll(() => bed?.close());

  /** Load for some seconds, all replies matched and all values verified; `during` once it is at full rate. */
  async function underLoad(seconds: number, during: () => Promise<void>): Promise<LoadResult> {
    const plan = { rate: RATE, keyCount: 3000, warmupSeconds: 0.5, seconds, timeoutMs: 1000, seed: 7 };
    const load = new Load(bed.network, plan);
    await load.measuring;
    await during();
    return load.result;
  }

  /** When mc2 was taken out, or came back, after the moment `sinceMs`. */
  async function mc2Is(to: string, sinceMs: number): Promise<HealthLine> {
    const said = () => balancer.health('mc2').find(line => line.to === to && Date.parse(line.time) >= sinceMs);
    await balancer.figuresWhen(`mc2 ${to}`, () => said() !== undefined);
    return said()!;
  }

  /**
   * No reply was wrong, and no error line came. Of what was asked of mc2, nothing stayed without an answer but some
   * writes of the time until it was out, and what the kernels lost on a busy machine; of the rest, nothing but that.
   */
  async function expectClean({ wrong, errorTexts, lost }: LoadResult, silentMs: number): Promise<void> {
    const figures = await balancer.figures();
    const { nodes, counters } = figures;
    const hosts = [bed.network.clients[0]!, bed.network.nodes[1]!].map(({ host }) => host);
    const kernelLost = ringDropsOf(figures) + hosts.reduce((sum, host) => sum + receiveErrorsIn(host), 0);
    const unanswered = nodes.map(({ requests, replies }) => requests - replies);
    const writes = ((RATE * 0.1) / 3) * (silentMs / 1000) * 2 + 20;
    expect({ wrong, errorTexts }).toEqual({ wrong: 0, errorTexts: {} });
    const told = `${JSON.stringify(faults(figures))}, ${counters.misses_answered} misses answered, ${kernelLost} lost by kernels, ${lost} lost`;
    expect(unanswered[1]! - counters.misses_answered!, told).toBeLessThanOrEqual(writes + kernelLost);
    expect(lost).toBeLessThanOrEqual(unanswered[0]! + unanswered[2]! + writes);
    expect(lost).toBeLessThan(RATE / 10);
  }

  /** A miss was said for a read whose answer still lay in a ring of a busy machine: it comes, and has no slot. */
  function expectNoOther(figures: Figures): void {
    const { drop_reply_no_slot = 0, ...others } = faults(figures);
    expect(others).toEqual({});
    expect(drop_reply_no_slot).toBeLessThanOrEqual(figures.counters.misses_answered!);
  }

  const detections: Record<string, number> = {};

  test('killed, started again: out, reads are misses; flushed and back', async () => {
    balancer = await bed.startBalancer();
    const result = await underLoad(6, async () => {
      const killedMs = Date.now();
      bed.nodes[1]!.group.signal('SIGKILL');
      const out = await mc2Is('out', killedMs);
      detections.killed = Date.parse(out.time) - killedMs;
      expect(out.reason).toMatch(/^memcached down/);
      expect(detections.killed).toBeLessThan(DETECTION_MS_MAX);
      await bed.restartNode(1);
      await mc2Is('healthy', killedMs);
      expect((await bed.nodes[1]!.stats()).cmd_flush).toBeGreaterThanOrEqual(1);
    });
    await expectClean(result, detections.killed!);
    expect(result.misses).toBeGreaterThan(0);
    expect(moves(balancer.health('mc2'))).toEqual(['suspect → out', 'out → returning', 'returning → healthy']);
    expect([balancer.health('mc1'), balancer.health('mc3')]).toEqual([[], []]);
    const { figures } = await balancer.stop();
    expect(figures.counters.misses_answered).toBeGreaterThan(0);
    expectNoOther(figures);
  });

  test('hung (SIGSTOP): 80 ms are nothing, longer is out; its host answers ICMP, and the reason says so', async () => {
    balancer = await bed.startBalancer();
    const result = await underLoad(8, async () => {
      const startMs = Date.now();
      for (let short = 0; short < 5; ) {
        const seen = balancer.lines.length;
        const isShort = (await paused(1, 80)) <= PAUSE_MS_MAX;
        await sleep(150);
        if (isShort) expect(balancer.health('mc2', seen)).toEqual([]);
        else await balancer.figuresWhen('mc2 healthy', ({ nodes: [, mc2] }) => mc2!.health === 'healthy');
        if (isShort) short++;
      }
      const hungMs = Date.now();
      bed.nodes[1]!.group.signal('SIGSTOP');
      const out = await mc2Is('out', startMs);
      detections.hung = Date.parse(out.time) - hungMs;
      await balancer.figuresWhen('the reason', ({ nodes: [, mc2] }) => mc2!.reason.includes('answers ICMP echo'));
      bed.nodes[1]!.group.signal('SIGCONT');
      await mc2Is('healthy', startMs);
    });
    expect(detections.hung).toBeLessThan(DETECTION_MS_MAX);
    await expectClean(result, detections.hung!);
    await balancer.stop();
  });

  test('its link down: out, host down; up: flushed and back', async () => {
    balancer = await bed.startBalancer();
    const { host } = bed.network.nodes[1]!;
    const result = await underLoad(6, async () => {
      const downMs = Date.now();
      ipBatch(['link set eth0 down'], host);
      const out = await mc2Is('out', downMs);
      detections.linkDown = Date.parse(out.time) - downMs;
      expect(out.reason).toBe('host down: no ICMP echo, no probe answer');
      ipBatch(['link set eth0 up'], host);
      await mc2Is('healthy', downMs);
    });
    expect(detections.linkDown).toBeLessThan(DETECTION_MS_MAX);
    await expectClean(result, detections.linkDown!);
    const { figures } = await balancer.stop();
    expectNoOther(figures);
  });

  test('how fast: eight kills', async () => {
    const times: number[] = [];
    const plan = { rate: RATE, keyCount: 3000, warmupSeconds: 0, seconds: 60, timeoutMs: 1000 };
    balancer = await bed.startBalancer();
    const load = new Load(bed.network, plan);
    await load.measuring;
    for (let i = 0; i < 8; i++) {
      await balancer.figuresWhen('traffic', ({ nodes: [, mc2] }) => mc2!.health === 'healthy' && mc2!.replies > 300);
      const killedMs = Date.now();
      bed.nodes[1]!.group.signal('SIGKILL');
      times.push(Date.parse((await mc2Is('out', killedMs)).time) - killedMs);
      await balancer.stop();
      await bed.restartNode(1);
      balancer = await bed.startBalancer();
    }
    await load.end();
    times.sort((a, b) => a - b);
    console.log(`from death to out, ms: ${JSON.stringify(detections)}; killed eight times: ${times.join(' ')}`);
    expect(times[4]).toBeLessThan(DETECTION_MS_MAX);
    await balancer.stop();
  });

  /** Returns how long it really was, ms. */
  async function paused(node: number, ms: number): Promise<number> {
    const startedMs = performance.now();
    bed.nodes[node]!.group.signal('SIGSTOP');
    await sleep(ms);
    bed.nodes[node]!.group.signal('SIGCONT');
    return performance.now() - startedMs;
  }
});

describe.skipIf(requireBed())('health, key by key', () => {
  const KEYS = Array.from({ length: 90 }, (_, n) => `key-${n}`);
  const found = (key: string, value: string) => `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`;
  let bed: Bed;
  let client: UdpClient;
  let balancer: Balancer;

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3 });
    client = await bed.startClient();
    // Two lanes: probes and ICMP must find lane 0.
    balancer = await bed.startBalancer(['--lanes', '2', '--hot', 'off']);
  });
  afterAll(() => bed?.close());

  async function askForAll(command: (key: string) => string): Promise<(string | undefined)[]> {
    const requests = KEYS.map((key, n) => datagram(n, command(key)));
    const { replies, timedOut, strays } = await client.exchange(requests, { window: KEYS.length, timeoutMs: 1000 });
    expect(strays).toEqual([]);
    return replies.map((reply, n) => (timedOut.includes(n) ? undefined : bodyOf(reply)));
  }
  const write = (value: string) => askForAll(key => `set ${key} 0 0 ${value.length}\r\n${value}\r\n`);
  const read = () => askForAll(key => `get ${key}\r\n`);
  const until = (node: number, health: string) =>
    balancer.figuresWhen(`${health}`, ({ nodes }) => nodes[node]!.health === health);

  test('what a hung node held is never read again, what was written meanwhile is not lost to it', async () => {
    expect(await write('old')).toEqual(KEYS.map(() => 'STORED\r\n'));
    bed.nodes[0]!.group.signal('SIGSTOP');
    expect((await read()).filter(answer => answer === 'END\r\n').length).toBeGreaterThan(5);
    await until(0, 'out');
    expect(await write('new')).toEqual(KEYS.map(() => 'STORED\r\n'));
    expect(await read()).toEqual(KEYS.map(key => found(key, 'new')));
    bed.nodes[0]!.group.signal('SIGCONT');
    await until(0, 'healthy');
    const answers = await read();
    for (const [n, answer] of answers.entries()) expect(['END\r\n', found(KEYS[n]!, 'new')]).toContain(answer);
    expect(answers).toContain('END\r\n');
    expect(await write('newest')).toEqual(KEYS.map(() => 'STORED\r\n'));
    expect(await read()).toEqual(KEYS.map(key => found(key, 'newest')));
  });

  test('drained and enabled again: what it held is not read again', async () => {
    expect(await write('old')).toEqual(KEYS.map(() => 'STORED\r\n'));
    await fetchText(balancer.admin, 'POST', '/nodes/mc1/drain', { body: '{}' });
    expect(await write('new')).toEqual(KEYS.map(() => 'STORED\r\n'));
    await fetchText(balancer.admin, 'POST', '/nodes/mc1/enable', { body: '{}' });
    const { nodes } = await balancer.figures();
    if (nodes[0]!.health !== 'healthy') expect(nodes[0]!.reason).toMatch(/flushed/);
    await until(0, 'healthy');
    const answers = await read();
    for (const [n, answer] of answers.entries()) expect(['END\r\n', found(KEYS[n]!, 'new')]).toContain(answer);
    expect(answers.filter(answer => answer === 'END\r\n').length).toBeGreaterThan(5);
  });

  test('without load a dead node is found too, and said to be down', async () => {
    bed.nodes[2]!.group.signal('SIGKILL');
    const { nodes } = await until(2, 'out');
    expect(nodes[2]!.reason).toMatch(/^memcached down/);
    expect(await write('x')).toEqual(KEYS.map(() => 'STORED\r\n'));
  });

  test('reads in every protocol end as misses in that protocol', async () => {
    await bed.restartNode(2);
    await until(2, 'healthy');
    for (const node of bed.nodes) node.group.signal('SIGSTOP');
    const ask = (key: string) => [`mg ${key} v k Oq\r\n`, `gat 9 ${key}\r\n`];
    const requests = KEYS.slice(0, 20).flatMap((key, n) => ask(key).map((body, i) => datagram(2 * n + i, body)));
    const { replies, timedOut } = await client.exchange(requests, { window: 40, timeoutMs: 2000 });
    for (const node of bed.nodes) node.group.signal('SIGCONT');
    expect(timedOut).toEqual([]);
    expect(replies.map(bodyOf)).toEqual(KEYS.slice(0, 20).flatMap(key => [`EN k${key} Oq\r\n`, 'END\r\n']));
  });
});

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
