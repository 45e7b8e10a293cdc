/**
 * The other end of a proof that the generator is not the limit: a host that answers every request at once, in the
 * request's own frame, and keeps nothing; or that only counts (`drop`).
 *
 * It understands classic single-key GETs and SETs. A GET of one of the generator's keys is a hit with version 1 of the
 * sink's own value, which the generator checks like any other; of another key a miss. A SET is stored nowhere.
 */
import type { Arena } from '../mem/arena.ts';
import {
  BATCH_ROWS_MAX,
  CHECKSUM_START_SHIFT,
  FLAG_PARTIAL_CHECKSUM,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
} from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { writeText } from './dialect.ts';
import { Host } from './host.ts';
import type { KeyNames } from './keys.ts';
import { type Endpoint, FRAME_HEADER_BYTES, IPV4_OFFSET, UDP_OFFSET } from './request-frames.ts';
import { decimalDigits, writeDecimal } from './text-dialect.ts';
import { SINK_WRITER, type ValueRule } from './values.ts';

/** 'get ', 'set ', 'VALU', 'E ' as big-endian words. */
const GET_ = 0x67657420;
const SET_ = 0x73657420;
const VALU = 0x56414c55;
const E_ = 0x4520;
const CRLF = 0x0d0a;
const VERB_BYTES = 4;
const SINK_VERSION = 1;
/** Ethernet, IPv4 without options, UDP, frame header. */
const HEADERS_BYTES = UDP_OFFSET + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
const VALUE_WORDS_BYTES = 'VALUE '.length;
const FLAGS_TEXT = ' 0 ';
const BEHIND_VALUE = '\r\nEND\r\n';

/** Arena bytes that a sink takes beside its port. */
export const SINK_BYTES = BATCH_ROWS_MAX * ROW_WORDS * 4 + 128;

export interface SinkOptions {
  endpoint: Endpoint;
  mode: 'answer' | 'drop';
  names: KeyNames;
  values: ValueRule;
}

export class Sink {
  /** Requests received, of both verbs. */
  gets = 0;
  sets = 0;
  /** Other frames: not to us, no memcached, a verb it does not know. */
  ignored = 0;
  readonly #port: Port;
  readonly #view: DataView;
  readonly #batch: Int32Array;
  readonly #host: Host;
  readonly #options: SinkOptions;
  readonly #answers: boolean;

  constructor(port: Port, arena: Arena, options: SinkOptions) {
    this.#port = port;
    this.#view = arena.view;
    const rowsOffset = arena.allocate(BATCH_ROWS_MAX * ROW_WORDS * 4);
    this.#batch = new Int32Array(arena.buffer, rowsOffset, BATCH_ROWS_MAX * ROW_WORDS);
    this.#host = new Host(port, arena.view, this.#batch, [options.endpoint.address]);
    this.#options = options;
    this.#answers = options.mode === 'answer';
  }

  /** One turn. Returns the number of frames received. */
  cycle(): number {
    const rows = this.#port.receive(this.#batch, BATCH_ROWS_MAX);
    if (rows === 0) return 0;
    for (let i = 0; i < rows; i++) this.#accept(i * ROW_WORDS);
    this.#port.transmit(this.#batch, rows);
    this.#port.release(this.#batch, rows);
    return rows;
  }

  #accept(row: number): void {
    const offset = this.#batch[row + ROW_OFFSET] as number;
    const length = this.#batch[row + ROW_LENGTH] as number;
    if (length >= HEADERS_BYTES && this.#isForUs(offset)) this.#acceptRequest(row, offset, length);
    else if (ethernet.etherType(this.#view, offset) === ethernet.ETHERTYPE_ARP) this.#host.acceptArp(this.#batch, row);
    else this.#ignore(row, offset, length);
  }

  /** UDP to our address and port, behind headers as a generator makes them. */
  #isForUs(offset: number): boolean {
    const view = this.#view;
    const { address, port } = this.#options.endpoint;
    const ip = offset + IPV4_OFFSET;
    return (
      ethernet.etherType(view, offset) === ethernet.ETHERTYPE_IPV4 &&
      ipv4.destination(view, ip) === address &&
      ipv4.protocol(view, ip) === ipv4.PROTOCOL_UDP &&
      ipv4.headerBytes(view, ip) === ipv4.HEADER_BYTES_MIN &&
      udp.destinationPort(view, offset + UDP_OFFSET) === port
    );
  }

  #acceptRequest(row: number, offset: number, length: number): void {
    const body = offset + HEADERS_BYTES;
    const verb = length < HEADERS_BYTES + VERB_BYTES ? 0 : this.#view.getInt32(body);
    if (verb === GET_) {
      this.gets++;
      if (this.#answers) this.#sendBack(row, offset, this.#writeFound(body, length - HEADERS_BYTES));
    } else if (verb === SET_) {
      this.sets++;
      if (this.#answers) this.#sendBack(row, offset, writeText(this.#view, body, 'STORED\r\n') - body);
    } else {
      this.ignored++;
    }
  }

  /** Writes the reply to the GET at `body` over it; returns its length. */
  #writeFound(body: number, length: number): number {
    const view = this.#view;
    const { names, values } = this.#options;
    const fits = length === VERB_BYTES + names.bytes + 2;
    const key = fits ? names.keyAt(view, body + VERB_BYTES) : -1;
    if (key < 0) return writeText(view, body, 'END\r\n') - body;
    const valueBytes = values.lengthOf(key, SINK_WRITER, SINK_VERSION);
    view.setInt32(body, VALU);
    view.setUint16(body + VERB_BYTES, E_);
    names.write(view, body + VALUE_WORDS_BYTES, key);
    const at = writeText(view, body + VALUE_WORDS_BYTES + names.bytes, FLAGS_TEXT);
    view.setUint16(writeDecimal(view, at, valueBytes), CRLF);
    const valueOffset = at + decimalDigits(valueBytes) + 2;
    values.write(view, valueOffset, valueBytes, key, SINK_WRITER, SINK_VERSION);
    return writeText(view, valueOffset + valueBytes, BEHIND_VALUE) - body;
  }

  /** The frame goes back where it came from, with `bodyBytes` behind the frame header. */
  #sendBack(row: number, offset: number, bodyBytes: number): void {
    const view = this.#view;
    const ip = offset + IPV4_OFFSET;
    const at = offset + UDP_OFFSET;
    const udpBytes = udp.HEADER_BYTES + FRAME_HEADER_BYTES + bodyBytes;
    ethernet.turnToSender(view, offset, this.#port.macHigh, this.#port.macLow);
    ipv4.swapAddresses(view, ip);
    ipv4.rewriteTotalLength(view, ip, ipv4.HEADER_BYTES_MIN + udpBytes);
    const from = udp.destinationPort(view, at);
    udp.writeHeader(view, at, from, udp.sourcePort(view, at), udpBytes);
    udp.setChecksum(view, at, ipv4.pseudoHeaderSum(view, ip, udpBytes));
    this.#batch[row + ROW_LENGTH] = HEADERS_BYTES + bodyBytes;
    this.#batch[row + ROW_FLAGS] = FLAG_PARTIAL_CHECKSUM | (UDP_OFFSET << CHECKSUM_START_SHIFT);
    this.#batch[row + ROW_VERDICT] = this.#port.id;
  }

  #ignore(row: number, offset: number, length: number): void {
    this.ignored++;
    const view = this.#view;
    const ip = offset + IPV4_OFFSET;
    if (length < IPV4_OFFSET || ethernet.etherType(view, offset) !== ethernet.ETHERTYPE_IPV4) return;
    if (ipv4.validate(view, ip, length - IPV4_OFFSET) !== 0 || ipv4.isFragment(view, ip)) return;
    const isIcmp = ipv4.protocol(view, ip) === ipv4.PROTOCOL_ICMP;
    if (isIcmp && this.#host.position(ipv4.destination(view, ip)) >= 0) this.#host.acceptIcmp(this.#batch, row);
  }
}
