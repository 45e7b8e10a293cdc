/**
 * The standard test bed: clients, a balancer, a plain proxy and memcached nodes, each at a fixed address.
 *
 *     10.77.0.0/24 client side                      10.77.1.0/24 server side
 *       .1 …      clients                             .1        balancer, server side (no kernel owns it)
 *       .100      the VIP (no kernel owns it)         .11 …     nodes
 *       .101      plain proxies                       .101      plain proxies
 *                                                     .201 …    clients, when they talk to the nodes directly
 *
 * Two layouts:
 *
 *     switched       clients ── brc ══ brs ── nodes      a namespace per client and node; bridges brc and brs are one
 *                    cl0 │ pc0 │     │ sv0 │ ps0         network, so a client also reaches the nodes directly, and a
 *                     balancer, proxy                    one-armed balancer everything through cl0
 *
 *     direct-veth    client ─eth0── cl0 balancer sv0 ──eth0─ server     one namespace for all clients, one for all
 *                    client ─eth1─────────────────────eth1─ server     nodes, no bridge between: what a bench measures
 *                    client ─eth2── pc0 proxy ps0 ────eth2─ server     is not the cost of bridging
 *
 * `planTestBed` is data only; `buildTestBed` makes it so. Offloads stay as the kernel sets them: partial checksums on
 * veth are part of the test.
 */
import { bareHostMac } from '../load/transport.ts';
import { addVethPairs, ipBatch, NamespaceSet, removeLeftovers, setSysctls } from './namespaces.ts';

export const VIP = '10.77.0.100';
export const MEMCACHED_PORT = 11211;
export const BALANCER_SERVER_ADDRESS = '10.77.1.1/24';
const BALANCER_ADDRESS = '10.77.1.1';
const CLIENT_NET = '10.77.0.0/24';
export const PROXY_CLIENT_ADDRESS = '10.77.0.101';
export const PROXY_SERVER_ADDRESS = '10.77.1.101';
export const CLIENTS_MAX = 54;
export const NODES_MAX = 90;

export interface TestBedOptions {
  readonly layout: 'switched' | 'direct-veth';
  readonly clients: number;
  readonly nodes: number;
  /**
   * Whether the clients' kernels own the client addresses: true for clients with sockets, false for generators of raw
   * frames, whose own kernel would answer every reply with an ICMP port unreachable. Default true.
   */
  readonly kernelClients?: boolean;
  /**
   * What the nodes are set up for; default nat, which is nothing. gateway: their default route leads to the balancer. dsr: the
   * VIP is on their loopback, nobody asks them for it by ARP, and they reach the clients without the balancer (in direct-veth
   * over eth1, where only clients with kernels hear).
   */
  readonly mode?: 'nat' | 'gateway' | 'dsr';
}

/** An interface inside a host. */
export interface Interface {
  readonly host: string;
  readonly name: string;
  readonly mac: string;
  /** With prefix length; those that the kernel owns. */
  readonly addresses: readonly string[];
}

/** One way for a client to send: out of which interface, and as whom. */
export interface ClientPath {
  readonly interface: string;
  readonly mac: string;
  readonly address: string;
}

export interface ClientHost {
  readonly host: string;
  /** To the VIP, straight to the nodes, and to the plain proxies. */
  readonly paths: { readonly balancer: ClientPath; readonly direct: ClientPath; readonly proxy: ClientPath };
}

export interface NodeHost {
  /** As in a node list: mc1, mc2, … */
  readonly name: string;
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /** What it serves beside `address`: in dsr mode, the VIP. */
  readonly alsoAt?: string;
  /** Where frames from the balancer, from a client and from a proxy arrive. */
  readonly macs: { readonly balancer: string; readonly direct: string; readonly proxy: string };
}

export interface TwoArmedHost {
  readonly host: string;
  readonly client: Interface;
  readonly server: Interface;
}

interface Link {
  readonly ends: readonly [Interface, Interface];
}

export interface TestBedPlan {
  readonly options: Required<TestBedOptions>;
  readonly hosts: readonly string[];
  readonly links: readonly Link[];
  readonly clients: readonly ClientHost[];
  readonly nodes: readonly NodeHost[];
  readonly balancer: TwoArmedHost;
  readonly proxy: TwoArmedHost;
  /** `ip` commands per host once the links are there. */
  readonly commands: ReadonlyMap<string, readonly string[]>;
}

/** A built plan: `host` everywhere is the name of a namespace. */
export interface TestBed extends TestBedPlan {
  readonly namespaces: NamespaceSet;
  /** Ends the programs inside and removes everything. */
  close(): Promise<void>;
}

/**
 * @throws RangeError when more hosts are asked for than there are addresses.
 */
export function planTestBed(options: TestBedOptions): TestBedPlan {
  requireRange('clients', options.clients, CLIENTS_MAX);
  requireRange('nodes', options.nodes, NODES_MAX);
  const full = { kernelClients: true, mode: 'nat' as const, ...options };
  const plan = options.layout === 'switched' ? planSwitched(full) : planDirectVeth(full);
  return full.mode === 'nat' ? plan : setUpNodes(plan, full.mode);
}

/** Makes namespaces, links and addresses; needs CAP_SYS_ADMIN and CAP_NET_ADMIN over the network namespace. */
export function buildTestBed(options: TestBedOptions): TestBed {
  removeLeftovers();
  const plan = planTestBed(options);
  const namespaces = new NamespaceSet();
  const names = namespaces.create(plan.hosts);
  const inNamespaces = rename(plan, new Map(plan.hosts.map((host, position) => [host, names[position]!])));
  // Two interfaces on one network: each answers ARP for its own address only (RFC 826 has no opinion).
  setSysctls(inNamespaces.proxy.host, ['ipv4/conf/all/arp_ignore=1', 'ipv4/conf/all/arp_announce=2']);
  if (inNamespaces.options.mode === 'dsr') {
    for (const host of nodeHosts(inNamespaces))
      setSysctls(host, ['ipv4/conf/all/arp_ignore=1', 'ipv4/conf/all/arp_announce=2']);
  }
  addVethPairs(inNamespaces.links.map(({ ends: [a, b] }) => [veth(a), veth(b)]));
  for (const [host, commands] of inNamespaces.commands) ipBatch(commands, host);
  return { ...inNamespaces, namespaces, close: () => namespaces.close() };
}

function requireRange(name: string, value: number, max: number): void {
  if (!(Number.isInteger(value) && value >= 1 && value <= max)) {
    throw new RangeError(`test bed: ${name} is ${value}; it must be 1 to ${max}`);
  }
}

function veth(end: Interface): { namespace: string; name: string; mac: string } {
  return { namespace: end.host, name: end.name, mac: end.mac };
}

// ---- addresses ------------------------------------------------------------------------------------------------------

/** Locally administered, the same in every bed: 02 "KS" 00 00 n. */
function macs(): () => string {
  let made = 0;
  return () => {
    made += 1;
    return `02:4b:53:00:${hexByte(made >> 8)}:${hexByte(made & 255)}`;
  };
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}

function oneTo(count: number): number[] {
  return Array.from({ length: count }, (_, position) => position + 1);
}

const clientAddress = (n: number) => `10.77.0.${n}`;
const clientDirectAddress = (n: number) => `10.77.1.${200 + n}`;
const nodeAddress = (n: number) => `10.77.1.${10 + n}`;
const net24 = (address: string) => `${address}/24`;

// ---- layout: switched -----------------------------------------------------------------------------------------------

function planSwitched(options: Required<TestBedOptions>): TestBedPlan {
  const mac = macs();
  const links: Link[] = [];
  const bridgePorts: string[] = [];
  const plug = (bridge: 'brc' | 'brs', port: string, host: string, name: string, addresses: string[]): Interface => {
    const end = { host, name, mac: mac(), addresses };
    links.push({ ends: [end, { host: 'sw', name: port, mac: mac(), addresses: [] }] });
    bridgePorts.push(`link set ${port} master ${bridge} up`);
    return end;
  };
  const balancer = {
    host: 'lb',
    client: plug('brc', 'lbc', 'lb', 'cl0', []),
    server: plug('brs', 'lbs', 'lb', 'sv0', []),
  };
  const proxy = {
    host: 'px',
    client: plug('brc', 'pxc', 'px', 'pc0', [net24(PROXY_CLIENT_ADDRESS)]),
    server: plug('brs', 'pxs', 'px', 'ps0', [net24(PROXY_SERVER_ADDRESS)]),
  };
  const clients = oneTo(options.clients).map(n => {
    const owned = options.kernelClients ? [net24(clientAddress(n)), net24(clientDirectAddress(n))] : [];
    const end = plug('brc', `cl${n}`, `cl${n}`, 'eth0', owned);
    const near = { interface: end.name, mac: clientMac(options, end), address: clientAddress(n) };
    return {
      host: end.host,
      paths: { balancer: near, direct: { ...near, address: clientDirectAddress(n) }, proxy: near },
    };
  });
  const nodes = oneTo(options.nodes).map(n => {
    const end = plug('brs', `mc${n}`, `mc${n}`, 'eth0', [net24(nodeAddress(n))]);
    return nodeHost(n, end.host, { balancer: end.mac, direct: end.mac, proxy: end.mac });
  });
  const bridges = [
    'link add brc type bridge',
    'link add brs type bridge',
    'link add brc-brs type veth peer name brs-brc',
    'link set brc-brs master brc up',
    'link set brs-brc master brs up',
    'link set brc up',
    'link set brs up',
  ];
  const neighbours = clients.flatMap(({ paths }) => (options.kernelClients ? [] : [paths]));
  const commands = new Map([['sw', [...bridges, ...bridgePorts]], ...bringUp(links.map(link => link.ends[0]))]);
  extend(
    commands,
    'px',
    neighbours.map(paths => neighbour(paths.proxy, 'pc0')),
  );
  for (const node of nodes)
    extend(
      commands,
      node.host,
      neighbours.map(paths => neighbour(paths.direct, 'eth0')),
    );
  const hosts = ['sw', 'lb', 'px', ...clients.map(client => client.host), ...nodes.map(node => node.host)];
  return { options, hosts, links, clients, nodes, balancer, proxy, commands };
}

// ---- layout: direct-veth --------------------------------------------------------------------------------------------

function planDirectVeth(options: Required<TestBedOptions>): TestBedPlan {
  const mac = macs();
  const end = (host: string, name: string, addresses: string[]): Interface => ({ host, name, mac: mac(), addresses });
  const numbers = oneTo(options.clients);
  const owned = (addressOf: (n: number) => string) =>
    options.kernelClients ? numbers.map(n => net24(addressOf(n))) : [];
  const client = [
    end('cl', 'eth0', owned(clientAddress)),
    end('cl', 'eth1', owned(clientDirectAddress)),
    end('cl', 'eth2', []),
  ] as const;
  const nodeAddresses = oneTo(options.nodes).map(n => net24(nodeAddress(n)));
  const server = [end('mc', 'eth0', nodeAddresses), end('mc', 'eth1', []), end('mc', 'eth2', [])] as const;
  const balancer = { host: 'lb', client: end('lb', 'cl0', []), server: end('lb', 'sv0', []) };
  const proxy = {
    host: 'px',
    client: end('px', 'pc0', [net24(PROXY_CLIENT_ADDRESS)]),
    server: end('px', 'ps0', [net24(PROXY_SERVER_ADDRESS)]),
  };
  const links: Link[] = [
    { ends: [client[0], balancer.client] },
    { ends: [balancer.server, server[0]] },
    { ends: [client[1], server[1]] },
    { ends: [client[2], proxy.client] },
    { ends: [proxy.server, server[2]] },
  ];
  const clients = numbers.map(n => ({
    host: 'cl',
    paths: {
      balancer: { interface: 'eth0', mac: clientMac(options, client[0]), address: clientAddress(n) },
      direct: { interface: 'eth1', mac: clientMac(options, client[1]), address: clientDirectAddress(n) },
      proxy: { interface: 'eth2', mac: clientMac(options, client[2]), address: clientAddress(n) },
    },
  }));
  const nodes = oneTo(options.nodes).map(n =>
    nodeHost(n, 'mc', { balancer: server[0].mac, direct: server[1].mac, proxy: server[2].mac }),
  );
  const commands = new Map(bringUp(links.flatMap(link => link.ends)));
  // One subnet behind three interfaces: the balancer's is the default, the others are named address by address.
  extend(commands, 'mc', [
    ...clients.map(({ paths }) => `route add ${paths.direct.address}/32 dev eth1`),
    `route add ${PROXY_SERVER_ADDRESS}/32 dev eth2`,
  ]);
  if (options.kernelClients) {
    extend(commands, 'cl', [
      ...nodes.map(node => `route add ${node.address}/32 dev eth1`),
      `route add ${PROXY_CLIENT_ADDRESS}/32 dev eth2`,
    ]);
  } else {
    extend(
      commands,
      'mc',
      clients.map(({ paths }) => neighbour(paths.direct, 'eth1')),
    );
    extend(
      commands,
      'px',
      clients.map(({ paths }) => neighbour(paths.proxy, 'pc0')),
    );
  }
  return { options, hosts: ['cl', 'lb', 'px', 'mc'], links, clients, nodes, balancer, proxy, commands };
}

// ---- modes of the balancer --------------------------------------------------------------------------------------------

function nodeHosts({ nodes }: TestBedPlan): Set<string> {
  return new Set(nodes.map(node => node.host));
}

function setUpNodes(plan: TestBedPlan, mode: 'gateway' | 'dsr'): TestBedPlan {
  const commands = new Map([...plan.commands].map(([host, lines]) => [host, [...lines]]));
  for (const host of nodeHosts(plan)) {
    extend(
      commands,
      host,
      mode === 'gateway' ? [`route add default via ${BALANCER_ADDRESS} dev eth0`] : dsrCommands(plan),
    );
  }
  const nodes = mode === 'dsr' ? plan.nodes.map(node => ({ ...node, alsoAt: VIP })) : plan.nodes;
  return { ...plan, commands, nodes };
}

function dsrCommands({ options, clients }: TestBedPlan): string[] {
  const dev = options.layout === 'switched' ? 'eth0' : 'eth1';
  const known = options.kernelClients ? [] : clients.map(({ paths }) => neighbour(paths.balancer, dev));
  return [`addr add ${VIP}/32 dev lo`, `route add ${CLIENT_NET} dev ${dev}`, ...known];
}

// ---- parts of both --------------------------------------------------------------------------------------------------

function nodeHost(n: number, host: string, macs: NodeHost['macs']): NodeHost {
  return { name: `mc${n}`, host, address: nodeAddress(n), port: MEMCACHED_PORT, macs };
}

/** Per host: addresses, then links up. */
function bringUp(interfaces: readonly Interface[]): [string, string[]][] {
  const hosts = [...new Set(interfaces.map(end => end.host))];
  return hosts.map(host => [
    host,
    interfaces
      .filter(end => end.host === host)
      .flatMap(end => [
        ...end.addresses.map(address => `addr add ${address} dev ${end.name}`),
        `link set ${end.name} up`,
      ]),
  ]);
}

/** A raw-frame client has an address of its own (load/transport.ts). */
function clientMac({ kernelClients }: TestBedOptions, end: Interface): string {
  return kernelClients ? end.mac : bareHostMac(end.mac);
}

/** A raw-frame client answers no ARP: its peers are told. */
function neighbour(path: ClientPath, dev: string): string {
  return `neigh replace ${path.address} lladdr ${path.mac} dev ${dev} nud permanent`;
}

function extend(commands: Map<string, string[]>, host: string, more: readonly string[]): void {
  commands.get(host)!.push(...more);
}

/** The plan with every host under its namespace's name. */
function rename(plan: TestBedPlan, names: ReadonlyMap<string, string>): TestBedPlan {
  const named = <T extends { readonly host: string }>(thing: T): T => ({ ...thing, host: names.get(thing.host)! });
  const twoArmed = (host: TwoArmedHost) => named({ ...host, client: named(host.client), server: named(host.server) });
  return {
    options: plan.options,
    hosts: plan.hosts.map(host => names.get(host)!),
    links: plan.links.map(({ ends: [a, b] }) => ({ ends: [named(a), named(b)] })),
    clients: plan.clients.map(named),
    nodes: plan.nodes.map(named),
    balancer: twoArmed(plan.balancer),
    proxy: twoArmed(plan.proxy),
    commands: new Map([...plan.commands].map(([host, commands]) => [names.get(host)!, commands])),
  };
}
