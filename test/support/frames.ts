/**
 * Frames for every room's tests, from readable fields. Independent of src: written from the RFCs, checksums by the
 * slow routine, so that a mistake in src/wire is not made twice.
 *
 *     udpFrame({ src: '10.0.0.1', dst: '10.0.0.2', sport: 4000, dport: 11211, payload: 'get a\r\n' })
 *     arpRequest({ senderIp: '10.0.0.1', targetIp: '10.0.0.2' })
 *     icmpEcho({ src: '10.0.0.1', dst: '10.0.0.2', identifier: 7, sequence: 1 })
 *
 * Frames that lie (`totalLength`, `udpLength`, `ihl`, `version`, `checksum: 'bad'`) have only that one lie in them.
 */

import { slowChecksum, slowPartialChecksum, slowUdpChecksum } from '../wire/slow-checksum.ts';

export const CLIENT_MAC = '02:00:00:00:00:01';
export const OUR_MAC = '02:00:00:00:00:02';
export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';

export interface LinkFields {
  /** Default CLIENT_MAC. */
  srcMac?: string;
  /** Default OUR_MAC (BROADCAST_MAC for an ARP request). */
  dstMac?: string;
  /** VLAN id of an 802.1Q tag; none by default. */
  vlan?: number;
  /** Priority (0 … 7) in that tag. */
  vlanPriority?: number;
  /** Trailer bytes after the packet, 0xee each so that code which reads them is caught. */
  padding?: number;
}

export interface Ipv4Fields extends LinkFields {
  src: string;
  dst: string;
  /** Default 64. */
  ttl?: number;
  identification?: number;
  /** Default true, unless this is a fragment. */
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** Where this fragment's payload belongs, bytes, a multiple of 8. */
  fragmentOffset?: number;
  /** Option bytes, a multiple of 4, at most 40. */
  options?: ArrayLike<number>;
  headerChecksum?: 'full' | 'bad';
  /** Lies: these replace the true value. `ihl` in words. */
  version?: number;
  ihl?: number;
  totalLength?: number;
}

export interface Ipv4PacketFields extends Ipv4Fields {
  protocol: number;
  /** All that follows the IPv4 header. */
  payload: Uint8Array | string;
}

export interface UdpFields extends Ipv4Fields {
  sport: number;
  dport: number;
  /** A string is taken as latin1: one character a byte. */
  payload: Uint8Array | string;
  /** `partial`: as a local stack with checksum offload leaves it. Default `full`. */
  checksum?: 'full' | 'zero' | 'partial' | 'bad';
  /** A lie: replaces the UDP length field. */
  udpLength?: number;
}

export interface ArpFields extends LinkFields {
  /** Default srcMac. */
  senderMac?: string;
  senderIp: string;
  /** Default all zeros in a request, dstMac in a reply. */
  targetMac?: string;
  targetIp: string;
}

export interface IcmpEchoFields extends Ipv4Fields {
  /** Default `request`. */
  type?: 'request' | 'reply';
  identifier: number;
  sequence: number;
  /** Default: 32 bytes of letters. */
  payload?: Uint8Array | string;
  checksum?: 'full' | 'bad';
}

export interface IcmpUnreachableFields extends Ipv4Fields {
  /** Default 4: fragmentation needed. */
  code?: number;
  mtu: number;
  /** The frame that the message is about. */
  about: Uint8Array;
  /** How much of its packet is quoted, bytes; default 548, or all of it. */
  quotedBytes?: number;
  checksum?: 'full' | 'bad';
}

export function ethernetFrame(fields: LinkFields & { etherType: number; payload: Uint8Array }): Uint8Array {
  const { srcMac = CLIENT_MAC, dstMac = OUR_MAC, vlan, vlanPriority = 0, padding = 0 } = fields;
  const tag = vlan === undefined ? [] : [0x81, 0x00, ...be16(vlanPriority * 0x2000 + vlan)];
  return Uint8Array.from([
    ...macBytes(dstMac),
    ...macBytes(srcMac),
    ...tag,
    ...be16(fields.etherType),
    ...fields.payload,
    ...new Uint8Array(padding).fill(0xee),
  ]);
}

/** Any IPv4 packet: other protocols, or a fragment that has no UDP header. */
export function ipv4Frame(fields: Ipv4PacketFields): Uint8Array {
  const payload = bytesOf(fields.payload);
  const header = ipv4Header(fields, fields.protocol, payload.length);
  return ethernetFrame({ ...fields, etherType: 0x0800, payload: concat(header, payload) });
}

export function udpFrame(fields: UdpFields): Uint8Array {
  const data = bytesOf(fields.payload);
  const udpHeader = Uint8Array.from([...be16(fields.sport), ...be16(fields.dport), ...be16(8 + data.length), 0, 0]);
  const { version: _version, ihl: _ihl, totalLength: _totalLength, ...honest } = fields;
  const header = ipv4Header(honest, 17, 8 + data.length);
  udpHeader.set(be16(udpChecksumField(concat(header, udpHeader, data), fields.checksum ?? 'full')), 6);
  if (fields.udpLength !== undefined) udpHeader.set(be16(fields.udpLength), 4);
  return ipv4Frame({ ...fields, protocol: 17, payload: concat(udpHeader, data) });
}

export function icmpEcho(fields: IcmpEchoFields): Uint8Array {
  const data = bytesOf(fields.payload ?? 'abcdefghijklmnopqrstuvwabcdefghi');
  const type = fields.type === 'reply' ? 0 : 8;
  const message = Uint8Array.from([type, 0, 0, 0, ...be16(fields.identifier), ...be16(fields.sequence), ...data]);
  const checksum = slowChecksum(message);
  message.set(be16(fields.checksum === 'bad' ? spoiled(checksum) : checksum), 2);
  return ipv4Frame({ ...fields, protocol: 1, payload: message });
}

/** ICMP type 3, from a router (`src`). */
export function icmpUnreachable(fields: IcmpUnreachableFields): Uint8Array {
  const { code = 4, mtu, about, quotedBytes = 548 } = fields;
  const quoted = about.slice(14, 14 + Math.min(quotedBytes, about[16]! * 256 + about[17]!));
  const message = Uint8Array.from([3, code, 0, 0, 0, 0, ...be16(mtu), ...quoted]);
  const checksum = slowChecksum(message);
  message.set(be16(fields.checksum === 'bad' ? spoiled(checksum) : checksum), 2);
  return ipv4Frame({ ...fields, protocol: 1, payload: message });
}

export function arpRequest(fields: ArpFields): Uint8Array {
  return arpFrame({ dstMac: BROADCAST_MAC, targetMac: '00:00:00:00:00:00', ...fields }, 1);
}

export function arpReply(fields: ArpFields): Uint8Array {
  return arpFrame({ targetMac: fields.dstMac ?? OUR_MAC, ...fields }, 2);
}

/** Cuts an untagged IPv4 frame into fragments with at most `payloadBytes` (a multiple of 8) of IPv4 payload each. */
export function fragments(fields: Ipv4PacketFields, payloadBytes: number): Uint8Array[] {
  const payload = bytesOf(fields.payload);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += payloadBytes) {
    const moreFragments = at + payloadBytes < payload.length;
    const piece = payload.slice(at, at + payloadBytes);
    pieces.push(ipv4Frame({ ...fields, dontFragment: false, fragmentOffset: at, moreFragments, payload: piece }));
  }
  return pieces;
}

/** A UDP datagram as IP fragments: only the first holds the UDP header. */
export function udpFragments(fields: UdpFields, payloadBytes: number): Uint8Array[] {
  const { vlan: _vlan, padding: _padding, options: _options, ...plain } = fields;
  return fragments({ ...fields, protocol: 17, payload: udpFrame(plain).slice(34) }, payloadBytes);
}

/**
 * The other way: the frame that these fragments, in any order, are the pieces of, its header that of the first piece.
 * @throws Error when they are not one datagram's, or do not make it whole
 */
export function wholeOf(pieces: readonly Uint8Array[]): Uint8Array {
  const sorted = [...pieces].sort((a, b) => positionOf(a) - positionOf(b));
  const names = new Set(
    sorted.map(piece => hex(piece.slice(18, 20)) + hex(piece.slice(23, 24)) + hex(piece.slice(26, 34))),
  );
  if (names.size !== 1) throw new Error(`fragments of ${names.size} datagrams`);
  let end = 0;
  for (const [i, piece] of sorted.entries()) {
    const isLast = (piece[20]! & 0x20) === 0;
    if (positionOf(piece) !== end) throw new Error(`a fragment at ${positionOf(piece)}, the one before ends at ${end}`);
    if (isLast !== (i === sorted.length - 1)) throw new Error(`fragment ${i} of ${sorted.length} is the last`);
    end += payloadOf(piece).length;
  }
  const headers = sorted[0]!.slice(0, 14 + (sorted[0]![14]! % 16) * 4);
  headers.set(be16(headers.length - 14 + end), 16);
  headers.set([0, 0, headers[22]!, headers[23]!, 0, 0], 20);
  headers.set(be16(slowChecksum(headers.slice(14))), 24);
  return concat(headers, ...sorted.map(payloadOf));
}

function positionOf(frame: Uint8Array): number {
  return ((frame[20]! % 32) * 256 + frame[21]!) * 8;
}

function payloadOf(frame: Uint8Array): Uint8Array {
  return frame.slice(14 + (frame[14]! % 16) * 4, 14 + frame[16]! * 256 + frame[17]!);
}

/** Bytes as `'0a 4d 00 64'`. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join(' ');
}

/** The other way, from lines of hex digits; what follows a `|` on a line is a remark. */
export function fromHex(text: string): Uint8Array {
  const digits = text
    .split('\n')
    .map(line => line.replace(/\|.*/, ''))
    .join('')
    .replaceAll(/\s/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not pairs of hex digits: ${digits}`);
  return Uint8Array.from(digits.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
}

export interface PlacedFrame {
  bytes: Uint8Array;
  view: DataView;
  /** Of the frame within `bytes`. */
  offset: number;
  length: number;
  /** A copy of the frame as it is now. */
  frame(): Uint8Array;
  /** Throws when a byte outside the frame was changed. */
  assertCanaries(): void;
}

const CANARY = 0xc5;

/** A frame in the middle of shared memory, canaries on both sides, as a frame lies in a ring. */
export function placed(frame: Uint8Array, offset = 64): PlacedFrame {
  const bytes = new Uint8Array(new SharedArrayBuffer(offset + frame.length + 64)).fill(CANARY);
  bytes.set(frame, offset);
  const end = offset + frame.length;
  return {
    bytes,
    view: new DataView(bytes.buffer),
    offset,
    length: frame.length,
    frame: () => bytes.slice(offset, end),
    assertCanaries() {
      const touched = bytes.findIndex((byte, at) => byte !== CANARY && (at < offset || at >= end));
      if (touched >= 0) throw new Error(`byte at ${touched - offset} of a frame of ${frame.length} bytes was written`);
    },
  };
}

export function macBytes(text: string): number[] {
  const octets = text.split(':').map(octet => Number.parseInt(octet, 16));
  if (octets.length !== 6 || octets.some(octet => Number.isNaN(octet))) throw new Error(`not a MAC address: ${text}`);
  return octets;
}

export function ipv4Bytes(text: string): number[] {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some(part => !(part >= 0 && part <= 255))) throw new Error(`not IPv4: ${text}`);
  return parts;
}

function ipv4Header(fields: Ipv4Fields, protocol: number, payloadLength: number): Uint8Array {
  const options = Array.from(fields.options ?? []);
  if (options.length % 4 !== 0 || options.length > 40) throw new Error(`${options.length} bytes of IPv4 options`);
  const headerLength = 20 + options.length;
  const header = Uint8Array.from([
    (fields.version ?? 4) * 16 + (fields.ihl ?? headerLength / 4),
    0,
    ...be16(fields.totalLength ?? headerLength + payloadLength),
    ...be16(fields.identification ?? 0),
    ...be16(fragmentWord(fields)),
    fields.ttl ?? 64,
    protocol,
    0,
    0,
    ...ipv4Bytes(fields.src),
    ...ipv4Bytes(fields.dst),
    ...options,
  ]);
  const checksum = slowChecksum(header);
  header.set(be16(fields.headerChecksum === 'bad' ? spoiled(checksum) : checksum), 10);
  return header;
}

function fragmentWord(fields: Ipv4Fields): number {
  const { moreFragments = false, fragmentOffset = 0 } = fields;
  if (fragmentOffset % 8 !== 0) throw new Error(`fragment offset ${fragmentOffset} is not a multiple of 8`);
  const { dontFragment = !moreFragments && fragmentOffset === 0 } = fields;
  return (dontFragment ? 0x4000 : 0) + (moreFragments ? 0x2000 : 0) + fragmentOffset / 8;
}

function udpChecksumField(packet: Uint8Array, kind: 'full' | 'zero' | 'partial' | 'bad'): number {
  if (kind === 'zero') return 0;
  if (kind === 'partial') return slowPartialChecksum(packet, 0);
  const full = slowUdpChecksum(packet, 0);
  return kind === 'bad' ? spoiled(full) : full;
}

/** A wrong checksum that is not 0 either, which in UDP would mean none. */
function spoiled(checksum: number): number {
  return checksum === 1 ? 2 : checksum ^ 1;
}

function arpFrame(fields: ArpFields & { targetMac: string }, operation: number): Uint8Array {
  const payload = Uint8Array.from([
    ...[0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, operation],
    ...macBytes(fields.senderMac ?? fields.srcMac ?? CLIENT_MAC),
    ...ipv4Bytes(fields.senderIp),
    ...macBytes(fields.targetMac),
    ...ipv4Bytes(fields.targetIp),
  ]);
  return ethernetFrame({ ...fields, etherType: 0x0806, payload });
}

function be16(word: number): [number, number] {
  if (!(word >= 0 && word <= 0xffff)) throw new Error(`${word} does not fit in 16 bits`);
  return [Math.floor(word / 256), word % 256];
}

function bytesOf(payload: Uint8Array | string): Uint8Array {
  return typeof payload === 'string' ? Uint8Array.from(Buffer.from(payload, 'latin1')) : payload;
}

function concat(...pieces: Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap(piece => Array.from(piece)));
}
