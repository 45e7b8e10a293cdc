/**
 * Ethernet II (IEEE 802.3), with at most one 802.1Q tag.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *   0 |       destination high        |      destination low …        |
 *     +-------------------------------+-------------------------------+
 *   4 |       … destination low       |          source high          |
 *     +-------------------------------+-------------------------------+
 *   8 |                           source low                          |
 *     +-------------------------------+-------------------------------+
 *  12 |           EtherType           |  payload, or with 0x8100 …    |
 *     +-----+-+-----------------------+-------------------------------+
 *  14 | PCP |D|        VLAN id        |           EtherType           |  18 payload
 *     +-----+-+-----------------------+-------------------------------+
 *
 * A MAC address is two numbers: `high`, its first 16 bits (unsigned), and `low`, its last 32 bits (int32).
 * Accessors are unchecked: call `networkOffset` first.
 */

export const HEADER_BYTES = 14;
export const VLAN_TAG_BYTES = 4;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
/** 802.1Q customer tag. */
export const ETHERTYPE_VLAN = 0x8100;
/** 802.1ad service tag: not followed. */
export const ETHERTYPE_QINQ = 0x88a8;

export const BROADCAST_HIGH = 0xffff;
export const BROADCAST_LOW = -1;

/** I/G, the first bit on the wire: set for a group (multicast, broadcast), clear for one station. */
const GROUP_BIT = 0x01;
const VLAN_ID_MASK = 0x0fff;

export function destinationHigh(view: DataView, offset: number): number {
  return view.getUint16(offset);
}

export function destinationLow(view: DataView, offset: number): number {
  return view.getInt32(offset + 2);
}

export function sourceHigh(view: DataView, offset: number): number {
  return view.getUint16(offset + 6);
}

export function sourceLow(view: DataView, offset: number): number {
  return view.getInt32(offset + 8);
}

export function setDestination(view: DataView, offset: number, high: number, low: number): void {
  view.setUint16(offset, high);
  view.setInt32(offset + 2, low);
}

export function setSource(view: DataView, offset: number, high: number, low: number): void {
  view.setUint16(offset + 6, high);
  view.setInt32(offset + 8, low);
}

/** Makes the frame go back where it came from: destination = source, source = the given address. */
export function turnToSender(view: DataView, offset: number, high: number, low: number): void {
  setDestination(view, offset, sourceHigh(view, offset), sourceLow(view, offset));
  setSource(view, offset, high, low);
}

/** The field right after the addresses; ETHERTYPE_VLAN in a tagged frame. See `networkEtherType`. */
export function etherType(view: DataView, offset: number): number {
  return view.getUint16(offset + 12);
}

export function isTagged(view: DataView, offset: number): boolean {
  return etherType(view, offset) === ETHERTYPE_VLAN;
}

/** Priority, drop-eligible bit and VLAN id of a tagged frame. */
export function tagControl(view: DataView, offset: number): number {
  return view.getUint16(offset + 14);
}

export function setTagControl(view: DataView, offset: number, control: number): void {
  view.setUint16(offset + 14, control);
}

/** VLAN id within a tag control word, 0 … 4095 (0: priority only). */
export function vlanId(control: number): number {
  return control & VLAN_ID_MASK;
}

/**
 * Where the network header begins, following at most one 802.1Q tag: an offset into `view`, or −1 for a runt. `length`
 * is the frame's, bytes. A second tag, or an 802.1ad one, is left for `networkEtherType` to show.
 */
export function networkOffset(view: DataView, offset: number, length: number): number {
  if (length < HEADER_BYTES) return -1;
  if (!isTagged(view, offset)) return offset + HEADER_BYTES;
  return length < HEADER_BYTES + VLAN_TAG_BYTES ? -1 : offset + HEADER_BYTES + VLAN_TAG_BYTES;
}

/** EtherType of what begins at `networkOffset` (the value that function returned): the two bytes before it. */
export function networkEtherType(view: DataView, networkOffset: number): number {
  return view.getUint16(networkOffset - 2);
}

/** Sent to a group: multicast, or broadcast, which is one. */
export function isMulticast(view: DataView, offset: number): boolean {
  return (view.getUint8(offset) & GROUP_BIT) !== 0;
}

export function isBroadcast(view: DataView, offset: number): boolean {
  return destinationHigh(view, offset) === BROADCAST_HIGH && destinationLow(view, offset) === BROADCAST_LOW;
}

/** No station may send from a group address: such a frame is forged or broken. */
export function isGroupSource(view: DataView, offset: number): boolean {
  return (view.getUint8(offset + 6) & GROUP_BIT) !== 0;
}

export function isTo(view: DataView, offset: number, high: number, low: number): boolean {
  return destinationLow(view, offset) === (low | 0) && destinationHigh(view, offset) === high;
}

export function isFrom(view: DataView, offset: number, high: number, low: number): boolean {
  return sourceLow(view, offset) === (low | 0) && sourceHigh(view, offset) === high;
}

/** Writes an untagged header and returns the offset of the payload. */
export function writeHeader(
  view: DataView,
  offset: number,
  toHigh: number,
  toLow: number,
  fromHigh: number,
  fromLow: number,
  payloadType: number,
): number {
  setDestination(view, offset, toHigh, toLow);
  setSource(view, offset, fromHigh, fromLow);
  view.setUint16(offset + 12, payloadType);
  return offset + HEADER_BYTES;
}

/** Writes a header with one 802.1Q tag and returns the offset of the payload. */
export function writeTaggedHeader(
  view: DataView,
  offset: number,
  toHigh: number,
  toLow: number,
  fromHigh: number,
  fromLow: number,
  control: number,
  payloadType: number,
): number {
  const tagOffset = writeHeader(view, offset, toHigh, toLow, fromHigh, fromLow, ETHERTYPE_VLAN);
  view.setUint16(tagOffset, control);
  view.setUint16(tagOffset + 2, payloadType);
  return tagOffset + VLAN_TAG_BYTES;
}
