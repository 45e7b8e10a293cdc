/** What became of a frame, in words, from the counters that it moved. */

export type Verdict =
  | 'forwarded'
  | 'answered'
  | 'refused'
  | 'dropped'
  | 'learned'
  | 'waiting'
  | 'foreign'
  | 'own'
  | 'no effect';

/** In order: the first whose counters moved. A refused request may be answered by an error line; it stays refused. */
const VERDICTS: readonly (readonly [verdict: Verdict, counters: RegExp])[] = [
  ['refused', /^refused_/],
  ['forwarded', /^(requests|replies)$/],
  ['answered', /answers$/],
  ['dropped', /^drop_/],
  ['waiting', /^parked$/],
  ['learned', /^arp_learned$/],
  ['foreign', /^foreign$/],
];

/** Why, for each counter that is a reason. What is not here explains itself by its name. */
const REASONS: Readonly<Record<string, string>> = {
  foreign: 'not for Keysteer: another Ethernet or IPv4 address than its own, or neither IPv4 nor ARP',
  parked: 'its next hop has not answered an ARP request yet',
  arp_learned: 'the Ethernet address of a next hop',
  arp_answers: 'somebody asked by ARP for an address that Keysteer owns',
  echo_answers: 'an ICMP echo request to an address that Keysteer owns',
  drop_runt: 'shorter than its headers need',
  drop_truncated: 'the capture, or the receive ring, holds only a part of it',
  drop_superframe: 'longer than any Ethernet frame: put together from several (GSO, GRO)',
  drop_own_source: 'it comes from Keysteer’s own Ethernet address',
  drop_bad_source: 'its source is an address that cannot send: Keysteer’s own, a group, 0/8 or 127/8',
  drop_ip_header: 'the lengths in its IPv4 header do not fit it',
  drop_ip_checksum: 'the checksum of its IPv4 header is wrong',
  drop_ip_fragment: 'an IPv4 fragment',
  drop_ttl_expired: 'a TTL of 1 or 0 lets it travel no further (RFC 1812 5.3.1)',
  drop_protocol: 'neither UDP nor ICMP',
  drop_udp_length: 'its UDP length does not fit its IPv4 packet',
  drop_udp_checksum: 'its UDP checksum is wrong',
  drop_udp_port: 'to the virtual address, but to another port; or from port 0, which nothing can be sent to',
  drop_icmp: 'an ICMP message, but no right echo request',
  drop_frame_header: 'too short for the 8 bytes in front of every memcached datagram',
  drop_too_big: 'longer than the interface it would leave by can send',
  drop_reply_no_slot: 'a reply without a request: none is outstanding under this port and request id',
  drop_reply_late: 'a reply that comes after the reply lifetime',
  drop_reply_wrong_node: 'a reply from another node, or port, than the one that was asked',
  drop_reply_framing: 'a reply whose sequence is not below its total',
  drop_reply_wrong_key: 'a reply with another key than the one asked for',
  drop_client_no_place: 'the table of clients is full of others that asked lately',
  drop_return_no_client: 'to somebody who has not asked lately',
  drop_neighbour_queue_full: 'too many frames wait for their next hop already',
  drop_neighbour_unreachable: 'its next hop does not answer ARP requests',
};

export interface Judgement {
  readonly verdict: Verdict;
  /** Empty for a forwarded frame. */
  readonly reasons: readonly string[];
}

/** @param sent frames that left because of this one */
export function judge(counted: Readonly<Record<string, number>>, sent: number): Judgement {
  const names = Object.keys(counted);
  const found = VERDICTS.find(([, pattern]) => names.some(name => pattern.test(name)));
  if (found === undefined) return { verdict: sent > 0 ? 'answered' : 'no effect', reasons: [] };
  const [verdict, pattern] = found;
  if (verdict === 'forwarded') return { verdict, reasons: [] };
  return { verdict, reasons: names.filter(name => pattern.test(name)).map(reasonOf) };
}

export function reasonOf(counter: string): string {
  return REASONS[counter] ?? counter.replace(/^(drop|refused)_/, '').replaceAll('_', ' ');
}
