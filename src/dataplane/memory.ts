/** The views of one lane's memory, made once: everything that handles frames gets this. */
import type { Arena } from '../mem/arena.ts';
import { countersAt, countersByteLength } from '../mem/counters.ts';
import { LANE_COUNTERS, NODE_COUNTER_COUNT } from './counters.ts';

export class LaneMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Int32Array;
  readonly counters: Float64Array;
  /** `NODE_COUNTER_COUNT` counters for each row of the node table. */
  readonly nodeCounters: Float64Array;

  constructor(arena: Arena, countersOffset: number, nodeCountersOffset: number, nodesMax: number) {
    this.bytes = arena.bytes;
    this.view = arena.view;
    this.words = arena.words;
    this.counters = countersAt(arena.buffer, countersOffset, LANE_COUNTERS);
    this.nodeCounters = new Float64Array(arena.buffer, nodeCountersOffset, nodesMax * NODE_COUNTER_COUNT);
  }

  count(counter: number): void {
    this.counters[counter] += 1;
  }
}

export function laneCountersByteLength(): number {
  return countersByteLength(LANE_COUNTERS);
}

export function nodeCountersByteLength(nodesMax: number): number {
  return nodesMax * NODE_COUNTER_COUNT * 8;
}
