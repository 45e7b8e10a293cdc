/** What fanout programs say, for the kernels' answers to be held against: an interpreter, and rows that need thought. */
import { fanoutProgram } from '../../src/port/fanout.ts';
import { arpRequest, icmpEcho, icmpUnreachable, ipv4Frame, udpFragments, udpFrame } from '../support/frames.ts';
import { NOBODY_MAC } from '../support/lane-bed-veth.ts';

/** Runs struct sock_filter[] as Linux does (net/core/filter.c): a load beyond the packet ends it with 0. */
export function interpret(program: Uint8Array, packet: Uint8Array, etherType: number): number {
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

export interface Group {
  readonly lanes: number;
  readonly portBase: number;
  readonly portsPerLane: number;
}

/** What the program should say of a whole IPv4 packet. */
export function expectedLane(packet: Uint8Array, { lanes, portBase, portsPerLane }: Group): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const isFragment = view.getUint16(6) % 0x4000 !== 0;
  if (view.getUint8(9) !== 17) return 0;
  if (isFragment) return mixed(view.getUint32(12), view.getUint16(4), lanes);
  const udp = (view.getUint8(0) % 16) * 4;
  const ours = view.getUint16(udp + 2) - portBase;
  if (ours === -1) return 0;
  if (ours >= 0 && ours < lanes * portsPerLane) return Math.floor(ours / portsPerLane);
  return mixed(view.getUint32(12), view.getUint16(udp), lanes);
}

function mixed(address: number, number: number, lanes: number): number {
  const sum = (address + number) % 2 ** 32;
  return ((sum ^ (sum >>> 7)) >>> 0) % lanes;
}

export const run = (group: Group, frame: Uint8Array) => {
  const etherType = frame[12]! * 256 + frame[13]!;
  return interpret(fanoutProgram(group.lanes, group.portBase, group.portsPerLane), frame.slice(14), etherType);
};

export const THREE: Group = { lanes: 3, portBase: 20_000, portsPerLane: 2 };
export const ask = {
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

export const rows: readonly (readonly [name: string, frame: Uint8Array, lane: number])[] = [
  ['the port below ours, that probes leave by', udpFrame({ ...ask, src: '0.0.0.0', sport: 1, dport: 19_999 }), 0],
  ['the port below that', udpFrame({ ...ask, src: '0.0.0.0', sport: 1, dport: 19_998 }), 1],
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
