/** Ports that are one VLAN each: whose frames are taken, and which tag leaves. */
import { describe, expect, it } from 'vitest';
import { FLAG_CHECKSUM_VERIFIED, FLAG_VLAN, VLAN_SHIFT } from '../../src/port/port.ts';
import { arpRequest, icmpEcho } from '../support/frames.ts';
import { ALICE, LaneBed, MC1, NF_CLIENT_MAC, OWN, reply, request, VIP } from '../support/lane-bed.ts';

const ADDRESSES = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, dst: VIP };
const GET = 'get k\r\n';
const END = 'END\r\n';
/** Priority code point 5, drop eligible. */
const PRIORITY = 0xb000;

const tag = (control: number) => FLAG_VLAN | (control << VLAN_SHIFT);

describe('a frame is of its port’s VLAN or foreign', () => {
  it.each([
    [0, 'without a tag', 0, 'requests'],
    [0, 'with a priority and no VLAN', tag(PRIORITY), 'requests'],
    [0, 'of a VLAN', tag(5), 'foreign'],
    [0, 'of nobody’s VLAN', tag(4095), 'foreign'],
    [5, 'of that VLAN', tag(5), 'requests'],
    [5, 'of that VLAN, with a priority', tag(PRIORITY | 5), 'requests'],
    [5, 'without a tag', 0, 'foreign'],
    [5, 'with no more than the number', 5 << VLAN_SHIFT, 'foreign'],
    [5, 'with a priority and no VLAN', tag(PRIORITY), 'foreign'],
    [5, 'of another VLAN', tag(6), 'foreign'],
    [5, 'of a VLAN that shares its last bits', tag(0x405), 'foreign'],
    [4094, 'of the last VLAN', tag(4094), 'requests'],
  ])('port of VLAN %i, frame %s', (clientVlan, _, flags, counter) => {
    const bed = new LaneBed({ clientVlan });
    const { sent, counted } = bed.hear('client', request(GET), { flags });
    expect(counted[counter]).toBe(1);
    expect(sent).toHaveLength(counter === 'requests' ? 1 : 0);
    expect(bed.unaccounted()).toBe(0);
  });

  it('not even ARP of another VLAN is answered', () => {
    const bed = new LaneBed({ clientVlan: 5 });
    const who = arpRequest({ srcMac: ALICE.mac, senderIp: ALICE.ip, targetIp: VIP });
    expect(bed.hear('client', who, { flags: tag(6) })).toEqual({ sent: [], counted: { foreign: 1 } });
    const { sent, counted } = bed.hear('client', who, { flags: tag(PRIORITY | 5) });
    expect(counted).toEqual({ arp_answers: 1 });
    expect(sent[0]!.flags).toBe(tag(PRIORITY | 5));
  });
});

describe('what leaves has its port’s tag, and the priority that the frame came with', () => {
  it.each([
    ['VLAN to VLAN', 5, 7, tag(PRIORITY | 5), tag(PRIORITY | 7), tag(0x3000 | 7), tag(0x3000 | 5)],
    ['untagged to VLAN', 0, 7, 0, tag(7), tag(0x3000 | 7), 0],
    ['a priority alone to VLAN', 0, 7, tag(PRIORITY), tag(PRIORITY | 7), tag(7), 0],
    ['VLAN to untagged', 5, 0, tag(PRIORITY | 5), 0, 0, tag(5)],
    ['one VLAN on both sides', 5, 5, tag(5), tag(5), tag(5), tag(5)],
  ])('%s', (_, clientVlan, serverVlan, asked, forwarded, answered, returned) => {
    const bed = new LaneBed({ clientVlan, serverVlan });
    const there = bed.hear('client', request(GET), { flags: asked | FLAG_CHECKSUM_VERIFIED });
    expect(there.sent.map(({ side, flags }) => [side, flags])).toEqual([['server', forwarded]]);
    const back = bed.hear('server', reply(END), { flags: answered });
    expect(back.sent.map(({ side, flags }) => [side, flags])).toEqual([['client', returned]]);
  });

  it('a parked frame keeps its priority; what the lane says itself has none', () => {
    const bed = new LaneBed({ clientVlan: 5, serverVlan: 7, resolved: false });
    const first = bed.hear('client', request(GET), { flags: tag(PRIORITY | 5) });
    expect(first.counted.parked).toBe(1);
    const asked = bed.wait(20);
    expect([...first.sent, ...asked.sent].map(({ side, flags }) => [side, flags])).toContainEqual(['server', tag(7)]);
    bed.resolve(MC1);
    expect(bed.turn().sent.map(({ side, flags }) => [side, flags])).toEqual([['server', tag(PRIORITY | 7)]]);
  });

  it.each([
    ['an error line', request('quit\r\n'), 'error_answers'],
    ['an echo', icmpEcho({ ...ADDRESSES, identifier: 1, sequence: 1 }), 'echo_answers'],
  ])('one arm: %s goes back as it was asked for, its checksum whole', (_, frame, counter) => {
    const bed = new LaneBed({ arms: 1, clientVlan: 9 });
    const { sent, counted } = bed.hear('client', frame, { flags: tag(0x2000 | 9) | FLAG_CHECKSUM_VERIFIED });
    expect(counted[counter]).toBe(1);
    expect(sent.map(({ flags }) => flags)).toEqual([tag(0x2000 | 9)]);
  });

  it('the node’s ARP is answered in its VLAN', () => {
    const bed = new LaneBed({ serverVlan: 7 });
    const who = arpRequest({ srcMac: MC1.mac, senderIp: MC1.ip, targetIp: OWN });
    const { sent } = bed.hear('server', who, { flags: tag(7) });
    expect(sent.map(({ side, flags }) => [side, flags])).toEqual([['server', tag(7)]]);
  });
});
