import { describe, expect, it } from 'vitest';
import { ITEM_KEY_HASH } from '../../../src/cache/items.ts';
import { IN_L1 } from '../../../src/cache/layers.ts';
import * as directory from '../../../src/coherence/directory.ts';
import { HotListError } from '../../../src/control/hot/lists.ts';
import { hotFigures, hotKeys, keyHeat } from '../../../src/control/hot/report.ts';
import { HOT_THRESHOLDS, ORDER_COPY, ORDER_DEMOTE, ORDER_PROMOTE } from '../../../src/dataplane/hot/setup.ts';
import { hashOf, hotSettings, KeeperBed } from './bed.ts';

const SMALL = '{ keys: 64, l1_keys: 16 }';
const key = (text: string) => Buffer.from(text, 'latin1');

describe('a key that heats up', () => {
  it('is hot within three ticks, on the lane of its number, once every lane has seen it', () => {
    const bed = new KeeperBed();
    bed.pass(50);
    bed.lanes[1]!.ask('k', 100);
    bed.pass(10);
    expect(bed.state('k')).toBe('promoting');
    expect(bed.lanes.flatMap(({ taken }) => taken)).toEqual([]);
    bed.pass(10);
    const item = bed.itemOf('k');
    expect(bed.lanes[item % 2]!.taken).toEqual([{ kind: ORDER_PROMOTE, item }]);
    expect(bed.state('k')).toBe('clean');
    expect([bed.keyIn(item), bed.word(item, ITEM_KEY_HASH)]).toEqual(['k', hashOf('k')]);
    expect([bed.word(item, directory.CACHED), bed.word(item, directory.COPIES)]).toEqual([1, 1]);
    bed.pass(10);
    expect(hotFigures(bed.keeper)).toMatchObject({
      items: 1,
      l2: 1,
      cached: 1,
      counts: { admitted: 1, candidates: 1 },
    });
  });

  it('must have the share that is asked for, of what all lanes have counted', () => {
    const bed = new KeeperBed('{ share: 0.01 }');
    bed.lanes[0]!.ask('rest', 99_000, { says: false });
    bed.lanes[1]!.ask('cool', 500);
    bed.lanes[1]!.ask('warm', 1500);
    bed.pass(20);
    expect([bed.state('cool'), bed.state('warm')]).toEqual(['none', 'clean']);
  });

  it.each([
    [7, 'none'],
    [16, 'clean'],
  ])('that rose in an instant, %i requests: %s', (count, state) => {
    const bed = new KeeperBed();
    bed.lanes[0]!.ask('k', count, { isInstant: true });
    bed.pass(20);
    expect(bed.state('k')).toBe(state);
  });

  it('waits its turn where hundreds rise at once, unless it rose in an instant', () => {
    const bed = new KeeperBed();
    for (let n = 0; n < 200; n++) bed.lanes[0]!.ask(`k${n}`, 100);
    bed.pass(10);
    const first = bed.keeper.items.live.size;
    expect(first).toBeGreaterThanOrEqual(64);
    expect(first).toBeLessThan(100);
    bed.lanes[0]!.ask('sudden', 100, { isInstant: true });
    for (let n = 0; n < 200; n++) bed.lanes[0]!.ask(`k${n}`, 100);
    bed.pass(10);
    expect(bed.state('sudden')).not.toBe('none');
    bed.pass(1000);
    for (let n = 0; n < 200; n++) bed.lanes[0]!.ask(`k${n}`, 100);
    bed.pass(200);
    expect(bed.keeper.items.live.size).toBeGreaterThan(first);
  });

  it('is hot from fewer requests under load, where its value may be cached', () => {
    for (const [hot, threshold] of [
      ['{}', 8],
      ['{ cache: false }', 32],
    ] as const) {
      const bed = new KeeperBed(hot);
      bed.lanes[0]!.ask('k', 100_000, { says: false });
      bed.pass(10);
      expect(bed.shared.words[(bed.area.controlOffset >> 2) + HOT_THRESHOLDS + 1]).toBe(threshold);
    }
  });

  it('is known to lanes from the share of their own count on', () => {
    const bed = new KeeperBed('{ share: 0.01 }');
    const threshold = (lane: number) => bed.shared.words[(bed.area.controlOffset >> 2) + HOT_THRESHOLDS + lane];
    expect([threshold(0), threshold(1)]).toEqual([32, 32]);
    bed.lanes[0]!.ask('k', 50_000, { says: false });
    bed.pass(10);
    expect([threshold(0), threshold(1)]).toEqual([500, 32]);
    bed.lanes[0]!.ask('k', 50_000, { says: false });
    bed.pass(10);
    expect([threshold(0), threshold(1)]).toEqual([1000, 8]);
  });

  it('waits for a lane that stalls, then is given up', () => {
    const bed = new KeeperBed();
    bed.lanes[0]!.isStalled = true;
    bed.lanes[1]!.ask('k', 100);
    bed.pass(150);
    expect(bed.state('k')).toBe('promoting');
    expect(bed.lanes.flatMap(({ taken }) => taken)).toEqual([]);
    bed.lanes[0]!.isRunning = false;
    bed.pass(30);
    // What was not seen by a lane that does not run will be.
    expect(bed.state('k')).toBe('clean');
    const other = new KeeperBed();
    other.lanes[0]!.isStalled = true;
    other.lanes[1]!.ask('k', 100);
    other.pass(200);
    expect(other.state('k')).toBe('promoting');
    other.lanes[0]!.isStalled = false;
    other.pass(30);
    expect(other.state('k')).toBe('none');
    expect(other.lanes.flatMap(({ taken }) => taken).map(({ kind }) => kind)).toEqual([ORDER_DEMOTE]);
  });

  it('whose stores do not drain is left alone, longer each time', () => {
    const bed = new KeeperBed();
    for (const lane of bed.lanes) lane.drains = false;
    const tryAgain = () => {
      bed.lanes[0]!.ask('k', 100);
      bed.pass(50);
    };
    tryAgain();
    expect(bed.keeper.counts).toMatchObject({ admitted: 1, undrained: 1 });
    tryAgain();
    expect(bed.keeper.counts.admitted).toBe(1);
    bed.pass(1000);
    tryAgain();
    expect(bed.keeper.counts.admitted).toBe(2);
    bed.pass(1000);
    tryAgain();
    expect(bed.keeper.counts.admitted).toBe(2);
  });
});

describe('a lane that dies', () => {
  it('has its orders given to another', () => {
    const bed = new KeeperBed();
    bed.lanes[1]!.ask('a', 100);
    bed.lanes[1]!.ask('b', 100);
    bed.pass(10);
    const lane = bed.lanes[bed.itemOf('a') % 2]!;
    // Takes the order, and dies before it is carried out.
    bed.nowMs += 10;
    bed.keeper.tick(bed.nowMs);
    lane.isRunning = false;
    lane.restarts++;
    bed.pass(20);
    expect([bed.state('a'), bed.state('b')]).toEqual(['clean', 'clean']);
  });

  it('leaves nobody to give orders to: they wait', () => {
    const bed = new KeeperBed('{}', 1);
    bed.lanes[0]!.isRunning = false;
    bed.lanes[0]!.ask('k', 100);
    bed.pass(100);
    expect(bed.state('k')).toBe('promoting');
    bed.lanes[0]!.isRunning = true;
    bed.pass(20);
    expect(bed.state('k')).toBe('clean');
  });
});

describe('an epoch', () => {
  it('takes the hottest into L1', () => {
    const bed = new KeeperBed(SMALL);
    bed.lanes[0]!.ask('k', 100);
    bed.epochs(2, () => bed.lanes[0]!.ask('k', 100));
    expect(bed.keeper.layers.layerOf(bed.itemOf('k'))).toBe(IN_L1);
    expect(bed.keeper.counts.l2Reads + bed.keeper.counts.l1Reads).toBeGreaterThan(0);
  });

  it('keeps who cooled down for a while, as there is room', () => {
    const bed = new KeeperBed('{ keep_s: 30 }');
    bed.lanes[0]!.ask('k', 100);
    bed.epochs(20);
    expect(bed.state('k')).toBe('clean');
    bed.epochs(20);
    expect(bed.state('k')).toBe('none');
  });

  it('but not where values are not cached; nor after the file says otherwise', () => {
    const bare = new KeeperBed('{ cache: false, keep_s: 30 }');
    bare.lanes[0]!.ask('k', 100);
    bare.epochs(15);
    expect(bare.state('k')).toBe('none');
    const bed = new KeeperBed('{ keep_s: 3000 }');
    bed.lanes[0]!.ask('k', 100);
    bed.epochs(2);
    bed.keeper.adopt(hotSettings('{ keep_s: 0 }'));
    bed.epochs(15);
    expect(bed.state('k')).toBe('none');
  });

  it('and not when places are few', () => {
    const bed = new KeeperBed(
      `{ keys: 64, l1_keys: 16, keep_s: 30, pin: [${Array.from({ length: 32 }, (_, n) => `p${n}`)}] }`,
    );
    for (let n = 0; n < 20; n++) bed.lanes[0]!.ask(`k${n}`, 100);
    bed.epochs(15);
    expect([bed.state('p0'), bed.state('k0')]).toEqual(['clean', 'none']);
  });

  it('lets go who cooled down; its number is free again after a while', () => {
    const bed = new KeeperBed('{ keep_s: 0 }');
    bed.lanes[0]!.ask('k', 100);
    bed.epochs(2, () => bed.lanes[0]!.ask('k', 100));
    expect(bed.state('k')).toBe('clean');
    const free = bed.keeper.items.freeCount;
    bed.epochs(10);
    expect(bed.state('k')).toBe('none');
    expect(bed.keeper.counts.leftCold).toBe(1);
    bed.pass(3000);
    expect(bed.keeper.items.freeCount).toBe(free + 1);
  });

  it('gives no number away while a lane may still act on an order for its last key', () => {
    const bed = new KeeperBed('{ keys: 64, l1_keys: 16 }', 1);
    bed.lanes[0]!.ask('k', 100);
    bed.pass(30);
    bed.keeper.ban(key('k'));
    bed.pass(10);
    bed.lanes[0]!.isStalled = true;
    bed.pass(5000);
    expect(bed.state('k')).toBe('none');
    expect(bed.keeper.items.freeCount).toBe(63);
    bed.lanes[0]!.isStalled = false;
    bed.pass(30);
    expect(bed.keeper.items.freeCount).toBe(64);
  });

  it('lets go who is written more than read, and leaves it alone', () => {
    const bed = new KeeperBed();
    bed.lanes[0]!.ask('k', 100);
    bed.epochs(4, () => bed.lanes[0]!.ask('k', 30, { writes: 300 }));
    expect(bed.keeper.counts).toMatchObject({ leftWritten: 1, admitted: 1 });
    bed.epochs(3, () => bed.lanes[0]!.ask('k', 300));
    expect(bed.state('k')).toBe('none');
    bed.epochs(8, () => bed.lanes[0]!.ask('k', 300));
    expect(bed.state('k')).toBe('clean');
  });

  it('with all numbers in use: hotter newcomers take the places of the coolest', () => {
    const bed = new KeeperBed(SMALL);
    const names = Array.from({ length: 64 }, (_, n) => `k${n}`);
    const residents = () => {
      for (const [n, name] of names.entries()) bed.lanes[n % 2]!.ask(name, 100 + n);
    };
    residents();
    bed.epochs(3, residents);
    expect(bed.keeper.layers.size).toBe(64);
    bed.epochs(8, () => {
      residents();
      bed.lanes[0]!.ask('new', 1000);
    });
    expect(bed.state('new')).toBe('clean');
    expect(bed.keeper.counts.leftCrowded).toBeGreaterThan(0);
    expect(bed.state('k63')).toBe('clean');
  });

  it('stops asking for a value that cannot be cached, and tries again later', () => {
    const bed = new KeeperBed();
    const ask = () => bed.lanes[0]!.ask('k', 200);
    ask();
    bed.pass(30);
    const item = bed.itemOf('k');
    bed.setWord(item, directory.STATE, directory.CLEAN | directory.CAS_KNOWN);
    bed.epochs(4, ask);
    expect(bed.word(item, directory.CACHED)).toBe(0);
    const tries: number[] = [];
    bed.epochs(40, () => {
      ask();
      tries.push(bed.word(item, directory.CACHED));
    });
    expect(tries.reduce((sum, tried) => sum + tried)).toBe(1);
  });
});

describe('copies', () => {
  it('are made of keys that are not cached, as many as the balance takes; renewed each epoch', () => {
    const bed = new KeeperBed('{ cache: false, copies_max: 3 }');
    const load = () => {
      bed.lanes[0]!.ask('k', 3000);
      const home = (hashOf('k') >>> 0) % 3;
      const isCopied = bed.itemOf('k') >= 0 && bed.word(bed.itemOf('k'), directory.COPIES) === 3;
      for (const node of [0, 1, 2]) bed.requests[node]! += isCopied ? 2000 : node === home ? 4000 : 1000;
    };
    load();
    bed.epochs(6, load);
    const item = bed.itemOf('k');
    expect([bed.word(item, directory.CACHED), bed.word(item, directory.COPIES)]).toEqual([0, 3]);
    const copyOrders = bed.lanes.flatMap(({ taken }) => taken).filter(({ kind }) => kind === ORDER_COPY);
    expect(copyOrders.length).toBeGreaterThanOrEqual(2);
    expect(hotFigures(bed.keeper).balance.untreated).toBeGreaterThan(1.5);
    expect(hotFigures(bed.keeper).balance.predicted).toBeLessThan(1.1);
  });

  it.each([
    [0, 3],
    [3, 1],
  ])('are not made of a key that is written again before they would be read: %d writes an epoch', (writes, copies) => {
    const bed = new KeeperBed('{ cache: false, copies_max: 3, pin: [k] }');
    bed.epochs(4, () => {
      bed.lanes[0]!.ask('k', 3000, { writes });
      const home = (hashOf('k') >>> 0) % 3;
      for (const node of [0, 1, 2]) bed.requests[node]! += node === home ? 4000 : 1000;
    });
    expect(bed.word(bed.itemOf('k'), directory.COPIES)).toBe(copies);
  });

  it('nobody asks for leave nodes even, whatever Keysteer asks them', () => {
    const bed = new KeeperBed('{ pin: [k] }');
    bed.epochs(3, () => {
      bed.requests[1]! += 5;
    });
    expect(hotFigures(bed.keeper).balance).toMatchObject({ measured: 1, predicted: 1, untreated: 1 });
  });

  it('are not made where one node takes all', () => {
    const bed = new KeeperBed('{ cache: false, copies_max: 1 }');
    bed.epochs(3, () => {
      bed.lanes[0]!.ask('k', 3000);
      bed.requests[0]! += 4000;
    });
    expect(bed.word(bed.itemOf('k'), directory.COPIES)).toBe(1);
  });
});

describe('lists', () => {
  it('pinned keys are hot from the start, and stay', () => {
    const bed = new KeeperBed('{ pin: [a, b], keep_s: 0 }');
    bed.pass(30);
    expect([bed.state('a'), bed.state('b')]).toEqual(['clean', 'clean']);
    bed.epochs(5);
    expect(bed.state('a')).toBe('clean');
    bed.keeper.unpin(key('a'));
    bed.epochs(8);
    expect([bed.state('a'), bed.state('b')]).toEqual(['none', 'clean']);
  });

  it('a pinned key that does not drain is tried again', () => {
    const bed = new KeeperBed('{ pin: [a] }');
    for (const lane of bed.lanes) lane.drains = false;
    bed.pass(100);
    expect(bed.state('a')).toBe('none');
    for (const lane of bed.lanes) lane.drains = true;
    bed.pass(1100);
    expect(bed.state('a')).toBe('clean');
  });

  it('banned keys never are; banned at run time, they leave, pinned or not', () => {
    const bed = new KeeperBed('{ ban: [a], pin: [b] }');
    bed.lanes[0]!.ask('a', 500);
    bed.pass(30);
    expect([bed.state('a'), bed.state('b')]).toEqual(['none', 'clean']);
    bed.keeper.ban(key('b'));
    bed.pass(30);
    expect(bed.state('b')).toBe('none');
    expect(() => bed.keeper.pin(key('b'))).toThrow(HotListError);
    bed.keeper.unban(key('b'));
    bed.keeper.pin(key('b'));
    bed.pass(30);
    expect(bed.state('b')).toBe('clean');
  });

  it('of another configuration take the places of those before; what was said meanwhile stays', () => {
    const bed = new KeeperBed('{ pin: [a], ban: [x] }');
    bed.pass(30);
    bed.keeper.pin(key('said'));
    bed.keeper.adopt(hotSettings('{ pin: [b], ban: [y], share: 0.5, error: 0.1 }'));
    bed.pass(30);
    expect([...bed.keeper.lists.pinned].sort()).toEqual(['b', 'said']);
    expect([...bed.keeper.lists.banned]).toEqual(['y']);
    expect(bed.state('b')).toBe('clean');
    expect(bed.keeper.limits.share).toBe(0.5);
  });

  it('binary keys and twins by hash are told apart', () => {
    const bed = new KeeperBed('{ pin: [a] }');
    bed.pass(30);
    bed.lanes[0]!.say(key('\xff\xfe'), hashOf('a'), true);
    bed.pass(30);
    expect(bed.state('a')).toBe('clean');
    expect(bed.keeper.find(key('\xff\xfe'))).toBe(-1);
  });
});

describe('the list for people', () => {
  it('says what is known of each, the hottest first', () => {
    const bed = new KeeperBed(SMALL);
    const ask = () => {
      bed.lanes[0]!.ask('cool', 100);
      bed.lanes[1]!.ask('hot\\ \xff'.replace(' ', ''), 900, { writes: 100 });
    };
    ask();
    bed.epochs(3, ask);
    const [hottest, second] = hotKeys(bed.keeper, 10, row => `mc${row + 1}`);
    expect([hottest!.key, second!.key]).toEqual([String.raw`hot\\\xff`, 'cool']);
    expect(hottest).toMatchObject({
      state: 'clean',
      cached: true,
      layer: 'L1',
      pinned: false,
      replicas: [],
      copies: 1,
    });
    expect(hottest!.readsPerSecond).toBeCloseTo(900, -1);
    expect(hottest!.writesPerSecond).toBeCloseTo(100, -1);
    expect(hottest!.share).toBeGreaterThan(0.8);
    expect(hottest!.share + hottest!.shareError).toBeLessThanOrEqual(1);
    expect(hotKeys(bed.keeper, 1, () => '')).toHaveLength(1);
  });

  it('says of a key that is written too much why it is left alone, and of a banned one that it is', () => {
    const bed = new KeeperBed('{ ban: [b] }');
    const write = () => bed.lanes[0]!.ask('k', 100, { writes: 900 });
    write();
    bed.epochs(4, write);
    const heatOf = (key: string) => keyHeat(bed.keeper, Buffer.from(key), () => '');
    expect(heatOf('b')).toMatchObject({ hot: null, banned: true, leftAlone: null });
    bed.pass(500);
    expect(heatOf('k').leftAlone).toMatchObject({ why: expect.stringContaining('writes') });
  });

  it('names the nodes with copies by the tags that lanes write, and none that is gone', () => {
    const bed = new KeeperBed(SMALL);
    bed.lanes[0]!.ask('k', 900);
    bed.pass(50);
    const item = bed.itemOf('k');
    bed.setWord(item, directory.REPLICAS_JOINED, 0b11);
    for (const [row, tag] of [0x0b01_0002, 0x0c01_0003].entries()) {
      bed.setWord(item, directory.REPLICA_ROWS + row * directory.REPLICA_ROW_WORDS + directory.REPLICA_NODE, tag);
    }
    const [listed] = hotKeys(bed.keeper, 1, tag => (tag === 0x0b01_0002 ? 'mc2' : ''));
    expect(listed!.replicas).toEqual(['mc2']);
  });
});
