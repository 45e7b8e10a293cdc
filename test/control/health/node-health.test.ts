import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEALTH_NAMES } from '../../../src/control/health/node-health.ts';
import { Patient, SETTINGS, type Seen } from './patient.ts';

const DEAD: Seen = { requests: 100, missed: 2 };
const ALIVE: Seen = { requests: 100, replies: 100 };

describe('under load', () => {
  it('healthy as long as replies come', () => {
    expect(new Patient().spend(1000, ALIVE)).toEqual(['healthy']);
  });

  it('no replies for 25 ms: suspect; 120 ms and probes lost: out', () => {
    const node = new Patient();
    node.tick(ALIVE);
    const fellSilentMs = node.nowMs;
    node.tick({ requests: 100 });
    expect(node.state).toBe('healthy');
    node.tick({ requests: 100 });
    expect(node.state).toBe('suspect');
    expect(node.health.reason).toBe('requests go unanswered');
    while (node.state === 'suspect') node.tick(DEAD, 10);
    expect(node.state).toBe('out');
    expect(node.nowMs - fellSilentMs).toBe(120);
    expect(node.health.reason).toBe('host down: no ICMP echo, no probe answer');
  });

  it('probes that are lost do not go on to count when requests are answered', () => {
    expect(new Patient().spend(1000, { ...ALIVE, missed: 1 })).toEqual(['healthy']);
  });

  it('requests alone take nobody out: the probes were answered', () => {
    const node = new Patient();
    for (let i = 0; i < 100; i++) node.tick({ requests: 100, answered: 1 });
    expect(node.state).toBe('healthy');
  });

  it('requests alone take nobody out: no probe failed so far, as no lane sends any', () => {
    expect(new Patient().spend(2000, { requests: 100 })).toEqual(['healthy', 'suspect']);
  });

  it.each([20, 40, 60, 80, 100])('a pause of %i ms takes nobody out', pauseMs => {
    const node = new Patient();
    node.tick(ALIVE);
    for (let ms = 0; ms < pauseMs; ms += 10) node.tick({ requests: 50, missed: 1 }, 10);
    node.tick({ requests: 50, replies: 500, answered: 1 }, 10);
    expect(node.spend(40, ALIVE)).not.toContain('out');
    expect(node.state).toBe('healthy');
  });

  it('a tick that comes late finds life before it finds silence', () => {
    const node = new Patient();
    node.tick({ requests: 5, missed: 3 });
    node.tick({ requests: 100, replies: 1 }, 1000);
    expect(node.state).toBe('healthy');
  });

  it('what was asked in the same 20 ms as the last reply counts too', () => {
    const node = new Patient();
    node.tick({ requests: 100, replies: 65 });
    node.tick();
    node.tick();
    expect(node.state).toBe('suspect');
    for (let i = 0; i < 12; i++) node.tick({ missed: 1 }, 10);
    expect(node.state).toBe('out');
  });

  it('what was lost long ago does not', () => {
    const node = new Patient();
    for (let i = 0; i < 50; i++) node.tick({ requests: 100, replies: 80 });
    node.tick({ requests: 100, replies: 100 });
    node.spend(500, {});
    expect(node.state).toBe('healthy');
  });

  it('few requests: one that is lost means nothing', () => {
    expect(new Patient().spend(1000, {})).toEqual(['healthy']);
    const node = new Patient();
    node.tick({ requests: 2 });
    expect(node.spend(1000, {})).toEqual(['healthy']);
  });
});

describe('without load', () => {
  it('a lost probe: suspect; the next one answered: healthy', () => {
    const node = new Patient();
    node.tick({ missed: 1 });
    expect(node.state).toBe('suspect');
    node.tick({ answered: 1 });
    expect(node.state).toBe('healthy');
  });

  it('twelve probes lost, and 120 ms: out', () => {
    const node = new Patient();
    node.tick({ missed: 1 });
    for (let i = 0; i < 10; i++) node.tick({ missed: 1 }, 10);
    expect([node.state, node.sample.missed]).toEqual(['suspect', 11]);
    node.tick({ missed: 1 }, 10);
    expect(node.state).toBe('out');
  });

  it('twelve within less: the time must pass too', () => {
    const node = new Patient();
    node.tick({ missed: 30 });
    node.tick({ missed: 1 }, 50);
    expect(node.state).toBe('suspect');
    node.tick({}, 50);
    expect(node.state).toBe('out');
  });
});

describe('a host that says "port unreachable"', () => {
  it('suspect at once, out as soon as three probes are lost', () => {
    const node = new Patient();
    node.tick({ requests: 1, refusals: 1 });
    expect(node.state).toBe('suspect');
    node.tick({ missed: 2 }, 10);
    expect(node.state).toBe('suspect');
    node.tick({ missed: 1 }, 10);
    expect([node.state, node.health.reason]).toEqual([
      'out',
      'memcached down: its host says that nobody listens on the port',
    ]);
  });

  it('while the node answers: nothing', () => {
    const node = new Patient();
    for (let i = 0; i < 50; i++) node.tick({ ...ALIVE, refusals: 1, answered: 1 });
    expect(node.state).toBe('healthy');
  });

  it('one from before the last answer does not count', () => {
    const node = new Patient();
    node.tick({ refusals: 1 });
    node.tick({ answered: 1 });
    node.tick({ answered: 1 });
    node.tick({ missed: 3 });
    node.tick({}, 10);
    expect(node.state).toBe('suspect');
  });
});

describe('reasons', () => {
  it.each<[string, Seen, string]>([
    ['neither is heard', {}, 'host down: no ICMP echo, no probe answer'],
    ['the host answers echo', { echoes: 1 }, 'memcached down: the host answers ICMP echo, memcached does not'],
    ['the port is refused', { refusals: 1 }, 'memcached down: its host says that nobody listens on the port'],
    ['nobody has its address', { unresolved: true }, 'host down: no ARP answer'],
  ])('%s', (_, seen, reason) => {
    const node = new Patient();
    node.fall();
    node.spend(100, { missed: 1, ...seen });
    expect([node.state, node.health.reason]).toEqual(['out', reason]);
  });

  it('follow what is heard: the host went down later', () => {
    const node = new Patient();
    node.fall();
    node.spend(500, { missed: 1, echoes: 1 });
    expect(node.health.reason).toBe('memcached down: the host answers ICMP echo, memcached does not');
    node.spend(2500, { missed: 1 });
    expect(node.health.reason).toBe('host down: no ICMP echo, no probe answer');
  });

  it('a healthy node has none', () => {
    const node = new Patient();
    node.tick({ missed: 1 });
    node.tick({ answered: 1 });
    expect(node.health.reason).toBe('');
  });
});

describe('kept', () => {
  it('where others do not suffice; healthy with the first sign of life, without flush or hold', () => {
    const node = new Patient();
    node.suffice = false;
    expect(node.spend(300, DEAD)).toEqual(['healthy', 'suspect', 'kept']);
    expect([node.health.isAvailable, node.health.isDown]).toEqual([true, true]);
    node.tick({ replies: 1 });
    expect(node.state).toBe('healthy');
  });

  it('out, once others suffice', () => {
    const node = new Patient();
    node.suffice = false;
    node.spend(300, DEAD);
    node.suffice = true;
    node.tick(DEAD);
    expect(node.state).toBe('out');
  });
});

describe('the way back', () => {
  const GOOD: Seen = { answered: 1 };

  it('2 s of answers, a flush, and it is healthy', () => {
    const node = new Patient();
    node.fall();
    const startMs = node.nowMs;
    expect(node.spend(1980, GOOD)).toEqual(['out']);
    expect(node.health.reason).toBe('answers again; returns when it has done so for 2.0 s');
    node.spend(60, GOOD);
    expect(node.state).toBe('returning');
    expect(node.nowMs - startMs).toBeGreaterThanOrEqual(2020);
    expect(node.spend(500, GOOD)).toEqual(['returning']);
    expect(node.health.isAvailable).toBe(false);
    node.tick({ ...GOOD, flushed: 1 });
    expect(node.state).toBe('healthy');
  });

  it('a flush from before proves nothing', () => {
    const node = new Patient();
    node.sample = { ...node.sample, flushed: 7 };
    node.flushNumber = 8;
    node.fall();
    node.spend(2100, GOOD);
    expect(node.spend(1000, GOOD)).toEqual(['returning']);
    node.tick({ flushed: 8 });
    expect(node.state).toBe('healthy');
  });

  it('a flush that is refused: it stays away, and says why', () => {
    const node = new Patient();
    node.fall();
    node.spend(2100, GOOD);
    expect(node.spend(5000, { ...GOOD, unflushed: 3 })).toEqual(['returning']);
    expect(node.health.reason).toMatch(/refuses flush_all.*flush_on_return/);
  });

  it('without flush_on_return: straight back', () => {
    const node = new Patient({ flushOnReturn: false });
    node.fall();
    expect(node.spend(2100, GOOD)).toEqual(['out', 'healthy']);
  });

  it('a few lost probes are forgiven, four in a row are not', () => {
    const node = new Patient();
    node.fall();
    node.spend(1000, GOOD);
    node.spend(60, { missed: 1 });
    node.spend(1000, GOOD);
    expect(node.state).toBe('returning');
    const other = new Patient();
    other.fall();
    other.spend(1900, GOOD);
    other.spend(80, { missed: 1 });
    expect(other.spend(1980, GOOD)).toEqual(['out']);
  });

  it('it falls silent while it is flushed: out again, and the time starts anew', () => {
    const node = new Patient();
    node.fall();
    node.spend(2100, GOOD);
    node.spend(100, { missed: 1 });
    expect(node.state).toBe('out');
    expect(node.spend(1980, GOOD)).toEqual(['out']);
  });

  it('three probes at least, also where no time is asked', () => {
    const node = new Patient({ returnAfterMs: 0 });
    node.fall();
    node.tick(GOOD);
    node.tick(GOOD);
    expect(node.state).toBe('out');
    node.tick(GOOD);
    expect(node.state).toBe('returning');
  });

  it('short of nodes: no hold', () => {
    const node = new Patient();
    node.fall();
    node.short = true;
    node.spend(60, GOOD);
    expect(node.state).toBe('returning');
  });

  it('each time it goes out it must answer longer, twice as long when it goes at once', () => {
    const node = new Patient({ flushOnReturn: false });
    const holds = [];
    for (let i = 0; i < 5; i++) {
      node.fall();
      holds.push(Math.round(node.health.holdMs / 100) / 10);
      while (node.state !== 'healthy') node.tick(GOOD);
    }
    // 0.2 s of health between fades a little: 1 + 1 · 2^(−0.2/60) is what is held against it the second time.
    expect(holds).toEqual([2, 4, 8, 15.9, 31.7]);
  });

  it('readmitted after it took no keys by order: out without a hold, flushed, healthy', () => {
    const node = new Patient();
    node.spend(100, ALIVE);
    node.health.readmit();
    expect([node.state, node.health.reason]).toEqual(['out', 'takes keys once it answers and was flushed']);
    expect(node.spend(40, GOOD)).toEqual(['out']);
    node.tick(GOOD);
    expect(node.state).toBe('returning');
    node.tick({ flushed: 1 });
    expect(node.state).toBe('healthy');
    node.fall();
    expect(node.health.holdMs).toBe(2000);
  });

  it('readmitted, and it does not answer: it stays out', () => {
    const node = new Patient();
    node.health.readmit();
    expect(node.spend(1000, { missed: 1 })).toEqual(['out']);
    expect(node.health.reason).toBe('host down: no ICMP echo, no probe answer');
  });

  it('readmitted while it is out: nothing changes, the hold neither', () => {
    const node = new Patient();
    node.fall();
    node.health.readmit();
    expect(node.health.holdMs).toBe(2000);
  });

  it('and after some time in which it behaved it is believed again', () => {
    const node = new Patient({ flushOnReturn: false });
    for (let i = 0; i < 3; i++) {
      node.fall();
      while (node.state !== 'healthy') node.tick(GOOD);
    }
    node.tick(GOOD, 600_000);
    node.fall();
    expect(node.health.holdMs).toBeLessThan(2020);
  });
});

describe('properties', () => {
  const seen = fc.record({
    requests: fc.nat(20),
    replies: fc.oneof(fc.constant(0), fc.nat(20)),
    answered: fc.oneof(fc.constant(0), fc.nat(1)),
    missed: fc.nat(3),
    refusals: fc.oneof(fc.constant(0), fc.nat(1)),
    echoes: fc.nat(1),
  });
  /** What goes on for a while. */
  const spell = fc.record({
    seen,
    ticks: fc.integer({ min: 1, max: 120 }),
    suffice: fc.boolean(),
    flush: fc.boolean(),
  });
  const ALLOWED = new Set([
    'healthy suspect',
    'suspect healthy',
    'suspect out',
    'suspect kept',
    'kept healthy',
    'kept out',
    'out returning',
    'returning healthy',
    'returning out',
  ]);

  it('only the moves of the table; never out and back faster than the hold says; never unflushed', () => {
    fc.assert(
      fc.property(fc.array(spell, { minLength: 1, maxLength: 12 }), spells => {
        const node = new Patient();
        let before = node.state;
        let outMs = 0;
        for (const { seen: what, ticks, suffice, flush } of spells) {
          node.suffice = suffice;
          for (let i = 0; i < ticks; i++) {
            const flushed = flush && node.state === 'returning' ? node.flushNumber : node.sample.flushed;
            const transition = node.tick({ ...what, flushed });
            if (transition === undefined) continue;
            expect(ALLOWED).toContain(`${HEALTH_NAMES[transition.from]} ${HEALTH_NAMES[transition.to]}`);
            expect(HEALTH_NAMES[transition.from]).toBe(before);
            before = node.state;
            if (node.state === 'out') outMs = node.nowMs;
            if (node.state === 'returning') {
              expect(node.nowMs - outMs).toBeGreaterThanOrEqual(node.health.holdMs);
              expect(node.health.holdMs).toBeGreaterThanOrEqual(SETTINGS.returnAfterMs);
              node.flushNumber++;
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('in an hour of the worst luck a node goes out no more often than damping allows', () => {
    const node = new Patient({ flushOnReturn: false });
    let outs = 0;
    const endMs = node.nowMs + 3_600_000;
    while (node.nowMs < endMs) {
      node.fall();
      outs++;
      while (node.state !== 'healthy') node.tick({ answered: 1 }, 100);
    }
    // 2 + 4 + 8 + 16 + 32 s, and from then on 60 s each.
    expect(outs).toBeLessThan(65);
  });

  it('a reply at least every 100 ms: never out', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 20, maxLength: 60 }), gaps => {
        const node = new Patient();
        for (const gapMs of gaps) {
          let left = gapMs;
          while (left > 0) {
            const step = Math.min(left, 10);
            left -= step;
            node.tick({ requests: 30, missed: 1, replies: left === 0 ? 1 : 0 }, step);
            expect(node.health.isAvailable).toBe(true);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
