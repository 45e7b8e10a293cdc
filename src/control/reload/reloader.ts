/**
 * Reads the configuration file again and puts it in force, or says why not and changes nothing. One reload at a time;
 * those that come meanwhile wait their turn.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { NODES_LIMIT } from '../../steer/layout.ts';
import { SteerTable } from '../../steer/table.ts';
import type { Conductor } from '../conductor.ts';
import type { ConfigFlags } from '../config/flags.ts';
import { type Finding, sentence } from '../config/issues.ts';
import { loadConfig } from '../config/load.ts';
import type { Config, NodeConfig } from '../config/normalise.ts';
import { isSame, steerNodeOf } from '../nodes.ts';
import { type Changes, changesBetween, isLive, isNothing } from './changes.ts';
import { movedShare } from './moved-keys.ts';

/** Reloads under way and waiting; who asks faster than they are done is turned away. */
const WAITING_MAX = 16;

/** Where the configuration came from, and comes from again. */
export interface ConfigSource {
  /** Absent when the flags said everything. */
  readonly path?: string;
  readonly flags: ConfigFlags;
}

/** What a reload did, or would do. */
export interface ReloadReport {
  readonly file: string;
  readonly dryRun: boolean;
  readonly changes: Changes;
  /** 0 … 1, of all keys. */
  readonly movedShare: number;
  /** New nodes whose next hop does not answer ARP. */
  readonly silentNodes: readonly string[];
  readonly ms: number;
}

/** What became of the reloads so far. */
export interface ReloadFigures {
  readonly applied: number;
  readonly refused: number;
  /** Of the last that was no dry run; ISO 8601. */
  readonly lastAt?: string;
  /** Why it was refused; absent when it was applied. */
  readonly lastError?: string;
}

export type ReloadListener = (outcome: ReloadReport | Error) => void;

/** A reload that cannot be, whatever the file says. */
export class ReloadError extends Error {
  override readonly name = 'ReloadError';
}

export class Reloader {
  readonly source: ConfigSource;
  readonly #conductor: Conductor;
  readonly #listener: ReloadListener;
  #scratch: SteerTable | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #applied = 0;
  #refused = 0;
  #lastAt: string | undefined;
  #lastError: string | undefined;

  /** @param listener hears what became of each reload that was no dry run, whoever asked for it */
  constructor(conductor: Conductor, source: ConfigSource, listener: ReloadListener = () => {}) {
    this.#conductor = conductor;
    this.source = source;
    this.#listener = listener;
  }

  /** Of the file; undefined when there is none. */
  get absolutePath(): string | undefined {
    return this.source.path === undefined ? undefined : resolve(this.source.path);
  }

  get figures(): ReloadFigures {
    return {
      applied: this.#applied,
      refused: this.#refused,
      ...(this.#lastAt === undefined ? {} : { lastAt: this.#lastAt }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  /**
   * @param options.dryRun only says what would change
   * @throws ConfigError, ReloadError, RowsInUseError, TableBusyError, or the file system's error; nothing has changed then
   */
  async reload({ dryRun = false } = {}): Promise<ReloadReport> {
    if (this.#waiting >= WAITING_MAX) throw new ReloadError(`${WAITING_MAX} reloads are under way already; try again`);
    this.#waiting++;
    const mine = this.#turn.then(() => (dryRun ? this.#plan(true) : this.#apply()));
    this.#turn = mine.catch(() => {});
    return mine.finally(() => this.#waiting--);
  }

  async #apply(): Promise<ReloadReport> {
    try {
      const report = await this.#plan(false);
      this.#note(undefined);
      this.#listener(report);
      return report;
    } catch (error) {
      const refusal = error instanceof Error ? error : new Error(String(error));
      this.#note(refusal.message);
      this.#listener(refusal);
      throw error;
    }
  }

  #note(error: string | undefined): void {
    this.#lastAt = new Date().toISOString();
    this.#lastError = error;
    if (error === undefined) this.#applied++;
    else this.#refused++;
  }

  async #plan(dryRun: boolean): Promise<ReloadReport> {
    const startedMs = performance.now();
    const { path, config } = this.#read();
    const changes = changesBetween(this.#conductor.config, config);
    const moved = this.#movedShare(config);
    const silentNodes = dryRun || isNothing(changes) ? [] : await this.#conductor.adopt(config);
    return { file: path, dryRun, changes, movedShare: moved, silentNodes, ms: performance.now() - startedMs };
  }

  #read(): { path: string; config: Config } {
    const { path, flags } = this.source;
    if (path === undefined) {
      throw new ReloadError('this instance was started from flags alone: there is no file to read again');
    }
    const config = loadConfig(readFileSync(path, 'utf8'), path, flags, wanted => this.#fixedFields(wanted));
    return { path, config };
  }

  #fixedFields(wanted: Config): Finding[] {
    return changesBetween(this.#conductor.config, wanted)
      .settings.filter(({ path }) => !isLive(path))
      .map(({ path, from, to }) => {
        const rule = `cannot change while Keysteer runs (in force: ${JSON.stringify(from) ?? 'none'}): that needs a restart`;
        return { path, part: 'value', value: to, message: sentence(path, to, rule) };
      });
  }

  /** Also the proof that a table can be made of it. */
  #movedShare(config: Config): number {
    const { table } = this.#conductor.steering;
    const capacity = { nodesMax: NODES_LIMIT, lanesMax: 1 };
    this.#scratch ??= new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(capacity)), 0, capacity);
    this.#scratch.publish(
      config.nodes.map((node, row) => ({ ...this.#steerNode(node), row, neighbour: 0 })),
      config.steering,
    );
    return movedShare(table, this.#scratch);
  }

  /** As it will be: one that stays stays drained or out. */
  #steerNode(node: NodeConfig) {
    const { directory } = this.#conductor.steering;
    const known = directory.nodes.find(({ config }) => isSame(config, node));
    return known ? steerNodeOf(known, node) : { ...node, available: true };
  }
}
