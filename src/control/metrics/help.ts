/** What each counter counts, in a sentence, for # HELP. One that is missing here is exported with its name alone. */
export const LANE_HELP: Readonly<Record<string, string>> = {
  requests: 'Requests forwarded to nodes.',
  reads: 'Requests steered whose verb changes nothing.',
  writes: 'Requests steered whose verb changes an item.',
  replies: 'Datagrams of replies forwarded to clients.',
  error_answers: 'Requests turned away with a memcached error line.',
  arp_answers: 'ARP requests for our addresses answered.',
  arp_learned: 'ARP packets from which the Ethernet address of a next hop was learnt.',
  arp_requests: 'ARP requests sent for next hops.',
  echo_answers: 'ICMP echo requests to our addresses answered.',
  foreign: 'Frames that were not for our addresses.',
  parked: 'Requests kept aside until their next hop was resolved.',
  parked_sent: 'Requests sent on after they were kept aside.',
  slots_expired: 'Slots taken again while their request was still unanswered after the reply lifetime.',
  slots_skipped: 'Slots passed over because their request was younger than the reply lifetime.',
  cycles: 'Duty cycles.',
  busy_cycles: 'Duty cycles that found work.',
  busy_us: 'Time in duty cycles that found work.',
  idle_us: 'Time asleep for want of work.',
  idle_waits: 'Times the lane went to sleep.',
  probes_sent: 'Probes (version) sent to nodes.',
  probe_answers: 'Answers to probes and flushes.',
  pings_sent: 'ICMP echo requests sent to the hosts of nodes that are not well.',
  ping_answers: 'ICMP echo replies of those hosts.',
  flushes_sent: 'Flushes (flush_all) sent to nodes before they take keys again.',
  icmp_unreachable: 'ICMP messages that nobody listens on a node’s port.',
  misses_answered: 'Reads answered as misses in the place of a node that did not answer.',
};

export const DROPS_HELP = 'Frames for us that were dropped, by reason.';
export const REFUSALS_HELP = 'Requests turned away, by reason; with an error line or in silence.';

export const PORT_HELP: Readonly<Record<string, string>> = {
  received_frames: 'Frames received.',
  received_bytes: 'Bytes of frames received, without FCS.',
  transmitted_frames: 'Frames transmitted.',
  transmitted_bytes: 'Bytes of frames transmitted, without FCS.',
  transmit_refused: 'Frames that the transport would not take.',
  ring_dropped: 'Frames that came into a full receive ring.',
  receive_batches: 'Batches received.',
  transmit_calls: 'Calls into the kernel to transmit.',
};

export const NODE_HELP: Readonly<Record<string, string>> = {
  requests: 'Requests steered to the node.',
  replies: 'Datagrams of replies from the node.',
  request_bytes: 'Bytes of requests steered to the node, UDP payload.',
  reply_bytes: 'Bytes of replies from the node, UDP payload.',
  silent_requests: 'Requests to the node that no answer is awaited for (noreply, quiet; gateway and dsr: nearly all).',
  answered: 'Requests that the node began to answer.',
  unanswered: 'Requests that the node did not answer within the reply lifetime.',
};
