/**
 * Base64 keys of the meta protocol (flag b, RFC 4648 section 4). memcached decodes the key and stores the item under
 * the bytes, so `mg Zm9v b` and `get foo` are the same item: what is hashed must be the decoded key.
 *
 * memcached skips characters that are not base64; here they are refused, as is a length that is no multiple of 4.
 */
const PADDING = 0x3d;
/** Not a character of the alphabet. */
const NONE = 255;

const VALUES = base64Values();

function base64Values(): Uint8Array {
  const values = new Uint8Array(256).fill(NONE);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let value = 0; value < 64; value++) values[alphabet.charCodeAt(value)] = value;
  return values;
}

/** Bytes of the key once decoded, or −1 when the `length` bytes at `offset` are not base64. */
export function decodedKeyLength(bytes: Uint8Array, offset: number, length: number): number {
  if (length === 0 || length % 4 !== 0) return -1;
  const stop = offset + length;
  const padding = bytes[stop - 1] !== PADDING ? 0 : bytes[stop - 2] !== PADDING ? 1 : 2;
  for (let at = offset; at < stop - padding; at++) {
    if (VALUES[bytes[at]] === NONE) return -1;
  }
  return (length / 4) * 3 - padding;
}

/**
 * Decodes a key that `parseRequest` accepted into `target` and returns its length, or −1 when it is not base64.
 * `target` needs room for 3/4 of `length`, rounded up to 3 bytes.
 */
export function decodeBase64Key(
  bytes: Uint8Array,
  offset: number,
  length: number,
  target: Uint8Array,
  targetOffset: number,
): number {
  const decoded = decodedKeyLength(bytes, offset, length);
  let to = targetOffset;
  for (let at = offset; decoded > 0 && at < offset + length; at += 4) {
    const high = (VALUES[bytes[at]] << 18) | (VALUES[bytes[at + 1]] << 12);
    const word = high | ((VALUES[bytes[at + 2]] & 63) << 6) | (VALUES[bytes[at + 3]] & 63);
    target[to++] = word >>> 16;
    target[to++] = word >>> 8;
    target[to++] = word;
  }
  return decoded;
}
