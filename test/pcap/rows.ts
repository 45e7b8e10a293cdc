/** Captures, byte by byte, as the drafts have them; and what is in them. */
import type { CapturedFrame } from '../../src/pcap/frame.ts';

/** Spaces and `|` part fields. */
export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(/[\s|]/g, ''), 'hex'));
}

const FRAME = '0202030405060208090a0b0c88b5abcd'; // 16 bytes, a local experimental EtherType
const ODD_FRAME = '0202030405060208090a0b0c88b5ff'; // 15, so one of padding

export interface CaptureRow {
  readonly name: string;
  readonly file: Uint8Array;
  readonly frames: readonly CapturedFrame[];
}

function frame(hex: string, timeNs: bigint, more: Partial<CapturedFrame> = {}): CapturedFrame {
  const bytes = bytesOf(hex);
  return { bytes, wireBytes: bytes.length, timeNs, interface: 0, comment: '', ...more };
}

export const PCAP_US_LITTLE: CaptureRow = {
  name: 'pcap, µs, little endian',
  file: bytesOf(`
    d4c3b2a1 | 0200 0400 | 00000000 00000000 | 00000400 | 01000000
    80d1f067 | 40e20100 | 10000000 | 10000000 | ${FRAME}
    81d1f067 | 01000000 | 0f000000 | ea050000 | ${ODD_FRAME}`),
  frames: [frame(FRAME, 1_743_835_520_123_456_000n), frame(ODD_FRAME, 1_743_835_521_000_001_000n, { wireBytes: 1514 })],
};

export const PCAP_NS_BIG: CaptureRow = {
  name: 'pcap, ns, big endian',
  file: bytesOf(`
    a1b23c4d | 0002 0004 | 00000000 00000000 | 00040000 | 00000001
    67f0d180 | 075bcd15 | 00000010 | 00000010 | ${FRAME}`),
  frames: [frame(FRAME, 1_743_835_520_123_456_789n)],
};

/** 1,743,835,520,123,456,789 is 0x18334d18 49060d15. */
export const PCAPNG_LITTLE: CaptureRow = {
  name: 'pcapng, ns, little endian, comments and directions',
  file: bytesOf(`
    0a0d0d0a | 2c000000 | 4d3c2b1a 0100 0000 ffffffffffffffff
             | 0400 0800 6b65797374656572 | 0000 0000 | 2c000000
    01000000 | 28000000 | 0100 0000 00000400
             | 0200 0300 636c3000 | 0900 0100 09000000 | 0000 0000 | 28000000
    06000000 | 48000000 | 00000000 184d3318 150d0649 10000000 10000000 | ${FRAME}
             | 0100 0500 6765742061000000 | 0200 0400 01000000 | 0000 0000 | 48000000
    06000000 | 30000000 | 00000000 184d3318 160d0649 0f000000 ea050000 | ${ODD_FRAME}00 | 30000000`),
  frames: [
    frame(FRAME, 0x18334d1849060d15n, { comment: 'get a' }),
    frame(ODD_FRAME, 0x18334d1849060d16n, { wireBytes: 1514 }),
  ],
};

/**
 * What the writer never writes: big endian, default and binary resolutions, a time offset, unknown blocks and options, two
 * comments, an obsolete packet, simple packets with and without a limit, a second section.
 */
export const PCAPNG_BIG: CaptureRow = {
  name: 'pcapng, big endian, all that the writer does not write',
  file: bytesOf(`
    0a0d0d0a | 0000001c | 1a2b3c4d 0001 0002 0000000000000000 | 0000001c
    00000bad | 00000014 | deadbeef 00000000 | 00000014
    00000001 | 00000020 | 0001 0000 0000000f | 000e 0008 0000000000000064 | 00000020
    00000001 | 00000028 | 0001 0000 00000000 | 0009 0001 8a000000 | 1234 0003 aabbcc00 | 0000 0000 | 00000028
    00000001 | 00000014 | 0071 0000 00000000 | 00000014
    00000006 | 00000044 | 00000000 00000000 00000007 00000010 00000010 | ${FRAME}
             | 0001 0001 61000000 | 0001 0002 62630000 | 0000 0000 | 00000044
    00000006 | 00000030 | 00000001 00000000 00000401 00000010 00000010 | ${FRAME} | 00000030
    00000002 | 00000030 | 0001 0005 00000000 00000402 00000010 00000010 | ${FRAME} | 00000030
    00000003 | 00000020 | 00000010 | ${ODD_FRAME}00 | 00000020
    0a0d0d0a | 1c000000 | 4d3c2b1a 0100 0000 ffffffffffffffff | 1c000000
    01000000 | 14000000 | 0100 0000 00000000 | 14000000
    03000000 | 20000000 | 10000000 | ${FRAME} | 20000000`),
  frames: [
    frame(FRAME, 100_000_007_000n, { comment: 'a\nbc' }),
    frame(FRAME, 1_000_976_562n, { interface: 1 }),
    frame(FRAME, 1_001_953_125n, { interface: 1 }),
    frame(ODD_FRAME, -1n, { wireBytes: 16 }),
    frame(FRAME, -1n),
  ],
};

export const CAPTURES: readonly CaptureRow[] = [PCAP_US_LITTLE, PCAP_NS_BIG, PCAPNG_LITTLE, PCAPNG_BIG];
