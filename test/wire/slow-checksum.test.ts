/** The judge is judged first: published sums, and frames spoiled one bit at a time. */

import { describe, expect, test } from 'vitest';
import { fromHex, icmpEcho, udpFrame } from '../support/frames.ts';
import * as golden from './golden-frames.ts';
import { assertFrameChecksums, slowChecksum, slowPartialChecksum, slowUdpChecksum } from './slow-checksum.ts';

/** The only kind of message whose bytes sum to +0: type 0, identifier 0, sequence 0, data of zeros. */
const zeroEcho = {
  src: '10.0.0.1',
  dst: '10.0.0.2',
  type: 'reply',
  identifier: 0,
  sequence: 0,
  payload: '\0\0\0\0',
} as const;

test.each([
  ['RFC 1071 section 3: sum ddf2', '00 01 f2 03 f4 f5 f6 f7', 0x220d],
  ['nothing', '', 0xffff],
  ['zeros', '00 00 00 00', 0xffff],
  ['ones', 'ff ff ff ff', 0x0000],
  ['odd length: 0102 + 0300', '01 02 03', 0xfbfd],
  ['IPv4 header without its checksum', '4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7', 0xb861],
  ['IPv4 header with it', '4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7', 0x0000],
])('%s', (_name, bytes, checksum) => {
  expect(slowChecksum(fromHex(bytes))).toBe(checksum);
});

test('UDP checksums of the golden frames', () => {
  expect(slowUdpChecksum(golden.UDP_GET, 14)).toBe(0xb48b);
  expect(slowUdpChecksum(golden.UDP_WITH_OPTIONS, 14)).toBe(0xe946);
  expect(slowUdpChecksum(golden.UDP_COMPUTED_ZERO, 14)).toBe(0xffff);
  expect(slowPartialChecksum(golden.UDP_PARTIAL_CHECKSUM, 14)).toBe(0x152e);
});

describe('assertFrameChecksums', () => {
  const rightFrames: [string, Uint8Array][] = [
    ['UDP', golden.UDP_GET],
    ['tagged, no checksum', golden.UDP_TAGGED_NO_CHECKSUM],
    ['IPv4 options', golden.UDP_WITH_OPTIONS],
    ['computed zero', golden.UDP_COMPUTED_ZERO],
    ['ARP', golden.ARP_REQUEST],
    ['ICMP', golden.ECHO_REQUEST],
    ['ICMP of zeros, ffff', icmpEcho(zeroEcho)],
  ];
  test.each(rightFrames)('takes %s', (_name, frame) => {
    expect(() => assertFrameChecksums(frame)).not.toThrow();
  });

  const wrongFrames: [string, Uint8Array, string][] = [
    ['partial', golden.UDP_PARTIAL_CHECKSUM, 'UDP checksum is 0x152e, should be 0xe947'],
    ['IPv4 header', flipped(golden.UDP_GET, 14 + 19), 'IPv4 header checksum is 0xbb82, should be 0xbb81'],
    ['UDP payload', flipped(golden.UDP_GET, 50), 'UDP checksum is 0xb48b'],
    ['IPv4 option', flipped(golden.UDP_WITH_OPTIONS, 37), 'IPv4 header checksum'],
    ['ICMP data', flipped(golden.ECHO_REQUEST, 50), 'ICMP checksum is 0x4d5a'],
    ['ICMP of zeros, 0', withWord(icmpEcho(zeroEcho), 36, 0), 'ICMP checksum is 0x0000, should be 0xffff'],
    ['cut short', golden.UDP_GET.slice(0, 50), 'frame of 50 bytes ends'],
  ];
  test.each(wrongFrames)('refuses %s', (_name, frame, message) => {
    expect(() => assertFrameChecksums(frame)).toThrow(message);
  });

  test('of a fragment only the header is checked', () => {
    const fields = { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2, payload: 'abc', checksum: 'bad' } as const;
    expect(() => assertFrameChecksums(udpFrame({ ...fields, moreFragments: true }))).not.toThrow();
    expect(() => assertFrameChecksums(udpFrame(fields))).toThrow('UDP');
  });
});

function flipped(frame: Uint8Array, at: number): Uint8Array {
  return frame.map((byte, position) => (position === at ? byte ^ 1 : byte));
}

function withWord(frame: Uint8Array, at: number, word: number): Uint8Array {
  const copy = frame.slice();
  copy.set([word >> 8, word & 0xff], at);
  return copy;
}
