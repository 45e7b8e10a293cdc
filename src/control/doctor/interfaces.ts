/** Checks of the interfaces: there, up, of a fitting MTU, without offloads that hide frames, without kernel addresses. */
import type { Config, PortConfig } from '../config/normalise.ts';
import { type Check, fail, ok, warn } from './check.ts';

/** What `ip -json -details address` says, as far as it is of use. */
export interface Interface {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly link_type: string;
  /** The interface that a VLAN's sub-interface is on. */
  readonly link?: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: { readonly id?: number } };
  readonly addr_info: readonly { readonly family: string; readonly local: string; readonly prefixlen: number }[];
}

/** Names of `ethtool -k`; undefined: could not be asked. */
export type Offloads = ReadonlyMap<string, boolean>;

/** IPv4 packet of a whole reply datagram of memcached: 1400 bytes, UDP and IPv4 headers. */
const REPLY_BYTES = 1428;

export function portsOf({ ports }: Config): PortConfig[] {
  return ports.server ? [ports.client, ports.server] : [ports.client];
}

/** There, Ethernet, up, with carrier. */
export function linkCheck({ interface: name, transport }: PortConfig, interfaces: readonly Interface[]): Check {
  const found = interfaces.find(({ ifname }) => ifname === name);
  if (!found) return missing(name, transport === 'tap', interfaces);
  const { flags, link_type: type } = found;
  if (type !== 'ether' && type !== 'loopback')
    return fail(`interface ${name} is of type ${type}, not Ethernet`, '`ip link` lists others');
  // A TAP has a carrier as soon as somebody holds its other end: us, later.
  if (!flags.includes('UP')) return transport === 'tap' ? ok(`interface ${name} is there`) : down(name);
  if (!flags.includes('LOWER_UP') && transport !== 'tap') {
    return fail(
      `interface ${name} has no carrier`,
      `plug in the cable, or set the other end up: \`ip -d link show ${name}\` tells what it is`,
    );
  }
  return ok(`interface ${name} is up`);
}

function missing(name: string, isTap: boolean, interfaces: readonly Interface[]): Check {
  if (isTap) return ok(`interface ${name} will be made (transport tap)`);
  const others = interfaces.map(({ ifname }) => ifname).filter(ifname => ifname !== 'lo');
  const there = others.length > 0 ? `; there are ${others.join(', ')}` : '';
  return fail(`interface ${name} does not exist in this network namespace${there}`, 'ip link');
}

function down(name: string): Check {
  return fail(`interface ${name} is down`, `ip link set ${name} up`);
}

export function mtuCheck(config: Config, interfaces: readonly Interface[]): Check | undefined {
  const links = portsOf(config).flatMap(port => interfaces.filter(({ ifname }) => ifname === port.interface));
  const [first, second = first] = links;
  if (first === undefined || second === undefined) return undefined;
  const small = links.find(({ mtu }) => mtu < REPLY_BYTES);
  if (small) {
    const what = `MTU of ${small.ifname} is ${small.mtu}: memcached's replies, ${REPLY_BYTES} bytes with headers, do not fit`;
    return warn(what, `ip link set ${small.ifname} mtu 1500`);
  }
  const texts = links.map(({ ifname, mtu }) => `${mtu} on ${ifname}`).join(', ');
  if (second.mtu <= first.mtu) return ok(`MTU ${texts}`);
  return warn(`MTU ${texts}: replies of one may not fit the other`, `ip link set ${second.ifname} mtu ${first.mtu}`);
}

/** An IPv4 address that the kernel answers for. */
interface OwnedAddress {
  readonly ifname: string;
  readonly local: string;
  readonly prefixlen: number;
}

function ownedAddresses(interfaces: readonly Interface[]): OwnedAddress[] {
  return interfaces.flatMap(({ ifname, addr_info: addresses }) =>
    addresses.filter(({ family }) => family === 'inet').map(({ local, prefixlen }) => ({ ifname, local, prefixlen })),
  );
}

/** Those of Keysteer's addresses that the kernel has too, on whatever interface. */
export function kernelOwned({ vip, source }: Config, interfaces: readonly Interface[]): ReadonlySet<string> {
  const ours = [vip.text, source.text];
  return new Set(ownedAddresses(interfaces).flatMap(({ local }) => (ours.includes(local) ? [local] : [])));
}

/** The kernel must not own what Keysteer answers for, and should own nothing on the interfaces. */
export function addressChecks(config: Config, interfaces: readonly Interface[]): Check[] {
  const taken = kernelOwned(config, interfaces);
  const ours = portsOf(config).map(port => port.interface);
  const checks = ownedAddresses(interfaces).flatMap(address => {
    if (taken.has(address.local)) return [takenCheck(address)];
    return ours.includes(address.ifname) ? [besideCheck(address)] : [];
  });
  const { vip, source } = config;
  const mine = `${vip.text} and ${source.text} are Keysteer's`;
  return checks.length > 0 ? checks : [ok(`no kernel address on ${ours.join(' and ')}; ${mine}`)];
}

function takenCheck({ ifname, local, prefixlen }: OwnedAddress): Check {
  const fix = `ip address del ${local}/${prefixlen} dev ${ifname}`;
  return fail(`${local} is an address of this kernel (${ifname}): it must be Keysteer's alone`, fix);
}

function besideCheck({ ifname, local, prefixlen }: OwnedAddress): Check {
  return warn(
    `the kernel has ${local}/${prefixlen} on ${ifname}: it handles every frame there a second time`,
    `ip address del ${local}/${prefixlen} dev ${ifname}, if nothing else needs it`,
  );
}

/** `ethtool -k` → feature → on. */
export function parseOffloads(text: string): Offloads {
  const lines = text.matchAll(/^\s*([a-z0-9-]+): (on|off)\b/gm);
  return new Map([...lines].map(([, name, state]) => [name!, state === 'on']));
}

/** Features that merge datagrams into frames larger than the MTU (super-frames), which are dropped and counted. */
const MERGING = [
  ['large-receive-offload', 'lro'],
  ['rx-udp-gro-forwarding', 'rx-udp-gro-forwarding'],
  ['rx-gro-list', 'rx-gro-list'],
] as const;

export function offloadChecks(port: PortConfig, offloads: Offloads, interfaces: readonly Interface[]): Check[] {
  const checks = [mergingCheck(port, offloads), vlanCheck(port, offloads, interfaces)].filter(
    check => check !== undefined,
  );
  return checks.length > 0 ? checks : [ok(`offloads of ${port.interface} leave frames whole`)];
}

function mergingCheck({ interface: name }: PortConfig, offloads: Offloads): Check | undefined {
  const merging = MERGING.filter(([feature]) => offloads.get(feature)).map(([, flag]) => flag);
  if (merging.length === 0) return undefined;
  return warn(
    `${name} merges datagrams it receives into super-frames (${merging.join(', ')})`,
    `ethtool -K ${name} ${merging.map(flag => `${flag} off`).join(' ')}`,
  );
}

function vlanCheck(
  { interface: name, vlan }: PortConfig,
  offloads: Offloads,
  interfaces: readonly Interface[],
): Check | undefined {
  if (vlan === 0 || !offloads.get('rx-vlan-filter') || knowsVlan(name, vlan, interfaces)) return undefined;
  return warn(
    `${name} lets only VLANs through that it was told of (rx-vlan-filter), and not of ${vlan}`,
    `ip link add link ${name} name ${name}.${vlan} type vlan id ${vlan}`,
  );
}

function knowsVlan(name: string, vlan: number, interfaces: readonly Interface[]): boolean {
  return interfaces.some(
    ({ link, linkinfo }) => link === name && linkinfo?.info_kind === 'vlan' && linkinfo.info_data?.id === vlan,
  );
}
