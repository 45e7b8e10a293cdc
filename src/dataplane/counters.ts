/**
 * What a lane counts. Every frame that reaches a lane ends in exactly one of these groups:
 *
 *     forwarded   requests, replies
 *     answered    error_answers, arp_answers, echo_answers
 *     learned     arp_learned
 *     foreign     not for our addresses: left to the kernel's own copy
 *     drop_*      ours, and not fit to travel on
 *     refused_*   a request turned away with a memcached error line (error_answers counts the line), or in silence when
 *                 the client asked for none
 */
import { REFUSAL_NAMES } from '../memcached/refusals.ts';
import { counterPositions } from '../mem/counters.ts';

const FIXED = [
  'requests',
  'reads',
  'writes',
  'replies',
  'error_answers',
  'arp_answers',
  'arp_learned',
  'echo_answers',
  'foreign',
  /** Requests copied aside because the next hop's Ethernet address was not known yet, and those sent on since. */
  'parked',
  'parked_sent',
  'drop_runt',
  'drop_truncated',
  'drop_superframe',
  'drop_own_source',
  'drop_bad_source',
  'drop_ip_header',
  'drop_ip_checksum',
  'drop_ip_fragment',
  'drop_ttl_expired',
  'drop_protocol',
  'drop_udp_length',
  'drop_udp_checksum',
  'drop_udp_port',
  'drop_icmp',
  'drop_frame_header',
  'drop_too_big',
  'drop_reply_no_slot',
  'drop_reply_late',
  'drop_reply_wrong_node',
  'drop_reply_framing',
  'drop_reply_wrong_key',
  'drop_neighbour_queue_full',
  'drop_neighbour_unreachable',
  'drop_lane_crash',
  /** A slot was taken again while its request, older than the reply lifetime, was still unanswered. */
  'slots_expired',
  /** A busy slot was passed over because its request was younger than the reply lifetime. */
  'slots_skipped',
  'arp_requests',
  'cycles',
  'idle_waits',
  'idle_us',
] as const;

/** Position of the first `refused_*` counter; reason r stands at this + r. */
export const REFUSED_FIRST: number = FIXED.length;

export const LANE_COUNTERS: readonly string[] = [...FIXED, ...REFUSAL_NAMES.map(name => `refused_${name}`)];

export const COUNT = counterPositions(FIXED);

/** Per node and lane, in rows of this many counters. */
export const NODE_COUNTERS = ['requests', 'replies', 'request_bytes', 'reply_bytes'] as const;
export const NODE_COUNT_OF = counterPositions(NODE_COUNTERS);
