/** One node's health on a virtual clock: what is seen of it grows by what a test says. */
import {
  HEALTH_NAMES,
  type HealthName,
  NodeHealth,
  type NodeSample,
  type Transition,
} from '../../../src/control/health/node-health.ts';
import type { HealthSettings } from '../../../src/control/health/settings.ts';

export const SETTINGS: HealthSettings = {
  enabled: true,
  intervalMs: 500,
  timeoutMs: 20,
  failMs: 120,
  failAfter: 12,
  passAfter: 3,
  returnAfterMs: 2000,
  returnAfterMaxMs: 60_000,
  dampingHalfLifeS: 60,
  flushOnReturn: true,
  keepShare: 0.5,
  missAfterMs: 0,
};

/** What happened since the tick before. */
export interface Seen {
  readonly requests?: number;
  readonly replies?: number;
  /** Probes that were answered; the series of missed ones ends. */
  readonly answered?: number;
  readonly missed?: number;
  readonly refusals?: number;
  readonly echoes?: number;
  readonly unresolved?: boolean;
  readonly flushed?: number;
  readonly unflushed?: number;
}

export class Patient {
  readonly health: NodeHealth;
  nowMs = 1000;
  suffice = true;
  short = false;
  sample: NodeSample = {
    requests: 0,
    replies: 0,
    answered: 0,
    missed: 0,
    refusals: 0,
    echoes: 0,
    resolved: true,
    flushed: 0,
    unflushed: 0,
  };
  flushNumber = 1;

  constructor(settings: Partial<HealthSettings> = {}) {
    this.health = new NodeHealth({ ...SETTINGS, ...settings });
    this.tick();
  }

  get state(): HealthName {
    return HEALTH_NAMES[this.health.state]!;
  }

  tick(seen: Seen = {}, ms = 20): Transition | undefined {
    const { sample } = this;
    const missed = (seen.answered ? 0 : sample.missed) + (seen.missed ?? 0);
    this.nowMs += ms;
    this.sample = {
      requests: sample.requests + (seen.requests ?? 0),
      replies: sample.replies + (seen.replies ?? 0),
      answered: (sample.answered + (seen.answered ?? 0)) | 0,
      missed,
      refusals: sample.refusals + (seen.refusals ?? 0),
      echoes: sample.echoes + (seen.echoes ?? 0),
      resolved: !seen.unresolved,
      flushed: seen.flushed ?? sample.flushed,
      unflushed: seen.unflushed ?? sample.unflushed,
    };
    this.health.observe(this.sample, this.nowMs);
    return this.health.advance(this.nowMs, this.suffice, this.short, this.flushNumber);
  }

  /** The same seen at every tick of 20 ms, until `ms` have passed. Returns the states it went through. */
  spend(ms: number, seen: Seen): HealthName[] {
    const states = [this.state];
    for (let passed = 0; passed < ms; passed += 20) {
      this.tick(seen);
      if (this.state !== states.at(-1)) states.push(this.state);
    }
    return states;
  }

  /** Out of steering, by a death that is plain to see. */
  fall(): void {
    this.spend(200, { requests: 100, missed: 2 });
    if (this.state !== 'out') throw new Error(`it is ${this.state}`);
  }
}
