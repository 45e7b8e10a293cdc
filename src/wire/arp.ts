/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *   0 |     hardware type (1)         |     protocol type (0x0800)    |
 *     +---------------+---------------+-------------------------------+
 *   4 | hw length (6) | pr length (4) |  operation (1 ask, 2 answer)  |
 *     +---------------+---------------+-------------------------------+
 *   8 |        sender MAC high        |       sender MAC low …        |
 *     +-------------------------------+-------------------------------+
 *  12 |       … sender MAC low        |       sender address …        |
 *     +-------------------------------+-------------------------------+
 *  16 |       … sender address        |        target MAC high        |
 *     +-------------------------------+-------------------------------+
 *  20 |                         target MAC low                        |
 *     +---------------------------------------------------------------+
 *  24 |                         target address                        |
 *     +---------------------------------------------------------------+
 *
 * Addresses are int32; a MAC is (high 16 bits, low 32 bits) as in ethernet.ts.
 * Accessors are unchecked: call `isIpv4OverEthernet` first.
 */

export const PAYLOAD_BYTES = 28;

export const OPERATION_REQUEST = 1;
export const OPERATION_REPLY = 2;

/** Hardware type 1 (Ethernet), protocol type 0x0800 (IPv4). */
const TYPES = 0x0001_0800;
/** Address lengths of both, bytes. */
const LENGTHS = 0x0604;

/** True when `available` bytes hold the only kind of ARP we speak; the operation may still be an unknown one. */
export function isIpv4OverEthernet(view: DataView, offset: number, available: number): boolean {
  return available >= PAYLOAD_BYTES && view.getInt32(offset) === TYPES && view.getUint16(offset + 4) === LENGTHS;
}

export function operation(view: DataView, offset: number): number {
  return view.getUint16(offset + 6);
}

export function senderMacHigh(view: DataView, offset: number): number {
  return view.getUint16(offset + 8);
}

export function senderMacLow(view: DataView, offset: number): number {
  return view.getInt32(offset + 10);
}

/** 0 in a probe (RFC 5227): someone asks before taking an address, and is no neighbour yet. */
export function senderAddress(view: DataView, offset: number): number {
  return view.getInt32(offset + 14);
}

export function targetMacHigh(view: DataView, offset: number): number {
  return view.getUint16(offset + 18);
}

export function targetMacLow(view: DataView, offset: number): number {
  return view.getInt32(offset + 20);
}

export function targetAddress(view: DataView, offset: number): number {
  return view.getInt32(offset + 24);
}

/**
 * Writes a whole request (`PAYLOAD_BYTES`): who has `targetIp`? With `targetIp` equal to `senderIp` it is an
 * announcement (RFC 5227), from which others update the entry they hold.
 */
export function writeRequest(
  view: DataView,
  offset: number,
  senderHigh: number,
  senderLow: number,
  senderIp: number,
  targetIp: number,
): void {
  view.setInt32(offset, TYPES);
  view.setUint16(offset + 4, LENGTHS);
  view.setUint16(offset + 6, OPERATION_REQUEST);
  setSender(view, offset, senderHigh, senderLow, senderIp);
  setTarget(view, offset, 0, 0, targetIp);
}

/** A request for an address of ours becomes the reply to it: sender and target change places, our MAC filled in. */
export function turnIntoReply(view: DataView, offset: number, macHigh: number, macLow: number): void {
  const ours = targetAddress(view, offset);
  view.setUint16(offset + 6, OPERATION_REPLY);
  setTarget(view, offset, senderMacHigh(view, offset), senderMacLow(view, offset), senderAddress(view, offset));
  setSender(view, offset, macHigh, macLow, ours);
}

function setSender(view: DataView, offset: number, macHigh: number, macLow: number, address: number): void {
  view.setUint16(offset + 8, macHigh);
  view.setInt32(offset + 10, macLow);
  view.setInt32(offset + 14, address);
}

function setTarget(view: DataView, offset: number, macHigh: number, macLow: number, address: number): void {
  view.setUint16(offset + 18, macHigh);
  view.setInt32(offset + 20, macLow);
  view.setInt32(offset + 24, address);
}
