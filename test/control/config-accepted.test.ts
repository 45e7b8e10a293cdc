import { describe, expect, it } from 'vitest';
import { isHostOf, parseCidr } from '../../src/control/config/addresses.ts';
import { loadConfig } from '../../src/control/config/load.ts';
import { parseIpv4 } from '../../src/wire/ipv4-text.ts';

const FIRST_LIGHT = `
vip: 10.77.0.100:11211
mode: nat
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11:11211 }
  - { name: mc2, address: 10.77.1.12:11211, weight: 2 }
`;

describe('good configurations', () => {
  it('two VLANs of one interface, or one that is untagged', () => {
    const text = FIRST_LIGHT.replace('cl0', 'eth0, vlan: 1').replace('sv0', 'eth0, vlan: 4094');
    expect(loadConfig(text, 'f.yaml').ports).toMatchObject({
      client: { interface: 'eth0', vlan: 1 },
      server: { interface: 'eth0', vlan: 4094 },
    });
    expect(loadConfig(text.replace(', vlan: 1 ', ''), 'f.yaml').ports.client.vlan).toBe(0);
  });

  it('TAP devices, with and without what becomes of them', () => {
    const text = FIRST_LIGHT.replace('cl0', 'ks%d, transport: tap').replace(
      'sv0',
      'ks1, transport: tap, tap: { persistent: true, owner: 1000 }',
    );
    const common = { transport: 'tap', ringFrames: 1024, mac: 'auto', vlan: 0 };
    expect(loadConfig(text, 'f.yaml').ports).toEqual({
      client: { ...common, interface: 'ks%d', tap: { persistent: false } },
      server: { ...common, interface: 'ks1', tap: { persistent: true, owner: 1000 } },
    });
  });

  it('the first one, defaults filled in', () => {
    expect(loadConfig(FIRST_LIGHT, 'f.yaml')).toEqual({
      vip: { address: 0x0a4d0064, text: '10.77.0.100', port: 11211 },
      mode: 'nat',
      ports: {
        client: { interface: 'cl0', transport: 'af_packet', ringFrames: 1024, mac: 'auto', vlan: 0 },
        server: { interface: 'sv0', transport: 'af_packet', ringFrames: 1024, mac: 'auto', vlan: 0 },
      },
      source: { address: 0x0a4d0101, text: '10.77.1.1', prefixLength: 24 },
      nodes: [
        {
          name: 'mc1',
          address: 0x0a4d010b,
          text: '10.77.1.11',
          port: 11211,
          weight: 1,
          hashName: '10.77.1.11',
          nextHop: 0x0a4d010b,
        },
        {
          name: 'mc2',
          address: 0x0a4d010c,
          text: '10.77.1.12',
          port: 11211,
          weight: 2,
          hashName: '10.77.1.12',
          nextHop: 0x0a4d010c,
        },
      ],
      steering: { algorithm: 'ketama', hash: 'murmur3' },
      lanes: 1,
      pin: undefined,
      warmUpMs: 1000,
      joinsDatagrams: true,
      slots: { count: 262144, sourcePortBase: 40000, sourcePortsPerLane: 4, replyLifetimeMs: 2000 },
      commands: { flushAll: 'deny', verbosity: 'deny', me: 'deny', deny: [], broadcastMs: 500 },
      gatekeeper: {
        enabled: true,
        sources: 16384,
        // Neither the ends of the server's subnet nor the nodes.
        ranges: [
          [0, 0x0a4d00ff],
          [0x0a4d0101, 0x0a4d010a],
          [0x0a4d010d, 0x0a4d01fe],
          [0x0a4d0200, 0xffffffff],
        ],
        requestsPerSecond: 0,
        responseBytesPerSecond: 0,
        responseRatioMax: 0,
        newcomersPerSecond: 0,
      },
      multiget: { keysMax: 100, gathers: 256, bufferBytes: 16_777_216, timeoutMs: 200 },
      fragments: { datagrams: 64, perSource: 16, timeoutMs: 500 },
      idle: { spinUs: 200, waitMs: 10 },
      neighbours: { retryMs: 200, retries: 5, lifetimeS: 60, queueFrames: 128 },
      hot: {
        enabled: true,
        cache: true,
        limits: { share: 4e-6, imbalance: 1.1, copiesMax: 8, writeShareMax: 0.5 },
        keepMs: 300_000,
        pin: [],
        ban: [],
        lane: {
          items: 65536,
          l1Items: 1024,
          detector: {
            name: 'self-adaptive',
            options: { epsilon: 2e-6, bytes: 1 << 20 },
            instant: { window: 1024, threshold: 16 },
          },
          epochMs: 4000,
          lifeMs: 2000,
          leaseMs: 10_000,
          refreshMs: 5000,
          ttlGuardMs: 2000,
          operations: 1024,
          waiting: 1024,
        },
      },
      health: {
        enabled: true,
        intervalMs: 500,
        timeoutMs: 20,
        failMs: 120,
        failAfter: 12,
        passAfter: 3,
        returnAfterMs: 2000,
        returnAfterMaxMs: 60_000,
        dampingHalfLifeS: 60,
        flushOnReturn: true,
        keepShare: 0.5,
        missAfterMs: 0,
      },
      admin: { kind: 'auto' },
      fields: expect.objectContaining({ vip: '10.77.0.100:11211', lanes: 1, admin: {} }),
    });
  });

  it.each([
    ['off', { kind: 'off' }],
    ['{}', { kind: 'auto' }],
    ['{ listen: /run/keysteer/a b.sock }', { kind: 'unix', path: '/run/keysteer/a b.sock' }],
    ['{ listen: 127.0.0.1:9211 }', { kind: 'tcp', host: '127.0.0.1', port: 9211 }],
    ['{ listen: 127.255.255.255:1 }', { kind: 'tcp', host: '127.255.255.255', port: 1 }],
    ['{ listen: "[::1]:65535" }', { kind: 'tcp', host: '::1', port: 65535 }],
  ])('admin: %s', (listen, admin) => {
    expect(loadConfig(`${FIRST_LIGHT}admin: ${listen}\n`, 'f.yaml').admin).toEqual(admin);
  });

  it('every field given', () => {
    const config = loadConfig(
      `
vip: 192.168.7.100
mode: nat
ports:
  client: { interface: eth0, transport: af_packet, ring: { frames: 64 } }
  server: { interface: eth1.77, address: 200.0.0.1/8, gateway: 200.0.0.254, vlan: 4094, transport: af_packet, ring: { frames: 65536 } }
nodes:
  - { name: near, address: 200.0.0.2, weight: 0 }
  - { name: far, address: 9.9.9.9:65535, weight: 100, hash_name: cache1.example }
steering: { algorithm: maglev, hash: one_at_a_time }
lanes: 2
pin: [3, 5]
slots: { count: 1024, source_port_base: 65534, reply_lifetime_ms: 60000 }
multiget: { keys_max: 1024, gathers: 4096, buffer_bytes: 65536, timeout_ms: 60000 }
fragments: { datagrams: 4096, per_source: 1, timeout_ms: 10 }
idle: { spin_us: 0, wait_ms: 100 }
commands: { flush_all: broadcast, verbosity: broadcast, me: forward, deny: [writes, stats], broadcast_timeout_ms: 10 }
gatekeeper:
  enabled: true
  sources: 1024
  allow: [9.0.0.0/8, 10.0.0.1]
  nodes_may_ask: true
  requests_per_second: 1000000
  response_bytes_per_second: 1000000000
  response_ratio_max: 10000
  newcomers_per_second: 7
neighbours: { retry_ms: 10, retries: 1, lifetime_s: 86400, queue_frames: 1 }
health:
  enabled: false
  interval_ms: 20
  timeout_ms: 300
  fail_ms: 60000
  fail_after: 3
  pass_after: 1
  return_after_ms: 0
  return_after_max_ms: 0
  damping_half_life_s: 1
  flush_on_return: false
  keep_share: 1
  miss_after_ms: 59999
`,
      'f.yaml',
    );
    expect(config.vip.port).toBe(11211);
    expect(config.ports.server).toEqual({
      interface: 'eth1.77',
      transport: 'af_packet',
      ringFrames: 65536,
      mac: 'auto',
      vlan: 4094,
    });
    expect(config.source).toEqual({ address: 0xc8000001 | 0, text: '200.0.0.1', prefixLength: 8 });
    expect(config.nodes.map(({ name, nextHop, hashName, port }) => [name, nextHop, hashName, port])).toEqual([
      ['near', parseIpv4('200.0.0.2'), '200.0.0.2', 11211],
      ['far', parseIpv4('200.0.0.254'), 'cache1.example', 65535],
    ]);
    expect(config.pin).toEqual([3, 5]);
    expect(config.multiget).toEqual({ keysMax: 1024, gathers: 4096, bufferBytes: 65536, timeoutMs: 60000 });
    expect(config.slots).toEqual({ count: 1024, sourcePortBase: 65534, sourcePortsPerLane: 1, replyLifetimeMs: 60000 });
    expect(config.fragments).toEqual({ datagrams: 4096, perSource: 1, timeoutMs: 10 });
    expect(config.neighbours).toEqual({ retryMs: 10, retries: 1, lifetimeS: 86400, queueFrames: 1 });
    expect(config.health).toEqual({
      enabled: false,
      intervalMs: 20,
      timeoutMs: 300,
      failMs: 60_000,
      failAfter: 3,
      passAfter: 1,
      returnAfterMs: 0,
      returnAfterMaxMs: 0,
      dampingHalfLifeS: 1,
      flushOnReturn: false,
      keepShare: 1,
      missAfterMs: 59_999,
    });
    expect(config.commands).toEqual({
      flushAll: 'broadcast',
      verbosity: 'broadcast',
      me: 'forward',
      deny: ['writes', 'stats'],
      broadcastMs: 10,
    });
    expect(config.gatekeeper).toEqual({
      enabled: true,
      sources: 1024,
      ranges: [
        [0x09000000, 0x09ffffff],
        [0x0a000001, 0x0a000001],
      ],
      requestsPerSecond: 1_000_000,
      responseBytesPerSecond: 1_000_000_000,
      responseRatioMax: 10_000,
      newcomersPerSecond: 7,
    });
  });

  it('a /31 has no address that is nobody’s', () => {
    const text = FIRST_LIGHT.replace('10.77.1.1/24', '10.77.1.10/31').replace(/.*mc2.*\n/, '');
    const { ranges } = loadConfig(`${text}gatekeeper: { allow: [10.77.1.8/29] }`, 'f.yaml').gatekeeper;
    expect(ranges).toEqual([
      [0x0a4d0108, 0x0a4d010a],
      [0x0a4d010c, 0x0a4d010f],
    ]);
  });

  it('nobody waits for parts longer than a reply lives', () => {
    const config = loadConfig(`${FIRST_LIGHT}slots: { reply_lifetime_ms: 50 }`, 'keysteer.yaml');
    expect(config.multiget.timeoutMs).toBe(50);
  });

  it('one-arm: requests leave from the client port’s address', () => {
    const config = loadConfig(
      `
vip: 10.0.0.100
ports: { client: { interface: eth1, address: 10.0.0.1/16, gateway: 10.0.255.254 } }
nodes: [{ name: a, address: 10.0.3.4 }, { name: b, address: 10.1.3.4 }]
`,
      'f.yaml',
    );
    expect(config.ports.server).toBeUndefined();
    expect(config.source.text).toBe('10.0.0.1');
    expect(config.nodes.map(node => node.nextHop)).toEqual([parseIpv4('10.0.3.4'), parseIpv4('10.0.255.254')]);
  });

  it.each([
    ['comments and a document start', `# Keysteer\n---${FIRST_LIGHT}`],
    ['CRLF line ends', FIRST_LIGHT.replaceAll('\n', '\r\n')],
    ['a byte order mark', `\uFEFF${FIRST_LIGHT}`],
    [
      'anchors and aliases',
      FIRST_LIGHT.replace('mc1, address', 'mc1, weight: &w 2, address').replace('weight: 2', 'weight: *w'),
    ],
    ['two nodes on one host', FIRST_LIGHT.replace('10.77.1.12:11211', '10.77.1.11:11212')],
    ['a node without keys', FIRST_LIGHT.replace('weight: 2', 'weight: 0')],
    [
      'a /31 between Keysteer and its only node',
      FIRST_LIGHT.replace('10.77.1.1/24', '10.77.1.10/31').replace(/.*mc2.*\n/, ''),
    ],
    ['the last source ports there are', `${FIRST_LIGHT}slots: { source_port_base: 65532 }`],
    ['an interface name of 15 bytes', FIRST_LIGHT.replace('cl0', 'abcdefghijklmno')],
  ])('%s', (_, text) => {
    expect(loadConfig(text, 'f.yaml').nodes[0]!.name).toBe('mc1');
  });

  it('JSON is YAML', () => {
    const file = {
      vip: '10.0.0.9',
      ports: { client: { interface: 'e', address: '10.0.0.1/24' } },
      nodes: [{ name: 'a', address: '10.0.0.2' }],
    };
    expect(loadConfig(JSON.stringify(file), 'f.json')).toEqual(loadConfig(JSON.stringify(file, null, 2), 'f.json'));
  });

  it('can be handed to a worker as it is', () => {
    const config = loadConfig(FIRST_LIGHT, 'f.yaml');
    expect(structuredClone(config)).toEqual(config);
  });
});

describe('hosts of a subnet', () => {
  it.each([
    ['10.77.1.1/24', '10.77.1.0', false],
    ['10.77.1.1/24', '10.77.1.1', true],
    ['10.77.1.1/24', '10.77.1.254', true],
    ['10.77.1.1/24', '10.77.1.255', false],
    ['10.77.1.1/24', '10.77.2.1', false],
    ['10.77.1.1/24', '10.77.0.255', false],
    ['10.77.1.1/23', '10.77.0.255', true],
    ['200.1.2.3/1', '128.0.0.1', true],
    ['200.1.2.3/1', '127.0.0.1', false],
    ['10.0.0.5/30', '10.0.0.4', false],
    ['10.0.0.5/30', '10.0.0.6', true],
    ['10.0.0.4/31', '10.0.0.4', true],
    ['10.0.0.4/31', '10.0.0.5', true],
    ['10.0.0.4/31', '10.0.0.6', false],
  ])('%s has %s: %s', (own, address, expected) => {
    expect(isHostOf(parseCidr(own), parseIpv4(address))).toBe(expected);
  });
});
