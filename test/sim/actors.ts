/** What turns on the virtual clock by itself, beside lanes: health, the sweeper, and whatever a run brings along. */
import type { EventQueue, EventTarget } from './events.ts';

export interface Actor {
  readonly name: string;
  /** Does what is due at `nowMs` of the lanes' clock; returns how long until its next turn, ms. */
  turn(nowMs: number): number;
}

export class ActorRunner implements EventTarget {
  readonly #events: EventQueue;
  readonly #settle: () => void;
  readonly #actors: readonly Actor[];
  #isStopped = false;

  constructor(events: EventQueue, settle: () => void, actors: readonly Actor[]) {
    this.#events = events;
    this.#settle = settle;
    this.#actors = actors;
    for (const index of actors.keys()) events.in(0, this, index);
  }

  stop(): void {
    this.#isStopped = true;
  }

  happen(index: number): void {
    if (this.#isStopped) return;
    const ms = this.#actors[index]!.turn(this.#events.nowMs);
    this.#settle();
    this.#events.in(ms, this, index);
  }
}
