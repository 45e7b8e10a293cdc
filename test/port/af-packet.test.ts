/** The AF_PACKET port over real interfaces: what one sends, another hears through the kernel. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rewriteDatagram } from '../../src/dataplane/rewrite.ts';
import { runIn } from '../../src/experiment/namespaces.ts';
import { Arena } from '../../src/mem/arena.ts';
import { AfPacketPort, openAfPacket, slotMtuOf } from '../../src/port/af-packet.ts';
import {
  CHECKSUM_START_SHIFT,
  DROP,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_SUPERFRAME,
  FLAG_TRUNCATED,
  FLAG_VLAN,
  HEADROOM_BYTES,
  ROW_OFFSET,
  ROW_WORDS,
} from '../../src/port/port.ts';
import { loadShim, PortError } from '../../src/port/shim.ts';
import { ethernetFrame, hex, macBytes, udpFrame } from '../support/frames.ts';
import { address, macWords } from '../support/lane-bed.ts';
import { NOBODY_MAC, type TestPort, VethBed } from '../support/lane-bed-veth.ts';
import { requireBuild, requireNamespaces, requireShim, skip } from '../support/requirements.ts';
import { slowPartialChecksum } from '../wire/slow-checksum.ts';

const missing = requireNamespaces() ?? requireShim();
/** IEEE 802, for local experiments: no kernel looks at it. */
const ETHERTYPE = 0x88b5;

/** A frame of `bytes` bytes that carries its number. */
function numbered(number: number, bytes = 60): Uint8Array {
  const payload = new Uint8Array(bytes - 14).fill(number);
  payload.set([number >> 8, number & 0xff]);
  return ethernetFrame({ etherType: ETHERTYPE, dstMac: NOBODY_MAC, payload });
}

const numberOf = ({ frame }: { frame: Uint8Array }) => frame[14]! * 256 + frame[15]!;
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe.skipIf(missing)('an AF_PACKET port', () => {
  let bed: VethBed;
  let a: TestPort;
  let b: TestPort;

  beforeAll(() => {
    bed = new VethBed('ab');
    a = bed.open('a');
    b = bed.open('b', { id: 1 });
  });

  afterAll(() => bed.remove());

  it('knows the interface: name, Ethernet address, room', () => {
    const { port } = a;
    expect(port.name).toBe(bed.interfaceOf('a'));
    expect({ high: port.macHigh, low: port.macLow }).toEqual(macWords(bed.nearMac('a')));
    expect([port.frameBytesMax, port.roomBytes, port.id]).toEqual([1514, 1514, 0]);
  });

  it.each([60, 61, 64, 127, 590, 1513, 1514])('carries %i bytes unchanged', async bytes => {
    const frame = numbered(bytes, bytes);
    expect(a.say([frame])).toBe(1);
    expect(await b.listen(1)).toEqual([{ frame, flags: 0 }]);
  });

  it('carries both ways, and does not hear itself', async () => {
    a.say([numbered(1)]);
    b.say([numbered(2)]);
    expect((await b.listen(1)).map(numberOf)).toEqual([1]);
    expect((await a.listen(1)).map(numberOf)).toEqual([2]);
    expect([a.take(), b.take()]).toEqual([[], []]);
  });

  it('keeps the order, over many turns of its ring of 64', async () => {
    const heard: number[] = [];
    for (let next = 0; next < 1000; next += 40) {
      a.say(range(40).map(i => numbered(next + i)));
      heard.push(...(await b.listen(40)).map(numberOf));
    }
    expect(heard).toEqual(range(1000));
  });

  it('describes a batch across the end of the ring at once', async () => {
    const fresh = bed.open('b', { id: 1 });
    a.say(range(60).map(i => numbered(i)));
    expect(await fresh.listen(60)).toHaveLength(60);
    await b.listen(60);
    a.say(range(10).map(i => numbered(i)));
    await until(() => fresh.port.receive(fresh.batch, 64) === 10);
    expect(fresh.take().map(numberOf)).toEqual(range(10));
    bed.close(fresh);
    await b.listen(10);
  });

  it('describes no more rows than asked for; the rest comes with the next receive', async () => {
    a.say(range(10).map(i => numbered(i)));
    const heard = [...(await b.listen(1))];
    while (heard.length < 10) heard.push(...b.take(3));
    expect(heard.map(numberOf)).toEqual(range(10));
  });

  it('has frames on a 4-byte network header, each with room to grow that is nobody else’s', async () => {
    a.say([numbered(1), numbered(2), numbered(3)]);
    await until(() => b.port.receive(b.batch, 64) === 3);
    const offsets = range(3).map(row => b.batch[row * ROW_WORDS + ROW_OFFSET]!);
    expect(offsets.map(offset => (offset + 14) % 4)).toEqual([0, 0, 0]);
    for (const offset of offsets.slice(0, 2)) b.arena.bytes.fill(0xff, offset, offset + b.port.roomBytes);
    expect(numberOf({ frame: b.arena.bytes.slice(offsets[2], offsets[2]! + 60) })).toBe(3);
    b.port.release(b.batch, 3);
    a.say([numbered(4)]);
    expect((await b.listen(1)).map(numberOf)).toEqual([4]);
  });

  it('sends straight out of its ring the rows that name it, grown or shrunk, and drops the others', async () => {
    a.say([numbered(1), numbered(2), numbered(3)]);
    await until(() => b.port.receive(b.batch, 64) === 3);
    b.verdict(0, 1);
    b.verdict(1, DROP);
    b.verdict(2, 1);
    b.batch[1] = 100;
    b.arena.bytes.fill(7, b.batch[ROW_OFFSET]! + 60, b.batch[ROW_OFFSET]! + 100);
    expect(b.port.transmit(b.batch, 3)).toBe(2);
    b.port.release(b.batch, 3);
    const back = await a.listen(2);
    expect(back.map(numberOf)).toEqual([1, 3]);
    expect([...back[0]!.frame.slice(60)]).toEqual(Array(40).fill(7));
  });

  it('frames of a crashed lane are given back unsent, and the next lane goes on behind them', async () => {
    a.say([numbered(1), numbered(2)]);
    await until(() => b.port.receive(b.batch, 64) === 2);
    const next = new AfPacketPort(b.description, b.arena);
    expect([next.discardInterrupted(), next.discardInterrupted()]).toEqual([2, 0]);
    a.say([numbered(3)]);
    await until(() => next.receive(b.batch, 64) === 1);
    expect(numberOf({ frame: b.arena.bytes.slice(b.batch[0], b.batch[0]! + 60) })).toBe(3);
    next.release(b.batch, 1);
    b = bed.open('b', { id: 1 }); // the old one does not know how far the new one came
  });

  it('refuses what is longer than the MTU, counts it, and sends the rest', async () => {
    const refused = a.count('transmit_refused');
    const frames = [numbered(1), numbered(2), numbered(3)];
    frames.forEach((frame, row) => {
      const offset = a.port.claim();
      a.arena.bytes.set(frame, offset);
      a.row(row, offset, row === 1 ? 1515 : 60, 0, 0);
    });
    expect(a.port.transmit(a.batch, 3)).toBe(2);
    expect(a.count('transmit_refused') - refused).toBe(1);
    expect((await b.listen(2)).map(numberOf)).toEqual([1, 3]);
  });

  it('says when a frame is longer than its slot, and never has more room than the slot', async () => {
    const small = bed.open('b', { id: 1, mtuMax: 500 });
    a.say([numbered(1, 1514), numbered(2)]);
    const [long, short] = await small.listen(2);
    expect([long!.flags, short!.flags]).toEqual([FLAG_TRUNCATED, 0]);
    expect(long!.frame).toEqual(numbered(1, 1514).slice(0, long!.frame.length));
    expect(long!.frame.length).toBeGreaterThanOrEqual(small.port.roomBytes);
    bed.close(small);
    await b.listen(2);
  });

  it('holds frames of a larger MTU when it is told to; a claim is never smaller than the largest it may send', async () => {
    const jumbo = new VethBed('ab');
    for (const end of 'ab') jumbo.setMtu(end, 9000);
    const mtuMax = slotMtuOf(jumbo.interfaceOf('b'));
    const [sender, receiver] = [jumbo.open('a', { mtuMax }), jumbo.open('b', { mtuMax })];
    const narrow = jumbo.open('b');
    expect([mtuMax, sender.port.frameBytesMax, receiver.port.roomBytes]).toEqual([9000, 9014, 9014]);
    expect(sender.say([numbered(1, 9014), numbered(2, 1514)])).toBe(2);
    expect(await receiver.listen(2)).toEqual([
      { frame: numbered(1, 9014), flags: 0 },
      { frame: numbered(2, 1514), flags: 0 },
    ]);
    expect((await narrow.listen(2)).map(({ flags }) => flags)).toEqual([FLAG_TRUNCATED, 0]);
    const [first, second] = [narrow.port.claim(), narrow.port.claim()];
    expect(narrow.port.frameBytesMax).toBeLessThanOrEqual(second! - first! - HEADROOM_BYTES);
    expect(narrow.port.frameBytesMax).toBeGreaterThanOrEqual(1514);
    await jumbo.remove();
  });

  it('slots are made for jumbo frames at most', () => {
    expect(slotMtuOf('lo')).toBe(9216);
    expect(() => slotMtuOf('keysteer-none')).toThrow(
      /^interface keysteer-none: ioctl\(SIOCGIFMTU\) failed with ENODEV/,
    );
  });

  it('says what tag the kernel took off', async () => {
    a.say([
      ethernetFrame({
        etherType: ETHERTYPE,
        dstMac: NOBODY_MAC,
        vlan: 7,
        vlanPriority: 5,
        payload: new Uint8Array(46),
      }),
    ]);
    const [heard] = await b.listen(1);
    expect([heard!.flags & 0xff, heard!.flags >>> 16]).toEqual([FLAG_VLAN, 5 * 0x2000 + 7]);
    expect(heard!.frame).toEqual(
      ethernetFrame({ etherType: ETHERTYPE, dstMac: NOBODY_MAC, payload: new Uint8Array(46) }),
    );
  });

  it('waits until a frame is there or the time is over', () => {
    const handles = Int32Array.of(a.port.handle, b.port.handle);
    expect(loadShim().wait(handles, 2, 1000)).toBe(0);
    a.say([numbered(1)]);
    expect(loadShim().wait(handles, 2, 2_000_000)).toBe(2);
    expect(b.take()).toHaveLength(1);
    expect(loadShim().wait(handles, 2, 0)).toBe(0);
  });

  it('lends 64 frames between two transmits', () => {
    const lent = range(64).map(() => a.port.claim());
    expect(new Set(lent).size).toBe(64);
    expect(a.port.claim()).toBe(-1);
    a.port.transmit(a.batch, 0);
    expect(a.port.claim()).toBe(lent[0]);
    a.port.transmit(a.batch, 0);
  });
});

describe.skipIf(missing)('what an AF_PACKET port counts', () => {
  it('frames, bytes, batches, calls, and what a full ring lost', async () => {
    const bed = new VethBed('ab');
    const [a, b] = [bed.open('a'), bed.open('b')];
    for (let next = 0; next < 200; next += 50) expect(a.say(range(50).map(i => numbered(next + i)))).toBe(50);
    const heard = await b.listen(64);
    b.port.refreshCounters();
    expect(heard.map(numberOf)).toEqual(range(64));
    expect([a.count('transmitted_frames'), a.count('transmitted_bytes')]).toEqual([200, 200 * 60]);
    expect([a.count('transmit_calls'), a.count('transmit_refused')]).toEqual([4, 0]);
    expect([b.count('received_frames'), b.count('received_bytes')]).toEqual([64, 64 * 60]);
    expect(b.count('receive_batches')).toBeGreaterThan(0);
    expect(b.count('ring_dropped')).toBe(136);
    b.port.refreshCounters();
    expect(b.count('ring_dropped')).toBe(136);
    a.say([numbered(1)]);
    expect((await b.listen(1)).map(numberOf)).toEqual([1]);
    await bed.remove();
  });
});

describe.skipIf(missing)('a UDP checksum that the sending kernel left partial', () => {
  let bed: VethBed;

  beforeAll(() => {
    bed = new VethBed('ab');
    bed.giveAddress('a', '10.9.0.1/24');
    bed.giveAddress('b', '10.8.0.2/24');
    runIn(bed.namespace, ['ip', 'neighbour', 'add', '10.9.0.100', 'lladdr', NOBODY_MAC, 'dev', 'a']);
  });

  afterAll(() => bed.remove());

  it('is flagged, rewritten as such, and completed on its way into a socket; unflagged it would be lost', async () => {
    const [a, b] = [bed.open('a'), bed.open('b', { id: 1 })];
    const listener = bed.set.spawn(bed.namespace, [
      process.execPath,
      '-e',
      `require('node:dgram').createSocket('udp4').on('message', (m, r) => console.log('heard', m.toString(), r.address, r.port))
        .bind(9000, '10.8.0.2', () => console.log('bound'))`,
    ]);
    await listener.untilOutput(/bound/, 5000);
    const speak = `const s = require('node:dgram').createSocket('udp4');
      s.bind(4000, '10.9.0.1', () => s.send('partial', 5000, '10.9.0.100', () => s.close()))`;
    runIn(bed.namespace, [process.execPath, '-e', speak]);

    const [heard] = await a.listen(1);
    expect(heard!.flags).toBe(FLAG_PARTIAL_CHECKSUM | (34 << CHECKSUM_START_SHIFT));
    expect(heard!.frame[40]! * 256 + heard!.frame[41]!).toBe(slowPartialChecksum(heard!.frame, 14));

    // As the data plane does it: to the address of the listener, from one that its kernel does not own.
    const mac = macBytes(bed.farMac('b'));
    const send = (flags: number, fromPort: number) => {
      const frame = heard!.frame.slice();
      const id = frame[42]! * 256 + frame[43]!; // the first two letters stay
      rewriteDatagram(
        new DataView(frame.buffer),
        14,
        34,
        flags,
        address('10.8.0.1'),
        fromPort,
        address('10.8.0.2'),
        9000,
        id,
      );
      frame.set(mac);
      expect(b.say([frame], flags)).toBe(1);
    };
    send(0, 1111);
    send(heard!.flags, 2222);
    expect((await listener.untilOutput(/heard.*/, 5000))[0]).toBe('heard partial 10.8.0.1 2222');
    await listener.stop();
    expect(listener.output).not.toContain('1111');
  });

  /** Node has no setsockopt; an older kernel cuts the datagrams apart itself. */
  const noPython = missing ?? requirePython();

  it.skipIf(noPython)('three datagrams behind one header are flagged as a super-frame', async () => {
    const a = bed.open('a', { mtuMax: 9000 });
    const SOL_UDP = 17;
    const UDP_SEGMENT = 103;
    const speak = `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(${SOL_UDP}, ${UDP_SEGMENT}, 1000)
s.sendto(b'x' * 3000, ('10.9.0.100', 5000))`;
    runIn(bed.namespace, ['python3', '-c', speak]);
    const [first] = await a.listen(1);
    const isWhole = first!.frame.length === 42 + 3000;
    expect(first!.flags & (FLAG_SUPERFRAME | FLAG_TRUNCATED)).toBe(isWhole ? FLAG_SUPERFRAME : 0);
  });

  /** A virtio_net_hdr of any content in front of a frame of 400 bytes, out of a raw socket of the namespace. */
  function sayWithHeader(start: number, offset: number): void {
    const frame = hex(numbered(0, 400)).replaceAll(' ', '');
    const [SOL_PACKET, PACKET_VNET_HDR] = [263, 15];
    const speak = `import socket, struct; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('a', 0)); s.setsockopt(${SOL_PACKET}, ${PACKET_VNET_HDR}, 1)
s.send(struct.pack('<BBHHHH', 1, 0, 0, 0, ${start}, ${offset}) + bytes.fromhex('${frame}'))`;
    runIn(bed.namespace, ['python3', '-c', speak]);
  }

  it.skipIf(noPython).each([
    ['as UDP has it', 34, 6, FLAG_PARTIAL_CHECKSUM | (34 << CHECKSUM_START_SHIFT)],
    ['behind IPv4 options', 74, 6, FLAG_PARTIAL_CHECKSUM | (74 << CHECKSUM_START_SHIFT)],
    ['at the last start that fits', 255, 6, (FLAG_PARTIAL_CHECKSUM | (255 << CHECKSUM_START_SHIFT)) & 0xffff],
    ['from byte 256 + 34', 290, 6, 0],
    ['at TCP’s offset', 34, 16, 0],
    ['at offset 256 + 6', 34, 262, 0],
  ])('is told from others by where it begins and where it stands: %s', async (_, start, offset, flags) => {
    const a = bed.open('a');
    sayWithHeader(start, offset);
    expect((await a.listen(1)).map(heard => heard.flags)).toEqual([flags]);
    bed.close(a);
  });

  it('a frame of our own with a whole checksum is heard as it is', async () => {
    const [b] = [bed.open('b', { id: 1 })];
    const listener = bed.set.spawn(bed.namespace, [
      process.execPath,
      '-e',
      `require('node:dgram').createSocket('udp4').on('message', m => console.log('heard', m.toString()))
        .bind(9001, '10.8.0.2', () => console.log('bound'))`,
    ]);
    await listener.untilOutput(/bound/, 5000);
    const fields = { src: '10.8.0.1', dst: '10.8.0.2', sport: 1, dport: 9001, dstMac: bed.farMac('b') };
    b.say([
      udpFrame({ ...fields, payload: 'bad', checksum: 'bad' }),
      udpFrame({ ...fields, payload: 'none', checksum: 'zero' }),
      udpFrame({ ...fields, payload: 'whole' }),
    ]);
    await listener.untilOutput(/heard whole/, 5000);
    await listener.stop();
    expect(listener.output).toBe('bound\nheard none\nheard whole\n');
  });
});

describe.skipIf(missing)('opening and closing', () => {
  it('no such interface: says so, with code, call and advice', () => {
    const open = () =>
      openAfPacket({ id: 0, interfaceName: 'keysteer-none', arena: Arena.create(1 << 22), ringFrames: 64 });
    expect(open).toThrow(PortError);
    expect(open).toThrow(/^interface keysteer-none: ioctl\(\w+\) failed with ENODEV \(no such interface/);
    expect(caught(open)).toMatchObject({ code: 'ENODEV', syscall: 'ioctl(SIOCGIFHWADDR)' });
  });

  it('a failed open leaves nothing behind: no descriptor, and plain memory where the ring was to be', () => {
    const arena = Arena.create(1 << 22);
    const before = openFiles();
    expect(() => openAfPacket({ id: 0, interfaceName: 'keysteer-none', arena, ringFrames: 64 })).toThrow();
    expect(openFiles()).toBe(before);
    arena.bytes.fill(1);
    expect(arena.bytes.every(byte => byte === 1)).toBe(true);
  });

  it.skipIf(requireBuild())('without privilege: says which one is needed', () => {
    const source = `
      const { openAfPacket } = await import(${JSON.stringify(built('src/port/af-packet.js'))});
      const { Arena } = await import(${JSON.stringify(built('src/mem/arena.js'))});
      try {
        openAfPacket({ id: 0, interfaceName: 'lo', arena: Arena.create(1 << 22), ringFrames: 64 });
      } catch (error) {
        console.log(error.name, error.code, error.message);
      }`;
    const powerless = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all', process.execPath];
    const bed = new VethBed();
    const said = runIn(bed.namespace, [...powerless, '--input-type=module', '-e', source]);
    void bed.remove();
    expect(said).toMatch(/^PortError EPERM interface lo: socket\(AF_PACKET\) failed with EPERM \(needs CAP_NET_RAW/);
  });

  it('an interface that is down can be opened, refuses to send, and works once it is up', async () => {
    const bed = new VethBed('ab');
    bed.down('a');
    const [a, b] = [bed.open('a'), bed.open('b')];
    expect([a.say([numbered(1)]), a.count('transmit_refused')]).toEqual([0, 1]);
    bed.up('a');
    await until(() => a.say([numbered(2)]) === 1);
    expect((await b.listen(1)).map(numberOf)).toEqual([2]);
    await bed.remove();
  });

  it('close gives the memory back, zeroed, and the descriptor', async () => {
    const bed = new VethBed('ab');
    const before = openFiles();
    const [a, b] = [bed.open('a'), bed.open('b')];
    a.say([numbered(1)]);
    await b.listen(1);
    const { ringOffset, slotBytes } = b.description;
    const ring = () => b.arena.bytes.subarray(ringOffset, ringOffset + 64 * slotBytes);
    expect(ring().some(byte => byte !== 0)).toBe(true);
    bed.close(b);
    bed.close(a);
    expect(openFiles()).toBe(before);
    expect(ring().every(byte => byte === 0)).toBe(true);
    ring().fill(0xff);
    expect(hex(ring().slice(0, 4))).toBe('ff ff ff ff');
    await bed.remove();
  });

  it('a closed port is nobody’s: its handle is refused until another open has it', async () => {
    const bed = new VethBed('a');
    const a = bed.open('a');
    const { handle } = a.port;
    bed.close(a);
    expect(() => loadShim().statistics(handle, new Int32Array(2))).toThrow('port handle');
    expect(bed.open('a').port.handle).toBe(handle);
    await bed.remove();
  });
});

function requirePython(): string | undefined {
  return spawnSync('python3', ['-c', '']).status === 0 ? undefined : skip('python3 is not installed');
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

function built(path: string): string {
  return new URL(`../../dist/${path}`, import.meta.url).href;
}

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !holds(); tries++) await new Promise(resolve => setTimeout(resolve, 2));
}
