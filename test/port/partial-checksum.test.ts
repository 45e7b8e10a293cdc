import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { completeChecksum, partialChecksumFlags } from '../../src/port/partial-checksum.ts';
import { arpRequest, fragments, icmpEcho, udpFrame } from '../support/frames.ts';
import { partialFlags, request } from '../support/lane-bed.ts';
import { assertFrameChecksums } from '../wire/slow-checksum.ts';

const NOPS = [1, 1, 1, 0];
const long = { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2, payload: 'x'.repeat(1400) };

function flagsOf(frame: Uint8Array, length = frame.length): number {
  return partialChecksumFlags(new DataView(frame.buffer, frame.byteOffset), 0, length);
}

describe('partialChecksumFlags', () => {
  test.each<[what: string, frame: Uint8Array, flags: number]>([
    ['partial', request('get k\r\n', { checksum: 'partial' }), partialFlags()],
    ['partial, with IP options', request('get k\r\n', { checksum: 'partial', options: NOPS }), partialFlags(38)],
    ['partial, with padding', request('get k\r\n', { checksum: 'partial', padding: 9 }), partialFlags()],
    ['whole', request('get k\r\n'), 0],
    ['none', request('get k\r\n', { checksum: 'zero' }), 0],
    ['wrong', request('get k\r\n', { checksum: 'bad' }), 0],
    ['of a length beyond the frame', request('get k\r\n', { checksum: 'partial', udpLength: 900 }), 0],
    ['a tagged frame', request('get k\r\n', { checksum: 'partial', vlan: 7 }), 0],
    ['a fragment', fragments({ ...long, protocol: 17 }, 400)[1]!, 0],
    ['ICMP', icmpEcho({ src: '10.0.0.1', dst: '10.0.0.2', identifier: 1, sequence: 1 }), 0],
    ['ARP', arpRequest({ senderIp: '10.0.0.1', targetIp: '10.0.0.2' }), 0],
  ])('%s', (_what, frame, flags) => expect(flagsOf(frame)).toBe(flags));

  test('a sum that is right both ways is right', () => {
    // The pseudo-header sum and the checksum agree once in 65,536 payloads.
    const both = Array.from({ length: 300_000 }, (_, n) =>
      String.fromCharCode(n >> 16, (n >> 8) & 0xff, n & 0xff),
    ).find(payload => flagsOf(udpFrame({ ...long, payload, checksum: 'partial' })) === 0);
    const frame = udpFrame({ ...long, payload: both!, checksum: 'partial' });
    assertFrameChecksums(frame);
    expect(frame).toEqual(udpFrame({ ...long, payload: both! }));
  });

  test('a cut frame is never partial, and arbitrary bytes never throw', () => {
    const frame = request('get k\r\n', { checksum: 'partial' });
    for (let length = 0; length < frame.length; length++) expect(flagsOf(frame, length)).toBe(0);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
        expect(flagsOf(bytes) & 0xff).toBeLessThanOrEqual(1);
      }),
    );
  });
});

test('completeChecksum makes a partial one whole, and leaves others alone', () => {
  for (const options of [undefined, NOPS]) {
    const frame = request('get k\r\n', { checksum: 'partial', options });
    completeChecksum(new DataView(frame.buffer), 0, flagsOf(frame));
    expect(frame).toEqual(request('get k\r\n', { options }));
    completeChecksum(new DataView(frame.buffer), 0, 0);
    expect(frame).toEqual(request('get k\r\n', { options }));
  }
});
