/**
 * What a lane counts. Every frame that reaches a lane ends in exactly one of these groups:
 *
 *     forwarded   requests, replies
 *     answered    arp_answers, echo_answers
 *     learned     arp_learned, path_mtu_learned
 *     joined      fragments_joined
 *     handed over handed_over; another lane counts `taken_over`, and then what becomes of the frame
 *     foreign     not for our addresses: left to the kernel's own copy
 *     drop_*      ours, and not fit to travel on
 *     refused_*   a request turned away with a memcached error line (error_answers counts the line), or in silence when
 *                 the client asked for none
 *
 * A `parked` request waits until it ends as one of `requests` (`parked_sent` counts these) or as
 * `drop_neighbour_unreachable`. `reads` and `writes` are counted when a request is steered, before it may be dropped for
 * want of its next hop. A fragment waits until it ends as `fragments_joined` or as a `drop_fragment_*`.
 */
import { REFUSAL_NAMES } from '../memcached/refusals.ts';

/**
 * Name → position. A literal, so that V8 folds each use of it to a number.
 */
export const COUNT = {
  requests: 0,
  reads: 1,
  writes: 2,
  replies: 3,
  error_answers: 4,
  arp_answers: 5,
  arp_learned: 6,
  echo_answers: 7,
  foreign: 8,
  /** Requests copied aside because the next hop's Ethernet address was not known yet, and those sent on since. */
  parked: 9,
  parked_sent: 10,
  drop_runt: 11,
  drop_truncated: 12,
  drop_superframe: 13,
  drop_own_source: 14,
  drop_bad_source: 15,
  drop_ip_header: 16,
  drop_ip_checksum: 17,
  /** A fragment that no honest stack sends: see fragments.ts. */
  drop_fragment_bad: 18,
  drop_ttl_expired: 19,
  drop_protocol: 20,
  drop_udp_length: 21,
  drop_udp_checksum: 22,
  drop_udp_port: 23,
  drop_icmp: 24,
  drop_frame_header: 25,
  drop_too_big: 26,
  drop_reply_no_slot: 27,
  drop_reply_late: 28,
  drop_reply_wrong_node: 29,
  drop_reply_framing: 30,
  drop_reply_wrong_key: 31,
  drop_neighbour_queue_full: 32,
  drop_neighbour_unreachable: 33,
  drop_lane_crash: 34,
  /** A slot was taken again while its request, older than the reply lifetime, was still unanswered. */
  slots_expired: 35,
  /** A busy slot was passed over because its request was younger than the reply lifetime. */
  slots_skipped: 36,
  arp_requests: 37,
  cycles: 38,
  idle_waits: 39,
  idle_us: 40,
  /** Fragments of datagrams for us; each is counted again by what became of it. */
  fragments_received: 41,
  datagrams_reassembled: 42,
  /** Fragments that others completed: the one that made the datagram whole goes on, and is counted, as a frame. */
  fragments_joined: 43,
  /** Of a datagram with bytes told twice and differently, those already held and those that follow. */
  drop_fragment_overlap: 44,
  /** Said before: the datagram is none the worse. */
  drop_fragment_duplicate: 45,
  drop_fragment_too_large: 46,
  drop_fragment_timeout: 47,
  /** Given up for newer ones: of all sources, and of the same source. */
  drop_fragment_table_full: 48,
  drop_fragment_source_full: 49,
  /** Frames larger than the MTU that left in pieces (each counted as what it is, too), and the pieces. */
  datagrams_fragmented: 50,
  fragments_sent: 51,
  /** The port had no frame for a fragment; the rest of its datagram was not sent either. */
  fragments_refused: 52,
  icmp_frag_needed_sent: 53,
  /** ICMP "fragmentation needed" that was believed. */
  path_mtu_learned: 54,
  /** Replies made whole by one lane and handled by another: by who gave, who took, and those that found no box. */
  handed_over: 55,
  taken_over: 56,
  drop_handover_full: 57,
} as const;

/** Position of the first `refused_*` counter; reason r stands at this + r. */
export const REFUSED_FIRST: number = Object.keys(COUNT).length;

export const LANE_COUNTERS: readonly string[] = [
  ...Object.keys(COUNT),
  ...REFUSAL_NAMES.map(name => `refused_${name}`),
];

/** Per node and lane, in rows of this many counters. */
export const NODE_COUNT = { requests: 0, replies: 1, request_bytes: 2, reply_bytes: 3 } as const;
export const NODE_COUNTERS = Object.keys(NODE_COUNT) as readonly (keyof typeof NODE_COUNT)[];
/** Counters of a row. */
export const NODE_COUNTER_COUNT = 4;
