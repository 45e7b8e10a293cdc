/**
 * What a lane counts. Every frame that reaches a lane ends in exactly one of these groups:
 *
 *     forwarded   requests, replies
 *     gathered    multiget_answers
 *     answered    arp_answers, echo_answers, local_answers
 *     broadcast   broadcasts, and broadcast_replies from the nodes
 *     learned     arp_learned, path_mtu_learned, probe_answers, ping_answers, icmp_unreachable
 *     joined      fragments_joined
 *     handed over handed_over; another lane counts `taken_over`, and then what becomes of the frame
 *     foreign     not for our addresses: left to the kernel's own copy
 *     swallowed   quiet_misses
 *     hot         hot_hits, hot_misses, hot_writes, hot_repeats, hot_unanswered, hot_replies, hot_replies_spare, hot_copies_gone; of multiget_keys: hot_parts
 *     drop_*      ours, and not fit to travel on
 *     refused_*   a request turned away with a memcached error line (error_answers counts the line), or in silence when
 *                 the client asked for none
 *
 * A request for several keys (`multigets`) waits until it ends as `multiget_answers` or `refused_multiget_memory`. Its
 * `multiget_keys` are requests that no client sent: each ends like one, without having reached the lane. So are
 * `multiget_retries`.
 *
 * A `parked` request waits until it ends as one of `requests` (`parked_sent` counts these) or as
 * `drop_neighbour_unreachable`. A command for every node waits until it ends as one of `broadcasts` or `refused_broadcast`.
 * When their lane dies, `drop_lane_crash` counts all of these, parked parts of requests for several keys beside the requests,
 * and reads held for the next batch, which are among `requests` already.
 * `reads` and `writes` are counted when a request is steered, before it may be dropped for want of its next hop. A fragment
 * waits until it ends as `fragments_joined` or as a `drop_fragment_*`.
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
  /** What a lane that died had in hand: frames in work, requests that waited or were being carried out. */
  drop_lane_crash: 34,
  /** A slot was taken again while its request, older than the reply lifetime, was still unanswered. */
  slots_expired: 35,
  /** A busy slot was passed over because its request was younger than the reply lifetime. */
  slots_skipped: 36,
  arp_requests: 37,
  cycles: 38,
  idle_waits: 39,
  idle_us: 40,
  /** Requests that the NF answered itself: version, mn, noop, stats. */
  local_answers: 41,
  /** Commands that every node has carried out; what was sent to nodes for them, and what came back. */
  broadcasts: 42,
  broadcast_requests: 43,
  broadcast_replies: 44,
  /** "0 of 0": memcached says that it has nothing to say to a quiet request. The client has asked not to hear that. */
  quiet_misses: 45,
  /** A reply that would exceed what its client may be sent. */
  drop_reply_over_budget: 46,
  /** A datagram of a reply that came twice, or whose beginning was not seen where an older reply may be on its way. */
  drop_reply_stray: 47,
  /** Answers of the NF's own, to requests counted elsewhere, that would exceed what their client may be sent. */
  answers_withheld: 48,
  /** Requests for several keys that were taken apart, and their keys: each is a request of its own to its node. */
  multigets: 49,
  multiget_keys: 50,
  /** Merged replies, and the datagrams they went out in. */
  multiget_answers: 51,
  multiget_datagrams: 52,
  /** Keys that became misses because their node did not answer in time, or answered what is no value. */
  multiget_unanswered: 53,
  multiget_node_errors: 54,
  /** Keys that were not asked for, as the port had no frame left; they end as unanswered. */
  multiget_unsent: 55,
  /** Merged replies that the port did not take the rest of in time. */
  multiget_abandoned: 56,
  /** A part of a reply whose request is answered already; one that came twice, or does not fit the others. */
  drop_multiget_late: 57,
  drop_multiget_part: 58,
  /** Cycles that found work, and the time they took. */
  busy_cycles: 59,
  busy_us: 60,
  /** `version` to the nodes, and what they said to it. */
  probes_sent: 61,
  probe_answers: 62,
  /** ICMP echo requests to the nodes, and the replies. */
  pings_sent: 63,
  ping_answers: 64,
  /** `flush_all` to nodes that are to take keys again. */
  flushes_sent: 65,
  /** ICMP "port unreachable" about a datagram of ours. */
  icmp_unreachable: 66,
  /** To the probe port, and not a reply of the node that was asked. */
  drop_probe_answer: 67,
  /** Reads answered "not there" in the place of a node that does not answer. */
  misses_answered: 68,
  /** Fragments of datagrams for us; each is counted again by what became of it. */
  fragments_received: 69,
  datagrams_reassembled: 70,
  /** Fragments that others completed: the one that made the datagram whole goes on, and is counted, as a frame. */
  fragments_joined: 71,
  /** Of a datagram with bytes told twice and differently, those already held and those that follow. */
  drop_fragment_overlap: 72,
  /** Said before: the datagram is none the worse. */
  drop_fragment_duplicate: 73,
  drop_fragment_too_large: 74,
  drop_fragment_timeout: 75,
  /** Given up for newer ones: of all sources, and of the same source. */
  drop_fragment_table_full: 76,
  drop_fragment_source_full: 77,
  /** Frames larger than the MTU that left in pieces (each counted as what it is, too), and the pieces. */
  datagrams_fragmented: 78,
  fragments_sent: 79,
  /** The port had no frame for a fragment; the rest of its datagram was not sent either. */
  fragments_refused: 80,
  icmp_frag_needed_sent: 81,
  /** ICMP "fragmentation needed" that was believed. */
  path_mtu_learned: 82,
  /** Replies made whole by one lane and handled by another: by who gave, who took, and those that found no box. */
  handed_over: 83,
  taken_over: 84,
  drop_handover_full: 85,
  /** Keys of a request for several that were asked for once more, as no answer came, or not the whole of one. */
  multiget_retries: 86,
  /** gateway: a request of a client that found no place in the table of clients. */
  drop_client_no_place: 87,
  /** gateway: a node's datagram to somebody who has not asked. */
  drop_return_no_client: 88,
  /** Requests for hot keys: reads answered from the cache; reads answered "not there"; writes carried out. */
  hot_hits: 89,
  hot_misses: 90,
  hot_writes: 91,
  /** Writes that came twice: the second has the first's answer, or none. */
  hot_repeats: 92,
  /** Writes of which nobody can say what became of them: no answer. */
  hot_unanswered: 93,
  /** What nodes said to requests of our own for hot keys. */
  hot_replies: 94,
  /** The others are no ends of frames. Requests of our own; of those, fetches for the cache. */
  hot_requests: 95,
  hot_fetches: 96,
  /** Values taken over; those that came too late for a write, or a flush. */
  hot_fills: 97,
  hot_stale_fills: 98,
  /** Times a request waited for its key, or found no place to. */
  hot_waits: 99,
  hot_waits_refused: 100,
  /** Writes that travelled to their node as they were. */
  hot_relays: 101,
  /** Cached values dropped as a miss or a store's late answer passed. */
  hot_invalidations: 102,
  /** Values that somebody wrote past the balancer. */
  hot_foreign_writes: 103,
  /** Times a key became UNSURE. */
  hot_unsure: 104,
  /** Values that a late datagram brought back, and that were deleted. */
  hot_zombies: 105,
  /** Keys taken into treatment; those whose home changed meanwhile. */
  hot_promotions: 106,
  hot_moves: 107,
  /** Copies that nodes have taken; values that are too large for one; copies found gone by a reader, who is sent home. */
  hot_copies: 108,
  hot_copies_too_large: 109,
  hot_copies_gone: 110,
  /** Keys of requests for several that were answered from the cache. */
  hot_parts: 111,
  /** Second answers to requests of our own that were sent again. */
  hot_replies_spare: 112,
  /** Relayed writes whose client wants no answer; the node gives one all the same. */
  hot_silent: 113,
  /** Came before the lane worked: while it rehearsed. */
  drop_not_started: 114,
} as const;

/** Position of the first `refused_*` counter; reason r stands at this + r. */
export const REFUSED_FIRST: number = Object.keys(COUNT).length;

export const LANE_COUNTERS: readonly string[] = [
  ...Object.keys(COUNT),
  ...REFUSAL_NAMES.map(name => `refused_${name}`),
];

/** Per node and lane, in rows of this many counters. */
export const NODE_COUNT = {
  requests: 0,
  replies: 1,
  request_bytes: 2,
  reply_bytes: 3,
  /** Of the requests: those that no answer is awaited for: noreply, quiet, and all without a slot (gateway, dsr). */
  silent_requests: 4,
  /** Of the others: those of which a first datagram of the reply has come. */
  answered: 5,
} as const;
export const NODE_COUNTERS = Object.keys(NODE_COUNT) as readonly (keyof typeof NODE_COUNT)[];
/** Counters of a row. */
export const NODE_COUNTER_COUNT = 6;
