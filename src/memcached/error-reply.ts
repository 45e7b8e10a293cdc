/** Turns a refusal into the answer memcached would have given, in the protocol of the request. */
import { BINARY_HEADER_BYTES, MAGIC_RESPONSE, OPAQUE_AT, OPAQUE_BYTES } from './binary.ts';
import { OUT_FLAGS, OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, PROTOCOL_BINARY, REQUEST_NOREPLY } from './located.ts';
import { REFUSAL_COUNT, REFUSAL_LINES, REFUSAL_STATUS } from './refusals.ts';

const LINES: readonly Uint8Array[] = REFUSAL_LINES.map(line => ascii(line === '' ? '' : `${line}\r\n`));
/** The body of a binary error is the text alone: the status says whose fault it is. */
const TEXTS: readonly Uint8Array[] = REFUSAL_LINES.map(line => ascii(line.replace(/^[A-Z]+_ERROR /, '')));

/** No answer is longer. */
export const ERROR_REPLY_BYTES_MAX = BINARY_HEADER_BYTES + Math.max(...LINES.map(line => line.length));

function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

/**
 * Writes at `offset` (behind the 8-byte frame header) the answer to a refused request and returns its length, or 0
 * when silence is the answer: after noreply, and where memcached says nothing (refusals.ts). A quiet meta or binary
 * request does get its error.
 *
 * The answer may be written over the request it answers. `bytes` needs ERROR_REPLY_BYTES_MAX of room there.
 *
 * @param out what `parseRequest` said about the request, of which `bytes` is still the array
 */
export function writeErrorReply(bytes: Uint8Array, offset: number, reason: number, out: Int32Array): number {
  if (reason <= 0 || reason >= REFUSAL_COUNT || LINES[reason].length === 0) return 0;
  if (out[OUT_PROTOCOL] === PROTOCOL_BINARY) return writeBinaryError(bytes, offset, reason, out);
  return out[OUT_FLAGS] & REQUEST_NOREPLY ? 0 : copy(LINES[reason], bytes, offset);
}

function writeBinaryError(bytes: Uint8Array, offset: number, reason: number, out: Int32Array): number {
  const text = TEXTS[reason];
  moveOpaque(bytes, out[OUT_OPAQUE_OFFSET], offset + OPAQUE_AT);
  for (let at = 0; at < BINARY_HEADER_BYTES; at++) {
    if (at < OPAQUE_AT || at >= OPAQUE_AT + OPAQUE_BYTES) bytes[offset + at] = 0;
  }
  bytes[offset] = MAGIC_RESPONSE;
  bytes[offset + 1] = out[OUT_OPCODE];
  bytes[offset + 6] = REFUSAL_STATUS[reason] >>> 8;
  bytes[offset + 7] = REFUSAL_STATUS[reason];
  bytes[offset + 11] = text.length;
  return BINARY_HEADER_BYTES + copy(text, bytes, offset + BINARY_HEADER_BYTES);
}

/** All four bytes are read before one is written: the two places may overlap. */
function moveOpaque(bytes: Uint8Array, from: number, to: number): void {
  const opaque =
    from < 0 ? 0 : (bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
  bytes[to] = opaque >>> 24;
  bytes[to + 1] = opaque >>> 16;
  bytes[to + 2] = opaque >>> 8;
  bytes[to + 3] = opaque;
}

function copy(text: Uint8Array, bytes: Uint8Array, offset: number): number {
  for (let at = 0; at < text.length; at++) bytes[offset + at] = text[at];
  return text.length;
}
