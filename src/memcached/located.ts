/**
 * Where the parts of a message lie: the int32 words that `parseRequest` and `parseReply` fill.
 *
 *     word            request                                    reply
 *     OUT_PROTOCOL    PROTOCOL_*                                 PROTOCOL_*
 *     OUT_VERB        VERB_*, 0 when unknown                     binary: VERB_* of the opcode; else 0
 *     OUT_CLASS       CLASS_*, 0 when unknown                    0
 *     OUT_FLAGS       REQUEST_*                                  REQUEST_KEY_BASE64
 *     OUT_KEY_*       the (first) key; stats: its argument       the key the reply names
 *     OUT_VALUE_*     the value to store                         the value; its length as declared, which may
 *                                                                reach into the following datagrams
 *     OUT_OPAQUE_*    meta: token of O; binary: 4 bytes          same
 *     OUT_OPCODE      binary opcode, else −1                     same
 *     OUT_STATUS      0                                          binary status, else STATUS_*
 *
 * Offsets are absolute, in the array that was parsed; −1 where there is no such part. Lengths are bytes: 0 for no key
 * and no opaque, −1 for no value (0 is an empty value).
 */
export const OUT_PROTOCOL = 0;
export const OUT_VERB = 1;
export const OUT_CLASS = 2;
export const OUT_FLAGS = 3;
export const OUT_KEY_OFFSET = 4;
export const OUT_KEY_LENGTH = 5;
export const OUT_VALUE_OFFSET = 6;
export const OUT_VALUE_LENGTH = 7;
export const OUT_OPAQUE_OFFSET = 8;
export const OUT_OPAQUE_LENGTH = 9;
export const OUT_OPCODE = 10;
export const OUT_STATUS = 11;
/** Words of an `out` array. */
export const OUT_WORDS = 12;

export const PROTOCOL_ASCII = 0;
export const PROTOCOL_META = 1;
export const PROTOCOL_BINARY = 2;
export const PROTOCOL_NAMES = ['ascii', 'meta', 'binary'] as const;

/**
 * Some outcomes get no reply: noreply, meta flag q, a quiet binary opcode. An outstanding slot may stay unanswered.
 * (Where a quiet binary opcode has nothing to say, memcached 1.6.18 sends an empty datagram with total 0.)
 */
export const REQUEST_QUIET = 1;
/** Classic noreply: nothing is ever answered, not even an error (meta q and binary quiet still answer errors). */
export const REQUEST_NOREPLY = 2;
/** Meta flag b: the key is base64; memcached stores it decoded (`decodeBase64Key`). */
export const REQUEST_KEY_BASE64 = 4;
/** A binary key with bytes that the ASCII protocol cannot carry (space, CR, LF, NUL): never write it into a line. */
export const REQUEST_KEY_RAW = 8;
/** get, gets, gat, gats with more than one key, or a binary run of quiet gets (key-list.ts); only the first is located. */
export const REQUEST_MULTI_KEY = 16;
/** The request compares a CAS id: cas, meta flag C, binary header with CAS ≠ 0. */
export const REQUEST_HAS_CAS = 32;

/** Longest key memcached takes, bytes. A base64 key is limited before it is decoded, so to 187 bytes of key. */
export const KEY_BYTES_MAX = 250;

/** Sets every word to "not there". */
export function clearLocated(out: Int32Array): void {
  out[0] = out[1] = out[2] = out[3] = out[5] = out[9] = out[11] = 0;
  out[4] = out[6] = out[7] = out[8] = out[10] = -1;
}
