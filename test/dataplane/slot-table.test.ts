/** The slot table against a model that a child could check: an array and true time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  SLOT_CLIENT,
  SLOT_HAUNTED,
  SLOT_QUIET,
  SLOT_SENT,
  SLOT_STATE,
  SlotTable,
  STATE_ANSWERED,
  STATE_FREE,
  STATE_MASK,
  STATE_OUTSTANDING,
  slotTableByteLength,
} from '../../src/dataplane/slot-table.ts';

const LIFETIME_US = 1_000_000;
const FIRST_PORT = 30_000;
/** Words in front of the table, so that a base of 0 is not taken for granted. */
const BASE = 64;
const WRAP_US = 2 ** 32;

function tableOf(slots: number) {
  const words = new Int32Array(BASE + slotTableByteLength(slots) / 4 + 64);
  const open = () => new SlotTable(words, BASE, slots, FIRST_PORT, LIFETIME_US);
  return { words, table: open(), open };
}

/** As the lane does it: take, then fill. Returns the slot's number or −1. */
function take(words: Int32Array, table: SlotTable, nowUs: number, quiet = false): number {
  const word = table.take(nowUs | 0);
  if (word < 0) return -1;
  words[word + SLOT_STATE] = STATE_OUTSTANDING | (quiet ? SLOT_QUIET : 0) | (words[word + SLOT_STATE]! & SLOT_HAUNTED);
  words[word + SLOT_SENT] = nowUs | 0;
  return numberOf(table, word);
}

function answer(words: Int32Array, word: number): void {
  words[word + SLOT_STATE] = (words[word + SLOT_STATE]! & ~STATE_MASK) | STATE_ANSWERED;
}

/** Slot number by what goes out on the wire. */
function numberOf(table: SlotTable, word: number): number {
  return (table.sourcePort(word) - FIRST_PORT) * 65_536 + table.requestId(word);
}

function find(table: SlotTable, slot: number): number {
  return table.find(FIRST_PORT + Math.floor(slot / 65_536), slot % 65_536);
}

describe('the slot table', () => {
  it('hands out every slot once, then begins anew with the one used longest ago', () => {
    const { words, table } = tableOf(8);
    const round = () =>
      Array.from({ length: 8 }, () => {
        const slot = take(words, table, 0);
        answer(words, find(table, slot));
        return slot;
      });
    expect([...round(), ...round()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('a slot answered first is not reused first: the circle goes on', () => {
    const { words, table } = tableOf(4);
    for (let i = 0; i < 4; i++) take(words, table, 0);
    for (const slot of [3, 1, 0, 2]) answer(words, find(table, slot));
    expect([0, 0, 0, 0].map(() => take(words, table, 1))).toEqual([0, 1, 2, 3]);
  });

  it.each([
    [0, 30_000, 0],
    [1, 30_000, 1],
    [65_535, 30_000, 65_535],
    [65_536, 30_001, 0],
    [131_071, 30_001, 65_535],
  ])('slot %i is port %i, id %i, both ways', (slot, port, id) => {
    const { table } = tableOf(131_072);
    const word = table.find(port, id);
    expect([table.sourcePort(word), table.requestId(word), numberOf(table, word)]).toEqual([port, id, slot]);
  });

  it.each([
    ['a port below', 29_999, 0],
    ['a port above', 30_001, 0],
    ['an id beyond a small table', 30_000, 8],
    ['port 0', 0, 0],
    ['port 65535', 65_535, 65_535],
  ])('%s is not ours', (_, port, id) => {
    expect(tableOf(8).table.find(port, id)).toBe(-1);
  });

  it('a fresh table has nothing outstanding', () => {
    const { words, table } = tableOf(8);
    expect(words[find(table, 5) + SLOT_STATE]! & STATE_MASK).toBe(STATE_FREE);
    expect(table.isOutstanding(find(table, 5))).toBe(false);
  });

  it.each([
    ['in the bloom of youth', 1, false],
    ['at its lifetime', LIFETIME_US, false],
    ['a microsecond beyond', LIFETIME_US + 1, true],
    ['after 35.8 minutes, where a signed difference turns negative', 2 ** 31, true],
    ['after an hour', 3_600_000_000, true],
    ['a microsecond before the clock comes round', WRAP_US - 1, true],
  ])('a request %s: late %s', (_, ageUs, late) => {
    for (const sentUs of [0, 2 ** 31 - 5, WRAP_US - 5]) {
      const { words, table } = tableOf(1);
      take(words, table, sentUs);
      expect(table.isLate(find(table, 0), (sentUs + ageUs) | 0)).toBe(late);
    }
  });

  it('a burst that was never answered does not stop requests an hour later', () => {
    const { words, table } = tableOf(64);
    for (let i = 0; i < 64; i++) take(words, table, 0);
    expect(take(words, table, 3_600_000_000)).toBe(0);
    expect(table.skipped).toBe(0);
  });

  it('says when it takes a slot whose request was never answered, unless none was wanted', () => {
    const { words, table } = tableOf(2);
    take(words, table, 0, false);
    take(words, table, 0, true);
    take(words, table, LIFETIME_US + 1);
    expect(table.expired).toBe(1);
    take(words, table, LIFETIME_US + 1);
    expect(table.expired).toBe(0);
  });
});

/** What the lane asks of the table, time in between. */
type Step =
  | { readonly do: 'take'; readonly quiet: boolean }
  | { readonly do: 'answer'; readonly which: number }
  | { readonly do: 'wait'; readonly us: number }
  | { readonly do: 'restart' };

interface ModelSlot {
  outstanding: boolean;
  quiet: boolean;
  sentUs: number;
}

/** The same in plain words. Ages are known modulo 2^32 µs: that is all that 32 bits can tell. */
class Model {
  readonly slots: ModelSlot[];
  next = 0;
  skipped = 0;
  expired = 0;

  constructor(slots: number) {
    this.slots = Array.from({ length: slots }, () => ({ outstanding: false, quiet: false, sentUs: 0 }));
  }

  take(nowUs: number, quiet: boolean): number {
    this.expired = 0;
    for (this.skipped = 0; this.skipped < 16; this.skipped++) {
      const number = this.next;
      const slot = this.slots[number]!;
      this.next = (number + 1) % this.slots.length;
      if (slot.outstanding && !this.isLate(number, nowUs)) continue;
      this.expired = slot.outstanding && !slot.quiet ? 1 : 0;
      this.slots[number] = { outstanding: true, quiet, sentUs: nowUs };
      return number;
    }
    return -1;
  }

  isLate(number: number, nowUs: number): boolean {
    return (nowUs - this.slots[number]!.sentUs) % WRAP_US > LIFETIME_US;
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('take' as const), quiet: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      us: fc.oneof(fc.nat(LIFETIME_US / 4), fc.nat(2 * LIFETIME_US), fc.integer({ min: 0, max: 6_000_000_000 })),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

describe('the slot table and its model', () => {
  const slots = fc.integer({ min: 0, max: 6 }).map(log => 2 ** log);
  const startUs = fc.oneof(fc.constantFrom(0, 2 ** 31 - 1000, WRAP_US - 1000), fc.nat(WRAP_US));

  it('property: agree on every slot taken, skipped, expired and late, over wraps and restarts', () => {
    fc.assert(
      fc.property(slots, startUs, fc.array(step, { maxLength: 300, size: 'max' }), (count, start, steps) => {
        const { words, table: first, open } = tableOf(count);
        const model = new Model(count);
        let table = first;
        let nowUs = start;
        for (const doing of steps) {
          if (doing.do === 'wait') nowUs += doing.us;
          if (doing.do === 'restart') table = open();
          if (doing.do === 'take') {
            expect(take(words, table, nowUs, doing.quiet)).toBe(model.take(nowUs, doing.quiet));
            expect([table.skipped, table.expired]).toEqual([model.skipped, model.expired]);
          }
          if (doing.do === 'answer') {
            const number = doing.which % count;
            const word = find(table, number);
            expect(table.isOutstanding(word)).toBe(model.slots[number]!.outstanding);
            if (!table.isOutstanding(word)) continue;
            expect(table.isLate(word, nowUs | 0)).toBe(model.isLate(number, nowUs));
            answer(words, word);
            model.slots[number]!.outstanding = false;
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  it('property: while requests live, no two of them share a port and id', () => {
    const gapsUs = fc.array(fc.nat(LIFETIME_US / 8), { minLength: 50, maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(slots, gapsUs, fc.array(fc.boolean(), { minLength: 200 }), (count, gaps, answered) => {
        const { words, table } = tableOf(count);
        const living = new Map<number, number>();
        let nowUs = WRAP_US - 3 * LIFETIME_US;
        gaps.forEach((gap, i) => {
          nowUs += gap;
          for (const [slot, sentUs] of living) if (nowUs - sentUs > LIFETIME_US) living.delete(slot);
          const slot = take(words, table, nowUs);
          if (slot < 0) return;
          expect(living.has(slot)).toBe(false);
          if (answered[i]) answer(words, find(table, slot));
          else living.set(slot, nowUs);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('touches no word beside its own', () => {
    const { words, table } = tableOf(16);
    for (let i = 0; i < 100; i++) take(words, table, i * LIFETIME_US);
    const outside = [...words.slice(0, BASE), ...words.slice(BASE + slotTableByteLength(16) / 4)];
    expect(outside.every(word => word === 0)).toBe(true);
  });
});

describe('two circles', () => {
  const COUNT = 16;
  const NEW = 4;

  function circles() {
    const words = new Int32Array(BASE + slotTableByteLength(COUNT) / 4 + 64);
    return { words, table: new SlotTable(words, BASE, COUNT, FIRST_PORT, LIFETIME_US, NEW) };
  }

  it('property: newcomers get the last slots alone, in their order, and the others the rest in theirs', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 100 }), turns => {
        const { words, table } = circles();
        const next = [0, 0];
        for (const isNewcomer of turns) {
          table.aim(isNewcomer);
          const slot = take(words, table, 0);
          answer(words, find(table, slot));
          const [first, length] = isNewcomer ? [COUNT - NEW, NEW] : [0, COUNT - NEW];
          expect(slot).toBe(first + (next[+isNewcomer]! % length));
          next[+isNewcomer]! += 1;
        }
      }),
    );
  });

  it('when one is full the other is not', () => {
    const { words, table } = circles();
    table.aim(true);
    for (let n = 0; n < NEW; n++) expect(take(words, table, 0)).toBe(COUNT - NEW + n);
    expect(take(words, table, 0)).toBe(-1);
    table.aim(false);
    for (let n = 0; n < COUNT - NEW; n++) expect(take(words, table, 0)).toBe(n);
    expect(take(words, table, 0)).toBe(-1);
    answer(words, find(table, COUNT - 1));
    expect(take(words, table, 0)).toBe(-1);
    table.aim(true);
    expect(take(words, table, 0)).toBe(COUNT - 1);
  });
});

describe('the datagrams of a reply', () => {
  it('property: are told apart as a set of those seen would tell them', () => {
    const datagram = fc.record({ sequence: fc.nat(5), total: fc.integer({ min: 1, max: 6 }) });
    const scenario = fc.tuple(fc.boolean(), fc.array(datagram, { maxLength: 30 }));
    fc.assert(
      fc.property(scenario, ([isHaunted, datagrams]) => {
        const { words, table } = tableOf(4);
        take(words, table, 0);
        if (isHaunted) words[find(table, 0) + SLOT_STATE]! |= SLOT_HAUNTED;
        const seen = new Set<number>();
        let stated = 0;
        for (const { sequence, total } of datagrams.filter(piece => piece.sequence < piece.total)) {
          const word = find(table, 0);
          if (!table.isOutstanding(word)) break;
          const isFirst = seen.size === 0;
          const fits = isFirst ? sequence === 0 || !isHaunted : total === stated && !seen.has(sequence);
          expect(table.fitsReply(word, sequence, total)).toBe(fits);
          if (!fits) continue;
          stated = total;
          seen.add(sequence);
          expect(table.noteReply(word, sequence, total)).toBe(seen.size === total);
          expect(table.isOutstanding(word)).toBe(seen.size < total);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('a slot is haunted when the request before was never answered whole', () => {
    const { words, table } = tableOf(1);
    const takeAfter = (lifetimes: number) => {
      expect(take(words, table, lifetimes * (LIFETIME_US + 1))).toBe(0);
      return words[find(table, 0) + SLOT_STATE]! & SLOT_HAUNTED;
    };
    expect(takeAfter(0)).toBe(0);
    expect(takeAfter(1)).toBe(SLOT_HAUNTED);
    table.noteReply(find(table, 0), 0, 2);
    expect(takeAfter(2)).toBe(SLOT_HAUNTED);
    table.noteReply(find(table, 0), 0, 1);
    expect(takeAfter(3)).toBe(0);
    table.free(find(table, 0));
    expect(takeAfter(4)).toBe(0);
  });
});

describe('whether slots are short, and who holds them', () => {
  const ALICE = 0x0a4d0001;
  const BOB = 0x0a4d0002;

  function filled(slots: number, owners: (slot: number) => number): { words: Int32Array; table: SlotTable } {
    const made = tableOf(slots);
    for (let slot = 0; slot < slots; slot++) {
      const client = owners(slot);
      if (client === 0) continue;
      made.words[find(made.table, slot) + SLOT_STATE] = STATE_OUTSTANDING;
      made.words[find(made.table, slot) + SLOT_CLIENT] = client;
    }
    return made;
  }

  it('seven eighths of a circle taken within a lifetime are short, and no fewer', () => {
    const { words, table } = tableOf(64);
    for (let n = 0; n < 56; n++) {
      table.enter(0);
      expect(table.isShort).toBe(false);
      take(words, table, 0);
    }
    take(words, table, 0);
    table.enter(0);
    expect(table.isShort).toBe(true);
    table.enter(LIFETIME_US + 1);
    expect(table.isShort).toBe(false);
  });

  it.each([
    ['all of them', 1024, () => ALICE, 64],
    ['none', 1024, () => BOB, 0],
    ['a quarter, in one piece', 1024, (slot: number) => (slot < 256 ? ALICE : BOB), 16],
    ['half of a small table', 16, (slot: number) => (slot % 2 === 0 ? ALICE : BOB), 8],
    ['of slots that wait for nobody', 1024, () => 0, 0],
  ])('a share of %s', (_, slots, owners, samples) => {
    const { table } = filled(slots, owners);
    expect(table.shareOf(ALICE, 0)).toBe(samples);
    expect(table.shareOf(ALICE, LIFETIME_US + 1)).toBe(0);
  });
});
