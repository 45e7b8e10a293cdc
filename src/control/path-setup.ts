/** What a lane is told of the configuration, whoever runs it: the conductor, or a replay. */
import type { PathSetup } from '../dataplane/setup.ts';
import type { Config } from './config/normalise.ts';
import type { LaneArena, SharedMemory } from './memory-plan.ts';

/** Ids of a lane's ports. */
export const CLIENT_PORT = 0;
export const SERVER_PORT = 1;

export function pathSetup(config: Config, lane: number, memory: LaneArena, shared: SharedMemory): PathSetup {
  const { vip, source, slots, neighbours, ports } = config;
  const { arena: _, ...offsets } = memory;
  return {
    ...offsets,
    lane,
    clientPort: CLIENT_PORT,
    serverPort: ports.server ? SERVER_PORT : CLIENT_PORT,
    vip: vip.address,
    vipPort: vip.port,
    ownAddress: source.address,
    firstSourcePort: slots.sourcePortBase + lane * slots.sourcePortsPerLane,
    slots: slots.count,
    replyLifetimeMs: slots.replyLifetimeMs,
    neighbourTimes: neighbourTimes(config),
    parkingFrames: neighbours.queueFrames,
    nodesMax: shared.capacity.nodesMax,
    steerOffset: shared.steerOffset,
    neighboursOffset: shared.neighboursOffset,
  };
}

export function neighbourTimes({ neighbours }: Config) {
  return { retryMs: neighbours.retryMs, retries: neighbours.retries, lifetimeMs: neighbours.lifetimeS * 1000 };
}
