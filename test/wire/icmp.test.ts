import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as icmp from '../../src/wire/icmp.ts';
import { hex, icmpEcho, icmpUnreachable, placed, udpFrame } from '../support/frames.ts';
import { ECHO_REQUEST } from './golden-frames.ts';
import { assertFrameChecksums } from './slow-checksum.ts';

const ICMP = 34;
const ping = { src: '10.0.0.1', dst: '10.0.0.2', identifier: 7, sequence: 3 };

test('fields', () => {
  const { view, offset } = placed(ECHO_REQUEST);
  const at = offset + ICMP;
  expect([icmp.type(view, at), icmp.code(view, at)]).toEqual([icmp.TYPE_ECHO_REQUEST, 0]);
  expect([icmp.identifier(view, at), icmp.sequence(view, at)]).toEqual([1, 1]);
  expect(icmp.checksum(view, at)).toBe(0x4d5a);
  expect(icmp.verifyChecksum(view, at, 40)).toBe(true);
  expect(icmp.computeChecksum(view, at, 40)).toBe(0x4d5a);
});

describe('isEchoRequest', () => {
  test.each([
    ['header alone', 8, 0, 8, true],
    ['one byte short', 8, 0, 7, false],
    ['nothing', 8, 0, 0, false],
    ['a reply', 0, 0, 40, false],
    ['unreachable', 3, 3, 40, false],
    ['code 1', 8, 1, 40, false],
  ])('%s', (_name, type, code, available, expected) => {
    const { view, bytes, offset } = placed(ECHO_REQUEST);
    bytes[offset + ICMP] = type;
    bytes[offset + ICMP + 1] = code;
    expect(icmp.isEchoRequest(view, offset + ICMP, available)).toBe(expected);
  });
});

test('verifyChecksum refuses a wrong one', () => {
  const { view, offset } = placed(icmpEcho({ ...ping, checksum: 'bad' }));
  expect(icmp.verifyChecksum(view, offset + ICMP, 40)).toBe(false);
});

describe('turnIntoEchoReply', () => {
  test('the well-known reply: 55 5a', () => {
    const frame = placed(ECHO_REQUEST);
    icmp.turnIntoEchoReply(frame.view, frame.offset + ICMP);
    expect(hex(frame.frame().slice(ICMP, ICMP + 8))).toBe('00 00 55 5a 00 01 00 01');
    expect(frame.frame().slice(ICMP + 8)).toEqual(ECHO_REQUEST.slice(ICMP + 8));
    frame.assertCanaries();
  });

  test('any request: the checksum of the reply is right', () => {
    const word = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(word, word, fc.uint8Array({ maxLength: 64 }), (identifier, sequence, payload) => {
        const frame = placed(icmpEcho({ ...ping, identifier, sequence, payload }));
        icmp.turnIntoEchoReply(frame.view, frame.offset + ICMP);
        assertFrameChecksums(frame.frame());
        expect(icmp.verifyChecksum(frame.view, frame.offset + ICMP, frame.length - ICMP)).toBe(true);
      }),
    );
  });

  test.each([
    ['nothing but zeros: must be ffff, not 0', 0, 0, '\0\0\0\0', 'ff ff'],
    ['the rest sums to −0', 0xfff0, 0x000f, '', 'ff ff'],
  ])('%s', (_name, identifier, sequence, payload, checksum) => {
    const frame = placed(icmpEcho({ ...ping, identifier, sequence, payload }));
    icmp.turnIntoEchoReply(frame.view, frame.offset + ICMP);
    expect(hex(frame.frame().slice(ICMP + 2, ICMP + 4))).toBe(checksum);
    assertFrameChecksums(frame.frame());
  });
});

describe('fragmentation needed', () => {
  const about = udpFrame({ src: '10.0.0.2', dst: '10.0.0.9', sport: 11_211, dport: 4000, payload: 'x'.repeat(1000) });
  const error = { src: '10.0.0.1', dst: '10.0.0.2', mtu: 600, about };

  test.each([
    ['it is', {}, 0, true],
    ['with as little as RFC 792 promises', { quotedBytes: 28 }, 0, true],
    ['with less', { quotedBytes: 27 }, 0, false],
    ['cut short', {}, 529, false],
    ['another code', { code: 3 }, 0, false],
  ])('isFragmentationNeeded: %s', (_name, fields, less, expected) => {
    const frame = placed(icmpUnreachable({ ...error, ...fields }));
    const bytes = frame.length - ICMP - less;
    expect(icmp.isFragmentationNeeded(frame.view, frame.offset + ICMP, bytes)).toBe(expected);
  });

  test('is read, and written as a router writes it', () => {
    const theirs = icmpUnreachable(error);
    const frame = placed(theirs);
    const at = frame.offset + ICMP;
    expect(icmp.nextHopMtu(frame.view, at)).toBe(600);
    frame.bytes.fill(0xee, at, at + icmp.HEADER_BYTES);
    icmp.writeFragmentationNeeded(frame.view, at, 600, 548);
    expect(hex(frame.frame())).toBe(hex(theirs));
    frame.assertCanaries();
  });
});
