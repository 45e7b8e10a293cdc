/** Up to when all has been answered: against a list of all that was ever sent. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Answered } from '../../src/dataplane/answered.ts';
import {
  SLOT_HAUNTED,
  SLOT_SENT,
  SLOT_STATE,
  SlotTable,
  STATE_OUTSTANDING,
  slotTableByteLength,
} from '../../src/dataplane/slot-table.ts';

const SLOTS = 64;
const NEWCOMERS = 16;
const FIRST_PORT = 30_000;
const LIFETIME_US = 30_000;
/** Longer than a slot is kept: one that is taken anew may have something under way. */
const LIFE_MS = 50;

interface Sent {
  readonly atUs: number;
  readonly word: number;
}

/** A lane that sends and hears; `open` is all that nobody has answered, whatever has become of its slot. */
class Sender {
  readonly words = new Int32Array(slotTableByteLength(SLOTS) / 4);
  readonly slots = new SlotTable(this.words, 0, SLOTS, FIRST_PORT, LIFETIME_US, NEWCOMERS);
  answered: Answered;
  nowUs: number;
  open: Sent[] = [];

  constructor(startUs: number) {
    this.nowUs = startUs;
    this.answered = new Answered(this.slots, this.words, LIFE_MS, this.nowMs | 0, this.nowUs | 0);
  }

  get nowMs(): number {
    return Math.floor(this.nowUs / 1000);
  }

  send(isNewcomer: boolean): void {
    this.slots.aim(isNewcomer);
    const word = this.slots.take(this.nowUs | 0);
    if (word < 0) return;
    this.words[word + SLOT_STATE] = STATE_OUTSTANDING | (this.words[word + SLOT_STATE]! & SLOT_HAUNTED);
    this.words[word + SLOT_SENT] = this.nowUs | 0;
    this.open.push({ atUs: this.nowUs, word });
  }

  /** The answer to the n-th of those that can be answered: its slot is still its own. */
  answer(n: number): void {
    const latest = new Map(this.open.map(sent => [sent.word, sent]));
    const answerable = this.open.filter(sent => latest.get(sent.word) === sent);
    const sent = answerable[n % Math.max(1, answerable.length)];
    if (sent === undefined) return;
    this.slots.free(sent.word);
    this.open = this.open.filter(other => other !== sent);
  }

  /** The lane's thread has died, and another goes on. */
  restart(): void {
    this.answered = new Answered(this.slots, this.words, LIFE_MS, this.nowMs | 0, this.nowUs | 0);
  }

  advance(): void {
    this.open = this.open.filter(({ atUs }) => this.nowUs - atUs <= LIFE_MS * 1000);
    this.answered.advance(this.nowMs | 0, this.nowUs | 0);
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('send' as const), n: fc.integer({ min: 1, max: 80 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('sendAsNewcomer' as const), n: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('answer' as const), n: fc.integer({ min: 0, max: 100 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), n: fc.integer({ min: 1, max: 20_000 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), n: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), n: fc.constant(0) }) },
);

describe('what has been answered', () => {
  it('is never said of what may still arrive', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.constantFrom(0, 2 ** 31 * 1000 - 40_000, 2 ** 32 - 30_000),
        (steps, startUs) => {
          const sender = new Sender(startUs);
          for (const { do: what, n } of steps) {
            if (what === 'wait') sender.nowUs += n;
            else if (what === 'answer') sender.answer(n);
            else if (what === 'advance') sender.advance();
            else if (what === 'restart') sender.restart();
            else for (let i = 0; i < n; i++) sender.send(what === 'sendAsNewcomer');
            if (what !== 'advance') continue;
            const oldestMs = Math.min(sender.nowMs, ...sender.open.map(({ atUs }) => Math.floor(atUs / 1000)));
            expect((oldestMs - sender.answered.ms) | 0).toBeGreaterThanOrEqual(0);
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('is all, up to now, when nothing waits; else up to what waits longest', () => {
    const sender = new Sender(50_000);
    sender.advance();
    expect(sender.answered.ms).toBe(50);
    for (let round = 0; round < 200; round++) {
      sender.send(false);
      sender.nowUs += 1000;
      sender.send(false);
      sender.answer(1);
      sender.advance();
      expect(sender.answered.ms).toBe(sender.nowMs - 1);
      sender.answer(0);
      sender.advance();
      expect(sender.answered.ms).toBe(sender.nowMs);
    }
  });

  it('passes over what is never answered once its time is over', () => {
    const sender = new Sender(50_000);
    sender.advance();
    sender.send(true);
    sender.nowUs += LIFE_MS * 1000;
    sender.advance();
    expect(sender.answered.ms).toBe(50);
    sender.nowUs += 1;
    sender.advance();
    expect(sender.answered.ms).toBe(100);
  });

  it('is not known for a while where a slot was taken anew that had no answer', () => {
    const sender = new Sender(50_000);
    sender.advance();
    sender.send(false);
    sender.nowUs += LIFETIME_US + 1000;
    for (let slot = 0; slot < SLOTS - NEWCOMERS; slot++) {
      sender.send(false);
      sender.answer(sender.open.length - 1);
    }
    sender.nowUs += 1;
    sender.advance();
    const overtakenMs = sender.nowMs;
    expect(sender.answered.ms).toBe(50);
    sender.nowUs += LIFE_MS * 1000 - 1000;
    sender.advance();
    expect(sender.answered.ms).toBe(50);
    sender.nowUs += 1000;
    sender.advance();
    expect(sender.answered.ms).toBe(overtakenMs + LIFE_MS);
  });

  /** What was known stays so, and nothing is added to it. */
  function expectUnknown(sender: Sender, knownMs: number): void {
    sender.advance();
    expect(sender.answered.ms).toBe(knownMs);
  }

  it('is not known where some of those that wait were taken anew, and others were not', () => {
    const sender = new Sender(50_000);
    for (let i = 0; i < 30; i++) sender.send(false);
    sender.nowUs += 10;
    sender.advance();
    sender.nowUs += LIFETIME_US + 1000;
    for (let i = 0; i < 30; i++) sender.send(false);
    for (let i = 0; i < 30; i++) sender.answer(sender.open.length - 1);
    expectUnknown(sender, 49);
  });

  it('where the next turn is that of the one that waits longest, is what was sent before that', () => {
    const sender = new Sender(50_000);
    sender.send(false);
    sender.nowUs += 10;
    sender.advance();
    sender.nowUs += 1000;
    for (let i = 1; i < SLOTS - NEWCOMERS; i++) {
      sender.send(false);
      sender.answer(1);
    }
    sender.advance();
    expect(sender.answered.ms).toBe(49);
    sender.answer(0);
    sender.advance();
    expect(sender.answered.ms).toBe(51);
  });

  it('where the circle has been taken round in no time, is what was sent before the first that waits', () => {
    const sender = new Sender(50_000);
    sender.advance();
    for (let i = 0; i < SLOTS - NEWCOMERS; i++) sender.send(false);
    sender.nowUs += 1000;
    sender.advance();
    expect(sender.answered.ms).toBe(50);
  });

  it('nobody having looked for more than an hour, when the times of slots have come round', () => {
    const sender = new Sender(50_000);
    sender.advance();
    sender.nowUs += 2 ** 32 - 1000;
    for (let i = 0; i < SLOTS - NEWCOMERS; i++) sender.send(false);
    sender.nowUs += 600;
    for (let i = 0; i < 10; i++) {
      sender.answer(0);
      sender.send(false);
    }
    sender.nowUs += 600;
    sender.advance();
    expect(sender.answered.ms).toBe(sender.nowMs - 2);
  });

  it('is not known at first where a thread before may have sent something', () => {
    const sender = new Sender(7_000_000);
    sender.send(false);
    sender.answer(0);
    sender.restart();
    sender.advance();
    expect(sender.answered.ms).toBe(6950);
    sender.nowUs += LIFE_MS * 1000;
    sender.advance();
    expect(sender.answered.ms).toBe(7050);
  });
});
