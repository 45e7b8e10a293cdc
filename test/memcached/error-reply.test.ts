import { describe, expect, test } from 'vitest';
import { ERROR_REPLY_BYTES_MAX, writeErrorReply } from '../../src/memcached/error-reply.ts';
import { OUT_STATUS, OUT_WORDS } from '../../src/memcached/located.ts';
import { parseReply, REPLY_BINARY, REPLY_ERROR } from '../../src/memcached/reply.ts';
import {
  parseRequest,
  REFUSAL_COUNT,
  REFUSAL_LINES,
  REFUSAL_NAMES,
  REFUSAL_STATUS,
  REFUSED_BUSY,
  REFUSED_DENIED,
  REFUSED_MULTIGET_KEYS,
  REFUSED_NO_NODE,
  REFUSED_TOTAL,
} from '../../src/memcached/request.ts';
import { bytesOf, parseAmidst, textOf } from './placed-message.ts';
import { BAD, binary, SET_EXTRAS } from './rows.ts';

const OFFSET = 50;
const DIRT = 0xc5;

/** The answer written over the request, or beside it, and whether a byte beyond it was touched. */
function answerTo(request: string, reason?: number, at = OFFSET): { answer: string; spilt: boolean } {
  const bytes = new Uint8Array(600).fill(DIRT);
  bytes.set(bytesOf(request), OFFSET);
  const out = new Int32Array(OUT_WORDS);
  const refused = parseRequest(bytes, OFFSET, OFFSET + request.length, out);
  const expected = Uint8Array.from(bytes);
  const length = writeErrorReply(bytes, at, reason ?? refused, out);
  const answer = textOf(bytes.slice(at, at + length));
  expected.set(bytesOf(answer), at);
  return { answer, spilt: !Buffer.from(bytes).equals(Buffer.from(expected)) };
}

describe('in the words of memcached', () => {
  test.each([
    ['set k 0 0 9\r\nabc\r\n', 'CLIENT_ERROR bad data chunk\r\n'],
    ['ms k 9\r\nabc\r\n', 'CLIENT_ERROR bad data chunk\r\n'],
    ['bogus\r\n', 'ERROR\r\n'],
    ['get\r\n', 'ERROR\r\n'],
    [`get ${'k'.repeat(251)}\r\n`, 'CLIENT_ERROR bad command line format\r\n'],
    ['mg k v v\r\n', 'CLIENT_ERROR invalid or duplicate flag\r\n'],
    ['mg k v v q\r\n', 'CLIENT_ERROR invalid or duplicate flag\r\n'],
    ['get k\r\nget k\r\n', 'CLIENT_ERROR more than one command in a datagram\r\n'],
  ])('%j is answered %j', (request, line) => {
    expect(answerTo(request)).toEqual({ answer: line, spilt: false });
  });

  test.each([
    ['get k', 'memcached says nothing to a line without newline'],
    ['', 'nor to an empty datagram'],
    ['\x80\0\0', 'nor to half a binary header'],
    ['set k 0 0 9 noreply\r\nabc\r\n', 'noreply'],
    ['delete k x noreply\r\n', 'noreply'],
  ])('%j is answered by silence: %s', request => {
    expect(answerTo(request)).toEqual({ answer: '', spilt: false });
  });

  test.each([
    [REFUSED_MULTIGET_KEYS, 'CLIENT_ERROR too many keys in one request\r\n'],
    [REFUSED_DENIED, 'CLIENT_ERROR command denied\r\n'],
    [REFUSED_TOTAL, 'SERVER_ERROR multi-packet request not supported\r\n'],
    [REFUSED_NO_NODE, 'SERVER_ERROR no node available\r\n'],
    [REFUSED_BUSY, 'SERVER_ERROR too many outstanding requests\r\n'],
  ])('reason %i of the data plane is answered %j', (reason, line) => {
    expect(answerTo('get k\r\n', reason)).toEqual({ answer: line, spilt: false });
  });
});

test('a binary request is answered by a binary error with its opcode and opaque, even a quiet one', () => {
  const short = { key: 'k', extras: SET_EXTRAS, value: 'abc', bodyLength: 99, opaque: 'abcd' };
  for (const op of [0x01, 0x11]) {
    const header = `\x81${String.fromCharCode(op)}\0\0\0\0\0\x04\0\0\0\x0eabcd${'\0'.repeat(8)}`;
    expect(answerTo(binary({ op, ...short }))).toEqual({ answer: `${header}bad data chunk`, spilt: false });
  }
});

test('the opaque survives wherever the answer is put, over the request or beside it', () => {
  const request = binary({ op: 0xee, key: 'k1', opaque: 'wxyz', cas: 'c'.repeat(8) });
  for (let at = 0; at < 200; at++) {
    const { answer, spilt } = answerTo(request, undefined, at);
    expect(spilt).toBe(false);
    expect(answer.slice(0, 24)).toBe(`\x81\xee\0\0\0\0\0\x81\0\0\0\x05wxyz${'\0'.repeat(8)}`);
    expect(answer.slice(24)).toBe('ERROR');
  }
});

test('every reason has a name, and every answer reads as an error of its protocol', () => {
  expect(new Set(REFUSAL_NAMES).size).toBe(REFUSAL_COUNT);
  for (const name of REFUSAL_NAMES) expect(name).toMatch(/^[a-z_]+$/);
  for (let reason = 1; reason < REFUSAL_COUNT; reason++) {
    if (REFUSAL_LINES[reason] === '') continue;
    expect(REFUSAL_LINES[reason]).toMatch(/^(ERROR|(CLIENT|SERVER)_ERROR [ -~]+)$/);
    const text = answerTo('get k\r\n', reason).answer;
    expect(parseAmidst(parseReply, bytesOf(text)).result).toBe(REPLY_ERROR);
    const response = parseAmidst(parseReply, bytesOf(answerTo(binary({ op: 0, key: 'k' }), reason).answer));
    expect(response.result).toBe(REPLY_BINARY);
    expect(response.out[OUT_STATUS]).toBe(REFUSAL_STATUS[reason]);
    expect(response.opaque).toBe('OPAQ');
  }
});

test('no answer is longer than it is said to be, and none is written for what is not a refusal', () => {
  for (const row of BAD)
    expect(answerTo(row.request.slice(0, 500)).answer.length).toBeLessThanOrEqual(ERROR_REPLY_BYTES_MAX);
  for (const reason of [0, -1, REFUSAL_COUNT, 1e9]) expect(answerTo('get k\r\n', reason).answer).toBe('');
});
