/** The keeper in the conductor: lanes by their control words, a tick each TICK_MS (less often at rest), what is asked at run time. */
import { randomInt } from 'node:crypto';
import { CONTROL_BEAT, CONTROL_STATE, LANE_RUNNING } from '../../dataplane/setup.ts';
import type { Config } from '../config/normalise.ts';
import type { SharedMemory } from '../memory-plan.ts';
import { Keeper, TICK_MS } from './keeper.ts';
import { keyFault, quoted, readKey, showKey } from './key-text.ts';
import type { Placement } from './placement.ts';
import type { KeptLanes } from './pulse.ts';
import { type HotFigures, type HotKey, hotFigures, hotKeys, type KeyHeat, keyHeat } from './report.ts';
import type { HotLimits } from './settings.ts';

/** With hardly anything asked and nothing under way the keeper need not look so often: an idle Keysteer should cost nothing. */
const QUIET_TICK_MS = 50;
/** Requests a ms, as the detectors count them, below which nothing is urgent. */
const QUIET_RATE = 0.5;

/** What the keeper needs of a lane's record. */
export interface ConductedLane {
  readonly control: Int32Array;
  readonly restarts: number;
}

/** Hot keys are not treated: `hot.enabled` is false. */
export class HotOffError extends Error {
  override readonly name = 'HotOffError';
}

/** A key or a limit that cannot be: names it and the rule. */
export class HotRequestError extends Error {
  override readonly name = 'HotRequestError';
}

export class HotWatch {
  readonly #keeper: Keeper | undefined;
  readonly #placement: Placement;
  #timer: NodeJS.Timeout | undefined;
  /** At the last tick: what the detectors had counted, and the time, ms. */
  #counted = 0;
  #tickedMs = 0;

  /** Before any lane starts. @param lanes may still be empty, and grows */
  constructor(config: Config, { hot, arena }: SharedMemory, lanes: readonly ConductedLane[], placement: Placement) {
    this.#placement = placement;
    this.#keeper =
      hot &&
      new Keeper({
        shared: arena,
        area: hot,
        settings: config.hot,
        lanes: keptLanes(lanes),
        placement,
        random: () => randomInt(2 ** 32) | 0,
      });
  }

  start(): void {
    const keeper = this.#keeper;
    if (keeper === undefined) return;
    const turn = () => {
      const nowMs = performance.now();
      keeper.tick(nowMs);
      this.#timer = setTimeout(turn, this.#isQuiet(keeper, nowMs) ? QUIET_TICK_MS : TICK_MS).unref();
    };
    turn();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #isQuiet({ intake, items }: Keeper, nowMs: number): boolean {
    const { count } = intake;
    const rate = Math.abs(count - this.#counted) / Math.max(1, nowMs - this.#tickedMs);
    this.#counted = count;
    this.#tickedMs = nowMs;
    return rate < QUIET_RATE && items.moving.size === 0;
  }

  adopt(config: Config): void {
    this.#keeper?.adopt(config.hot);
  }

  /** Undefined when no keys are treated. */
  get figures(): HotFigures | undefined {
    return this.#keeper && hotFigures(this.#keeper);
  }

  /** @throws HotOffError */
  list(limit: number): HotKey[] {
    return hotKeys(this.#treating, limit, this.#names());
  }

  /** @param text key-text.ts. @throws HotOffError, HotRequestError */
  explain(text: string): KeyHeat {
    return keyHeat(this.#treating, readHotKey(text), this.#names());
  }

  /** @param text key-text.ts. @throws HotOffError, HotRequestError, HotListError */
  order(what: 'pin' | 'unpin' | 'ban' | 'unban', text: string): void {
    this.#treating[what](readHotKey(text));
  }

  /** Keys of the lists, as people read them. */
  get lists(): { pinned: readonly string[]; banned: readonly string[] } {
    const { pinned, banned } = this.#treating.lists;
    return { pinned: shown(pinned), banned: shown(banned) };
  }

  /** @param limits that were checked. @throws HotOffError */
  limit(limits: Partial<HotLimits>): HotLimits {
    const keeper = this.#treating;
    keeper.limits = { ...keeper.limits, ...limits };
    return keeper.limits;
  }

  get #treating(): Keeper {
    if (this.#keeper === undefined) throw new HotOffError('hot keys are not treated: hot.enabled is false');
    return this.#keeper;
  }

  /** Tag of a node in a list of copies → its name, or ''. */
  #names(): (tag: number) => string {
    const names = new Map(this.#placement.nodes().map(({ row, name }) => [row, name]));
    return tag => names.get(this.#placement.rowOfTag(tag)) ?? '';
  }
}

function keptLanes(lanes: readonly ConductedLane[]): KeptLanes {
  return {
    beat: lane => lanes[lane]!.control[CONTROL_BEAT]!,
    isRunning: lane => Atomics.load(lanes[lane]!.control, CONTROL_STATE) === LANE_RUNNING,
    restarts: lane => lanes[lane]!.restarts,
  };
}

function shown(keys: ReadonlySet<string>): string[] {
  return [...keys].map(key => showKey(Buffer.from(key, 'latin1')));
}

function readHotKey(text: string): Buffer {
  const key = readKey(text);
  const fault = keyFault(key);
  if (fault !== undefined) throw new HotRequestError(`key is ${quoted(text)}; it ${fault}`);
  return key;
}
