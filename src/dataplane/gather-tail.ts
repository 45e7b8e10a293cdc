/**
 * What ends a merged reply: a text reply's END, or the response of the binary request that is not quiet. Written when the
 * request is taken apart, as long as its bytes are there, and kept as one more part.
 *
 *     get a b            END
 *     getkq …, noop      the noop's response
 *     getkq …, getk z    "not found", which goes unless the node has something better to say of z
 *     getkq …            nothing
 */
import * as binary from '../memcached/binary.ts';
import { writeErrorReply } from '../memcached/error-reply.ts';
import { isKeyed, isNoop, isQuietGet } from '../memcached/key-list.ts';
import {
  OUT_OPAQUE_OFFSET,
  OUT_OPCODE,
  OUT_PROTOCOL,
  OUT_WORDS,
  PROTOCOL_ASCII,
  PROTOCOL_BINARY,
} from '../memcached/located.ts';
import { REFUSED_MULTIGET_MEMORY } from '../memcached/refusals.ts';

const { BINARY_HEADER_BYTES, MAGIC_RESPONSE, OPAQUE_AT, OPAQUE_BYTES } = binary;

const END = Uint8Array.from(Buffer.from('END\r\n'));
const NOT_FOUND = Uint8Array.from(Buffer.from('Not found'));
const STATUS_NOT_FOUND = 1;

const located = new Int32Array(OUT_WORDS);

export function writeEnd(bytes: Uint8Array, at: number): number {
  return copy(END, bytes, at);
}

/**
 * The response to `packet`, the last of a run, as long as no node has answered it; returns its length, 0 when the packet
 * is quiet.
 */
export function writeLastResponse(bytes: Uint8Array, at: number, packet: number): number {
  const opcode = bytes[packet + 1];
  if (isQuietGet(opcode)) return 0;
  writeHeader(bytes, at, opcode, packet + OPAQUE_AT);
  if (isNoop(opcode)) return BINARY_HEADER_BYTES;
  const keyBytes = binary.keyLength(bytes, packet);
  const body = at + BINARY_HEADER_BYTES;
  const bodyBytes = isKeyed(opcode)
    ? copyKey(bytes, packet + BINARY_HEADER_BYTES, body, keyBytes)
    : copy(NOT_FOUND, bytes, body);
  if (isKeyed(opcode)) binary.setKeyLength(bytes, at, keyBytes);
  binary.setStatus(bytes, at, STATUS_NOT_FOUND);
  binary.setBodyLength(bytes, at, bodyBytes);
  return BINARY_HEADER_BYTES + bodyBytes;
}

/** Takes the tail's place when the values do not fit. @param tail offset of a binary run's tail, −1: a text reply */
export function writeNoRoom(bytes: Uint8Array, at: number, tail: number): number {
  located[OUT_PROTOCOL] = tail < 0 ? PROTOCOL_ASCII : PROTOCOL_BINARY;
  located[OUT_OPCODE] = tail < 0 ? -1 : bytes[tail + 1];
  located[OUT_OPAQUE_OFFSET] = tail < 0 ? -1 : tail + OPAQUE_AT;
  return writeErrorReply(bytes, at, REFUSED_MULTIGET_MEMORY, located);
}

function writeHeader(bytes: Uint8Array, at: number, opcode: number, opaque: number): void {
  for (let i = 0; i < BINARY_HEADER_BYTES; i++) bytes[at + i] = 0;
  bytes[at] = MAGIC_RESPONSE;
  bytes[at + 1] = opcode;
  for (let i = 0; i < OPAQUE_BYTES; i++) bytes[at + OPAQUE_AT + i] = bytes[opaque + i];
}

function copyKey(bytes: Uint8Array, from: number, at: number, length: number): number {
  for (let i = 0; i < length; i++) bytes[at + i] = bytes[from + i];
  return length;
}

function copy(text: Uint8Array, bytes: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text[i];
  return text.length;
}
