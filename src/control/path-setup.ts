/** What a lane is told of the configuration, whoever runs it: the conductor, or a replay. */
import type { GateOptions } from '../dataplane/gate-table.ts';
import { type FiguresPlace, MODE_DSR, MODE_GATEWAY, MODE_NAT, type PathSetup } from '../dataplane/setup.ts';
import { probePort } from '../port/fanout.ts';
import type { Config } from './config/normalise.ts';
import { type LaneArena, multigetSetup, type SharedMemory } from './memory-plan.ts';

/** Ids of a lane's ports. */
export const CLIENT_PORT = 0;
export const SERVER_PORT = 1;

/** One slot in so many is for sources that are not known yet. */
const NEWCOMERS_SHARE = 4;

const MODES = { nat: MODE_NAT, gateway: MODE_GATEWAY, dsr: MODE_DSR } as const;

/** What does not follow from the configuration. */
export interface Instance {
  /** Nobody who asks may know which sources share a set of the table. */
  readonly sourceSeeds: readonly [number, number];
  readonly version: string;
  /** One list for all lanes, whole once the last of them is prepared. */
  readonly lanes: readonly FiguresPlace[];
  readonly pid: number;
  /** Unix time at which the lane's clock was 0, ms. */
  readonly timeOrigin: number;
}

export function pathSetup(
  config: Config,
  lane: number,
  memory: LaneArena,
  shared: SharedMemory,
  instance: Instance,
): PathSetup {
  const { vip, source, slots, neighbours, ports, gatekeeper, health } = config;
  const { arena: _, hotOffset, ...offsets } = memory;
  return {
    ...offsets,
    ...instance,
    lane,
    laneCount: config.lanes,
    mode: MODES[config.mode],
    clientPort: CLIENT_PORT,
    serverPort: ports.server ? SERVER_PORT : CLIENT_PORT,
    vip: vip.address,
    vipPort: vip.port,
    ownAddress: source.address,
    firstSourcePort: slots.sourcePortBase + lane * slots.sourcePortsPerLane,
    slots: slots.count,
    replyLifetimeMs: slots.replyLifetimeMs,
    neighbourTimes: neighbourTimes(config),
    multiget: multigetSetup(config),
    ...(shared.hot === undefined ? {} : { hot: { ...shared.hot, laneOffset: hotOffset } }),
    fragments: config.fragments,
    honoursDontFragment: false,
    newcomerSlots: gatekeeper.enabled ? slots.count / NEWCOMERS_SHARE : 0,
    sourceRows: gatekeeper.sources,
    parkingFrames: neighbours.queueFrames,
    nodesMax: shared.capacity.nodesMax,
    steerOffset: shared.steerOffset,
    neighboursOffset: shared.neighboursOffset,
    handoverOffset: shared.handoverOffset,
    gateOffset: shared.gateOffset,
    nodeNamesOffset: shared.nodeNamesOffset,
    healthOffset: shared.healthOffset,
    clientsOffset: shared.clientsOffset,
    probePort: probePort(slots.sourcePortBase),
    probeTimeoutMs: health.timeoutMs,
    missAfterMs: health.missAfterMs,
  };
}

export function neighbourTimes({ neighbours }: Config) {
  return { retryMs: neighbours.retryMs, retries: neighbours.retries, lifetimeMs: neighbours.lifetimeS * 1000 };
}

/** What the gatekeeper and the policy of commands go by. */
export function gateRules({ gatekeeper, commands, lanes }: Config): GateOptions {
  const { enabled: watches, ...budgets } = gatekeeper;
  return { ...budgets, watches, lanes, commands, broadcastMs: commands.broadcastMs };
}
