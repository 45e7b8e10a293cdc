/**
 * gateway mode: replies, on their way to clients through us.
 *
 *     node → client    becomes    VIP → client
 *
 * No slot tells what was asked, so nothing is matched: a reply goes to whom its node addressed it, if that one has asked
 * lately (client-table.ts).
 */
import { requestId, sequence, total } from '../memcached/frame-header.ts';
import { DROP, ROW_FLAGS, ROW_OFFSET, ROW_VERDICT } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT } from './counters.ts';
import { LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS, type Path } from './path.ts';
import { rewriteDatagram } from './rewrite.ts';

export class ReturnStage {
  readonly #path: Path;

  constructor(path: Path) {
    this.#path = path;
  }

  /** Gives a verdict to each of the `count` rows of `batch` that `list` names. */
  run(batch: Int32Array, list: Int32Array, count: number): void {
    const end = count * LIST_WORDS;
    for (let at = 0; at < end; at += LIST_WORDS) {
      const row = list[at + LIST_ROW];
      batch[row + ROW_VERDICT] = this.#return(batch, row, list[at + LIST_IP], list[at + LIST_UDP], list[at + LIST_END]);
    }
  }

  #return(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { memory, clients, nowMs } = this.#path;
    const header = udpOffset + udp.HEADER_BYTES;
    const fault = this.#faultOfFraming(header);
    if (fault !== 0) return this.#drop(fault);
    const client = ipv4.destination(memory.view, ipOffset);
    const place = clients.find(client, nowMs);
    if (place < 0) return this.#drop(COUNT.drop_return_no_client);
    const macHigh = clients.macHigh(place);
    const macLow = clients.macLow(place);
    if (!clients.isOf(place, client)) return this.#drop(COUNT.drop_return_no_client);
    this.#count(ipOffset, udpOffset, end - header);
    ethernet.setDestination(memory.view, batch[row + ROW_OFFSET], macHigh, macLow);
    return this.#toClient(batch, row, ipOffset, udpOffset, client);
  }

  /** memcached's "0 of 0" says that there is nothing to say to a quiet request. */
  #faultOfFraming(header: number): number {
    const { bytes } = this.#path.memory;
    const parts = total(bytes, header);
    if (sequence(bytes, header) < parts) return 0;
    return parts === 0 && sequence(bytes, header) === 0 ? COUNT.quiet_misses : COUNT.drop_reply_framing;
  }

  #count(ipOffset: number, udpOffset: number, payloadBytes: number): void {
    const { memory, nodes } = this.#path;
    const { view, counters, nodeCounters } = memory;
    const node = nodes.find(ipv4.source(view, ipOffset), udp.sourcePort(view, udpOffset));
    nodeCounters[node * NODE_COUNTER_COUNT + NODE_COUNT.replies] += 1;
    nodeCounters[node * NODE_COUNTER_COUNT + NODE_COUNT.reply_bytes] += payloadBytes;
    counters[COUNT.replies] += 1;
  }

  #toClient(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, client: number): number {
    const { memory, clientPort: port, setup } = this.#path;
    const { bytes, view } = memory;
    rewriteDatagram(
      view,
      ipOffset,
      udpOffset,
      batch[row + ROW_FLAGS],
      setup.vip,
      setup.vipPort,
      client,
      udp.destinationPort(view, udpOffset),
      requestId(bytes, udpOffset + udp.HEADER_BYTES),
    );
    ethernet.setSource(view, batch[row + ROW_OFFSET], port.macHigh, port.macLow);
    this.#path.senders |= 1 << port.id;
    return this.#path.wholeOrFragments(this.#path.clientOut, batch, row, port.id, 0);
  }

  #drop(counter: number): number {
    this.#path.memory.counters[counter] += 1;
    return DROP;
  }
}
