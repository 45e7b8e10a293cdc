/** A port of Keysteer's, held for a moment by the doctor: says frames, and hears what arrives in the meantime. */
import { setTimeout as sleep } from 'node:timers/promises';
import { FRAME_BYTES_MIN } from '../../dataplane/host.ts';
import { Arena } from '../../mem/arena.ts';
import { afPacketByteLength, openAfPacket } from '../../port/af-packet.ts';
import {
  BATCH_ROWS_MAX,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  vlanOf,
} from '../../port/port.ts';
import * as arp from '../../wire/arp.ts';
import * as ethernet from '../../wire/ethernet.ts';
import type { PortConfig } from '../config/normalise.ts';

/** Room for the answers of as many nodes as there can be. */
const RING_FRAMES = 1024;
const BATCH_BYTES = BATCH_ROWS_MAX * ROW_WORDS * 4;
const POLL_MS = 2;
/** A ring full; a flood does not hold us beyond the time. */
const BATCHES_MAX = 8;

export type Writer = (view: DataView, offset: number, port: Port) => number;
export type Hearer = (view: DataView, offset: number, length: number) => void;

export class Station {
  readonly port: Port;
  /** IPv4 address, int32, that ARP requests are answered for; 0: none. */
  ownAddress = 0;
  readonly #arena: Arena;
  readonly #batch: Int32Array;

  /** @param arena the port's, with room for a batch */
  constructor(port: Port, arena: Arena) {
    this.port = port;
    this.#arena = arena;
    this.#batch = new Int32Array(arena.buffer, arena.allocate(BATCH_BYTES), BATCH_BYTES / 4);
  }

  /**
   * With the Ethernet address and VLAN that Keysteer has there. A running Keysteer neither hears it nor is heard by it.
   * @throws PortError
   */
  static open({ interface: interfaceName, mac, vlan }: PortConfig): Station {
    const arena = Arena.create(afPacketByteLength(RING_FRAMES) + BATCH_BYTES + 65_536);
    return new Station(openAfPacket({ id: 0, interfaceName, arena, ringFrames: RING_FRAMES, mac, vlan }), arena);
  }

  /** Sends what `write` puts at the offset; it returns the frame's length. A frame that is refused is lost, as any can be. */
  say(write: Writer): void {
    const offset = this.port.claim();
    const length = write(this.#arena.view, offset, this.port);
    this.#transmit(offset, length, 0);
  }

  /** Hands over every frame of our VLAN until `isDone` or the time is over; at least once what is there. */
  async hear(timeoutMs: number, hear: Hearer, isDone: () => boolean): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      this.#receive(hear);
      if (isDone() || performance.now() >= deadline) return;
      await sleep(POLL_MS);
    }
  }

  close(): void {
    this.port.close();
  }

  #receive(hear: Hearer): void {
    const asked: Uint8Array[] = [];
    for (let batches = BATCHES_MAX; batches > 0 && this.#take(hear, asked) > 0; batches--);
    for (const request of asked) this.#answer(request);
  }

  #take(hear: Hearer, asked: Uint8Array[]): number {
    const { port } = this;
    const { view, bytes } = this.#arena;
    const batch = this.#batch;
    const rows = port.receive(batch, BATCH_ROWS_MAX);
    for (let row = 0; row < rows * ROW_WORDS; row += ROW_WORDS) {
      const offset = batch[row + ROW_OFFSET];
      const length = batch[row + ROW_LENGTH];
      if (vlanOf(batch[row + ROW_FLAGS]) !== port.vlan || length < ethernet.HEADER_BYTES) continue;
      if (this.#isForUs(offset, length)) asked.push(bytes.slice(offset, offset + length));
      else hear(view, offset, length);
    }
    port.release(batch, rows);
    return rows;
  }

  /** Who is to answer us may have to ask who we are. */
  #isForUs(offset: number, length: number): boolean {
    const { view } = this.#arena;
    const packet = offset + ethernet.HEADER_BYTES;
    return (
      this.ownAddress !== 0 &&
      isArp(view, offset, length) &&
      arp.operation(view, packet) === arp.OPERATION_REQUEST &&
      arp.targetAddress(view, packet) === this.ownAddress
    );
  }

  #answer(request: Uint8Array): void {
    this.say((view, offset, { macHigh, macLow }) => {
      this.#arena.bytes.set(request, offset);
      arp.turnIntoReply(view, offset + ethernet.HEADER_BYTES, macHigh, macLow);
      ethernet.turnToSender(view, offset, macHigh, macLow);
      return Math.max(request.length, FRAME_BYTES_MIN);
    });
  }

  #transmit(offset: number, length: number, flags: number): void {
    const batch = this.#batch;
    batch[ROW_OFFSET] = offset;
    batch[ROW_LENGTH] = length;
    batch[ROW_FLAGS] = flags;
    batch[ROW_VERDICT] = this.port.id;
    this.port.transmit(batch, 1);
  }
}

/** Whether a frame of at least a header is an ARP packet that we read. */
export function isArp(view: DataView, offset: number, length: number): boolean {
  const packet = offset + ethernet.HEADER_BYTES;
  const isSo = ethernet.etherType(view, offset) === ethernet.ETHERTYPE_ARP;
  return isSo && arp.isIpv4OverEthernet(view, packet, length - ethernet.HEADER_BYTES);
}
