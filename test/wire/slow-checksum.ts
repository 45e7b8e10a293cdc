/**
 * The Internet checksum once more, for tests: byte by byte, straight from RFC 1071, and sharing no code with src/wire.
 * Slow on purpose; meant to be read and believed.
 */

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100;
const PROTOCOL_ICMP = 1;
const PROTOCOL_UDP = 17;

/** One's-complement sum of the bytes taken as big-endian 16-bit words, an odd last byte padded with zero. */
function slowSum(bytes: Uint8Array): number {
  let sum = 0n;
  bytes.forEach((byte, position) => {
    sum += position % 2 === 0 ? BigInt(byte) * 256n : BigInt(byte);
  });
  while (sum > 0xffffn) sum = (sum % 65536n) + sum / 65536n;
  return Number(sum);
}

/** The complement of the sum: the checksum of bytes whose checksum field holds zero; 0 when it holds the right one. */
export function slowChecksum(bytes: Uint8Array): number {
  return 65535 - slowSum(bytes);
}

/** What the UDP checksum field should hold (1 … 0xffff), whatever it holds now. `ipOffset`: of the IPv4 header. */
export function slowUdpChecksum(frame: Uint8Array, ipOffset: number): number {
  const udpOffset = ipOffset + (byteAt(frame, ipOffset) % 16) * 4;
  const datagram = slice(frame, udpOffset, wordAt(frame, udpOffset + 4));
  datagram[6] = 0;
  datagram[7] = 0;
  const checksum = slowChecksum(join(pseudoHeader(frame, ipOffset, datagram.length), datagram));
  return checksum === 0 ? 0xffff : checksum;
}

/** What Linux leaves in the field of a CHECKSUM_PARTIAL datagram: the pseudo-header's sum, not complemented. */
export function slowPartialChecksum(frame: Uint8Array, ipOffset: number): number {
  const udpOffset = ipOffset + (byteAt(frame, ipOffset) % 16) * 4;
  return slowSum(pseudoHeader(frame, ipOffset, wordAt(frame, udpOffset + 4)));
}

/**
 * Throws, saying what is wrong, unless the IPv4 header checksum and the UDP or ICMP checksum of an Ethernet frame
 * (one VLAN tag allowed) are right. UDP may have none (0). Frames that are not IPv4 have nothing to check; of a
 * fragment only the header is checked.
 */
export function assertFrameChecksums(frame: Uint8Array): void {
  const tagged = wordAt(frame, 12) === ETHERTYPE_VLAN;
  const ipOffset = tagged ? 18 : 14;
  if (wordAt(frame, ipOffset - 2) !== ETHERTYPE_IPV4) return;
  const header = slice(frame, ipOffset, (byteAt(frame, ipOffset) % 16) * 4);
  const found = wordAt(header, 10);
  header[10] = 0;
  header[11] = 0;
  expectSame('IPv4 header', found, slowChecksum(header));
  if (wordAt(header, 6) % 0x4000 === 0) assertPayloadChecksum(frame, ipOffset, header);
}

function assertPayloadChecksum(frame: Uint8Array, ipOffset: number, header: Uint8Array): void {
  const payload = slice(frame, ipOffset + header.length, wordAt(header, 2) - header.length);
  const protocol = byteAt(header, 9);
  if (protocol === PROTOCOL_UDP && wordAt(payload, 6) !== 0) {
    expectSame('UDP', wordAt(payload, 6), slowUdpChecksum(frame, ipOffset));
  }
  if (protocol === PROTOCOL_ICMP) assertIcmpChecksum(payload);
}

/** As a receiver checks it: both representations of zero pass where the rest of the message is not all zeros. */
function assertIcmpChecksum(message: Uint8Array): void {
  if (slowChecksum(message) === 0) return;
  const found = wordAt(message, 2);
  message[2] = 0;
  message[3] = 0;
  expectSame('ICMP', found, slowChecksum(message));
}

function expectSame(what: string, found: number, right: number): void {
  if (found === right) return;
  throw new Error(`${what} checksum is 0x${hex16(found)}, should be 0x${hex16(right)}`);
}

function hex16(word: number): string {
  return word.toString(16).padStart(4, '0');
}

/** RFC 768: source, destination, zero, protocol, UDP length. */
function pseudoHeader(frame: Uint8Array, ipOffset: number, udpLength: number): Uint8Array {
  const addresses = slice(frame, ipOffset + 12, 8);
  const protocol = byteAt(frame, ipOffset + 9);
  return join(addresses, Uint8Array.of(0, protocol, Math.floor(udpLength / 256), udpLength % 256));
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.from([...a, ...b]);
}

/** A copy of `length` bytes, all of which must be there. */
function slice(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  if (length < 0 || offset + length > bytes.length) {
    throw new Error(`frame of ${bytes.length} bytes ends before ${length} bytes at offset ${offset}`);
  }
  return bytes.slice(offset, offset + length);
}

function byteAt(bytes: Uint8Array, offset: number): number {
  const byte = bytes[offset];
  if (byte === undefined) throw new Error(`frame of ${bytes.length} bytes has no byte at offset ${offset}`);
  return byte;
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return byteAt(bytes, offset) * 256 + byteAt(bytes, offset + 1);
}
