/**
 * What a lane is told of hot keys, and the memory they need: plain data, posted to the worker with the rest.
 *
 * Shared by all lanes, one after another:
 *
 *     control    HOT_* words below
 *     items      cache/items.ts
 *     layers     L1 and L2, cache/layers.ts                                writer: keeper
 *     stores     cold stores under way, coherence/stores.ts                 writer: each lane its own
 *     per lane   orders (keeper → lane), candidates (lane → keeper), counts of reads and writes per item, detector
 */
import { itemsByteLength } from '../../cache/items.ts';
import { layersByteLength } from '../../cache/layers.ts';
import { storesByteLength } from '../../coherence/stores.ts';
import { type DetectorName, type DetectorOptions, detectorByteLength } from '../../hotkey/detectors.ts';
import { InstantDetector, type InstantOptions } from '../../hotkey/instant.ts';
import { ringByteLength } from '../../mem/ring.ts';

/** Words of the control block. */
export const HOT_CONTROL_BYTES = 128;
/** Moves on with every flush_all: values asked for before are void.       writer: lanes, atomically */
export const HOT_STAMP = 0;
/** flush_all under way: no value is taken over until they are done.       writer: lanes, atomically */
export const HOT_FLUSHING = 1;
/** ms: a flush_all with a delay is due then; no value is taken over before.   writer: lanes */
export const HOT_FLUSH_DUE = 2;
/** Lives that lanes have begun, so that no two of them draw the same nonces.   writer: lanes, atomically */
export const HOT_LIVES = 3;
/** Share of the requests that makes a key a candidate, as a number of detector counts.    writer: keeper, one word a lane */
export const HOT_THRESHOLDS = 8;
/** Behind the thresholds, ms: when a lane's last cycle began.             writer: lanes, one word each */
export function timeWord(lanes: number, lane: number): number {
  return HOT_THRESHOLDS + lanes + lane;
}
/** Behind these, ms: up to when all that a lane has sent was answered (answered.ts).    writer: lanes, one word each */
export function answeredWord(lanes: number, lane: number): number {
  return HOT_THRESHOLDS + 2 * lanes + lane;
}

/** A row of the orders. */
export const ORDER_WORDS = 4;
export const ORDER_KIND = 0;
export const ORDER_ITEM = 1;
export const ORDER_ROWS = 4096;
/** Let stores drain, then treat the key. */
export const ORDER_PROMOTE = 1;
/** Stop treating it: delete its copies, then say that it is FREE. */
export const ORDER_DEMOTE = 2;
/** The number of its copies has changed, or their lease wants renewal. */
export const ORDER_COPY = 3;

/** A row of the candidates: hash, estimate, 1 if it rose in an instant, key length, key. */
export const CANDIDATE_WORDS = 4 + 64;
export const CANDIDATE_HASH = 0;
export const CANDIDATE_ESTIMATE = 1;
export const CANDIDATE_INSTANT = 2;
export const CANDIDATE_KEY_LENGTH = 3;
export const CANDIDATE_KEY = 4;
export const CANDIDATE_ROWS = 512;

/** Reads and writes of an item, and those that waited for a write of it, as one lane counts them; one word unused. */
export const COUNTS_WORDS = 4;

export interface DetectorSetup {
  readonly name: DetectorName;
  readonly options: Partial<DetectorOptions>;
  readonly instant: InstantOptions;
}

export interface HotSettings {
  /** Keys that can be hot at a time; a power of two. */
  readonly items: number;
  readonly l1Items: number;
  readonly detector: DetectorSetup;
  /** Counts of requests are halved so often, ms. */
  readonly epochMs: number;
  /** L, the longest life of a datagram, ms. */
  readonly lifeMs: number;
  /** Copies on other nodes live so long, ms, unless renewed. */
  readonly leaseMs: number;
  /** A cached value is compared with its home so often, ms. */
  readonly refreshMs: number;
  /** Values are not served in the last ms of their time to live. */
  readonly ttlGuardMs: number;
  /** Operations of a lane's own under way. */
  readonly operations: number;
  /** Frames of a lane that may wait for a hot key. */
  readonly waiting: number;
}

export interface HotSetup extends HotSettings {
  readonly lanes: number;
  /** In the shared arena. */
  readonly controlOffset: number;
  readonly itemsOffset: number;
  readonly layersOffset: number;
  readonly storesOffset: number;
  /** The first lane's; those of lane n lie n · `perLaneBytes` behind. */
  readonly perLaneOffset: number;
  readonly perLaneBytes: number;
  /** In the lane's own arena: operations, then frames that wait. */
  readonly laneOffset: number;
}

export interface PerLane {
  readonly ordersOffset: number;
  readonly candidatesOffset: number;
  readonly countsOffset: number;
  readonly detectorOffset: number;
  readonly instantOffset: number;
}

export function perLane(
  setup: Pick<HotSetup, 'perLaneOffset' | 'perLaneBytes' | 'items' | 'detector'>,
  lane: number,
): PerLane {
  const ordersOffset = setup.perLaneOffset + lane * setup.perLaneBytes;
  const candidatesOffset = ordersOffset + lines(ringByteLength(ORDER_ROWS, ORDER_WORDS));
  const countsOffset = candidatesOffset + lines(ringByteLength(CANDIDATE_ROWS, CANDIDATE_WORDS));
  const instantOffset = countsOffset + lines(setup.items * COUNTS_WORDS * 4);
  const detectorOffset = (instantOffset + lines(InstantDetector.byteLength(setup.detector.instant)) + 127) & -128;
  return { ordersOffset, candidatesOffset, countsOffset, instantOffset, detectorOffset };
}

function perLaneByteLength(settings: HotSettings): number {
  const { detectorOffset } = perLane({ ...settings, perLaneOffset: 0, perLaneBytes: 0 }, 0);
  const { name, options } = settings.detector;
  return (detectorOffset + detectorByteLength(name, options) + 127) & -128;
}

/** Bytes of the shared arena. */
export function hotSharedByteLength(settings: HotSettings, lanes: number): number {
  return hotShared(settings, lanes, 0).perLaneOffset + lanes * perLaneByteLength(settings);
}

/** Where it all lies, from `offset` (a multiple of 64) on. */
export function hotShared(settings: HotSettings, lanes: number, offset: number): Omit<HotSetup, 'laneOffset'> {
  const itemsOffset = offset + HOT_CONTROL_BYTES + lines(3 * lanes * 4);
  const layersOffset = itemsOffset + itemsByteLength(settings.items);
  const storesOffset = layersOffset + lines(layersByteLength(settings));
  const perLaneOffset = (storesOffset + storesByteLength(lanes) + 127) & -128;
  return {
    ...settings,
    lanes,
    controlOffset: offset,
    itemsOffset,
    layersOffset,
    storesOffset,
    perLaneOffset,
    perLaneBytes: perLaneByteLength(settings),
  };
}

function lines(bytes: number): number {
  return (bytes + 63) & -64;
}
