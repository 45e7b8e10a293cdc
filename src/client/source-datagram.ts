/** IPv4 datagrams of a client at an address of its own: the request written, the reply located. */
import * as frame from '../memcached/frame-header.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';

/** Where a datagram goes; addresses are int32. */
export interface Flow {
  readonly source: number;
  readonly sourcePort: number;
  readonly destination: number;
  readonly destinationPort: number;
}

const TTL = 64;

/** Everything in front of the payload. */
export const HEADERS_BYTES = ipv4.HEADER_BYTES_MIN + udp.HEADER_BYTES + frame.FRAME_HEADER_BYTES;

/** A whole datagram, both checksums right; the kernel numbers it when it sends (raw(7), identification 0). */
export function writeRequest(flow: Flow, id: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEADERS_BYTES + payload.length);
  const view = viewOf(bytes);
  const { source, destination, sourcePort, destinationPort } = flow;
  const udpLength = bytes.length - ipv4.HEADER_BYTES_MIN;
  const udpAt = ipv4.writeHeader(view, 0, bytes.length, 0, 0, TTL, ipv4.PROTOCOL_UDP, source, destination);
  const frameAt = udp.writeHeader(view, udpAt, sourcePort, destinationPort, udpLength);
  frame.writeFrameHeader(bytes, frameAt, id, 0, 1);
  bytes.set(payload, HEADERS_BYTES);
  udp.setChecksum(view, udpAt, udp.computeChecksum(view, 0, udpAt, udpLength));
  return bytes;
}

/** A datagram as it came. `body` begins with the frame header. */
export interface Arrived extends Flow {
  readonly body: Buffer;
}

/** undefined for what is no whole UDP datagram over IPv4. Checksums are the kernel's business: it has looked. */
export function readArrived(bytes: Buffer): Arrived | undefined {
  const view = viewOf(bytes);
  if (ipv4.validate(view, 0, bytes.length) !== 0 || ipv4.protocol(view, 0) !== ipv4.PROTOCOL_UDP) return undefined;
  const udpAt = ipv4.headerBytes(view, 0);
  const available = ipv4.totalLength(view, 0) - udpAt;
  if (ipv4.isFragment(view, 0) || udp.validate(view, udpAt, available) !== 0) return undefined;
  return {
    source: ipv4.source(view, 0),
    destination: ipv4.destination(view, 0),
    sourcePort: udp.sourcePort(view, udpAt),
    destinationPort: udp.destinationPort(view, udpAt),
    body: bytes.subarray(udpAt + udp.HEADER_BYTES, udpAt + udp.length(view, udpAt)),
  };
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
