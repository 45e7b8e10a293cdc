/**
 * The frame that nearly all traffic consists of, told in one pass over its words: untagged, whole, an IPv4 header without
 * options, a UDP datagram to the VIP's port or to our own address, nothing wrong with it.
 *
 * What this does not take is not dropped: the checks field by field decide (classify.ts, checks.ts). What it takes, they
 * would take alike.
 */
import { FRAME_HEADER_BYTES } from '../memcached/frame-header.ts';
import {
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_SUPERFRAME,
  FLAG_TRUNCATED,
  FLAG_VLAN,
  type Port,
} from '../port/port.ts';
import { fold, halves } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { maySend } from './checks.ts';

const UNUSUAL = FLAG_VLAN | FLAG_TRUNCATED | FLAG_SUPERFRAME;
const VOUCHED = FLAG_PARTIAL_CHECKSUM | FLAG_CHECKSUM_VERIFIED;
/** Version 4, header of 20 bytes. */
const VERSION_IHL = 0x45;
/** Of the word with identification and fragment: more to come, and an offset. */
const FRAGMENT_BITS = 0x3fff;
const UDP_BYTES_MIN = udp.HEADER_BYTES + FRAME_HEADER_BYTES;

/** Where the IPv4 and the UDP header of such a frame begin, bytes from the Ethernet header. */
export const PLAIN_IP_AT = ethernet.HEADER_BYTES;
export const PLAIN_UDP_AT = PLAIN_IP_AT + ipv4.HEADER_BYTES_MIN;
const BYTES_MIN = PLAIN_UDP_AT + UDP_BYTES_MIN;

/** Addresses that such frames come to. */
export interface OwnAddresses {
  readonly vip: number;
  readonly vipPort: number;
  readonly ownAddress: number;
}

export class PlainDatagrams {
  readonly #view: DataView;
  readonly #vip: number;
  readonly #vipPort: number;
  readonly #ownAddress: number;
  /** Of the port in hand: its Ethernet address as a frame to it begins, 32 and 16 bits, and which addresses it has. */
  #macFirst = 0;
  #macLast = 0;
  #macHigh = 0;
  #macLow = 0;
  #isUntagged = true;
  #hasVip = false;
  #hasOwn = false;

  constructor(view: DataView, { vip, vipPort, ownAddress }: OwnAddresses) {
    this.#view = view;
    this.#vip = vip;
    this.#vipPort = vipPort;
    this.#ownAddress = ownAddress;
  }

  /** The frames from now on were received on `port`. */
  aim(port: Port, isClientSide: boolean, isServerSide: boolean): void {
    this.#macFirst = (port.macHigh << 16) | (port.macLow >>> 16);
    this.#macLast = port.macLow & 0xffff;
    this.#macHigh = port.macHigh;
    this.#macLow = port.macLow | 0;
    this.#isUntagged = port.vlan === 0;
    this.#hasVip = isClientSide;
    this.#hasOwn = isServerSide;
  }

  /**
   * Where the datagram of the frame ends: a positive offset of a request (to the VIP), a negative one of what came to our
   * own address; 0 when it is no plain one.
   */
  end(offset: number, length: number, flags: number): number {
    const view = this.#view;
    if (length < BYTES_MIN || (flags & UNUSUAL) !== 0 || !this.#isUntagged) return 0;
    const middle = view.getInt32(offset + 4);
    if (view.getInt32(offset) !== this.#macFirst || middle >>> 16 !== this.#macLast) return 0;
    if (view.getUint16(offset + 12) !== ethernet.ETHERTYPE_IPV4 || (middle & 0x100) !== 0) return 0;
    if (view.getInt32(offset + 8) === this.#macLow && (middle & 0xffff) === this.#macHigh) return 0;
    const udpBytes = this.#bytesInPacket(offset + PLAIN_IP_AT, length - PLAIN_IP_AT);
    if (udpBytes === 0) return 0;
    const destination = view.getInt32(offset + PLAIN_IP_AT + 16);
    const at = offset + PLAIN_UDP_AT;
    const ports = view.getInt32(at);
    if (ports >>> 16 === 0) return 0;
    if ((flags & VOUCHED) === 0 && !udp.verifyChecksum(view, offset + PLAIN_IP_AT, at, udpBytes)) return 0;
    if (destination === this.#vip && this.#hasVip) return (ports & 0xffff) === this.#vipPort ? at + udpBytes : 0;
    return destination === this.#ownAddress && this.#hasOwn ? -(at + udpBytes) : 0;
  }

  /** Length of the datagram in a sound packet from somebody else; 0: it is not that. */
  #bytesInPacket(offset: number, available: number): number {
    const view = this.#view;
    const first = view.getInt32(offset);
    const total = first & 0xffff;
    if (first >>> 24 !== VERSION_IHL || total > available) return 0;
    const fragment = view.getInt32(offset + 4);
    const life = view.getInt32(offset + 8);
    if ((fragment & FRAGMENT_BITS) !== 0 || ((life >>> 16) & 0xff) !== ipv4.PROTOCOL_UDP || life >>> 24 <= 1) return 0;
    const source = view.getInt32(offset + 12);
    const addresses = halves(source) + halves(view.getInt32(offset + 16));
    if (fold(halves(first) + halves(fragment) + halves(life) + addresses) !== 0xffff) return 0;
    if (source === this.#vip || source === this.#ownAddress || !maySend(source)) return 0;
    const udpBytes = view.getUint16(offset + ipv4.HEADER_BYTES_MIN + 4);
    return udpBytes >= UDP_BYTES_MIN && udpBytes <= total - ipv4.HEADER_BYTES_MIN ? udpBytes : 0;
  }
}
