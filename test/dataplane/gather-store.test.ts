/** The chunk store against a list of pieces. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CHUNK_BYTES,
  ChunkStore,
  chunkStoreByteLength,
  chunksFor,
  NO_CHUNK,
} from '../../src/dataplane/gather-store.ts';
import { GatherTable, gatherTableByteLength, NO_GATHER } from '../../src/dataplane/gather-table.ts';
import { Arena } from '../../src/mem/arena.ts';

const CHUNKS = 16;
const GUARD = 0x5a;

function build() {
  const arena = Arena.create(65_536);
  const source = arena.allocate(8192);
  const before = arena.allocate(64);
  const offset = arena.allocate(chunkStoreByteLength(CHUNKS));
  const after = arena.allocate(64);
  const guards = [before, after].map(at => arena.bytes.subarray(at, at + 64).fill(GUARD));
  return { arena, source, guards, store: new ChunkStore(arena.view, arena.words, offset, CHUNKS) };
}

/** What a chain holds. */
function contents({ arena, store }: ReturnType<typeof build>, head: number): number[] {
  const bytes: number[] = [];
  for (let chunk = head; chunk !== NO_CHUNK; chunk = store.next(chunk)) {
    bytes.push(...arena.bytes.subarray(store.offset(chunk), store.offset(chunk) + store.bytes(chunk)));
  }
  return bytes;
}

describe('the chunk store', () => {
  it('keeps pieces in order of their sequence, whatever the order they come in', () => {
    const piece = fc.record({ sequence: fc.nat(20), bytes: fc.uint8Array({ minLength: 1, maxLength: 700 }) });
    fc.assert(
      fc.property(fc.uniqueArray(piece, { selector: ({ sequence }) => sequence, maxLength: 12 }), pieces => {
        const bed = build();
        const { arena, source, store } = bed;
        let head = NO_CHUNK;
        const kept: typeof pieces = [];
        for (const { sequence, bytes } of pieces) {
          arena.bytes.set(bytes, source + 3);
          const free = store.free;
          const put = store.put(source + 3, bytes.length, sequence);
          expect(put === NO_CHUNK).toBe(chunksFor(bytes.length) > free);
          if (put === NO_CHUNK) continue;
          const before = store.pieceBefore(head, sequence);
          store.insert(put, before, head);
          if (before === NO_CHUNK) head = put;
          kept.push({ sequence, bytes });
          kept.sort((a, b) => a.sequence - b.sequence);
          expect(contents(bed, head)).toEqual(kept.flatMap(each => [...each.bytes]));
          expect(store.sequence(store.pieceBefore(head, sequence))).toBe(sequence);
        }
        expect(store.release(head)).toBe(kept.reduce((sum, { bytes }) => sum + chunksFor(bytes.length), 0));
        expect(store.free).toBe(CHUNKS);
        for (const guard of bed.guards) expect(guard.every(byte => byte === GUARD)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('is used up to the last chunk, and again', () => {
    const { store, source } = build();
    for (let round = 0; round < 3; round++) {
      const pieces = Array.from({ length: CHUNKS }, (_, i) => store.put(source, CHUNK_BYTES, i));
      expect(new Set(pieces).size).toBe(CHUNKS);
      expect(store.put(source, 1, 0)).toBe(NO_CHUNK);
      for (const piece of pieces) store.release(piece);
      expect(store.put(source, CHUNKS * CHUNK_BYTES + 1, 0)).toBe(NO_CHUNK);
      store.release(store.put(source, CHUNKS * CHUNK_BYTES, 0));
      expect(store.free).toBe(CHUNKS);
    }
  });
});

describe('the table', () => {
  it('hands out each record once, and each use has another generation', () => {
    const words = new Int32Array(gatherTableByteLength(3, 5) / 4);
    const table = new GatherTable(words, 0, 3, 5);
    const records = [table.take(), table.take(), table.take()];
    expect(new Set(records).size).toBe(3);
    expect(table.take()).toBe(NO_GATHER);
    const generation = words[records[1]! + 1];
    table.giveBack(records[1]!);
    expect(table.take()).toBe(records[1]);
    expect(words[records[1]! + 1]).not.toBe(generation);
    const rows = records.flatMap(record => [0, 1, 2, 3, 4].map(key => table.key(record, key)));
    expect(new Set([...rows, ...records]).size).toBe(18);
    expect(Math.max(...rows) + 8).toBeLessThanOrEqual(words.length);
  });

  it('its lists are first in, first out, whoever leaves in between', () => {
    const words = new Int32Array(gatherTableByteLength(8, 1) / 4);
    const table = new GatherTable(words, 0, 8, 1);
    const records = Array.from({ length: 8 }, () => table.take());
    fc.assert(
      fc.property(fc.array(fc.nat(7), { maxLength: 60 }), choices => {
        const model: number[] = [];
        const { waiting } = table;
        for (const choice of choices) {
          const record = records[choice]!;
          const at = model.indexOf(record);
          if (at < 0) model.push(record);
          else model.splice(at, 1);
          if (at < 0) waiting.push(record);
          else waiting.remove(record);
          expect([waiting.first, waiting.count]).toEqual([model[0] ?? NO_GATHER, model.length]);
        }
        while (waiting.first !== NO_GATHER) {
          expect(waiting.first).toBe(model.shift());
          waiting.remove(waiting.first);
        }
        expect(model).toEqual([]);
      }),
    );
  });
});
