/**
 * What any IP host must do, for the addresses the NF owns: answer ARP (RFC 826) and ICMP echo (RFC 1122 3.2.2.6) in the
 * frame that asked.
 */
import { DROP, type Port, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, TAG_FLAGS } from '../port/port.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { COUNT } from './counters.ts';
import type { LaneMemory } from './memory.ts';
import type { Neighbours } from './neighbours.ts';

/** TTL of what the NF says itself (RFC 1700). */
export const TTL_DEFAULT = 64;
/** Shortest Ethernet frame, bytes without FCS. */
export const FRAME_BYTES_MIN = 60;
/** The I/G bit within the upper 16 bits of an Ethernet address. */
const GROUP_BIT = 0x0100;

/**
 * An ARP frame on `port`, which owns `ownAddress` (0: none). Requests for it are answered; what a next hop says of
 * itself, in a request or a reply, is learnt where `learns`. Anything else is left to others. Returns the verdict.
 */
export function handleArp(
  memory: LaneMemory,
  neighbours: Neighbours,
  learns: boolean,
  port: Port,
  batch: Int32Array,
  row: number,
  ownAddress: number,
  otherOwnAddress: number,
  nowMs: number,
): number {
  const { view } = memory;
  const offset = batch[row + ROW_OFFSET];
  const packet = offset + ethernet.HEADER_BYTES;
  if (!arp.isIpv4OverEthernet(view, packet, batch[row + ROW_LENGTH] - ethernet.HEADER_BYTES)) {
    memory.count(COUNT.drop_runt);
    return DROP;
  }
  const macHigh = arp.senderMacHigh(view, packet);
  const macLow = arp.senderMacLow(view, packet);
  // A group is nobody's address, whoever says so (RFC 1812 3.3.2).
  const isForged = (macHigh & GROUP_BIT) !== 0;
  const learnt = learns && !isForged ? neighbours.learn(arp.senderAddress(view, packet), macHigh, macLow, nowMs) : 0;
  const target = arp.targetAddress(view, packet);
  const ours = target === ownAddress || target === otherOwnAddress;
  if (!ours || target === 0 || arp.operation(view, packet) !== arp.OPERATION_REQUEST) {
    memory.count(learnt === 1 ? COUNT.arp_learned : COUNT.foreign);
    return DROP;
  }
  if (isForged) {
    memory.count(COUNT.drop_bad_source);
    return DROP;
  }
  arp.turnIntoReply(view, packet, port.macHigh, port.macLow);
  // RFC 826: to the hardware address in the packet, whatever that of the frame.
  ethernet.setDestination(view, offset, macHigh, macLow);
  ethernet.setSource(view, offset, port.macHigh, port.macLow);
  memory.count(COUNT.arp_answers);
  return port.id;
}

/** An ICMP message to one of our addresses, in a checked IPv4 packet. Only echo requests are answered. */
export function handleIcmp(memory: LaneMemory, port: Port, batch: Int32Array, row: number, ipOffset: number): number {
  const { view } = memory;
  const message = ipOffset + ipv4.headerBytes(view, ipOffset);
  const bytes = ipv4.totalLength(view, ipOffset) - ipv4.headerBytes(view, ipOffset);
  if (!icmp.isEchoRequest(view, message, bytes) || !icmp.verifyChecksum(view, message, bytes)) {
    memory.count(COUNT.drop_icmp);
    return DROP;
  }
  icmp.turnIntoEchoReply(view, message);
  ipv4.swapAddresses(view, ipOffset);
  ipv4.rewriteTtl(view, ipOffset, TTL_DEFAULT);
  ethernet.turnToSender(view, batch[row + ROW_OFFSET], port.macHigh, port.macLow);
  batch[row + ROW_FLAGS] &= TAG_FLAGS;
  memory.count(COUNT.echo_answers);
  return port.id;
}

/** Writes an ARP request for `target` as a whole frame at `offset`; returns its length. */
export function writeArpRequest(view: DataView, offset: number, port: Port, source: number, target: number): number {
  ethernet.writeHeader(
    view,
    offset,
    ethernet.BROADCAST_HIGH,
    ethernet.BROADCAST_LOW,
    port.macHigh,
    port.macLow,
    ethernet.ETHERTYPE_ARP,
  );
  arp.writeRequest(view, offset + ethernet.HEADER_BYTES, port.macHigh, port.macLow, source, target);
  const end = ethernet.HEADER_BYTES + arp.PAYLOAD_BYTES;
  for (let at = end; at < FRAME_BYTES_MIN; at++) view.setUint8(offset + at, 0);
  return FRAME_BYTES_MIN;
}
