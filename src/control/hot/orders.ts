/** Orders of the keeper's to lanes: given once to a lane that runs, and again to another when that one died. */
import { type HotSetup, ORDER_ROWS, ORDER_WORDS, perLane } from '../../dataplane/hot/setup.ts';
import type { Arena } from '../../mem/arena.ts';
import { Ring } from '../../mem/ring.ts';
import { order } from './items.ts';
import { type KeptLanes, Pulse } from './pulse.ts';
import { NO_LANE, type Roster } from './roster.ts';

type Area = Omit<HotSetup, 'laneOffset'>;

export class Orders {
  readonly pulse: Pulse;
  readonly #shared: Arena;
  readonly #area: Area;
  readonly #items: Roster;
  readonly #rings: readonly Ring[];
  /** When each lane's ring was last seen empty, ms. */
  readonly #emptyMs: Float64Array;

  constructor(shared: Arena, area: Area, lanes: KeptLanes, items: Roster) {
    this.pulse = new Pulse(lanes, area.lanes, area.items);
    this.#shared = shared;
    this.#area = area;
    this.#items = items;
    this.#rings = Array.from({ length: area.lanes }, (_, lane) => {
      return new Ring(shared.words, perLane(area, lane).ordersOffset >> 2, ORDER_ROWS, ORDER_WORDS);
    });
    this.#emptyMs = new Float64Array(area.lanes).fill(Number.NEGATIVE_INFINITY);
  }

  /** Once a tick. */
  look(nowMs: number): void {
    for (const [lane, ring] of this.#rings.entries()) if (!ring.mayHaveRow) this.#emptyMs[lane] = nowMs;
  }

  /** Whether every order given until `ms` has been taken up. */
  areTakenSince(ms: number): boolean {
    return this.#emptyMs.every(emptyMs => emptyMs > ms);
  }

  /** Sees to it that some lane has the order of the item's phase. */
  see(item: number, kind: number): void {
    const { orderLane, orderRestarts } = this.#items;
    const given = orderLane[item]!;
    if (given !== NO_LANE && this.pulse.restartsOf(given) === orderRestarts[item]) return;
    const lane = this.give(item, kind);
    if (lane < 0) return;
    orderLane[item] = lane;
    orderRestarts[item] = this.pulse.restartsOf(lane);
  }

  /** Gives an order that may get lost. Returns the lane; −1 when none runs, or its ring is full. */
  give(item: number, kind: number): number {
    const lane = this.pulse.laneFor(item);
    return lane >= 0 && order(this.#shared, this.#area, lane, kind, item) ? lane : -1;
  }
}
