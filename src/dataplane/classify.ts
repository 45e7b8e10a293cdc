/**
 * The first stage: what kind of frame is it, is it ours, is it whole? ARP and ICMP are answered here; UDP datagrams go
 * on three lists: requests (client → VIP), replies (node → own address) and, in gateway mode, returns (node → client).
 *
 * A row that is dropped or foreign keeps the verdict DROP that it came with; the reason is counted.
 */
import { DROP, type Port, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS, vlanOf } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { faultOfDatagram, faultOfFrame, faultOfHeader, maySend } from './checks.ts';
import { COUNT } from './counters.ts';
import { handleArp, handleIcmp } from './host.ts';
import { BATCH_ROWS, LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS, type Path } from './path.ts';
import { PLAIN_IP_AT, PLAIN_UDP_AT, PlainDatagrams } from './plain-datagram.ts';
import { MODE_GATEWAY } from './setup.ts';

export class Classifier {
  /** Frames of the last `run`, LIST_WORDS each. */
  readonly requests = new Int32Array(BATCH_ROWS * LIST_WORDS);
  readonly replies = new Int32Array(BATCH_ROWS * LIST_WORDS);
  readonly returns = new Int32Array(BATCH_ROWS * LIST_WORDS);
  requestCount = 0;
  replyCount = 0;
  returnCount = 0;
  readonly #path: Path;
  readonly #vip: number;
  readonly #vipPort: number;
  readonly #ownAddress: number;
  readonly #isGateway: boolean;
  readonly #plain: PlainDatagrams;

  constructor(path: Path) {
    this.#path = path;
    this.#vip = path.setup.vip;
    this.#vipPort = path.setup.vipPort;
    this.#ownAddress = path.setup.ownAddress;
    this.#isGateway = path.setup.mode === MODE_GATEWAY;
    this.#plain = new PlainDatagrams(path.memory.view, path.setup);
  }

  /** Looks at `rows` rows of `batch`, received on `port`. */
  run(port: Port, batch: Int32Array, rows: number): void {
    this.requestCount = 0;
    this.replyCount = 0;
    this.returnCount = 0;
    this.#plain.aim(port, port === this.#path.clientPort, port === this.#path.serverPort);
    const end = rows * ROW_WORDS;
    for (let row = 0; row < end; row += ROW_WORDS) {
      const offset = batch[row + ROW_OFFSET];
      const datagramEnd = this.#plain.end(offset, batch[row + ROW_LENGTH], batch[row + ROW_FLAGS]);
      if (datagramEnd === 0) this.#frame(port, batch, row);
      else this.#listPlain(row, offset, datagramEnd);
    }
  }

  #listPlain(row: number, offset: number, end: number): void {
    const ip = offset + PLAIN_IP_AT;
    const at = offset + PLAIN_UDP_AT;
    if (end > 0) list(this.requests, this.requestCount++, row, ip, at, end);
    else list(this.replies, this.replyCount++, row, ip, at, -end);
  }

  /** Only the first `count` requests of the list go on. */
  keepRequests(count: number): void {
    this.requestCount = count;
  }

  #frame(port: Port, batch: Int32Array, row: number): void {
    const { view } = this.#path.memory;
    const offset = batch[row + ROW_OFFSET];
    if (batch[row + ROW_LENGTH] < ethernet.HEADER_BYTES) return this.#count(COUNT.drop_runt);
    if (vlanOf(batch[row + ROW_FLAGS]) !== port.vlan) return this.#count(COUNT.foreign);
    const type = ethernet.etherType(view, offset);
    if (type === ethernet.ETHERTYPE_IPV4) return this.#ipv4(port, batch, row, offset);
    if (type === ethernet.ETHERTYPE_ARP) return this.#arp(port, batch, row);
    this.#count(COUNT.foreign);
  }

  #arp(port: Port, batch: Int32Array, row: number): void {
    const { memory, neighbours, clientPort, serverPort, setup, nowMs } = this.#path;
    const onClientSide = port === clientPort ? this.#vip : 0;
    const onServerSide = port === serverPort ? this.#ownAddress : 0;
    // Next hops are on the server side, and one lane writes their table: what others say of them is not believed.
    const learns = port === serverPort && setup.lane === 0;
    this.#answer(
      batch,
      row,
      handleArp(memory, neighbours, learns, port, batch, row, onClientSide, onServerSide, nowMs),
    );
  }

  #answer(batch: Int32Array, row: number, verdict: number): void {
    if (verdict === DROP) return;
    batch[row + ROW_VERDICT] = verdict;
    this.#path.senders |= 1 << verdict;
  }

  #ipv4(port: Port, batch: Int32Array, row: number, offset: number): void {
    const { memory, clientPort, serverPort } = this.#path;
    const { view } = memory;
    const ipOffset = offset + ethernet.HEADER_BYTES;
    const available = batch[row + ROW_LENGTH] - ethernet.HEADER_BYTES;
    if (!ethernet.isTo(view, offset, port.macHigh, port.macLow)) return this.#count(COUNT.foreign);
    if (available < ipv4.HEADER_BYTES_MIN) return this.#count(COUNT.drop_runt);
    const destination = ipv4.destination(view, ipOffset);
    const toVip = destination === this.#vip && port === clientPort;
    if (!toVip && !(destination === this.#ownAddress && port === serverPort)) {
      return this.#isGateway ? this.#passing(port, batch, row, ipOffset, available) : this.#count(COUNT.foreign);
    }
    const fault = faultOfFrame(batch[row + ROW_FLAGS]) || faultOfHeader(view, ipOffset, available);
    if (fault !== 0) return this.#count(fault);
    if (ethernet.isFrom(view, offset, port.macHigh, port.macLow)) return this.#count(COUNT.drop_own_source);
    if (!this.#isSender(offset, ipv4.source(view, ipOffset))) return this.#count(COUNT.drop_bad_source);
    const protocol = ipv4.protocol(view, ipOffset);
    if (protocol === ipv4.PROTOCOL_UDP) {
      if (ipv4.isFragment(view, ipOffset)) return this.#fragment(port, batch, row, ipOffset, toVip);
      return this.#udp(batch, row, ipOffset, toVip);
    }
    if (protocol === ipv4.PROTOCOL_ICMP) return this.#icmp(port, batch, row, ipOffset, toVip);
    this.#count(COUNT.drop_protocol);
  }

  /** The fragment that completes its datagram goes on as that. */
  #fragment(port: Port, batch: Int32Array, row: number, ipOffset: number, toVip: boolean): void {
    const { fragments, nowMs } = this.#path;
    if (!fragments.accept(batch, row, ipOffset, port.id, nowMs)) return;
    const wholeOffset = batch[row + ROW_OFFSET] + ethernet.HEADER_BYTES;
    if (toVip || !this.#handOver(batch, row, wholeOffset)) this.#udp(batch, row, wholeOffset, toVip);
  }

  /** Whether a reply that was in fragments is another lane's: that one has it now. */
  #handOver(batch: Int32Array, row: number, ipOffset: number): boolean {
    const { memory, setup, slots, handover } = this.#path;
    const udpOffset = ipOffset + ipv4.headerBytes(memory.view, ipOffset);
    const lane = slots.laneOf(udp.destinationPort(memory.view, udpOffset), setup.lane);
    if (lane === setup.lane || lane < 0 || lane >= setup.laneCount) return false;
    const isGiven = handover.give(lane, batch[row + ROW_OFFSET], batch[row + ROW_LENGTH], batch[row + ROW_FLAGS]);
    memory.count(isGiven ? COUNT.handed_over : COUNT.drop_handover_full);
    return true;
  }

  /** gateway mode: neither to the VIP nor to us. What a node's memcached says to a client passes; all else is foreign. */
  #passing(port: Port, batch: Int32Array, row: number, ipOffset: number, available: number): void {
    const { memory, serverPort } = this.#path;
    const { view } = memory;
    const offset = batch[row + ROW_OFFSET];
    const isOurs =
      ipv4.destination(view, ipOffset) === this.#vip || ipv4.destination(view, ipOffset) === this.#ownAddress;
    if (port !== serverPort || isOurs || !this.#isOfNode(ipOffset, available)) return this.#count(COUNT.foreign);
    const fault = faultOfFrame(batch[row + ROW_FLAGS]) || faultOfHeader(view, ipOffset, available);
    if (fault !== 0) return this.#count(fault);
    if (ethernet.isFrom(view, offset, port.macHigh, port.macLow)) return this.#count(COUNT.drop_own_source);
    if (!this.#isSender(offset, ipv4.source(view, ipOffset))) return this.#count(COUNT.drop_bad_source);
    if (ipv4.isFragment(view, ipOffset)) return this.#returnWhole(port, batch, row, ipOffset);
    this.#return(batch, row, ipOffset);
  }

  /** gateway mode: the fragment that completes its datagram goes on as that, if it is memcached's; the kernel has its own copies. */
  #returnWhole(port: Port, batch: Int32Array, row: number, ipOffset: number): void {
    const { fragments, nowMs } = this.#path;
    if (!fragments.accept(batch, row, ipOffset, port.id, nowMs)) return;
    const wholeOffset = batch[row + ROW_OFFSET] + ethernet.HEADER_BYTES;
    const isOfMemcached = this.#isOfNode(wholeOffset, batch[row + ROW_LENGTH] - ethernet.HEADER_BYTES);
    if (!isOfMemcached) return this.#count(COUNT.foreign);
    this.#return(batch, row, wholeOffset);
  }

  #return(batch: Int32Array, row: number, ipOffset: number): void {
    const { view } = this.#path.memory;
    const udpOffset = ipOffset + ipv4.headerBytes(view, ipOffset);
    const fault = faultOfDatagram(view, ipOffset, udpOffset, batch[row + ROW_FLAGS]);
    if (fault !== 0) return this.#count(fault);
    list(this.returns, this.returnCount++, row, ipOffset, udpOffset, udpOffset + udp.length(view, udpOffset));
  }

  /** Whether it is UDP from a node's address and port, or a fragment from its address, as far as can be told before it is checked. */
  #isOfNode(ipOffset: number, available: number): boolean {
    const { memory, nodes } = this.#path;
    const { view } = memory;
    const headerBytes = ipv4.headerBytes(view, ipOffset);
    if (headerBytes < ipv4.HEADER_BYTES_MIN || ipv4.protocol(view, ipOffset) !== ipv4.PROTOCOL_UDP) return false;
    if (ipv4.isFragment(view, ipOffset)) return nodes.hasAddress(ipv4.source(view, ipOffset));
    if (available < headerBytes + udp.HEADER_BYTES) return false;
    return nodes.find(ipv4.source(view, ipOffset), udp.sourcePort(view, ipOffset + headerBytes)) >= 0;
  }

  #icmp(port: Port, batch: Int32Array, row: number, ipOffset: number, toVip: boolean): void {
    const { memory, prober, serverPort, fragmentationNeeded } = this.#path;
    if (ipv4.isFragment(memory.view, ipOffset)) return this.#count(COUNT.drop_icmp);
    if (fragmentationNeeded.hear(ipOffset, toVip)) return;
    const message = ipOffset + ipv4.headerBytes(memory.view, ipOffset);
    const messageBytes = ipv4.totalLength(memory.view, ipOffset) + ipOffset - message;
    if (prober !== undefined && port === serverPort && prober.hearsIcmp(ipOffset, message, messageBytes)) return;
    this.#answer(batch, row, handleIcmp(memory, port, batch, row, ipOffset));
  }

  /** Whether a frame's source addresses may be somebody else's: no group, no address that is ours. */
  #isSender(offset: number, address: number): boolean {
    if (address === this.#vip || address === this.#ownAddress) return false;
    return maySend(address) && !ethernet.isGroupSource(this.#path.memory.view, offset);
  }

  #udp(batch: Int32Array, row: number, ipOffset: number, toVip: boolean): void {
    const { view } = this.#path.memory;
    const udpOffset = ipOffset + ipv4.headerBytes(view, ipOffset);
    const fault = faultOfDatagram(view, ipOffset, udpOffset, batch[row + ROW_FLAGS]);
    if (fault !== 0) return this.#count(fault);
    const end = udpOffset + udp.length(view, udpOffset);
    if (!toVip) {
      list(this.replies, this.replyCount++, row, ipOffset, udpOffset, end);
    } else if (udp.destinationPort(view, udpOffset) === this.#vipPort) {
      list(this.requests, this.requestCount++, row, ipOffset, udpOffset, end);
    } else {
      this.#count(COUNT.drop_udp_port);
    }
  }

  #count(counter: number): void {
    this.#path.memory.counters[counter] += 1;
  }
}

function list(to: Int32Array, at: number, row: number, ipOffset: number, udpOffset: number, end: number): void {
  const word = at * LIST_WORDS;
  to[word + LIST_ROW] = row;
  to[word + LIST_IP] = ipOffset;
  to[word + LIST_UDP] = udpOffset;
  to[word + LIST_END] = end;
}
