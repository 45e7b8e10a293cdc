/** Which memory there is, and where in it everything lies: one arena for all lanes, and one for each. */

import { Fragments } from '../dataplane/fragments.ts';
import { Handover, mailByteLength } from '../dataplane/handover.ts';
import { BATCH_BYTES } from '../dataplane/lane.ts';
import { laneCountersByteLength, nodeCountersByteLength } from '../dataplane/memory.ts';
import { neighboursByteLength } from '../dataplane/neighbours.ts';
import { OUTBOX_BYTES } from '../dataplane/outbox.ts';
import { Parking } from '../dataplane/parking.ts';
import { CONTROL_BYTES } from '../dataplane/setup.ts';
import { slotTableByteLength } from '../dataplane/slot-table.ts';
import { Arena } from '../mem/arena.ts';
import { afPacketByteLength } from '../port/af-packet.ts';
import { type SteerCapacity, SteerTable } from '../steer/table.ts';
import type { Config } from './config/normalise.ts';

/** Largest frame that is ever parked: an MTU of 1500 and the Ethernet header, rounded up. */
const PARKED_FRAME_BYTES = 2048;
const SLACK_BYTES = 1 << 16;

export interface SharedMemory {
  readonly arena: Arena;
  readonly capacity: SteerCapacity;
  readonly steerOffset: number;
  readonly neighboursOffset: number;
  readonly handoverOffset: number;
}

export interface LaneArena {
  readonly arena: Arena;
  readonly slotsOffset: number;
  readonly parkingOffset: number;
  readonly countersOffset: number;
  readonly nodeCountersOffset: number;
  readonly controlOffset: number;
  readonly batchOffset: number;
  readonly outboxOffset: number;
  readonly fragmentsOffset: number;
  readonly mailOffset: number;
}

export function planSharedMemory(config: Config, nodesMax: number): SharedMemory {
  const capacity = { nodesMax, lanesMax: config.lanes };
  const steerBytes = SteerTable.byteLength(capacity);
  const handover = Handover.byteLength(config.lanes);
  const arena = Arena.create(steerBytes + neighboursByteLength(nodesMax) + handover + SLACK_BYTES);
  return {
    arena,
    capacity,
    steerOffset: arena.allocate(steerBytes),
    neighboursOffset: arena.allocate(neighboursByteLength(nodesMax)),
    handoverOffset: arena.allocate(handover),
  };
}

/** @param ports receive-ring sizes of the lane's ports, frames */
export function planLaneMemory(config: Config, nodesMax: number, ports: readonly number[]): LaneArena {
  const slots = slotTableByteLength(config.slots.count);
  const parking = Parking.byteLength(config.neighbours.queueFrames, PARKED_FRAME_BYTES);
  const rings = ports.reduce((sum, frames) => sum + afPacketByteLength(frames), 0);
  const fragments = Fragments.byteLength(config.fragments.datagrams);
  const mail = mailByteLength(config.lanes);
  const counters = laneCountersByteLength() + nodeCountersByteLength(nodesMax);
  const arena = Arena.create(
    slots +
      parking +
      fragments +
      mail +
      rings +
      counters +
      BATCH_BYTES +
      2 * OUTBOX_BYTES +
      CONTROL_BYTES +
      SLACK_BYTES,
  );
  return {
    arena,
    slotsOffset: arena.allocate(slots),
    parkingOffset: arena.allocate(parking),
    countersOffset: arena.allocate(laneCountersByteLength()),
    nodeCountersOffset: arena.allocate(nodeCountersByteLength(nodesMax)),
    controlOffset: arena.allocate(CONTROL_BYTES),
    batchOffset: arena.allocate(BATCH_BYTES),
    outboxOffset: arena.allocate(2 * OUTBOX_BYTES),
    fragmentsOffset: arena.allocate(fragments),
    mailOffset: arena.allocate(mail),
  };
}
