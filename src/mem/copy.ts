/**
 * Copies bytes within one block of shared memory.
 *
 * `copyWithin` on shared memory goes byte by byte wherever the two places are not aligned alike (V8 must not tear words
 * there), and it is a call. A DataView reads and writes words at any offset.
 */

/** Copies `length` bytes from `from` to `to`; the two places must not overlap. */
export function copyBytes(view: DataView, from: number, to: number, length: number): void {
  const blocksEnd = length & -16;
  let at = 0;
  for (; at < blocksEnd; at += 16) {
    view.setInt32(to + at, view.getInt32(from + at));
    view.setInt32(to + at + 4, view.getInt32(from + at + 4));
    view.setInt32(to + at + 8, view.getInt32(from + at + 8));
    view.setInt32(to + at + 12, view.getInt32(from + at + 12));
  }
  for (; at + 4 <= length; at += 4) view.setInt32(to + at, view.getInt32(from + at));
  for (; at < length; at++) view.setUint8(to + at, view.getUint8(from + at));
}
