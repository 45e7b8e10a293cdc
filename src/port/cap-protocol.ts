/**
 * What a libpcap process (cap-process.ts) and its parent say to each other.
 *
 * Argument: a `CapRequest` as JSON. Over the IPC channel one `CapNotice` once it is open, or that it cannot be. Frames go
 * through standard output (receiving) or input (sending), little endian, one record behind another:
 *
 *      0  u32   captured bytes
 *      4  u32   bytes on the wire, as far as is known
 *      8  u64   ns since 1970 when the frame came out of libpcap; unused when sending
 *     16  the frame
 */
export interface CapRequest {
  readonly role: 'receive' | 'send';
  readonly interfaceName: string;
  /** As for tcpdump; empty: everything. */
  readonly filter: string;
}

export type CapNotice =
  | { readonly type: 'open' }
  | { readonly type: 'failed'; readonly step: 'load' | 'open' | 'link type'; readonly message: string };

export const RECORD_HEADER_BYTES = 16;
/** Longest frame that libpcap hands over, bytes. */
export const CAPTURED_BYTES_MAX = 65_535;
