/** The TAP port against the kernel: a raw socket at the interface hears what a queue sends, and the other way round. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runIn } from '../../src/experiment/namespaces.ts';
import { Arena } from '../../src/mem/arena.ts';
import { FANOUT_CBPF, fanoutProgram } from '../../src/port/fanout.ts';
import { attachPort } from '../../src/port/open.ts';
import {
  CHECKSUM_START_SHIFT,
  DROP,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_TRUNCATED,
  REFUSED,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_GROUP_SHIFT,
} from '../../src/port/port.ts';
import { loadShim, PortError } from '../../src/port/shim.ts';
import { openTap, tapMtuOf } from '../../src/port/tap.ts';
import { ethernetFrame, udpFrame } from '../support/frames.ts';
import { requireTap, TapBed } from '../support/lane-bed-tap.ts';
import { NOBODY_MAC, type TestPort, VethBed } from '../support/lane-bed-veth.ts';
import { requireBuild, requireNamespaces, requireShim } from '../support/requirements.ts';
import { slowPartialChecksum, slowUdpChecksum } from '../wire/slow-checksum.ts';
import { ask, rows, run, THREE } from './fanout-rows.ts';

const missing = requireNamespaces() ?? requireShim() ?? requireTap();
const ETHERTYPE = 0x88b5;
const UDP_OFFSET = 34;
const PARTIAL = FLAG_PARTIAL_CHECKSUM | (UDP_OFFSET << CHECKSUM_START_SHIFT);

function numbered(number: number, bytes = 60): Uint8Array {
  const payload = new Uint8Array(bytes - 14).fill(number);
  payload.set([number >> 8, number & 0xff]);
  return ethernetFrame({ etherType: ETHERTYPE, dstMac: NOBODY_MAC, payload });
}

const numberOf = ({ frame }: { frame: Uint8Array }) => frame[14]! * 256 + frame[15]!;
/** The port makes the interface. */
const NOT_MADE = null;
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe.skipIf(missing)('a TAP port', () => {
  let bed: TapBed;
  let queue: TestPort;
  let wire: TestPort;

  beforeAll(() => {
    bed = new TapBed();
    queue = bed.queue({ id: 3 });
    wire = bed.wire();
  });

  afterAll(() => bed.remove());

  it('knows its interface, and answers by an address beside that of the kernel’s end', () => {
    const { port } = queue;
    expect([port.name, port.frameBytesMax, port.roomBytes, port.id]).toEqual([bed.name, 1514, 1514, 3]);
    expect({ high: port.macHigh ^ 0x0400, low: port.macLow }).toEqual({
      high: wire.port.macHigh,
      low: wire.port.macLow,
    });
    expect(port.macHigh & 0x0300).toBe(0x0200);
  });

  it.each([60, 61, 64, 127, 590, 1513, 1514])('carries %i bytes unchanged, both ways', async bytes => {
    const frame = numbered(bytes, bytes);
    expect([queue.say([frame]), wire.say([frame])]).toEqual([1, 1]);
    expect(await wire.listen(1)).toEqual([{ frame, flags: 0 }]);
    expect(await queue.listen(1)).toEqual([{ frame, flags: 0 }]);
    expect([queue.take(), wire.take()]).toEqual([[], []]);
  });

  it('keeps the order over many cycles, and describes no more rows than asked for', async () => {
    const heard: number[] = [];
    for (let next = 0; next < 1000; next += 40) {
      wire.say(range(40).map(i => numbered(next + i)));
      heard.push(...queue.take(7).map(numberOf));
      while (heard.length < next + 40) heard.push(...(await queue.listen(1)).map(numberOf));
    }
    expect(heard).toEqual(range(1000));
  });

  it('has frames on a 4-byte network header, each with room to grow that is nobody else’s', () => {
    wire.say([numbered(1), numbered(2), numbered(3)]);
    expect(queue.port.receive(queue.batch, 64)).toBe(3);
    const offsets = range(3).map(row => queue.batch[row * ROW_WORDS + ROW_OFFSET]!);
    expect(offsets.map(offset => (offset + 14) % 4)).toEqual([0, 0, 0]);
    for (const offset of offsets.slice(0, 2)) queue.arena.bytes.fill(0xff, offset, offset + queue.port.roomBytes);
    expect(numberOf({ frame: queue.arena.bytes.slice(offsets[2], offsets[2]! + 60) })).toBe(3);
    queue.port.release(queue.batch, 3);
  });

  it('sends out of its slots the rows that name it, group by group, grown or shrunk, and drops the others', async () => {
    wire.say(range(6).map(numbered1));
    expect(queue.port.receive(queue.batch, 64)).toBe(6);
    for (const [row, group] of [1, DROP, 2, 1, REFUSED, 2].entries()) {
      queue.verdict(row, group < 0 ? group : 3 | (group << VERDICT_GROUP_SHIFT));
    }
    queue.batch[ROW_LENGTH] = 100;
    queue.arena.bytes.fill(7, queue.batch[ROW_OFFSET]! + 60, queue.batch[ROW_OFFSET]! + 100);
    expect(queue.port.transmit(queue.batch, 6)).toBe(4);
    queue.port.release(queue.batch, 6);
    const back = await wire.listen(4);
    expect(back.map(numberOf)).toEqual([0, 3, 2, 5]);
    expect([...back[0]!.frame.slice(60)]).toEqual(Array(40).fill(7));
  });

  it('refuses what is longer than the MTU, counts it, marks it, and sends the rest', async () => {
    const refused = queue.count('transmit_refused');
    range(3).forEach(row => {
      const offset = queue.port.claim();
      queue.arena.bytes.set(numbered(row), offset);
      queue.row(row, offset, row === 1 ? 1515 : 60, 0, 3);
    });
    expect(queue.port.transmit(queue.batch, 3)).toBe(2);
    expect(range(3).map(row => queue.batch[row * ROW_WORDS + ROW_VERDICT])).toEqual([3, REFUSED, 3]);
    expect(queue.count('transmit_refused') - refused).toBe(1);
    expect((await wire.listen(2)).map(numberOf)).toEqual([0, 2]);
  });

  it('frames of a crashed lane are lost and counted; the next lane goes on behind them', () => {
    wire.say([numbered(1), numbered(2)]);
    expect(queue.port.receive(queue.batch, 64)).toBe(2);
    const next = attachPort(queue.description, queue.arena);
    expect([next.discardInterrupted(), next.discardInterrupted()]).toEqual([2, 0]);
    wire.say([numbered(3)]);
    expect(queue.take().map(numberOf)).toEqual([3]);
    expect(next.discardInterrupted()).toBe(0);
  });

  it('waits until a frame is there or the time is over', () => {
    const handles = Int32Array.of(wire.port.handle, queue.port.handle);
    expect(loadShim().wait(handles, 2, 1000)).toBe(0);
    wire.say([numbered(1)]);
    expect(loadShim().wait(handles, 2, 2_000_000)).toBe(2);
    expect(queue.take()).toHaveLength(1);
    expect(loadShim().wait(handles, 2, 0)).toBe(0);
  });

  it('keeps checksums partial both ways: the flag, its start, and the sum in the field', async () => {
    const fields = { src: '10.8.0.1', dst: '10.8.0.2', sport: 1, dport: 2, dstMac: NOBODY_MAC, payload: 'partial' };
    const partial = udpFrame({ ...fields, checksum: 'partial' });
    wire.say([partial], PARTIAL);
    queue.say([partial], PARTIAL);
    expect(await queue.listen(1)).toEqual([{ frame: partial, flags: PARTIAL }]);
    expect(await wire.listen(1)).toEqual([{ frame: partial, flags: PARTIAL }]);
    expect(partial[40]! * 256 + partial[41]!).toBe(slowPartialChecksum(partial, 14));
  });

  it('cuts a frame that is longer than its slot, and says so', async () => {
    bed.set('mtu 4000');
    const jumbo = bed.wire({ mtuMax: 4000 });
    jumbo.say([numbered(1, 1518), numbered(2, 1519), numbered(3, 4014), numbered(4)]);
    const heard = await queue.listen(4);
    bed.set('mtu 1500');
    expect(heard.map(({ flags }) => flags)).toEqual([0, FLAG_TRUNCATED, FLAG_TRUNCATED, 0]);
    expect(heard[2]!.frame).toEqual(numbered(3, 4014).slice(0, 1519));
    bed.close(jumbo);
  });

  it('an interface that is down refuses, and works once it is up', async () => {
    const refused = queue.count('transmit_refused');
    bed.set('down');
    expect(queue.say([numbered(1)])).toBe(0);
    expect(queue.count('transmit_refused') - refused).toBe(1);
    bed.set('up');
    expect(queue.say([numbered(2)])).toBe(1);
    expect((await wire.listen(1)).map(numberOf)).toEqual([2]);
  });

  const numbered1 = (number: number) => numbered(number);
});

describe.skipIf(missing)('what a TAP port counts', () => {
  it('frames, bytes, batches, calls, and what a full queue lost', async () => {
    const bed = new TapBed();
    bed.set('txqueuelen 64');
    const queue = bed.queue();
    const wire = bed.wire();
    // One by one: sendmmsg tries a refused frame a second time, which the kernel counts, too.
    for (const number of range(200)) wire.say([numbered(number)]);
    const heard = await queue.listen(64);
    queue.port.refreshCounters();
    queue.port.refreshCounters();
    expect(heard.map(numberOf)).toEqual(range(64));
    expect([queue.count('received_frames'), queue.count('received_bytes')]).toEqual([64, 64 * 60]);
    expect(queue.count('ring_dropped')).toBe(136);
    expect(queue.say([numbered(1, 100), numbered(2)])).toBe(2);
    expect([queue.count('transmitted_frames'), queue.count('transmitted_bytes')]).toEqual([2, 160]);
    expect([queue.count('transmit_calls'), queue.count('receive_batches')]).toEqual([1, 1]);
    const [deaf, fresh] = [bed.queue({ countsDrops: false }), bed.queue()];
    for (const { port } of [deaf, fresh]) port.refreshCounters();
    expect([deaf.count('ring_dropped'), fresh.count('ring_dropped')]).toEqual([0, 0]);
    bed.remove();
  });
});

describe.skipIf(missing)('three queues', () => {
  let bed: TapBed;

  afterEach(() => bed.remove());

  const program = fanoutProgram(THREE.lanes, THREE.portBase, THREE.portsPerLane);
  const fanout = { group: 0, type: FANOUT_CBPF, program };
  const text = (frame: Uint8Array) => Buffer.from(frame).toString('hex');
  const flows = range(30).map(i => udpFrame({ ...ask, src: `10.77.0.${i + 1}`, sport: 40_000 + i }));

  it('hear what the fanout program says: each flow on its lane, each frame once', async ({ skip }) => {
    bed = new TapBed();
    const lanes = range(3).map(() => bed.queue({ fanout }));
    if (lanes[0]!.description.steering === 'flows') skip('the kernel lets us load no BPF program');
    const wire = bed.wire();
    const frames = [...rows.map(([, frame]) => frame), ...flows];
    expect(wire.say(frames)).toBe(frames.length);
    const wanted = range(3).map(lane => frames.filter(frame => run(THREE, frame) === lane).map(text));
    expect(Math.min(...wanted.map(list => list.length))).toBeGreaterThan(5);
    const heard = await Promise.all(lanes.map((port, lane) => port.listen(wanted[lane]!.length)));
    expect(heard.map(list => list.map(({ frame }) => text(frame)))).toEqual(wanted);
    expect(lanes.map(port => port.take())).toEqual([[], [], []]);
  });

  it('without a program: a reply comes to the queue that asked, whatever flow it is', async () => {
    bed = new TapBed();
    const lanes = range(3).map(() => bed.queue());
    const wire = bed.wire();
    const turned = flows.map((_, i) =>
      udpFrame({ ...ask, src: ask.dst, sport: ask.dport, dst: `10.77.0.${i + 1}`, dport: 40_000 + i }),
    );
    for (const [i, frame] of flows.entries()) lanes[i % 3]!.say([frame]);
    wire.say(turned);
    const heard = await Promise.all(lanes.map(port => port.listen(10)));
    expect(heard.map(list => list.map(({ frame }) => text(frame)))).toEqual(
      range(3).map(lane => turned.filter((_, i) => i % 3 === lane).map(text)),
    );
  });

  it('a program of earlier lanes does not outlive them', async () => {
    bed = new TapBed();
    bed.close(bed.queue({ fanout }));
    const lanes = range(2).map(() => bed.queue());
    const reply = udpFrame({ ...ask, dport: 20_002 }); // the program's lane 1
    lanes[0]!.say([udpFrame({ ...ask, src: ask.dst, sport: 20_002, dst: ask.src, dport: ask.sport })]);
    bed.wire().say([reply]);
    expect(await lanes[0]!.listen(1)).toHaveLength(1);
  });
});

describe.skipIf(missing)('opening and closing a TAP', () => {
  it('the interface is there, up, with queues as long as asked for, until the last queue is closed', () => {
    const bed = new TapBed(NOT_MADE);
    const queue = bed.queue({ queueFrames: 256 });
    expect(runIp('link', 'show', bed.name)).toMatch(/<[A-Z,_]*UP[A-Z,_]*>.*qlen 256/);
    expect(runIp('-d', 'link', 'show', bed.name)).toMatch(/tun type tap pi off vnet_hdr on multi_queue .*persist off/);
    bed.close(queue);
    expect(existsSync(`/sys/class/net/${bed.name}`)).toBe(false);
  });

  it('a pattern is numbered by the kernel', () => {
    const arena = Arena.create(1 << 20);
    const port = openTap({ id: 0, interfaceName: `ksp${process.pid}x%d`, arena, queueFrames: 64 });
    expect(port.name).toBe(`ksp${process.pid}x0`);
    port.close();
  });

  it('a persistent one stays, with its owner, and is taken up again as it is', () => {
    const bed = new TapBed(NOT_MADE);
    bed.close(bed.queue({ persistent: true, owner: 4711 }));
    expect(runIp('-d', 'link', 'show', bed.name)).toMatch(/persist on .*user 4711/);
    bed.set('mtu 2000');
    expect(tapMtuOf(bed.name)).toBe(2000);
    const again = bed.queue({ mtuMax: 2000, queueFrames: 128 });
    expect(again.port.frameBytesMax).toBe(2014);
    expect(runIp('link', 'show', bed.name)).toMatch(/qlen 64/);
    bed.close(again);
    expect(runIp('link', 'delete', bed.name)).toBe('');
    expect(tapMtuOf(bed.name)).toBe(1500);
  });

  it('one that others made with a single queue serves a single lane, and says why not two', async () => {
    const bed = new TapBed('');
    const only = bed.queue();
    bed.wire().say([numbered(1)]);
    expect((await only.listen(1)).map(numberOf)).toEqual([1]);
    expect(() => bed.queue()).toThrow(/^interface \w+: ioctl\(TUNSETIFF\) failed with EBUSY \(another process holds/);
    bed.remove();
  });

  it('an interface of that name that is no TAP: says so, and leaves no descriptor', () => {
    const before = readdirSync('/proc/self/fd').length;
    const open = () => openTap({ id: 0, interfaceName: 'lo', arena: Arena.create(1 << 20), queueFrames: 64 });
    expect(open).toThrow(PortError);
    expect(open).toThrow(/^interface lo: ioctl\(TUNSETIFF\) failed with EINVAL \(the interface of this name is no TAP/);
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  it('a deleted one neither wakes nor answers', () => {
    const bed = new TapBed(NOT_MADE);
    const queue = bed.queue();
    runIp('link', 'delete', bed.name);
    const startMs = performance.now();
    expect(loadShim().wait(Int32Array.of(queue.port.handle), 1, 100_000)).toBe(0);
    expect(performance.now() - startMs).toBeGreaterThan(90);
    expect([queue.take(), queue.say([numbered(1)]), queue.count('transmit_refused')]).toEqual([[], 0, 1]);
    queue.port.refreshCounters();
    bed.remove();
  });

  const noBuild = requireBuild();

  it.skipIf(noBuild).each([
    [
      'no privilege',
      ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'],
      /ioctl\(TUNSETIFF\) failed with EPERM \(needs CAP_NET_ADMIN/,
    ],
    [
      'no device',
      ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh'],
      /open\(\/dev\/net\/tun\) failed with ENOENT \(no TUN\/TAP driver here/,
    ],
  ])('%s: says what to do', (_, prefix, said) => {
    const bed = new VethBed();
    const source = `
      const { openTap } = await import(${JSON.stringify(built('src/port/tap.js'))});
      const { Arena } = await import(${JSON.stringify(built('src/mem/arena.js'))});
      try {
        openTap({ id: 0, interfaceName: 'ks0', arena: Arena.create(1 << 22), queueFrames: 64 });
      } catch (error) {
        console.log(error.name, error.message);
      }`;
    const argv = [...prefix, process.execPath, '--input-type=module', '-e', source];
    expect(runIn(bed.namespace, argv)).toMatch(said);
    void bed.remove();
  });

  function built(path: string): string {
    return new URL(`../../dist/${path}`, import.meta.url).href;
  }
});

describe.skipIf(missing)('a TAP in a namespace of its own', () => {
  it('serves sockets there: partial checksums of the stack come flagged, and ours are completed for it', async () => {
    const bed = new TapBed();
    const other = new VethBed();
    const queue = bed.queue();
    runIp('link', 'set', bed.name, 'netns', other.namespace);
    for (const command of [
      ['addr', 'add', '10.8.0.2/24', 'dev', bed.name],
      ['link', 'set', bed.name, 'up'],
      ['neigh', 'add', '10.8.0.1', 'lladdr', NOBODY_MAC, 'dev', bed.name],
    ]) {
      runIn(other.namespace, ['ip', ...command]);
    }
    const [, mac] = /link\/ether (\S+)/.exec(runIn(other.namespace, ['ip', 'link', 'show', bed.name]))!;
    const echo = other.set.spawn(other.namespace, [process.execPath, '-e', ECHO]);
    await echo.untilOutput(/bound/, 5000);

    const fields = { src: '10.8.0.1', dst: '10.8.0.2', sport: 7, dport: 9000, dstMac: mac };
    expect(queue.say([udpFrame({ ...fields, payload: 'whole' })])).toBe(1);
    expect(queue.say([udpFrame({ ...fields, payload: 'broken', checksum: 'bad' })])).toBe(1);
    expect(queue.say([udpFrame({ ...fields, payload: 'partial', checksum: 'partial' })], PARTIAL)).toBe(1);
    const heard = (await queue.listen(2)).filter(({ frame }) => frame[12] === 0x08 && frame[23] === 17);
    expect(heard.map(({ frame }) => Buffer.from(frame.subarray(42)).toString())).toEqual(['whole', 'partial']);
    expect(heard.map(({ flags }) => flags)).toEqual([PARTIAL, PARTIAL]);
    const [reply] = heard;
    expect(reply!.frame[40]! * 256 + reply!.frame[41]!).toBe(slowPartialChecksum(reply!.frame, 14));
    expect(slowUdpChecksum(reply!.frame, 14)).not.toBe(slowPartialChecksum(reply!.frame, 14));
    await echo.stop();
    bed.remove();
    await other.remove();
  });
});

const ECHO = `const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (text, { port, address }) => socket.send(text, port, address));
  socket.bind(9000, '10.8.0.2', () => console.log('bound'));`;

function runIp(...argv: string[]): string {
  const { stdout, stderr, status } = spawnSync('ip', argv, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
