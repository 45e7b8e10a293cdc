/** Bare gets and sets go by what they are, whatever was parsed before them in the batch. */
import { describe, expect, it } from 'vitest';
import { storesDrained } from '../../src/coherence/stores.ts';
import { MODE_DSR, MODE_GATEWAY } from '../../src/dataplane/setup.ts';
import { hashKey } from '../../src/mem/murmur3.ts';
import { LaneBed, type Outcome, reply, request } from '../support/lane-bed.ts';

/** A write to which nothing is answered, located in full by the parser. */
const SILENT = request('set other 0 0 1 noreply\r\nx\r\n', { id: 7 });
/** One of another protocol: get of `other`. */
const BINARY = request(`\x80\x00\0\x05\0\0\0\0\0\0\0\x05${'\0'.repeat(12)}other`, { id: 8 });

/** What the client hears. */
function answers({ sent }: Outcome): string[] {
  return sent
    .filter(({ side }) => side === 'client')
    .map(({ frame }) => Buffer.from(frame.subarray(50)).toString('latin1'));
}

describe.each([
  ['a write without an answer', SILENT],
  ['a binary request', BINARY],
])('behind %s', (_, before) => {
  it.each([['get a\r\n'], ['set a 0 0 1\r\nx\r\n']])('%j hears that there is no node', body => {
    const bed = new LaneBed({ nodes: [] });
    expect(answers(bed.hear('client', [before, request(body)]))).toContain('SERVER_ERROR no node available\r\n');
  });

  it.each([['get a\r\n'], ['set a 0 0 1\r\nx\r\n']])('%j hears that there is no slot', body => {
    const bed = new LaneBed({ slots: 16 });
    bed.hear(
      'client',
      Array.from({ length: 16 }, (_, i) => request(`get k${i}\r\n`)),
    );
    const heard = answers(bed.hear('client', [before, request(body)]));
    expect(heard).toContain('SERVER_ERROR too many outstanding requests\r\n');
  });

  it.each([
    ['gateway', MODE_GATEWAY],
    ['dsr', MODE_DSR],
  ])('each counts as what it is, in mode %s', (_name, mode) => {
    const bed = new LaneBed({ mode });
    const base = bed.hear('client', [before]).counted;
    const { counted } = bed.hear('client', [before, request('get a\r\n'), before, request('set b 0 0 1\r\nx\r\n')]);
    expect(counted.reads! - 2 * (base.reads ?? 0)).toBe(1);
    expect(counted.writes! - 2 * (base.writes ?? 0)).toBe(1);
  });
});

describe('a store of a key that is not hot', () => {
  const hash = (key: string) => {
    const bytes = Buffer.from(key);
    return hashKey(bytes, new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length);
  };
  const isDrained = (bed: LaneBed, key: string) =>
    storesDrained(bed.shared.words, bed.hot!.storesOffset >> 2, 1, hash(key), bed.nowMs | 0, bed.hot!.lifeMs);

  it('is open until it is answered', () => {
    const bed = new LaneBed({ hot: {} });
    expect(isDrained(bed, 'a')).toBe(true);
    bed.hear('client', request('set a 0 0 1\r\nx\r\n'));
    expect(isDrained(bed, 'a')).toBe(false);
    bed.hear('server', reply('STORED\r\n', { slot: 0 }));
    expect(isDrained(bed, 'a')).toBe(true);
  });

  it('without an answer: as long as a datagram lives', () => {
    const bed = new LaneBed({ hot: {} });
    bed.hear('client', request('set a 0 0 1 noreply\r\nx\r\n'));
    bed.wait(bed.hot!.lifeMs - 1);
    expect(isDrained(bed, 'a')).toBe(false);
    bed.wait(2);
    expect(isDrained(bed, 'a')).toBe(true);
  });

  it('a read is none', () => {
    const bed = new LaneBed({ hot: {} });
    bed.hear('client', request('get a\r\n'));
    expect(isDrained(bed, 'a')).toBe(true);
  });
});
