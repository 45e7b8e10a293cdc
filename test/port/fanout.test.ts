/**
 * The fanout program: read by a small interpreter of classic BPF and held against what it should say in plain
 * TypeScript; then by the kernel, with three sockets.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FANOUT_CBPF, fanoutProgram } from '../../src/port/fanout.ts';
import { ipv4Bytes, udpFragments, udpFrame } from '../support/frames.ts';
import { VethBed } from '../support/lane-bed-veth.ts';
import { requireBuild, requireNamespaces, requireShim } from '../support/requirements.ts';
import { ask, expectedLane, interpret, rows, run, THREE } from './fanout-rows.ts';

describe('the fanout program says which lane', () => {
  it.each(rows)('%s', (_, frame, lane) => {
    expect(run(THREE, frame)).toBe(lane);
  });

  it.each([1, 2, 3, 7, 64])('%i lanes: instructions a kernel takes, every jump within, a return at the end', lanes => {
    const program = fanoutProgram(lanes, 20_000, 2);
    const count = program.length / 8;
    const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
    for (let i = 0; i < count; i++) {
      if ((view.getUint16(i * 8, true) & 7) !== 5) continue;
      const always = view.getUint16(i * 8, true) === 5 ? view.getUint32(i * 8 + 4, true) : 0;
      expect(i + 1 + always).toBeLessThan(count);
      expect(i + 1 + Math.max(program[i * 8 + 2]!, program[i * 8 + 3]!)).toBeLessThan(count);
    }
    expect(view.getUint16((count - 1) * 8, true) & 7).toBe(6);
  });

  const group = fc
    .record({
      lanes: fc.integer({ min: 1, max: 64 }),
      portsPerLane: fc.integer({ min: 1, max: 16 }),
      portBase: fc.integer({ min: 1, max: 60_000 }),
    })
    .filter(({ lanes, portsPerLane, portBase }) => portBase + lanes * portsPerLane <= 65_536);
  const ip = fc.ipV4();
  const port = fc.nat(65_535);

  it('property: as it is said in plain TypeScript, for any UDP packet and any division of ports', () => {
    const options = fc.nat(10).map(words => Array(words * 4).fill(1));
    fc.assert(
      fc.property(
        group,
        ip,
        ip,
        port,
        fc.double({ noNaN: true, min: 0, max: 1 }),
        options,
        fc.boolean(),
        (g, src, dst, sport, near, bytes, ours) => {
          const dport = ours
            ? g.portBase + Math.floor(near * (g.lanes * g.portsPerLane - 1))
            : Math.floor(near * 65_535);
          const frame = udpFrame({ src, dst, sport, dport, options: bytes, payload: '' });
          expect(run(g, frame)).toBe(expectedLane(frame.slice(14), g));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('property: all fragments of a datagram go to one lane', () => {
    const identification = fc.nat(65_535);
    fc.assert(
      fc.property(group, ip, ip, port, port, identification, (g, src, dst, sport, dport, id) => {
        const pieces = udpFragments({ src, dst, sport, dport, identification: id, payload: 'x'.repeat(60) }, 24);
        const lanes = pieces.map(piece => run(g, piece));
        expect(new Set([...lanes, expectedLane(pieces[0]!.slice(14), g)]).size).toBe(1);
      }),
    );
  });

  it('property: arbitrary bytes are some lane’s, never beyond the last', () => {
    fc.assert(
      fc.property(
        group,
        fc.uint8Array({ maxLength: 100 }),
        fc.constantFrom(0x0800, 0x0806, 0x86dd),
        (g, packet, type) => {
          expect(interpret(fanoutProgram(g.lanes, g.portBase, g.portsPerLane), packet, type)).toBeLessThan(g.lanes);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('spreads clients evenly: neighbours by address as well as by port', () => {
    const program = fanoutProgram(4, 20_000, 1);
    const packet = udpFrame(ask).slice(14);
    for (const spread of ['address', 'port'] as const) {
      const load = [0, 0, 0, 0];
      for (let i = 0; i < 4000; i++) {
        if (spread === 'address') packet.set(ipv4Bytes(`10.77.${i >> 8}.${i & 255}`), 12);
        else packet.set([(32_768 + i) >> 8, i & 255], 20);
        load[interpret(program, packet, 0x0800)]! += 1;
      }
      expect(Math.min(...load)).toBeGreaterThan(800);
    }
  });
});

describe.skipIf(requireNamespaces() ?? requireShim())('three sockets in one group of the kernel', () => {
  it('hear what the program says: each flow on its lane, each frame once', async () => {
    const bed = new VethBed('ab');
    const sender = bed.open('a');
    const program = fanoutProgram(THREE.lanes, THREE.portBase, THREE.portsPerLane);
    const fanout = { group: process.pid & 0xffff, type: FANOUT_CBPF, program };
    const lanes = [0, 1, 2].map(() => bed.open('b', { fanout }));
    const flows = Array.from({ length: 30 }, (_, i) =>
      udpFrame({ ...ask, src: `10.77.0.${i + 1}`, sport: 40_000 + i }),
    );
    const frames = [...rows.map(([, frame]) => frame), ...flows];
    expect(sender.say(frames)).toBe(frames.length);

    const wanted = [0, 1, 2].map(lane => frames.filter(frame => run(THREE, frame) === lane).map(text));
    expect(Math.min(...wanted.map(list => list.length))).toBeGreaterThan(5);
    const heard = await Promise.all(lanes.map((port, lane) => port.listen(wanted[lane]!.length)));
    expect(heard.map(list => list.map(({ frame }) => text(frame)))).toEqual(wanted);
    expect(lanes.map(port => port.take())).toEqual([[], [], []]);
    await bed.remove();
  });

  it.skipIf(requireBuild())('that join while frames come hear from the first only what is theirs', async () => {
    const bed = new VethBed('ab');
    const talker = new Worker(TALK, { eval: true, workerData: bed.interfaceOf('a') });
    await once(talker, 'message');
    const program = fanoutProgram(2, THREE.portBase, THREE.portsPerLane);
    for (let round = 0; round < 20; round++) {
      const fanout = { group: (process.pid + 1 + round) & 0xffff, type: FANOUT_CBPF, program };
      const lanes = [0, 1].map(() => bed.open('b', { fanout, ringFrames: 1024 }));
      expect((await lanes[0]!.listen(1)).length).toBeGreaterThan(0);
      expect(lanes[1]!.take()).toEqual([]);
      for (const port of lanes) bed.close(port);
    }
    await talker.terminate();
    await bed.remove();
  });

  const text = (frame: Uint8Array) => Buffer.from(frame).toString('hex');
});

/** A thread that sends frames as fast as it can; the program sends them to lane 0. */
const TALK = `
  const { parentPort, workerData } = require('node:worker_threads');
  const built = ${JSON.stringify(new URL('../../dist/src/', import.meta.url).href)};
  Promise.all([import(built + 'mem/arena.js'), import(built + 'port/af-packet.js')]).then(([{ Arena }, { openAfPacket }]) => {
    const arena = Arena.create(1 << 20);
    const port = openAfPacket({ id: 0, interfaceName: workerData, arena, ringFrames: 64 });
    const batch = new Int32Array(arena.buffer, arena.allocate(1024), 256);
    for (let row = 0; row < 256; row += 4) {
      const offset = port.claim();
      arena.bytes.set([2, 0x4b, 0x53, 0, 0, 0x99, 2, 0, 0, 0, 0, 1, 0x88, 0xb5], offset);
      batch.set([offset, 60, 0, 0], row);
    }
    parentPort.postMessage('talking');
    for (;;) port.transmit(batch, 64);
  });`;
