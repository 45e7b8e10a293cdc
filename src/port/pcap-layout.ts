/**
 * Where a pcap port's parts lie in the lane's arena, between the lane (PcapPort) and the control thread (PcapFeed), which
 * copies frames from and to the libpcap processes.
 *
 *     state, a cache line for each writer
 *        word  0  RECEIVED_PUT     frames ever put into the receive ring, wrapping       writer: feed
 *              1  DROPPED          frames that came into a full ring, wrapping           writer: feed
 *             16  RECEIVED_TAKEN   frames ever given back, wrapping                      writer: the lane
 *             17  ROWS             rows of the batch in work, 0 between cycles           writer: the lane
 *             18  SENT_PUT         frames ever put into the send ring, wrapping          writer: the lane
 *             32  SENT_TAKEN       frames ever taken from it, wrapping                   writer: feed
 *
 *     a slot, of either ring or claimed (a multiple of 64 bytes apart)
 *        byte  0  length of the frame
 *              4  FLAGS (receive ring)
 *             16  headroom
 *             34  the frame: its network header is 4-aligned
 *
 * Either side fills or reads slots with plain loads and stores and then moves its own word on with an atomic store.
 */
import type { Arena } from '../mem/arena.ts';
import { countersByteLength } from '../mem/counters.ts';
import { PORT_COUNTERS } from './port.ts';

export const RECEIVED_PUT = 0;
export const DROPPED = 1;
export const RECEIVED_TAKEN = 16;
export const ROWS = 17;
export const SENT_PUT = 18;
export const SENT_TAKEN = 32;
const STATE_BYTES = 192;

export const SLOT_LENGTH = 0;
export const SLOT_FLAGS = 4;
export const SLOT_FRAME = 34;

export const CLAIM_FRAMES = 64;
export const ETHERNET_BYTES = 14;
const CACHE_LINE_BYTES = 64;

/** An open port; plain data, so that it can be handed to a worker. */
export interface PcapDescription {
  readonly transport: 'pcap';
  readonly id: number;
  /** Of the interface. */
  readonly name: string;
  /** The shim has no part in it. */
  readonly handle: -1;
  readonly mtu: number;
  readonly macHigh: number;
  readonly macLow: number;
  readonly slotBytes: number;
  /** Of each ring, a power of two. */
  readonly slots: number;
  readonly receiveOffset: number;
  readonly sendOffset: number;
  readonly claimOffset: number;
  readonly stateOffset: number;
  readonly countersOffset: number;
}

/** Tells the descriptions of ports apart. */
export function isPcap(description: {
  readonly handle: number;
  readonly transport?: string;
}): description is PcapDescription {
  return description.transport === 'pcap';
}

export function slotBytesFor(mtu: number): number {
  return Math.ceil((SLOT_FRAME + ETHERNET_BYTES + mtu + 4) / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
}

/** Arena bytes of one port. */
export function pcapByteLength(ringFrames: number, mtu = 1500): number {
  const slots = (2 * ringFrames + CLAIM_FRAMES) * slotBytesFor(mtu);
  return slots + STATE_BYTES + countersByteLength(PORT_COUNTERS) + 5 * CACHE_LINE_BYTES;
}

/** Takes `pcapByteLength` of the arena. */
export function allocatePcap(
  arena: Arena,
  ringFrames: number,
  mtu: number,
): Pick<
  PcapDescription,
  'slotBytes' | 'receiveOffset' | 'sendOffset' | 'claimOffset' | 'stateOffset' | 'countersOffset'
> {
  const slotBytes = slotBytesFor(mtu);
  return {
    slotBytes,
    receiveOffset: arena.allocate(ringFrames * slotBytes),
    sendOffset: arena.allocate(ringFrames * slotBytes),
    claimOffset: arena.allocate(CLAIM_FRAMES * slotBytes),
    stateOffset: arena.allocate(STATE_BYTES),
    countersOffset: arena.allocate(countersByteLength(PORT_COUNTERS)),
  };
}
