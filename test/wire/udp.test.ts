import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { delta16 } from '../../src/wire/checksum.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udp from '../../src/wire/udp.ts';
import { hex, placed, type UdpFields, udpFrame } from '../support/frames.ts';
import * as golden from './golden-frames.ts';
import { assertFrameChecksums, slowPartialChecksum, slowUdpChecksum } from './slow-checksum.ts';

const IP = 14;
const UDP = 34;
const request = { src: '10.0.0.1', dst: '10.0.0.2', sport: 4000, dport: 11211, payload: 'mn\r\n' };

const port = fc.integer({ min: 0, max: 0xffff });
const address = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const payload = fc.uint8Array({ maxLength: 80 });

test('fields', () => {
  const { view, offset } = placed(golden.UDP_GET);
  expect(udp.sourcePort(view, offset + UDP)).toBe(40001);
  expect(udp.destinationPort(view, offset + UDP)).toBe(11211);
  expect(udp.length(view, offset + UDP)).toBe(31);
  expect(udp.checksum(view, offset + UDP)).toBe(0xb48b);
});

describe('validate', () => {
  test.each([
    ['fits exactly', 12, 12, 0],
    ['room to spare', 12, 40, 0],
    ['empty datagram', 8, 8, 0],
    ['nothing there', 12, 0, udp.INVALID_RUNT],
    ['header cut', 12, 7, udp.INVALID_RUNT],
    ['one byte short', 12, 11, udp.INVALID_LENGTH],
    ['length 7', 7, 12, udp.INVALID_LENGTH],
    ['length 0', 0, 12, udp.INVALID_LENGTH],
    ['length 65535', 65535, 12, udp.INVALID_LENGTH],
  ])('%s', (_name, udpLength, available, expected) => {
    const { view, offset } = placed(udpFrame({ ...request, udpLength }));
    expect(udp.validate(view, offset + UDP, available)).toBe(expected);
  });
});

describe('checksum of the golden frames', () => {
  test.each([
    ['full', golden.UDP_GET, 20, true, 0xb48b],
    ['behind options', golden.UDP_WITH_OPTIONS, 24, true, 0xe946],
    ['computed zero, sent as ffff', golden.UDP_COMPUTED_ZERO, 20, true, 0xffff],
    ['partial: not a checksum until completed', golden.UDP_PARTIAL_CHECKSUM, 20, false, 0xe947],
  ])('%s', (_name, frame, headerBytes, verified, checksum) => {
    const { view, offset } = placed(frame);
    const at = offset + IP + headerBytes;
    expect(udp.verifyChecksum(view, offset + IP, at, udp.length(view, at))).toBe(verified);
    expect(udp.computeChecksum(view, offset + IP, at, udp.length(view, at))).toBe(checksum);
  });

  test('none is right, and can be computed', () => {
    const { view, offset } = placed(golden.UDP_TAGGED_NO_CHECKSUM);
    expect(udp.verifyChecksum(view, offset + 18, offset + 38, 21)).toBe(true);
    const computed = udp.computeChecksum(view, offset + 18, offset + 38, 21);
    expect(computed).toBe(slowUdpChecksum(golden.UDP_TAGGED_NO_CHECKSUM, 18));
  });

  test('the pseudo-header sum is what Linux left', () => {
    const { view, offset } = placed(golden.UDP_PARTIAL_CHECKSUM);
    expect(udp.pseudoHeaderSum(view, offset + IP, 20)).toBe(0x152e);
  });
});

describe('against the slow routine', () => {
  test('computeChecksum, verifyChecksum, pseudoHeaderSum of any datagram', () => {
    fc.assert(
      fc.property(address, address, port, port, payload, (from, to, sport, dport, data) => {
        const frame = udpFrame({ ...request, src: text(from), dst: text(to), sport, dport, payload: data });
        const { view, offset } = placed(frame);
        const length = 8 + data.length;
        expect(udp.computeChecksum(view, offset + IP, offset + UDP, length)).toBe(slowUdpChecksum(frame, IP));
        expect(udp.pseudoHeaderSum(view, offset + IP, length)).toBe(slowPartialChecksum(frame, IP));
        expect(udp.verifyChecksum(view, offset + IP, offset + UDP, length)).toBe(true);
        udp.setChecksum(view, offset + UDP, udp.checksum(view, offset + UDP) === 1 ? 2 : 1);
        const stillRight = slowUdpChecksum(frame, IP) === udp.checksum(view, offset + UDP);
        expect(udp.verifyChecksum(view, offset + IP, offset + UDP, length)).toBe(stillRight);
      }),
    );
  });

  test('the largest datagram, all ones', () => {
    const data = new Uint8Array(65507).fill(0xff);
    const frame = udpFrame({ ...request, payload: data });
    const { view, offset } = placed(frame);
    expect(udp.verifyChecksum(view, offset + IP, offset + UDP, 65515)).toBe(true);
  });
});

/** What nat mode does to a request: addresses and ports of both ends, both checksums. */
function steer(view: DataView, offset: number, from: number, to: number, fromPort: number, toPort: number): void {
  const delta = ipv4.rewriteAddresses(view, offset + IP, from, to);
  udp.adjustChecksum(view, offset + UDP, delta);
  udp.rewritePorts(view, offset + UDP, fromPort, toPort);
}

describe('rewriting', () => {
  test('addresses and ports: the frame is as if built with the new ones', () => {
    fc.assert(
      fc.property(address, address, port, port, payload, (from, to, fromPort, toPort, data) => {
        const frame = placed(udpFrame({ ...request, payload: data }));
        steer(frame.view, frame.offset, from, to, fromPort, toPort);
        const changed: UdpFields = { src: text(from), dst: text(to), sport: fromPort, dport: toPort, payload: data };
        expect(hex(frame.frame())).toBe(hex(udpFrame(changed)));
        frame.assertCanaries();
      }),
    );
  });

  test('checksum 0 stays 0', () => {
    const frame = placed(udpFrame({ ...request, checksum: 'zero' }));
    steer(frame.view, frame.offset, 0x0a000009, 0x0a000008, 20480, 11212);
    const changed: UdpFields = { ...request, src: '10.0.0.9', dst: '10.0.0.8', sport: 20480, dport: 11212 };
    expect(hex(frame.frame())).toBe(hex(udpFrame({ ...changed, checksum: 'zero' })));
  });

  test('a wrong checksum stays wrong: a rewrite does not launder a damaged datagram', () => {
    const frame = placed(udpFrame({ ...request, checksum: 'bad' }));
    steer(frame.view, frame.offset, 0x0a000009, 0x0a000008, 20480, 11212);
    expect(() => assertFrameChecksums(frame.frame())).toThrow('UDP checksum');
  });

  test('partial: follows the addresses, not the ports', () => {
    fc.assert(
      fc.property(address, address, port, port, (from, to, fromPort, toPort) => {
        const frame = placed(udpFrame({ ...request, checksum: 'partial' }));
        const { view, offset } = frame;
        udp.adjustPartialChecksum(view, offset + UDP, ipv4.rewriteAddresses(view, offset + IP, from, to));
        udp.setSourcePort(view, offset + UDP, fromPort);
        udp.setDestinationPort(view, offset + UDP, toPort);
        const changed = { ...request, src: text(from), dst: text(to), sport: fromPort, dport: toPort };
        expect(hex(frame.frame())).toBe(hex(udpFrame({ ...changed, checksum: 'partial' })));
      }),
    );
  });

  test('one port that brings the checksum to 0 is sent as ffff, and leaves it again', () => {
    const frame = placed(golden.UDP_COMPUTED_ZERO);
    const at = frame.offset + UDP;
    udp.rewriteSourcePort(frame.view, at, 40002);
    expect(udp.checksum(frame.view, at)).toBe(0xfffe);
    assertFrameChecksums(frame.frame());
    udp.rewriteSourcePort(frame.view, at, 40001);
    expect(udp.checksum(frame.view, at)).toBe(0xffff);
    udp.rewriteDestinationPort(frame.view, at, 11210);
    expect(udp.checksum(frame.view, at)).toBe(0x0001);
    assertFrameChecksums(frame.frame());
  });

  test('every value of one port', () => {
    const frame = placed(golden.UDP_GET);
    const at = frame.offset + UDP;
    for (let value = 0; value <= 0xffff; value++) {
      udp.rewriteDestinationPort(frame.view, at, value);
      if (udp.checksum(frame.view, at) === 0) expect.fail(`port ${value} gave checksum 0`);
      if (!udp.verifyChecksum(frame.view, frame.offset + IP, at, 31)) expect.fail(`port ${value}`);
    }
  });

  test('the length counts twice', () => {
    const frame = placed(udpFrame({ ...request, payload: 'ab\0\0' }));
    const { view, offset } = frame;
    const delta = delta16(delta16(0, 12, 10), 12, 10);
    udp.setLength(view, offset + UDP, 10);
    udp.adjustChecksum(view, offset + UDP, delta);
    ipv4.rewriteTotalLength(view, offset + IP, 30);
    assertFrameChecksums(frame.frame());
  });
});

test('writeHeader over dirt', () => {
  const frame = placed(new Uint8Array(12).fill(0xdd), 63);
  expect(udp.writeHeader(frame.view, frame.offset, 40001, 11211, 12)).toBe(frame.offset + 8);
  expect(hex(frame.frame())).toBe('9c 41 2b cb 00 0c 00 00 dd dd dd dd');
  frame.assertCanaries();
});

function text(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 0xff).join('.');
}
