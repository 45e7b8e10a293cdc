import { describe, expect, test } from 'vitest';
import { planTestBed, type TestBedOptions } from '../../src/experiment/topology.ts';

const SWITCHED: TestBedOptions = { layout: 'switched', clients: 2, nodes: 3 };
const DIRECT: TestBedOptions = { layout: 'direct-veth', clients: 2, nodes: 3 };

describe.each([SWITCHED, DIRECT])('$layout', options => {
  const plan = planTestBed(options);

  test('addresses are the same in both layouts', () => {
    expect(plan.nodes.map(node => `${node.name}=${node.address}:${node.port}`)).toEqual([
      'mc1=10.77.1.11:11211',
      'mc2=10.77.1.12:11211',
      'mc3=10.77.1.13:11211',
    ]);
    expect(plan.clients.map(client => client.paths.balancer.address)).toEqual(['10.77.0.1', '10.77.0.2']);
    expect(plan.clients.map(client => client.paths.direct.address)).toEqual(['10.77.1.201', '10.77.1.202']);
    expect(plan.proxy.client.addresses).toEqual(['10.77.0.101/24']);
    expect(plan.proxy.server.addresses).toEqual(['10.77.1.101/24']);
  });

  test('no kernel owns an address of the balancer', () => {
    expect([plan.balancer.client.name, plan.balancer.server.name]).toEqual(['cl0', 'sv0']);
    expect(plan.balancer.client.addresses).toEqual([]);
    expect(plan.balancer.server.addresses).toEqual([]);
    const everything = [...plan.commands.values()].flat().join('\n');
    expect(everything).not.toMatch(/10\.77\.0\.100|10\.77\.1\.1\//);
  });

  test('every MAC address is local, unicast and used once', () => {
    const macs = plan.links.flatMap(link => link.ends.map(end => end.mac));
    expect(new Set(macs).size).toBe(macs.length);
    for (const mac of macs) expect(mac).toMatch(/^02:4b:53:00:[0-9a-f]{2}:[0-9a-f]{2}$/);
  });

  test('every end of a link is in a host of the plan, under a name used once there', () => {
    const ends = plan.links.flatMap(link => link.ends);
    for (const end of ends) expect(plan.hosts).toContain(end.host);
    expect(new Set(ends.map(end => `${end.host}/${end.name}`)).size).toBe(ends.length);
  });

  test('clients without kernel addresses: none is owned, and their peers know them without ARP', () => {
    const raw = planTestBed({ ...options, kernelClients: false });
    const owned = raw.links.flatMap(link => link.ends.flatMap(end => end.addresses));
    expect(owned.filter(address => /^10\.77\.(0\.[12]|1\.20[12])\//.test(address))).toEqual([]);
    const { direct, proxy } = raw.clients[1]!.paths;
    expect(raw.commands.get(raw.nodes[0]!.host)!.join('\n')).toContain(
      `neigh replace 10.77.1.202 lladdr ${direct.mac} dev ${options.layout === 'switched' ? 'eth0' : 'eth1'} nud permanent`,
    );
    expect(raw.commands.get(raw.proxy.host)).toContain(
      `neigh replace 10.77.0.2 lladdr ${proxy.mac} dev pc0 nud permanent`,
    );
  });
});

test('switched: a namespace for each client and node, one interface each', () => {
  const plan = planTestBed(SWITCHED);
  expect(plan.hosts).toEqual(['sw', 'lb', 'px', 'cl1', 'cl2', 'mc1', 'mc2', 'mc3']);
  for (const { paths } of plan.clients) {
    expect([paths.direct.interface, paths.proxy.interface]).toEqual([
      paths.balancer.interface,
      paths.balancer.interface,
    ]);
  }
});

test('direct-veth: four namespaces, five links, no bridge, a client interface for each way', () => {
  const plan = planTestBed(DIRECT);
  expect(plan.hosts).toEqual(['cl', 'lb', 'px', 'mc']);
  expect(plan.links.map(({ ends: [a, b] }) => `${a.host}/${a.name} ${b.host}/${b.name}`)).toEqual([
    'cl/eth0 lb/cl0',
    'lb/sv0 mc/eth0',
    'cl/eth1 mc/eth1',
    'cl/eth2 px/pc0',
    'px/ps0 mc/eth2',
  ]);
  expect([...plan.commands.values()].flat().join('\n')).not.toContain('bridge');
  const { balancer, direct, proxy } = plan.clients[0]!.paths;
  expect([balancer.interface, direct.interface, proxy.interface]).toEqual(['eth0', 'eth1', 'eth2']);
});

test.each([
  [{ clients: 0 }, 'test bed: clients is 0; it must be 1 to 54'],
  [{ clients: 55 }, 'test bed: clients is 55; it must be 1 to 54'],
  [{ clients: 1.5 }, 'test bed: clients is 1.5; it must be 1 to 54'],
  [{ nodes: 0 }, 'test bed: nodes is 0; it must be 1 to 90'],
  [{ nodes: 91 }, 'test bed: nodes is 91; it must be 1 to 90'],
])('%j is refused', (wrong, message) => {
  expect(() => planTestBed({ ...SWITCHED, ...wrong })).toThrow(message);
});
