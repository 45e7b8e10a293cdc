import { expect, test } from 'vitest';
import { LOCAL_REPLY_BYTES_MAX, VERSION_BYTES_MAX, writeLocalReply } from '../../src/memcached/local-reply.ts';
import { OUT_WORDS, parseRequest } from '../../src/memcached/request.ts';
import { bytesOf, textOf } from './placed-message.ts';
import { binary, GOOD } from './rows.ts';

const OFFSET = 50;
const VERSION = '1.6.0-keysteer-9.9.9';

/** The answer written over the request; the room behind it is not touched. */
function answerTo(request: string, version = VERSION): string {
  const bytes = new Uint8Array(2000).fill(0xc5);
  bytes.set(bytesOf(request), OFFSET);
  const out = new Int32Array(OUT_WORDS);
  parseRequest(bytes, OFFSET, OFFSET + request.length, out);
  const expected = Uint8Array.from(bytes);
  const length = writeLocalReply(bytes, OFFSET, out, bytesOf(version));
  expected.set(bytes.slice(OFFSET, OFFSET + length), OFFSET);
  expect(bytes).toEqual(expected);
  return textOf(bytes.slice(OFFSET, OFFSET + length));
}

function binaryAnswer(op: number, value: string): string {
  const length = String.fromCharCode(value.length);
  return `\x81${String.fromCharCode(op)}\0\0\0\0\0\0\0\0\0${length}wxyz${'\0'.repeat(8)}${value}`;
}

test.each([
  ['version\r\n', `VERSION ${VERSION}\r\n`],
  ['version please\n', `VERSION ${VERSION}\r\n`],
  ['mn\r\n', 'MN\r\n'],
  [binary({ op: 0x0a, opaque: 'wxyz' }), binaryAnswer(0x0a, '')],
  [binary({ op: 0x0b, opaque: 'wxyz' }), binaryAnswer(0x0b, VERSION)],
])('%j is answered %j', (request, answer) => {
  expect(answerTo(request)).toBe(answer);
});

test('nothing else is answered', () => {
  const others = GOOD.filter(({ verb }) => !['version', 'mn', 'noop'].includes(verb));
  expect(others.map(({ request }) => answerTo(request)).filter(answer => answer !== '')).toEqual([]);
});

test('no answer is longer than it is said to be', () => {
  expect(answerTo('version\r\n', 'v'.repeat(VERSION_BYTES_MAX)).length).toBeLessThanOrEqual(LOCAL_REPLY_BYTES_MAX);
  const longest = answerTo(binary({ op: 0x0b }), 'v'.repeat(VERSION_BYTES_MAX));
  expect(longest.length).toBeLessThanOrEqual(LOCAL_REPLY_BYTES_MAX);
});
