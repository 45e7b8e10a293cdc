/**
 * The twin of native/batch.cc: what a transmit does to bytes, in TypeScript, with the same names and arguments. Written
 * from port.ts, linux/virtio_net.h and IEEE 802.1Q, for clearness; of a super-frame after RFC 768, 791 and 1071.
 */
import {
  BATCH_ROWS_MAX,
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_VLAN,
  REFUSED,
  VERDICT_GROUP_SHIFT,
} from '../../src/port/port.ts';

export interface Row {
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
  verdict: number;
}

export interface Sender {
  readonly id: number;
  readonly frameBytesMax: number;
  readonly vlan: number;
  readonly joins: boolean;
}

const GROUPS = 2048;
const ETHERNET_BYTES = 14;
const ADDRESS_BYTES = 12;
const VIRTIO_BYTES = 10;

/** Numbers of the rows that `sender` sends, in the order in which they leave. */
export function arrange(rows: readonly Row[], sender: Sender): number[] {
  const chains = new Map<string, number[]>();
  let taken = 0;
  for (const [number, row] of rows.entries()) {
    if (row.verdict < 0 || (row.verdict & 0xff) !== sender.id || taken === BATCH_ROWS_MAX) continue;
    if (row.length < ETHERNET_BYTES || row.length > sender.frameBytesMax) {
      row.verdict = REFUSED;
      continue;
    }
    taken += 1;
    const group = (row.verdict >> VERDICT_GROUP_SHIFT) % GROUPS;
    const chain = group === 0 ? `row ${number}` : `group ${group}`;
    if (!chains.has(chain)) chains.set(chain, []);
    chains.get(chain)!.push(number);
  }
  return [...chains.values()].flat();
}

/** The row's frame as the kernel gets it; untagged, the header is left in the frame's headroom. */
export function dress(memory: Uint8Array, { offset, length, flags }: Row, { vlan }: Sender): Uint8Array {
  const frame = memory.slice(offset, offset + length);
  const header = virtioHeader(flags, vlan === 0 ? 0 : 4);
  if (vlan === 0) {
    memory.set(header, offset - VIRTIO_BYTES);
    return Uint8Array.from([...header, ...frame]);
  }
  const priority = (flags & FLAG_VLAN) === 0 ? 0 : (flags >>> 16) & 0xf000;
  const control = priority | vlan;
  const tag = [0x81, 0x00, control >> 8, control & 0xff];
  return Uint8Array.from([...header, ...frame.slice(0, ADDRESS_BYTES), ...tag, ...frame.slice(ADDRESS_BYTES)]);
}

/** u8 flags, u8 gso_type, u16 hdr_len, gso_size, csum_start, csum_offset; little endian. */
function virtioHeader(flags: number, shiftBytes: number): Uint8Array {
  if ((flags & FLAG_PARTIAL_CHECKSUM) === 0) return new Uint8Array(VIRTIO_BYTES);
  const start = ((flags >>> 8) & 0xff) + shiftBytes;
  return Uint8Array.of(1, 0, 0, 0, 0, 0, start & 0xff, start >> 8, 6, 0);
}

const HEADERS_BYTES = 42;

/** How many rows from order[0] on leave as one super-frame; at least 1. */
export function joinableRows(
  memory: Uint8Array,
  rows: readonly Row[],
  order: readonly number[],
  sender: Sender,
): number {
  const one = rows[order[0]!]!;
  if (!sender.joins || sender.vlan !== 0 || !isJoinable(memory, one)) return 1;
  const different = order.findIndex((number, i) => {
    const tooLong = HEADERS_BYTES + (i + 1) * (one.length - HEADERS_BYTES) > sender.frameBytesMax;
    return i > 0 && (tooLong || !isJoinable(memory, rows[number]!) || !areAlike(memory, one, rows[number]!));
  });
  return different < 0 ? order.length : different;
}

/** A datagram of a group, in an Ethernet frame of its length, that may not be fragmented and whose checksum is not ours. */
function isJoinable(memory: Uint8Array, { offset, length, flags, verdict }: Row): boolean {
  const frame = new DataView(memory.buffer, memory.byteOffset + offset, length);
  if (verdict < 1 << VERDICT_GROUP_SHIFT || length <= HEADERS_BYTES) return false;
  const isUdp = frame.getUint16(12) === 0x0800 && frame.getUint8(14) === 0x45 && frame.getUint8(23) === 17;
  const isWhole = frame.getUint16(16) === length - 14 && frame.getUint16(38) === length - 34;
  const dontFragment = frame.getUint16(20) === 0x4000;
  const isPartial = (flags & FLAG_PARTIAL_CHECKSUM) !== 0;
  const isVerified = !isPartial && (flags & FLAG_CHECKSUM_VERIFIED) !== 0 && frame.getUint16(40) !== 0;
  return isUdp && isWhole && dontFragment && (isVerified || (isPartial && ((flags >> 8) & 0xff) === 34));
}

/** The same in all but identification, checksums and payload. */
function areAlike(memory: Uint8Array, one: Row, other: Row): boolean {
  const headers = ({ offset }: Row) => {
    const bytes = memory.slice(offset, offset + HEADERS_BYTES);
    for (const blank of [18, 19, 24, 25, 40, 41]) bytes[blank] = 0;
    return bytes.join();
  };
  return one.length === other.length && one.verdict === other.verdict && headers(one) === headers(other);
}

/** The super-frame that these rows make, as the kernel gets it. */
export function join(memory: Uint8Array, rows: readonly Row[]): Uint8Array {
  const payloads = rows.map(({ offset, length }) => memory.slice(offset + HEADERS_BYTES, offset + length));
  const segment = payloads[0]!.length;
  const frame = Buffer.concat([memory.slice(rows[0]!.offset, rows[0]!.offset + HEADERS_BYTES), ...payloads]);
  frame.writeUInt16BE(frame.length - 14, 16);
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(~sum([...frame.subarray(14, 34)]) & 0xffff, 24);
  frame.writeUInt16BE(frame.length - 34, 38);
  frame.writeUInt16BE(sum([...frame.subarray(26, 34), 0, 17, ...frame.subarray(38, 40)]), 40);
  return Uint8Array.from([1, 5, HEADERS_BYTES, 0, segment & 0xff, segment >> 8, 34, 0, 6, 0, ...frame]);
}

function sum(bytes: readonly number[]): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += bytes[i]! * 256 + bytes[i + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 65536);
  return total;
}
