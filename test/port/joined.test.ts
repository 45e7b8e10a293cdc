/** Datagrams that leave as one super-frame: what a socket, a raw listener and an unwilling interface make of it. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runIn } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import {
  CHECKSUM_START_SHIFT,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_SUPERFRAME,
  VERDICT_GROUP_SHIFT,
} from '../../src/port/port.ts';
import { udpFrame } from '../support/frames.ts';
import { NOBODY_MAC, type TestPort, VethBed } from '../support/lane-bed-veth.ts';
import { requireNamespaces, requireShim, skip } from '../support/requirements.ts';

const PARTIAL = FLAG_PARTIAL_CHECKSUM | (34 << CHECKSUM_START_SHIFT);
const FIELDS = { src: '10.8.0.1', dst: '10.8.0.2', sport: 7 };
const ECHO_PORT = 9000;

function requireEthtool(): string | undefined {
  return spawnSync('ethtool', ['--version']).status === 0 ? undefined : skip('ethtool is not installed');
}

describe.skipIf(requireNamespaces() ?? requireShim() ?? requireEthtool())('datagrams of a group', () => {
  let bed: VethBed;
  let port: TestPort;
  let echo: ProcessGroup;

  beforeAll(async () => {
    bed = new VethBed('a', 'bc');
    port = bed.open('a', { joins: true });
    bed.giveAddress('a', '10.8.0.2/24');
    runIn(bed.namespace, ['ip', 'neigh', 'add', '10.8.0.1', 'lladdr', NOBODY_MAC, 'dev', 'a']);
    echo = bed.set.spawn(bed.namespace, [process.execPath, '-e', ECHO]);
    await echo.untilOutput(/bound/, 5000);
  });

  afterAll(async () => {
    await echo.stop();
    await bed.remove();
  });

  /** Transmits one batch of a group; returns how many the kernel took. */
  function send(by: TestPort, payloads: readonly string[], dstMac: string): number {
    for (const [row, payload] of payloads.entries()) {
      const frame = udpFrame({ ...FIELDS, dport: ECHO_PORT, dstMac, payload, checksum: 'partial' });
      const offset = by.port.claim();
      by.arena.bytes.set(frame, offset);
      by.row(row, offset, frame.length, PARTIAL, by.port.id | (3 << VERDICT_GROUP_SHIFT));
    }
    return by.port.transmit(by.batch, payloads.length);
  }

  async function echoed(count: number): Promise<string[]> {
    const heard = (await port.listen(count)).filter(({ frame }) => frame[12] === 0x08 && frame[13] === 0);
    return heard.map(({ frame }) => Buffer.from(frame.subarray(42, 14 + frame[16]! * 256 + frame[17]!)).toString());
  }

  const numbered = (count: number) => Array.from({ length: count }, (_, i) => `request ${String(i).padStart(3, '0')}`);

  it('reach a socket one by one, each as it was', async () => {
    const payloads = numbered(60);
    expect(send(port, payloads, bed.farMac('a'))).toBe(60);
    expect(port.count('transmit_joined')).toBe(59);
    expect(port.count('transmitted_frames')).toBe(60);
    expect(port.count('transmitted_bytes')).toBe(60 * (42 + payloads[0]!.length));
    expect(await echoed(60)).toEqual(payloads);
  });

  it('of unequal lengths as well', async () => {
    const payloads = ['one', 'two', 'three', 'seven', 'eight', 'nine', 'ten', 'six'];
    expect(send(port, payloads, bed.farMac('a'))).toBe(8);
    expect(await echoed(8)).toEqual(payloads);
  });

  it('are one frame for whoever listens on the way', async () => {
    const [near, far] = [bed.open('b', { joins: true }), bed.open('c')];
    const payloads = numbered(5);
    send(near, payloads, NOBODY_MAC);
    const heard = await far.listen(1);
    expect(heard.map(({ flags }) => flags)).toEqual([PARTIAL | FLAG_SUPERFRAME]);
    const whole = udpFrame({
      ...FIELDS,
      dport: ECHO_PORT,
      dstMac: NOBODY_MAC,
      payload: payloads.join(''),
      checksum: 'partial',
    });
    expect(heard[0]!.frame).toEqual(whole);
    bed.close(near);
    bed.close(far);
  });

  it('one by one from a port that does not join', async () => {
    const [near, far] = [bed.open('b'), bed.open('c')];
    send(near, numbered(5), NOBODY_MAC);
    expect((await far.listen(5)).map(({ flags }) => flags)).toEqual(Array(5).fill(PARTIAL));
    expect(near.count('transmit_joined')).toBe(0);
    bed.close(near);
    bed.close(far);
  });

  describe('at an interface that does not take super-frames apart', () => {
    const NAME = 'tx-udp-segmentation';
    const set = (state: string) => runHere(['ethtool', '-K', bed.interfaceOf('a'), NAME, state]);
    const dropped = () =>
      JSON.parse(runHere(['ip', '-s', '-j', 'link', 'show', 'dev', bed.interfaceOf('a')]))[0].stats64.tx
        .dropped as number;

    afterAll(() => void set('on'));

    it('arrive one by one, and after sixteen super-frames in vain none is tried', async () => {
      set('off');
      const joinedBefore = port.count('transmit_joined');
      const tries: number[] = [];
      for (let round = 0; round < 20; round++) {
        const before = dropped();
        expect(send(port, numbered(4), bed.farMac('a'))).toBe(4);
        expect(await echoed(4)).toEqual(numbered(4));
        tries.push(dropped() - before);
      }
      expect(tries).toEqual([...Array(16).fill(1), 0, 0, 0, 0]);
      expect(port.count('transmit_joined')).toBe(joinedBefore);
      expect(port.count('transmit_refused')).toBe(0);
    });
  });
});

/** In the namespace of this process. */
function runHere(argv: readonly [string, ...string[]]): string {
  const { status, stdout, stderr } = spawnSync(argv[0], argv.slice(1), { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

const ECHO = `const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (text, { port, address }) => socket.send(text, port, address));
  socket.bind(${ECHO_PORT}, '10.8.0.2', () => console.log('bound'));`;
