import { describe, expect, test } from 'vitest';
import { configFromFlags } from '../../../src/control/config/load.ts';
import {
  addressChecks,
  type Interface,
  linkCheck,
  mtuCheck,
  offloadChecks,
  parseOffloads,
} from '../../../src/control/doctor/interfaces.ts';
import { listenerCheck, parseUdpTable } from '../../../src/control/doctor/listeners.ts';
import { CONFIG, INTERFACES, interfaceNamed, withAddress } from './facts.ts';

const PORT = CONFIG.ports.client;
const TAP = { ...PORT, transport: 'tap' } as const;

test.each([
  ['up', PORT, interfaceNamed('cl0'), 'ok', 'interface cl0 is up'],
  ['missing', PORT, interfaceNamed('eth0'), 'fail', 'does not exist in this network namespace; there are eth0'],
  ['missing, alone with lo', PORT, interfaceNamed('lo'), 'fail', 'does not exist in this network namespace'],
  ['missing TAP', TAP, interfaceNamed('eth0'), 'ok', 'will be made'],
  ['down', PORT, interfaceNamed('cl0', { flags: ['BROADCAST'] }), 'fail', 'interface cl0 is down'],
  ['without carrier', PORT, interfaceNamed('cl0', { flags: ['UP', 'NO-CARRIER'] }), 'fail', 'has no carrier'],
  ['TAP without carrier', TAP, interfaceNamed('cl0', { flags: ['UP', 'NO-CARRIER'] }), 'ok', 'is up'],
  ['no Ethernet', PORT, interfaceNamed('cl0', { link_type: 'none' }), 'fail', 'type none, not Ethernet'],
] as const)('interface %s', (_what, port, found, status, text) => {
  expect(linkCheck(port, [found])).toMatchObject({ status, what: expect.stringContaining(text) });
});

test.each([
  ['equal', 1500, 1500, 'ok'],
  ['clients have more', 9000, 1500, 'ok'],
  ['nodes have more', 1500, 9000, 'warn'],
  ['too small for a reply', 1400, 1500, 'warn'],
  ['just enough for a reply', 1428, 1428, 'ok'],
] as const)('MTU: %s', (_what, client, server, status) => {
  const interfaces = [interfaceNamed('cl0', { mtu: client }), interfaceNamed('sv0', { mtu: server })];
  expect(mtuCheck(CONFIG, interfaces)?.status).toBe(status);
});

test.each<[string, Interface[], string[], string]>([
  ['none', [...INTERFACES], ['ok'], '10.77.0.100 and 10.77.1.1 are Keysteer'],
  ['the VIP', [withAddress('cl0', '10.77.0.100', 32)], ['fail'], '10.77.0.100 is an address of this kernel (cl0)'],
  ['the VIP elsewhere', [withAddress('lo', '10.77.0.100', 32)], ['fail'], 'of this kernel (lo)'],
  ['the source', [withAddress('sv0', '10.77.1.1', 24)], ['fail'], '10.77.1.1 is an address of this kernel (sv0)'],
  ['another on an interface of ours', [withAddress('sv0', '10.77.1.2', 24)], ['warn'], '10.77.1.2/24 on sv0'],
  ['another elsewhere', [withAddress('eth0', '10.77.1.2', 24)], ['ok'], ''],
  ['IPv6 alone', [withAddress('cl0', 'fe80::1', 64, 'inet6')], ['ok'], ''],
])('kernel addresses: %s', (_what, interfaces, statuses, text) => {
  const checks = addressChecks(CONFIG, interfaces);
  expect(checks.map(({ status }) => status)).toEqual(statuses);
  expect(checks[0]!.what).toContain(text);
});

describe('offloads', () => {
  const ETHTOOL = `Features for eth0:
rx-checksumming: on [fixed]
\ttx-checksum-ipv4: off [fixed]
generic-receive-offload: on
large-receive-offload: off [fixed]
rx-vlan-filter: on [fixed]
rx-gro-list: off
rx-udp-gro-forwarding: off
`;
  const VLAN = { ...PORT, vlan: 7 };
  const sub = (id: number, link = 'cl0') =>
    interfaceNamed(`${link}.${id}`, { link, linkinfo: { info_kind: 'vlan', info_data: { id } } });

  test('are read from ethtool', () => {
    const offloads = parseOffloads(ETHTOOL);
    expect(offloads.get('rx-checksumming')).toBe(true);
    expect(offloads.get('tx-checksum-ipv4')).toBe(false);
    expect(offloads.size).toBe(7);
  });

  test.each([
    ['as they are by default', PORT, ETHTOOL, [], 'ok', undefined],
    ['LRO', PORT, 'large-receive-offload: on', [], 'warn', 'ethtool -K cl0 lro off'],
    [
      'UDP GRO',
      PORT,
      'rx-udp-gro-forwarding: on\nrx-gro-list: on',
      [],
      'warn',
      'ethtool -K cl0 rx-udp-gro-forwarding off rx-gro-list off',
    ],
    [
      'VLAN that the card was not told of',
      VLAN,
      ETHTOOL,
      [sub(8), sub(7, 'eth1')],
      'warn',
      'ip link add link cl0 name cl0.7 type vlan id 7',
    ],
    ['VLAN that the card was told of', VLAN, ETHTOOL, [sub(7)], 'ok', undefined],
    ['VLAN without a filter', VLAN, 'rx-vlan-filter: off [fixed]', [], 'ok', undefined],
  ] as const)('%s', (_what, port, text, interfaces, status, fix) => {
    const [check, ...others] = offloadChecks(port, parseOffloads(text), interfaces);
    expect([check!.status, check!.fix, others]).toEqual([status, fix, []]);
  });
});

describe('listeners', () => {
  const HEAD = '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
  const line = (local: string, remote = '00000000:0000') =>
    `  513: ${local} ${remote} 07 00000000:00000000 00:00000000 00000000     0        0 55 2\n`;

  test('are read from /proc/net/udp, connected sockets left out', () => {
    const text = HEAD + line('64004D0A:2BCB') + line('00000000:2BCC') + line('0100007F:A000', '0100007F:0035');
    expect(parseUdpTable(text, 'LE')).toEqual([
      { address: '10.77.0.100', port: 11211 },
      { address: '*', port: 11212 },
    ]);
    expect(parseUdpTable(HEAD + line('0A4D0064:2BCB'), 'BE')).toEqual([{ address: '10.77.0.100', port: 11211 }]);
  });

  test('of udp6 those count that take IPv4 too', () => {
    const text =
      HEAD +
      line(`${'0'.repeat(32)}:2BCB`, `${'0'.repeat(32)}:0000`) +
      line(`${'0'.repeat(24)}01000000:2BCB`, `${'0'.repeat(32)}:0000`);
    expect(parseUdpTable(text, 'LE')).toEqual([{ address: '*', port: 11211 }]);
  });

  test.each([
    ['nobody', [], 'ok', 'no other program'],
    ['the VIP itself', [{ address: '10.77.0.100', port: 11211 }], 'warn', 'listens on 10.77.0.100:11211'],
    ['all addresses', [{ address: '*', port: 11211 }], 'ok', 'of all addresses'],
    ['another port', [{ address: '10.77.0.100', port: 11212 }], 'ok', 'no other program'],
    ['another address', [{ address: '127.0.0.1', port: 11211 }], 'ok', 'no other program'],
  ] as const)('%s', (_what, listeners, status, text) => {
    expect(listenerCheck(CONFIG, listeners)).toMatchObject({ status, what: expect.stringContaining(text) });
  });
});

test('one-arm: one interface is looked at', () => {
  const config = configFromFlags({
    vip: '10.0.0.100',
    client: 'cl0',
    clientAddress: '10.0.0.1/24',
    node: ['a=10.0.0.11'],
  });
  expect(mtuCheck(config, INTERFACES)?.what).toBe('MTU 1500 on cl0');
  expect(addressChecks(config, [withAddress('sv0', '10.9.9.9', 24)])[0]!.status).toBe('ok');
});
