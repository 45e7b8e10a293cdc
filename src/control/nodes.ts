/**
 * The node directory: which node has which row. A row is what slots, counters and the lanes' tables know a node by, so a
 * node keeps its row as long as it is configured, whatever comes and goes around it.
 *
 *     FREE ─prepare→ JOINING ─commit→ MEMBER ─commit without it→ LEAVING ─reply lifetime over→ FREE
 *                    JOINING ─abandon→ FREE                      LEAVING ─prepare, commit with it→ MEMBER
 *     forbidden: LEAVING → FREE while a lane may be in an older table, or a slot of one may still be answered
 *
 * A node is the same if its name, address and port are. Who joins anew starts with figures of zero: lanes alone write
 * their counters, so what a row had counted before is remembered here and subtracted.
 */
import type { SteerNode } from '../steer/nodes.ts';
import type { NodeConfig } from './config/normalise.ts';
import type { NextHops } from './next-hops.ts';

/** A node of the directory. Its flags outlive reloads. */
export interface DirectoryNode {
  readonly row: number;
  /** Row of the neighbour table. */
  readonly neighbour: number;
  /** What the row had counted when the node took it. */
  readonly base: Float64Array;
  config: NodeConfig;
  /** Set by health: false sends its keys to their successors. */
  available: boolean;
  /** Why it is not. */
  reason: string;
  /** Set by the admin: as not available, until enabled again. */
  drained: boolean;
  /** Requests that no answer came for in time, as far as known: figures.ts. */
  unanswered: number;
}

/** What a reload is about to make of the directory. */
export interface PreparedNodes {
  /** In the order of the configuration. */
  readonly nodes: readonly DirectoryNode[];
  readonly configs: readonly NodeConfig[];
  readonly joining: readonly DirectoryNode[];
  readonly returning: readonly DirectoryNode[];
}

interface Leaver {
  readonly node: DirectoryNode;
  /** Time from which its row is free; not known while a lane may still steer to it. */
  freeAtMs: number | undefined;
}

/** Every row is somebody's, or was until a moment ago. */
export class RowsInUseError extends Error {
  override readonly name = 'RowsInUseError';
}

export class NodeDirectory {
  /** Those configured, in the order of the configuration. */
  nodes: readonly DirectoryNode[] = [];
  readonly #rowsMax: number;
  readonly #keepMs: number;
  readonly #hops: NextHops;
  readonly #countsOf: (row: number) => Float64Array;
  readonly #taken = new Set<number>();
  #leaving: Leaver[] = [];

  /**
   * @param keepMs how long after the lanes' last use of a row something may still come of it
   * @param countsOf what all lanes have counted in a row, ever
   */
  constructor(rowsMax: number, keepMs: number, hops: NextHops, countsOf: (row: number) => Float64Array) {
    this.#rowsMax = rowsMax;
    this.#keepMs = keepMs;
    this.#hops = hops;
    this.#countsOf = countsOf;
  }

  /** Rows that no new node can have: members, and those that left lately. */
  get rowsTaken(): number {
    return this.#taken.size;
  }

  find(name: string): DirectoryNode | undefined {
    return this.nodes.find(({ config }) => config.name === name);
  }

  at(row: number): DirectoryNode | undefined {
    return this.nodes.find(node => node.row === row);
  }

  /**
   * Seats these nodes; `commit` or `abandon` must follow before the next `prepare`.
   * @throws RowsInUseError with nothing changed
   */
  prepare(configs: readonly NodeConfig[]): PreparedNodes {
    const joining: DirectoryNode[] = [];
    const returning: DirectoryNode[] = [];
    try {
      const nodes = configs.map(config => this.#seat(config, joining, returning));
      return { nodes, configs, joining, returning };
    } catch (error) {
      this.#undo(joining, returning);
      throw error;
    }
  }

  /** The prepared nodes are the nodes. Those that are not among them leave. */
  commit({ nodes, configs, returning }: PreparedNodes): void {
    for (const node of returning) node.drained = false; // who puts it back into the file wants it back
    const staying = new Set(nodes);
    for (const node of this.nodes) if (!staying.has(node)) this.#leaving.push({ node, freeAtMs: undefined });
    for (const [position, node] of nodes.entries()) node.config = configs[position]!;
    this.nodes = nodes;
  }

  abandon({ joining, returning }: PreparedNodes): void {
    this.#undo(joining, returning);
  }

  /**
   * Frees the rows of nodes that left long enough ago.
   * @param lanesAreCurrent whether every lane uses the table last published
   */
  sweep(nowMs: number, lanesAreCurrent: boolean): void {
    for (const leaver of this.#leaving) if (lanesAreCurrent) leaver.freeAtMs ??= nowMs + this.#keepMs;
    const over = this.#leaving.filter(({ freeAtMs }) => freeAtMs !== undefined && freeAtMs <= nowMs);
    this.#leaving = this.#leaving.filter(leaver => !over.includes(leaver));
    for (const { node } of over) this.#free(node);
  }

  #seat(config: NodeConfig, joining: DirectoryNode[], returning: DirectoryNode[]): DirectoryNode {
    const member = this.nodes.find(node => isSame(node.config, config));
    if (member) return member;
    const left = this.#leaving.findIndex(({ node }) => isSame(node.config, config));
    if (left < 0) {
      joining.push(this.#join(config));
      return joining.at(-1)!;
    }
    const [{ node }] = this.#leaving.splice(left, 1) as [Leaver];
    returning.push(node);
    return node;
  }

  #join(config: NodeConfig): DirectoryNode {
    const row = this.#freeRow();
    if (row < 0) throw new RowsInUseError(this.#whyFull());
    const neighbour = this.#hops.take(config.nextHop);
    // Only when others have just been given back, and lane 0 has not wiped them yet.
    if (neighbour < 0) throw new RowsInUseError('there is no neighbour row for another next hop; try again');
    this.#taken.add(row);
    const base = this.#countsOf(row);
    return { row, neighbour, base, config, available: true, reason: '', drained: false, unanswered: 0 };
  }

  #freeRow(): number {
    for (let row = 0; row < this.#rowsMax; row++) if (!this.#taken.has(row)) return row;
    return -1;
  }

  #whyFull(): string {
    const seconds = Math.ceil(this.#keepMs / 1000);
    return (
      `there is no row for another node: ${this.#taken.size} of ${this.#rowsMax} are in use, ` +
      `${this.#leaving.length} of them by nodes that were removed less than ${seconds} s ago; try again then`
    );
  }

  #undo(joining: readonly DirectoryNode[], returning: readonly DirectoryNode[]): void {
    for (const node of joining) this.#free(node);
    for (const node of returning) this.#leaving.push({ node, freeAtMs: undefined });
  }

  #free(node: DirectoryNode): void {
    this.#taken.delete(node.row);
    this.#hops.give(node.neighbour);
  }
}

export function isSame(a: NodeConfig, b: NodeConfig): boolean {
  return a.name === b.name && a.address === b.address && a.port === b.port;
}

/** Whether it gets keys, now. */
export function takesKeys({ config, available, drained }: DirectoryNode): boolean {
  return config.weight > 0 && available && !drained;
}

/** The directory's nodes as the steering table has them. */
export function steerNodeOf({ row, neighbour, available, drained }: DirectoryNode, config: NodeConfig): SteerNode {
  const { address, port, weight, hashName } = config;
  return { address, port, weight, hashName, neighbour, row, available: available && !drained };
}
