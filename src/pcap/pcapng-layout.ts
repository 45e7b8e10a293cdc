/**
 * pcapng (draft-ietf-opsawg-pcapng), in the byte order that each section declares. A file is a row of blocks:
 *
 *      0  type
 *      4  length: all of the block, a multiple of 4
 *      8  body
 *      …  the length again
 *
 *     body of      section header      interface         enhanced packet     simple packet     packet (obsolete)
 *          type    0x0a0d0d0a          1                 6                   3                 2
 *            8     0x1a2b3c4d          u16 link type     interface           bytes on wire     u16 interface
 *           12     u16 1, u16 0        longest frame     time, upper half    the frame         time, upper half
 *           16     section length,     options           time, lower half                      time, lower half
 *           20     −1: unknown                           captured bytes                        captured bytes
 *           24     options                               bytes on the wire                     bytes on the wire
 *           28                                           the frame, options                    the frame, options
 *
 *     an option    u16 code, u16 length, value; frames and values are padded to a multiple of 4
 */
export const BLOCK_SECTION = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_PACKET_OBSOLETE = 2;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_ENHANCED_PACKET = 6;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const VERSION_MAJOR = 1;
/** Type, length, and the length again. */
export const BLOCK_FRAMING_BYTES = 12;

export const OPTION_END = 0;
export const OPTION_COMMENT = 1;
/** Of a section. */
export const OPTION_APPLICATION = 4;
/** Of an interface. */
export const OPTION_NAME = 2;
export const OPTION_TIME_RESOLUTION = 9;
export const OPTION_TIME_OFFSET = 14;
/** Of an enhanced packet. */
export const OPTION_FLAGS = 2;
/** Lowest two bits of the flags. */
export const DIRECTION_INBOUND = 1;
export const DIRECTION_OUTBOUND = 2;

/** if_tsresol: powers of ten, or of two when the top bit is set. */
export const RESOLUTION_US = 6;
export const RESOLUTION_NS = 9;
export const RESOLUTION_BINARY = 0x80;

export function padded(bytes: number): number {
  return (bytes + 3) & -4;
}
