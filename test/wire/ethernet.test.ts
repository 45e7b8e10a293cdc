import { describe, expect, test } from 'vitest';
import * as ethernet from '../../src/wire/ethernet.ts';
import { parseMac } from '../../src/wire/mac-text.ts';
import { BROADCAST_MAC, ethernetFrame, hex, placed } from '../support/frames.ts';
import * as golden from './golden-frames.ts';

const nothing = new Uint8Array(0);

describe('fields', () => {
  test('untagged', () => {
    const { view, offset, length } = placed(golden.UDP_GET);
    expect(ethernet.destinationHigh(view, offset)).toBe(0x0200);
    expect(ethernet.destinationLow(view, offset)).toBe(0x00000100);
    expect(ethernet.sourceHigh(view, offset)).toBe(0x0242);
    expect(ethernet.sourceLow(view, offset)).toBe(0x0a4d000b);
    expect(ethernet.etherType(view, offset)).toBe(ethernet.ETHERTYPE_IPV4);
    expect(ethernet.isTagged(view, offset)).toBe(false);
    expect(ethernet.networkOffset(view, offset, length)).toBe(offset + 14);
    expect(ethernet.networkEtherType(view, offset + 14)).toBe(ethernet.ETHERTYPE_IPV4);
  });

  test('tagged', () => {
    const { view, offset, length } = placed(golden.UDP_TAGGED_NO_CHECKSUM);
    expect(ethernet.etherType(view, offset)).toBe(ethernet.ETHERTYPE_VLAN);
    expect(ethernet.tagControl(view, offset)).toBe(0x602a);
    expect(ethernet.vlanId(ethernet.tagControl(view, offset))).toBe(42);
    expect(ethernet.networkOffset(view, offset, length)).toBe(offset + 18);
    expect(ethernet.networkEtherType(view, offset + 18)).toBe(ethernet.ETHERTYPE_IPV4);
  });

  test('the lower 32 bits of a MAC are signed', () => {
    const { view, offset } = placed(ethernetFrame({ srcMac: '02:00:ff:ff:ff:fe', etherType: 0, payload: nothing }));
    expect(ethernet.sourceLow(view, offset)).toBe(-2);
    expect(ethernet.isFrom(view, offset, 0x0200, -2)).toBe(true);
    expect(ethernet.isFrom(view, offset, 0x0200, 0xfffffffe)).toBe(true);
    expect(ethernet.isFrom(view, offset, 0x0201, -2)).toBe(false);
    expect(ethernet.isFrom(view, offset, 0x0200, -1)).toBe(false);
  });
});

describe('networkOffset', () => {
  const vlan = { vlan: 1, etherType: 0x0806, payload: nothing };
  const plain = { etherType: 0x0800, payload: nothing };
  const doubleTag = { vlan: 1, etherType: 0x8100, payload: Uint8Array.of(0, 2, 8, 0) };
  const serviceTag = { etherType: 0x88a8, payload: Uint8Array.of(0, 2, 0x81, 0, 0, 3, 8, 0) };
  test.each([
    ['plain header alone', plain, 14, 14, 0x0800],
    ['one byte short of it', plain, 13, -1, 0],
    ['nothing', plain, 0, -1, 0],
    ['tagged header alone', vlan, 18, 18, 0x0806],
    ['one byte short of it', vlan, 17, -1, 0],
    ['cut before the tag', vlan, 14, -1, 0],
    ['a second tag is not followed', doubleTag, 22, 18, ethernet.ETHERTYPE_VLAN],
    ['an 802.1ad tag is not followed', serviceTag, 22, 14, ethernet.ETHERTYPE_QINQ],
  ])('%s', (_name, fields, length, expected, etherType) => {
    const { view, offset } = placed(ethernetFrame(fields));
    const network = ethernet.networkOffset(view, offset, length);
    expect(network < 0 ? network : network - offset).toBe(expected);
    if (network >= 0) expect(ethernet.networkEtherType(view, network)).toBe(etherType);
  });
});

test.each([
  ['one station', '02:00:00:00:01:00', false, false],
  ['another', '00:ff:ff:ff:ff:ff', false, false],
  ['IPv4 multicast', '01:00:5e:00:00:01', true, false],
  ['nearly broadcast', 'ff:ff:ff:ff:ff:fe', true, false],
  ['nearly broadcast', 'fd:ff:ff:ff:ff:ff', true, false],
  ['broadcast', BROADCAST_MAC, true, true],
])('%s %s: multicast %s, broadcast %s', (_name, mac, multicast, broadcast) => {
  const to = placed(ethernetFrame({ dstMac: mac, etherType: 0, payload: nothing }));
  expect(ethernet.isMulticast(to.view, to.offset)).toBe(multicast);
  expect(ethernet.isBroadcast(to.view, to.offset)).toBe(broadcast);
  const { high, low } = parseMac(mac);
  expect(ethernet.isTo(to.view, to.offset, high, low)).toBe(true);
  expect(ethernet.isTo(to.view, to.offset, high, low ^ 1)).toBe(false);
  const from = placed(ethernetFrame({ srcMac: mac, etherType: 0, payload: nothing }));
  expect(ethernet.isGroupSource(from.view, from.offset)).toBe(multicast);
});

test('turnToSender: back to where it came from', () => {
  const frame = placed(golden.UDP_GET);
  ethernet.turnToSender(frame.view, frame.offset, 0xa0a1, 0xa2a3a4a5);
  expect(hex(frame.frame().slice(0, 14))).toBe('02 42 0a 4d 00 0b a0 a1 a2 a3 a4 a5 08 00');
  expect(frame.frame().slice(14)).toEqual(golden.UDP_GET.slice(14));
  frame.assertCanaries();
});

test('setTagControl leaves the rest', () => {
  const frame = placed(golden.UDP_TAGGED_NO_CHECKSUM);
  ethernet.setTagControl(frame.view, frame.offset, 0x0fff);
  expect(hex(frame.frame().slice(12, 18))).toBe('81 00 0f ff 08 00');
});
