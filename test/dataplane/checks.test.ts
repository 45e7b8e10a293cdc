/** The checks of a header: the short way, for headers without options, says what the long way says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultOfAnyHeader, faultOfHeader, maySend } from '../../src/dataplane/checks.ts';
import { COUNT, LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import { placed, udpFrame } from '../support/frames.ts';
import { address } from '../support/lane-bed.ts';
import { slowChecksum } from '../wire/slow-checksum.ts';

const packet = udpFrame({ src: '10.77.0.1', dst: '10.77.0.100', sport: 1, dport: 2, payload: 'abc' }).slice(14);

interface Change {
  readonly at: number;
  readonly byte: number;
}

/** The packet with these bytes of its header changed, and perhaps its checksum put right again. */
function changed(changes: readonly Change[], isRepaired: boolean): Uint8Array {
  const copy = packet.slice();
  for (const { at, byte } of changes) copy[at] = byte;
  if (!isRepaired) return copy;
  copy.fill(0, 10, 12);
  const checksum = slowChecksum(copy.slice(0, Math.max(20, Math.min((copy[0]! & 15) * 4, copy.length))));
  copy.set([checksum >> 8, checksum & 0xff], 10);
  return copy;
}

describe('faults of a header', () => {
  const bytes = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x20, 0x40, 0x44, 0x45, 0x46, 0x4f, 0x65));
  const change = fc.record({ at: fc.nat(19), byte: bytes });

  it('property: both ways agree, about any header and any frame length', () => {
    const found = new Set<string>();
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), fc.boolean(), fc.nat(packet.length), (changes, repaired, cut) => {
        const { view, offset } = placed(changed(changes, repaired));
        const available = repaired && cut % 4 === 0 ? cut : packet.length;
        const long = available < 20 ? COUNT.drop_runt : faultOfAnyHeader(view, offset, available);
        expect(LANE_COUNTERS[faultOfHeader(view, offset, available)]).toBe(LANE_COUNTERS[long]);
        found.add(LANE_COUNTERS[long]!);
      }),
      { numRuns: 5000 },
    );
    const all = ['requests', 'drop_runt', 'drop_ip_header', 'drop_ip_checksum', 'drop_ttl_expired'];
    expect([...found].sort()).toEqual(all.sort());
  });
});

describe('who may send', () => {
  it.each([
    ['0.0.0.0', false],
    ['0.255.255.255', false],
    ['1.0.0.0', true],
    ['10.77.0.1', true],
    ['126.255.255.255', true],
    ['127.0.0.1', false],
    ['127.255.255.255', false],
    ['128.0.0.0', true],
    ['223.255.255.255', true],
    ['224.0.0.0', false],
    ['239.1.1.1', false],
    ['240.0.0.0', false],
    ['255.255.255.255', false],
  ])('%s: %s', (text, may) => {
    expect(maySend(address(text))).toBe(may);
  });
});
