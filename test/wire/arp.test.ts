import { describe, expect, test } from 'vitest';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { parseIpv4 } from '../../src/wire/ipv4-text.ts';
import { arpReply, arpRequest, hex, placed } from '../support/frames.ts';
import { ARP_REPLY, ARP_REQUEST } from './golden-frames.ts';

test('fields of a request', () => {
  const { view, offset } = placed(ARP_REQUEST);
  const at = offset + 14;
  expect(arp.isIpv4OverEthernet(view, at, 46)).toBe(true);
  expect(arp.operation(view, at)).toBe(arp.OPERATION_REQUEST);
  expect([arp.senderMacHigh(view, at), arp.senderMacLow(view, at)]).toEqual([0x0242, 0x0a4d000b]);
  expect(arp.senderAddress(view, at)).toBe(parseIpv4('10.77.0.11'));
  expect([arp.targetMacHigh(view, at), arp.targetMacLow(view, at)]).toEqual([0, 0]);
  expect(arp.targetAddress(view, at)).toBe(parseIpv4('10.77.0.100'));
});

describe('isIpv4OverEthernet', () => {
  test.each([
    ['the whole payload', 0, 0x00, 28, true],
    ['one byte short', 0, 0x00, 27, false],
    ['nothing', 0, 0x00, 0, false],
    ['hardware type 6 (IEEE 802)', 1, 0x06, 28, false],
    ['hardware type 0x0101', 0, 0x01, 28, false],
    ['protocol type IPv6', 2, 0x86, 28, false],
    ['hardware length 8', 4, 0x08, 28, false],
    ['protocol length 16', 5, 0x10, 28, false],
    ['an unknown operation is for the caller', 7, 0x09, 28, true],
  ])('%s', (_name, position, byte, available, expected) => {
    const { view, bytes, offset } = placed(ARP_REQUEST);
    bytes[offset + 14 + position] = byte;
    expect(arp.isIpv4OverEthernet(view, offset + 14, available)).toBe(expected);
  });
});

test('a request is written whole, over dirt', () => {
  const frame = placed(new Uint8Array(ARP_REQUEST.length).fill(0xdd), 63);
  const { view, offset } = frame;
  const at = ethernet.writeHeader(view, offset, 0xffff, -1, 0x0242, 0x0a4d000b, ethernet.ETHERTYPE_ARP);
  arp.writeRequest(view, at, 0x0242, 0x0a4d000b, parseIpv4('10.77.0.11'), parseIpv4('10.77.0.100'));
  expect(hex(frame.frame().slice(0, 42))).toBe(hex(ARP_REQUEST.slice(0, 42)));
  expect(
    frame
      .frame()
      .slice(42)
      .every(byte => byte === 0xdd),
  ).toBe(true);
  frame.assertCanaries();
});

test('a request becomes its reply in place', () => {
  const frame = placed(ARP_REQUEST);
  ethernet.turnToSender(frame.view, frame.offset, 0x0200, 0x00000100);
  arp.turnIntoReply(frame.view, frame.offset + 14, 0x0200, 0x00000100);
  expect(hex(frame.frame())).toBe(hex(ARP_REPLY));
  frame.assertCanaries();
});

test('a tagged request becomes a tagged reply', () => {
  const addresses = { senderIp: '10.0.0.1', targetIp: '10.0.0.2', vlan: 7 };
  const frame = placed(arpRequest({ ...addresses, srcMac: '02:00:00:00:00:aa' }));
  const at = ethernet.networkOffset(frame.view, frame.offset, frame.length);
  ethernet.turnToSender(frame.view, frame.offset, 0x0200, 0x000000bb);
  arp.turnIntoReply(frame.view, at, 0x0200, 0x000000bb);
  const macs = { srcMac: '02:00:00:00:00:bb', dstMac: '02:00:00:00:00:aa' };
  expect(hex(frame.frame())).toBe(hex(arpReply({ ...macs, senderIp: '10.0.0.2', targetIp: '10.0.0.1', vlan: 7 })));
});
