/** The configuration as the rest of the control side uses it: numbers instead of texts, nothing left to default. */

import type { CommandPolicy } from '../../dataplane/commands.ts';
import { type AddressRange, sourceRanges } from '../../dataplane/source-ranges.ts';
import type { FaultRates } from '../../port/faulty.ts';
import { parseIpv4 } from '../../wire/ipv4-text.ts';
import { type Mac, parseMac } from '../../wire/mac-text.ts';
import type { HealthSettings } from '../health/settings.ts';
import { type HotControlSettings, normaliseHot } from '../hot/settings.ts';
import { type Endpoint, type InterfaceAddress, isHostOf, parseBlock, parseCidr, parseEndpoint } from './addresses.ts';
import { sourcePortsFor } from './rules.ts';
import type { ConfigFile, NodeFields } from './schema.ts';

/** Plain values only, so that it can be handed to a worker. IPv4 addresses are int32 with their text beside them. */
export interface Config {
  readonly vip: Endpoint;
  readonly mode: ConfigFile['mode'];
  readonly ports: {
    readonly client: PortConfig;
    /** Absent: one-arm. */
    readonly server: PortConfig | undefined;
  };
  /** Address that requests to the nodes are sent from: the server port's, or in one-arm the client port's. */
  readonly source: InterfaceAddress;
  readonly nodes: readonly NodeConfig[];
  readonly steering: ConfigFile['steering'];
  readonly lanes: number;
  /** CPU of each lane. Absent: not pinned. */
  readonly pin: readonly number[] | undefined;
  /** How long each lane rehearses before it starts. */
  readonly warmUpMs: number;
  /** Whether datagrams of one flow may leave as a super-frame. */
  readonly joinsDatagrams: boolean;
  readonly slots: {
    /** Per lane; a power of two. */
    readonly count: number;
    /** Lane n uses the ports from `sourcePortBase + n · sourcePortsPerLane`. */
    readonly sourcePortBase: number;
    readonly sourcePortsPerLane: number;
    readonly replyLifetimeMs: number;
  };
  readonly commands: CommandPolicy & { readonly broadcastMs: number };
  readonly gatekeeper: {
    readonly enabled: boolean;
    /** Rows of a lane's table; a power of two. */
    readonly sources: number;
    /** Source addresses that may ask. */
    readonly ranges: readonly AddressRange[];
    /** Of all lanes together, 0: no limit. */
    readonly requestsPerSecond: number;
    readonly responseBytesPerSecond: number;
    readonly responseRatioMax: number;
    readonly newcomersPerSecond: number;
  };
  readonly multiget: {
    readonly keysMax: number;
    /** Per lane, as the buffer. */
    readonly gathers: number;
    readonly bufferBytes: number;
    readonly timeoutMs: number;
  };
  /** Per lane. */
  readonly fragments: { readonly datagrams: number; readonly perSource: number; readonly timeoutMs: number };
  readonly idle: { readonly spinUs: number; readonly waitMs: number };
  readonly neighbours: {
    readonly retryMs: number;
    readonly retries: number;
    readonly lifetimeS: number;
    readonly queueFrames: number;
  };
  readonly health: HealthSettings;
  readonly hot: HotControlSettings;
  readonly admin: AdminConfig;
  /** What it was made of, defaults filled in: what a reload compares. */
  readonly fields: ConfigFile;
}

/** Where the admin interface listens; `auto`: a Unix socket of its own in the first folder that can be written to. */
export type AdminConfig =
  | { readonly kind: 'off' | 'auto' }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface PortConfig {
  readonly interface: string;
  readonly transport: ConfigFile['ports']['client']['transport'];
  readonly ringFrames: number;
  readonly mac: 'auto' | 'interface' | Mac;
  /** 0: untagged. */
  readonly vlan: number;
  /** Present with transport tap. */
  readonly tap?: { readonly persistent: boolean; readonly owner: number | undefined };
  /** For tests and experiments: frames go astray. */
  readonly faults?: FaultRates | undefined;
}

export interface NodeConfig extends Endpoint {
  readonly name: string;
  readonly weight: number;
  /** What stands for the node's host on a ketama ring. */
  readonly hashName: string;
  /** IPv4 address, int32, that the node's frames are sent to on the wire: its own or the gateway's. */
  readonly nextHop: number;
}

/** @param file has passed the schema and the rules */
export function normalise(file: ConfigFile): Config {
  const nodeSide = file.ports.server ?? file.ports.client;
  const source = parseCidr(nodeSide.address!);
  return {
    vip: parseEndpoint(file.vip),
    mode: file.mode,
    ports: { client: normalisePort(file.ports.client), server: file.ports.server && normalisePort(file.ports.server) },
    source,
    nodes: file.nodes.map(node => normaliseNode(node, source, nodeSide.gateway)),
    steering: file.steering,
    lanes: file.lanes,
    pin: file.pin,
    warmUpMs: file.warm_up_ms,
    joinsDatagrams: file.segmentation_offload === 'auto',
    commands: normaliseCommands(file.commands),
    gatekeeper: normaliseGatekeeper(file, source),
    ...normaliseTimings(file),
    multiget: normaliseMultiget(file),
    health: normaliseHealth(file.health),
    hot: normaliseHot(file.hot),
    admin: normaliseAdmin(file.admin),
    fields: file,
  };
}

function normaliseHealth(health: ConfigFile['health']): HealthSettings {
  return {
    enabled: health.enabled,
    intervalMs: health.interval_ms,
    timeoutMs: health.timeout_ms,
    failMs: health.fail_ms,
    failAfter: health.fail_after,
    passAfter: health.pass_after,
    returnAfterMs: health.return_after_ms,
    returnAfterMaxMs: health.return_after_max_ms,
    dampingHalfLifeS: health.damping_half_life_s,
    flushOnReturn: health.flush_on_return,
    keepShare: health.keep_share,
    missAfterMs: health.miss_after_ms,
  };
}

function normaliseAdmin(admin: ConfigFile['admin']): AdminConfig {
  if (admin === 'off') return { kind: 'off' };
  return admin.listen === undefined ? { kind: 'auto' } : parseListen(admin.listen);
}

/** @param text a path, or HOST:PORT with an IPv6 address in brackets */
export function parseListen(text: string): AdminConfig {
  if (text.startsWith('/')) return { kind: 'unix', path: text };
  const colon = text.lastIndexOf(':');
  return { kind: 'tcp', host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) };
}

function normaliseTimings({
  slots,
  fragments,
  idle,
  neighbours,
}: ConfigFile): Pick<Config, 'slots' | 'fragments' | 'idle' | 'neighbours'> {
  return {
    slots: {
      count: slots.count,
      sourcePortBase: slots.source_port_base,
      sourcePortsPerLane: sourcePortsFor(slots.count),
      replyLifetimeMs: slots.reply_lifetime_ms,
    },
    fragments: {
      datagrams: fragments.datagrams,
      perSource: fragments.per_source,
      timeoutMs: fragments.timeout_ms,
    },
    idle: { spinUs: idle.spin_us, waitMs: idle.wait_ms },
    neighbours: {
      retryMs: neighbours.retry_ms,
      retries: neighbours.retries,
      lifetimeS: neighbours.lifetime_s,
      queueFrames: neighbours.queue_frames,
    },
  };
}

function normaliseCommands(commands: ConfigFile['commands']): Config['commands'] {
  const { flush_all: flushAll, verbosity, me, deny, broadcast_timeout_ms: broadcastMs } = commands;
  return { flushAll, verbosity, me, deny, broadcastMs };
}

function normaliseGatekeeper({ gatekeeper, nodes }: ConfigFile, source: InterfaceAddress): Config['gatekeeper'] {
  const nodeAddresses = gatekeeper.nodes_may_ask ? [] : nodes.map(node => parseEndpoint(node.address).address);
  return {
    enabled: gatekeeper.enabled,
    sources: gatekeeper.sources,
    ranges: sourceRanges(gatekeeper.allow.map(parseBlock), [...nodeAddresses, ...endsOf(source)]),
    requestsPerSecond: gatekeeper.requests_per_second,
    responseBytesPerSecond: gatekeeper.response_bytes_per_second,
    responseRatioMax: gatekeeper.response_ratio_max,
    newcomersPerSecond: gatekeeper.newcomers_per_second,
  };
}

/** The subnet's own address and its broadcast address: nobody's (a /31 has neither). */
function endsOf({ address, prefixLength }: InterfaceAddress): number[] {
  const hostBits = prefixLength >= 31 ? 0 : ~(-1 << (32 - prefixLength));
  return hostBits === 0 ? [] : [address & ~hostBits, address | hostBits];
}

function normaliseMultiget({ multiget, slots }: ConfigFile): Config['multiget'] {
  return {
    keysMax: multiget.keys_max,
    gathers: multiget.gathers,
    bufferBytes: multiget.buffer_bytes,
    // A reply that comes later than its lifetime is nobody's.
    timeoutMs: Math.min(multiget.timeout_ms, slots.reply_lifetime_ms),
  };
}

function normalisePort({
  interface: name,
  transport,
  ring,
  mac,
  vlan = 0,
  tap,
  faults,
}: ConfigFile['ports']['client']): PortConfig {
  const port = {
    interface: name,
    transport,
    ringFrames: ring.frames,
    mac: readMac(mac),
    vlan,
    ...(faults && { faults }),
  };
  return transport === 'tap' ? { ...port, tap: { persistent: tap?.persistent ?? false, owner: tap?.owner } } : port;
}

/** @param text matches the schema */
function readMac(text: string): PortConfig['mac'] {
  return text === 'auto' || text === 'interface' ? text : parseMac(text);
}

function normaliseNode(node: NodeFields, source: InterfaceAddress, gateway: string | undefined): NodeConfig {
  const endpoint = parseEndpoint(node.address);
  const direct = gateway === undefined || isHostOf(source, endpoint.address);
  return {
    ...endpoint,
    name: node.name,
    weight: node.weight,
    hashName: node.hash_name ?? endpoint.text,
    nextHop: direct ? endpoint.address : parseIpv4(gateway),
  };
}
