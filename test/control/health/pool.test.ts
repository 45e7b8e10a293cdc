/** Several nodes at once: who may go, who must stay, who is probed how often. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEALTH_NAMES } from '../../../src/control/health/node-health.ts';
import { HealthPool, type PoolSample } from '../../../src/control/health/pool.ts';
import type { HealthSettings } from '../../../src/control/health/settings.ts';
import { SETTINGS } from './patient.ts';

/** What a node does from now on. */
type Doing = 'answers' | 'silent' | 'refused' | 'echoes';

class Ward {
  readonly pool: HealthPool;
  nowMs = 1000;
  readonly doing: Doing[];
  readonly #weights: readonly number[];
  #samples: PoolSample[];

  constructor(weights: readonly number[], settings: Partial<HealthSettings> = {}) {
    this.pool = new HealthPool({ ...SETTINGS, ...settings });
    this.#weights = weights;
    this.doing = weights.map(() => 'answers');
    this.#samples = weights.map((weight, node) => ({
      node,
      weight,
      flushNumber: 1,
      requests: 0,
      replies: 0,
      answered: 0,
      missed: 0,
      refusals: 0,
      echoes: 0,
      resolved: true,
      flushed: 0,
      unflushed: 0,
    }));
    this.turn(40);
  }

  /** Load on all nodes; probes of all that are not healthy. */
  turn(ms: number): void {
    for (let passed = 0; passed < ms; passed += 20) {
      this.nowMs += 20;
      this.#samples = this.#samples.map((sample, node) => this.#next(sample, this.doing[node]!));
      this.pool.step(this.#samples, this.nowMs);
    }
  }

  get states(): string[] {
    return this.#weights.map((_, node) => HEALTH_NAMES[this.pool.node(node)!.state]!);
  }

  #next(sample: PoolSample, doing: Doing): PoolSample {
    const { requests, replies, answered, missed, refusals, echoes, flushNumber } = sample;
    const asked = { ...sample, requests: requests + 20, flushed: flushNumber };
    if (doing === 'answers') return { ...asked, replies: replies + 20, answered: answered + 1, missed: 0 };
    const heard = { refusals: refusals + (doing === 'refused' ? 1 : 0), echoes: echoes + (doing === 'echoes' ? 1 : 0) };
    return { ...asked, ...heard, missed: missed + 2 };
  }
}

describe('one of several', () => {
  it('goes out alone, and comes back', () => {
    const ward = new Ward([1, 1, 1]);
    ward.doing[1] = 'silent';
    ward.turn(300);
    expect(ward.states).toEqual(['healthy', 'out', 'healthy']);
    ward.doing[1] = 'answers';
    ward.turn(3000);
    expect(ward.states).toEqual(['healthy', 'healthy', 'healthy']);
  });

  it('the only one stays', () => {
    const ward = new Ward([1]);
    ward.doing[0] = 'refused';
    ward.turn(1000);
    expect(ward.states).toEqual(['kept']);
    expect(ward.pool.kept).toBe(1);
  });

  it('the only one with keys stays, also beside drained ones', () => {
    const ward = new Ward([1, 0]);
    ward.doing[0] = 'refused';
    ward.turn(1000);
    expect(ward.states).toEqual(['kept', 'healthy']);
  });

  it('a drained one may go', () => {
    const ward = new Ward([1, 0, 1]);
    ward.doing[1] = 'silent';
    ward.turn(300);
    expect(ward.states).toEqual(['healthy', 'out', 'healthy']);
  });
});

describe('keep_share', () => {
  it.each([
    { weights: [1, 1, 1, 1], keepShare: 0.5, dead: [0, 1, 2], out: 2 },
    { weights: [1, 1, 1, 1], keepShare: 0.75, dead: [0, 1, 2], out: 1 },
    { weights: [1, 1, 1, 1], keepShare: 1, dead: [2], out: 0 },
    { weights: [1, 1, 1, 1], keepShare: 0, dead: [0, 1, 2], out: 3 },
    { weights: [1, 1, 1, 1], keepShare: 0, dead: [0, 1, 2, 3], out: 3 },
    { weights: [5, 1, 1, 1], keepShare: 0.5, dead: [0], out: 0 },
    { weights: [5, 1, 1, 1], keepShare: 0.5, dead: [1, 2, 3], out: 3 },
    { weights: [1, 1], keepShare: 0.5, dead: [1], out: 1 },
    { weights: [1, 1, 1], keepShare: 0.5, dead: [0, 1], out: 1 },
  ])('$weights, $keepShare must stay, dead $dead: $out go', ({ weights, keepShare, dead, out }) => {
    const ward = new Ward(weights, { keepShare });
    // Their hosts are heard: that nobody answers is no fault of ours.
    for (const node of dead) ward.doing[node] = 'echoes';
    ward.turn(1000);
    const states = dead.map(node => ward.states[node]);
    expect(states.filter(state => state === 'out')).toHaveLength(out);
    expect(states.filter(state => state === 'kept')).toHaveLength(dead.length - out);
  });

  it('one that was kept goes once another is back', () => {
    const ward = new Ward([1, 1, 1]);
    ward.doing.fill('echoes', 0, 2);
    ward.turn(500);
    expect(ward.states).toEqual(['out', 'kept', 'healthy']);
    ward.doing[0] = 'answers';
    ward.turn(500);
    expect(ward.states).toEqual(['healthy', 'out', 'healthy']);
  });
});

describe('witnesses', () => {
  it('all fall silent at once: our own fault, all stay', () => {
    const ward = new Ward([1, 1, 1, 1, 1]);
    ward.doing.fill('silent');
    ward.turn(5000);
    expect(ward.states).toEqual(Array(5).fill('kept'));
    ward.doing.fill('answers');
    ward.turn(20);
    expect(ward.states).toEqual(Array(5).fill('healthy'));
  });

  it('one after another within 40 ms: likewise', () => {
    const ward = new Ward([1, 1, 1]);
    ward.doing[0] = 'silent';
    ward.turn(20);
    ward.doing[1] = 'silent';
    ward.turn(20);
    ward.doing[2] = 'silent';
    ward.turn(2000);
    expect(ward.states).toEqual(['kept', 'kept', 'kept']);
  });

  it.each([40, 80, 100, 120, 140, 160, 200, 500])(
    'a break of %i ms, after which they are heard one by one: likewise',
    breakMs => {
      const ward = new Ward([1, 1, 1]);
      ward.doing.fill('silent');
      ward.turn(breakMs);
      for (const node of [2, 0, 1]) {
        ward.doing[node] = 'answers';
        ward.turn(20);
        expect(ward.states).not.toContain('out');
      }
      ward.turn(200);
      expect(ward.states).toEqual(['healthy', 'healthy', 'healthy']);
    },
  );

  it('one that stays away after the break goes in the end', () => {
    const ward = new Ward([1, 1, 1]);
    ward.doing.fill('silent');
    ward.turn(500);
    ward.doing.fill('answers', 0, 2);
    ward.turn(400);
    expect(ward.states).toEqual(['healthy', 'healthy', 'kept']);
    ward.turn(200);
    expect(ward.states).toEqual(['healthy', 'healthy', 'out']);
  });

  it.each([20, 100, 400])('after a long break they are heard one by one, %i ms apart: all stay', apartMs => {
    const ward = new Ward([1, 1]);
    ward.doing.fill('silent');
    ward.turn(1000);
    for (const node of [1, 0]) {
      ward.doing[node] = 'answers';
      ward.turn(apartMs);
      expect(ward.states).not.toContain('out');
    }
    expect(ward.states).toEqual(['healthy', 'healthy']);
  });

  it.each([120, 160, 1000])('after a break of %i ms the kernels are heard, and then memcached: all stay', breakMs => {
    const ward = new Ward([1, 1, 1]);
    ward.doing.fill('silent');
    ward.turn(breakMs);
    ward.doing.fill('echoes');
    ward.turn(40);
    expect(ward.states).not.toContain('out');
    ward.doing.fill('answers');
    ward.turn(20);
    expect(ward.states).toEqual(['healthy', 'healthy', 'healthy']);
  });

  it('a host that is heard is witness enough', () => {
    const ward = new Ward([1, 1]);
    ward.doing[0] = 'echoes';
    ward.doing[1] = 'silent';
    ward.turn(1000);
    expect(ward.states).toEqual(['out', 'kept']);
  });
});

describe('how often nodes are probed', () => {
  it('the healthy ones at the interval, and more often while they are witnesses', () => {
    const ward = new Ward([1, 1]);
    const periods = () => [0, 1].map(node => ward.pool.periodMs(node));
    expect(periods()).toEqual([500, 500]);
    ward.doing[0] = 'silent';
    ward.turn(60);
    expect([ward.states[0], ...periods()]).toEqual(['suspect', 10, 50]);
    ward.turn(200);
    expect([ward.states[0], ...periods()]).toEqual(['out', 100, 500]);
    ward.doing[1] = 'silent';
    ward.turn(200);
    expect([ward.states[1], ...periods()]).toEqual(['kept', 100, 20]);
  });

  it('never less often than the interval says', () => {
    const ward = new Ward([1, 1], { intervalMs: 20 });
    ward.doing[0] = 'silent';
    ward.turn(400);
    expect([0, 1].map(node => ward.pool.periodMs(node))).toEqual([20, 20]);
  });

  it('a node that is gone is forgotten', () => {
    const ward = new Ward([1, 1]);
    ward.pool.step([], 5000);
    expect([ward.pool.node(0), ward.pool.periodMs(1)]).toEqual([undefined, 0]);
  });
});

it('property: whatever happens, enough nodes take keys, and at least one', () => {
  const doing = fc.constantFrom<Doing>('answers', 'silent', 'refused', 'echoes');
  fc.assert(
    fc.property(
      fc
        .array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 6 })
        .filter(weights => weights.some(weight => weight > 0)),
      fc.constantFrom(0, 0.3, 0.5, 0.8, 1),
      fc.array(fc.tuple(fc.nat(5), doing, fc.integer({ min: 1, max: 60 })), { maxLength: 25 }),
      (weights, keepShare, events) => {
        const ward = new Ward(weights, { keepShare });
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (const [node, what, ticks] of events) {
          ward.doing[node % weights.length] = what;
          ward.turn(ticks * 20);
          const left = weights
            .filter((_, at) => ward.pool.node(at)!.isAvailable)
            .reduce((sum, weight) => sum + weight, 0);
          expect(left).toBeGreaterThan(0);
          expect(left).toBeGreaterThanOrEqual(keepShare * total);
        }
      },
    ),
    { numRuns: 150 },
  );
});
