/** A frame as a capture holds it. */
export interface CapturedFrame {
  /** From the Ethernet header on, without FCS. Of a reader: valid until its next `next`. */
  readonly bytes: Uint8Array;
  /** Its length on the wire; above `bytes.length` where the capture cut it. */
  readonly wireBytes: number;
  /** Nanoseconds since 1970, UTC; TIME_UNKNOWN where the capture has no time. */
  readonly timeNs: bigint;
  /** Position of its interface in the capture, from 0. */
  readonly interface: number;
  /** pcapng; empty when there is none. Several are joined by line feeds. */
  readonly comment: string;
}

export const TIME_UNKNOWN = -1n;

/** The only link type that is read and written (LINKTYPE_ETHERNET). */
export const LINK_ETHERNET = 1;

/** Times are below this: 64 bits of nanoseconds reach into the year 2554. */
export const TIME_END_NS = 1n << 64n;

/** Longest frame a capture may hold, bytes: as Wireshark and libpcap have it. */
export const FRAME_BYTES_MAX = 262_144;

const LINK_NAMES: Readonly<Record<number, string>> = {
  0: 'BSD loopback',
  101: 'raw IP',
  105: 'IEEE 802.11',
  113: 'Linux cooked, as of `-i any`',
  127: 'radiotap',
  276: 'Linux cooked v2, as of `-i any`',
};

/** The rule that a link type breaks; undefined when it is Ethernet. */
export function faultOfLinkType(linkType: number): string | undefined {
  if (linkType === LINK_ETHERNET) return undefined;
  const name = LINK_NAMES[linkType];
  return `link type is ${linkType}${name === undefined ? '' : ` (${name})`}; it must be ${LINK_ETHERNET} (Ethernet)`;
}

/** Of a frame to be written. @throws RangeError */
export function checkFrame(bytes: Uint8Array, timeNs: bigint): void {
  if (bytes.length > FRAME_BYTES_MAX) {
    throw new RangeError(`pcap: a frame of ${bytes.length} bytes; at most ${FRAME_BYTES_MAX} fit`);
  }
  if (timeNs < 0n || timeNs >= TIME_END_NS)
    throw new RangeError(`pcap: a frame at ${timeNs} ns; its time must be known`);
}
