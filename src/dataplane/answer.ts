/** Answers built in the request's own frame. */
import { writeErrorReply } from '../memcached/error-reply.ts';
import { FRAME_HEADER_BYTES, requestId, writeFrameHeader } from '../memcached/frame-header.ts';
import { ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, TAG_FLAGS } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { TTL_DEFAULT } from './host.ts';
import type { LaneMemory } from './memory.ts';

/** No error answer is longer, UDP payload bytes. */
export const ANSWER_BYTES_MAX = 128;

/**
 * Turns the request at `row` into its own answer, a memcached error line.
 *
 * @param located what parseRequest found, as far as it got
 * @returns false when this refusal is answered by silence; the frame is untouched then
 */
export function turnIntoErrorAnswer(
  memory: LaneMemory,
  batch: Int32Array,
  row: number,
  ipOffset: number,
  udpOffset: number,
  reason: number,
  located: Int32Array,
): boolean {
  const body = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
  const lineBytes = writeErrorReply(memory.bytes, body, reason, located);
  if (lineBytes === 0) return false;
  turnIntoAnswer(memory, batch, row, ipOffset, udpOffset, lineBytes);
  return true;
}

/**
 * Puts headers around an answer of `bodyBytes`, written already behind the frame header: lengths, addresses and ports
 * swapped, checksums computed anew (the request's may have been partial). Ethernet addresses are the caller's.
 */
export function turnIntoAnswer(
  memory: LaneMemory,
  batch: Int32Array,
  row: number,
  ipOffset: number,
  udpOffset: number,
  bodyBytes: number,
): void {
  const { bytes, view } = memory;
  const payload = udpOffset + udp.HEADER_BYTES;
  writeFrameHeader(bytes, payload, requestId(bytes, payload), 0, 1);
  const udpBytes = udp.HEADER_BYTES + FRAME_HEADER_BYTES + bodyBytes;
  const ipBytes = udpOffset - ipOffset + udpBytes;
  udp.writeHeader(view, udpOffset, udp.destinationPort(view, udpOffset), udp.sourcePort(view, udpOffset), udpBytes);
  ipv4.swapAddresses(view, ipOffset);
  ipv4.setTotalLength(view, ipOffset, ipBytes);
  ipv4.setTtl(view, ipOffset, TTL_DEFAULT);
  ipv4.setChecksum(view, ipOffset, ipv4.computeChecksum(view, ipOffset));
  udp.setChecksum(view, udpOffset, udp.computeChecksum(view, ipOffset, udpOffset, udpBytes));
  batch[row + ROW_LENGTH] = Math.max(ipOffset + ipBytes - batch[row + ROW_OFFSET], ethernet.HEADER_BYTES);
  batch[row + ROW_FLAGS] &= TAG_FLAGS;
}
