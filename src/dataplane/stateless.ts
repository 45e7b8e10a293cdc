/**
 * Requests in gateway and dsr mode: forwarded without a slot.
 *
 *     gateway   client → VIP    becomes    client → node; the reply comes back through us (returns.ts)
 *     dsr       the frame is sent on to the node's Ethernet address, otherwise as it came; the reply goes its own way
 *
 * What takes a slot in these modes too: keys of multi-key requests, commands for every node. Their datagrams are our own,
 * from our own address, and their replies go the way of nat's.
 */
import { requestId } from '../memcached/frame-header.ts';
import { ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, VERDICT_GROUP_SHIFT } from '../port/port.ts';
import { nodeAddress, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import type { Path } from './path.ts';
import { rewriteDatagram } from './rewrite.ts';
import { MODE_GATEWAY } from './setup.ts';

export class StatelessForward {
  readonly #path: Path;
  readonly #isGateway: boolean;

  constructor(path: Path) {
    this.#path = path;
    this.#isGateway = path.setup.mode === MODE_GATEWAY;
  }

  /** Notes where the reply must go. False: there is no place for that, so the request cannot be served. */
  admits(offset: number, ipOffset: number): boolean {
    if (!this.#isGateway) return true;
    const { memory, clients, slots, nowMs } = this.#path;
    const { view } = memory;
    const client = ipv4.source(view, ipOffset);
    const isNewcomer = slots.isAimedAtNewcomers;
    return clients.learn(
      client,
      ethernet.sourceHigh(view, offset),
      ethernet.sourceLow(view, offset),
      nowMs,
      isNewcomer,
    );
  }

  /** Sends the request to its node, or keeps it aside until the next hop is resolved. Returns the verdict. */
  send(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, node: number): number {
    const { neighbours, steerWords, table } = this.#path;
    const offset = batch[row + ROW_OFFSET];
    const flags = batch[row + ROW_FLAGS];
    if (this.#isGateway) this.#redirect(ipOffset, udpOffset, flags, node);
    const neighbour = nodeNeighbour(steerWords, table, node);
    if (neighbours.isUsable(neighbour)) {
      const verdict = this.#path.sendTo(offset, neighbour) | ((node + 1) << VERDICT_GROUP_SHIFT);
      return this.#path.wholeOrFragments(this.#path.serverOut, batch, row, verdict, node + 1);
    }
    return this.#path.park(offset, batch[row + ROW_LENGTH], flags, neighbour);
  }

  #redirect(ipOffset: number, udpOffset: number, flags: number, node: number): void {
    const { memory, steerWords, table } = this.#path;
    const { bytes, view } = memory;
    rewriteDatagram(
      view,
      ipOffset,
      udpOffset,
      flags,
      ipv4.source(view, ipOffset),
      udp.sourcePort(view, udpOffset),
      nodeAddress(steerWords, table, node),
      nodePort(steerWords, table, node),
      requestId(bytes, udpOffset + udp.HEADER_BYTES),
    );
  }
}
