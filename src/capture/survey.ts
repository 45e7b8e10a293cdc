/**
 * A first look at a capture, before it is replayed: by which Ethernet addresses Keysteer's own IPv4 addresses and its next
 * hops went there, and when it begins.
 */
import type { Config } from '../control/config/normalise.ts';
import { type CapturedFrame, TIME_UNKNOWN } from '../pcap/frame.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import type { Mac } from '../wire/mac-text.ts';
import type { Side } from './bed.ts';

/** Ports of a replay answer by these where neither capture nor configuration knows better. */
const MAC_DEFAULTS: Readonly<Record<Side, Mac>> = {
  client: { high: 0x024b, low: 0x0000000a },
  server: { high: 0x024b, low: 0x0000000b },
};

export class Survey {
  /** Time of the first frame that has one; 0 when none has. */
  firstNs = 0n;
  frames = 0;
  readonly #config: Config;
  readonly #macs: Partial<Record<Side, Mac>> = {};
  readonly #nextHops = new Map<number, Mac>();
  readonly #addresses: ReadonlySet<number>;
  #hasTime = false;

  constructor(config: Config) {
    this.#config = config;
    this.#addresses = new Set(config.nodes.map(({ nextHop }) => nextHop));
  }

  look({ bytes, timeNs }: Pick<CapturedFrame, 'bytes' | 'timeNs'>): void {
    this.frames++;
    if (!this.#hasTime && timeNs !== TIME_UNKNOWN) {
      this.firstNs = timeNs;
      this.#hasTime = true;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = ethernet.networkOffset(view, 0, bytes.length);
    if (at < 0) return;
    const type = ethernet.networkEtherType(view, at);
    if (type === ethernet.ETHERTYPE_ARP && arp.isIpv4OverEthernet(view, at, bytes.length - at))
      this.#lookAtArp(view, at);
    if (type === ethernet.ETHERTYPE_IPV4 && bytes.length - at >= ipv4.HEADER_BYTES_MIN) this.#lookAtIpv4(view, at);
  }

  /** Addresses of the ports: the configuration's, else as the capture has them. */
  get macs(): Readonly<Record<Side, Mac>> {
    const { client, server } = this.#config.ports;
    const of = (side: Side, configured: string | Mac | undefined) =>
      typeof configured === 'object' ? configured : (this.#macs[side] ?? MAC_DEFAULTS[side]);
    return { client: of('client', client.mac), server: of('server', server?.mac) };
  }

  /** Ethernet address of a next hop in the capture. */
  macOf(address: number): Mac | undefined {
    return this.#nextHops.get(address);
  }

  #lookAtArp(view: DataView, at: number): void {
    const mac = { high: arp.senderMacHigh(view, at), low: arp.senderMacLow(view, at) };
    const address = arp.senderAddress(view, at);
    this.#note(address, mac);
    this.#noteOwn(address, mac);
  }

  #lookAtIpv4(view: DataView, at: number): void {
    this.#note(ipv4.source(view, at), { high: ethernet.sourceHigh(view, 0), low: ethernet.sourceLow(view, 0) });
    if (ethernet.isMulticast(view, 0)) return;
    const to = { high: ethernet.destinationHigh(view, 0), low: ethernet.destinationLow(view, 0) };
    this.#note(ipv4.destination(view, at), to);
    this.#noteOwn(ipv4.destination(view, at), to);
  }

  /** The first that the capture says of a next hop. */
  #note(address: number, mac: Mac): void {
    if (this.#addresses.has(address) && !this.#nextHops.has(address)) this.#nextHops.set(address, mac);
  }

  #noteOwn(address: number, mac: Mac): void {
    const { vip, source } = this.#config;
    if (address === vip.address) this.#macs.client ??= mac;
    if (address === source.address) this.#macs[this.#config.ports.server ? 'server' : 'client'] ??= mac;
  }
}
