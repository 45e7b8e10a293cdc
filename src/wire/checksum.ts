/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * Words on the way to a checksum:
 *
 *     partial sum   one's-complement sum of big-endian 16-bit words, not complemented; any integer 0 … 2^31−1
 *     folded sum    a partial sum brought down to 16 bits (carries added back in)
 *     checksum      the complement of a folded sum: what stands in an IPv4, ICMP or UDP header
 *     delta         what a change of fields adds to the partial sum: Σ (~old + new), unfolded
 *
 * The two zeros. One's complement has two of them, 0x0000 (+0) and 0xffff (−0), and both mean the same sum. Adding
 * positive words never brings a sum back to +0: it stays +0 only while every word was zero. A header that we touch
 * always has a nonzero word (IPv4 its version, a pseudo-header its protocol), so its sum is 1 … 0xffff and its
 * checksum 0 … 0xfffe. Equation 3 of RFC 1624 keeps to that range, hence gives exactly what a full computation gives;
 * equation 2 (of RFC 1141) does not. UDP, for which a checksum of 0 means "none", is udp.ts's own affair.
 */

/** Brings a partial sum (0 … 2^32−1) down to 16 bits. Zero only when the sum was. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** Partial sum → checksum. */
export function finish(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/**
 * Adds `length` bytes (0 … 65535) to the partial sum `initial` and returns the folded sum.
 *
 * An odd last byte counts as the upper half of a word, so of several pieces only the last may be odd. 65535 bytes sum
 * to less than 2^31, so an int32 loses no carry.
 */
export function sum16(view: DataView, offset: number, length: number, initial = 0): number {
  const blocksEnd = offset + (length & -32);
  let at = offset;
  let sum = 0;
  for (; at < blocksEnd; at += 32) sum = (sum + sum16Bytes(view, at) + sum16Bytes(view, at + 16)) | 0;
  // What is left by the bits of its length: no loop whose end the branch predictor has to guess.
  if (length & 16) {
    sum = (sum + sum16Bytes(view, at)) | 0;
    at += 16;
  }
  if (length & 8) {
    sum = (sum + halves(view.getInt32(at)) + halves(view.getInt32(at + 4))) | 0;
    at += 8;
  }
  if (length & 4) {
    sum = (sum + halves(view.getInt32(at))) | 0;
    at += 4;
  }
  if (length & 2) {
    sum = (sum + view.getUint16(at)) | 0;
    at += 2;
  }
  if (length & 1) sum = (sum + (view.getUint8(at) << 8)) | 0;
  return fold(fold(sum) + initial);
}

/**
 * Eight words at once. The upper halves are summed alone; the lower halves are what remains of the wrapped sum of all
 * when those are taken away (exact: it is below 2^18).
 */
function sum16Bytes(view: DataView, at: number): number {
  const a = view.getInt32(at);
  const b = view.getInt32(at + 4);
  const c = view.getInt32(at + 8);
  const d = view.getInt32(at + 12);
  const upper = (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
  return upper + ((((a + b + c + d) | 0) - (upper << 16)) | 0);
}

/** What a 32-bit word adds to a partial sum. */
export function halves(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}

/** RFC 1624 equation 3, HC' = ~(~HC + ~m + m'): the checksum after one 16-bit word changed. */
export function update16(checksum: number, oldWord: number, newWord: number): number {
  return applyDelta(checksum, delta16(0, oldWord, newWord));
}

/** As `update16`, for a 32-bit word that lies on a 16-bit boundary of the summed data. Signed or unsigned. */
export function update32(checksum: number, old32: number, new32: number): number {
  return applyDelta(checksum, delta32(0, old32, new32));
}

/**
 * Adds one changed word to `delta` (begin with 0). A delta may be applied to every checksum that covers the change,
 * e.g. an address to IPv4's and UDP's, and takes 8,000 changes before it must be applied.
 */
export function delta16(delta: number, oldWord: number, newWord: number): number {
  return (delta + (~oldWord & 0xffff) + (newWord & 0xffff)) | 0;
}

/** As `delta16`, for a 32-bit word. */
export function delta32(delta: number, old32: number, new32: number): number {
  return (delta + (~old32 >>> 16) + (~old32 & 0xffff) + (new32 >>> 16) + (new32 & 0xffff)) | 0;
}

/** The checksum (finished, complemented) after the changes in `delta`. A stray 0xffff on the way in is read as +0. */
export function applyDelta(checksum: number, delta: number): number {
  return ~fold((~checksum & 0xffff) + delta) & 0xffff;
}

/**
 * The same for a CHECKSUM_PARTIAL field, which holds the folded, uncomplemented pseudo-header sum. Only changes of the
 * pseudo-header (addresses, protocol, length) belong in such a delta: whoever completes the checksum sums the UDP
 * header, ports included, as it then is.
 */
export function applyDeltaPartial(sum: number, delta: number): number {
  return fold(sum + delta);
}
