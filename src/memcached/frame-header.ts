/**
 * The 8 bytes that precede every memcached datagram, requests and replies (protocol.txt, "UDP protocol"), big endian:
 *
 *     0      2      4      6      8
 *     +------+------+------+------+
 *     |  id  | seq  |total |  0   |
 *     +------+------+------+------+
 *
 * id        chosen by the client, echoed in every datagram of the reply
 * sequence  0 … total − 1
 * total     datagrams of this message; memcached drops a request whose total is not 1, in silence
 *
 * `offset` is that of the first header byte; the caller has checked that FRAME_HEADER_BYTES are there.
 */
export const FRAME_HEADER_BYTES = 8;

/** memcached cuts its replies at this many bytes of UDP payload, frame header included. */
export const REPLY_DATAGRAM_BYTES_MAX = 1400;

export function requestId(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 8) | bytes[offset + 1];
}

export function setRequestId(bytes: Uint8Array, offset: number, id: number): void {
  bytes[offset] = id >>> 8;
  bytes[offset + 1] = id;
}

export function sequence(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 2] << 8) | bytes[offset + 3];
}

export function setSequence(bytes: Uint8Array, offset: number, sequence: number): void {
  bytes[offset + 2] = sequence >>> 8;
  bytes[offset + 3] = sequence;
}

export function total(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 4] << 8) | bytes[offset + 5];
}

export function setTotal(bytes: Uint8Array, offset: number, total: number): void {
  bytes[offset + 4] = total >>> 8;
  bytes[offset + 5] = total;
}

export function reserved(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 6] << 8) | bytes[offset + 7];
}

/**
 * May this be a request? memcached looks at `total` alone: sequence and reserved may hold anything, and a message
 * of several datagrams is never read.
 */
export function isSingleDatagram(view: DataView, offset: number): boolean {
  return view.getUint16(offset + 4) === 1;
}

/** Writes all eight bytes and returns their number. */
export function writeFrameHeader(
  bytes: Uint8Array,
  offset: number,
  id: number,
  sequence: number,
  total: number,
): number {
  setRequestId(bytes, offset, id);
  setSequence(bytes, offset, sequence);
  setTotal(bytes, offset, total);
  bytes[offset + 6] = 0;
  bytes[offset + 7] = 0;
  return FRAME_HEADER_BYTES;
}
