/** The answers that need no item: `version`, `mn`, binary noop and version, and the OK that ends a broadcast. */
import { BINARY_HEADER_BYTES, MAGIC_RESPONSE, OPAQUE_AT, OPAQUE_BYTES } from './binary.ts';
import { OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, OUT_VERB, PROTOCOL_BINARY } from './located.ts';
import { VERB_MN, VERB_NOOP, VERB_VERSION } from './verbs.ts';

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const MN = latin1('MN\r\n');
const VERSION = latin1('VERSION ');
const CRLF = latin1('\r\n');
const NOTHING = new Uint8Array(0);

/** A version's text has at most as many bytes. */
export const VERSION_BYTES_MAX = 64;
/** No answer of `writeLocalReply` is longer. */
export const LOCAL_REPLY_BYTES_MAX = BINARY_HEADER_BYTES + VERSION.length + VERSION_BYTES_MAX;

/**
 * Writes at `offset` (behind the 8-byte frame header) the answer to `version`, `mn`, or binary noop or version, and
 * returns its length; 0 for any other request. It may be written over the request.
 *
 * @param out what `parseRequest` said about the request, of which `bytes` is still the array
 */
export function writeLocalReply(bytes: Uint8Array, offset: number, out: Int32Array, version: Uint8Array): number {
  const verb = out[OUT_VERB];
  if (out[OUT_PROTOCOL] === PROTOCOL_BINARY) {
    if (verb === VERB_VERSION) return writeBinary(bytes, offset, out, version);
    return verb === VERB_NOOP ? writeBinary(bytes, offset, out, NOTHING) : 0;
  }
  if (verb === VERB_MN) return copyInto(bytes, offset, MN) - offset;
  if (verb !== VERB_VERSION) return 0;
  return copyInto(bytes, copyInto(bytes, copyInto(bytes, offset, VERSION), version), CRLF) - offset;
}

function writeBinary(bytes: Uint8Array, offset: number, out: Int32Array, value: Uint8Array): number {
  const opaque = readOpaque(bytes, out[OUT_OPAQUE_OFFSET]);
  writeBinaryResponse(bytes, offset, out[OUT_OPCODE], 0, opaque, 0, value.length);
  return copyInto(bytes, offset + BINARY_HEADER_BYTES, value) - offset;
}

/** The four bytes as one int32, 0 where there are none. */
export function readOpaque(bytes: Uint8Array, at: number): number {
  return at < 0 ? 0 : (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** A response's header without extras; its key and value follow. Returns BINARY_HEADER_BYTES. */
export function writeBinaryResponse(
  bytes: Uint8Array,
  offset: number,
  opcode: number,
  status: number,
  opaque: number,
  keyBytes: number,
  valueBytes: number,
): number {
  for (let at = offset; at < offset + BINARY_HEADER_BYTES; at++) bytes[at] = 0;
  bytes[offset] = MAGIC_RESPONSE;
  bytes[offset + 1] = opcode;
  putShort(bytes, offset + 2, keyBytes);
  putShort(bytes, offset + 6, status);
  putShort(bytes, offset + 8, (keyBytes + valueBytes) >>> 16);
  putShort(bytes, offset + 10, keyBytes + valueBytes);
  for (let at = 0; at < OPAQUE_BYTES; at++) bytes[offset + OPAQUE_AT + at] = opaque >>> (24 - 8 * at);
  return BINARY_HEADER_BYTES;
}

function putShort(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

/** Returns the offset behind the last byte. */
export function copyInto(bytes: Uint8Array, offset: number, text: Uint8Array): number {
  for (let at = 0; at < text.length; at++) bytes[offset + at] = text[at];
  return offset + text.length;
}
