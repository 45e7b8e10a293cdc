/** The health monitor between the lanes' counters and the node directory: what it reads there, and what it decides. */
import { NODE_COUNT, NODE_COUNTER_COUNT } from '../../dataplane/counters.ts';
import type { HealthBlock } from '../../dataplane/health-block.ts';
import type { Neighbours } from '../../dataplane/neighbours.ts';
import type { LaneMemoryView } from '../figures.ts';
import type { DirectoryNode } from '../nodes.ts';
import type { Steering } from '../steering.ts';
import { HealthMonitor, type NodeCensus, type NodeHealthFigures } from './monitor.ts';
import { HEALTH_NAMES, type HealthName, SUSPECT } from './node-health.ts';
import type { PoolTransition } from './pool.ts';
import type { HealthSettings } from './settings.ts';

/** A node that was taken out of steering, came back, or is down and had to stay. */
export interface HealthEvent {
  readonly node: string;
  readonly from: HealthName;
  readonly to: HealthName;
  readonly reason: string;
}

export class HealthWatch {
  /** Hears of every change in what nodes can be asked; not of mere suspicions. */
  listener: (event: HealthEvent) => void = () => {};
  readonly #steering: Steering;
  readonly #neighbours: Neighbours;
  readonly #lanes: readonly LaneMemoryView[];
  readonly #monitor: HealthMonitor;
  /** Rows of the nodes that the configuration gives keys to. */
  #keyed: ReadonlySet<number> = new Set();

  /** @param lanes may still be empty, and grows */
  constructor(
    settings: HealthSettings,
    block: HealthBlock,
    steering: Steering,
    neighbours: Neighbours,
    lanes: readonly LaneMemoryView[],
  ) {
    this.#steering = steering;
    this.#neighbours = neighbours;
    this.#lanes = lanes;
    this.#monitor = new HealthMonitor(
      settings,
      block,
      { set: (row, available, reason) => steering.setAvailability(row, available, reason) },
      () => steering.directory.nodes.map(node => this.#censusOf(node)),
      transition => this.#tell(transition),
    );
    this.#noteKeyed(steering.directory.nodes);
    steering.follow(nodes => this.#readmitNewcomers(nodes));
  }

  start(): void {
    this.#monitor.start();
  }

  /** Instead of `start`, for whoever has a clock of his own: one look; returns how long until the next, ms. */
  turn(nowMs: number): number {
    this.#monitor.tick(nowMs);
    return this.#monitor.tickMs;
  }

  stop(): void {
    this.#monitor.stop();
  }

  figures(row: number): NodeHealthFigures {
    return this.#monitor.figures(row);
  }

  /** Before a table that gives keys to this node again: it gets them once it was flushed. */
  readmit(node: DirectoryNode): void {
    if (this.#monitor.readmit(node.row)) node.available = false;
  }

  /**
   * A reload gives keys to nodes that had none: what they hold of them, if they were here before, is old.
   * @param nodes as they are from now on
   */
  #readmitNewcomers(nodes: readonly DirectoryNode[]): void {
    for (const node of nodes) if (node.config.weight > 0 && !this.#keyed.has(node.row)) this.readmit(node);
    this.#noteKeyed(nodes);
  }

  #noteKeyed(nodes: readonly DirectoryNode[]): void {
    this.#keyed = new Set(nodes.filter(({ config }) => config.weight > 0).map(({ row }) => row));
  }

  #censusOf({ row, config, drained, neighbour }: DirectoryNode): NodeCensus {
    // In gateway mode replies are signs of life, though nobody knows which request each is to: on both sides of the balance.
    const heard = this.#count(row, NODE_COUNT.replies);
    return {
      node: row,
      weight: drained ? 0 : config.weight,
      requests: this.#count(row, NODE_COUNT.requests) - this.#count(row, NODE_COUNT.silent_requests) + heard,
      replies: this.#count(row, NODE_COUNT.answered) + heard,
      resolved: !this.#neighbours.hasFailed(neighbour),
    };
  }

  /** One counter of a node, over all lanes; without its name, as this is asked a hundred times a second. */
  #count(row: number, counter: number): number {
    let sum = 0;
    for (const { memory } of this.#lanes) {
      const first = (memory.nodeCountersOffset >> 3) + row * NODE_COUNTER_COUNT;
      sum += memory.arena.floats[first + counter];
    }
    return sum;
  }

  #tell({ node, from, to, reason }: PoolTransition): void {
    const name = this.#steering.directory.at(node)?.config.name;
    if (name === undefined || Math.max(from, to) <= SUSPECT) return;
    this.listener({ node: name, from: HEALTH_NAMES[from], to: HEALTH_NAMES[to], reason });
  }
}
