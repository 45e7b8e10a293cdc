/**
 * Requests as whole frames. For each client, target and verb there is a template: a frame with everything in it that
 * does not change. A request is a copy of it, by words, with the fields below filled in.
 *
 *     byte  0  Ethernet: next hop, ours, 0x0800
 *          14  IPv4: total length* and checksum*, identification 0 and don't-fragment (RFC 6864: atomic), TTL 64
 *          34  UDP: source port, length*, checksum
 *          42  memcached: request id, sequence 0, total 1, reserved 0
 *          50  the dialect's request: key, length*, value*                                   * in a SET only
 *
 * The UDP checksum is left partial (the pseudo-header's sum, as a kernel leaves it on veth; it costs nothing), or
 * computed in full.
 */
import { finish, fold, sum16 } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import type { Dialect } from './dialect.ts';
import type { KeyNames } from './keys.ts';
import type { ValueRule } from './values.ts';

export const IPV4_OFFSET = 14;
export const UDP_OFFSET = 34;
export const FRAME_HEADER_OFFSET = 42;
export const REQUEST_OFFSET = 50;
export const FRAME_HEADER_BYTES = 8;
const SEQUENCE_0_TOTAL_1 = 1;
const TTL = 64;

export interface Endpoint {
  address: number;
  port: number;
}

export interface RequestFramesOptions {
  view: DataView;
  macHigh: number;
  macLow: number;
  clients: readonly number[];
  targets: readonly Endpoint[];
  dialect: Dialect;
  names: KeyNames;
  values: ValueRule;
  writer: number;
  checksum: 'partial' | 'full';
}

export class RequestFrames {
  readonly #view: DataView;
  readonly #targets: number;
  readonly #dialect: Dialect;
  readonly #names: KeyNames;
  readonly #values: ValueRule;
  readonly #writer: number;
  readonly #full: boolean;
  readonly #getWords: number;
  readonly #setWords: number;
  /** Words of a template; templates lie one after the other, a GET and a SET for each client and target. */
  readonly #stride: number;
  readonly #templates: Int32Array;
  /** Of each SET template: the sum of the IPv4 header, and of the pseudo-header, without lengths. */
  readonly #ipv4Sums: Int32Array;
  readonly #pseudoSums: Int32Array;

  constructor(options: RequestFramesOptions) {
    const { clients, targets, dialect, names } = options;
    this.#view = options.view;
    this.#targets = targets.length;
    this.#dialect = dialect;
    this.#names = names;
    this.#values = options.values;
    this.#writer = options.writer;
    this.#full = options.checksum === 'full';
    const setHeaderBytes = dialect.setBytes(0);
    this.#getWords = Math.ceil((REQUEST_OFFSET + dialect.getBytes) / 4);
    this.#setWords = Math.ceil((REQUEST_OFFSET + setHeaderBytes) / 4);
    this.#stride = Math.max(this.#getWords, this.#setWords) + 16;
    this.#templates = new Int32Array(this.#stride * clients.length * targets.length * 2);
    this.#ipv4Sums = new Int32Array(clients.length * targets.length);
    this.#pseudoSums = new Int32Array(clients.length * targets.length);
    clients.forEach((client, c) => {
      targets.forEach((target, t) => {
        this.#build(options, c * targets.length + t, client, target);
      });
    });
  }

  /** The checksums that a transmit must complete. */
  get partial(): boolean {
    return !this.#full;
  }

  /** Where frames to this target go next. */
  setNextHop(target: number, macHigh: number, macLow: number): void {
    const bytes = new DataView(this.#templates.buffer);
    const pairs = this.#ipv4Sums.length;
    for (let pair = target; pair < pairs; pair += this.#targets) {
      ethernet.setDestination(bytes, pair * 2 * this.#stride * 4, macHigh, macLow);
      ethernet.setDestination(bytes, (pair * 2 + 1) * this.#stride * 4, macHigh, macLow);
    }
  }

  /** Writes a GET frame at `offset`; returns its length, bytes. */
  writeGet(offset: number, client: number, target: number, port: number, id: number, key: number): number {
    const view = this.#view;
    this.#copy(offset, (client * this.#targets + target) * 2, this.#getWords);
    view.setUint16(offset + UDP_OFFSET, port);
    view.setUint16(offset + FRAME_HEADER_OFFSET, id);
    this.#names.writeDigits(view, offset + REQUEST_OFFSET + this.#dialect.getKeyOffset, key);
    const length = REQUEST_OFFSET + this.#dialect.getBytes;
    if (this.#full) this.#completeChecksum(offset, length);
    return length;
  }

  /** Writes a SET frame of this version of the key at `offset`; returns its length, bytes. */
  writeSet(
    offset: number,
    client: number,
    target: number,
    port: number,
    id: number,
    key: number,
    version: number,
  ): number {
    const view = this.#view;
    const dialect = this.#dialect;
    const pair = client * this.#targets + target;
    this.#copy(offset, pair * 2 + 1, this.#setWords);
    const valueBytes = this.#values.lengthOf(key, this.#writer, version);
    view.setUint16(offset + UDP_OFFSET, port);
    view.setUint16(offset + FRAME_HEADER_OFFSET, id);
    this.#names.writeDigits(view, offset + REQUEST_OFFSET + dialect.setKeyOffset, key);
    const valueOffset = dialect.finishSet(view, offset + REQUEST_OFFSET, valueBytes);
    this.#values.write(view, valueOffset, valueBytes, key, this.#writer, version);
    const length = REQUEST_OFFSET + dialect.setBytes(valueBytes);
    this.#setLengths(offset, pair, length);
    if (this.#full) this.#completeChecksum(offset, length);
    return length;
  }

  #setLengths(offset: number, pair: number, length: number): void {
    const view = this.#view;
    const total = length - IPV4_OFFSET;
    const udpBytes = length - UDP_OFFSET;
    ipv4.setTotalLength(view, offset + IPV4_OFFSET, total);
    ipv4.setChecksum(view, offset + IPV4_OFFSET, finish((this.#ipv4Sums[pair] as number) + total));
    udp.setLength(view, offset + UDP_OFFSET, udpBytes);
    udp.setChecksum(view, offset + UDP_OFFSET, fold((this.#pseudoSums[pair] as number) + udpBytes));
  }

  #completeChecksum(offset: number, length: number): void {
    const udpOffset = offset + UDP_OFFSET;
    const sum = udp.computeChecksum(this.#view, offset + IPV4_OFFSET, udpOffset, length - UDP_OFFSET);
    udp.setChecksum(this.#view, udpOffset, sum);
  }

  /** Unaligned little-endian stores, since a port may lay its frames at any offset; the last may write 3 bytes more. */
  #copy(offset: number, template: number, words: number): void {
    const view = this.#view;
    const from = template * this.#stride;
    for (let i = 0; i < words; i++) view.setInt32(offset + i * 4, this.#templates[from + i] as number, true);
  }

  #build(options: RequestFramesOptions, pair: number, client: number, target: Endpoint): void {
    const view = new DataView(this.#templates.buffer);
    const { dialect } = options;
    const get = pair * 2 * this.#stride * 4;
    const set = get + this.#stride * 4;
    dialect.writeGet(view, get + REQUEST_OFFSET);
    dialect.writeSet(view, set + REQUEST_OFFSET);
    writeHeaders(view, get, options, client, target, dialect.getBytes);
    writeHeaders(view, set, options, client, target, 0);
    const ip = set + IPV4_OFFSET;
    this.#ipv4Sums[pair] = sum16(view, ip, 2) + sum16(view, ip + 4, 6) + sum16(view, ip + 12, 8);
    this.#pseudoSums[pair] = ipv4.pseudoHeaderSum(view, ip, 0);
  }
}

/** All headers of a request whose part behind them has `requestBytes`; the UDP checksum is left partial. */
function writeHeaders(
  view: DataView,
  offset: number,
  { macHigh, macLow }: RequestFramesOptions,
  client: number,
  target: Endpoint,
  requestBytes: number,
): void {
  const udpBytes = udp.HEADER_BYTES + FRAME_HEADER_BYTES + requestBytes;
  const ip = ethernet.writeHeader(view, offset, 0, 0, macHigh, macLow, ethernet.ETHERTYPE_IPV4);
  const total = ipv4.HEADER_BYTES_MIN + udpBytes;
  const { DONT_FRAGMENT, PROTOCOL_UDP } = ipv4;
  const at = ipv4.writeHeader(view, ip, total, 0, DONT_FRAGMENT, TTL, PROTOCOL_UDP, client, target.address);
  const header = udp.writeHeader(view, at, 0, target.port, udpBytes);
  udp.setChecksum(view, at, ipv4.pseudoHeaderSum(view, ip, udpBytes));
  view.setInt32(header, 0);
  view.setInt32(header + 4, SEQUENCE_0_TOTAL_1 << 16);
}
