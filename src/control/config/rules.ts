/**
 * Rules that involve more than one field. They see fields with defaults filled in, and only judge what is sound by
 * itself: a mistake in one field is not reported again as a contradiction with another.
 */

import type { z } from 'zod';
import { parseIpv4 } from '../../wire/ipv4-text.ts';
import { type InterfaceAddress, isHostOf, parseCidr, parseEndpoint } from './addresses.ts';
import { isShareFound } from './hot-fields.ts';
import { formatPath, isMapping, type Path, startsWith, valueAt } from './path.ts';
import type { ConfigFile, NodeFields } from './schema.ts';

/** Request ids that one source port offers (the frame header's id has 16 bits). */
const SLOTS_PER_SOURCE_PORT = 65536;
const PORT_MAX = 65535;

interface Judged {
  readonly config: ConfigFile;
  /** Whether nothing was wrong with this field, what is in it and what it is in. */
  sound(...path: Path): boolean;
  report(path: Path, rule: string): void;
}

type Side = 'client' | 'server';

const RULES: readonly ((judged: Judged) => void)[] = [
  oneArmHasAddress,
  interfacesDiffer,
  tapFieldsFit,
  faultsFit,
  ownAddressesAreHosts,
  ownAddressesDiffer,
  gatewaysAreNeighbours,
  clientAddressIsUsed,
  nodesAreUnique,
  ringPlacesDiffer,
  nodesAreNotOurs,
  nodesAreReachable,
  someNodeHasWeight,
  unweightedHasNoWeights,
  sourcePortsFit,
  pinsMatchLanes,
  pcapHasNoVlan,
  pcapHasOneLane,
  limitsNeedGatekeeper,
  missesComeInTime,
  holdsAreInOrder,
  hotLayersFit,
  hotErrorIsBelowShare,
  hotInstantFits,
  hotPinsAreNotBanned,
  dsrKeepsPorts,
  dsrNodesAreOnLink,
];

/** For `configSchema.superRefine(checkRules, { when: () => true })`. */
export function checkRules(config: ConfigFile, context: z.core.$RefinementCtx<ConfigFile>): void {
  if (!isMapping(config)) return;
  const broken = context.issues.map(issue => issue.path ?? []);
  const judged: Judged = {
    config,
    sound: (...path) => !broken.some(at => startsWith(at, path) || startsWith(path, at)),
    report: (path, rule) => {
      const params = { inForce: valueAt(config, path) };
      context.addIssue({ code: 'custom', path: [...path], message: rule, params });
    },
  };
  for (const rule of RULES) rule(judged);
}

/** UDP source ports that a lane needs for `slotCount` outstanding requests. */
export function sourcePortsFor(slotCount: number): number {
  return Math.ceil(slotCount / SLOTS_PER_SOURCE_PORT);
}

function isOneArm({ config, sound }: Judged): boolean {
  return sound('ports', 'server') && config.ports.server === undefined;
}

function oneArmHasAddress(judged: Judged): void {
  if (!isOneArm(judged) || !judged.sound('ports', 'client')) return;
  if (judged.config.ports.client.address !== undefined) return;
  judged.report(
    ['ports', 'client', 'address'],
    'must be given when ports.server is left out (one-arm): requests are sent from it, as 10.77.0.1/24',
  );
}

function interfacesDiffer({ config, sound, report }: Judged): void {
  if (!sound('ports', 'client', 'interface') || !sound('ports', 'server', 'interface')) return;
  if (!sound('ports', 'client', 'vlan') || !sound('ports', 'server', 'vlan')) return;
  const { client, server } = config.ports;
  if (server?.interface !== client.interface) return;
  // Two sockets may share an interface, each with a VLAN of its own; the queues of a TAP have one port.
  if (client.vlan !== server.vlan && client.transport !== 'tap' && server.transport !== 'tap') return;
  report(
    ['ports', 'server', 'interface'],
    'must differ from ports.client.interface, or its vlan from that one’s; for one-arm leave ports.server out',
  );
}

/** A TAP's interface is the kernel's end of the cable: its Ethernet address is not ours. */
function tapFieldsFit({ config, sound, report }: Judged): void {
  for (const side of ['client', 'server'] as const) {
    const port = config.ports?.[side];
    if (port === undefined || !sound('ports', side, 'transport')) continue;
    const isTap = port.transport === 'tap';
    if (!isTap && port.tap !== undefined) report(['ports', side, 'tap'], 'must be left out unless transport is tap');
    if (isTap && sound('ports', side, 'mac') && port.mac === 'interface') {
      report(['ports', side, 'mac'], 'must be auto or an address with transport tap');
    }
  }
}

/** Of sums like 0.1 + 0.2 + 0.7. */
const ROUNDING = 1e-9;

function faultsFit({ config, sound, report }: Judged): void {
  for (const side of ['client', 'server'] as const) {
    const faults = config.ports?.[side]?.faults;
    if (faults === undefined || !sound('ports', side, 'faults')) continue;
    const { drop, duplicate, reorder } = faults;
    if (drop + duplicate + reorder > 1 + ROUNDING)
      report(['ports', side, 'faults'], 'must have shares that are 1 together at most');
  }
}

/** Our address on that side, if it has a sound one. */
function ownAddress({ config, sound }: Judged, side: Side): InterfaceAddress | undefined {
  const text = sound('ports', side, 'address') ? config.ports[side]?.address : undefined;
  return text === undefined ? undefined : parseCidr(text);
}

function ownAddressesAreHosts(judged: Judged): void {
  for (const side of ['client', 'server'] as const) {
    const own = ownAddress(judged, side);
    if (own === undefined || isHostOf(own, own.address)) continue;
    judged.report(['ports', side, 'address'], 'must be the address of a host, not that of the subnet or its broadcast');
  }
}

/** Addresses that Keysteer answers for, with the field each stands in. */
function ownAddresses(judged: Judged): [path: Path, address: number][] {
  const own: [Path, number][] = [];
  if (judged.sound('vip')) own.push([['vip'], parseEndpoint(judged.config.vip).address]);
  for (const side of ['client', 'server'] as const) {
    const address = ownAddress(judged, side)?.address;
    if (address !== undefined) own.push([['ports', side, 'address'], address]);
  }
  return own;
}

function ownAddressesDiffer(judged: Judged): void {
  const own = ownAddresses(judged);
  own.forEach(([path, address], at) => {
    const earlier = own.slice(0, at).find(([, other]) => other === address);
    if (earlier) judged.report(path, `must differ from the address in ${formatPath(earlier[0])}`);
  });
}

function gatewaysAreNeighbours(judged: Judged): void {
  for (const side of ['client', 'server'] as const) {
    const own = ownAddress(judged, side);
    if (own === undefined || !judged.sound('ports', side, 'gateway')) continue;
    const gateway = judged.config.ports[side]?.gateway;
    if (gateway === undefined) continue;
    const address = parseIpv4(gateway);
    if (isHostOf(own, address) && !isOurs(judged, address)) continue;
    judged.report(['ports', side, 'gateway'], `must be another host in the subnet of ports.${side}.address`);
  }
}

function isOurs(judged: Judged, address: number): boolean {
  return ownAddresses(judged).some(([, own]) => own === address);
}

function clientAddressIsUsed(judged: Judged): void {
  const { config, sound, report } = judged;
  if (!sound('ports', 'client') || !sound('ports', 'server') || isOneArm(judged)) return;
  for (const field of ['address', 'gateway'] as const) {
    if (config.ports.client[field] === undefined) continue;
    report(
      ['ports', 'client', field],
      'must be left out when there is a ports.server: requests are sent from that one',
    );
  }
}

/** Sound nodes with their positions in the list. */
function soundNodes({ config, sound }: Judged): [at: number, node: NodeFields][] {
  if (!Array.isArray(config.nodes)) return [];
  return [...config.nodes.entries()].filter(([at]) => sound('nodes', at));
}

function nodesAreUnique(judged: Judged): void {
  uniqueInNodes(judged, 'name', node => node.name);
  uniqueInNodes(judged, 'address', ({ address }) => {
    const { text, port } = parseEndpoint(address);
    return `${text}:${port}`;
  });
}

function uniqueInNodes(judged: Judged, field: keyof NodeFields, keyOf: (node: NodeFields) => string): void {
  const firstAt = new Map<string, number>();
  for (const [at, node] of soundNodes(judged)) {
    const first = firstAt.get(keyOf(node));
    if (first === undefined) firstAt.set(keyOf(node), at);
    else judged.report(['nodes', at, field], `must be unique, but nodes[${first}] has the same`);
  }
}

/** libmemcached, too, tells two nodes of one host apart by their ports. */
function ringPlacesDiffer(judged: Judged): void {
  const firstAt = new Map<string, number>();
  for (const [at, { address, hash_name }] of soundNodes(judged)) {
    const { text, port } = parseEndpoint(address);
    const place = `${hash_name ?? text}:${port}`;
    const first = firstAt.get(place);
    if (first === undefined) firstAt.set(place, at);
    else {
      const field = hash_name === undefined ? 'address' : 'hash_name';
      judged.report(['nodes', at, field], `must differ from the hash name and port of nodes[${first}] (${place})`);
    }
  }
}

function nodesAreNotOurs(judged: Judged): void {
  const own = ownAddresses(judged);
  for (const [at, node] of soundNodes(judged)) {
    const { address } = parseEndpoint(node.address);
    const clash = own.find(([, ours]) => ours === address);
    if (!clash) continue;
    judged.report(['nodes', at, 'address'], `must differ from Keysteer's own address in ${formatPath(clash[0])}`);
  }
}

function nodesAreReachable(judged: Judged): void {
  const side = isOneArm(judged) ? 'client' : 'server';
  const own = ownAddress(judged, side);
  if (own === undefined || !judged.sound('ports', side)) return;
  if (judged.config.ports[side]?.gateway !== undefined || judged.config.mode === 'dsr') return;
  for (const [at, node] of soundNodes(judged)) {
    if (isHostOf(own, parseEndpoint(node.address).address)) continue;
    judged.report(
      ['nodes', at, 'address'],
      `must be a host in the subnet of ports.${side}.address (${own.text}/${own.prefixLength}), or ports.${side}.gateway must be given`,
    );
  }
}

/** Only the Ethernet address of a frame changes: the node gets it at the port that the client asked. */
function dsrKeepsPorts(judged: Judged): void {
  const { config, sound, report } = judged;
  if (!sound('mode') || config.mode !== 'dsr' || !sound('vip')) return;
  const { port } = parseEndpoint(config.vip);
  for (const [at, node] of soundNodes(judged)) {
    if (parseEndpoint(node.address).port === port) continue;
    report(['nodes', at, 'address'], `must have the port of vip (${port}) with mode dsr`);
  }
}

/** A router would send a frame for the virtual address anywhere but to the node. */
function dsrNodesAreOnLink(judged: Judged): void {
  const { config, sound, report } = judged;
  if (!sound('mode') || config.mode !== 'dsr') return;
  const side = isOneArm(judged) ? 'client' : 'server';
  const own = ownAddress(judged, side);
  if (own === undefined) return;
  for (const [at, node] of soundNodes(judged)) {
    if (isHostOf(own, parseEndpoint(node.address).address)) continue;
    report(
      ['nodes', at, 'address'],
      `must be a host in the subnet of ports.${side}.address (${own.text}/${own.prefixLength}) with mode dsr`,
    );
  }
}

function someNodeHasWeight(judged: Judged): void {
  const nodes = soundNodes(judged);
  if (!judged.sound('nodes') || nodes.some(([, node]) => node.weight > 0)) return;
  judged.report(['nodes', 0, 'weight'], 'must be above 0 for at least one node');
}

/** libmemcached turns a plain ketama pool into a weighted one once a server of weight > 1 joins it. */
function unweightedHasNoWeights(judged: Judged): void {
  const { config, sound, report } = judged;
  if (!sound('steering', 'algorithm') || config.steering.algorithm !== 'ketama-unweighted') return;
  for (const [at, node] of soundNodes(judged)) {
    if (node.weight > 1) report(['nodes', at, 'weight'], 'must be 0 or 1 with steering.algorithm ketama-unweighted');
  }
}

function sourcePortsFit({ config, sound, report }: Judged): void {
  if (!sound('slots') || !sound('lanes')) return;
  const needed = sourcePortsFor(config.slots.count) * config.lanes;
  if (config.slots.source_port_base + needed - 1 <= PORT_MAX) return;
  report(
    ['slots', 'source_port_base'],
    `must be at most ${PORT_MAX + 1 - needed}: lanes (${config.lanes}) × slots.count (${config.slots.count}) need ${needed} source ports`,
  );
}

/** What would be ignored without a word might be relied on. */
function limitsNeedGatekeeper({ config, sound, report }: Judged): void {
  if (!sound('gatekeeper') || config.gatekeeper.enabled) return;
  const { gatekeeper } = config;
  const limits = [
    'requests_per_second',
    'response_bytes_per_second',
    'response_ratio_max',
    'newcomers_per_second',
  ] as const;
  for (const field of limits) {
    if (gatekeeper[field] !== 0) report(['gatekeeper', field], 'must be left out, or gatekeeper.enabled be true');
  }
  if (gatekeeper.allow.length > 0) report(['gatekeeper', 'allow'], 'must be left out, or gatekeeper.enabled be true');
}

function pinsMatchLanes({ config, sound, report }: Judged): void {
  if (config.pin === undefined || !sound('pin') || !sound('lanes')) return;
  if (config.pin.length !== config.lanes) report(['pin'], `must have one CPU for each lane (${config.lanes})`);
}

/** Its frames keep their tags. */
function pcapHasNoVlan({ config, sound, report }: Judged): void {
  for (const side of ['client', 'server'] as const) {
    if (!sound('ports', side) || config.ports[side]?.transport !== 'pcap') continue;
    if (config.ports[side].vlan !== undefined) report(['ports', side, 'vlan'], 'must be left out with transport pcap');
  }
}

/** libpcap gives every frame to every lane: nothing spreads them. */
function pcapHasOneLane({ config, sound, report }: Judged): void {
  if (!sound('ports') || !sound('lanes') || config.lanes === 1) return;
  for (const side of ['client', 'server'] as const) {
    if (config.ports[side]?.transport !== 'pcap') continue;
    report(
      ['ports', side, 'transport'],
      `must be af_packet when there is more than one lane (lanes is ${config.lanes})`,
    );
  }
}

/** A slot past the reply lifetime may be somebody else's by then. */
function missesComeInTime({ config, sound, report }: Judged): void {
  if (!sound('health', 'miss_after_ms') || !sound('slots', 'reply_lifetime_ms')) return;
  const { health, slots } = config;
  if (health.miss_after_ms < slots.reply_lifetime_ms) return;
  report(['health', 'miss_after_ms'], `must be below slots.reply_lifetime_ms (${slots.reply_lifetime_ms})`);
}

function holdsAreInOrder({ config, sound, report }: Judged): void {
  if (!sound('health', 'return_after_ms') || !sound('health', 'return_after_max_ms')) return;
  const { return_after_ms: least, return_after_max_ms: most } = config.health;
  if (most < least) report(['health', 'return_after_max_ms'], `must be at least health.return_after_ms (${least})`);
}

function hotLayersFit({ config, sound, report }: Judged): void {
  if (!sound('hot', 'keys') || !sound('hot', 'l1_keys')) return;
  const { keys, l1_keys } = config.hot;
  if (2 * l1_keys > keys) report(['hot', 'l1_keys'], `must be at most half of hot.keys (${keys})`);
}

function hotErrorIsBelowShare({ config, sound, report }: Judged): void {
  if (!sound('hot', 'share') || !sound('hot', 'error') || !sound('hot', 'detector')) return;
  if (!isShareFound(config.hot, config.hot.share)) {
    report(['hot', 'error'], `must be below hot.share (${config.hot.share})`);
  }
}

function hotInstantFits({ config, sound, report }: Judged): void {
  if (!sound('hot', 'instant')) return;
  const { window, count } = config.hot.instant;
  if (count > window) report(['hot', 'instant', 'count'], `must be at most hot.instant.window (${window})`);
}

function hotPinsAreNotBanned({ config, sound, report }: Judged): void {
  if (!sound('hot', 'pin') || !sound('hot', 'ban') || !sound('hot', 'keys')) return;
  const { pin, ban, keys } = config.hot;
  const banned = new Set(ban);
  const at = pin.findIndex(key => banned.has(key));
  if (at >= 0) report(['hot', 'pin', at], 'must not be in hot.ban, too');
  if (2 * pin.length > keys) report(['hot', 'pin'], `must have at most half as many keys as hot.keys (${keys})`);
}
