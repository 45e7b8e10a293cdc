/** Hot keys in a lane, against nodes that behave as memcached does. */
import { describe, expect, test } from 'vitest';
import { ITEM_KEY_HASH } from '../../../src/cache/items.ts';
import * as directory from '../../../src/coherence/directory.ts';
import { CANDIDATE_ROWS, CANDIDATE_WORDS, perLane } from '../../../src/dataplane/hot/setup.ts';
import { Ring } from '../../../src/mem/ring.ts';
import { MC1, MC2, MC3, request } from '../../support/lane-bed.ts';
import { HotBed } from './hot-bed.ts';

describe('a hot key', () => {
  test('is fetched once and then answered here', () => {
    const bed = new HotBed();
    expect(bed.say('set k 5 0 3\r\nabc\r\n')).toBe('STORED\r\n');
    const item = bed.promote('k');
    expect(bed.state(item)).toBe('clean');
    const before = bed.asked.length;
    expect(bed.say('get k\r\n')).toBe('VALUE k 5 3\r\nabc\r\nEND\r\n');
    expect(bed.say('get k\r\n')).toBe('VALUE k 5 3\r\nabc\r\nEND\r\n');
    expect(bed.asked.length).toBe(before);
    expect(bed.bed.count('hot_hits')).toBe(2);
  });

  test('nobody has asked for it for long: fetched once more, and answered here again', () => {
    const bed = new HotBed();
    bed.say('set k 0 0 3\r\nabc\r\n');
    bed.promote('k');
    bed.wait(3000, 100);
    const before = bed.asked.length;
    for (let times = 0; times < 3; times++) expect(bed.say('get k\r\n')).toBe('VALUE k 0 3\r\nabc\r\nEND\r\n');
    expect(bed.asked.slice(before).map(({ body }) => body.slice(0, 5))).toEqual(['mg k ']);
  });

  test('a write goes home, fenced, and the next read has it from the cache', () => {
    const bed = new HotBed();
    bed.say('set k 0 0 3\r\nabc\r\n');
    bed.promote('k');
    bed.say('get k\r\n');
    bed.outliveReads();
    expect(bed.say('set k 7 0 5\r\nfghij\r\n')).toBe('STORED\r\n');
    const before = bed.asked.length;
    expect(bed.say('get k\r\n')).toBe('VALUE k 7 5\r\nfghij\r\nEND\r\n');
    expect(bed.asked.length).toBe(before);
    expect(bed.asked.at(-1)!.body).toMatch(/^ms k 5 c F7 C\d+ O[0-9a-f]{16}\r\nfghij\r\n$/);
  });

  test.each([
    ['add, present', 'add k 0 0 1\r\nx\r\n', 'NOT_STORED\r\n', 'VALUE k 0 2\r\n10\r\nEND\r\n'],
    ['replace', 'replace k 1 0 1\r\nx\r\n', 'STORED\r\n', 'VALUE k 1 1\r\nx\r\nEND\r\n'],
    ['append', 'append k 0 0 1\r\nx\r\n', 'STORED\r\n', 'VALUE k 0 3\r\n10x\r\nEND\r\n'],
    ['prepend', 'prepend k 0 0 1\r\nx\r\n', 'STORED\r\n', 'VALUE k 0 3\r\nx10\r\nEND\r\n'],
    ['incr', 'incr k 5\r\n', '15\r\n', 'VALUE k 0 2\r\n15\r\nEND\r\n'],
    ['decr', 'decr k 3\r\n', '7\r\n', 'VALUE k 0 2\r\n7 \r\nEND\r\n'],
    ['delete', 'delete k\r\n', 'DELETED\r\n', 'END\r\n'],
    ['touch', 'touch k 100\r\n', 'TOUCHED\r\n', 'VALUE k 0 2\r\n10\r\nEND\r\n'],
    ['touch, noreply', 'touch k 100 noreply\r\n', undefined, 'VALUE k 0 2\r\n10\r\nEND\r\n'],
    ['gat', 'gat 100 k\r\n', 'VALUE k 0 2\r\n10\r\nEND\r\n', 'VALUE k 0 2\r\n10\r\nEND\r\n'],
    ['noreply', 'set k 0 0 1 noreply\r\nx\r\n', undefined, 'VALUE k 0 1\r\nx\r\nEND\r\n'],
    ['ms', 'ms k 1 F3 c\r\nx\r\n', /^HD c\d+\r\n$/, 'VALUE k 3 1\r\nx\r\nEND\r\n'],
    ['ma', 'ma k D2 v\r\n', 'VA 2\r\n12\r\n', 'VALUE k 0 2\r\n12\r\nEND\r\n'],
    ['md', 'md k q\r\n', undefined, 'END\r\n'],
    ['cas, wrong', 'cas k 0 0 1 99999\r\nx\r\n', 'EXISTS\r\n', 'VALUE k 0 2\r\n10\r\nEND\r\n'],
    ['incr of no number', 'incr k abc\r\n', 'CLIENT_ERROR bad command line format\r\n', 'VALUE k 0 2\r\n10\r\nEND\r\n'],
  ] as const)('%s', (_, write, answer, after) => {
    for (const isValued of [true, false]) {
      const bed = new HotBed();
      bed.say('set k 0 0 2\r\n10\r\n');
      bed.promote('k', { cached: isValued });
      const said = bed.say(write);
      if (answer instanceof RegExp) expect(said).toMatch(answer);
      else expect(said).toBe(answer);
      expect(bed.say('get k\r\n')).toBe(after);
      expect(bed.say('get k\r\n')).toBe(after);
      expect(bed.bed.unaccounted()).toBe(0);
    }
  });
});

/** Decrement k by 1; no item is made. */
const BINARY_DECR = `\x80\x06\0\x01\x14\0\0\0\0\0\0\x15${'\0'.repeat(12)}${'\0'.repeat(7)}\x01${'\0'.repeat(8)}\xff\xff\xff\xffk`;

describe('under load', () => {
  /** Keys that the lane has told the keeper of. */
  function candidates(bed: HotBed): number {
    const { words } = bed.bed.shared;
    const ring = new Ring(words, perLane(bed.bed.hot!, 0).candidatesOffset >> 2, CANDIDATE_ROWS, CANDIDATE_WORDS);
    let count = 0;
    for (let row = ring.peek(); row >= 0; row = ring.peek()) {
      ring.release();
      count++;
    }
    return count;
  }

  test('one sample makes no candidate, two do', () => {
    const bed = new HotBed();
    const batch = (key: (n: number) => string) =>
      bed.bed.hear(
        'client',
        Array.from({ length: 40 }, (_, n) => request(`get ${key(n)}\r\n`)),
      );
    for (let turn = 0; turn < 20; turn++) batch(n => `key-${turn}-${n}`);
    expect(candidates(bed)).toBe(0);
    for (let turn = 0; turn < 2; turn++) batch(() => 'often');
    expect(candidates(bed)).toBe(1);
  });
});

describe('a write that the network spoils', () => {
  const OLD = 'VALUE k 0 2\r\n10\r\nEND\r\n';
  const NEW = 'VALUE k 0 2\r\n20\r\nEND\r\n';

  const isWrite = (body: string): boolean => /^m[sad] /.test(body);

  function hotBed(): { bed: HotBed; item: number } {
    const bed = new HotBed();
    bed.say('set k 0 0 2\r\n10\r\n');
    const item = bed.promote('k');
    bed.say('get k\r\n');
    return { bed, item };
  }

  /** The next write is carried out by its node, and what that says is lost. */
  function loseAnswer(bed: HotBed): void {
    bed.judge = request => {
      if (!isWrite(request.body)) return 'deliver';
      const bytes = Buffer.from(request.body, 'latin1');
      bed.servers[request.node]!.answer(bytes, 0, bytes.length, bed.bed.nowMs);
      bed.judge = () => 'deliver';
      return 'lose';
    };
  }

  test('lost on its way: sent again, by the same fence', () => {
    const { bed } = hotBed();
    let lost = 0;
    bed.judge = ({ body }) => (isWrite(body) && lost++ < 2 ? 'lose' : 'deliver');
    expect(bed.say('set k 0 0 2\r\n20\r\n')).toBeUndefined();
    expect(bed.wait(70).map(({ body }) => body)).toEqual(['STORED\r\n']);
    expect(bed.say('get k\r\n')).toBe('VALUE k 0 2\r\n20\r\nEND\r\n');
    const writes = bed.asked.filter(({ body }) => isWrite(body));
    expect(new Set(writes.map(({ body }) => body)).size).toBe(1);
  });

  test('another write waits for it as long as it may, is refused then, and was not carried out', () => {
    const { bed } = hotBed();
    bed.judge = ({ body }) => (isWrite(body) ? 'lose' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n');
    bed.wait(10);
    expect(bed.ask('set k 0 0 2\r\n30\r\n', { id: 7 })).toEqual([]);
    bed.judge = () => 'lose';
    expect(bed.wait(200).map(({ id, body }) => [id, body])).toEqual([
      [7, 'SERVER_ERROR an earlier write of this key is under way\r\n'],
    ]);
    expect([bed.bed.count('refused_write_wait'), bed.bed.unaccounted()]).toEqual([1, 0]);
    expect(bed.asked.filter(({ body }) => body.includes('\r\n30'))).toEqual([]);
  });

  test('where no place to wait is left, others are told so at once', () => {
    const bed = new HotBed({ waiting: 16 });
    bed.say('set k 0 0 2\r\n10\r\n');
    bed.promote('k');
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n');
    const heard = Array.from({ length: 17 }, (_, n) =>
      bed.ask(`set k 0 0 2\r\n3${n % 10}\r\n`, { id: 100 + n }),
    ).flat();
    expect(heard.map(({ id, body }) => [id, body])).toEqual([[116, 'SERVER_ERROR too many outstanding requests\r\n']]);
    expect([bed.bed.count('refused_busy'), bed.bed.count('refused_write_wait')]).toEqual([1, 0]);
  });

  test('its lane dies: what it had in hand is counted', () => {
    const { bed, item } = hotBed();
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n');
    bed.ask('set k 0 0 2\r\n30\r\n', { id: 7 });
    bed.ask('get k\r\n', { id: 8 });
    bed.bed.restart();
    bed.turn();
    expect([bed.bed.count('drop_lane_crash'), bed.state(item)]).toEqual([3, 'unsure']);
    bed.bed.restart();
    expect(bed.bed.count('drop_lane_crash')).toBe(3);
  });

  test('its lane dies, long after it began: nobody believes home before what it sent must be gone', () => {
    const { bed, item } = hotBed();
    bed.wait(10_000, 100);
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n');
    bed.bed.restart();
    expect(bed.say('get k\r\n', { id: 2 })).toBe(OLD);
    bed.wait(1900);
    expect(bed.say('get k\r\n', { id: 3 })).toBe(OLD);
    expect([bed.state(item), bed.asked.at(-1)!.body]).toEqual(['unsure', 'get k\r\n']);
    bed.release();
    expect(bed.say('get k\r\n', { id: 4 })).toBe(NEW);
    bed.wait(200);
    expect(bed.say('get k\r\n', { id: 5 })).toBe(NEW);
    expect(bed.state(item)).toBe('clean');
  });

  test('reads that come shortly after one that went home wait for it, and see it', () => {
    const { bed } = hotBed();
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n');
    expect(bed.ask('get k\r\n', { id: 7 })).toEqual([]);
    bed.judge = () => 'deliver';
    const heard = [...bed.release(), ...bed.turn()];
    expect(heard.map(({ body }) => body)).toEqual(['STORED\r\n', 'VALUE k 0 2\r\n20\r\nEND\r\n']);
  });

  /** A write is under way, and no read that went home. */
  function writing(): { bed: HotBed; item: number } {
    const { bed, item } = hotBed();
    bed.outliveReads();
    bed.say('get k\r\n');
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    expect(bed.ask('set k 0 0 2\r\n20\r\n')).toEqual([]);
    return { bed, item };
  }

  /**
   * Lanes with a key, a read of which has gone home by the last one; it is answered when `isAnswered`. Then the key becomes
   * hot, and after a while a write of it begins.
   */
  function writingBehind(lanes: number, isAnswered: boolean, ms = 10): HotBed {
    const bed = new HotBed({}, { lanes });
    bed.say('set k 0 0 2\r\n10\r\n');
    bed.aim(lanes - 1);
    bed.judge = () => 'hold';
    bed.ask('get k\r\n', { id: 9 });
    bed.judge = () => 'deliver';
    if (isAnswered) expect(bed.release().map(({ body }) => body)).toEqual([OLD]);
    bed.aim(0);
    bed.promote('k', { seenBy: lanes === 1 ? [] : [1] });
    expect(bed.say('get k\r\n')).toBe(OLD);
    waitTogether(bed, lanes, ms);
    begin(bed);
    return bed;
  }

  function waitTogether(bed: HotBed, lanes: number, ms: number): void {
    for (let left = ms; left > 0; left -= 5) {
      bed.wait(5);
      for (let lane = 1; lane < lanes; lane++) bed.bed.turn(lane);
    }
  }

  function begin(bed: HotBed): void {
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n', { id: 2 });
  }

  test.each([1, 2])('reads meanwhile, soon after others went home, which have been answered: %i lanes', lanes => {
    const bed = writingBehind(lanes, true);
    expect(bed.say('get k\r\n', { id: 3 })).toBe(OLD);
  });

  test.each([
    [1, 10],
    [2, 10],
    [1, 1900],
    [2, 1900],
  ])('reads meanwhile, another being under way at home: they wait, %i lanes, after %i ms', (lanes, ms) => {
    const bed = writingBehind(lanes, false, ms);
    expect(bed.say('get k\r\n', { id: 3 })).toBeUndefined();
  });

  describe.each([1, 50, 150, 3000])('a lane stalls in the midst of a cycle, for %i ms', stallMs => {
    test('and notes a read that is answered; one of another lane is under way: reads wait', () => {
      const bed = new HotBed({}, { lanes: 2 });
      bed.say('set k 0 0 2\r\n10\r\n');
      bed.promote('k', { seenBy: [1] });
      bed.say('get k\r\n');
      waitTogether(bed, 2, 3000);
      bed.say('get k\r\n');
      waitTogether(bed, 2, 10);
      const beganMs = bed.bed.nowMs;
      bed.aim(1);
      bed.bed.nowMs = beganMs + stallMs;
      bed.judge = () => 'hold';
      bed.ask('mg k v h\r\n', { id: 21 });
      bed.aim(0);
      bed.bed.nowMs = beganMs;
      bed.judge = () => 'deliver';
      expect(bed.ask('mg k v h\r\n', { id: 22 })).toHaveLength(1);
      bed.bed.nowMs = beganMs + stallMs;
      waitTogether(bed, 2, 10);
      begin(bed);
      expect(bed.say('get k\r\n', { id: 3 })).toBeUndefined();
    });

    test('and makes the key hot; another has sent a read home as of a cold key: reads wait', () => {
      const bed = new HotBed({}, { lanes: 2 });
      bed.say('set k 0 0 2\r\n10\r\n');
      waitTogether(bed, 2, 3000);
      const beganMs = bed.bed.nowMs;
      bed.aim(1);
      bed.bed.nowMs = beganMs + stallMs;
      bed.judge = () => 'hold';
      bed.ask('get k\r\n', { id: 21 });
      bed.judge = () => 'deliver';
      bed.aim(0);
      // The other lane's next cycle has the later time; its own has not.
      const { bed: lanes } = bed;
      const turn = lanes.turn.bind(lanes);
      lanes.turn = lane => {
        lanes.nowMs = lane === 1 ? beganMs + stallMs + 1 : beganMs;
        return turn(lane);
      };
      bed.promote('k', { seenBy: [1] });
      lanes.turn = turn;
      bed.bed.nowMs = beganMs + stallMs + 1;
      bed.say('get k\r\n', { id: 22 });
      waitTogether(bed, 2, 10);
      begin(bed);
      expect(bed.say('get k\r\n', { id: 3 })).toBeUndefined();
    });
  });

  test.each([-1, 0, 1, 59_999, 60_001, 2 ** 31 - 1])(
    'a read is noted where one was noted %i ms later: the later one stays, unless it is no such',
    aheadMs => {
      const { bed, item } = hotBed();
      const { words } = bed.bed.shared;
      const ms = 2 ** 31 - 10;
      words[bed.word(item) + directory.READ_MS] = ms + aheadMs;
      directory.noteRead(words, bed.word(item), ms);
      const isLater = aheadMs >= 0 && aheadMs < 60_000;
      expect(words[bed.word(item) + directory.READ_MS]).toBe((isLater ? ms + aheadMs : ms) | 0);
    },
  );

  test('reads meanwhile, another lane asleep since others went home: they wait, as nobody can say what it has sent', () => {
    const bed = new HotBed({}, { lanes: 2 });
    bed.say('set k 0 0 2\r\n10\r\n');
    bed.bed.turn(1);
    bed.promote('k');
    bed.say('get k\r\n');
    bed.wait(500);
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n', { id: 2 });
    expect(bed.say('get k\r\n', { id: 3 })).toBeUndefined();
  });

  test('reads meanwhile: what was there before, in every form; then the new value', () => {
    const { bed } = writing();
    const waits = bed.bed.count('hot_waits');
    const before = bed.asked.length;
    expect(bed.say('get k\r\n')).toBe(OLD);
    expect(bed.say('get k other\r\n', { id: 2 })).toBe(OLD);
    expect(bed.say('mg k v\r\n')).toBe('VA 2\r\n10\r\n');
    expect(bed.asked.slice(before).map(({ body }) => body)).toEqual(['get other\r\n']);
    bed.judge = () => 'deliver';
    expect(bed.release().map(({ body }) => body)).toEqual(['STORED\r\n']);
    expect(bed.say('get k\r\n')).toBe(NEW);
    expect(bed.bed.count('hot_waits')).toBe(waits);
  });

  test.each([
    ['incr', 'incr k 5\r\n', 'VALUE k 0 2\r\n15\r\nEND\r\n'],
    ['append', 'append k 0 0 1\r\nx\r\n', 'VALUE k 0 3\r\n10x\r\nEND\r\n'],
    ['delete', 'delete k\r\n', 'END\r\n'],
  ])('reads meanwhile, %s: what was there before, and after it what is there now', (_, write, after) => {
    const { bed } = hotBed();
    bed.outliveReads();
    bed.say('get k\r\n');
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask(write);
    expect(bed.say('get k\r\n')).toBe(OLD);
    bed.judge = () => 'deliver';
    bed.release();
    expect(bed.say('get k\r\n')).toBe(after);
  });

  test('one that must go home may see the new value: from then on nobody is told the old one', () => {
    const { bed } = writing();
    // What `s` is cannot be told from the cache, so it waits, and goes home at last.
    expect(bed.ask('mg k h v\r\n', { id: 1 })).toEqual([]);
    expect(bed.say('get k\r\n', { id: 2 })).toBe(OLD);
    bed.judge = ({ body }) => (isWrite(body) ? 'lose' : 'hold');
    bed.wait(145);
    expect(bed.say('get k\r\n', { id: 3 })).toBe(OLD);
    bed.wait(20);
    expect(bed.held.map(({ body }) => body)).toContain('mg k h v\r\n');
    expect(bed.say('get k\r\n', { id: 4 })).not.toBe(OLD);
  });

  test('a touch of several keys, which nobody follows, ends it', () => {
    const { bed } = writing();
    // Before its answers come: they would end it, too.
    bed.judge = () => 'hold';
    bed.ask('gat 100 k other\r\n', { id: 1 });
    expect(bed.say('get k\r\n', { id: 2 })).toBeUndefined();
  });

  test('shortly after a promotion reads wait: some may have gone home as of a cold key', () => {
    const bed = new HotBed({}, { startMs: 10_000 });
    bed.say('set k 0 0 2\r\n10\r\n');
    bed.promote('k');
    expect(bed.say('get k\r\n')).toBe(OLD);
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n');
    expect(bed.say('get k\r\n', { id: 2 })).toBeUndefined();
  });

  test('a miss that passes ends it, too', () => {
    const { bed, item } = writing();
    bed.bed.lane().path.hotLane!.missed(bed.bed.shared.words[bed.word(item) + ITEM_KEY_HASH]!);
    expect(bed.say('get k\r\n')).toBeUndefined();
  });

  test('unsure of it, nobody is told the old value any more', () => {
    const { bed, item } = writing();
    bed.judge = ({ body }) => (isWrite(body) ? 'lose' : 'deliver');
    const server = bed.servers[bed.home(item)]!;
    const bytes = Buffer.from('set k 0 0 2\r\n30\r\n', 'latin1');
    server.answer(bytes, 0, bytes.length, bed.bed.nowMs);
    bed.wait(400);
    expect(bed.state(item)).toBe('unsure');
    expect(bed.say('get k\r\n')).toBe('VALUE k 0 2\r\n30\r\nEND\r\n');
  });

  test('its acknowledgement lost: the repetition is told apart from a foreign write', () => {
    const { bed } = hotBed();
    loseAnswer(bed);
    bed.ask('incr k 5\r\n');
    expect(bed.wait(30).map(({ body }) => body)).toEqual(['15\r\n']);
    expect(bed.say('get k\r\n')).toBe('VALUE k 0 2\r\n15\r\nEND\r\n');
  });

  test('a number that lost a digit, its acknowledgement lost: told without the padding, in every protocol', () => {
    const { bed } = hotBed();
    loseAnswer(bed);
    expect(bed.ask(BINARY_DECR)).toEqual([]);
    const [heard] = bed.wait(40);
    expect(heard!.body.slice(-8)).toBe('\0\0\0\0\0\0\0\x09');
  });

  test('silence: no answer, unsure, reads go home; the next write resolves it', () => {
    const { bed, item } = hotBed();
    bed.judge = ({ body }) => (isWrite(body) ? 'hold' : 'deliver');
    expect(bed.say('set k 0 0 2\r\n20\r\n')).toBeUndefined();
    expect(bed.wait(300)).toEqual([]);
    expect(bed.state(item)).toBe('unsure');
    expect(bed.say('get k\r\n', { id: 3 })).toBe('VALUE k 0 2\r\n10\r\nEND\r\n');
    bed.judge = () => 'deliver';
    expect(bed.say('set k 0 0 2\r\n30\r\n', { id: 4 })).toBe('STORED\r\n');
    expect(bed.state(item)).toBe('clean');
    bed.release(); // all that was under way: dead, as the CAS has moved
    expect(bed.say('get k\r\n', { id: 5 })).toBe('VALUE k 0 2\r\n30\r\nEND\r\n');
    const home = bed.asked.at(-1)!.node;
    expect(bed.servers[home]!.store.get('k')!.value).toBe('30');
  });

  /** `a` was created twice by one write, `b` stored over it and evicted; the late creation brings `a` back. */
  function withDead(passedMs: number): HotBed {
    const bed = new HotBed();
    const item = bed.promote('k');
    bed.say('get k\r\n');
    let first = true;
    bed.judge = ({ body }) => {
      if (!/ ME /.test(body) || !first) return 'deliver';
      first = false;
      return 'hold';
    };
    bed.ask('set k 0 0 1\r\na\r\n');
    expect(bed.wait(40).map(({ body }) => body)).toEqual(['STORED\r\n']);
    expect(bed.say('set k 0 0 1\r\nb\r\n', { id: 2 })).toBe('STORED\r\n');
    const { store } = bed.servers[bed.home(item)]!;
    store.delete('k');
    bed.release();
    expect(store.get('k')!.value).toBe('a');
    bed.wait(passedMs, 100);
    return bed;
  }

  test.each([100, 2500])(
    'a value from the dead, %i ms old, is not written over, nor read after a write that is lost',
    ms => {
      const bed = withDead(ms);
      let writes = 0;
      // The first is told that its fence is wrong; what follows is lost.
      bed.judge = ({ body }) => (/^ms /.test(body) && writes++ > 0 ? 'lose' : 'deliver');
      bed.ask('set k 0 0 1\r\nc\r\n', { id: 3 });
      bed.wait(500);
      bed.judge = () => 'deliver';
      for (let id = 4; id < 20; id++) {
        expect(bed.say('get k\r\n', { id })).not.toBe('VALUE k 0 1\r\na\r\nEND\r\n');
        bed.wait(300, 50);
      }
    },
  );

  test.each([
    ['append', 100, 'append k 0 0 1\r\nx\r\n'],
    ['append', 2500, 'append k 0 0 1\r\nx\r\n'],
    ['incr', 100, 'incr k 1\r\n'],
  ])('%s of a value from the dead, %i ms old: not taken for done', (_, ms, write) => {
    const bed = withDead(ms);
    expect(bed.say(write, { id: 3 })).not.toBe('STORED\r\n');
    bed.wait(500);
    expect(bed.say('get k\r\n', { id: 4 })).toBe('END\r\n');
  });

  test('a key that is not cached: an unresolved write that is killed changes no CAS that clients see, until the next write', () => {
    const bed = new HotBed();
    bed.say('set k 0 0 2\r\n10\r\n');
    const item = bed.promote('k', { cached: false });
    const gets = () => bed.say('gets k\r\n') ?? [...bed.turn(), ...bed.turn()].map(({ body }) => body).join('');
    const before = gets();
    const cas = /^VALUE k 0 2 (\d+)\r\n10\r\n/.exec(before)![1];
    bed.judge = ({ body }) => (isWrite(body) ? 'lose' : 'deliver');
    bed.ask('set k 0 0 2\r\n20\r\n', { id: 1 });
    bed.wait(300);
    expect(bed.state(item)).toBe('unsure');
    bed.judge = () => 'deliver';
    expect(bed.say('add k 0 0 2\r\n30\r\n', { id: 2 })).toBe('NOT_STORED\r\n');
    expect(bed.asked.some(({ body }) => / MA /.test(body))).toBe(true);
    expect([gets(), gets()]).toEqual([before, before]);
    expect(bed.say(`cas k 0 0 2 ${cas}\r\n40\r\n`, { id: 3 })).toBe('STORED\r\n');
    const asked = bed.asked.length;
    expect(gets()).toMatch(/^VALUE k 0 2 \d+\r\n40\r\n/);
    expect(bed.asked.slice(asked).map(({ body }) => body)).toEqual(['gets k\r\n']);
  });

  test('a key that is only written is firm once a fence has held: an append whose answer is lost is told apart', () => {
    const bed = new HotBed();
    bed.promote('k');
    bed.say('get k\r\n');
    expect(bed.say('set k 0 0 1\r\na\r\n')).toBe('STORED\r\n');
    bed.outliveReads();
    expect(bed.say('append k 0 0 1\r\nb\r\n', { id: 2 })).toBe('STORED\r\n');
    loseAnswer(bed);
    bed.ask('append k 0 0 1\r\nc\r\n', { id: 3 });
    expect(bed.wait(40).map(({ body }) => body)).toEqual(['STORED\r\n']);
    expect(bed.say('get k\r\n', { id: 4 })).toBe('VALUE k 0 3\r\nabc\r\nEND\r\n');
  });

  test('a creation is given up under a tomb: what an earlier one brings back is not believed', () => {
    const bed = new HotBed();
    const item = bed.promote('k');
    bed.say('get k\r\n');
    bed.judge = ({ body }) => (/ ME /.test(body) ? 'hold' : 'deliver');
    expect(bed.ask('set k 0 0 1\r\na\r\n')).toEqual([]);
    bed.wait(300);
    const late = bed.held.splice(0);
    bed.judge = () => 'deliver';
    expect(bed.say('set k 0 0 1\r\nb\r\n', { id: 2 })).toBe('STORED\r\n');
    expect(bed.say('delete k\r\n', { id: 3 })).toBe('DELETED\r\n');
    bed.judge = ({ body }) => (isWrite(body) ? 'lose' : 'deliver');
    expect(bed.ask('set k 0 0 1\r\nc\r\n', { id: 4 })).toEqual([]);
    bed.wait(400);
    expect(bed.state(item)).toBe('unsure');
    bed.judge = () => 'deliver';
    bed.held.push(late[0]!);
    bed.release(); // the node has `a` again
    expect(bed.servers[bed.home(item)]!.store.get('k')!.value).toBe('a');
    for (let id = 5; id < 30; id++) {
      expect(bed.say('get k\r\n', { id })).toBe('END\r\n');
      bed.wait(200, 50);
    }
    expect(bed.servers[bed.home(item)]!.store.get('k')).toBeUndefined();
  });

  test('a repeated request of the client is carried out once, and answered again', () => {
    const { bed } = hotBed();
    expect(bed.say('incr k 5\r\n', { id: 9 })).toBe('15\r\n');
    expect(bed.say('incr k 5\r\n', { id: 9 })).toBe('15\r\n');
    expect(bed.say('incr k 5\r\n', { id: 10 })).toBe('20\r\n');
  });

  test('evicted at home: a set creates the item, an incr finds none', () => {
    const { bed } = hotBed();
    const home = bed.asked.at(-1)!.node;
    bed.servers[home]!.store.delete('k');
    expect(bed.say('incr k 1\r\n')).toBe('NOT_FOUND\r\n');
    expect(bed.say('get k\r\n')).toBe('END\r\n');
    expect(bed.say('set k 0 0 2\r\n40\r\n', { id: 11 })).toBe('STORED\r\n');
    expect(bed.say('get k\r\n')).toBe('VALUE k 0 2\r\n40\r\nEND\r\n');
  });

  test('evicted at home, seen perhaps: a set is done, and answered unless its CAS is asked for, which nobody knows', () => {
    const { bed, item } = hotBed();
    const { store } = bed.servers[bed.home(item)]!;
    store.delete('k');
    expect(bed.say('set k 0 0 2\r\n40\r\n')).toBe('STORED\r\n');
    expect(bed.say('get k\r\n')).toBe('END\r\n');
    expect(bed.say('ms k 2\r\n41\r\n')).toBe('HD\r\n');
    store.delete('k');
    expect(bed.say('ms k 2 c\r\n42\r\n')).toBeUndefined();
    expect(bed.wait(500)).toEqual([]);
    expect(bed.state(item)).toBe('clean');
    expect(bed.say('ms k 2 c\r\n43\r\n')).toMatch(/^HD c\d+\r\n$/);
  });

  test('a late add brings a deleted value back: nobody sees it, and it is buried', () => {
    const { bed } = hotBed();
    const home = bed.asked.at(-1)!.node;
    bed.servers[home]!.store.delete('k');
    bed.say('incr k 1\r\n');
    bed.say('set k 0 0 2\r\n40\r\n', { id: 12 });
    const add = bed.asked.at(-1)!.body;
    expect(add).toContain(' ME ');
    expect(bed.say('delete k\r\n', { id: 13 })).toBe('DELETED\r\n');
    const again = Buffer.from(add, 'latin1');
    bed.servers[home]!.answer(again, 0, again.length, bed.bed.nowMs);
    expect(bed.say('get k\r\n')).toBe('END\r\n');
    bed.wait(2100);
    expect(bed.say('get k\r\n')).toBe('END\r\n');
    bed.wait(20);
    expect(bed.servers[home]!.store.get('k')).toBeUndefined();
  });

  test('a fetch that a write overtakes is not taken over', () => {
    const bed = new HotBed();
    bed.say('set k 0 0 2\r\n10\r\n');
    bed.judge = ({ body }) => (body.startsWith('mg') ? 'hold' : 'deliver');
    bed.promote('k');
    const fetches = bed.held.splice(0);
    bed.judge = () => 'deliver';
    expect(bed.say('set k 0 0 2\r\n20\r\n')).toBe('STORED\r\n');
    bed.held.push(...fetches);
    bed.release();
    expect(bed.say('get k\r\n')).toBe('VALUE k 0 2\r\n20\r\nEND\r\n');
  });
});

describe('copies', () => {
  function replicated(value: string, copies = 3): { bed: HotBed; item: number } {
    const bed = new HotBed();
    bed.servers[bed.homeOf('k')]!.store.create('k', value, 0);
    const item = bed.promote('k', { cached: false, copies });
    bed.copy(item);
    return { bed, item };
  }
  const holders = (bed: HotBed): number => bed.servers.filter(({ store }) => store.get('k') !== undefined).length;

  test.each([3, 2000, 20_000])(
    'of %i bytes: on every node wanted, read only when no late add can spoil them',
    bytes => {
      const value = 'v'.repeat(bytes);
      const { bed, item } = replicated(value);
      expect(holders(bed)).toBe(3);
      expect(bed.joined(item)).toBe(0);
      bed.wait(2100);
      expect(bed.joined(item)).toBe(2);
      expect(bed.say('get k\r\n')).toBe(`VALUE k 0 ${bytes}\r\n${value}\r\nEND\r\n`);
    },
  );

  test('a write takes them out, and they come back with the new value', () => {
    const { bed, item } = replicated('abc');
    bed.wait(2100);
    expect(bed.say('set k 0 0 3\r\nxyz\r\n')).toBe('STORED\r\n');
    bed.wait(20);
    expect(bed.joined(item)).toBe(2);
    expect(bed.servers.map(({ store }) => store.get('k')!.value)).toEqual(['xyz', 'xyz', 'xyz']);
  });

  test('reads go to whom has least to do', () => {
    const { bed } = replicated('abc');
    bed.wait(2100);
    const before = bed.asked.length;
    bed.judge = () => 'hold';
    for (let id = 0; id < 6; id++) bed.ask('get k\r\n', { id });
    const asked = bed.asked.slice(before).map(({ node }) => node);
    expect([0, 1, 2].map(node => asked.filter(other => other === node).length)).toEqual([2, 2, 2]);
  });

  test('a copy that is gone is no miss: home answers', () => {
    const { bed, item } = replicated('abc');
    bed.wait(2100);
    for (const [node, { store }] of bed.servers.entries()) if (node !== bed.home(item)) store.delete('k');
    for (let id = 0; id < 40; id++) expect(bed.say('get k\r\n', { id })).toBe('VALUE k 0 3\r\nabc\r\nEND\r\n');
    expect(bed.joined(item)).toBe(0);
  });

  test('a miss that is asked again at home is a read that went home: a write behind it is not taken for seen by nobody', () => {
    const { bed, item } = replicated('abc');
    bed.wait(4500, 100);
    for (const [node, { store }] of bed.servers.entries()) if (node !== bed.home(item)) store.delete('k');
    bed.judge = ({ node }) => (node === bed.home(item) ? 'hold' : 'deliver');
    const { words } = bed.bed.shared;
    // Until the first that is sent to a copy: what it misses there is asked at home.
    const isOfCopy = () => bed.asked.at(-2)!.body.startsWith('get k') && bed.asked.at(-2)!.node !== bed.home(item);
    for (let id = 0; id < 3 && !isOfCopy(); id++) {
      words[bed.word(item) + directory.READ_MS] = 0;
      bed.ask('get k\r\n', { id });
    }
    expect(isOfCopy()).toBe(true);
    expect(words[bed.word(item) + directory.READ_MS]).toBe(bed.bed.nowMs | 0);
  });

  test('last no longer than home says the item does', () => {
    const { bed, item } = replicated('abc');
    bed.wait(2100);
    expect(bed.joined(item)).toBe(2);
    // Its time to live is cut short at home, unseen; the copies are renewed, and may not outlive it.
    const home = bed.servers[bed.home(item)]!.store;
    const { exptime } = home.touch('k', home.realTime(5))!;
    bed.copy(item);
    bed.wait(50);
    const ends = bed.servers.map(({ store }) => store.get('k')!.exptime);
    expect(ends.filter(end => end !== exptime)).toHaveLength(2);
    for (const end of ends) expect(end).toBeLessThanOrEqual(exptime);
  });

  test('go with the demotion', () => {
    const { bed, item } = replicated('abc');
    bed.wait(2100);
    bed.demote(item);
    bed.wait(20);
    expect(bed.state(item)).toBe('free');
    expect(holders(bed)).toBe(1);
  });
});

describe('no way to any node', () => {
  test('what is tried in vain does not use up the frames that ARP needs', () => {
    const bed = new HotBed({}, { resolved: false });
    for (let n = 0; n < 8; n++) bed.promote(`k${n}`);
    // Each try of each claims a frame of the server side's.
    for (let id = 0; id < 40; id++) for (let n = 0; n < 8; n++) bed.ask(`get k${n}\r\n`, { id: id * 8 + n });
    const before = bed.bed.count('arp_requests');
    bed.wait(2000, 50);
    expect(bed.bed.count('arp_requests')).toBeGreaterThan(before);
  });
});

describe('while the bytes of a value change', () => {
  test('it is not open to readers, whatever the state says', () => {
    const bed = new HotBed();
    bed.say('set k 0 0 3\r\nabc\r\n');
    const item = bed.word(bed.promote('k'));
    bed.say('get k\r\n');
    const { words } = bed.bed.shared;
    const version = words[item + directory.VERSION]!;
    expect(directory.isOpen(words, item, version)).toBe(true);
    const begun = directory.beginChange(words, item);
    expect(directory.isOpen(words, item, begun)).toBe(false);
    expect(bed.say('get k\r\n')).toBeUndefined();
    directory.endChange(words, item, directory.CLEAN, directory.VALUED, begun);
    expect(directory.isOpen(words, item, version + 2)).toBe(true);
  });

  test('somebody is told that there is none: it is not there after the change', () => {
    const bed = new HotBed();
    const item = bed.word(bed.promote('k'));
    const { words } = bed.bed.shared;
    const begun = directory.beginChange(words, item);
    Atomics.add(words, item + directory.VERSION, 2);
    directory.endChange(words, item, directory.CLEAN, directory.VALUED, begun);
    expect(directory.isOpen(words, item, words[item + directory.VERSION]!)).toBe(false);
  });
});

describe('a demotion', () => {
  test('of a key that we created and its node has lost: one look, and it is gone', () => {
    const bed = new HotBed();
    const item = bed.promote('k');
    bed.say('get k\r\n');
    expect(bed.say('set k 0 0 1\r\nx\r\n')).toBe('STORED\r\n');
    bed.servers[bed.home(item)]!.store.delete('k');
    bed.wait(2500, 100);
    const before = bed.asked.length;
    bed.demote(item);
    bed.wait(50);
    expect(bed.state(item)).toBe('free');
    expect(bed.asked.slice(before).map(({ body }) => body.slice(0, 5))).toEqual(['mg k ']);
  });

  test('many that cannot be done yet leave room for what is quick', () => {
    const bed = new HotBed({ operations: 16 });
    const items = Array.from({ length: 20 }, (_, n) => bed.promote(`k${n}`));
    bed.wait(2500, 100);
    // Created just now: nobody may be let in on them before a late datagram of that must be gone.
    for (const n of items.keys()) bed.say(`set k${n} 0 0 1\r\nx\r\n`);
    for (const item of items) bed.demote(item);
    bed.wait(50);
    expect(bed.state(items[0]!)).toBe('clean');
    expect(bed.say('set k0 0 0 1\r\ny\r\n')).toBe('STORED\r\n');
    bed.wait(5000, 100);
    expect(items.map(item => bed.state(item))).toEqual(items.map(() => 'free'));
  });
});

describe('requests for several keys', () => {
  test('what is cached needs no node; the reply is one', () => {
    const bed = new HotBed();
    for (const key of ['a', 'b', 'c']) bed.say(`set ${key} 1 0 2\r\n${key}!\r\n`);
    bed.promote('a');
    bed.promote('c');
    const before = bed.asked.length;
    expect(bed.say('get a b c d\r\n')).toBe('VALUE a 1 2\r\na!\r\nVALUE b 1 2\r\nb!\r\nVALUE c 1 2\r\nc!\r\nEND\r\n');
    expect(bed.asked.slice(before).map(({ body }) => body)).toEqual(['get b\r\n', 'get d\r\n']);
    expect(bed.say('get a c\r\n')).toBe('VALUE a 1 2\r\na!\r\nVALUE c 1 2\r\nc!\r\nEND\r\n');
    expect(bed.asked.length).toBe(before + 2);
    expect(bed.say('gets a b\r\n')).toMatch(/^VALUE a 1 2 \d+\r\na!\r\nVALUE b 1 2 \d+\r\nb!\r\nEND\r\n$/);
    expect(bed.bed.unaccounted()).toBe(0);
  });

  test('a touch of several takes what is cached out', () => {
    const bed = new HotBed();
    for (const key of ['a', 'b']) bed.say(`set ${key} 0 0 2\r\n${key}!\r\n`);
    bed.promote('a');
    bed.say('gat 100 a b\r\n');
    const before = bed.asked.length;
    expect(bed.say('get a\r\n')).toBe('VALUE a 0 2\r\na!\r\nEND\r\n');
    expect(bed.asked.length).toBe(before + 1);
  });
});

describe('another home', () => {
  /** The key lived at a node, then at others, and its home is that node again: what it has is of before. */
  function returned(beforeReturn: (bed: HotBed) => void): { bed: HotBed; first: number } {
    const bed = new HotBed();
    const first = bed.homeOf('k');
    bed.say('set k 0 0 3\r\nold\r\n');
    const weigh = (weight: number) => {
      expect(bed.bed.publish([MC1, MC2, MC3].map((node, n) => (n === first ? { ...node, weight } : node)))).toBe(true);
      bed.turn();
    };
    const item = bed.promote('k', { cached: false });
    bed.say('get k\r\n');
    weigh(0);
    for (let times = 0; times < 2; times++) expect(bed.say('get k\r\n')).toBe('END\r\n'); // moved; looked into
    expect(bed.home(item)).not.toBe(first);
    beforeReturn(bed);
    weigh(1);
    return { bed, first };
  }
  const isOwn = (body: string) => /^m[gsad] /.test(body);

  test('what it has of before is not believed, and deleted', () => {
    const { bed, first } = returned(() => {});
    for (let times = 0; times < 2; times++) expect(bed.say('get k\r\n')).toBe('END\r\n');
    bed.wait(20);
    expect(bed.servers[first]!.store.get('k')).toBeUndefined();
  });

  test('nor when a miss of the home before passes by meanwhile', () => {
    const { bed, first } = returned(bed => {
      bed.judge = ({ body }) => (body.startsWith('get k') ? 'hold' : 'deliver');
      expect(bed.say('get k\r\n', { id: 7 })).toBeUndefined();
    });
    expect(bed.say('get k\r\n', { id: 8 })).toBe('END\r\n');
    bed.judge = () => 'deliver';
    expect(bed.release().map(({ body }) => body)).toEqual(['END\r\n']);
    expect(bed.say('get k\r\n', { id: 9 })).toBe('END\r\n');
    expect(bed.say('append k 0 0 1\r\nx\r\n', { id: 10 })).toBe('NOT_STORED\r\n');
    bed.wait(20);
    expect(bed.servers[first]!.store.get('k')).toBeUndefined();
  });

  test('nor shown to a request that is relayed', () => {
    const { bed, first } = returned(() => {});
    expect(bed.say('gat 100 k\r\n')).toBe('END\r\n');
    expect(bed.say('touch k 100\r\n', { id: 8 }) ?? bed.wait(20).map(({ body }) => body)[0]).toBe('NOT_FOUND\r\n');
    expect(bed.servers[first]!.store.get('k')).toBeUndefined();
  });

  test('nor to a touch that comes first', () => {
    const { bed, first } = returned(() => {});
    expect(bed.say('touch k 100\r\n') ?? bed.wait(20).map(({ body }) => body)[0]).toBe('NOT_FOUND\r\n');
    expect(bed.servers[first]!.store.get('k')).toBeUndefined();
  });

  test('nor to a read that has waited too long for a write at the home before', () => {
    const { bed } = returned(bed => {
      expect(bed.say('set k 0 0 3\r\nnew\r\n', { id: 7 })).toBe('STORED\r\n');
      bed.judge = ({ body }) => (isOwn(body) ? 'lose' : 'deliver');
      expect(bed.say('set k 0 0 5\r\nnewer\r\n', { id: 8 })).toBeUndefined();
    });
    expect(bed.say('gets k\r\n', { id: 9 })).toBeUndefined();
    expect(bed.wait(400).map(({ body }) => body)).toEqual([expect.stringMatching(/^VALUE k 0 3 \d+\r\nnew\r\n/)]);
  });

  test.each([
    ['get k l', 'VALUE k 0 3\r\nnew\r\nEND\r\n'],
    ['gat 100 k l', 'VALUE k 0 3\r\nnew\r\nEND\r\n'],
  ])('nor to %s while a write is under way at the home before', (request, answer) => {
    const { bed } = returned(bed => {
      expect(bed.say('set k 0 0 3\r\nnew\r\n', { id: 7 })).toBe('STORED\r\n');
      bed.judge = ({ body }) => (isOwn(body) ? 'lose' : 'deliver');
      expect(bed.say('set k 0 0 5\r\nnewer\r\n', { id: 8 })).toBeUndefined();
    });
    expect(bed.say(`${request}\r\n`, { id: 9 })).toBe(answer);
  });

  test.each(['get k l', 'gat 100 k l'])('nor to %s', request => {
    const { bed } = returned(() => {});
    expect(bed.say(`${request}\r\n`, { id: 9 })).toBe('END\r\n');
  });

  test('nor to one of several keys that is asked for once more', () => {
    const { bed } = returned(bed => {
      bed.judge = () => 'lose';
      expect(bed.say('get k l\r\n', { id: 9 })).toBeUndefined();
    });
    bed.judge = () => 'deliver';
    expect(bed.wait(400).map(({ body }) => body)).toEqual(['END\r\n']);
  });
});

test('a write whose home moves before it is sent: what the new home has goes first', () => {
  const bed = new HotBed();
  bed.say('set k 0 0 2\r\n10\r\n');
  const item = bed.promote('k', { cached: false });
  bed.judge = ({ body }) => (body.startsWith('mg k') ? 'hold' : 'deliver');
  expect(bed.say('set k 0 0 2\r\n20\r\n')).toBeUndefined();
  bed.moveHome(item);
  bed.judge = () => 'deliver';
  const before = bed.asked.length;
  expect(bed.release().map(({ body }) => body)).toEqual(['STORED\r\n']);
  const steps = bed.asked.slice(before).map(({ body }) => body.replace(/ O[0-9a-f]{16}/, '').replace(/C\d+/, 'C'));
  expect(steps).toEqual(['mg k t f v c\r\n', 'md k C\r\n', 'ms k 2 ME c\r\n20\r\n']);
});

describe('what only its node can tell', () => {
  test('marks of the meta protocol: neither cached nor fetched until it is stored anew', () => {
    const bed = new HotBed();
    bed.say('set k 0 0 2\r\n10\r\n');
    bed.promote('k');
    bed.say('get k\r\n');
    bed.say('mg k v R30\r\n');
    for (let times = 0; times < 3; times++) {
      const before = bed.asked.length;
      expect(bed.say('mg k v\r\n')).toMatch(/^VA 2/);
      expect(bed.asked.slice(before).map(({ body }) => body)).toEqual(['mg k v\r\n']);
    }
    bed.outliveReads();
    expect(bed.say('set k 0 0 2\r\n20\r\n')).toBe('STORED\r\n');
    const before = bed.asked.length;
    expect(bed.say('mg k v\r\n')).toBe('VA 2\r\n20\r\n');
    expect(bed.asked).toHaveLength(before);
  });

  test.each([
    ['the seconds left', 'mg k v t\r\n'],
    ['a mode in lower case', 'ms k 1 Ma\r\nx\r\n'],
    ['a key in base64', 'ms aw== 1 b\r\nx\r\n'],
  ])('%s', (_, request) => {
    const bed = new HotBed();
    bed.say('set k 0 100 2\r\n10\r\n');
    bed.promote('k');
    bed.say('get k\r\n');
    bed.say(request);
    expect(bed.asked.at(-1)!.body).toBe(request);
  });
});
