/** Holds the tables of rows.ts, and requests made at random, against a real memcached. */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type EncodableVerb, encodeRequest } from '../../src/memcached/encode.ts';
import { OUT_STATUS, OUT_VALUE_LENGTH, OUT_WORDS, PROTOCOL_BINARY } from '../../src/memcached/located.ts';
import {
  parseReply,
  REPLY_BINARY,
  REPLY_END,
  REPLY_ERROR,
  REPLY_META,
  REPLY_META_VALUE,
  REPLY_NAMES,
  REPLY_OTHER,
  REPLY_STATUS,
  REPLY_VALUE,
} from '../../src/memcached/reply.ts';
import {
  OUT_PROTOCOL,
  parseRequest,
  REFUSED_NUMBER,
  REFUSED_TRAILING,
  REQUEST_OK,
} from '../../src/memcached/request.ts';
import { requireMemcached } from '../support/requirements.ts';
import { type Answer, LiveMemcached, memcachedVersion, SHORT_PATIENCE_MS } from './live-memcached.ts';
import { bytesOf, parseAmidst, textOf } from './placed-message.ts';
import { BAD, type BadRow, GOOD } from './rows.ts';

const version = memcachedVersion();
/** What the column `memcached` of the malformed rows was observed with. */
const OBSERVED = '1.6.18';

const shown = (request: string) => JSON.stringify(request.length > 70 ? `${request.slice(0, 66)}…` : request);

/** Nothing against the request: that is the item's fault. */
const NOT_A_NUMBER = 'CLIENT_ERROR cannot increment';

/** Statuses of a binary response that blame the request's form. */
const INVALID_ARGUMENTS = 0x0004;
const UNKNOWN_COMMAND = 0x0081;

function isError(reply: string): boolean {
  const bytes = bytesOf(reply);
  const out = new Int32Array(OUT_WORDS);
  const kind = parseReply(bytes, 0, bytes.length, out);
  if (kind !== REPLY_BINARY) return kind === REPLY_ERROR;
  return out[OUT_STATUS] === INVALID_ARGUMENTS || out[OUT_STATUS] === UNKNOWN_COMMAND;
}

describe.skipIf(requireMemcached())(`memcached ${version}`, () => {
  let server: LiveMemcached;
  beforeAll(async () => {
    server = await LiveMemcached.start();
  });
  afterAll(() => server?.stop());

  describe('takes what the parser takes', () => {
    beforeEach(async () => {
      await server.ask('set k1 0 0 2\r\nv1\r\n');
      await server.ask('set number 0 0 1\r\n5\r\n');
    });

    test.each(GOOD.filter(row => !row.offline).map(row => [shown(row.request), row] as const))('%s', async (_, row) => {
      const { replies, poisoned } = await server.ask(row.request);
      expect(poisoned).toBe(false);
      expect(replies.filter(reply => isError(reply) && !reply.startsWith(NOT_A_NUMBER))).toEqual([]);
      if (row.marks?.includes('noreply')) expect(replies).toEqual([]);
      if (!row.marks?.includes('quiet')) expect(replies.length).toBeGreaterThan(0);
      if (row.verb !== 'stats' && !row.marks?.includes('multi')) expect(replies.length).toBeLessThan(2);
      const kinds = replies.map(reply => REPLY_NAMES[parseAmidst(parseReply, bytesOf(reply)).result]);
      if (row.verb !== 'stats') expect(kinds).not.toContain(REPLY_NAMES[REPLY_OTHER]);
    });
  });

  describe.skipIf(version !== OBSERVED)(`does with what the parser refuses as observed with ${OBSERVED}`, () => {
    test.each(BAD.map(row => [shown(row.request), row.why, row] as const))('%s: %s', async (_name, _why, row) => {
      await server.ask('set number 0 0 1\r\n5\r\n');
      const patienceMs = row.memcached === 'poisoned' ? SHORT_PATIENCE_MS : undefined;
      expect(deed(row, await server.ask(row.request, patienceMs))).toBe(row.memcached);
    });

    /** That an item is no number is nothing against the request. */
    function deed(row: BadRow, { replies, poisoned }: Answer): BadRow['memcached'] {
      if (poisoned) return 'poisoned';
      if (replies.some(reply => isError(reply) && !reply.startsWith(NOT_A_NUMBER))) return 'error';
      return replies.length > 0 || row.memcached === 'accepts' ? 'accepts' : 'silent';
    }
  });

  test('agrees with the parser on which bytes a key may hold', async () => {
    const differ: number[] = [];
    for (let byte = 0; byte < 256; byte++) {
      const key = `k${String.fromCharCode(byte)}x`;
      const { result } = parseAmidst(parseRequest, bytesOf(`get ${key}\r\n`));
      await server.ask(`set ${key} 0 0 2\r\nhi\r\n`);
      const { replies } = await server.ask(`get ${key}\r\n`);
      const isKey = replies.join('') === `VALUE ${key} 0 2\r\nhi\r\nEND\r\n`;
      const isOneKey = result === REQUEST_OK && byte !== 0x20;
      if (isKey !== isOneKey) differ.push(byte);
      if (isKey) expect(parseAmidst(parseReply, bytesOf(replies[0])).key).toBe(key);
    }
    expect(differ).toEqual([]);
  });

  test('takes every request that the parser takes, however odd, and takes it for one', async () => {
    /** Errors about the item, or about a flag that another version knows; no value is taken for a command then. */
    const harmless = /^(CLIENT_ERROR (invalid (or duplicate )?flag|invalid mode|cannot)|SERVER_ERROR object)/;
    const request = mangled();
    const seen = { taken: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(request, async text => {
        const found = parseAmidst(parseRequest, bytesOf(text));
        if (found.result !== REQUEST_OK || found.class === 'denied' || found.verb === 'stats') {
          seen.refused++;
          return;
        }
        seen.taken++;
        await server.ask('set number 0 0 1\r\n5\r\n');
        const { replies, poisoned } = await server.ask(text);
        expect(poisoned).toBe(false);
        if (!found.marks.includes('multi')) expect(replies.length).toBeLessThan(2);
        expect(replies.filter(isError).filter(reply => !harmless.test(reply))).toEqual([]);
      }),
      { numRuns: 1500 },
    );
    expect(seen.taken).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(100);
  });

  /** A row of the tables with a few bytes changed, words put in or taken away: most of them nearly right. */
  function mangled(): fc.Arbitrary<string> {
    const short = (row: { request: string }) => row.request.length < 120;
    const good = fc.constantFrom(...GOOD.filter(row => !row.offline && short(row)));
    const bad = fc.constantFrom(...BAD.filter(short));
    const insert = fc.constantFrom(
      ' ',
      ' 0',
      ' 1',
      ' -1',
      ' noreply',
      ' q',
      ' b',
      ' O1',
      ' T5',
      '\r\n',
      '\n',
      '\r',
      '+',
    );
    const edit = fc.tuple(fc.nat(), fc.constantFrom('insert', 'delete', 'replace'), insert, fc.nat(255));
    return fc
      .tuple(fc.oneof({ arbitrary: good, weight: 4 }, bad), fc.array(edit, { maxLength: 3 }))
      .map(([{ request }, edits]) => edits.reduce(applyEdit, request));
  }

  function applyEdit(text: string, [position, kind, piece, byte]: [number, string, string, number]): string {
    const at = position % (text.length + 1);
    if (kind === 'insert') return text.slice(0, at) + piece + text.slice(at);
    if (kind === 'delete') return text.slice(0, at) + text.slice(at + 1);
    return text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1);
  }

  /** `quit` and binary errors mark the UDP socket of a memcached for good; a marked one drops second commands. */
  describe('unmarked', () => {
    beforeAll(async () => {
      await server.stop();
      server = await LiveMemcached.start();
      await server.ask('set smuggled 0 0 1\r\n1\r\n');
    });
    afterEach(async () => {
      expect((await server.ask('get smuggled\r\n')).replies).toEqual(['END\r\n']);
      await server.ask('set smuggled 0 0 1\r\n1\r\n');
    });

    test('executes the second command of a datagram, which is why it is refused', async () => {
      const twoCommands = 'get k1\r\ndelete smuggled\r\n';
      expect(parseAmidst(parseRequest, bytesOf(twoCommands)).result).toBe(REFUSED_TRAILING);
      await server.ask(twoCommands);
    });

    test('executes the value of a store whose line it refuses, which is why numbers are checked', async () => {
      const smuggler = 'set k1 -1 0 17\r\ndelete smuggled\r\n\r\n';
      expect(parseAmidst(parseRequest, bytesOf(smuggler)).result).toBe(REFUSED_NUMBER);
      await server.ask(smuggler);
    });
  });

  describe('answers encoded requests, and the answers are read', () => {
    const protocols = ['ascii', 'meta', 'binary'] as const;

    test.each(protocols)('%s', async protocol => {
      const ask = async (verb: EncodableVerb, fields = {}) => {
        const datagram = encodeRequest({ protocol, verb, key: `key-${protocol}`, ...fields });
        expect(parseAmidst(parseRequest, datagram.subarray(8)).result).toBe(REQUEST_OK);
        const { replies } = await server.ask(textOf(datagram.subarray(8)));
        return replies.map(reply => parseAmidst(parseReply, bytesOf(reply)));
      };
      const kinds = protocol === 'binary' ? [REPLY_BINARY, REPLY_BINARY] : [];
      const [status, miss = REPLY_META] = protocol === 'ascii' ? [REPLY_STATUS, REPLY_END] : kinds;
      const stored = status ?? REPLY_META;
      const value = protocol === 'ascii' ? REPLY_VALUE : protocol === 'meta' ? REPLY_META_VALUE : REPLY_BINARY;

      expect((await ask('get')).map(({ result }) => result)).toEqual([miss]);
      expect((await ask('set', { value: 'abc', flags: 7, exptime: 100 })).map(({ result }) => result)).toEqual([
        stored,
      ]);
      expect(await ask('get')).toMatchObject([{ result: value, key: `key-${protocol}` }]);
      expect((await ask('get'))[0].value?.slice(0, 3)).toBe('abc');
      expect((await ask('get'))[0].out[OUT_VALUE_LENGTH]).toBe(3);
      expect((await ask('append', { value: '123' })).map(({ result }) => result)).toEqual([stored]);
      expect((await ask('prepend', { value: '!' }))[0].result).toBe(stored);
      expect((await ask('gat', { exptime: 50 }))[0].value?.slice(0, 7)).toBe('!abc123');
      expect((await ask('cas', { value: 'x', cas: 1n }))[0].result).toBe(stored);
      expect((await ask('gets'))[0].value?.slice(0, 7)).toBe('!abc123');
      expect((await ask('replace', { value: '5', quiet: true })).length).toBe(0);
      expect((await ask('incr', { delta: 18446744073709551615n })).length).toBe(1);
      expect((await ask('get'))[0].value?.slice(0, 1)).toBe('4');
      expect((await ask('decr')).length).toBe(1);
      expect((await ask('get'))[0].value?.slice(0, 1)).toBe('3');
      expect((await ask('touch', { exptime: 9 })).length).toBe(1);
      expect((await ask('add', { value: 'no' })).length).toBe(1);
      expect((await ask('delete', { quiet: true })).length).toBe(0);
      expect((await ask('get')).map(({ result }) => result)).toEqual([miss]);
      expect((await ask('noop', { key: '' })).length).toBe(1);
    });

    test('an opaque comes back with its reply', async () => {
      const meta = encodeRequest({ protocol: 'meta', verb: 'get', key: 'nothing', opaque: 'mine' });
      const binary = encodeRequest({ protocol: 'binary', verb: 'get', key: 'nothing', opaque: 0x41424344 });
      const opaques = [];
      for (const datagram of [meta, binary]) {
        const { replies } = await server.ask(textOf(datagram.subarray(8)));
        opaques.push(parseAmidst(parseReply, bytesOf(replies[0])).opaque);
      }
      expect(opaques).toEqual(['mine', 'ABCD']);
    });
  });

  test('a binary reply says which protocol it is in', async () => {
    const { replies } = await server.ask(textOf(encodeRequest({ protocol: 'binary', verb: 'version' }).subarray(8)));
    expect(parseAmidst(parseReply, bytesOf(replies[0])).out[OUT_PROTOCOL]).toBe(PROTOCOL_BINARY);
  });
});
