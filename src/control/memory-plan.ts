/** Which memory there is, and where in it everything lies: one arena for all lanes, and one for each. */

import { clientTableByteLength } from '../dataplane/client-table.ts';
import { Fragments } from '../dataplane/fragments.ts';
import { GateTable } from '../dataplane/gate-table.ts';
import { gathersByteLength, type MultigetSetup } from '../dataplane/gather.ts';
import { chunksFor } from '../dataplane/gather-store.ts';
import { Handover, mailByteLength } from '../dataplane/handover.ts';
import { healthBlockByteLength } from '../dataplane/health-block.ts';
import { HOLDING_BYTES } from '../dataplane/holding.ts';
import { Hot } from '../dataplane/hot/hot.ts';
import { type HotSettings, type HotSetup, hotShared, hotSharedByteLength } from '../dataplane/hot/setup.ts';
import { BATCH_BYTES } from '../dataplane/lane.ts';
import { latencyByteLength } from '../dataplane/latency.ts';
import { laneCountersByteLength, nodeCountersByteLength } from '../dataplane/memory.ts';
import { neighboursByteLength } from '../dataplane/neighbours.ts';
import { nodeNamesByteLength } from '../dataplane/node-names.ts';
import { OUTBOX_BYTES } from '../dataplane/outbox.ts';
import { Parking } from '../dataplane/parking.ts';
import { CONTROL_BYTES } from '../dataplane/setup.ts';
import { slotTableByteLength } from '../dataplane/slot-table.ts';
import { sourceTableByteLength } from '../dataplane/source-table.ts';
import { Arena } from '../mem/arena.ts';
import { NOTE_BYTES } from '../memcached/miss-reply.ts';
import { portByteLength, type Transport } from '../port/open.ts';
import { type SteerCapacity, SteerTable } from '../steer/table.ts';
import type { Config } from './config/normalise.ts';

/** What a parked frame needs beside the MTU: the Ethernet header, a VLAN tag, rounded up. */
const PARKED_EXTRA_BYTES = 64;
const SLACK_BYTES = 1 << 16;
const HOT_SEED = 0x2545f491;
/** Of what hotShared lays out, bytes. */
const HOT_ALIGNMENT = 128;

export interface SharedMemory {
  readonly arena: Arena;
  readonly capacity: SteerCapacity;
  readonly steerOffset: number;
  readonly neighboursOffset: number;
  readonly gateOffset: number;
  readonly nodeNamesOffset: number;
  readonly healthOffset: number;
  readonly handoverOffset: number;
  readonly clientsOffset: number;
  /** Where hot keys lie; undefined when none are treated. */
  readonly hot: Omit<HotSetup, 'laneOffset'> | undefined;
}

export interface LaneArena {
  readonly arena: Arena;
  readonly slotsOffset: number;
  readonly parkingOffset: number;
  readonly countersOffset: number;
  readonly nodeCountersOffset: number;
  readonly latencyOffset: number;
  readonly controlOffset: number;
  readonly batchOffset: number;
  readonly outboxOffset: number;
  readonly holdingOffset: number;
  readonly sourcesOffset: number;
  readonly gathersOffset: number;
  readonly missNotesOffset: number;
  readonly fragmentsOffset: number;
  readonly mailOffset: number;
  /** Nothing when no keys are treated as hot. */
  readonly hotOffset: number;
}

/** @param seed decides which keys share rows of the detectors: nobody who asks may know it */
export function planSharedMemory(config: Config, nodesMax: number, seed = HOT_SEED): SharedMemory {
  const capacity = { nodesMax, lanesMax: config.lanes };
  const steerBytes = SteerTable.byteLength(capacity);
  const gateBytes = GateTable.byteLength(config.lanes);
  const nameBytes = nodeNamesByteLength(nodesMax);
  const handover = Handover.byteLength(config.lanes);
  const healthBytes = healthBlockByteLength(nodesMax);
  const clientBytes = config.mode === 'gateway' ? clientTableByteLength(config.lanes) : 0;
  const tables =
    steerBytes + neighboursByteLength(nodesMax) + gateBytes + nameBytes + healthBytes + handover + clientBytes;
  const settings = config.hot.enabled ? seeded(config.hot.lane, seed) : undefined;
  const hotBytes = settings === undefined ? 0 : hotSharedByteLength(settings, config.lanes);
  const arena = Arena.create(tables + hotBytes + SLACK_BYTES);
  return {
    arena,
    capacity,
    steerOffset: arena.allocate(steerBytes),
    neighboursOffset: arena.allocate(neighboursByteLength(nodesMax)),
    gateOffset: arena.allocate(gateBytes),
    nodeNamesOffset: arena.allocate(nameBytes),
    healthOffset: arena.allocate(healthBytes),
    handoverOffset: arena.allocate(handover),
    clientsOffset: arena.allocate(clientBytes),
    hot: settings && hotShared(settings, config.lanes, arena.allocate(hotBytes, HOT_ALIGNMENT)),
  };
}

function seeded(settings: HotSettings, seed: number): HotSettings {
  const { name, options, instant } = settings.detector;
  return { ...settings, detector: { name, options: { ...options, seed }, instant: { ...instant, seed } } };
}

/** What a port of a lane needs: slots in its receive ring, and the MTU they must hold. */
export interface PortMemory {
  readonly transport: Transport;
  readonly ringFrames: number;
  readonly mtu: number;
  readonly faults?: unknown;
}

export function planLaneMemory(config: Config, nodesMax: number, ports: readonly PortMemory[]): LaneArena {
  const slots = slotTableByteLength(config.slots.count);
  const mtuMax = Math.max(...ports.map(({ mtu }) => mtu));
  const frameBytesMax = mtuMax + PARKED_EXTRA_BYTES;
  const parking = Parking.byteLength(config.neighbours.queueFrames, frameBytesMax);
  const { enabled: isHot, lane: hotLane } = config.hot;
  const hot = isHot ? Hot.byteLength(hotLane.operations, hotLane.waiting, frameBytesMax) : 0;
  const rings = ports.reduce((sum, port) => sum + ringBytes(port), 0);
  const sources = sourceTableByteLength(config.gatekeeper.sources);
  const fragments = Fragments.byteLength(config.fragments.datagrams);
  const mail = mailByteLength(config.lanes);
  const counters = laneCountersByteLength() + nodeCountersByteLength(nodesMax) + latencyByteLength();
  // Untouched pages cost nothing, and most are: only meta and binary reads leave a note.
  const missNotes = config.slots.count * NOTE_BYTES;
  const gathers = gathersByteLength(multigetSetup(config));
  const arena = Arena.create(
    slots +
      missNotes +
      sources +
      parking +
      gathers +
      fragments +
      mail +
      hot +
      rings +
      counters +
      BATCH_BYTES +
      2 * OUTBOX_BYTES +
      HOLDING_BYTES +
      CONTROL_BYTES +
      SLACK_BYTES,
  );
  return {
    arena,
    slotsOffset: arena.allocate(slots),
    parkingOffset: arena.allocate(parking),
    countersOffset: arena.allocate(laneCountersByteLength()),
    nodeCountersOffset: arena.allocate(nodeCountersByteLength(nodesMax)),
    latencyOffset: arena.allocate(latencyByteLength()),
    controlOffset: arena.allocate(CONTROL_BYTES),
    batchOffset: arena.allocate(BATCH_BYTES),
    outboxOffset: arena.allocate(2 * OUTBOX_BYTES),
    holdingOffset: arena.allocate(HOLDING_BYTES),
    sourcesOffset: arena.allocate(sources),
    gathersOffset: arena.allocate(gathers),
    missNotesOffset: arena.allocate(missNotes),
    fragmentsOffset: arena.allocate(fragments),
    mailOffset: arena.allocate(mail),
    hotOffset: arena.allocate(hot),
  };
}

function ringBytes({ transport, ringFrames, mtu, faults }: PortMemory): number {
  return portByteLength(transport, ringFrames, mtu, faults !== undefined);
}

/** Multi-key requests, as a lane is told of them. */
export function multigetSetup({ multiget }: Config): MultigetSetup {
  const { gathers, keysMax, bufferBytes, timeoutMs } = multiget;
  return { gathers, keysMax, chunks: chunksFor(bufferBytes), timeoutMs };
}
