/**
 * A store whose declared length is larger than its datagram makes memcached take the following datagrams, whoever's they
 * are, for the rest of the value. Keysteer keeps such a store from its node.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { bodyOf, datagram, type UdpClient } from './udp-client.ts';

const HONEST = 5000;
const POISONS = [
  'set t 0 0 2000000\r\nabc\r\n',
  'add t 0 0 60\r\nabc\r\n',
  'cas t 0 0 60 1\r\nabc\r\n',
  'append t 0 0 4294967295\r\nabc\r\n',
  'ms t 2000000\r\nabc\r\n',
];
const POISONS_SENT = 1000;

const range = (count: number) => Array.from({ length: count }, (_, n) => n);
const key = (n: number) => `honest-${n % 500}`;
const found = (n: number) => `VALUE ${key(n)} 0 ${key(n).length}\r\n${key(n)}\r\nEND\r\n`;

describe.skipIf(requireBed())('stores that lie about their length', () => {
  let bed: Bed;
  let honest: UdpClient;
  let poisoner: UdpClient;

  beforeAll(async () => {
    bed = await Bed.start({ clients: 2, nodes: 2 });
    honest = await bed.startClient(0);
    poisoner = await bed.startClient(1);
  });
  afterAll(() => bed?.close());

  test('memcached asked directly goes silent for everybody: the fixture bites', async () => {
    const [node] = bed.network.nodes;
    const to = { address: node!.address, port: node!.port };
    const ask = () =>
      honest.exchange(
        range(20).map(n => datagram(n, `get ${key(n)}\r\n`)),
        { to, window: 20, timeoutMs: 500 },
      );
    expect((await ask()).timedOut).toEqual([]);
    await poisoner.exchange([datagram(1, POISONS[0]!)], { to, unawaited: [0] });
    expect((await ask()).timedOut).toHaveLength(20);
    await bed.restartNode(0);
    expect((await ask()).timedOut).toEqual([]);
  });

  test(`${POISONS_SENT} of them through Keysteer harm none of ${HONEST} honest requests beside them`, async () => {
    const balancer = await bed.startBalancer();
    const write = range(500).map(n => datagram(n, `set ${key(n)} 0 0 ${key(n).length}\r\n${key(n)}\r\n`));
    expect((await honest.exchange(write, { window: 32 })).timedOut).toEqual([]);
    const storesBefore = await storesSeen();

    const reads = range(HONEST).map(n => datagram(n, `get ${key(n)}\r\n`));
    const lies = range(POISONS_SENT).map(n => datagram(n, POISONS[n % POISONS.length]!));
    const [outcome, answered] = await Promise.all([
      honest.exchange(reads, { window: 32 }),
      poisoner.exchange(lies, { window: 8 }),
    ]);

    expect({ timedOut: outcome.timedOut, strays: outcome.strays }).toEqual({ timedOut: [], strays: [] });
    expect(outcome.replies.map(bodyOf)).toEqual(range(HONEST).map(found));
    expect(answered.replies.map(bodyOf)).toEqual(range(POISONS_SENT).map(() => 'CLIENT_ERROR bad data chunk\r\n'));
    expect(await storesSeen()).toBe(storesBefore);
    const { figures } = await balancer.stop();
    expect(faults(figures)).toEqual({ refused_length: POISONS_SENT });
    expect(figures.counters.error_answers).toBe(POISONS_SENT);
  });

  /** By the nodes' own count: stores of any kind that came as far as their value. */
  async function storesSeen(): Promise<number> {
    const stats = await Promise.all(bed.nodes.map(node => node.stats()));
    return stats.reduce((sum, { cmd_set }) => sum + cmd_set, 0);
  }
});
