/** The control side of the steering table: builds a ring and swaps it in. Lanes use lookup.ts on the same words. */

import {
  canWrite,
  generationByteLength,
  initGeneration,
  publishTable,
  spareTable,
  tableInUse,
} from '../mem/generation.ts';
import { KEY_HASH_IDS, KEY_HASHES } from './hash.ts';
import { type PackedPoints, plainPoints, pointNode, weightedPoints, writeKetama } from './ketama.ts';
import {
  KEY_HASH,
  NODE_ADDRESS,
  NODE_COUNT,
  NODE_ENABLED,
  NODE_FLAGS,
  NODE_NEIGHBOUR,
  NODE_PORT,
  NODE_ROW_SHIFT,
  NODE_ROWS,
  NODE_SLOTS,
  NODE_WEIGHT,
  NODES_LIMIT,
  ringWord,
  SLOT_COUNT,
  tableWords,
} from './layout.ts';
import { nodeAtSlot } from './lookup.ts';
import { maglevEntries, withSuccessors, writeMaglev } from './maglev.ts';
import {
  checkMaglevSize,
  MAGLEV_SIZE,
  MAGLEV_SIZE_LIMIT,
  type RingNode,
  ringNodes,
  rowOf,
  SteerConfigError,
  type SteerNode,
  type SteerOptions,
} from './nodes.ts';

/** Fixed at start: the shared block is carved once. */
export interface SteerCapacity {
  /** Rows of the node table, 1 to 1024. */
  readonly nodesMax: number;
  readonly lanesMax: number;
  /** Largest maglev table. Default 65537. */
  readonly maglevSizeMax?: number;
}

type RingWriter = (words: Int32Array, table: number) => void;

export class SteerTable {
  readonly words: Int32Array;
  /** What lanes hand to `enterTable` together with their number. */
  readonly base: number;
  readonly #nodesMax: number;
  readonly #maglevSizeMax: number;
  #wholeKey = '';
  #wholeRing: PackedPoints | Int32Array = new Int32Array(0);

  /** Bytes to allocate, aligned to 64. */
  static byteLength(capacity: SteerCapacity): number {
    return generationByteLength(capacity.lanesMax, halfWords(capacity));
  }

  /** @param byteOffset of a zeroed, 64-byte aligned region of `byteLength(capacity)` bytes. One SteerTable per region. */
  constructor(buffer: SharedArrayBuffer, byteOffset: number, capacity: SteerCapacity) {
    checkCapacity(capacity);
    this.words = new Int32Array(buffer);
    this.base = byteOffset >> 2;
    this.#nodesMax = capacity.nodesMax;
    this.#maglevSizeMax = capacity.maglevSizeMax ?? MAGLEV_SIZE;
    initGeneration(this.words, this.base, capacity.lanesMax, halfWords(capacity));
  }

  /** Word index of the table in use, for this thread only (`explain`, figures); lanes call `enterTable`. */
  get current(): number {
    return tableInUse(this.words, this.base);
  }

  /** Whether `publish` would go through now: every lane has moved on to the table in use. */
  get canPublish(): boolean {
    return canWrite(this.words, this.base);
  }

  /**
   * Builds the ring and puts the new table in use; lanes take it up at their next cycle.
   * Returns false, with nothing changed, while a lane still uses the table before the current one: try again in a
   * millisecond or so.
   * @param nodes in the order of the clients' server lists; rows that none of them names are empty
   * @throws SteerConfigError with nothing changed
   */
  publish(nodes: readonly SteerNode[], options: SteerOptions): boolean {
    if (nodes.length > this.#nodesMax) {
      throw new SteerConfigError('nodes', nodes.length, `there must be at most ${this.#nodesMax}`);
    }
    checkRows(nodes, this.#nodesMax);
    const out = new Set(nodes.flatMap((node, index) => (node.available === false ? [rowOf(node, index)] : [])));
    const writeRing = this.#build(ringNodes(nodes, options), options, row => !out.has(row));
    if (!this.canPublish) return false;
    const table = spareTable(this.words, this.base);
    this.words.fill(0, table, table + NODE_ROWS);
    this.words[table + KEY_HASH] = KEY_HASH_IDS[options.hash];
    writeNodes(this.words, table, nodes);
    writeRing(this.words, table);
    countSlots(this.words, table);
    publishTable(this.words, this.base);
    return true;
  }

  #build(ring: readonly RingNode[], options: SteerOptions, isAvailable: (node: number) => boolean): RingWriter {
    const ringAt = ringWord(this.#nodesMax);
    const size = options.maglevSize ?? MAGLEV_SIZE;
    if (options.algorithm === 'maglev') checkMaglevSize(size, ring, this.#maglevSizeMax);
    const left = ring.filter(({ node }) => isAvailable(node));
    if (left.length === 0) return () => {};
    const whole = this.#whole(ring, options, size);
    if (options.algorithm === 'maglev') {
      const entries = withSuccessors(whole as Int32Array, isAvailable) ?? maglevEntries(left, size);
      return (words, table) => writeMaglev(words, table, ringAt, entries);
    }
    const points = (whole as PackedPoints).filter(point => isAvailable(pointNode(point)));
    // Too light for a point of their own beside those that are out: then the ring is theirs.
    const some = points.length > 0 ? points : (buildWhole(left, options, size) as PackedPoints);
    return (words, table) => writeKetama(words, table, ringAt, some);
  }

  /** The ring with all nodes in. Kept, as the next publish often differs in who is available alone. */
  #whole(ring: readonly RingNode[], options: SteerOptions, size: number): PackedPoints | Int32Array {
    const key = JSON.stringify([ring, options]);
    if (this.#wholeKey !== key) {
      this.#wholeRing = buildWhole(ring, options, size);
      this.#wholeKey = key;
    }
    return this.#wholeRing;
  }
}

function buildWhole(ring: readonly RingNode[], options: SteerOptions, size: number): PackedPoints | Int32Array {
  if (options.algorithm === 'maglev') return maglevEntries(ring, size);
  return options.algorithm === 'ketama' ? weightedPoints(ring) : plainPoints(ring, KEY_HASHES[options.hash]);
}

/** A row that is out of range or given twice is a defect of the caller. */
function checkRows(nodes: readonly SteerNode[], nodesMax: number): void {
  const rows = new Set(nodes.map(rowOf));
  const inRange = [...rows].every(row => Number.isInteger(row) && row >= 0 && row < nodesMax);
  if (!inRange || rows.size !== nodes.length) {
    throw new RangeError(`rows must differ and lie within 0 to ${nodesMax - 1}: ${[...rows].join(' ')}`);
  }
}

function writeNodes(words: Int32Array, table: number, nodes: readonly SteerNode[]): void {
  const rows = 1 + Math.max(-1, ...nodes.map(rowOf));
  words[table + NODE_COUNT] = rows;
  words.fill(0, table + NODE_ROWS, table + NODE_ROWS + (rows << NODE_ROW_SHIFT));
  for (const [index, node] of nodes.entries()) {
    const row = table + NODE_ROWS + (rowOf(node, index) << NODE_ROW_SHIFT);
    words[row + NODE_ADDRESS] = node.address;
    words[row + NODE_PORT] = node.port;
    words[row + NODE_WEIGHT] = node.weight;
    words[row + NODE_FLAGS] = node.enabled === false ? 0 : NODE_ENABLED;
    words[row + NODE_NEIGHBOUR] = node.neighbour;
  }
}

function countSlots(words: Int32Array, table: number): void {
  for (let slot = 0; slot < words[table + SLOT_COUNT]!; slot++) {
    const row = table + NODE_ROWS + (nodeAtSlot(words, table, slot) << NODE_ROW_SHIFT);
    words[row + NODE_SLOTS] = words[row + NODE_SLOTS]! + 1;
  }
}

function halfWords({ nodesMax, maglevSizeMax }: SteerCapacity): number {
  return tableWords(nodesMax, maglevSizeMax ?? MAGLEV_SIZE);
}

function checkCapacity({ nodesMax, lanesMax, maglevSizeMax = MAGLEV_SIZE }: SteerCapacity): void {
  const whole = (value: number, max: number) => Number.isInteger(value) && value >= 1 && value <= max;
  if (!whole(nodesMax, NODES_LIMIT)) throw new RangeError(`nodesMax is ${nodesMax}; it must be 1 to ${NODES_LIMIT}`);
  if (!whole(lanesMax, 1024)) throw new RangeError(`lanesMax is ${lanesMax}; it must be 1 to 1024`);
  if (!whole(maglevSizeMax, MAGLEV_SIZE_LIMIT)) {
    throw new RangeError(`maglevSizeMax is ${maglevSizeMax}; it must be 1 to ${MAGLEV_SIZE_LIMIT}`);
  }
}
