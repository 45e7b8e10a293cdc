/** Turns a refusal into the answer memcached would have given, in the protocol of the request. */
import { BINARY_HEADER_BYTES } from './binary.ts';
import { copyInto, readOpaque, writeBinaryResponse } from './local-reply.ts';
import { OUT_FLAGS, OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, PROTOCOL_BINARY, REQUEST_NOREPLY } from './located.ts';
import { REFUSAL_COUNT, REFUSAL_LINES, REFUSAL_STATUS, REFUSAL_TEXTS } from './refusals.ts';

const LINES: readonly Uint8Array[] = REFUSAL_LINES.map(line => ascii(line === '' ? '' : `${line}\r\n`));
const TEXTS: readonly Uint8Array[] = REFUSAL_TEXTS.map(ascii);

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
  return out[OUT_FLAGS] & REQUEST_NOREPLY ? 0 : copyInto(bytes, offset, LINES[reason]) - offset;
}

function writeBinaryError(bytes: Uint8Array, offset: number, reason: number, out: Int32Array): number {
  const text = TEXTS[reason];
  const opaque = readOpaque(bytes, out[OUT_OPAQUE_OFFSET]);
  const body =
    offset + writeBinaryResponse(bytes, offset, out[OUT_OPCODE], REFUSAL_STATUS[reason], opaque, 0, text.length);
  return copyInto(bytes, body, text) - offset;
}
