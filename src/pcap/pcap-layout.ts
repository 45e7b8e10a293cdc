/**
 * Classic pcap (draft-ietf-opsawg-pcap), in the byte order of the machine that wrote it.
 *
 *     file header                                       a record
 *      0  magic: 0xa1b2c3d4 time in µs,                  0  time, seconds since 1970
 *                0xa1b23c4d in ns                        4  time, µs or ns
 *      4  version, u16 2, u16 4                          8  captured bytes
 *      8  unused, two words                             12  bytes on the wire
 *     16  longest captured frame                        16  the frame
 *     20  lower 16 bits: link type
 */
export const MAGIC_US = 0xa1b2c3d4;
export const MAGIC_NS = 0xa1b23c4d;
export const VERSION_MAJOR = 2;
export const VERSION_MINOR = 4;
export const FILE_HEADER_BYTES = 24;
export const RECORD_HEADER_BYTES = 16;

export const NS_PER_S = 1_000_000_000n;
export const NS_PER_US = 1000n;
