/**
 * Decodes a frame that leaves Keysteer, and throws at the first thing in it that a stern receiver would not take. Written
 * from the RFCs, with nothing of src in it, so that what Keysteer emits is judged by somebody else.
 *
 *     Ethernet  unicast or broadcast destination, unicast source          IEEE 802.3
 *     ARP       Ethernet and IPv4, request or reply, sane sender           RFC 826, RFC 1812 3.3.2
 *     IPv4      version, lengths, checksum, TTL, addresses, fragments      RFC 791, RFC 1122 3.2.1
 *     ICMP      echo, fragmentation needed, checksum                       RFC 792, RFC 1191
 *     UDP       length, checksum (full, none or partial), ports            RFC 768
 *     memcached the 8 bytes in front of every datagram                     protocol.txt
 */

export interface Station {
  readonly mac: string;
  readonly ip: string;
}

export interface DecodedArp {
  readonly kind: 'arp';
  readonly operation: 'request' | 'reply';
  readonly sender: Station;
  readonly target: Station;
  readonly srcMac: string;
  readonly dstMac: string;
}

interface DecodedIpv4 {
  readonly srcMac: string;
  readonly dstMac: string;
  readonly src: string;
  readonly dst: string;
  readonly ttl: number;
  readonly optionBytes: number;
  /** Bytes after the IPv4 packet. */
  readonly trailerBytes: number;
}

export interface DecodedEcho extends DecodedIpv4 {
  readonly kind: 'echo request' | 'echo reply';
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface DecodedFragmentationNeeded extends DecodedIpv4 {
  readonly kind: 'fragmentation needed';
  readonly mtu: number;
  /** The start of the datagram that was too large. */
  readonly quoted: Uint8Array;
}

/** A piece of a UDP datagram. */
export interface DecodedFragment extends DecodedIpv4 {
  readonly kind: 'fragment';
  readonly identification: number;
  readonly at: number;
  readonly more: boolean;
  readonly payload: Uint8Array;
}

export interface DecodedUdp extends DecodedIpv4 {
  readonly kind: 'udp';
  readonly sport: number;
  readonly dport: number;
  readonly checksum: 'full' | 'none' | 'partial';
  readonly payload: Uint8Array;
}

export type Decoded = DecodedArp | DecodedEcho | DecodedFragmentationNeeded | DecodedFragment | DecodedUdp;

/** What the frame header of a memcached datagram says, and what follows it. */
export interface DecodedDatagram {
  readonly id: number;
  readonly sequence: number;
  readonly total: number;
  readonly body: Uint8Array;
}

/** Two digits of every byte: whole frames are decoded by the million. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/**
 * @param partialFrom where the checksummed part of a partial checksum begins, bytes from the start of the frame;
 *   undefined: the UDP checksum is whole
 * @throws Error that says what is malformed
 */
export function decodeStrict(frame: Uint8Array, partialFrom?: number): Decoded {
  demand(frame.length >= 14, `${frame.length} bytes are no Ethernet frame`);
  const dstMac = mac(frame, 0);
  const srcMac = mac(frame, 6);
  demand(!isGroup(frame[6]!), `source address ${srcMac} is a group`);
  const etherType = word(frame, 12);
  if (etherType === 0x0806) return decodeArp(frame, srcMac, dstMac, partialFrom);
  demand(etherType === 0x0800, `EtherType 0x${etherType.toString(16)} is neither IPv4 nor ARP`);
  demand(!isGroup(frame[0]!), `an IPv4 frame to the group ${dstMac}`);
  return decodeIpv4(frame, srcMac, dstMac, partialFrom);
}

/** @throws Error unless the 8 bytes make sense: enough of them, sequence < total */
export function decodeReplyDatagram(payload: Uint8Array): DecodedDatagram {
  const datagram = decodeDatagram(payload);
  demand(datagram.sequence < datagram.total, `datagram ${datagram.sequence} of ${datagram.total}`);
  return datagram;
}

/** @throws Error unless memcached would read it: more than 8 bytes, total = 1. It looks at nothing else. */
export function decodeRequestDatagram(payload: Uint8Array): DecodedDatagram {
  const datagram = decodeDatagram(payload);
  demand(datagram.total === 1, `a request in ${datagram.total} datagrams`);
  demand(datagram.body.length > 0, 'a request of nothing');
  return datagram;
}

function decodeDatagram(payload: Uint8Array): DecodedDatagram {
  demand(payload.length >= 8, `a memcached datagram of ${payload.length} bytes`);
  return { id: word(payload, 0), sequence: word(payload, 2), total: word(payload, 4), body: payload.slice(8) };
}

function decodeArp(frame: Uint8Array, srcMac: string, dstMac: string, partialFrom: number | undefined): DecodedArp {
  demand(partialFrom === undefined, 'ARP with a partial checksum');
  demand(frame.length >= 14 + 28, `an ARP frame of ${frame.length} bytes`);
  demand(word(frame, 14) === 1 && word(frame, 16) === 0x0800, 'ARP for something else than IPv4 over Ethernet');
  demand(frame[18] === 6 && frame[19] === 4, 'ARP address lengths other than 6 and 4');
  const operation = word(frame, 20);
  demand(operation === 1 || operation === 2, `ARP operation ${operation}`);
  const sender = { mac: mac(frame, 22), ip: ip(frame, 28) };
  const target = { mac: mac(frame, 32), ip: ip(frame, 38) };
  demand(sender.mac === srcMac, `ARP from ${srcMac} in the name of ${sender.mac}`);
  demand(isHost(frame, 28), `ARP sender ${sender.ip}`);
  demand(operation === 1 ? dstMac === BROADCAST : dstMac === target.mac, `ARP operation ${operation} to ${dstMac}`);
  demand(operation === 2 || target.mac === '00:00:00:00:00:00', `an ARP request that knows the answer, ${target.mac}`);
  return { kind: 'arp', operation: operation === 1 ? 'request' : 'reply', sender, target, srcMac, dstMac };
}

function decodeIpv4(frame: Uint8Array, srcMac: string, dstMac: string, partialFrom: number | undefined): Decoded {
  demand(frame.length >= 34, `${frame.length} bytes hold no IPv4 header`);
  demand(frame[14]! >> 4 === 4, `IP version ${frame[14]! >> 4}`);
  const headerBytes = (frame[14]! & 15) * 4;
  const total = word(frame, 16);
  demand(headerBytes >= 20 && headerBytes <= total, `IHL ${headerBytes / 4} in a packet of ${total} bytes`);
  demand(14 + total <= frame.length, `IPv4 total length ${total} in a frame of ${frame.length} bytes`);
  demand(sum(frame, 14, headerBytes) === 0xffff, 'IPv4 header checksum');
  demand(frame[22]! > 0, 'TTL 0');
  demand(isHost(frame, 26), `IPv4 source ${ip(frame, 26)}`);
  demand(isHost(frame, 30), `IPv4 destination ${ip(frame, 30)}`);
  const packet: DecodedIpv4 = {
    srcMac,
    dstMac,
    src: ip(frame, 26),
    dst: ip(frame, 30),
    ttl: frame[22]!,
    optionBytes: headerBytes - 20,
    trailerBytes: frame.length - 14 - total,
  };
  const at = 14 + headerBytes;
  const protocol = frame[23];
  if ((word(frame, 20) & 0x3fff) !== 0) {
    demand(protocol === 17, `a fragment of protocol ${protocol}`);
    demand(partialFrom === undefined, 'a fragment with a partial checksum');
    return { ...packet, ...decodeFragment(frame, at, 14 + total) };
  }
  if (protocol === 17) return { ...packet, ...decodeUdp(frame, at, 14 + total, partialFrom) };
  demand(protocol === 1, `IP protocol ${protocol} is neither UDP nor ICMP`);
  demand(partialFrom === undefined, 'ICMP with a partial checksum');
  return { ...packet, ...decodeIcmp(frame, at, 14 + total) };
}

function decodeFragment(frame: Uint8Array, at: number, end: number): Omit<DecodedFragment, keyof DecodedIpv4> {
  const more = (word(frame, 20) & 0x2000) !== 0;
  demand((word(frame, 20) & 0x4000) === 0, 'a fragment that must not be fragmented');
  demand(end > at, 'a fragment of nothing');
  demand(!more || (end - at) % 8 === 0, `a fragment of ${end - at} bytes, and more to come`);
  const position = (word(frame, 20) & 0x1fff) * 8;
  demand(position + end - at <= 65_515, `a fragment up to byte ${position + end - at}`);
  const identification = word(frame, 18);
  return { kind: 'fragment', identification, at: position, more, payload: frame.slice(at, end) };
}

function decodeIcmp(frame: Uint8Array, at: number, end: number) {
  demand(end - at >= 8, `an ICMP message of ${end - at} bytes`);
  return frame[at] === 3 ? decodeFragmentationNeeded(frame, at, end) : decodeEcho(frame, at, end);
}

function decodeFragmentationNeeded(
  frame: Uint8Array,
  at: number,
  end: number,
): Omit<DecodedFragmentationNeeded, keyof DecodedIpv4> {
  demand(frame[at + 1] === 4, `ICMP type 3, code ${frame[at + 1]}`);
  demand(sum(frame, at, end - at) === 0xffff, 'ICMP checksum');
  demand(word(frame, at + 4) === 0, 'ICMP: the unused half word is used');
  const quoted = frame.slice(at + 8, end);
  demand(quoted.length >= 28, `an ICMP error that quotes ${quoted.length} bytes`);
  demand(end - 14 <= 576, `an ICMP error of ${end - 14} bytes`);
  const mtu = word(frame, at + 6);
  demand(mtu >= 68 && mtu < word(quoted, 2), `an MTU of ${mtu} for a datagram of ${word(quoted, 2)} bytes`);
  return { kind: 'fragmentation needed', mtu, quoted };
}

function decodeEcho(frame: Uint8Array, at: number, end: number): Omit<DecodedEcho, keyof DecodedIpv4> {
  const isRequest = word(frame, at) === 0x0800;
  demand(isRequest || word(frame, at) === 0, `ICMP type ${frame[at]}, code ${frame[at + 1]} is no echo`);
  demand(sum(frame, at, end - at) === 0xffff, 'ICMP checksum');
  const data = frame.slice(at + 8, end);
  const kind = isRequest ? 'echo request' : 'echo reply';
  return { kind, identifier: word(frame, at + 4), sequence: word(frame, at + 6), data };
}

function decodeUdp(
  frame: Uint8Array,
  at: number,
  end: number,
  partialFrom: number | undefined,
): Omit<DecodedUdp, keyof DecodedIpv4> {
  demand(end - at >= 8, `a UDP header of ${end - at} bytes`);
  const length = word(frame, at + 4);
  demand(length >= 8 && length <= end - at, `UDP length ${length} where ${end - at} bytes are`);
  demand(word(frame, at + 2) !== 0, 'UDP destination port 0');
  return {
    kind: 'udp',
    sport: word(frame, at),
    dport: word(frame, at + 2),
    checksum: checksumKind(frame, at, length, partialFrom),
    payload: frame.slice(at + 8, at + length),
  };
}

function checksumKind(frame: Uint8Array, at: number, length: number, partialFrom: number | undefined) {
  const field = word(frame, at + 6);
  const pseudo = pseudoHeaderSum(frame, length);
  if (partialFrom !== undefined) {
    demand(partialFrom === at, `a partial checksum from byte ${partialFrom}, UDP begins at ${at}`);
    demand(field === pseudo, `partial UDP checksum ${field}, the pseudo-header's sum is ${pseudo}`);
    return 'partial';
  }
  if (field === 0) return 'none';
  demand(sum(frame, at, length, pseudo) === 0xffff, 'UDP checksum');
  return 'full';
}

/** RFC 768: addresses, protocol 17, UDP length. */
function pseudoHeaderSum(frame: Uint8Array, udpLength: number): number {
  return sum(frame, 26, 8, 17 + udpLength);
}

/** RFC 1071, one byte after the other, the carry added back as it comes. */
function sum(bytes: Uint8Array, from: number, length: number, initial = 0): number {
  let total = initial;
  for (let i = 0; i < length; i++) {
    total += i % 2 === 0 ? bytes[from + i]! * 256 : bytes[from + i]!;
    if (total > 0xffff) total -= 0xffff;
  }
  return total;
}

/** Neither this-network, loopback, multicast, reserved nor broadcast (RFC 1122 3.2.1.3). */
function isHost(frame: Uint8Array, at: number): boolean {
  const first = frame[at]!;
  return first !== 0 && first !== 127 && first < 224;
}

function isGroup(firstByte: number): boolean {
  return firstByte % 2 === 1;
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

function mac(bytes: Uint8Array, at: number): string {
  const [a, b, c] = [HEX[bytes[at]!], HEX[bytes[at + 1]!], HEX[bytes[at + 2]!]];
  return `${a}:${b}:${c}:${HEX[bytes[at + 3]!]}:${HEX[bytes[at + 4]!]}:${HEX[bytes[at + 5]!]}`;
}

function ip(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function demand(holds: boolean, complaint: string): asserts holds {
  if (!holds) throw new Error(`malformed frame: ${complaint}`);
}
