/**
 * The twin of native/batch.cc: what a transmit does to bytes, in TypeScript, with the same names and arguments. Written
 * from port.ts, linux/virtio_net.h and IEEE 802.1Q, for clearness.
 */
import { BATCH_ROWS_MAX, FLAG_PARTIAL_CHECKSUM, FLAG_VLAN, REFUSED, VERDICT_GROUP_SHIFT } from '../../src/port/port.ts';

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
