/**
 * Arbitrary bytes through the calls a lane makes, in its order: nothing throws and nothing outside the frame is
 * touched. The frame ends where the memory ends, so a read beyond a length that validated would throw.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udp from '../../src/wire/udp.ts';
import { arpRequest, icmpEcho, placed, udpFrame } from '../support/frames.ts';

const FOREIGN = 0;
const ANSWERED_ARP = 1;
const ANSWERED_ECHO = 2;
const STEERED = 3;

function handle(view: DataView, offset: number, length: number): number {
  const network = ethernet.networkOffset(view, offset, length);
  if (network < 0 || ethernet.isGroupSource(view, offset)) return FOREIGN;
  const available = offset + length - network;
  const etherType = ethernet.networkEtherType(view, network);
  if (etherType === ethernet.ETHERTYPE_ARP) return handleArp(view, offset, network, available);
  if (etherType !== ethernet.ETHERTYPE_IPV4 || ipv4.validate(view, network, available) !== 0) return FOREIGN;
  const transport = network + ipv4.headerBytes(view, network);
  const transportBytes = network + ipv4.totalLength(view, network) - transport;
  ipv4.verifyChecksum(view, network);
  ipv4.decrementTtl(view, network);
  if (ipv4.isFragment(view, network)) return FOREIGN;
  if (ipv4.protocol(view, network) === ipv4.PROTOCOL_ICMP) return handleIcmp(view, network, transport, transportBytes);
  if (ipv4.protocol(view, network) === ipv4.PROTOCOL_UDP) return handleUdp(view, network, transport, transportBytes);
  return FOREIGN;
}

function handleArp(view: DataView, offset: number, at: number, available: number): number {
  if (!arp.isIpv4OverEthernet(view, at, available)) return FOREIGN;
  ethernet.turnToSender(view, offset, 0x0200, 2);
  arp.turnIntoReply(view, at, 0x0200, 2);
  return ANSWERED_ARP;
}

function handleIcmp(view: DataView, network: number, at: number, available: number): number {
  if (!icmp.isEchoRequest(view, at, available)) return FOREIGN;
  icmp.verifyChecksum(view, at, available);
  ipv4.swapAddresses(view, network);
  icmp.turnIntoEchoReply(view, at);
  return ANSWERED_ECHO;
}

function handleUdp(view: DataView, network: number, at: number, available: number): number {
  if (udp.validate(view, at, available) !== 0) return FOREIGN;
  udp.verifyChecksum(view, network, at, udp.length(view, at));
  udp.adjustChecksum(view, at, ipv4.rewriteAddresses(view, network, 0x0a000001, 0x0a000002));
  udp.rewritePorts(view, at, 20480, 11211);
  udp.setChecksum(view, at, udp.computeChecksum(view, network, at, udp.length(view, at)));
  return STEERED;
}

const addresses = { src: '10.0.0.1', dst: '10.0.0.2' };
const seeds: [name: string, frame: Uint8Array, outcome: number][] = [
  ['UDP', udpFrame({ ...addresses, sport: 1, dport: 2, payload: 'get a\r\n' }), STEERED],
  ['UDP, tagged', udpFrame({ ...addresses, sport: 1, dport: 2, payload: 'get a\r\n', vlan: 5 }), STEERED],
  ['UDP, options', udpFrame({ ...addresses, sport: 1, dport: 2, payload: 'a', options: [7, 4, 4, 0] }), STEERED],
  ['UDP, padded', udpFrame({ ...addresses, sport: 1, dport: 2, payload: '', padding: 18 }), STEERED],
  ['ICMP', icmpEcho({ ...addresses, identifier: 1, sequence: 2 }), ANSWERED_ECHO],
  ['ARP', arpRequest({ senderIp: '10.0.0.1', targetIp: '10.0.0.2', padding: 18 }), ANSWERED_ARP],
];

/** Runs the frame once between canaries and once at the very end of its memory. */
function run(frame: Uint8Array): number {
  const canaries = placed(frame);
  const outcome = handle(canaries.view, canaries.offset, canaries.length);
  canaries.assertCanaries();
  const atEnd = frame.slice();
  expect(handle(new DataView(atEnd.buffer), 0, atEnd.length)).toBe(outcome);
  expect(atEnd).toEqual(canaries.frame());
  return outcome;
}

test.each(seeds)('%s is handled', (_name, frame, outcome) => {
  expect(run(frame)).toBe(outcome);
});

test.each(seeds)('%s, cut anywhere', (_name, frame) => {
  for (let length = 0; length < frame.length; length++) run(frame.slice(0, length));
});

test.each(seeds)('%s, any bytes changed', (_name, frame) => {
  const damage = fc.array(fc.tuple(fc.nat(frame.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
  fc.assert(
    fc.property(damage, fc.nat(frame.length), (changes, cut) => {
      const damaged = frame.slice();
      for (const [at, byte] of changes) damaged[at] = byte;
      run(cut % 3 === 0 ? damaged.slice(0, cut) : damaged);
    }),
    { numRuns: 500 },
  );
});

test('any bytes at all', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      run(bytes);
    }),
    { numRuns: 1000 },
  );
});
