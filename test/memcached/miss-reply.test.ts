/** Misses that are said in a node's place, held against what a real memcached says. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUT_VERB, OUT_WORDS } from '../../src/memcached/located.ts';
import { canMiss, MISS_BYTES_MAX, NOTE_BYTES, noteRequest, writeMiss } from '../../src/memcached/miss-reply.ts';
import { parseReply } from '../../src/memcached/reply.ts';
import { parseRequest, REQUEST_OK } from '../../src/memcached/request.ts';
import { requireMemcached } from '../support/requirements.ts';
import { LiveMemcached } from './live-memcached.ts';
import { bytesOf, textOf } from './placed-message.ts';

const CANARY = 0xa5;
const AT = 40;

/** The miss to a request, by way of a dirty note in the middle of others; undefined where nothing can be said. */
function missTo(request: string): string | undefined {
  const bytes = bytesOf(request);
  const out = new Int32Array(OUT_WORDS);
  expect(parseRequest(bytes, 0, bytes.length, out)).toBe(REQUEST_OK);
  expect(canMiss(out[OUT_VERB]!)).toBe(true);
  const notes = new Uint8Array(3 * NOTE_BYTES).fill(CANARY);
  const noted = noteRequest(bytes, out, notes, NOTE_BYTES);
  expect(notes.slice(0, NOTE_BYTES).every(byte => byte === CANARY)).toBe(true);
  expect(notes.slice(2 * NOTE_BYTES).every(byte => byte === CANARY)).toBe(true);
  const reply = new Uint8Array(AT + MISS_BYTES_MAX + AT).fill(CANARY);
  const length = writeMiss(reply, AT, out[OUT_VERB]!, notes, noted ? NOTE_BYTES : -1);
  expect(length).toBeLessThanOrEqual(MISS_BYTES_MAX);
  expect(reply.slice(0, AT).every(byte => byte === CANARY)).toBe(true);
  expect(reply.slice(AT + length).every(byte => byte === CANARY)).toBe(true);
  return length === 0 ? undefined : textOf(reply.slice(AT, AT + length));
}

function binary(opcode: number, key: string, extras = ''): string {
  const header = Buffer.alloc(24);
  header.set([0x80, opcode]);
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt32BE(extras.length + key.length, 8);
  header.write('op\0q', 12, 'latin1');
  return header.toString('latin1') + extras + key;
}

const TTL = '\0\0\0\x09';
const EN = 'EN\r\n';
const LONG = 'n'.repeat(57);

const rows: readonly (readonly [name: string, request: string, miss: string | undefined])[] = [
  ['get', 'get nokey\r\n', 'END\r\n'],
  ['gets', 'gets nokey\r\n', 'END\r\n'],
  ['gat', 'gat 9 nokey\r\n', 'END\r\n'],
  ['gats', 'gats 9 nokey\r\n', 'END\r\n'],
  ['mg', 'mg nokey\r\n', EN],
  ['mg, nothing to repeat', 'mg nokey v t f c s\r\n', EN],
  ['mg, opaque', 'mg nokey v Oabc\r\n', 'EN Oabc\r\n'],
  ['mg, key', 'mg nokey t k v\r\n', 'EN knokey\r\n'],
  ['mg, both, in their order', 'mg nokey k v Oabc\r\n', 'EN knokey Oabc\r\n'],
  ['mg, both, the other way', 'mg nokey Oabc v k\r\n', 'EN Oabc knokey\r\n'],
  ['mg, many spaces, bare line end', 'mg nokey   Oabc   k\n', 'EN Oabc knokey\r\n'],
  ['mg, a k within other words', 'mg kk Okk v\r\n', 'EN Okk\r\n'],
  ['mg, base64', 'mg bm9rZXk= b k Oxyz\r\n', 'EN kbm9rZXk= b Oxyz\r\n'],
  ['mg, base64, key first', 'mg bm9rZXk= k Oxyz b\r\n', 'EN kbm9rZXk= b Oxyz\r\n'],
  ['mg, base64, no key', 'mg bm9rZXk= b v\r\n', EN],
  ['mg, touching', 'mg nokey T30 v Oabc\r\n', 'EN Oabc\r\n'],
  ['mg, as long as a note holds', `mg ${LONG.slice(0, 54)} k\r\n`, `EN k${LONG.slice(0, 54)}\r\n`],
  ['mg, a long key that need not be repeated', `mg ${'n'.repeat(250)} v t\r\n`, EN],
  ['binary get', binary(0x00, 'nokey'), undefined],
  ['binary getk', binary(0x0c, 'nokey'), undefined],
  ['binary gat', binary(0x1d, 'nokey', TTL), undefined],
  ['binary gatk', binary(0x23, 'nokey', TTL), undefined],
  ['binary getk, as long as a note holds', binary(0x0c, LONG.slice(0, 56)), undefined],
  ['binary get, a long key', binary(0x00, 'n'.repeat(250)), undefined],
];

describe('a miss', () => {
  test.each(rows.filter(([, , miss]) => miss !== undefined))('%s', (_, request, miss) => {
    expect(missTo(request)).toBe(miss);
  });

  test('binary get, byte by byte', () => {
    const hex = Buffer.from(missTo(binary(0x00, 'nokey'))!, 'latin1').toString('hex');
    expect(hex).toBe(`8100000000000001000000096f7000710000000000000000${Buffer.from('Not found').toString('hex')}`);
  });

  test.each([
    ['mg with a line longer than a note', `mg ${LONG} k\r\n`],
    ['getk with a key longer than a note', binary(0x0c, LONG)],
  ])('%s: nothing can be said', (_, request) => {
    expect(missTo(request)).toBe(undefined);
  });

  test('property: whatever the note holds, nothing is written beyond the room, and what is written is a reply', () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0x20, 0x6b, 0x4f, 0x62, 1, 2));
    const size = { minLength: NOTE_BYTES, maxLength: NOTE_BYTES };
    const dirt = fc
      .tuple(fc.nat(2), fc.array(byte, size))
      .map(([kind, bytes]) => Uint8Array.from([kind, ...bytes.slice(1)]));
    fc.assert(
      fc.property(dirt, fc.nat(40), (note, verb) => {
        note[1]! %= NOTE_BYTES - 8 + 1;
        const reply = new Uint8Array(MISS_BYTES_MAX + 64).fill(CANARY);
        const length = writeMiss(reply, 0, verb, note, 0);
        expect(length).toBeLessThanOrEqual(MISS_BYTES_MAX);
        expect(reply.slice(length).every(byte => byte === CANARY)).toBe(true);
        parseReply(reply, 0, length, new Int32Array(OUT_WORDS));
      }),
      { numRuns: 2000 },
    );
  });
});

describe.skipIf(requireMemcached())('memcached says the same', () => {
  let server: LiveMemcached;
  beforeAll(async () => {
    server = await LiveMemcached.start();
  });
  afterAll(() => server?.stop());

  test.each(rows)('%s', async (_, request) => {
    expect((await server.ask(request)).replies).toEqual([missTo(request)]);
  });

  test('to 150 mg made at random', async () => {
    const word = fc.stringMatching(/^[kOb-e]{1,6}$/);
    const flag = fc.constantFrom('v', 'k', 't', 'f', 'c', 's', 'Oabc', 'Ok', 'T30', 'h', 'l');
    const flags = fc.uniqueArray(flag, { maxLength: 6, selector: text => text[0] });
    for (const [key, some] of fc.sample(fc.tuple(word, flags), { seed: 7, numRuns: 150 })) {
      const request = `mg ${[key, ...some].join(' ')}\r\n`;
      expect((await server.ask(request)).replies, request).toEqual([missTo(request)]);
    }
  });
});
