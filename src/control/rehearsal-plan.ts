/** The memory in which a lane rehearses (dataplane/rehearsal.ts): a lane's own, but for sizes, and filled as a conductor would. */
import { Layers } from '../cache/layers.ts';
import { REHEARSAL_NODE_MAC, type RehearsalSetup } from '../dataplane/rehearsal.ts';
import { sourceRanges } from '../dataplane/source-ranges.ts';
import { describeRehearsal } from '../port/rehearsal.ts';
import type { Config } from './config/normalise.ts';
import { admitItem, orderPromotion } from './hot/items.ts';
import { planLaneMemory, planSharedMemory, type SharedMemory } from './memory-plan.ts';
import { type Instance, pathSetup } from './path-setup.ts';
import { publishTables } from './publish-tables.ts';

const RING_FRAMES = 256;
const MTU = 1500;
const SLOTS = 4096;
const SOURCES = 1024;
const DATAGRAMS = 4;
const BUFFER_BYTES = 1 << 20;
const HOT_ITEMS = 64;
const L1_ITEMS = 16;
const HOT_KEY = 'rehearsal:hot';
const HOT_ITEM = 0;
const SCORE = 1000;
/** Between the two ends of the wires nothing is held back. */
const LIFE_MS = 50;
const PORT_MAC_HIGH = 0x0200;
const PORT_MAC_LOW = 0x10;
/** Next hops that are known stay so. */
const FOR_EVER_S = 1_000_000;
const INSTANCE: Instance = { sourceSeeds: [1, 2], version: '', lanes: [], pid: 0, timeOrigin: 0 };

/** @param ms how long the rehearsal takes */
export function planRehearsal(config: Config, ms: number): RehearsalSetup {
  const small = smallOf(config);
  const ports = config.ports.server ? ['client', 'server'] : ['client'];
  const shared = planSharedMemory(small, small.nodes.length);
  const place = { transport: 'af_packet', ringFrames: RING_FRAMES, mtu: MTU } as const;
  const memory = planLaneMemory(
    small,
    small.nodes.length,
    ports.map(() => place),
  );
  publishTables(small, shared, REHEARSAL_NODE_MAC);
  if (shared.hot !== undefined) promote(shared, shared.hot, config.hot.cache);
  return {
    path: pathSetup(small, 0, memory, shared, INSTANCE),
    arena: memory.arena.buffer,
    shared: shared.arena.buffer,
    batchOffset: memory.batchOffset,
    ports: ports.map((name, id) =>
      describeRehearsal(memory.arena, RING_FRAMES, {
        id,
        name,
        macHigh: PORT_MAC_HIGH,
        macLow: PORT_MAC_LOW + id,
      }),
    ),
    hotKey: HOT_KEY,
    ms,
  };
}

/** Whoever asks may, what he likes and as much; one lane; tables of a size that does not matter. */
function smallOf(config: Config): Config {
  const { gatekeeper, slots, hot, neighbours, commands, multiget, fragments } = config;
  return {
    ...config,
    lanes: 1,
    slots: { ...slots, count: Math.min(slots.count, SLOTS) },
    commands: { ...commands, deny: [] },
    multiget: { ...multiget, bufferBytes: Math.min(multiget.bufferBytes, BUFFER_BYTES) },
    fragments: { ...fragments, datagrams: Math.min(fragments.datagrams, DATAGRAMS) },
    gatekeeper: {
      ...gatekeeper,
      sources: Math.min(gatekeeper.sources, SOURCES),
      ranges: sourceRanges([], []),
      requestsPerSecond: 0,
      responseBytesPerSecond: 0,
      responseRatioMax: 0,
    },
    neighbours: { ...neighbours, lifetimeS: FOR_EVER_S },
    hot: { ...hot, lane: { ...hot.lane, items: HOT_ITEMS, l1Items: L1_ITEMS, lifeMs: LIFE_MS } },
  };
}

function promote({ arena }: SharedMemory, area: NonNullable<SharedMemory['hot']>, cached: boolean): void {
  const layers = new Layers(arena.words, area.layersOffset >> 2, area, () => 1);
  admitItem(arena, area, layers, HOT_ITEM, Buffer.from(HOT_KEY), SCORE, 0, { cached, copies: 1 });
  orderPromotion(arena, area, HOT_ITEM, 0);
}
