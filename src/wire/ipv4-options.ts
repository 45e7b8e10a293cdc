/**
 * IPv4 options (RFC 791 3.1), as far as fragmentation needs them.
 *
 *     0x00        end of the list
 *     0x01        no operation
 *     else        type, length (of all of it, ≥ 2), data
 *
 * Bit 7 of the type is the copied flag: an option that has it stands in every fragment, the others in the first alone.
 */
import { HEADER_BYTES_MIN, headerBytes } from './ipv4.ts';

const END_OF_LIST = 0;
const NO_OPERATION = 1;
const COPIED = 0x80;
const OPTION_BYTES_MIN = 2;

/**
 * Writes at `to` the header that the later fragments of the datagram at `from` have: its own, with none but the copied
 * options. Total length, fragment word and checksum are those of `from` still: the caller's to set. Returns its bytes.
 */
export function copyLaterHeader(view: DataView, from: number, to: number): number {
  for (let at = 0; at < HEADER_BYTES_MIN; at += 4) view.setInt32(to + at, view.getInt32(from + at));
  const end = copyOptions(view, from + HEADER_BYTES_MIN, from + headerBytes(view, from), to + HEADER_BYTES_MIN);
  const stop = to + ((end - to + 3) & -4);
  for (let at = end; at < stop; at++) view.setUint8(at, END_OF_LIST);
  view.setUint8(to, 0x40 | ((stop - to) >> 2));
  return stop - to;
}

/** Copies the options marked so; of a list that is malformed, those before the fault. Returns where the copy ends. */
function copyOptions(view: DataView, from: number, stop: number, to: number): number {
  let end = to;
  for (let at = from; at < stop; ) {
    const type = view.getUint8(at);
    if (type === END_OF_LIST) return end;
    const bytes = type === NO_OPERATION ? 1 : optionBytes(view, at, stop);
    if (bytes === 0) return end;
    if ((type & COPIED) !== 0) for (let i = 0; i < bytes; i++) view.setUint8(end++, view.getUint8(at + i));
    at += bytes;
  }
  return end;
}

/** Length of the option at `at`, 0 for one that is shorter than its own header or longer than the list. */
function optionBytes(view: DataView, at: number, stop: number): number {
  if (at + OPTION_BYTES_MIN > stop) return 0;
  const bytes = view.getUint8(at + 1);
  return bytes < OPTION_BYTES_MIN || at + bytes > stop ? 0 : bytes;
}
