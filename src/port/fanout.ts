/**
 * The classic-BPF program that spreads the frames of one interface over the sockets of a PACKET_FANOUT group, one
 * socket per lane.
 *
 *     UDP to one of our own source ports   → the lane that owns the port (its slot table has the request)
 *     UDP to the port below the first      → lane 0, which probes the nodes from there
 *     other UDP                            → by source address and port: a client's requests keep to one lane
 *     anything else, later fragments       → lane 0, which speaks ARP and ICMP
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
const LD_HALF_INDEXED = 0x48;
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
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_OR_EQUAL = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN_A = 0x16;
const RETURN = 0x06;
/** SKF_AD_OFF + SKF_AD_PROTOCOL: the EtherType, tag already stripped. */
const ETHERTYPE = 0xfffff000;

/** Stands for the distance to the last instruction, which returns lane 0. */
const TO_LANE_0 = -1;

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

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
  const program: Instruction[] = [
    [LD_HALF_ABS, 0, 0, ETHERTYPE],
    [JUMP_EQUAL, 0, TO_LANE_0, 0x0800],
    [LD_BYTE_ABS, 0, 0, 9],
    [JUMP_EQUAL, 0, TO_LANE_0, 17],
    [LD_HALF_ABS, 0, 0, 6],
    [JUMP_ANY_BIT, TO_LANE_0, 0, 0x1fff],
    [LDX_HEADER_LENGTH, 0, 0, 0],
    [LD_HALF_INDEXED, 0, 0, 2],
    [JUMP_EQUAL, TO_LANE_0, 0, probePort(portBase)],
    [SUBTRACT, 0, 0, portBase],
    [JUMP_GREATER_OR_EQUAL, 2, 0, portsPerLane * lanes], // unsigned: a port below the base wraps and is not ours either
    [DIVIDE, 0, 0, portsPerLane],
    [RETURN_A, 0, 0, 0],
    [LD_HALF_INDEXED, 0, 0, 0],
    [STORE_A, 0, 0, 0],
    [LD_WORD_ABS, 0, 0, 12],
    [LDX_SCRATCH, 0, 0, 0],
    [ADD_X, 0, 0, 0],
    [TRANSFER_A_TO_X, 0, 0, 0],
    [SHIFT_RIGHT, 0, 0, 7],
    [XOR_X, 0, 0, 0],
    [MODULO, 0, 0, lanes],
    [RETURN_A, 0, 0, 0],
    [RETURN, 0, 0, 0],
  ];
  return encode(program);
}

function encode(program: readonly Instruction[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(program.length * 8));
  const distance = (jump: number, i: number) => (jump === TO_LANE_0 ? program.length - 2 - i : jump);
  program.forEach(([code, jumpTrue, jumpFalse, k], i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, distance(jumpTrue, i));
    view.setUint8(i * 8 + 3, distance(jumpFalse, i));
    view.setUint32(i * 8 + 4, k, true);
  });
  return new Uint8Array(view.buffer);
}
