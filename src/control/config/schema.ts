/**
 * The fields of the configuration file, each with its unit, bounds and default. Rules that involve more than one field
 * are in rules.ts. Every error text completes the sentence "<field> is <value>; it …".
 */

import { z } from 'zod';
import { DENIABLE, WRITES } from '../../dataplane/commands.ts';
import { ALLOW_MAX, RATIO_MAX, REQUEST_RATE_MAX } from '../../dataplane/gate-table.ts';
import { FAULT_DIRECTIONS } from '../../port/faulty.ts';
import { ADDRESS_PATTERN, BLOCK_PATTERN, CIDR_PATTERN, ENDPOINT_PATTERN, LOOPBACK_PATTERN } from './addresses.ts';
import { mapping, oneOf, powerOfTwo, share, textLike, wholeNumber, yesOrNo } from './fields.ts';
import { hot } from './hot-fields.ts';

export const LANES_MAX = 64;
/** A node is 16 bits of a ring slot, and 160 points of every node must fit the ring. */
export const NODES_MAX = 1024;
/** IFNAMSIZ less its closing zero. */
const INTERFACE_BYTES_MAX = 15;

const endpoint = () =>
  textLike(
    ENDPOINT_PATTERN,
    'must be the IPv4 address of a host, with or without a port from 1 to 65535, as 10.77.0.100:11211',
  );

const cidr = () =>
  textLike(
    CIDR_PATTERN,
    'must be the IPv4 address of a host with the prefix length of its subnet (1 to 31), as 10.77.1.1/24',
  );

const address = () => textLike(ADDRESS_PATTERN, 'must be the IPv4 address of a host, as 10.77.1.254');

const INTERFACE_RULE = `must be an interface name: 1 to ${INTERFACE_BYTES_MAX} bytes without space, "/" and ":"`;

const interfaceTowards = (whom: string) =>
  textLike(/^[^\s/:]+$/, INTERFACE_RULE)
    .max(INTERFACE_BYTES_MAX, { error: INTERFACE_RULE })
    .refine(name => Buffer.byteLength(name) <= INTERFACE_BYTES_MAX && name !== '.' && name !== '..', {
      error: INTERFACE_RULE,
    })
    .describe(
      `Network interface towards ${whom}. It should carry no kernel address: Keysteer answers ARP and ICMP echo itself.`,
    );

/** Bit 0 of the first octet would make it a group's. */
const MAC_PATTERN = /^(auto|interface|[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5})$/;

const faults = mapping({
  drop: share().default(0).describe('Share of the frames that are lost, 0 to 1.'),
  duplicate: share().default(0).describe('Share of the frames that come twice.'),
  reorder: share().default(0).describe('Share of the frames that come late, after others that were behind them.'),
  direction: oneOf(FAULT_DIRECTIONS)
    .default('both')
    .describe('Which frames: both, receive (those that come in) or transmit (those that go out).'),
  seed: wholeNumber(0, 2147483647).default(1).describe('Which frames they are: the same seed, the same faults.'),
}).describe(
  'For tests and experiments alone: frames of this port, ARP and probes among them, go astray as on a bad network. fault_dropped, fault_duplicated and fault_delayed among the figures of the port count them.',
);

const portFields = {
  mac: textLike(MAC_PATTERN, 'must be auto, interface, or an Ethernet address of one host like 02:00:00:00:00:01')
    .default('auto')
    .describe(
      'Ethernet address that Keysteer answers by on this port. interface: the interface’s own. auto: one of its own on veth and TAP, so that the kernel’s stack passes over its frames, elsewhere the interface’s. An address: that one, with the interface made promiscuous.',
    ),
  vlan: wholeNumber(1, 4094)
    .optional()
    .describe(
      'VLAN of this port (802.1Q): frames of it are taken, and what is sent gets its tag, with the priority of the frame it came from. Left out: untagged. A network card that sorts out VLANs by itself must be told of it: `ip link add link <interface> name <interface>.<vlan> type vlan id <vlan>`.',
    ),
  transport: oneOf(['af_packet', 'tap', 'pcap'])
    .default('af_packet')
    .describe(
      'How frames come in and go out. af_packet: mapped AF_PACKET rings; works on every Linux interface. tap: a TAP device, for virtual machines and containers; the interface is made if it is not there, and is the other end of the cable. pcap: libpcap in a process of its own, through the optional package cap; slow, one lane, for where rings cannot be had.',
    ),
  tap: mapping({
    persistent: z
      .boolean({ error: 'must be true or false' })
      .default(false)
      .describe('Whether the interface stays when Keysteer ends, so that what is plugged into it stays plugged in.'),
    owner: wholeNumber(0, 4294967294)
      .optional()
      .describe('User id that may open the interface later without privilege. Left out: nobody.'),
  })
    .optional()
    .describe('What becomes of an interface that Keysteer makes (transport tap).'),
  ring: mapping({
    frames: powerOfTwo(64, 65536)
      .default(1024)
      .describe(
        'Frames that each lane’s receive ring holds: a power of two, 64 to 65536. A small ring stays in the CPU’s cache; a large one outlasts longer bursts (ring_dropped counts what came into a full one).',
      ),
  })
    .prefault({})
    .describe('Frame memory of this port, per lane.'),
  faults: faults.optional(),
};

const clientPort = mapping({
  interface: interfaceTowards('the clients'),
  address: cidr()
    .optional()
    .describe(
      'One-arm only, and needed then: address that requests to the nodes are sent from, with its prefix length (CIDR). No other host may have it.',
    ),
  gateway: address().optional().describe('One-arm only: router to nodes outside the subnet of this port.'),
  ...portFields,
});

const serverPort = mapping({
  interface: interfaceTowards('the nodes'),
  address: cidr().describe(
    'Address that requests to the nodes are sent from, with its prefix length (CIDR). No other host may have it.',
  ),
  gateway: address().optional().describe('Router to nodes outside the subnet of this port.'),
  ...portFields,
});

const node = mapping({
  name: textLike(
    /^[A-Za-z0-9_.-]{1,64}$/,
    'must be text of 1 to 64 letters, digits, "_", "." and "-" (in quotes if it looks like a number)',
  ).describe('Name of the node in reports. Unique. It does not affect where keys go.'),
  address: endpoint().describe(
    'Where its memcached listens for UDP (memcached -U): IPv4 address and port, default port 11211. Unique.',
  ),
  weight: wholeNumber(0, 100)
    .default(1)
    .describe('Share of the keys relative to the other nodes, 0 to 100. 0: gets no keys.'),
  hash_name: textLike(/^[!-~]{1,255}$/, 'must be text of 1 to 255 printable ASCII characters without space')
    .optional()
    .describe(
      'Host name or address as your libmemcached clients have it in their server list, if not the address above: ketama hashes that text, so an existing pool keeps its placement.',
    ),
});

const steering = mapping({
  algorithm: oneOf(['ketama', 'ketama-unweighted', 'maglev'])
    .default('ketama')
    .describe(
      'Consistent hash that maps a key to its node. ketama: as libmemcached’s weighted ketama; ketama-unweighted: as its plain ketama, weights 0 or 1; maglev: the most even, for new pools.',
    ),
  hash: oneOf(['murmur3', 'md5', 'one_at_a_time'])
    .default('murmur3')
    .describe(
      'Hash of the key. To match libmemcached clients: md5 for KETAMA_WEIGHTED, else the HASH in their settings (one_at_a_time unless they set it).',
    ),
});

const slots = mapping({
  count: powerOfTwo(1024, 4194304)
    .default(262144)
    .describe(
      'Requests that can be outstanding, per lane: a power of two, 1024 to 4194304. Slots are reused first in, first out: count divided by the requests per second of a lane is how long a reply can take.',
    ),
  source_port_base: wholeNumber(1024, 65535)
    .default(40000)
    .describe('First UDP source port of requests to the nodes. Each lane uses one port for every 65536 slots.'),
  reply_lifetime_ms: wholeNumber(10, 60000)
    .default(2000)
    .describe('How long a reply is accepted after its request, milliseconds.'),
});

const multiget = mapping({
  keys_max: wholeNumber(1, 1024)
    .default(100)
    .describe('Keys that one request may ask for, 1 to 1024. A request for more is refused.'),
  gathers: wholeNumber(1, 4096)
    .default(256)
    .describe(
      'Requests for several keys that can be in progress, per lane, 1 to 4096. One more is refused, as SERVER_ERROR.',
    ),
  buffer_bytes: wholeNumber(65536, 268435456)
    .default(16777216)
    .describe(
      'Memory for values that wait for the others of their request, per lane: 65536 to 268435456 bytes. One request may hold half of it.',
    ),
  timeout_ms: wholeNumber(1, 60000)
    .default(200)
    .describe(
      'How long the nodes have to answer, milliseconds; a key that has no answer then is a miss. Never more than slots.reply_lifetime_ms.',
    ),
});

const idle = mapping({
  spin_us: wholeNumber(0, 10000)
    .default(200)
    .describe(
      'How long a lane polls without work under light load, giving way to others on its CPU, before it blocks, microseconds. More: less latency, more CPU. Under load it blocks after 10.',
    ),
  wait_ms: wholeNumber(1, 100)
    .default(10)
    .describe('How long a blocked lane waits before it looks after timers and stop requests, milliseconds.'),
});

const neighbours = mapping({
  retry_ms: wholeNumber(10, 10000)
    .default(200)
    .describe('Time between ARP requests for the same address, milliseconds.'),
  retries: wholeNumber(1, 100)
    .default(5)
    .describe('ARP requests without an answer until the address counts as unreachable.'),
  lifetime_s: wholeNumber(1, 86400).default(60).describe('How long an ARP answer is trusted, seconds.'),
  queue_frames: wholeNumber(1, 4096)
    .default(128)
    .describe(
      'Frames that a lane keeps while their next hops are being resolved, 1 to 4096. One next hop alone gets half of them, n get 1/(n + 1) each.',
    ),
});

const fragments = mapping({
  datagrams: wholeNumber(1, 4096)
    .default(64)
    .describe(
      'Datagrams that each lane can put together from IP fragments at the same time, 1 to 4096; each takes 64 KiB of memory. When all are begun, the one that has not progressed for longest gives way.',
    ),
  per_source: wholeNumber(1, 4096)
    .default(16)
    .describe('Of those, how many may be from one source address. More push out their own.'),
  timeout_ms: wholeNumber(10, 60000)
    .default(500)
    .describe('How long the fragments of a datagram are kept while others of it are missing, milliseconds.'),
});

const commands = mapping({
  flush_all: oneOf(['deny', 'broadcast'])
    .default('deny')
    .describe('flush_all: deny, or broadcast: sent to every node, answered OK when all have carried it out.'),
  verbosity: oneOf(['deny', 'broadcast']).default('deny').describe('verbosity: deny or broadcast.'),
  me: oneOf(['deny', 'forward'])
    .default('deny')
    .describe('Meta debug (me), which shows the internals of an item: deny, or forward it to the node of its key.'),
  deny: z
    .array(
      z.enum(DENIABLE as [string, ...string[]], {
        error: `must be a verb in the words of the text protocols, as get or touch, or ${WRITES}`,
      }),
      { error: 'must be a list of verbs' },
    )
    .default([])
    .describe(
      `Verbs that are refused, in every protocol; ${WRITES} stands for all that change items, which makes a pool read-only.`,
    ),
  broadcast_timeout_ms: wholeNumber(10, 10000)
    .default(500)
    .describe('How long the nodes have to answer a command that went to all of them, milliseconds.'),
});

const perSource = (what: string, to: number) =>
  wholeNumber(0, to)
    .default(0)
    .describe(`${what}, for each source address. 0: no limit. Lanes have equal parts of it.`);

const gatekeeper = mapping({
  enabled: yesOrNo()
    .default(true)
    .describe(
      'Whether sources are told apart at all: those that have asked before keep their slots when a flood of new ones comes. The limits below need it.',
    ),
  sources: powerOfTwo(1024, 65536)
    .default(16384)
    .describe('Sources that each lane remembers: a power of two, 1024 to 65536. 32 bytes each.'),
  allow: z
    .array(textLike(BLOCK_PATTERN, 'must be an IPv4 address or block of addresses, as 10.77.0.0/24'), {
      error: 'must be a list of address blocks',
    })
    .max(ALLOW_MAX, { error: `must have at most ${ALLOW_MAX} blocks` })
    .default([])
    .describe('Source addresses that may ask, as blocks (CIDR). Left out or empty: all.'),
  nodes_may_ask: yesOrNo()
    .default(false)
    .describe('Whether requests from the address of a node are taken; true where clients run beside memcached.'),
  requests_per_second: perSource('Requests per second', REQUEST_RATE_MAX),
  response_bytes_per_second: perSource('Bytes of replies per second (UDP payload)', 1_000_000_000),
  response_ratio_max: wholeNumber(0, RATIO_MAX)
    .default(0)
    .describe(
      'Bytes of replies for each byte of requests of a source address, beyond the first 65536. 0: no limit. It bounds what forged requests can make others receive.',
    ),
  newcomers_per_second: wholeNumber(0, REQUEST_RATE_MAX)
    .default(0)
    .describe(
      'Requests per second of all source addresses together that have not asked before. 0: 16 times requests_per_second. Lanes have equal parts of it.',
    ),
});

const health = mapping({
  enabled: z
    .boolean({ error: 'must be true or false' })
    .default(true)
    .describe('Whether nodes are watched, and taken out of steering while they do not answer.'),
  interval_ms: wholeNumber(20, 60000)
    .default(500)
    .describe(
      'Time between two probes (memcached’s version over UDP) of a healthy node, milliseconds. Requests are watched too: under load a dead node is noticed without waiting for its next probe.',
    ),
  timeout_ms: wholeNumber(5, 300)
    .default(20)
    .describe('A probe without an answer after this counts as failed, milliseconds. Above the slowest round trip.'),
  fail_ms: wholeNumber(20, 60000)
    .default(120)
    .describe(
      'A node is taken out when it has been silent for this long, milliseconds, and fail_after is reached. Shorter pauses take no node out. A node whose host says that nobody listens goes sooner.',
    ),
  fail_after: wholeNumber(3, 1000)
    .default(12)
    .describe(
      'Probes and requests in a row that must have gone unanswered before a node is taken out; three of them probes. Above what a lossy network loses in a row.',
    ),
  pass_after: wholeNumber(1, 1000).default(3).describe('Probes that a node must answer before it returns.'),
  return_after_ms: wholeNumber(0, 3600000)
    .default(2000)
    .describe(
      'How long a node must answer before it returns, milliseconds; doubled for each time it was taken out lately.',
    ),
  return_after_max_ms: wholeNumber(0, 86400000)
    .default(60000)
    .describe('The longest that doubling makes of return_after_ms, milliseconds.'),
  damping_half_life_s: wholeNumber(1, 86400)
    .default(60)
    .describe('Time in which half of what was held against a node for going out is forgotten, seconds.'),
  flush_on_return: z
    .boolean({ error: 'must be true or false' })
    .default(true)
    .describe(
      'Whether a node is flushed before it takes keys again. Without it, it may answer with values from before it was taken out.',
    ),
  keep_share: share()
    .default(0.5)
    .describe(
      'Share of the weights that must be left when a node is taken out, 0 to 1. A node that may not go keeps its keys, and reads that wait for it are answered as misses. The last node is never taken out.',
    ),
  miss_after_ms: wholeNumber(0, 60000)
    .default(0)
    .describe(
      'Reads that have waited this long for any node are answered as misses, milliseconds; 0: only those that wait for a node that is down.',
    ),
});

/** sun_path of sockaddr_un, less its closing zero. */
const SOCKET_PATH_BYTES_MAX = 107;

const ADMIN_RULE = `must be the absolute path of a Unix socket (at most ${SOCKET_PATH_BYTES_MAX} bytes) or a loopback address with a port, as 127.0.0.1:9211: who can connect can drain nodes, without a password`;

const adminFields = mapping({
  listen: textLike(/^(\/[^\0]+|[^/]+)$/, ADMIN_RULE)
    .refine(
      text => (text.startsWith('/') ? Buffer.byteLength(text) <= SOCKET_PATH_BYTES_MAX : LOOPBACK_PATTERN.test(text)),
      { error: ADMIN_RULE },
    )
    .optional()
    .describe(
      'Absolute path of a Unix socket, for its owner alone, or a loopback address with its port, for everybody on this machine. Left out: PID.sock in /run/keysteer, $XDG_RUNTIME_DIR/keysteer or /tmp/keysteer-UID, whichever can be written to first.',
    ),
});

const admin = z
  .union([z.literal('off'), adminFields], { error: 'must be off, or a mapping with the field listen' })
  .prefault({})
  .describe(
    'Where Keysteer answers `keysteer status`, `top`, `nodes`, `hot`, `explain` and `reload`, and serves /metrics. off: nowhere.',
  );

export const configSchema = mapping({
  vip: endpoint().describe('Virtual address that clients send to: IPv4 address and UDP port, default port 11211.'),
  mode: oneOf(['nat', 'gateway', 'dsr'])
    .default('nat')
    .describe(
      'How requests reach the nodes. nat: sent from Keysteer’s own address; nothing to set up on the nodes. gateway: the client’s address stays; the nodes’ default route must lead to Keysteer’s address on their side. dsr: sent on as they are to the node’s Ethernet address; the nodes have the virtual address on their loopback, listen on it, answer no ARP for it, and reply straight to the client.',
    ),
  ports: mapping({
    client: clientPort.describe('The interface that clients are reached by.'),
    server: serverPort
      .optional()
      .describe('The interface that the nodes are reached by. Left out: one-arm, both on ports.client.'),
  }).describe('The network interfaces that Keysteer works on.'),
  nodes: z
    .array(node, { error: 'must be a list of nodes' })
    .min(1, { error: `must have 1 to ${NODES_MAX} nodes` })
    .max(NODES_MAX, { error: `must have 1 to ${NODES_MAX} nodes` })
    .describe('The memcached servers, in the order that libmemcached clients list them.'),
  steering: steering.prefault({}).describe('How keys are spread over the nodes.'),
  lanes: wholeNumber(1, LANES_MAX)
    .default(1)
    .describe(`Worker threads, each with queues of its own, 1 to ${LANES_MAX}.`),
  pin: z
    .array(wholeNumber(0, 1023, 'must be the number of a CPU, 0 to 1023'), { error: 'must be a list of CPU numbers' })
    .optional()
    .describe('CPU of each lane, in order; as many as there are lanes. Left out: the kernel places them.'),
  warm_up_ms: wholeNumber(0, 60000)
    .default(1000)
    .describe(
      'How long each lane works on made-up traffic in its own memory before it starts, so that its code is compiled when the first request comes, milliseconds; 0: not at all. A lane that is started again after a crash does not.',
    ),
  segmentation_offload: oneOf(['auto', 'off'])
    .default('auto')
    .describe(
      'Whether requests to one node that are waiting together, equally long, leave as one super-frame (UDP segmentation offload), which its kernel or a network card takes apart again: less work for all. auto: with transport af_packet, on untagged ports, where the kernel (6.2 or later) and the interface carry it. off: never; where a node, or what watches frames, is a program that reads them raw, as another Keysteer is.',
    ),
  slots: slots
    .prefault({})
    .describe('Table of outstanding requests; in modes gateway and dsr, of those for several keys or nodes.'),
  commands: commands.prefault({}).describe('What is done with commands that concern more than one item.'),
  gatekeeper: gatekeeper.prefault({}).describe('Who may ask, and how much.'),
  multiget: multiget.prefault({}).describe('Requests for several keys, answered by one reply.'),
  idle: idle.prefault({}).describe('What a lane does when there is nothing to do.'),
  fragments: fragments.prefault({}).describe('Requests and replies that arrive as IP fragments.'),
  neighbours: neighbours.prefault({}).describe('Resolution of IPv4 to Ethernet addresses (ARP).'),
  hot: hot.prefault({}).describe('Keys that are asked for much more than others: found, cached, copied to more nodes.'),
  health: health.prefault({}).describe('When nodes are taken out of steering, and when they return.'),
  admin,
});

/** What a file holds, with defaults filled in. */
export type ConfigFile = z.output<typeof configSchema>;
export type NodeFields = ConfigFile['nodes'][number];

/** The schema of the field at `path`, if there is one. */
export function fieldAt(path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  return path.reduce<z.core.$ZodType | undefined>((field, part) => childOf(bare(field), part), configSchema);
}

/** Names of the fields of the mapping at `path`. */
export function fieldNamesAt(path: readonly PropertyKey[]): string[] {
  const field = bare(fieldAt(path));
  return field instanceof z.ZodObject ? Object.keys(field.shape) : [];
}

function childOf(field: z.core.$ZodType | undefined, part: PropertyKey): z.core.$ZodType | undefined {
  if (field instanceof z.ZodArray) return field.element;
  return field instanceof z.ZodObject && Object.hasOwn(field.shape, part) ? field.shape[String(part)] : undefined;
}

/** The field without the wrappers that make it optional or give a default; of a choice, the mapping. */
function bare(field: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  if (field instanceof z.ZodUnion) return field.options.find(option => option instanceof z.ZodObject);
  const wrapped = field instanceof z.ZodOptional || field instanceof z.ZodDefault || field instanceof z.ZodPrefault;
  return wrapped ? bare(field.def.innerType) : field;
}
