/** The frame builder of test/support against the golden bytes: tests of other rooms stand on it. */

import { describe, expect, test } from 'vitest';
import {
  arpReply,
  arpRequest,
  fromHex,
  hex,
  icmpEcho,
  ipv4Frame,
  placed,
  udpFragments,
  udpFrame,
} from '../support/frames.ts';
import * as golden from './golden-frames.ts';
import { assertFrameChecksums } from './slow-checksum.ts';

const toBalancer = { srcMac: '02:42:0a:4d:00:0b', dstMac: '02:00:00:00:01:00', src: '10.77.0.11', dst: '10.77.0.100' };
const fromNode = { srcMac: '02:42:0a:4d:01:0b', dstMac: '02:00:00:00:01:01', src: '10.77.1.11', dst: '10.77.1.1' };
const get = '\x12\x34\0\0\0\x01\0\0get user:1001\r\n';
const mn = '\xbe\xef\0\0\0\x01\0\0mn\r\n';

describe('builds the golden frames', () => {
  const rows: [string, Uint8Array, Uint8Array][] = [
    [
      'get',
      udpFrame({ ...toBalancer, identification: 0x6a2f, sport: 40001, dport: 11211, payload: get }),
      golden.UDP_GET,
    ],
    [
      'options',
      udpFrame({
        ...toBalancer,
        identification: 1,
        dontFragment: false,
        ttl: 2,
        options: [0x94, 4, 0, 0],
        sport: 40002,
        dport: 11211,
        payload: mn,
      }),
      golden.UDP_WITH_OPTIONS,
    ],
    [
      'partial',
      udpFrame({
        ...toBalancer,
        identification: 0x6a30,
        sport: 40001,
        dport: 11211,
        payload: mn,
        checksum: 'partial',
      }),
      golden.UDP_PARTIAL_CHECKSUM,
    ],
    [
      'ARP reply',
      arpReply({
        srcMac: '02:00:00:00:01:00',
        dstMac: '02:42:0a:4d:00:0b',
        senderIp: '10.77.0.100',
        targetIp: '10.77.0.11',
      }),
      golden.ARP_REPLY.slice(0, 42),
    ],
    [
      'ARP request',
      arpRequest({ srcMac: '02:42:0a:4d:00:0b', senderIp: '10.77.0.11', targetIp: '10.77.0.100' }),
      golden.ARP_REQUEST.slice(0, 42),
    ],
    [
      'echo request',
      icmpEcho({
        srcMac: '8c:16:45:a0:b1:c2',
        dstMac: '00:1a:2b:3c:4d:5e',
        src: '192.168.1.10',
        dst: '192.168.1.1',
        ttl: 128,
        identification: 0x1b3c,
        dontFragment: false,
        identifier: 1,
        sequence: 1,
      }),
      golden.ECHO_REQUEST,
    ],
  ];
  test.each(rows)('%s', (_name, built, expected) => {
    expect(hex(built)).toBe(hex(expected));
  });

  test('tagged, without checksum, padded', () => {
    const miss = '\x12\x34\0\0\0\x01\0\0END\r\n';
    const tag = { vlan: 42, vlanPriority: 3, padding: 5 };
    const fields = { ...fromNode, ...tag, ttl: 63, sport: 11211, dport: 20480, payload: miss };
    const built = udpFrame({ ...fields, checksum: 'zero' });
    expect(hex(built.slice(0, -5))).toBe(hex(golden.UDP_TAGGED_NO_CHECKSUM.slice(0, -5)));
    expect(hex(built.slice(-5))).toBe('ee ee ee ee ee');
  });
});

describe('a lie is the only fault in its frame', () => {
  const fields = { ...toBalancer, sport: 40001, dport: 11211, payload: get };
  const honest = udpFrame(fields);
  const differing = (frame: Uint8Array) => Array.from(frame.keys()).filter(at => frame[at] !== honest[at]);
  test.each([
    ['version', udpFrame({ ...fields, version: 5 }), [14, 24]],
    ['IHL', udpFrame({ ...fields, ihl: 4 }), [14, 24]],
    ['total length', udpFrame({ ...fields, totalLength: 50 }), [17, 25]],
    ['UDP length', udpFrame({ ...fields, udpLength: 30 }), [39]],
    ['UDP checksum', udpFrame({ ...fields, checksum: 'bad' }), [41]],
    ['header checksum', udpFrame({ ...fields, headerChecksum: 'bad' }), [25]],
  ])('%s', (_name, frame, positions) => {
    expect(differing(frame)).toEqual(positions);
  });
});

test('fragments hold the datagram, the first alone has the UDP header', () => {
  const fields = { ...toBalancer, identification: 9, sport: 40001, dport: 11211, payload: 'x'.repeat(50) };
  const pieces = udpFragments({ ...fields, vlan: 3 }, 24);
  expect(pieces.map(piece => hex(piece.slice(24, 26)))).toEqual(['20 00', '20 03', '00 06']);
  const whole = Uint8Array.from(pieces.flatMap(piece => Array.from(piece.slice(38))));
  expect(hex(whole)).toBe(hex(udpFrame(fields).slice(34)));
  for (const piece of pieces) assertFrameChecksums(piece);
});

test('hex there and back', () => {
  expect(hex(fromHex('0A4d | ten dot\n 00 64'))).toBe('0a 4d 00 64');
  expect(() => fromHex('0')).toThrow('not pairs');
});

test('a byte before or behind the frame is noticed', () => {
  for (const at of [-1, 20]) {
    const frame = placed(new Uint8Array(20));
    frame.assertCanaries();
    frame.bytes[frame.offset + at] = 0;
    expect(() => frame.assertCanaries()).toThrow(`byte at ${at} of a frame of 20 bytes`);
  }
});

test('other protocols', () => {
  const frame = ipv4Frame({ ...toBalancer, protocol: 6, payload: 'SYN' });
  expect([frame[23], frame.length]).toEqual([6, 37]);
});
