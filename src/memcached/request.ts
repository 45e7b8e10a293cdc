/**
 * Where verb, key and value of a request lie. The room's front door: it also hands on the words of `out`
 * (located.ts) and the reasons (refusals.ts).
 */
import { parseAsciiRequest } from './ascii-request.ts';
import { MAGIC_REQUEST } from './binary.ts';
import { parseBinaryRequest } from './binary-request.ts';
import { clearLocated } from './located.ts';
import { REFUSED_EMPTY } from './refusals.ts';

export * from './located.ts';
export * from './refusals.ts';

const BINARY = MAGIC_REQUEST;

/**
 * Locates one request in bytes `offset` … `end` − 1, which is what follows the 8-byte frame header.
 *
 * Returns REQUEST_OK, or the REFUSED_* reason why it must not reach a node. Every word of `out` is written; of a
 * refused request they hold what was understood before it was refused, and OUT_PROTOCOL, OUT_OPCODE, OUT_OPAQUE_* and
 * the quiet flags always suffice for `writeErrorReply`.
 */
export function parseRequest(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  clearLocated(out);
  if (end <= offset) return REFUSED_EMPTY;
  if (bytes[offset] === BINARY) return parseBinaryRequest(bytes, offset, end, out);
  return parseAsciiRequest(bytes, offset, end, out);
}
