/**
 * Where keys go: the nodes, their rows, and the table that lanes steer by. All that changes it comes through here, and
 * ends in one table after another; lanes take up each at their next cycle.
 */
import { NEIGHBOUR_STATE_NAMES, type Neighbours } from '../dataplane/neighbours.ts';
import { nodeSlots, slotCount } from '../steer/lookup.ts';
import type { SteerCapacity, SteerTable } from '../steer/table.ts';
import { type Clock, PROCESS_CLOCK } from './clock.ts';
import type { Config } from './config/normalise.ts';
import { NextHops } from './next-hops.ts';
import { type DirectoryNode, NodeDirectory, steerNodeOf, takesKeys } from './nodes.ts';

/** How often to look whether the lanes have moved on, or a next hop was found, ms. */
const POLL_MS = 1;
/** How long lanes have to move on from the table before: many times their longest sleep, ms. */
const SWAP_MS_MAX = 2000;
/** What the row of a node that left may be needed for beyond reply lifetime and ARP, ms: a lane's start after a crash. */
const KEEP_MARGIN_MS = 1000;

/** A name that no node has. */
export class UnknownNodeError extends Error {
  override readonly name = 'UnknownNodeError';
}

/** A node that no other could stand in for. */
export class NodeChoiceError extends Error {
  override readonly name = 'NodeChoiceError';
}

/** Some lane does not turn: it keeps the table before the one in use, which must not be overwritten. */
export class TableBusyError extends Error {
  override readonly name = 'TableBusyError';
}

type Options = Config['steering'];

export class Steering {
  readonly directory: NodeDirectory;
  readonly table: SteerTable;
  readonly #neighbours: Neighbours;
  readonly #arpMs: number;
  readonly #clock: Clock;
  readonly #followers: ((nodes: readonly DirectoryNode[]) => void)[] = [];
  #options: Options;
  #waiting: Promise<void> | undefined;
  #stopped = false;

  /**
   * Publishes the first table.
   * @param countsOf what all lanes have counted in a row, ever
   */
  constructor(
    config: Config,
    table: SteerTable,
    neighbours: Neighbours,
    capacity: SteerCapacity,
    countsOf: CountsOf,
    clock: Clock = PROCESS_CLOCK,
  ) {
    const { slots, neighbours: arp, nodes, steering } = config;
    this.table = table;
    this.#clock = clock;
    this.#neighbours = neighbours;
    this.#options = steering;
    this.#arpMs = (arp.retries + 1) * arp.retryMs;
    const keepMs = slots.replyLifetimeMs + this.#arpMs + KEEP_MARGIN_MS;
    const hops = new NextHops(neighbours, capacity.nodesMax);
    this.directory = new NodeDirectory(capacity.nodesMax, keepMs, hops, countsOf);
    this.directory.commit(this.directory.prepare(nodes));
    this.#put();
  }

  get options(): Options {
    return this.#options;
  }

  /** Hears of the nodes at each reload, before a table names them: what it sets on them is in that table. */
  follow(follower: (nodes: readonly DirectoryNode[]) => void): void {
    this.#followers.push(follower);
  }

  /**
   * Health: whether the node of this row gets keys. Without, they go to its successors, and come back with it.
   * @returns a promise of the table that has it so; need not be awaited
   */
  setAvailability(row: number, available: boolean, reason: string): Promise<void> {
    const node = this.directory.at(row);
    if (node === undefined) return Promise.resolve(); // removed meanwhile
    node.reason = reason;
    if (node.available === available) return Promise.resolve();
    node.available = available;
    return this.#publish();
  }

  /**
   * The admin: takes a node out of the ring without any other key moving, or puts it back in.
   * @throws UnknownNodeError, or NodeChoiceError for the last one that takes keys
   */
  setDrained(name: string, drained: boolean): Promise<void> {
    const node = this.directory.find(name);
    if (node === undefined) {
      const names = this.directory.nodes.map(({ config }) => config.name).join(', ');
      throw new UnknownNodeError(`there is no node ${JSON.stringify(name)}; there are ${names}`);
    }
    if (drained && this.directory.nodes.every(other => other === node || !takesKeys(other))) {
      throw new NodeChoiceError(`${name} is the last node that takes keys; without it every request would be refused`);
    }
    if (node.drained === drained) return Promise.resolve();
    node.drained = drained;
    return this.#publish();
  }

  /**
   * Swaps in the nodes and the ring of `config`. Next hops that are new are resolved first, so that the first requests
   * for them need not wait. Resolves, once every lane steers by it, to the names of new nodes whose next hop is silent.
   * @throws RowsInUseError, TableBusyError with nothing changed
   */
  async adopt(config: Config): Promise<string[]> {
    const prepared = this.directory.prepare(config.nodes);
    try {
      await this.#until(() => prepared.joining.every(node => this.#isSettled(node)), this.#arpMs);
      await this.#untilFree();
    } catch (error) {
      this.directory.abandon(prepared);
      throw error;
    }
    this.directory.commit(prepared);
    this.#options = config.steering;
    for (const follower of this.#followers) follower(this.directory.nodes);
    this.#put();
    await this.#until(() => this.table.canPublish, SWAP_MS_MAX);
    const silent = prepared.joining.filter(({ neighbour }) => !this.#neighbours.isUsable(neighbour));
    return silent.map(({ config: { name } }) => name);
  }

  /** Now and then: what nobody needs any more is freed. */
  sweep(nowMs: number): void {
    this.directory.sweep(nowMs, this.table.canPublish);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** State of the node's next hop, as ARP knows it. */
  neighbourOf({ neighbour }: DirectoryNode): string {
    return NEIGHBOUR_STATE_NAMES[this.#neighbours.state(neighbour)];
  }

  /** Share of the ring's slots that the node holds now: about its share of the keys. */
  slotShare({ row }: DirectoryNode): number {
    const { words, current } = this.table;
    const slots = slotCount(words, current);
    return slots === 0 ? 0 : nodeSlots(words, current, row) / slots;
  }

  /** A table of the directory as it is now, at once where the lanes allow it. */
  #publish(): Promise<void> {
    if (this.#waiting === undefined && this.table.canPublish) {
      this.#put();
      return Promise.resolve();
    }
    this.#waiting ??= this.#putWhenFree();
    return this.#waiting;
  }

  async #putWhenFree(): Promise<void> {
    do await this.#clock.sleep(POLL_MS);
    while (!this.#stopped && !this.table.canPublish);
    this.#waiting = undefined; // whoever comes from here on is not in this table
    if (!this.#stopped) this.#put();
  }

  #put(): void {
    const nodes = this.directory.nodes.map(node => steerNodeOf(node, node.config));
    if (!this.table.publish(nodes, this.#options)) throw new TableBusyError('the table is still in use');
  }

  /** No other table may come between this and what follows, so the last look is not followed by a wait. */
  async #untilFree(): Promise<void> {
    while (!this.table.canPublish) {
      if (await this.#until(() => this.table.canPublish, SWAP_MS_MAX)) continue;
      throw new TableBusyError('a lane does not take up the table in use; see `keysteer status`');
    }
  }

  #isSettled({ neighbour }: DirectoryNode): boolean {
    return this.#neighbours.isUsable(neighbour) || this.#neighbours.hasFailed(neighbour);
  }

  async #until(holds: () => boolean, ms: number): Promise<boolean> {
    const endMs = this.#clock.now() + ms;
    while (!holds()) {
      if (this.#stopped || this.#clock.now() > endMs) return false;
      await this.#clock.sleep(POLL_MS);
    }
    return true;
  }
}

type CountsOf = (row: number) => Float64Array;
