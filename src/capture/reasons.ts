/**
 * Why a header field changes. Told from what it changes to, compared with the addresses that there are: so it holds for
 * whatever the lane has done, and no reason is given for what it has not.
 */
import type { Config, NodeConfig } from '../control/config/normalise.ts';
import { partialChecksumFlags } from '../port/partial-checksum.ts';
import { formatIpv4 } from '../wire/ipv4-text.ts';
import type { Side } from './bed.ts';
import { type FieldChange, fieldsOf } from './fields.ts';
import type { Message } from './message.ts';

/** Ids that one source port offers. */
const IDS_PER_PORT = 65_536;

export interface Passage {
  readonly config: Config;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** Port that it leaves by. */
  readonly side: Side;
  /** What the frame says, before and after. */
  readonly asked: Message | undefined;
  readonly said: Message | undefined;
  /** Whether the replay has made up the Ethernet address of this next hop (IPv4 address, text). */
  readonly isInvented: (nextHop: string) => boolean;
}

/** `back`: to where the frame came from. */
type Way = 'request' | 'reply' | 'back';

/** Gives each change its reason. */
export class Reasons {
  readonly #passage: Passage;
  readonly #before: ReadonlyMap<string, string>;
  readonly #after: ReadonlyMap<string, string>;
  readonly #way: Way;
  /** Of a request. */
  readonly #node: NodeConfig | undefined;

  constructor(passage: Passage) {
    this.#passage = passage;
    this.#before = textsOf(passage.before);
    this.#after = textsOf(passage.after);
    this.#way = this.#wayOf();
    this.#node = this.#nodeTo();
  }

  /** The node that the frame goes to, if it goes to one. */
  get node(): NodeConfig | undefined {
    return this.#way === 'request' ? this.#node : undefined;
  }

  of({ field }: FieldChange): string {
    const [layer, name] = field.split('.') as [string, string | undefined];
    if (layer === 'eth') return this.#ofEthernet(field);
    if (layer === 'arp') return `the answer to who has ${this.#before.get('arp.target_ip')} (RFC 826)`;
    if (layer === 'icmp') return 'an echo reply (RFC 1122 3.2.2.6)';
    if (field === 'ip.checksum') return this.#ofChecksum('what changes in this header');
    if (layer === 'ip') return this.#ofIpv4(field);
    if (field === 'udp.checksum') return this.#ofUdpChecksum();
    if (layer === 'udp') return this.#ofUdp(field);
    if (field === 'padding') return 'what follows the packet in its frame';
    return layer === 'memcached' ? this.#ofMemcached(name) : 'written anew by Keysteer';
  }

  #ofEthernet(field: string): string {
    if (field === 'eth.src') return `Keysteer's ${this.#passage.side} port`;
    if (this.#way === 'back') return 'back to where it came from';
    if (this.#way === 'reply') return 'the client that asked';
    if (this.#node === undefined) return 'the next hop';
    const hop = formatIpv4(this.#node.nextHop);
    const invented = this.#passage.isInvented(hop) ? ', invented by this replay' : '';
    if (hop === this.#node.text) return `node ${this.#node.name}${invented}`;
    return `the router ${hop} to node ${this.#node.name}${invented}`;
  }

  #ofIpv4(field: string): string {
    const { config } = this.#passage;
    const value = this.#after.get(field);
    if (field === 'ip.ttl') {
      const isOneLess = Number(this.#before.get(field)) - Number(value) === 1;
      return isOneLess ? 'one hop less (RFC 1812 5.3.1)' : "a datagram of Keysteer's own: a fresh TTL";
    }
    if (field === 'ip.src') {
      if (this.#way === 'back') return 'the address that was asked';
      if (value === config.vip.text) return 'clients know the virtual address alone';
      if (value === config.source.text) return `${config.mode} sends from Keysteer's own address`;
    }
    if (field === 'ip.dst') return this.#ofDestination();
    if (field === 'ip.length') return 'the datagram is of another length';
    return "a datagram of Keysteer's own";
  }

  #ofDestination(): string {
    if (this.#way === 'back') return 'back to where it came from';
    if (this.#way === 'reply') return 'the client that asked, from the slot table';
    const keys = this.#passage.said?.keys ?? [];
    if (this.#node === undefined) return 'where the request is steered to';
    return keys.length === 1 ? `node ${this.#node.name}, home of ${keys[0]!.text}` : `node ${this.#node.name}`;
  }

  #ofUdp(field: string): string {
    if (field === 'udp.length') return 'the payload is of another length';
    if (field === 'udp.src_port' && this.#way === 'back') return 'the port that was asked';
    if (field === 'udp.src_port') return this.#way === 'request' ? this.#slotText : "the virtual address's port";
    if (this.#way === 'request') return this.#node ? `port of node ${this.#node.name}` : 'port of the node';
    return this.#way === 'reply' ? 'the client that asked, from the slot table' : 'back to where it came from';
  }

  #ofMemcached(name: string | undefined): string {
    if (name === 'request_id' && this.#way === 'request') return this.#slotText;
    if (name === 'request_id') return 'as the client has called its request';
    if (this.#way === 'request') return 'what this node is asked';
    if (name === 'body')
      return this.#way === 'back' ? "Keysteer's answer" : 'put together from what the nodes answered';
    return this.#way === 'back' ? "framing of Keysteer's answer" : 'framing of the whole reply';
  }

  #ofUdpChecksum(): string {
    const { before } = this.#passage;
    if (this.#way !== 'back' && isPartial(before)) return 'its sender had left it to the network card; complete now';
    return this.#ofChecksum('addresses, ports and request id');
  }

  /** Incremental where the datagram is another's, computed where it is Keysteer's own. */
  #ofChecksum(covered: string): string {
    return this.#way === 'back' ? 'computed anew' : `RFC 1624, for ${covered}`;
  }

  get #slotText(): string {
    const { slots } = this.#passage.config;
    const port = Number(this.#after.get('udp.src_port')) - slots.sourcePortBase;
    const slot = port * IDS_PER_PORT + Number(this.#after.get('memcached.request_id'));
    return port >= 0 && slot < slots.count
      ? `slot ${slot}: the reply is known by port and id`
      : 'the reply is known by it';
  }

  #wayOf(): Way {
    const { config, side } = this.#passage;
    const isBack = this.#after.get('eth.dst') === this.#before.get('eth.src');
    const isToSender = this.#after.get('ip.dst') === this.#before.get('ip.src');
    if (isBack && (isToSender || this.#after.get('ip.dst') === undefined)) return 'back';
    const isFromNode = config.nodes.some(({ text }) => text === this.#before.get('ip.src'));
    return side === 'client' && (isFromNode || config.ports.server !== undefined) ? 'reply' : 'request';
  }

  /** By address, or where that stays, by the key. */
  #nodeTo(): NodeConfig | undefined {
    const { config, asked } = this.#passage;
    const port = Number(this.#after.get('udp.dst_port'));
    const address = this.#after.get('ip.dst');
    const addressed = config.nodes.find(node => node.text === address && node.port === port);
    return addressed ?? (address === config.vip.text ? asked?.keys[0]?.home : undefined);
  }
}

function isPartial(frame: Uint8Array): boolean {
  return partialChecksumFlags(new DataView(frame.buffer, frame.byteOffset, frame.byteLength), 0, frame.length) !== 0;
}

function textsOf(frame: Uint8Array): ReadonlyMap<string, string> {
  return new Map(fieldsOf(frame).map(({ name, text }) => [name, text]));
}
