/**
 * A frame as a list of fields that leaves no byte out: what two frames differ in is what their fields differ in.
 */
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { formatIpv4 } from '../wire/ipv4-text.ts';
import { formatMac } from '../wire/mac-text.ts';
import * as udp from '../wire/udp.ts';
import { printable } from './message.ts';

export interface Field {
  /** As `ip.ttl`. */
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  /** Its value, for people. */
  readonly text: string;
}

type Format = (view: DataView, offset: number, bytes: number) => string;
/** Name, bytes, format. */
type Layout = readonly (readonly [name: string, bytes: number, format: Format])[];

/** Bytes of a text that are shown. */
const TEXT_BYTES = 24;

const mac: Format = (view, at) => formatMac(view.getUint16(at), view.getUint32(at + 2));
const address: Format = (view, at) => formatIpv4(view.getUint32(at));
const number: Format = (view, at, bytes) => String(bytes === 1 ? view.getUint8(at) : view.getUint16(at));
const hex: Format = (view, at, bytes) => `0x${hexOf(view, at, bytes)}`;
const text: Format = (view, at, bytes) => {
  const shown = printable(new Uint8Array(view.buffer, view.byteOffset + at, Math.min(bytes, TEXT_BYTES)));
  return bytes === 0 ? 'empty' : `"${shown}${bytes > TEXT_BYTES ? '…' : ''}", ${bytes} bytes`;
};
const raw: Format = (view, at, bytes) =>
  bytes === 0
    ? 'none'
    : `0x${hexOf(view, at, Math.min(bytes, 8))}${bytes > 8 ? '…' : ''}, ${bytes} byte${bytes === 1 ? '' : 's'}`;

const ETHERNET: Layout = [
  ['eth.dst', 6, mac],
  ['eth.src', 6, mac],
];
const TAG: Layout = [
  ['vlan.type', 2, hex],
  ['vlan.tag', 2, hex],
];
const IPV4: Layout = [
  ['ip.version', 1, hex],
  ['ip.tos', 1, hex],
  ['ip.length', 2, number],
  ['ip.id', 2, hex],
  ['ip.fragment', 2, hex],
  ['ip.ttl', 1, number],
  ['ip.protocol', 1, number],
  ['ip.checksum', 2, hex],
  ['ip.src', 4, address],
  ['ip.dst', 4, address],
];
const UDP: Layout = [
  ['udp.src_port', 2, number],
  ['udp.dst_port', 2, number],
  ['udp.length', 2, number],
  ['udp.checksum', 2, hex],
];
const MEMCACHED: Layout = [
  ['memcached.request_id', 2, hex],
  ['memcached.sequence', 2, number],
  ['memcached.total', 2, number],
  ['memcached.reserved', 2, hex],
];
const ICMP: Layout = [
  ['icmp.type', 1, number],
  ['icmp.code', 1, number],
  ['icmp.checksum', 2, hex],
];
const ARP: Layout = [
  ['arp.types', 6, hex],
  ['arp.operation', 2, number],
  ['arp.sender_mac', 6, mac],
  ['arp.sender_ip', 4, address],
  ['arp.target_mac', 6, mac],
  ['arp.target_ip', 4, address],
];

/** All of a frame, in order, without gap or overlap. */
export function fieldsOf(frame: Uint8Array): Field[] {
  return new Cutter(frame).cut();
}

/** Takes fields from the front of what is left. What is too short for a layout stays for `rest`. */
class Cutter {
  readonly #view: DataView;
  readonly #fields: Field[] = [];
  #at = 0;

  constructor(frame: Uint8Array) {
    this.#view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  }

  cut(): Field[] {
    const view = this.#view;
    const end = view.byteLength;
    const network = ethernet.networkOffset(view, 0, end);
    if (network < 0) return this.#rest('payload', end, raw);
    this.#take(ETHERNET, end);
    if (network > ethernet.HEADER_BYTES) this.#take(TAG, end);
    this.#take([['eth.type', 2, hex]], end);
    const type = ethernet.networkEtherType(view, network);
    if (type === ethernet.ETHERTYPE_IPV4) this.#ipv4(end);
    if (type === ethernet.ETHERTYPE_ARP && arp.isIpv4OverEthernet(view, network, end - network)) this.#take(ARP, end);
    return this.#rest('padding', end, raw);
  }

  #ipv4(frameEnd: number): void {
    const view = this.#view;
    const ip = this.#at;
    if (ipv4.validate(view, ip, frameEnd - ip) !== 0) {
      this.#rest('payload', frameEnd, raw);
      return;
    }
    const end = ip + ipv4.totalLength(view, ip);
    this.#take(IPV4, end);
    if (ipv4.hasOptions(view, ip)) this.#rest('ip.options', ip + ipv4.headerBytes(view, ip), raw);
    const isFirst = ipv4.fragmentOffset(view, ip) === 0;
    if (isFirst && ipv4.protocol(view, ip) === ipv4.PROTOCOL_UDP) this.#udp(end);
    else if (isFirst && ipv4.protocol(view, ip) === ipv4.PROTOCOL_ICMP) this.#take(ICMP, end);
    this.#rest('payload', end, raw);
  }

  /** The datagram of a first fragment ends with its packet. */
  #udp(end: number): void {
    const datagram = this.#at;
    if (end - datagram < udp.HEADER_BYTES) return;
    const bytes = udp.length(this.#view, datagram);
    this.#take(UDP, end);
    const bodyEnd = bytes < udp.HEADER_BYTES ? this.#at : Math.min(datagram + bytes, end);
    if (this.#take(MEMCACHED, bodyEnd)) this.#rest('memcached.body', bodyEnd, text);
    else this.#rest('udp.payload', bodyEnd, raw);
  }

  /** All fields of a layout when they fit before `end`, else none. */
  #take(layout: Layout, end: number): boolean {
    if (this.#at + layout.reduce((sum, [, bytes]) => sum + bytes, 0) > end) return false;
    for (const [name, bytes, format] of layout) {
      this.#fields.push({ name, offset: this.#at, bytes, text: format(this.#view, this.#at, bytes) });
      this.#at += bytes;
    }
    return true;
  }

  /** What is left before `end`, if anything is. */
  #rest(name: string, end: number, format: Format): Field[] {
    const bytes = end - this.#at;
    if (bytes > 0) {
      this.#fields.push({ name, offset: this.#at, bytes, text: format(this.#view, this.#at, bytes) });
      this.#at = end;
    }
    return this.#fields;
  }
}

function hexOf(view: DataView, at: number, bytes: number): string {
  return Buffer.from(view.buffer as ArrayBuffer, view.byteOffset + at, bytes).toString('hex');
}

export interface FieldChange {
  readonly field: string;
  readonly before: string;
  readonly after: string;
}

/** Where a field is not, its text is this. */
const ABSENT = '–';

/** Every field that differs, in the order of the frame after; then those that only the frame before had. */
export function changedFields(before: Uint8Array, after: Uint8Array): FieldChange[] {
  const old = new Map(fieldsOf(before).map(field => [field.name, field]));
  const now = fieldsOf(after);
  const changes = now.flatMap(field => {
    const other = old.get(field.name);
    if (other && isSame(before, other, after, field)) return [];
    return [{ field: field.name, before: other?.text ?? ABSENT, after: field.text }];
  });
  const names = new Set(now.map(({ name }) => name));
  const gone = [...old.values()].filter(({ name }) => !names.has(name));
  return [...changes, ...gone.map(({ name, text }) => ({ field: name, before: text, after: ABSENT }))];
}

function isSame(before: Uint8Array, a: Field, after: Uint8Array, b: Field): boolean {
  const bytes = before.subarray(a.offset, a.offset + a.bytes);
  return a.bytes === b.bytes && bytes.every((byte, i) => byte === after[b.offset + i]);
}
