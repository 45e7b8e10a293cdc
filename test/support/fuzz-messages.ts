/**
 * Messages for fuzzing, written straight into memory: rows that are right with some bytes wrong, and sentences of the
 * three protocols put together from their words without much sense.
 */
import { BAD, BINARY, CLASSIC, GOOD, META } from '../memcached/rows.ts';
import type { Random } from './fuzz-random.ts';

/** No message is longer. */
export const MESSAGE_BYTES_MAX = 384;

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));

const REQUESTS = [...GOOD, ...BAD]
  .map(({ request }) => bytesOf(request))
  .filter(({ length }) => length <= MESSAGE_BYTES_MAX / 2);
const REPLIES = [
  ...['VALUE k 0 3\r\nabc\r\nEND\r\n', 'VALUE k 5 3 77\r\nabc\r\nVALUE kk 0 0\r\n\r\nEND\r\n', 'END\r\n', 'STORED\r\n'],
  ...['VA 3 k t60 Oabc\r\nabc\r\n', 'HD Oq b\r\n', 'EN\r\n', 'MN\r\n', 'VERSION 1.6.18\r\n', 'ME k exp=-1\r\n'],
  ...['STAT pid 1\r\nEND\r\n', 'CLIENT_ERROR bad\r\n', '7\r\n'],
  '\x81\x0c\0\x01\x04\0\0\0\0\0\0\x08\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0kabc',
].map(bytesOf);

const VERBS = [
  ...[...CLASSIC, ...META].map(({ request }) => request.split(/[\s\r\n]/)[0]!),
  ...['flush_all', 'version', 'mn', 'me', 'stats', 'verbosity', 'quit', 'shutdown', 'lru', 'GET', 'VALUE', 'VA', 'END'],
];
const SPACES = [' ', ' ', ' ', ' ', '  ', '\t', '\0', ''];
const ARGUMENTS = [
  ...['k', 'key', 'k'.repeat(250), 'k'.repeat(251), 'a\x7fb', 'Zm9v', 'Zm9', '=', '0', '1', '3', '-1', '60', '007'],
  ...['4294967295', '4294967296', '18446744073709551615', '18446744073709551616', '99999999999999999999', '1048577'],
  ...['noreply', 'norepl', 'b', 'q', 'v', 't', 'Oabc', 'O', 'S3', 'T60', 'MS', 'M', 'C7', 'F5', 'N30', 'I', 'k', 's'],
];
const ENDS = ['\r\n', '\r\n', '\r\n', '\n', '\r', '', '\r\nabc\r\n', '\r\n\0\0\0\r\n', '\r\n\r\n', '\r\nget k\r\n'];
const [VERB_BYTES, SPACE_BYTES, ARGUMENT_BYTES, END_BYTES] = [VERBS, SPACES, ARGUMENTS, ENDS].map(words =>
  words.map(bytesOf),
) as [Uint8Array[], Uint8Array[], Uint8Array[], Uint8Array[]];
/** Bytes that mean something to a parser. */
const TELLING = [0, 1, 0x08, 0x0a, 0x0d, 0x20, 0x30, 0x39, 0x62, 0x6b, 0x7f, 0x80, 0x81, 0xff];
const BINARY_BYTES = BINARY.map(({ request }) => bytesOf(request)).filter(({ length }) => length < 100);

/** Writes one message at `at`; returns its end. */
export function writeMessage(bytes: Uint8Array, at: number, random: Random): number {
  const kind = random.below(8);
  if (kind < 4) return spoil(bytes, at, copy(bytes, at, random.oneOf(kind === 0 ? REPLIES : REQUESTS)), random);
  if (kind < 7) return writeSentence(bytes, at, random);
  return writeBinaryRun(bytes, at, random);
}

function copy(bytes: Uint8Array, at: number, from: Uint8Array): number {
  for (let i = 0; i < from.length; i++) bytes[at + i] = from[i]!;
  return at + from.length;
}

/** Up to three bytes changed, sometimes the rest cut off. */
function spoil(bytes: Uint8Array, at: number, end: number, random: Random): number {
  const length = end - at;
  if (length === 0) return end;
  for (let faults = random.below(4); faults > 0; faults--) {
    const place = at + random.below(length);
    bytes[place] = random.once(2) ? random.oneOf(TELLING) : bytes[place]! ^ (1 << random.below(8));
  }
  return random.once(8) ? at + random.below(length) : end;
}

function writeSentence(bytes: Uint8Array, at: number, random: Random): number {
  let end = copy(bytes, at, random.oneOf(VERB_BYTES));
  for (let words = random.below(6); words > 0; words--) {
    const word = random.oneOf(ARGUMENT_BYTES);
    if (end + word.length > at + MESSAGE_BYTES_MAX - 32) break;
    end = copy(bytes, copy(bytes, end, random.oneOf(SPACE_BYTES)), word);
  }
  return copy(bytes, end, random.oneOf(END_BYTES));
}

/** One to three packets, opcode and lengths of the first few bytes wrong now and then. */
function writeBinaryRun(bytes: Uint8Array, at: number, random: Random): number {
  let end = at;
  for (let packets = 1 + random.below(3); packets > 0; packets--) {
    const first = end;
    end = copy(bytes, end, random.oneOf(BINARY_BYTES));
    if (random.once(2)) bytes[first + 1] = random.below(random.once(4) ? 256 : 0x25);
    if (random.once(4)) bytes[first + 2 + random.below(10)] = random.below(random.once(2) ? 256 : 8);
  }
  return random.once(8) ? at + random.below(end - at) : end;
}
