/** A keeper with lanes that do what the test says: memory as theirs, their words turned by hand. */
import { ITEM_KEY_AT, ITEM_KEY_LENGTH, itemWord } from '../../../src/cache/items.ts';
import { Lookup } from '../../../src/cache/layers.ts';
import * as directory from '../../../src/coherence/directory.ts';
import { loadConfig } from '../../../src/control/config/load.ts';
import { Keeper, TICK_MS } from '../../../src/control/hot/keeper.ts';
import type { PlacedNode, Placement } from '../../../src/control/hot/placement.ts';
import type { HotControlSettings } from '../../../src/control/hot/settings.ts';
import {
  CANDIDATE_HASH,
  CANDIDATE_INSTANT,
  CANDIDATE_KEY,
  CANDIDATE_KEY_LENGTH,
  CANDIDATE_ROWS,
  CANDIDATE_WORDS,
  COUNTS_WORDS,
  type HotSetup,
  hotShared,
  hotSharedByteLength,
  ORDER_DEMOTE,
  ORDER_ITEM,
  ORDER_KIND,
  ORDER_PROMOTE,
  ORDER_ROWS,
  ORDER_WORDS,
  perLane,
} from '../../../src/dataplane/hot/setup.ts';
import type { Detector } from '../../../src/hotkey/detector.ts';
import { openDetector } from '../../../src/hotkey/detectors.ts';
import { Arena } from '../../../src/mem/arena.ts';
import { hashKey } from '../../../src/mem/murmur3.ts';
import { Ring } from '../../../src/mem/ring.ts';

export interface Order {
  readonly kind: number;
  readonly item: number;
}

export class FakeLane {
  beat = 0;
  isRunning = true;
  restarts = 0;
  /** Whether it turns cycles, and what it makes of orders. */
  isStalled = false;
  drains = true;
  readonly detector: Detector;
  readonly lookup: Lookup;
  readonly taken: Order[] = [];
  readonly #shared: Arena;
  readonly #area: Omit<HotSetup, 'laneOffset'>;
  readonly #orders: Ring;
  readonly #candidates: Ring;
  readonly #counts: number;

  constructor(shared: Arena, area: Omit<HotSetup, 'laneOffset'>, lane: number) {
    const place = perLane(area, lane);
    this.#shared = shared;
    this.#area = area;
    this.detector = openDetector(area.detector.name, shared.words, place.detectorOffset >> 2, area.detector.options);
    this.lookup = new Lookup(shared.words, area.layersOffset >> 2);
    this.#orders = new Ring(shared.words, place.ordersOffset >> 2, ORDER_ROWS, ORDER_WORDS);
    this.#candidates = new Ring(shared.words, place.candidatesOffset >> 2, CANDIDATE_ROWS, CANDIDATE_WORDS);
    this.#counts = place.countsOffset >> 2;
  }

  /** Requests for a key come; it says so when `says`. Those for an item are counted. */
  ask(key: string, reads: number, { writes = 0, says = true, isInstant = false } = {}): void {
    const bytes = Buffer.from(key, 'latin1');
    const hash = hashOf(key);
    for (let left = reads + writes; left > 0; left -= 1000) this.detector.update(hash, Math.min(left, 1000));
    const item = this.lookup.find(hash);
    if (item >= 0) {
      this.#shared.words[this.#counts + item * COUNTS_WORDS]! += reads;
      this.#shared.words[this.#counts + item * COUNTS_WORDS + 1]! += writes;
    } else if (says) {
      this.say(bytes, hash, isInstant);
    }
  }

  say(key: Buffer, hash: number, isInstant: boolean): void {
    const at = this.#candidates.claim();
    if (at < 0) return;
    const { words, bytes } = this.#shared;
    words[at + CANDIDATE_HASH] = hash;
    words[at + CANDIDATE_INSTANT] = isInstant ? 1 : 0;
    words[at + CANDIDATE_KEY_LENGTH] = key.length;
    bytes.set(key, (at + CANDIDATE_KEY) << 2);
    this.#candidates.publish();
  }

  /** Two cycles: orders are carried out. */
  turn(): void {
    if (!this.isRunning || this.isStalled) return;
    this.beat += 2;
    for (let row = this.#orders.peek(); row >= 0; row = this.#orders.peek()) {
      const order = { kind: this.#shared.words[row + ORDER_KIND]!, item: this.#shared.words[row + ORDER_ITEM]! };
      this.#orders.release();
      this.taken.push(order);
      this.#carryOut(order);
    }
  }

  #carryOut({ kind, item }: Order): void {
    const state = itemWord(this.#area.itemsOffset >> 2, item) + directory.STATE;
    const { words } = this.#shared;
    if (kind === ORDER_PROMOTE) words[state] = this.drains ? directory.CLEAN | directory.VALUED : directory.FREE;
    if (kind === ORDER_DEMOTE) words[state] = directory.FREE;
  }
}

export class KeeperBed {
  readonly keeper: Keeper;
  readonly lanes: FakeLane[];
  readonly shared: Arena;
  readonly area: Omit<HotSetup, 'laneOffset'>;
  readonly nodes: PlacedNode[] = ['mc1', 'mc2', 'mc3'].map((name, row) => ({ row, name, weight: 1, available: true }));
  readonly requests = [0, 0, 0];
  nowMs = 1000;
  #random = 1;

  /** @param hot section of the file, as it stands there */
  constructor(hot = '{}', lanes = 2) {
    const settings = hotSettings(hot);
    this.shared = Arena.create(hotSharedByteLength(settings.lane, lanes) + 256);
    this.area = hotShared(settings.lane, lanes, this.shared.allocate(hotSharedByteLength(settings.lane, lanes), 128));
    this.lanes = [];
    const placement: Placement = {
      nodes: () => this.nodes,
      requests: row => this.requests[row]!,
      places: (_key, hash, count) => [0, 1, 2].map(step => ((hash >>> 0) + step) % 3).slice(0, count),
      rowOfTag: tag => (tag & 0xffff) - 1,
    };
    this.keeper = new Keeper({
      shared: this.shared,
      area: this.area,
      settings,
      lanes: {
        beat: lane => this.lanes[lane]!.beat,
        isRunning: lane => this.lanes[lane]!.isRunning,
        restarts: lane => this.lanes[lane]!.restarts,
      },
      placement,
      random: () => {
        this.#random = (Math.imul(this.#random, 1664525) + 1013904223) | 0;
        return this.#random;
      },
    });
    for (let lane = 0; lane < lanes; lane++) this.lanes.push(new FakeLane(this.shared, this.area, lane));
  }

  /** Time passes: ticks, with lanes' turns between. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += TICK_MS) {
      this.nowMs += TICK_MS;
      this.keeper.tick(this.nowMs);
      for (const lane of this.lanes) lane.turn();
    }
  }

  /** Epochs pass; before each, `during` says what comes in. Lanes end theirs, too. */
  epochs(count: number, during: () => void = () => {}): void {
    for (let epoch = 0; epoch < count; epoch++) {
      during();
      this.pass(this.area.epochMs);
      for (const { detector } of this.lanes) detector.decay();
    }
  }

  itemOf(key: string): number {
    return this.keeper.find(Buffer.from(key, 'latin1'));
  }

  /** Name of the item's state; 'none' when the key has no item. */
  state(key: string): string {
    const item = this.itemOf(key);
    return item < 0 ? 'none' : directory.STATE_NAMES[this.word(item, directory.STATE) & directory.STATE_MASK]!;
  }

  word(item: number, word: number): number {
    return this.shared.words[itemWord(this.area.itemsOffset >> 2, item) + word]!;
  }

  setWord(item: number, word: number, value: number): void {
    this.shared.words[itemWord(this.area.itemsOffset >> 2, item) + word] = value;
  }

  /** Key as the record has it. */
  keyIn(item: number): string {
    const at = itemWord(this.area.itemsOffset >> 2, item) << 2;
    const from = at + ITEM_KEY_AT;
    return Buffer.from(this.shared.bytes.slice(from, from + this.word(item, ITEM_KEY_LENGTH))).toString('latin1');
  }
}

/** Epochs of a second, and a share that few keys reach, unless the section says otherwise. */
export function hotSettings(hot: string): HotControlSettings {
  const own = hot.replace(/^\{\s*|\s*\}$/g, '');
  const said = (field: string, value: string) => (own.includes(`${field}:`) ? [] : [`${field}: ${value}`]);
  const fields = [...said('epoch_ms', '1000'), ...said('share', '0.0001'), ...said('error', '0.00001')];
  return loadConfig(
    `vip: 10.77.0.100
ports: { client: { interface: cl0, address: 10.77.0.1/24 } }
nodes: [{ name: mc1, address: 10.77.0.11 }]
hot: { ${[...fields, ...(own === '' ? [] : [own])].join(', ')} }`,
    'f.yaml',
  ).hot;
}

export function hashOf(key: string): number {
  const bytes = Buffer.from(key, 'latin1');
  return hashKey(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
}
