import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { delta16 } from '../../src/wire/checksum.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { parseIpv4 } from '../../src/wire/ipv4-text.ts';
import { hex, ipv4Frame, type PlacedFrame, placed, udpFrame } from '../support/frames.ts';
import * as golden from './golden-frames.ts';
import { assertFrameChecksums, slowChecksum } from './slow-checksum.ts';

const IP = 14;
const request = { src: '10.0.0.1', dst: '10.0.0.2', sport: 4000, dport: 11211, payload: 'mn\r\n' };

test('fields', () => {
  const { view, offset } = placed(golden.UDP_WITH_OPTIONS);
  const at = offset + IP;
  expect(ipv4.version(view, at)).toBe(4);
  expect(ipv4.headerBytes(view, at)).toBe(24);
  expect(ipv4.hasOptions(view, at)).toBe(true);
  expect(ipv4.typeOfService(view, at)).toBe(0);
  expect(ipv4.totalLength(view, at)).toBe(44);
  expect(ipv4.identification(view, at)).toBe(1);
  expect(ipv4.flagsAndFragment(view, at)).toBe(0);
  expect(ipv4.ttl(view, at)).toBe(2);
  expect(ipv4.protocol(view, at)).toBe(ipv4.PROTOCOL_UDP);
  expect(ipv4.checksum(view, at)).toBe(0x0eb4);
  expect(ipv4.source(view, at)).toBe(parseIpv4('10.77.0.11'));
  expect(ipv4.destination(view, at)).toBe(parseIpv4('10.77.0.100'));
});

describe('validate', () => {
  const options = [0x94, 4, 0, 0];
  test.each([
    ['valid', udpFrame(request), 32, 0],
    ['valid, with options', udpFrame({ ...request, options }), 36, 0],
    ['valid, trailer padding behind', udpFrame({ ...request, padding: 14 }), 46, 0],
    ['header only', ipv4Frame({ ...request, protocol: 17, payload: '' }), 20, 0],
    ['nothing', udpFrame(request), 0, ipv4.INVALID_RUNT],
    ['one byte short of a header', udpFrame(request), 19, ipv4.INVALID_RUNT],
    ['version 6', udpFrame({ ...request, version: 6 }), 32, ipv4.INVALID_VERSION],
    ['version 0', udpFrame({ ...request, version: 0 }), 32, ipv4.INVALID_VERSION],
    ['IHL 4', udpFrame({ ...request, ihl: 4 }), 32, ipv4.INVALID_IHL],
    ['IHL 0', udpFrame({ ...request, ihl: 0 }), 32, ipv4.INVALID_IHL],
    ['IHL 9 of 32 bytes', udpFrame({ ...request, ihl: 9 }), 32, ipv4.INVALID_IHL],
    ['IHL 8 of 32 bytes', udpFrame({ ...request, ihl: 8 }), 32, 0],
    ['total length 33 of 32', udpFrame({ ...request, totalLength: 33 }), 32, ipv4.INVALID_LENGTH],
    ['total length 32 of 31', udpFrame(request), 31, ipv4.INVALID_LENGTH],
    ['total length 19', udpFrame({ ...request, totalLength: 19 }), 32, ipv4.INVALID_LENGTH],
    ['total length 0', udpFrame({ ...request, totalLength: 0 }), 32, ipv4.INVALID_LENGTH],
    ['total length 23, IHL 6', udpFrame({ ...request, options, totalLength: 23 }), 36, ipv4.INVALID_LENGTH],
    ['total length 65535', udpFrame({ ...request, totalLength: 65535 }), 32, ipv4.INVALID_LENGTH],
  ])('%s', (_name, frame, available, expected) => {
    const { view, offset } = placed(frame);
    expect(ipv4.validate(view, offset + IP, available)).toBe(expected);
  });
});

describe('fragments', () => {
  test.each([
    ['whole, may not be fragmented', { dontFragment: true }, false, 0, false],
    ['whole, may be', { dontFragment: false }, false, 0, false],
    ['first', { moreFragments: true }, true, 0, true],
    ['middle', { moreFragments: true, fragmentOffset: 1480 }, true, 1480, true],
    ['last', { fragmentOffset: 2960 }, true, 2960, false],
    ['the last possible', { fragmentOffset: 65528 }, true, 65528, false],
  ])('%s', (_name, fields, fragment, fragmentOffset, more) => {
    const { view, offset } = placed(udpFrame({ ...request, ...fields }));
    expect(ipv4.isFragment(view, offset + IP)).toBe(fragment);
    expect(ipv4.fragmentOffset(view, offset + IP)).toBe(fragmentOffset);
    expect(ipv4.moreFragments(view, offset + IP)).toBe(more);
  });

  test('the reserved bit makes no fragment', () => {
    const { view, offset } = placed(udpFrame(request));
    ipv4.setFlagsAndFragment(view, offset + IP, 0x8000 | ipv4.DONT_FRAGMENT);
    expect(ipv4.isFragment(view, offset + IP)).toBe(false);
  });
});

describe('checksum', () => {
  test.each(golden.UDP_FRAMES)('of %s', (_name, frame) => {
    const { view, offset } = placed(frame);
    const at = offset + (frame[12] === 0x81 ? 18 : 14);
    expect(ipv4.verifyChecksum(view, at)).toBe(true);
    expect(ipv4.computeChecksum(view, at)).toBe(ipv4.checksum(view, at));
    ipv4.setChecksum(view, at, ipv4.checksum(view, at) ^ 0x0100);
    expect(ipv4.verifyChecksum(view, at)).toBe(false);
  });

  test('any flipped bit of the header is noticed', () => {
    for (let bit = 0; bit < 24 * 8; bit++) {
      if (bit >= 4 && bit < 8) continue; // IHL: another header length, another sum
      const { view, bytes, offset } = placed(golden.UDP_WITH_OPTIONS);
      bytes[offset + IP + (bit >> 3)]! ^= 0x80 >> (bit & 7);
      expect(ipv4.verifyChecksum(view, offset + IP), `bit ${bit}`).toBe(false);
    }
  });
});

describe('rewriteX = setX and a full checksum', () => {
  type Mutator = (view: DataView, offset: number, value: number) => void;
  const pairs: [name: string, rewrite: Mutator, set: Mutator, bits: number][] = [
    ['TotalLength', ipv4.rewriteTotalLength, ipv4.setTotalLength, 16],
    ['Identification', ipv4.rewriteIdentification, ipv4.setIdentification, 16],
    ['Ttl', ipv4.rewriteTtl, ipv4.setTtl, 8],
    ['Source', ipv4.rewriteSource, ipv4.setSource, 32],
    ['Destination', ipv4.rewriteDestination, ipv4.setDestination, 32],
  ];
  test.each(pairs)('%s', (_name, rewrite, set, bits) => {
    const value = fc.integer({ min: 0, max: 2 ** bits - 1 });
    fc.assert(
      fc.property(anyHeader(), value, (header, newValue) => {
        const rewritten = placed(header);
        rewrite(rewritten.view, rewritten.offset, newValue);
        const reference = placed(header);
        set(reference.view, reference.offset, newValue);
        expect(hex(rewritten.frame())).toBe(hex(withSlowChecksum(reference)));
        rewritten.assertCanaries();
      }),
    );
  });

  test('both addresses; the delta is that of the change', () => {
    fc.assert(
      fc.property(anyHeader(), address, address, (header, from, to) => {
        const { view, offset, frame } = placed(header);
        const sumBefore = ~slowChecksum(header.slice(12, 20)) & 0xffff;
        const delta = ipv4.rewriteAddresses(view, offset, from, to);
        expect(slowChecksum(frame())).toBe(0);
        expect([ipv4.source(view, offset), ipv4.destination(view, offset)]).toEqual([from, to]);
        const sumAfter = ~slowChecksum(frame().slice(12, 20)) & 0xffff;
        expect((sumBefore + delta) % 0xffff).toBe(sumAfter % 0xffff);
      }),
    );
  });

  test('swapAddresses needs no new checksum', () => {
    const frame = placed(golden.UDP_GET);
    ipv4.swapAddresses(frame.view, frame.offset + IP);
    expect(hex(frame.frame().slice(26, 34))).toBe('0a 4d 00 64 0a 4d 00 0b');
    assertFrameChecksums(frame.frame());
  });

  test('raw changes, then one adjustment', () => {
    const frame = placed(golden.UDP_GET);
    const at = frame.offset + IP;
    const delta = delta16(0, ipv4.flagsAndFragment(frame.view, at), 0);
    ipv4.setFlagsAndFragment(frame.view, at, 0);
    ipv4.adjustChecksum(frame.view, at, delta);
    assertFrameChecksums(frame.frame());
  });

  test.each([
    [64, 63],
    [255, 254],
    [1, 0],
    [0, 255],
  ])('decrementTtl: %i → %i', (before, after) => {
    const frame = placed(udpFrame({ ...request, ttl: before }));
    expect(ipv4.decrementTtl(frame.view, frame.offset + IP)).toBe(after);
    expect(hex(frame.frame())).toBe(hex(udpFrame({ ...request, ttl: after })));
  });
});

test('writeHeader: what was written is read back, the checksum is right', () => {
  const word = fc.integer({ min: 0, max: 0xffff });
  const byte = fc.integer({ min: 0, max: 0xff });
  fc.assert(
    fc.property(word, word, word, byte, byte, address, address, (total, id, flags, hops, protocol, from, to) => {
      const frame = placed(new Uint8Array(20).fill(0xdd), 61);
      const { view, offset } = frame;
      expect(ipv4.writeHeader(view, offset, total, id, flags, hops, protocol, from, to)).toBe(offset + 20);
      expect([ipv4.version(view, offset), ipv4.headerBytes(view, offset)]).toEqual([4, 20]);
      expect(ipv4.totalLength(view, offset)).toBe(total);
      expect(ipv4.identification(view, offset)).toBe(id);
      expect(ipv4.flagsAndFragment(view, offset)).toBe(flags);
      expect([ipv4.ttl(view, offset), ipv4.protocol(view, offset)]).toEqual([hops, protocol]);
      expect([ipv4.source(view, offset), ipv4.destination(view, offset)]).toEqual([from, to]);
      expect(slowChecksum(frame.frame())).toBe(0);
      frame.assertCanaries();
    }),
  );
});

const address = fc.integer({ min: -0x80000000, max: 0x7fffffff });

/** A version 4 header of 20 … 60 bytes, the rest arbitrary, its checksum right. */
function anyHeader(): fc.Arbitrary<Uint8Array> {
  return fc.integer({ min: 5, max: 15 }).chain(ihl =>
    fc.uint8Array({ minLength: ihl * 4, maxLength: ihl * 4 }).map(bytes => {
      bytes[0] = 0x40 + ihl;
      return withSlowChecksum(placed(bytes));
    }),
  );
}

function withSlowChecksum(header: PlacedFrame): Uint8Array {
  const bytes = header.frame();
  bytes.set([0, 0], 10);
  const checksum = slowChecksum(bytes);
  bytes.set([checksum >> 8, checksum & 0xff], 10);
  return bytes;
}
