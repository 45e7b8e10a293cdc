/**
 * The fanout program (fanout.ts) as a TAP device wants it (TUNSETSTEERINGEBPF): translated from classic BPF to eBPF, so
 * that there is one truth about which lane a frame belongs to.
 *
 * A TAP shows the program a frame from its Ethernet header on, PACKET_FANOUT from its network header on; loads move by
 * that much. Both take the result modulo the number of queues, which are numbered in the order in which they were opened.
 * A load beyond the frame ends either program with 0, lane 0.
 *
 *     classic        eBPF
 *     A              R0   (where eBPF's own packet loads put their result)
 *     X              R7
 *     M[0]           R8
 *     the frame      R6   (where packet loads look for struct __sk_buff)
 *     —              R9   keeps A while X takes a header length
 */

const CLASSIC_BYTES = 8;
const ETHERNET_BYTES = 14;

const A = 0;
const ARGUMENT = 1;
const FRAME = 6;
const X = 7;
const SCRATCH = 8;
const SAVED = 9;

// linux/bpf.h; 32-bit arithmetic has the codes of classic BPF
const MOVE_32_REGISTER = 0xbc;
const MOVE_32 = 0xb4;
const MOVE_64_REGISTER = 0xbf;
const AND_32 = 0x54;
const SHIFT_LEFT_32 = 0x64;
const TO_BIG_ENDIAN = 0xdc;
const LOAD_WORD = 0x61;
const LOAD_PACKET_BYTE = 0x30;
const JUMP = 0x05;
const EXIT = 0x95;
/** Offset of `protocol` in struct __sk_buff. */
const SKB_PROTOCOL = 16;

// linux/bpf_common.h: classes and codes of classic BPF
const CLASS = 0x07;
const CLASS_LOAD = 0x00;
const CLASS_LOAD_X = 0x01;
const CLASS_STORE = 0x02;
const CLASS_ARITHMETIC = 0x04;
const CLASS_JUMP = 0x05;
const CLASS_RETURN = 0x06;
const RETURNS_A = 0x10;
const LDX_HEADER_LENGTH = 0xb1;
const TRANSFER_A_TO_X = 0x07;
const WITH_X = 0x08;
const INDEXED = 0x40;
/** SKF_AD_OFF + SKF_AD_PROTOCOL. */
const ETHERTYPE = 0xfffff000;

interface Classic {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly k: number;
}

/** A jump's `to` is a classic instruction until all are placed. */
interface Extended {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly value?: number;
  readonly jump?: number;
}

const PROLOGUE: readonly Extended[] = [
  { code: MOVE_64_REGISTER, to: FRAME, from: ARGUMENT },
  { code: MOVE_32, to: A },
  { code: MOVE_32, to: X },
  { code: MOVE_32, to: SCRATCH },
];

/**
 * @param classic struct sock_filter[] as `fanoutProgram` writes it
 * @returns struct bpf_insn[] for BPF_PROG_TYPE_SOCKET_FILTER
 * @throws RangeError for an instruction that the fanout program does not use
 */
export function steeringProgram(classic: Uint8Array): Uint8Array {
  const translated = decode(classic).map((instruction, i) => translate(instruction, i));
  const starts: number[] = [];
  let next = PROLOGUE.length;
  for (const instructions of translated) {
    starts.push(next);
    next += instructions.length;
  }
  const resolved = [...PROLOGUE, ...translated.flat()].map((instruction, i) =>
    instruction.jump === undefined ? instruction : { ...instruction, offset: starts[instruction.jump] - i - 1 },
  );
  return encode(resolved);
}

function translate(instruction: Classic, at: number): Extended[] {
  const { code, k } = instruction;
  switch (code & CLASS) {
    case CLASS_LOAD:
      return load(code, k);
    case CLASS_LOAD_X:
      return loadX(code, k);
    case CLASS_STORE:
      return [{ code: MOVE_32_REGISTER, to: SCRATCH, from: A }];
    case CLASS_ARITHMETIC:
      return [(code & WITH_X) === 0 ? { code, to: A, value: k } : { code, to: A, from: X }];
    case CLASS_JUMP:
      if (code === JUMP) return [{ code, jump: at + 1 + k }];
      return [
        { code, to: A, value: k, jump: at + 1 + instruction.jumpTrue },
        { code: JUMP, jump: at + 1 + instruction.jumpFalse },
      ];
    case CLASS_RETURN:
      return (code & RETURNS_A) === 0 ? [{ code: MOVE_32, to: A, value: k }, { code: EXIT }] : [{ code: EXIT }];
    default:
      if (code !== TRANSFER_A_TO_X) throw new RangeError(`steering: no translation for classic BPF ${code}`);
      return [{ code: MOVE_32_REGISTER, to: X, from: A }];
  }
}

/** Packet loads have the same codes; the place is relative to another header. */
function load(code: number, k: number): Extended[] {
  const value = k + ETHERNET_BYTES;
  if (k !== ETHERTYPE) return [(code & INDEXED) === 0 ? { code, value } : { code, from: X, value }];
  return [
    { code: LOAD_WORD, to: A, from: FRAME, offset: SKB_PROTOCOL },
    { code: TO_BIG_ENDIAN, to: A, value: 16 },
  ];
}

function loadX(code: number, k: number): Extended[] {
  if (code !== LDX_HEADER_LENGTH) return [{ code: MOVE_32_REGISTER, to: X, from: SCRATCH }];
  return [
    { code: MOVE_32_REGISTER, to: SAVED, from: A },
    { code: LOAD_PACKET_BYTE, value: k + ETHERNET_BYTES },
    { code: AND_32, to: A, value: 15 },
    { code: SHIFT_LEFT_32, to: A, value: 2 },
    { code: MOVE_32_REGISTER, to: X, from: A },
    { code: MOVE_32_REGISTER, to: A, from: SAVED },
  ];
}

function decode(program: Uint8Array): Classic[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  return Array.from({ length: program.length / CLASSIC_BYTES }, (_, i) => ({
    code: view.getUint16(i * CLASSIC_BYTES, true),
    jumpTrue: view.getUint8(i * CLASSIC_BYTES + 2),
    jumpFalse: view.getUint8(i * CLASSIC_BYTES + 3),
    k: view.getUint32(i * CLASSIC_BYTES + 4, true),
  }));
}

/** struct bpf_insn: u8 code, u8 registers (to, from), s16 offset, s32 value. */
function encode(program: readonly Extended[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(program.length * 8));
  program.forEach(({ code, to = 0, from = 0, offset = 0, value = 0 }, i) => {
    view.setUint8(i * 8, code);
    view.setUint8(i * 8 + 1, to | (from << 4));
    view.setInt16(i * 8 + 2, offset, true);
    view.setInt32(i * 8 + 4, value, true);
  });
  return new Uint8Array(view.buffer);
}
