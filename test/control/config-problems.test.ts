import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/control/config/error.ts';
import type { ConfigFlags } from '../../src/control/config/flags.ts';
import { loadConfig } from '../../src/control/config/load.ts';

const TWO_ARM = `vip: 10.77.0.100:11211
mode: nat
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11:11211 }
  - { name: mc2, address: 10.77.1.12:11211, weight: 2 }
`;

const ONE_ARM = `vip: 10.77.0.100
ports:
  client:
    interface: eth1
    address: 10.77.0.1/24
nodes:
  - name: mc1
    address: 10.77.0.11
`;

/** What the tables below call by one word. */
const RULES: Record<string, string> = {
  ENDPOINT: 'it must be the IPv4 address of a host, with or without a port from 1 to 65535, as 10.77.0.100:11211',
  CIDR: 'it must be the IPv4 address of a host with the prefix length of its subnet (1 to 31), as 10.77.1.1/24',
  ADDRESS: 'it must be the IPv4 address of a host, as 10.77.1.254',
  INTERFACE: 'it must be an interface name: 1 to 15 bytes without space, "/" and ":"',
  NODE_NAME: 'it must be text of 1 to 64 letters, digits, "_", "." and "-" (in quotes if it looks like a number)',
  HASH_NAME: 'it must be text of 1 to 255 printable ASCII characters without space',
  HOST: 'it must be the address of a host, not that of the subnet or its broadcast',
  ONE_ARM_ONLY: 'it must be left out when there is a ports.server: requests are sent from that one',
  ONE_ARM_NEEDS: 'it must be given when ports.server is left out (one-arm): requests are sent from it, as 10.77.0.1/24',
  OUTSIDE_SERVER:
    'it must be a host in the subnet of ports.server.address (10.77.1.1/24), or ports.server.gateway must be given',
  OUTSIDE_CLIENT:
    'it must be a host in the subnet of ports.client.address (10.77.0.1/24), or ports.client.gateway must be given',
  VERB: 'it must be a verb in the words of the text protocols, as get or touch, or writes',
  BLOCK: 'it must be an IPv4 address or block of addresses, as 10.77.0.0/24',
  PLAIN_KEY: 'it must be a memcached key: 1 to 250 bytes without spaces and control characters',
  ENABLED: 'it must be left out, or gatekeeper.enabled be true',
  TOP_FIELDS:
    'the fields here are vip, mode, ports, nodes, steering, lanes, pin, warm_up_ms, segmentation_offload, slots, commands, gatekeeper, multiget, idle, fragments, neighbours, hot, health, admin',
  LISTEN:
    'it must be the absolute path of a Unix socket (at most 107 bytes) or a loopback address with a port, as 127.0.0.1:9211: who can connect can drain nodes, without a password',
};

function errorOf(text: string, flags: ConfigFlags = {}): ConfigError {
  try {
    loadConfig(text, 'k.yaml', flags);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

type Row = [right: string, wrong: string, place: string, message: string];

function cellsOf(row: string): Row {
  return row.split('|').map(cell => cell.trim().replaceAll('⏎', '\n').replaceAll('␣', ' ')) as Row;
}

/**
 * Rows of `right | wrong | line:column | message`: `right` in `base` becomes `wrong`, or `wrong` is added to the end
 * where `right` is empty; ⏎ is a line end, ␣ a space at an edge. The message begins with the path of the field.
 */
function checkRows(base: string, table: string): void {
  const rows = table.split('\n').filter(row => row.trim() !== '');
  it.each(rows.map(cellsOf))('%j → %j', (right, wrong, place, message) => {
    const spelt = message.replace(/[A-Z_]{4,}$/, word => RULES[word]!);
    if (right !== '') expect(base.split(right)).toHaveLength(2);
    const error = errorOf(right === '' ? base + wrong : base.replace(right, wrong));
    expect(error.problems.map(problem => problem.message)).toEqual([spelt]);
    const [problem] = error.problems;
    expect(`${problem!.line}:${problem!.column}`).toBe(place);
    expect(problem!.path).toBe(message.split(' is ')[0]);
    expect(error.message.split('\n')[0]).toBe(`k.yaml:${place}: ${spelt}`);
  });
}

describe('one wrong field: place, path, value and rule', () => {
  checkRows(
    TWO_ARM,
    `
vip: 10.77.0.100:11211⏎ |                      | 1:1  | vip is missing; ENDPOINT
10.77.0.100:11211 | 10.77.0.300:11211          | 1:6  | vip is "10.77.0.300:11211"; ENDPOINT
10.77.0.100:11211 | 10.77.0.100:0              | 1:6  | vip is "10.77.0.100:0"; ENDPOINT
10.77.0.100:11211 | 10.77.0.100:65536          | 1:6  | vip is "10.77.0.100:65536"; ENDPOINT
10.77.0.100:11211 | 10.77.0.0100               | 1:6  | vip is "10.77.0.0100"; ENDPOINT
10.77.0.100:11211 | 127.0.0.1                  | 1:6  | vip is "127.0.0.1"; ENDPOINT
10.77.0.100:11211 | 224.0.0.1                  | 1:6  | vip is "224.0.0.1"; ENDPOINT
10.77.0.100:11211 | 0.0.0.0                    | 1:6  | vip is "0.0.0.0"; ENDPOINT
10.77.0.100:11211 | cache.example              | 1:6  | vip is "cache.example"; ENDPOINT
10.77.0.100:11211 | 10.77                      | 1:6  | vip is 10.77; ENDPOINT
10.77.0.100:11211 |                            | 1:1  | vip is empty; ENDPOINT
10.77.0.100:11211 | [a, b]                     | 1:6  | vip is a list of 2; ENDPOINT
10.77.0.100:11211 | {}                         | 1:6  | vip is a mapping; ENDPOINT

mode: nat         | mode: tun                  | 2:7  | mode is "tun"; it must be nat or gateway or dsr

interface: cl0    |                            | 4:3  | ports.client.interface is missing; INTERFACE
cl0               | abcdefghijklmnop           | 4:24 | ports.client.interface is "abcdefghijklmnop"; INTERFACE
cl0               | äöüäöüäö                   | 4:24 | ports.client.interface is "äöüäöüäö"; INTERFACE
cl0               | "a b"                      | 4:24 | ports.client.interface is "a b"; INTERFACE
cl0               | a/b                        | 4:24 | ports.client.interface is "a/b"; INTERFACE
cl0               | ..                         | 4:24 | ports.client.interface is ".."; INTERFACE
cl0               | ""                         | 4:24 | ports.client.interface is ""; INTERFACE
cl0               | cl0, vlan: 0               | 4:35 | ports.client.vlan is 0; it must be a whole number from 1 to 4094
cl0               | cl0, vlan: 4095            | 4:35 | ports.client.vlan is 4095; it must be a whole number from 1 to 4094
cl0               | cl0, transport: af_xdp     | 4:40 | ports.client.transport is "af_xdp"; it must be af_packet or tap or pcap
cl0               | cl0, transport: tap, tap: { persistent: 1 } | 4:64 | ports.client.tap.persistent is 1; it must be true or false
cl0               | cl0, transport: tap, tap: { owner: -1 }     | 4:59 | ports.client.tap.owner is -1; it must be a whole number from 0 to 4294967294
cl0               | cl0, faults: { drop: 1.5 }  | 4:45 | ports.client.faults.drop is 1.5; it must be a number from 0 to 1
cl0               | cl0, faults: { drop: 0.6, reorder: 0.5 } | 4:37 | ports.client.faults is a mapping; it must have shares that are 1 together at most
cl0               | cl0, faults: { direction: up } | 4:50 | ports.client.faults.direction is "up"; it must be both or receive or transmit
cl0               | cl0, faults: { seed: -1 }   | 4:45 | ports.client.faults.seed is -1; it must be a whole number from 0 to 2147483647
cl0               | cl0, tap: {}                                | 4:34 | ports.client.tap is a mapping; it must be left out unless transport is tap
cl0               | cl0, transport: tap, mac: interface         | 4:50 | ports.client.mac is "interface"; it must be auto or an address with transport tap
cl0               | cl0, ring: { frames: 1000 }| 4:45 | ports.client.ring.frames is 1000; it must be a power of two from 64 to 65536
cl0               | cl0, ring: { frames: 32 }  | 4:45 | ports.client.ring.frames is 32; it must be a power of two from 64 to 65536
cl0               | cl0, ring: 2048            | 4:35 | ports.client.ring is 2048; it must be a mapping with the fields frames
, address: 10.77.1.1/24 |                      | 5:3  | ports.server.address is missing; CIDR
10.77.1.1/24      | 10.77.1.1                  | 5:38 | ports.server.address is "10.77.1.1"; CIDR
10.77.1.1/24      | 10.77.1.1/32               | 5:38 | ports.server.address is "10.77.1.1/32"; CIDR
10.77.1.1/24      | 10.77.1.1/0                | 5:38 | ports.server.address is "10.77.1.1/0"; CIDR
1.1/24            | 1.1/24, gateway: 10.1.1.1/8| 5:61 | ports.server.gateway is "10.1.1.1/8"; ADDRESS

mc1               | m c                        | 7:13 | nodes[0].name is "m c"; NODE_NAME
mc1               | 1                          | 7:13 | nodes[0].name is 1; NODE_NAME
name: mc2,        |                            | 8:5  | nodes[1].name is missing; NODE_NAME
10.77.1.12:11211  | 10.77.1.12:x               | 8:27 | nodes[1].address is "10.77.1.12:x"; ENDPOINT
weight: 2         | weight: -1                 | 8:53 | nodes[1].weight is -1; it must be a whole number from 0 to 100
weight: 2         | weight: 101                | 8:53 | nodes[1].weight is 101; it must be a whole number from 0 to 100
weight: 2         | weight: 100.5              | 8:53 | nodes[1].weight is 100.5; it must be a whole number from 0 to 100
weight: 2         | weight: "2"                | 8:53 | nodes[1].weight is "2"; it must be a whole number from 0 to 100
weight: 2         | weight: .nan               | 8:53 | nodes[1].weight is NaN; it must be a whole number from 0 to 100
weight: 2         | weight:                    | 8:45 | nodes[1].weight is empty; it must be a whole number from 0 to 100
weight: 2         | hash_name: "a b"           | 8:56 | nodes[1].hash_name is "a b"; HASH_NAME

                  | steering: {algorithm: mod} | 9:23 | steering.algorithm is "mod"; it must be ketama or ketama-unweighted or maglev
                  | steering: { hash: crc }    | 9:19 | steering.hash is "crc"; it must be murmur3 or md5 or one_at_a_time
                  | steering: ketama           | 9:11 | steering is "ketama"; it must be a mapping with the fields algorithm, hash
                  | lanes: 0                   | 9:8  | lanes is 0; it must be a whole number from 1 to 64
                  | lanes: 65                  | 9:8  | lanes is 65; it must be a whole number from 1 to 64
                  | lanes: two                 | 9:8  | lanes is "two"; it must be a whole number from 1 to 64
                  | pin: 3                     | 9:6  | pin is 3; it must be a list of CPU numbers
                  | pin: [-1]                  | 9:7  | pin[0] is -1; it must be the number of a CPU, 0 to 1023

                  | slots: { count: 3000 }     | 9:17 | slots.count is 3000; it must be a power of two from 1024 to 4194304
                  | slots: { count: 8388608 }  | 9:17 | slots.count is 8388608; it must be a power of two from 1024 to 4194304
                  | slots: { source_port_base: 80 }  | 9:28 | slots.source_port_base is 80; it must be a whole number from 1024 to 65535
                  | slots: { reply_lifetime_ms: 2s } | 9:29 | slots.reply_lifetime_ms is "2s"; it must be a whole number from 10 to 60000
                  | commands: { flush_all: allow }   | 9:24 | commands.flush_all is "allow"; it must be deny or broadcast
                  | commands: { me: yes }            | 9:17 | commands.me is "yes"; it must be deny or forward
                  | commands: { deny: touch }        | 9:19 | commands.deny is "touch"; it must be a list of verbs
                  | commands: { deny: [quit] }       | 9:20 | commands.deny[0] is "quit"; VERB
                  | commands: { broadcast_timeout_ms: 1 } | 9:35 | commands.broadcast_timeout_ms is 1; it must be a whole number from 10 to 10000
                  | gatekeeper: { enabled: 1 }       | 9:24 | gatekeeper.enabled is 1; it must be true or false
                  | gatekeeper: { sources: 1000 }    | 9:24 | gatekeeper.sources is 1000; it must be a power of two from 1024 to 65536
                  | gatekeeper: { allow: 10.0.0.0/8 }| 9:22 | gatekeeper.allow is "10.0.0.0/8"; it must be a list of address blocks
                  | gatekeeper: { allow: [10.0.0.0/33] } | 9:23 | gatekeeper.allow[0] is "10.0.0.0/33"; BLOCK
                  | gatekeeper: { allow: [10.0.0] }  | 9:23 | gatekeeper.allow[0] is "10.0.0"; BLOCK
                  | gatekeeper: { requests_per_second: -1 } | 9:36 | gatekeeper.requests_per_second is -1; it must be a whole number from 0 to 1000000
                  | gatekeeper: { response_bytes_per_second: 1e10 } | 9:42 | gatekeeper.response_bytes_per_second is 10000000000; it must be a whole number from 0 to 1000000000
                  | gatekeeper: { response_ratio_max: 10001 } | 9:35 | gatekeeper.response_ratio_max is 10001; it must be a whole number from 0 to 10000
                  | gatekeeper: { newcomers_per_second: 0.5 } | 9:37 | gatekeeper.newcomers_per_second is 0.5; it must be a whole number from 0 to 1000000
                  | multiget: { keys_max: 0 }        | 9:23 | multiget.keys_max is 0; it must be a whole number from 1 to 1024
                  | multiget: { gathers: 5000 }      | 9:22 | multiget.gathers is 5000; it must be a whole number from 1 to 4096
                  | multiget: { buffer_bytes: 1MB }  | 9:27 | multiget.buffer_bytes is "1MB"; it must be a whole number from 65536 to 268435456
                  | multiget: { timeout_ms: 0 }      | 9:25 | multiget.timeout_ms is 0; it must be a whole number from 1 to 60000
                  | idle: { spin_us: -1 }            | 9:18 | idle.spin_us is -1; it must be a whole number from 0 to 10000
                  | idle: { wait_ms: 0 }             | 9:18 | idle.wait_ms is 0; it must be a whole number from 1 to 100
                  | fragments: { datagrams: 0 }      | 9:25 | fragments.datagrams is 0; it must be a whole number from 1 to 4096
                  | fragments: { per_source: 5000 }  | 9:26 | fragments.per_source is 5000; it must be a whole number from 1 to 4096
                  | fragments: { timeout_ms: 9 }     | 9:26 | fragments.timeout_ms is 9; it must be a whole number from 10 to 60000
                  | neighbours: { retry_ms: 1 }      | 9:25 | neighbours.retry_ms is 1; it must be a whole number from 10 to 10000
                  | neighbours: { retries: 0 }       | 9:24 | neighbours.retries is 0; it must be a whole number from 1 to 100
                  | neighbours: { lifetime_s: 0 }    | 9:27 | neighbours.lifetime_s is 0; it must be a whole number from 1 to 86400
                  | admin: on                        | 9:8  | admin is "on"; it must be off, or a mapping with the field listen
                  | admin: 9211                      | 9:8  | admin is 9211; it must be off, or a mapping with the field listen
                  | admin: { listen: 9211 }          | 9:18 | admin.listen is 9211; LISTEN
                  | admin: { listen: k.sock }        | 9:18 | admin.listen is "k.sock"; LISTEN
                  | admin: { listen: 0.0.0.0:9211 }  | 9:18 | admin.listen is "0.0.0.0:9211"; LISTEN
                  | admin: { listen: 10.0.0.1:9211 } | 9:18 | admin.listen is "10.0.0.1:9211"; LISTEN
                  | admin: { listen: 127.0.0.1 }     | 9:18 | admin.listen is "127.0.0.1"; LISTEN
                  | admin: { listen: 127.0.0.1:0 }   | 9:18 | admin.listen is "127.0.0.1:0"; LISTEN
                  | admin: { listen: "[::2]:9211" }  | 9:18 | admin.listen is "[::2]:9211"; LISTEN
                  | neighbours: { queue_frames: 0 }  | 9:29 | neighbours.queue_frames is 0; it must be a whole number from 1 to 4096
                  | health: { enabled: maybe }       | 9:20 | health.enabled is "maybe"; it must be true or false
                  | health: { timeout_ms: 301 }      | 9:23 | health.timeout_ms is 301; it must be a whole number from 5 to 300
                  | health: { fail_after: 2 }        | 9:23 | health.fail_after is 2; it must be a whole number from 3 to 1000
                  | health: { keep_share: 1.01 }     | 9:23 | health.keep_share is 1.01; it must be a number from 0 to 1
                  | health: { keep_share: half }     | 9:23 | health.keep_share is "half"; it must be a number from 0 to 1
                  | hot: { enabled: 1 }              | 9:17 | hot.enabled is 1; it must be true or false
                  | hot: { keys: 100 }               | 9:14 | hot.keys is 100; it must be a power of two from 64 to 262144
                  | hot: { keys: 32768, l1_keys: 32768 } | 9:30 | hot.l1_keys is 32768; it must be at most half of hot.keys (32768)
                  | hot: { detector: bloom }         | 9:18 | hot.detector is "bloom"; it must be self-adaptive or lossy or probabilistic or mnemonic or weighted or space-saving
                  | hot: { share: 0 }                | 9:15 | hot.share is 0; it must be a number from 0.000001 to 0.5
                  | hot: { keys: 128 }               | 9:1  | hot.l1_keys is 1024 (the default); it must be at most half of hot.keys (128)
                  | hot: { detector: lossy, share: 0.000001 } | 9:1 | hot.error is 0.000002 (the default); it must be below hot.share (0.000001)
                  | hot: { detector: lossy, error: 0.001 } | 9:32 | hot.error is 0.001; it must be below hot.share (0.000004)
                  | hot: { imbalance: 1 }            | 9:19 | hot.imbalance is 1; it must be a number from 1.01 to 10
                  | hot: { copies_max: 17 }          | 9:20 | hot.copies_max is 17; it must be a whole number from 1 to 16
                  | hot: { instant: { window: 64, count: 65 } } | 9:38 | hot.instant.count is 65; it must be at most hot.instant.window (64)
                  | hot: { pin: "a key" }            | 9:13 | hot.pin is "a key"; it must be a list of keys
                  | hot: { pin: ["a key"] }          | 9:14 | hot.pin[0] is "a key"; PLAIN_KEY
                  | hot: { pin: [a, b], ban: [b] }   | 9:17 | hot.pin[1] is "b"; it must not be in hot.ban, too
                  | idle:                            | 9:1  | idle is empty; it must be a mapping with the fields spin_us, wait_ms
`,
  );

  checkRows(
    'vip: 10.0.0.2\nports: { client: { interface: a, address: 10.0.0.1/24 } }\n',
    `
 |              | 1:1 | nodes is missing; it must be a list of nodes
 | nodes: []    | 3:8 | nodes is an empty list; it must have 1 to 1024 nodes
 | nodes: mc1   | 3:8 | nodes is "mc1"; it must be a list of nodes
 | nodes: [mc1] | 3:9 | nodes[0] is "mc1"; it must be a mapping with the fields name, address, weight, hash_name
`,
  );

  it('more nodes than the ring takes', () => {
    const nodes = Array.from({ length: 1025 }, (_, at) => `  - { name: n${at}, address: 10.1.${at >> 8}.${at & 255} }`);
    const ports = 'ports: { client: { interface: a, address: 10.0.0.1/24, gateway: 10.0.0.9 } }';
    const error = errorOf(`vip: 10.0.0.2\n${ports}\nnodes:\n${nodes.join('\n')}`);
    expect(error.problems.map(({ message }) => message)).toEqual([
      'nodes is a list of 1025; it must have 1 to 1024 nodes',
    ]);
  });
});

describe('unknown fields name the closest known one', () => {
  checkRows(
    TWO_ARM,
    `
mode: nat      | mod: nat                        | 2:1  | mod is not a known field; did you mean "mode"?
vip: 10        | vpi: 10                         | 1:1  | vpi is not a known field; did you mean "vip"?
client         | cleint                          | 4:3  | ports.cleint is not a known field; did you mean "client"?
cl0            | cl0, mtu: 9000                  | 4:29 | ports.client.mtu is not a known field; the fields here are interface, address, gateway, mac, vlan, transport, tap, ring, faults
sv0, address   | sv0, adress                     | 5:29 | ports.server.adress is not a known field; did you mean "address"?
weight         | wieght                          | 8:45 | nodes[1].wieght is not a known field; did you mean "weight"?
               | slots: { sourcePortBase: 1 }    | 9:10 | slots.sourcePortBase is not a known field; did you mean "source_port_base"?
               | idle: { spin-us: 1 }            | 9:9  | idle.spin-us is not a known field; did you mean "spin_us"?
               | lane: 2                         | 9:1  | lane is not a known field; did you mean "lanes"?
               | "a.b": 2                        | 9:1  | ["a.b"] is not a known field; TOP_FIELDS
               | __proto__: 2                    | 9:1  | __proto__ is not a known field; TOP_FIELDS
               | constructor: 2                  | 9:1  | constructor is not a known field; TOP_FIELDS
               | <<: { lanes: 2 }                | 9:1  | ["<<"] is not a known field; TOP_FIELDS
               | admin: { port: 7 }    | 9:10 | admin.port is not a known field; the fields here are listen
               | admin: { listne: /k } | 9:10 | admin.listne is not a known field; did you mean "listen"?
`,
  );
});

describe('rules that involve more than one field', () => {
  checkRows(
    TWO_ARM,
    `
sv0               | cl0                        | 5:24 | ports.server.interface is "cl0"; it must differ from ports.client.interface, or its vlan from that one’s; for one-arm leave ports.server out
sv0               | cl0, vlan: 7, transport: tap | 5:24 | ports.server.interface is "cl0"; it must differ from ports.client.interface, or its vlan from that one’s; for one-arm leave ports.server out
10.77.0.100:11211 | 10.77.1.1                  | 5:38 | ports.server.address is "10.77.1.1/24"; it must differ from the address in vip
10.77.1.1/24      | 10.77.1.0/24               | 5:38 | ports.server.address is "10.77.1.0/24"; HOST
                  | gatekeeper: { enabled: false, allow: [10.0.0.0/8] } | 9:38 | gatekeeper.allow is a list of 1; ENABLED
                  | gatekeeper: { enabled: false, requests_per_second: 9 } | 9:52 | gatekeeper.requests_per_second is 9; ENABLED
                  | gatekeeper: { enabled: false, response_ratio_max: 9 } | 9:51 | gatekeeper.response_ratio_max is 9; ENABLED
10.77.1.1/24      | 10.77.1.255/24             | 5:38 | ports.server.address is "10.77.1.255/24"; HOST
cl0               | cl0, address: 10.77.0.1/24 | 4:38 | ports.client.address is "10.77.0.1/24"; ONE_ARM_ONLY
cl0               | cl0, gateway: 10.77.0.1    | 4:38 | ports.client.gateway is "10.77.0.1"; ONE_ARM_ONLY
1.1/24            | 1.1/24, gateway: 10.77.2.9 | 5:61 | ports.server.gateway is "10.77.2.9"; it must be another host in the subnet of ports.server.address
1.1/24            | 1.1/24, gateway: 10.77.1.1 | 5:61 | ports.server.gateway is "10.77.1.1"; it must be another host in the subnet of ports.server.address

mc2               | mc1                        | 8:13 | nodes[1].name is "mc1"; it must be unique, but nodes[0] has the same
10.77.1.12:11211  | 10.77.1.11                 | 8:27 | nodes[1].address is "10.77.1.11"; it must be unique, but nodes[0] has the same
weight: 2         | hash_name: 10.77.1.11      | 8:56 | nodes[1].hash_name is "10.77.1.11"; it must differ from the hash name and port of nodes[0] (10.77.1.11:11211)
mc1               | mc1, hash_name: 10.77.1.12 | 8:27 | nodes[1].address is "10.77.1.12:11211"; it must differ from the hash name and port of nodes[0] (10.77.1.12:11211)
10.77.0.100:11211 | 10.77.1.12:11299           | 8:27 | nodes[1].address is "10.77.1.12:11211"; it must differ from Keysteer's own address in vip
10.77.1.12:11211  | 10.77.1.1:11211            | 8:27 | nodes[1].address is "10.77.1.1:11211"; it must differ from Keysteer's own address in ports.server.address
10.77.1.12:11211  | 10.77.2.12:11211           | 8:27 | nodes[1].address is "10.77.2.12:11211"; OUTSIDE_SERVER
10.77.1.12:11211  | 10.77.1.255                | 8:27 | nodes[1].address is "10.77.1.255"; OUTSIDE_SERVER
10.77.1.1/24      | 10.77.1.10/31              | 8:27 | nodes[1].address is "10.77.1.12:11211"; it must be a host in the subnet of ports.server.address (10.77.1.10/31), or ports.server.gateway must be given
                  | steering: { algorithm: ketama-unweighted } | 8:53 | nodes[1].weight is 2; it must be 0 or 1 with steering.algorithm ketama-unweighted
                  | health: { miss_after_ms: 2000 }            | 9:26 | health.miss_after_ms is 2000; it must be below slots.reply_lifetime_ms (2000)
                  | health: { return_after_max_ms: 1999 }      | 9:32 | health.return_after_max_ms is 1999; it must be at least health.return_after_ms (2000)

                  | pin: [0, 1]                | 9:6  | pin is a list of 2; it must have one CPU for each lane (1)
                  | slots: { source_port_base: 65533 } | 9:28 | slots.source_port_base is 65533; it must be at most 65532: lanes (1) × slots.count (262144) need 4 source ports
                  | lanes: 3⏎slots: { count: 1024, source_port_base: 65534 } | 10:41 | slots.source_port_base is 65534; it must be at most 65533: lanes (3) × slots.count (1024) need 3 source ports
`,
  );

  checkRows(
    ONE_ARM,
    `
address: 10.77.0.1/24 |                | 3:3  | ports.client.address is missing; ONE_ARM_NEEDS
10.77.0.1/24          | 10.77.0.100/24 | 5:14 | ports.client.address is "10.77.0.100/24"; it must differ from the address in vip
10.77.0.11            | 10.77.1.11     | 8:14 | nodes[0].address is "10.77.1.11"; OUTSIDE_CLIENT
                      | ␣␣␣␣weight: 0  | 9:13 | nodes[0].weight is 0; it must be above 0 for at least one node
`,
  );

  it.each(['nat', 'gateway'])('let nodes be anywhere in mode %s', mode => {
    const text = TWO_ARM.replace('mode: nat', `mode: ${mode}`).replace('1.1/24', '1.1/24, gateway: 10.77.1.254');
    const far = text.replace('10.77.1.12:11211', '10.9.9.9:22122');
    expect(loadConfig(far, 'k.yaml').mode).toBe(mode);
  });

  it('want the nodes of dsr on the port of the VIP', () => {
    const text = TWO_ARM.replace('mode: nat', 'mode: dsr');
    expect(loadConfig(text, 'k.yaml').mode).toBe('dsr');
    expect(errorOf(text.replace('1.12:11211', '1.12:11212')).problems).toMatchObject([
      {
        path: 'nodes[1].address',
        line: 8,
        column: 27,
        message: 'nodes[1].address is "10.77.1.12:11212"; it must have the port of vip (11211) with mode dsr',
      },
    ]);
    const other = text.replaceAll(':11211', ':4000');
    expect(loadConfig(other, 'k.yaml').nodes.map(({ port }) => port)).toEqual([4000, 4000]);
  });

  it.each([
    [
      'server',
      TWO_ARM.replace('mode: nat', 'mode: dsr').replace('10.77.1.12', '10.77.2.12'),
      'nodes[1].address',
      '1.1',
    ],
    ['client', `mode: dsr\n${ONE_ARM.replace('10.77.0.11', '10.77.1.11')}`, 'nodes[0].address', '0.1'],
  ])('want the nodes of dsr on the link of ports.%s, whatever its gateway', (side, text, path, own) => {
    const rule = `it must be a host in the subnet of ports.${side}.address (10.77.${own}/24) with mode dsr`;
    for (const gateway of ['', `, gateway: 10.77.${own[0]}.254`]) {
      const routed = side === 'server' ? text.replace('1.1/24', `1.1/24${gateway}`) : text;
      const { problems } = errorOf(routed);
      expect(problems.map(problem => problem.path)).toEqual([path]);
      expect(problems[0]!.message).toContain(rule);
    }
  });

  it('keep libpcap to one lane', () => {
    const text = TWO_ARM.replace('cl0', 'cl0, transport: pcap');
    expect(errorOf(`${text}lanes: 2\n`).problems).toMatchObject([
      { path: 'ports.client.transport', line: 4, column: 40, value: 'pcap' },
    ]);
    expect(loadConfig(text, 'k.yaml').ports.client.transport).toBe('pcap');
  });

  it('do not judge what is wrong by itself, and still judge the rest', () => {
    const text = TWO_ARM.replace('10.77.1.11:11211', '10.77.1.300').replace('10.77.1.12', '10.77.9.12');
    expect(errorOf(`${text}pin: [0, 1]\n`).problems.map(({ path }) => path)).toEqual([
      'nodes[0].address',
      'nodes[1].address',
      'pin',
    ]);
  });
});

describe('what is no YAML', () => {
  const DEEP = 'the file is nested too deeply; it must be nested at most 64 levels deep';
  it.each([
    ['an open list', 'vip: [1', '1:8', /^the file is not valid YAML: Flow sequence .* must .* end with a \]$/],
    ['a tab as indent', 'a:\n\t- b', '2:1', 'the file is not valid YAML: Tabs are not allowed as indentation'],
    ['an alias of nothing', 'vip: *x', '1:6', 'the file is not valid YAML: no anchor &x stands before this'],
    ['an alias of what it is in', 'nodes: &n [*n]', '1:12', 'the file is not valid YAML: *n contains itself'],
    ['a tag', 'vip: !secret x', '1:6', 'the file is not valid YAML: Unresolved tag: !secret'],
    ['a list as key', '? [a]\n: 1', '1:3', 'the file is not valid YAML: With stringKeys, all keys must be strings'],
    ['two documents', 'a: 1\n---\nb: 1', '2:1', /^the file is not valid YAML: Source contains multiple documents/],
    ['65 open brackets', '['.repeat(65), '1:1', DEEP],
    ['lists in lists', '- '.repeat(100000), '1:1', DEEP],
    ['a file too long', ' '.repeat(262145), '1:1', 'the file has 262145 characters; it must have at most 262144'],
  ])('%s', (_, text, place, message) => {
    const { problems } = errorOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      path: '',
      value: undefined,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
    expect(`${problems[0]!.line}:${problems[0]!.column}`).toBe(place);
  });

  it('a key that is given twice, beside the other problems', () => {
    const error = errorOf(`${TWO_ARM}lanes: 0\nmode: nat\n`);
    expect(error.problems.map(({ line, column, path, message }) => [line, column, path, message])).toEqual([
      [9, 8, 'lanes', 'lanes is 0; it must be a whole number from 1 to 64'],
      [10, 1, 'mode', 'mode is given twice; it must be given once'],
    ]);
  });

  it('a mapping key twice inside a list', () => {
    const error = errorOf(TWO_ARM.replace('weight: 2', 'weight: 2, name: mc3'));
    expect(error.problems.map(({ path }) => path)).toEqual(['nodes[1].name']);
  });

  it('aliases that multiply without end', () => {
    const levels = Array.from(
      { length: 12 },
      (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(', ')}]`,
    );
    const error = errorOf(`a0: &a0 [x]\n${levels.join('\n')}`);
    expect(error.problems[0]!.message).toContain('not valid YAML: Excessive alias count');
  });
});

describe('the error as a whole', () => {
  it('lists every problem in the order of the file, with the line and a caret', () => {
    const error = errorOf(TWO_ARM.replace('name: mc1', 'nam: mc1').replace('/24', '/33').replace('nat', 'tun'));
    expect(error.name).toBe('ConfigError');
    expect(error.message).toBe(
      [
        'k.yaml:2:7: mode is "tun"; it must be nat or gateway or dsr',
        '    2 | mode: tun',
        '      |       ^',
        `k.yaml:5:38: ports.server.address is "10.77.1.1/33"; ${RULES.CIDR}`,
        '    5 |   server: { interface: sv0, address: 10.77.1.1/33 }',
        '      |                                      ^',
        'k.yaml:7:7: nodes[0].nam is not a known field; did you mean "name"?',
        '    7 |   - { nam: mc1, address: 10.77.1.11:11211 }',
        '      |       ^',
      ].join('\n'),
    );
  });

  it('holds the value as it stands in the file', () => {
    expect(errorOf(`${TWO_ARM}lanes: { n: 2 }`).problems[0]!.value).toEqual({ n: 2 });
    expect(errorOf(`${TWO_ARM}lane: 2`).problems[0]!.value).toBe(2);
  });

  it('keeps the caret under its column behind tabs, and in a long line', () => {
    expect(errorOf(`${TWO_ARM}lanes:\t0`).message).toMatch(/\n {4}9 \| lanes:\t0\n {6}\| {7}\t\^$/);
    const [, line, caret] = errorOf(`${TWO_ARM}lanes: ${' '.repeat(500)}0 # ${'x'.repeat(500)}`).message.split('\n');
    expect(line![caret!.indexOf('^')]).toBe('0');
    expect(line!.length).toBeLessThan(140);
  });

  it('counts columns in a file with CRLF line ends', () => {
    const error = errorOf(`${TWO_ARM}lanes: 0`.replaceAll('\n', '\r\n'));
    expect(error.message).toMatch(/^k\.yaml:9:8: .*\n {4}9 \| lanes: 0\n/);
  });

  it('shortens a long value, and a long list of problems', () => {
    expect(errorOf(`${TWO_ARM}lanes: ${'x'.repeat(999)}`).problems[0]!.message).toHaveLength(
      `lanes is "${'x'.repeat(60)}…"; it must be a whole number from 1 to 64`.length,
    );
    const many = Array.from({ length: 30 }, (_, at) => `zzzzz${at}: 1`).join('\n');
    const error = errorOf(TWO_ARM + many);
    expect(error.problems).toHaveLength(30);
    expect(error.message.split('\n').at(-1)).toBe('… and 10 more problems');
  });

  it('an empty file misses what must be there', () => {
    const { problems } = errorOf('# nothing yet\n');
    expect(problems.map(({ path }) => path)).toEqual(['vip', 'ports', 'nodes']);
  });

  it('a file that is no mapping', () => {
    expect(errorOf('- vip').problems.map(({ message }) => message)).toEqual([
      `the configuration is a list of 1; it must be a mapping with ${RULES.TOP_FIELDS!.replace(' here are', '')}`,
    ]);
  });

  it('places a wrong value that came through an alias where the alias stands', () => {
    const text = TWO_ARM.replace('10.77.1.11:11211', '&a 10.77.1.300').replace('10.77.1.12:11211', '*a');
    expect(errorOf(text).problems.map(({ path, line, column }) => [path, line, column])).toEqual([
      ['nodes[0].address', 7, 30],
      ['nodes[1].address', 8, 27],
    ]);
  });
});
