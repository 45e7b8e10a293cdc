/**
 * The fanout program: read by a small interpreter of classic BPF and held against what it should say in plain
 * TypeScript; then by the kernel, with three sockets.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FANOUT_CBPF, fanoutProgram } from '../../src/port/fanout.ts';
import {
  arpRequest,
  icmpEcho,
  icmpUnreachable,
  ipv4Bytes,
  ipv4Frame,
  udpFragments,
  udpFrame,
} from '../support/frames.ts';
import { NOBODY_MAC, VethBed } from '../support/lane-bed-veth.ts';
import { requireNamespaces, requireShim } from '../support/requirements.ts';

/** Runs struct sock_filter[] as Linux does (net/core/filter.c): a load beyond the packet ends it with 0. */
function interpret(program: Uint8Array, packet: Uint8Array, etherType: number): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const data = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const scratch = new Uint32Array(16);
  let a = 0;
  let x = 0;
  for (let at = 0; at < program.length; at += 8) {
    const op = code.getUint16(at, true);
    const k = code.getUint32(at + 4, true);
    const kind = op & 0x07;
    if (kind === 0x06) return (op & 0x18) === 0x10 ? a : k;
    if (kind === 0x07) [a, x] = (op & 0x80) !== 0 ? [x, x] : [a, a];
    else if (kind === 0x02) scratch[k] = a;
    else if (op === 0x05)
      at += 8 * k; // always
    else if (kind === 0x05)
      at += 8 * (jumps(op, a, (op & 0x08) !== 0 ? x : k) ? code.getUint8(at + 2) : code.getUint8(at + 3));
    else if (kind === 0x04) a = calculate(op & 0xf0, a, (op & 0x08) !== 0 ? x : k);
    else {
      const value = (op & 0xe0) === 0x60 ? scratch[k]! : load(op, data, k, x, etherType);
      if (value < 0) return 0;
      if (kind === 0x00) a = value;
      else x = value;
    }
  }
  throw new Error('the program runs off its end');
}

function load(op: number, data: DataView, k: number, x: number, etherType: number): number {
  if (k === 0xfffff000) return etherType; // SKF_AD_OFF + SKF_AD_PROTOCOL
  const at = (op & 0xe0) === 0x40 ? x + k : k;
  const bytes = [4, 2, 1][(op & 0x18) >> 3]!;
  if (at + bytes > data.byteLength) return -1;
  if (op === 0xb1) return (data.getUint8(at) & 15) * 4; // the length of an IPv4 header
  return bytes === 4 ? data.getUint32(at) : bytes === 2 ? data.getUint16(at) : data.getUint8(at);
}

function jumps(op: number, a: number, b: number): boolean {
  const tests: Record<number, boolean> = { 0: true, 16: a === b, 32: a > b, 48: a >= b, 64: (a & b) !== 0 };
  return tests[op & 0xf0]!;
}

function calculate(op: number, a: number, b: number): number {
  const results: Record<number, number> = {
    0: a + b,
    16: a - b,
    32: Math.imul(a, b),
    48: Math.floor(a / b),
    80: a & b,
    112: a >>> b,
    144: a % b,
    160: a ^ b,
  };
  return results[op]! >>> 0;
}

interface Group {
  readonly lanes: number;
  readonly portBase: number;
  readonly portsPerLane: number;
}

/** What the program should say of a whole IPv4 packet. */
function expectedLane(packet: Uint8Array, { lanes, portBase, portsPerLane }: Group): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const isFragment = view.getUint16(6) % 0x4000 !== 0;
  if (view.getUint8(9) !== 17) return 0;
  if (isFragment) return mixed(view.getUint32(12), view.getUint16(4), lanes);
  const udp = (view.getUint8(0) % 16) * 4;
  const ours = view.getUint16(udp + 2) - portBase;
  if (ours >= 0 && ours < lanes * portsPerLane) return Math.floor(ours / portsPerLane);
  return mixed(view.getUint32(12), view.getUint16(udp), lanes);
}

function mixed(address: number, number: number, lanes: number): number {
  const sum = (address + number) % 2 ** 32;
  return ((sum ^ (sum >>> 7)) >>> 0) % lanes;
}

const run = (group: Group, frame: Uint8Array) => {
  const etherType = frame[12]! * 256 + frame[13]!;
  return interpret(fanoutProgram(group.lanes, group.portBase, group.portsPerLane), frame.slice(14), etherType);
};

const THREE: Group = { lanes: 3, portBase: 20_000, portsPerLane: 2 };
const ask = {
  src: '10.77.0.1',
  dst: '10.77.0.100',
  sport: 4001,
  dport: 11_211,
  dstMac: NOBODY_MAC,
  payload: 'x'.repeat(40),
};
const cut = (identification: number) =>
  udpFragments({ ...ask, src: '0.0.0.0', dport: 20_004, identification }, 24) as [Uint8Array, Uint8Array];
const [firstFragment, secondFragment] = cut(1);

/** ICMP (type 3) from a router, about a datagram; `quoted` replaces bytes of its IPv4 header. */
function unreachable(fields: Parameters<typeof udpFrame>[0], code = 4, quoted: Record<number, number> = {}) {
  const about = udpFrame(fields);
  for (const [at, byte] of Object.entries(quoted)) about[14 + Number(at)] = byte;
  return icmpUnreachable({ ...ask, src: '10.77.9.9', code, mtu: 600, about });
}
const toClient = { ...ask, src: '10.77.0.100', sport: 11_211, dst: '0.0.0.1', dport: 4 };
const toNode = { ...ask, src: '10.77.1.1', sport: 20_005, dst: '10.77.1.11' };

const rows: readonly (readonly [name: string, frame: Uint8Array, lane: number])[] = [
  ['the port below ours', udpFrame({ ...ask, src: '0.0.0.0', sport: 1, dport: 19_999 }), 1],
  ['the port above ours', udpFrame({ ...ask, src: '0.0.0.0', sport: 1, dport: 20_006 }), 1],
  ['the first lane’s first port', udpFrame({ ...ask, dport: 20_000 }), 0],
  ['the first lane’s last port', udpFrame({ ...ask, dport: 20_001 }), 0],
  ['the second lane’s first port', udpFrame({ ...ask, dport: 20_002 }), 1],
  ['the second lane’s last port', udpFrame({ ...ask, dport: 20_003 }), 1],
  ['the third lane’s first port', udpFrame({ ...ask, dport: 20_004 }), 2],
  ['the third lane’s last port', udpFrame({ ...ask, dport: 20_005 }), 2],
  ['a reply behind IPv4 options', udpFrame({ ...ask, dport: 20_004, options: Array(40).fill(1) }), 2],
  // (address + port) ^ ((address + port) >>> 7), modulo 3
  ['a client', udpFrame({ ...ask, src: '0.0.0.0', sport: 1 }), 1],
  ['the same client, another port', udpFrame({ ...ask, src: '0.0.0.0', sport: 2 }), 2],
  ['the same client, IPv4 options', udpFrame({ ...ask, src: '0.0.0.0', sport: 2, options: [1, 1, 1, 0] }), 2],
  ['a neighbour of it', udpFrame({ ...ask, src: '0.0.0.1', sport: 4 }), 2],
  ['ARP', arpRequest({ senderIp: '10.77.0.1', targetIp: '10.77.0.100' }), 0],
  ['ICMP', icmpEcho({ ...ask, identifier: 1, sequence: 1 }), 0],
  [
    'TCP to one of our ports',
    ipv4Frame({ ...ask, protocol: 6, payload: Uint8Array.of(15, 160, 78, 36, ...Array(16).fill(0)) }),
    0,
  ],
  // (address + identification) ^ ((address + identification) >>> 7), modulo 3; the ports do not count
  ['a first fragment', firstFragment, 1],
  ['a later fragment of the same', secondFragment, 1],
  ['a first fragment of another', cut(2)[0], 2],
  ['a later fragment of that', cut(2)[1], 2],
  ['“fragmentation needed” of what a client was sent', unreachable(toClient), 2],
  ['“fragmentation needed” of what a node was sent', unreachable(toNode), 2],
  ['the same, of the first lane', unreachable({ ...toNode, sport: 20_000 }), 0],
  [
    'the same, behind IPv4 options',
    ipv4Frame({ ...ask, options: [1, 1, 1, 0], protocol: 1, payload: unreachable(toNode).slice(34) }),
    2,
  ],
  ['another ICMP error', unreachable(toNode, 3), 0],
  ['of a datagram with IPv4 options', unreachable(toNode, 4, { 0: 0x46 }), 0],
  ['of TCP', unreachable(toNode, 4, { 9: 6 }), 0],
  ['that quotes too little', ipv4Frame({ ...ask, protocol: 1, payload: unreachable(toNode).slice(34, 34 + 28) }), 0],
  [
    'a fragment of it',
    ipv4Frame({ ...ask, moreFragments: true, protocol: 1, payload: unreachable(toNode).slice(34) }),
    0,
  ],
];

describe('the fanout program says which lane', () => {
  const group = fc
    .record({
      lanes: fc.integer({ min: 1, max: 64 }),
      portsPerLane: fc.integer({ min: 1, max: 16 }),
      portBase: fc.nat(60_000),
    })
    .filter(({ lanes, portsPerLane, portBase }) => portBase + lanes * portsPerLane <= 65_536);
  const ip = fc.ipV4();
  const port = fc.nat(65_535);

  it.each(rows)('%s', (_, frame, lane) => {
    expect(run(THREE, frame)).toBe(lane);
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

  const text = (frame: Uint8Array) => Buffer.from(frame).toString('hex');
});
