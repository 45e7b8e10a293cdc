/** VLAN tags put in and taken out, byte for byte: AF_PACKET over veth, TAP, and the sockets of a host in the VLAN. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runIn } from '../../src/experiment/namespaces.ts';
import {
  CHECKSUM_START_SHIFT,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_TRUNCATED,
  FLAG_VLAN,
  VLAN_NOBODYS,
  VLAN_SHIFT,
  vlanOf,
} from '../../src/port/port.ts';
import { ethernetFrame, macBytes, udpFrame } from '../support/frames.ts';
import { requireTap, TapBed } from '../support/lane-bed-tap.ts';
import { NOBODY_MAC, type TestPort, VethBed } from '../support/lane-bed-veth.ts';
import { requireNamespaces, requireShim } from '../support/requirements.ts';
import { joinVlan, requireVlan } from '../support/vlan-station.ts';

const missing = requireNamespaces() ?? requireShim();
const ETHERTYPE = 0x88b5;
const UDP_OFFSET = 34;
const PARTIAL = FLAG_PARTIAL_CHECKSUM | (UDP_OFFSET << CHECKSUM_START_SHIFT);
const ECHO_PORT = 9000;

const tag = (control: number) => FLAG_VLAN | (control << VLAN_SHIFT);

function frameOf(bytes: number, fields: { vlan?: number; vlanPriority?: number } = {}): Uint8Array {
  const payload = Uint8Array.from({ length: bytes - 14 }, (_, i) => (i * 7 + bytes) & 0xff);
  return ethernetFrame({ etherType: ETHERTYPE, dstMac: NOBODY_MAC, payload, ...fields });
}

/** A frame with any tags between addresses and EtherType, 16 bits type and 16 bits control each. */
function withTags(...tags: readonly number[]): Uint8Array {
  const plain = frameOf(60);
  return Uint8Array.from([
    ...plain.slice(0, 12),
    ...tags.flatMap(word => [word >> 8, word & 0xff]),
    ...plain.slice(12),
  ]);
}

const rows: readonly (readonly [what: string, vlan: number, flags: number, heard: number])[] = [
  ['no tag on an untagged port', 0, 0, 0],
  ['no tag on an untagged port, whatever the frame came with', 0, tag(0xf005), 0],
  ['the port’s VLAN', 5, 0, tag(5)],
  ['the first', 1, 0, tag(1)],
  ['the last', 4094, 0, tag(4094)],
  ['more than 8 bits of it', 0x123, 0, tag(0x123)],
  ['the priority that it came with', 5, tag(0xe000 | 9), tag(0xe000 | 5)],
  ['the drop-eligible bit', 5, tag(0x1000), tag(0x1005)],
  ['no priority out of bits that are no tag', 5, 0xe000 << VLAN_SHIFT, tag(5)],
];

describe.skipIf(missing)('over veth', () => {
  let bed: VethBed;
  let wire: TestPort;

  beforeAll(() => {
    bed = new VethBed('ab');
    wire = bed.open('b');
  });

  afterAll(() => bed.remove());

  it.each(rows)('a frame leaves with %s', async (_, vlan, flags, heard) => {
    const port = bed.open('a', { vlan });
    expect(port.port.vlan).toBe(vlan);
    expect(port.say([frameOf(60)], flags)).toBe(1);
    expect(await wire.listen(1)).toEqual([{ frame: frameOf(60), flags: heard }]);
    bed.close(port);
  });

  it.each([16, 60, 61, 1514])('a frame of %i bytes, whose own bytes stay as they were', async bytes => {
    const port = bed.open('a', { vlan: 7 });
    const frame = frameOf(bytes);
    const offset = port.port.claim();
    const around = () => port.arena.bytes.slice(offset - 32, offset + bytes + 32);
    port.arena.bytes.fill(0xa5, offset - 32, offset + bytes + 32);
    port.arena.bytes.set(frame, offset);
    const before = around();
    port.row(0, offset, bytes, tag(0x6000), 0);
    expect(port.port.transmit(port.batch, 1)).toBe(1);
    expect(await wire.listen(1)).toEqual([{ frame, flags: tag(0x6007) }]);
    expect(around()).toEqual(before);
    bed.close(port);
  });

  it('64 frames at once, each with its priority; one too long is refused', async () => {
    const port = bed.open('a', { vlan: 7 });
    const frames = Array.from({ length: 64 }, (_, i) => frameOf(60 + i));
    frames.forEach((frame, row) => {
      const offset = port.port.claim();
      port.arena.bytes.set(frame, offset);
      port.row(row, offset, row === 9 ? 1515 : frame.length, tag((row & 15) << 12), 0);
    });
    expect(port.port.transmit(port.batch, 64)).toBe(63);
    const expected = frames.map((frame, i) => ({ frame, flags: tag(((i & 15) << 12) | 7) }));
    expect(await wire.listen(63)).toEqual(expected.filter((_, i) => i !== 9));
    bed.close(port);
  });

  it.each([
    ['a tag', withTags(0x8100, 0x6005), tag(0x6005), 5],
    ['a priority and no VLAN', withTags(0x8100, 0x6000), tag(0x6000), 0],
    ['a service tag (802.1ad), which is nobody’s', withTags(0x88a8, 0x6005), tag(VLAN_NOBODYS), VLAN_NOBODYS],
  ])('what comes with %s', async (_, frame, flags, vlan) => {
    expect(wire.say([frame])).toBe(1);
    const port = bed.open('a', { vlan: 5 });
    expect(wire.say([frame])).toBe(1);
    const heard = await port.listen(1);
    expect(heard).toEqual([{ frame: frameOf(60), flags }]);
    expect(vlanOf(flags)).toBe(vlan);
    bed.close(port);
  });

  it('a second tag stays in the frame', async () => {
    const port = bed.open('a', { vlan: 5 });
    wire.say([withTags(0x8100, 5, 0x8100, 6)]);
    expect(await port.listen(1)).toEqual([{ frame: withTags(0x8100, 6), flags: tag(5) }]);
    bed.close(port);
  });
});

describe.skipIf(missing ?? requireTap())('over TAP', () => {
  let bed: TapBed;

  beforeAll(() => {
    bed = new TapBed();
    bed.queue(); // keeps the interface
  });

  afterAll(() => bed.remove());

  /** A bed of one queue: a second would take half of the frames. */
  function fresh(options: { vlan?: number; mtuMax?: number } = {}): { queue: TestPort; wire: TestPort } {
    bed.remove();
    bed = new TapBed();
    return { queue: bed.queue(options), wire: bed.wire() };
  }

  it.each(rows)('a frame leaves with %s', async (_, vlan, flags, heard) => {
    const { queue, wire } = fresh({ vlan });
    expect(queue.say([frameOf(60)], flags)).toBe(1);
    expect(await wire.listen(1)).toEqual([{ frame: frameOf(60), flags: heard }]);
  });

  it.each([16, 60, 61, 1514])('%i bytes go out and come in', async bytes => {
    const { queue } = fresh({ vlan: 7 });
    const tagged = bed.wire({ vlan: 7 });
    const frame = frameOf(bytes);
    expect([queue.say([frame], tag(0x6000)), tagged.say([frame], tag(0x6000))]).toEqual([1, 1]);
    expect(await tagged.listen(1)).toEqual([{ frame, flags: tag(0x6007) }]);
    expect(await queue.listen(1)).toEqual([{ frame, flags: tag(0x6007) }]);
  });

  it.each([
    ['a priority and no VLAN', withTags(0x8100, 0x6000), frameOf(60), tag(0x6000)],
    ['a service tag, left where it is', withTags(0x88a8, 5), withTags(0x88a8, 5), 0],
    ['a second tag, left where it is', withTags(0x8100, 5, 0x8100, 6), withTags(0x8100, 6), tag(5)],
    ['a tag and nothing behind it', withTags(0x8100, 5).slice(0, 16), withTags(0x8100, 5).slice(0, 16), 0],
    ['a tag and an EtherType', withTags(0x8100, 5).slice(0, 18), frameOf(60).slice(0, 14), tag(5)],
  ])('what comes with %s', async (_, sent, frame, flags) => {
    const { queue, wire } = fresh({ vlan: 5 });
    expect(wire.say([sent])).toBe(1);
    expect(await queue.listen(1)).toEqual([{ frame, flags }]);
  });

  it('the room of a frame whose tag was taken out is nobody else’s; a longer one is cut', async () => {
    const { queue, wire } = fresh({ vlan: 5 });
    bed.set('mtu 4000');
    const jumbo = bed.wire({ mtuMax: 4000 });
    jumbo.say([frameOf(1514, { vlan: 5 }), frameOf(1515, { vlan: 5 }), frameOf(60, { vlan: 5 })]);
    const heard = await queue.listen(3);
    expect(heard.map(({ flags }) => flags)).toEqual([tag(5), tag(5) | FLAG_TRUNCATED, tag(5)]);
    wire.say([frameOf(60, { vlan: 5 }), frameOf(61, { vlan: 5 })]);
    expect(queue.port.receive(queue.batch, 64)).toBe(2);
    const [first, , , , second] = queue.batch as unknown as number[];
    expect((first! + 14) % 4).toBe(0);
    queue.arena.bytes.fill(0xff, first!, first! + queue.port.roomBytes);
    expect(queue.arena.bytes.slice(second!, second! + 61)).toEqual(frameOf(61));
    queue.port.release(queue.batch, 2);
  });

  it('a partial checksum begins where the frame without its tag has it', async () => {
    const { queue } = fresh({ vlan: 5 });
    const tagged = bed.wire({ vlan: 5 });
    const fields = { src: '10.8.0.1', dst: '10.8.0.2', sport: 1, dport: 2, dstMac: NOBODY_MAC, payload: 'partial' };
    const partial = udpFrame({ ...fields, checksum: 'partial' });
    tagged.say([partial], PARTIAL);
    queue.say([partial], PARTIAL);
    expect(await queue.listen(1)).toEqual([{ frame: partial, flags: tag(5) | PARTIAL }]);
    expect(await tagged.listen(1)).toEqual([{ frame: partial, flags: tag(5) | PARTIAL }]);
  });
});

describe.skipIf(missing ?? requireVlan())('with a host of that VLAN at the other end', () => {
  it('its sockets hear whole and partial checksums, and answer in the VLAN', async () => {
    const bed = new VethBed('a');
    const port = bed.open('a', { vlan: 5 });
    bed.giveAddress('a', '10.8.0.2/24');
    const device = joinVlan(bed.namespace, 'a', { vlan: 5, priority: 4 }, ['10.8.0.2/24']);
    runIn(bed.namespace, ['ip', 'neigh', 'add', '10.8.0.1', 'lladdr', NOBODY_MAC, 'dev', device]);
    const echo = bed.set.spawn(bed.namespace, [process.execPath, '-e', ECHO]);
    await echo.untilOutput(/bound/, 5000);
    const fields = { src: '10.8.0.1', dst: '10.8.0.2', sport: 7, dport: ECHO_PORT, dstMac: bed.farMac('a') };
    port.say([udpFrame({ ...fields, payload: 'broken', checksum: 'bad' })]);
    port.say([udpFrame({ ...fields, payload: 'whole' })]);
    port.say([udpFrame({ ...fields, payload: 'partial', checksum: 'partial' })], PARTIAL | tag(0x2000));
    port.say([udpFrame({ ...fields, payload: 'x'.repeat(1472) })]);
    const heard = (await port.listen(3)).filter(({ frame }) => frame[23] === 17);
    expect(heard.map(({ frame }) => Buffer.from(frame.subarray(42, 49)).toString())).toEqual([
      'whole',
      'partial',
      'xxxxxxx',
    ]);
    expect(heard.map(({ flags }) => flags)).toEqual(Array(3).fill(PARTIAL | tag(0x8005)));
    expect(heard.map(({ frame }) => [...frame.slice(0, 6)])).toEqual(Array(3).fill([...macBytes(NOBODY_MAC)]));
    await echo.stop();
    await bed.remove();
  });
});

const ECHO = `const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (text, { port, address }) => socket.send(text, port, address));
  socket.bind(${ECHO_PORT}, '10.8.0.2', () => console.log('bound'));`;
