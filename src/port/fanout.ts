/**
 * The classic-BPF program that spreads the frames of one interface over the sockets of a PACKET_FANOUT group, one
 * socket per lane.
 *
 *     UDP to one of our own source ports   → the lane that owns the port (its slot table has the request)
 *     UDP to the port below the first      → lane 0, which probes the nodes from there
 *     other UDP                            → by source address and port: a client's requests keep to one lane
 *     fragments of UDP, the first too      → by source address and identification: only the first has ports
 *     ICMP "fragmentation needed"          → where the datagram that it quotes came from
 *     anything else                        → lane 0, which speaks ARP and ICMP
 *
 * The kernel runs it with offset 0 at the network header (packet_rcv_fanout precedes the push of the MAC header) and
 * takes its result modulo the number of sockets. Sockets are numbered in the order in which they joined.
 */

/** PACKET_FANOUT_CBPF of linux/if_packet.h. */
export const FANOUT_CBPF = 6;

// linux/bpf_common.h
const LD_WORD_ABS = 0x20;
const LD_HALF_ABS = 0x28;
const LD_BYTE_ABS = 0x30;
const LD_WORD_INDEXED = 0x40;
const LD_HALF_INDEXED = 0x48;
const LD_BYTE_INDEXED = 0x50;
const LDX_HEADER_LENGTH = 0xb1; // X = 4 · (byte & 15)
const STORE_A = 0x02;
const LDX_SCRATCH = 0x61;
const ADD_X = 0x0c;
const SUBTRACT = 0x14;
const DIVIDE = 0x34;
const MODULO = 0x94;
const SHIFT_RIGHT = 0x74;
const XOR_X = 0xac;
const TRANSFER_A_TO_X = 0x07;
const JUMP_ALWAYS = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_OR_EQUAL = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN_A = 0x16;
const RETURN = 0x06;
/** SKF_AD_OFF + SKF_AD_PROTOCOL: the EtherType, tag already stripped. */
const ETHERTYPE = 0xfffff000;
const ETHERTYPE_IPV4 = 0x0800;
const PROTOCOL_ICMP = 1;
const PROTOCOL_UDP = 17;
/** MORE_FRAGMENTS and the offset. */
const FRAGMENT_BITS = 0x3fff;
/** ICMP type 3, code 4. */
const FRAGMENTATION_NEEDED = 0x0304;
/** Where the quoted IPv4 header begins within an ICMP error. */
const QUOTED = 8;

type Jump = string | undefined;
/** A label for the instruction that follows, or code, k, and where a jump goes; undefined: to the next instruction. */
type Line = string | readonly [code: number, k: number, jumpTrue?: Jump, jumpFalse?: Jump];

/** UDP port that nodes are probed from: the one below the lanes' source ports. */
export function probePort(portBase: number): number {
  return portBase - 1;
}

/**
 * @param portBase first of the NF's own source ports
 * @param portsPerLane lane l owns the `portsPerLane` ports from portBase + l · portsPerLane
 * @returns struct sock_filter[]: 8 bytes an instruction, little endian
 */
export function fanoutProgram(lanes: number, portBase: number, portsPerLane: number): Uint8Array {
  /** The half word at X + `port`: to the lane that owns this port, or on when none does. */
  const toOwner = (port: number, on: string): Line[] => [
    [LD_HALF_INDEXED, port],
    [JUMP_EQUAL, probePort(portBase), 'lane 0'],
    [SUBTRACT, portBase],
    [JUMP_GREATER_OR_EQUAL, portsPerLane * lanes, on], // unsigned: a port below the base wraps and is not ours either
    [DIVIDE, portsPerLane],
    [RETURN_A, 0],
  ];
  return assemble([
    [LD_HALF_ABS, ETHERTYPE],
    [JUMP_EQUAL, ETHERTYPE_IPV4, undefined, 'lane 0'],
    [LD_BYTE_ABS, 9],
    [JUMP_EQUAL, PROTOCOL_UDP, 'udp'],
    [JUMP_EQUAL, PROTOCOL_ICMP, undefined, 'lane 0'],
    [LDX_HEADER_LENGTH, 0],
    [LD_HALF_INDEXED, 0],
    [JUMP_EQUAL, FRAGMENTATION_NEEDED, undefined, 'lane 0'],
    [LD_HALF_ABS, 6],
    [JUMP_ANY_BIT, FRAGMENT_BITS, 'lane 0'],
    [LD_BYTE_INDEXED, QUOTED],
    [JUMP_EQUAL, 0x45, undefined, 'lane 0'],
    [LD_BYTE_INDEXED, QUOTED + 9],
    [JUMP_EQUAL, PROTOCOL_UDP, undefined, 'lane 0'],
    ...toOwner(QUOTED + 20, 'about a client'),
    'about a client',
    [LD_HALF_INDEXED, QUOTED + 22],
    [STORE_A, 0],
    [LD_WORD_INDEXED, QUOTED + 16],
    [JUMP_ALWAYS, 0, 'hash'],
    'udp',
    [LD_HALF_ABS, 6],
    [JUMP_ANY_BIT, FRAGMENT_BITS, 'fragment'],
    [LDX_HEADER_LENGTH, 0],
    ...toOwner(2, 'client'),
    'client',
    [LD_HALF_INDEXED, 0],
    [JUMP_ALWAYS, 0, 'from'],
    'fragment',
    [LD_HALF_ABS, 4],
    'from',
    [STORE_A, 0],
    [LD_WORD_ABS, 12],
    'hash',
    [LDX_SCRATCH, 0],
    [ADD_X, 0],
    [TRANSFER_A_TO_X, 0],
    [SHIFT_RIGHT, 7],
    [XOR_X, 0],
    [MODULO, lanes],
    [RETURN_A, 0],
    'lane 0',
    [RETURN, 0],
  ]);
}

/** Jumps are forward only, and so many instructions far: at most 255, or any number for JUMP_ALWAYS. */
function assemble(lines: readonly Line[]): Uint8Array {
  const labels = new Map<string, number>();
  const program: Exclude<Line, string>[] = [];
  for (const line of lines) {
    if (typeof line === 'string') labels.set(line, program.length);
    else program.push(line);
  }
  const view = new DataView(new ArrayBuffer(program.length * 8));
  const distance = (to: Jump, i: number) => (to === undefined ? 0 : labels.get(to)! - i - 1);
  program.forEach(([code, k, jumpTrue, jumpFalse], i) => {
    const isAlways = code === JUMP_ALWAYS;
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, isAlways ? 0 : distance(jumpTrue, i));
    view.setUint8(i * 8 + 3, distance(jumpFalse, i));
    view.setUint32(i * 8 + 4, isAlways ? distance(jumpTrue, i) : k, true);
  });
  return new Uint8Array(view.buffer);
}
