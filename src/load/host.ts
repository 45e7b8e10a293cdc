/**
 * What makes an interface a host: it answers ARP and ping for its addresses, and asks for its neighbours. The kernel's
 * stack has no part in it: the interface carries no address.
 */
import { type Port, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../port/port.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';

/** Between two ARP requests for an address that does not answer. */
export const ARP_RETRY_NS = 200e6;
/** Ethernet's shortest frame, without FCS: what is shorter is padded. */
const FRAME_BYTES_MIN = 60;

export interface Neighbour {
  readonly address: number;
  /** Of its MAC; meaningless until `resolved`. */
  macHigh: number;
  macLow: number;
  resolved: boolean;
}

export class Host {
  readonly #port: Port;
  readonly #view: DataView;
  readonly #batch: Int32Array;
  readonly #addresses: Int32Array;
  readonly #neighbours: readonly Neighbour[];
  /** Called when an address is known, or has moved. */
  readonly #onResolved: (neighbour: Neighbour) => void;
  #nextAsk_ns = 0;
  #unresolved: number;

  /** @param batch rows (in the arena) for frames that the host sends by itself */
  constructor(
    port: Port,
    view: DataView,
    batch: Int32Array,
    addresses: readonly number[],
    neighbours: readonly number[] = [],
    onResolved: (neighbour: Neighbour) => void = () => {},
  ) {
    this.#port = port;
    this.#view = view;
    this.#batch = batch;
    this.#addresses = Int32Array.from(addresses);
    this.#neighbours = neighbours.map(address => ({ address, macHigh: 0, macLow: 0, resolved: false }));
    this.#unresolved = neighbours.length;
    this.#onResolved = onResolved;
  }

  get resolved(): boolean {
    return this.#unresolved === 0;
  }

  /** Addresses that have not answered yet. */
  unresolved(): number[] {
    return this.#neighbours.filter(neighbour => !neighbour.resolved).map(neighbour => neighbour.address);
  }

  /** When `poll` next has something to do, ns. */
  get due_ns(): number {
    return this.resolved ? Number.POSITIVE_INFINITY : this.#nextAsk_ns;
  }

  /** Position of an address of ours, or −1. */
  position(address: number): number {
    const addresses = this.#addresses;
    for (let i = 0; i < addresses.length; i++) if (addresses[i] === address) return i;
    return -1;
  }

  /** Asks for whoever has not answered yet, every ARP_RETRY_NS; returns the number of frames sent. */
  poll(now_ns: number): number {
    if (this.resolved || now_ns < this.#nextAsk_ns) return 0;
    this.#nextAsk_ns = now_ns + ARP_RETRY_NS;
    let rows = 0;
    for (const neighbour of this.#neighbours) {
      const capacity = this.#batch.length / ROW_WORDS;
      if (!neighbour.resolved && rows < capacity && this.#ask(rows, neighbour.address)) rows++;
    }
    this.#port.transmit(this.#batch, rows);
    return rows;
  }

  /** Takes the ARP frame in row `row` of `batch`: learns, or turns it into the reply and gives it our verdict. */
  acceptArp(batch: Int32Array, row: number): void {
    const view = this.#view;
    const offset = batch[row + ROW_OFFSET] as number;
    const at = offset + ethernet.HEADER_BYTES;
    if (!arp.isIpv4OverEthernet(view, at, (batch[row + ROW_LENGTH] as number) - ethernet.HEADER_BYTES)) return;
    this.#learn(arp.senderAddress(view, at), arp.senderMacHigh(view, at), arp.senderMacLow(view, at));
    if (arp.operation(view, at) !== arp.OPERATION_REQUEST) return;
    if (this.position(arp.targetAddress(view, at)) < 0 || this.position(arp.senderAddress(view, at)) >= 0) return;
    arp.turnIntoReply(view, at, this.#port.macHigh, this.#port.macLow);
    this.#sendBack(batch, row);
  }

  /** Takes the valid, unfragmented ICMP packet to an address of ours: answers a ping. True for "unreachable". */
  acceptIcmp(batch: Int32Array, row: number): boolean {
    const view = this.#view;
    const ip = (batch[row + ROW_OFFSET] as number) + ethernet.HEADER_BYTES;
    const at = ip + ipv4.headerBytes(view, ip);
    const length = ipv4.totalLength(view, ip) - ipv4.headerBytes(view, ip);
    if (length >= icmp.HEADER_BYTES && icmp.type(view, at) === icmp.TYPE_DESTINATION_UNREACHABLE) return true;
    if (!icmp.isEchoRequest(view, at, length) || !icmp.verifyChecksum(view, at, length)) return false;
    icmp.turnIntoEchoReply(view, at);
    ipv4.swapAddresses(view, ip);
    this.#sendBack(batch, row);
    return false;
  }

  #sendBack(batch: Int32Array, row: number): void {
    const offset = batch[row + ROW_OFFSET] as number;
    ethernet.turnToSender(this.#view, offset, this.#port.macHigh, this.#port.macLow);
    batch[row + ROW_FLAGS] = 0;
    batch[row + ROW_VERDICT] = this.#port.id;
  }

  #ask(row: number, address: number): boolean {
    const offset = this.#port.claim();
    if (offset < 0) return false;
    const view = this.#view;
    const { macHigh, macLow, id } = this.#port;
    const { BROADCAST_HIGH, BROADCAST_LOW, ETHERTYPE_ARP } = ethernet;
    const at = ethernet.writeHeader(view, offset, BROADCAST_HIGH, BROADCAST_LOW, macHigh, macLow, ETHERTYPE_ARP);
    arp.writeRequest(view, at, macHigh, macLow, this.#addresses[0] as number, address);
    for (let i = at + arp.PAYLOAD_BYTES; i < offset + FRAME_BYTES_MIN; i++) view.setUint8(i, 0);
    this.#batch[row * ROW_WORDS + ROW_OFFSET] = offset;
    this.#batch[row * ROW_WORDS + ROW_LENGTH] = FRAME_BYTES_MIN;
    this.#batch[row * ROW_WORDS + ROW_FLAGS] = 0;
    this.#batch[row * ROW_WORDS + ROW_VERDICT] = id;
    return true;
  }

  #learn(address: number, macHigh: number, macLow: number): void {
    for (const neighbour of this.#neighbours) {
      if (neighbour.address !== address) continue;
      if (!neighbour.resolved) this.#unresolved--;
      else if (neighbour.macHigh === macHigh && neighbour.macLow === macLow) continue;
      neighbour.resolved = true;
      neighbour.macHigh = macHigh;
      neighbour.macLow = macLow;
      this.#onResolved(neighbour);
    }
  }
}
