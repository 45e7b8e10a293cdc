/**
 * The contract between a lane and a source of frames: AF_PACKET today; AF_XDP, TAP, memif, pcap, simulated and
 * faulty ports by the same words.
 *
 * Frames lie in the memory of the lane's arena and never move. A cycle of the lane:
 *
 *     n = port.receive(batch)      rows 0…n−1 describe frames the kernel wrote
 *     … each row is given a verdict, its frame rewritten in place …
 *     other.transmit(batch, n)     sends the rows whose verdict names `other`
 *     port.release(batch, n)       gives every frame back: AF_PACKET hands the ring slots to the kernel; a UMEM port
 *                                  refills the ones that no transmit took over
 *
 * Whoever receives a frame transmits it or frees it in the same cycle.
 */

/**
 * A batch: rows of four int32.
 *
 *     word 0  OFFSET   of the Ethernet header, bytes from the start of the arena
 *     word 1  LENGTH   of the frame, bytes, without FCS
 *     word 2  FLAGS    bits 0–7: FLAG_* below; bits 8–15: where the checksummed part begins, bytes from the Ethernet
 *                      header, when FLAG_PARTIAL_CHECKSUM; bits 16–31: VLAN tag control when FLAG_VLAN
 *     word 3  VERDICT  DROP, REFUSED, or: bits 0–7 the id of the port that transmits it, bits 8–30 its group
 *
 * A group is a wish: frames of one group may leave one after another, ahead of frames of others that came before them.
 * A node that sleeps is woken by the first frame it gets; with the rest of its share right behind, it finds them all
 * waiting when it runs, and a wake-up costs the sender more than a frame does. Frames of one group keep their order, and
 * so do frames of group 0, which is none. A port may send neighbours in a group as one (AF_PACKET: UDP segmentation offload).
 */
export const ROW_WORDS = 4;
export const ROW_OFFSET = 0;
export const ROW_LENGTH = 1;
export const ROW_FLAGS = 2;
export const ROW_VERDICT = 3;

/** The UDP checksum field holds only the folded pseudo-header sum (CHECKSUM_PARTIAL): the transmitter completes it. */
export const FLAG_PARTIAL_CHECKSUM = 1;
/** The frame had a VLAN tag, which was taken out; it stands in the upper 16 bits of FLAGS. */
export const FLAG_VLAN = 2;
/** The frame is longer than its slot: only the first LENGTH bytes are there. */
export const FLAG_TRUNCATED = 4;
/** A GSO/GRO super-frame: more than one datagram behind one header. */
export const FLAG_SUPERFRAME = 8;
/** The receiving hardware or kernel has verified the transport checksum. */
export const FLAG_CHECKSUM_VERIFIED = 16;
/** Shift of the checksum start within FLAGS. */
export const CHECKSUM_START_SHIFT = 8;
/** Shift of the tag control (3 bits priority, 1 drop eligible, 12 VLAN id; IEEE 802.1Q 9.6) within FLAGS. */
export const VLAN_SHIFT = 16;
/** The tag within FLAGS: what an answer in the same frame, its checksum whole, keeps of them. */
export const TAG_FLAGS = FLAG_VLAN | (0xffff << VLAN_SHIFT);
/** EtherType of the tags that count; other kinds (802.1ad) are shown as one of VLAN_NOBODYS. */
export const ETHERTYPE_VLAN = 0x8100;
/** A VLAN id that the standard keeps back. */
export const VLAN_NOBODYS = 0xfff;

/** VLAN that a received frame is of: 0 without a tag, and with one that has a priority but no id. */
export function vlanOf(flags: number): number {
  return (flags & FLAG_VLAN) === 0 ? 0 : (flags >>> VLAN_SHIFT) & 0xfff;
}

/** Bytes before every frame that belong to the port (AF_PACKET's virtio_net_hdr); a transmit may overwrite them. */
export const HEADROOM_BYTES = 16;
/** Rows a batch holds at most; a port need not take more in one transmit. */
export const BATCH_ROWS_MAX = 256;

/** VERDICT = port id | group << VERDICT_GROUP_SHIFT. */
export const VERDICT_GROUP_SHIFT = 8;
/** What of VERDICT says who transmits the row: `(verdict & VERDICT_PORT_BITS) === id`. The sign: DROP is no port's. */
export const VERDICT_PORT_BITS = 0x800000ff | 0;

/** Verdict of a row that nobody transmits. */
export const DROP = -1;
/** Verdict after a transmit that did not take the row. */
export const REFUSED = -2;

/** Counters every port keeps in shared memory, one writer each (the lane's thread). */
export const PORT_COUNTERS = [
  'received_frames',
  'received_bytes',
  'transmitted_frames',
  'transmitted_bytes',
  /** Frames the transport would not take (queue full, interface down): freed and counted, not retried. */
  'transmit_refused',
  /** Of the transmitted frames: those that left behind the headers of another, in a super-frame. */
  'transmit_joined',
  /** Frames the kernel could not put into a full receive ring. */
  'ring_dropped',
  'receive_batches',
  'transmit_calls',
  /** Faults of `ports.*.faults` (faulty.ts): frames lost, sent on twice, sent on later; both ways together. */
  'fault_dropped',
  'fault_duplicated',
  'fault_delayed',
] as const;

export interface Port {
  /** What bits 0–7 of VERDICT say to send here; unique within the lane, 0 to 30. */
  readonly id: number;
  readonly name: string;
  /** Our own Ethernet address: upper 16 and lower 32 bits. */
  readonly macHigh: number;
  readonly macLow: number;
  /**
   * VLAN of the port, 1–4094, or 0: untagged. `receive` describes frames of all VLANs, `vlanOf` tells which are the
   * port's. `transmit` puts a tag of this VLAN into each frame, with the priority bits of the one that FLAGS remember.
   */
  readonly vlan: number;
  /** Largest frame that can be transmitted, bytes, without FCS (MTU + 14). */
  readonly frameBytesMax: number;
  /** What the shim's `wait` waits for; −1 where the port must be polled. */
  readonly handle: number;
  readonly counters: Float64Array;

  /** Bytes a received frame may grow to in place, from its Ethernet header. */
  readonly roomBytes: number;

  /** Fills rows from the start of `batch` (at most `rowsMax`), VERDICT = DROP; returns their number. Never blocks. */
  receive(batch: Int32Array, rowsMax: number): number;

  /**
   * Sends those of the first `rows` rows' frames whose VERDICT names this port, in row order but for groups, with one
   * kernel call where the transport allows it. A frame the transport refuses is counted in `transmit_refused` and its
   * VERDICT becomes REFUSED. Returns the number taken.
   */
  transmit(batch: Int32Array, rows: number): number;

  /** Gives back every frame of the last `receive`; the rows are void afterwards. */
  release(batch: Int32Array, rows: number): void;

  /**
   * A free frame of `frameBytesMax` bytes for something the lane says itself (an ARP request): its offset, or −1.
   * It is this port's again once any `transmit` has returned, be it one of no rows.
   */
  claim(): number;

  /** Brings counters that only the kernel knows (ring_dropped) up to date. Called about once a second. */
  refreshCounters(): void;

  close(): void;
}
