/**
 * Millions of messages through the parsers: no throw, nothing found outside the message, no byte outside it that matters,
 * none written. What parsePlainGet takes, parseRequest takes alike; the keys of a request lie in it.
 *
 * KEYSTEER_FUZZ_MESSAGES sets their number, KEYSTEER_FUZZ_SEED replays a run.
 */
import { expect, it } from 'vitest';
import { keyStop, nextKey } from '../../src/memcached/key-list.ts';
import { parsePlainGet } from '../../src/memcached/plain-get.ts';
import { parseReply, REPLY_OTHER } from '../../src/memcached/reply.ts';
import * as requests from '../../src/memcached/request.ts';
import * as verbsOf from '../../src/memcached/verbs.ts';
import { MESSAGE_BYTES_MAX, writeMessage } from '../support/fuzz-messages.ts';
import { Random } from '../support/fuzz-random.ts';

// Copies: the test runner looks an import up at each use.
const { OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH, OUT_OPAQUE_OFFSET } = requests;
const { OUT_PROTOCOL, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET, OUT_VERB, OUT_WORDS, PROTOCOL_ASCII } = requests;
const { parseRequest, REQUEST_MULTI_KEY, REQUEST_OK } = requests;
const { CLASS_READ, CLASS_WRITE } = verbsOf;

const MESSAGES = Number(process.env.KEYSTEER_FUZZ_MESSAGES ?? 10_000_000);
const SEED = Number(process.env.KEYSTEER_FUZZ_SEED ?? Date.now() % 2 ** 31);

/** Messages written, parsed and compared together. */
const BATCH = 128;
const PLACE_BYTES = 512;
const FIRST = 42;
/** What lies around the messages: each batch twice, amid one of the first and one of the second. */
const FILLS = [0x00, 0x20, 0x6b, 0x0a] as const;
const OTHER_FILLS = [0xff, 0x30, 0x0d, 0x80] as const;

/** Memory with a message in each of its places, and a copy that nobody parses. */
class Field {
  readonly bytes = new Uint8Array(new SharedArrayBuffer(BATCH * PLACE_BYTES));
  readonly view = new DataView(this.bytes.buffer);
  readonly #copy = Buffer.alloc(BATCH * PLACE_BYTES);

  /** Writes new messages amid `fill`; their ends go to `ends`. */
  write(ends: Int32Array, fill: number): void {
    this.bytes.fill(fill);
    for (let i = 0; i < BATCH; i++) ends[i] = writeMessage(this.bytes, i * PLACE_BYTES + FIRST, random);
    // What a writer left behind the end of a message that it cut off, belongs to it no more.
    for (let i = 0; i < BATCH; i++) this.bytes.fill(fill, ends[i]!, (i + 1) * PLACE_BYTES);
    this.#copy.set(this.bytes);
  }

  /** The same messages amid another `fill`. */
  copy({ bytes }: Field, ends: Int32Array, fill: number): void {
    this.bytes.fill(fill);
    for (let i = 0; i < BATCH; i++) {
      for (let place = i * PLACE_BYTES + FIRST; place < ends[i]!; place++) this.bytes[place] = bytes[place]!;
    }
    this.#copy.set(this.bytes);
  }

  expectUntouched(): void {
    if (Buffer.compare(this.#copy, this.bytes) !== 0) throw new Error('a parser wrote');
  }
}

const random = new Random(SEED);
const ends = new Int32Array(BATCH);
const [field, other] = [new Field(), new Field()];
const [out, otherOut, plainOut] = [new Int32Array(OUT_WORDS), new Int32Array(OUT_WORDS), new Int32Array(OUT_WORDS)];
/** What was found, by result of parseRequest, by verb, and of replies by kind. */
const [results, verbs, replies] = [new Float64Array(256), new Float64Array(256), new Float64Array(256)];
const kinds = (counts: Float64Array) => counts.filter(count => count > 0).length;

function demand(holds: boolean, complaint: string): void {
  if (!holds) throw new Error(complaint);
}

function sameWords(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < OUT_WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether a part lies in the message; a part that is not there does. */
function lies(offset: number, length: number, at: number, end: number): boolean {
  return offset < 0 || length <= 0 || (offset >= at && offset + length <= end);
}

function judgeRequest(at: number, end: number): void {
  out.fill(-77);
  const result = parseRequest(field.bytes, at, end, out);
  demand(parseRequest(other.bytes, at, end, otherOut) === result, 'bytes around a request matter');
  demand(sameWords(out, otherOut), 'bytes around a request matter for what is found');
  for (let i = 0; i < OUT_WORDS; i++) demand(out[i] !== -77, `word ${i} was not written`);
  demand(lies(out[OUT_KEY_OFFSET]!, out[OUT_KEY_LENGTH]!, at, end), 'a key outside the message');
  demand(lies(out[OUT_OPAQUE_OFFSET]!, out[OUT_OPAQUE_LENGTH]!, at, end), 'an opaque outside the message');
  results[result]! += 1;
  if (result === REQUEST_OK) judgeGood(at, end);
}

function judgeGood(at: number, end: number): void {
  demand(lies(out[OUT_VALUE_OFFSET]!, out[OUT_VALUE_LENGTH]!, at, end), 'a value outside the message');
  const isForNode = out[OUT_CLASS] === CLASS_READ || out[OUT_CLASS] === CLASS_WRITE;
  demand(!isForNode || (out[OUT_KEY_LENGTH]! >= 1 && out[OUT_KEY_LENGTH]! <= 250), 'a key of 0 or over 250 bytes');
  demand(out[OUT_VERB] !== 0 && out[OUT_CLASS] !== 0, 'a good request of no verb or class');
  verbs[out[OUT_VERB]!]! += 1;
  if ((out[OUT_FLAGS]! & REQUEST_MULTI_KEY) !== 0 && out[OUT_PROTOCOL] === PROTOCOL_ASCII) judgeKeys(at, end);
}

function judgeKeys(at: number, end: number): void {
  let keys = 0;
  for (let key = out[OUT_KEY_OFFSET]!; key >= 0; keys++) {
    const stop = keyStop(field.bytes, key);
    demand(key >= at && stop > key && stop < end && stop - key <= 250, 'a key of several outside the message');
    key = nextKey(field.bytes, stop);
  }
  demand(keys >= 2, 'several keys that are one');
}

function judgePlainGet(at: number, end: number): void {
  if (!parsePlainGet(field.view, at, end, plainOut)) return;
  demand(
    parseRequest(field.bytes, at, end, out) === REQUEST_OK && sameWords(out, plainOut),
    'a plain get that is none',
  );
}

/** A value may reach into the next datagram. */
function judgeReply(at: number, end: number): void {
  const kind = parseReply(field.bytes, at, end, out);
  demand(parseReply(other.bytes, at, end, otherOut) === kind, 'bytes around a reply matter');
  demand(sameWords(out, otherOut), 'bytes around a reply matter for what is found');
  demand(lies(out[OUT_KEY_OFFSET]!, out[OUT_KEY_LENGTH]!, at, end), "a reply's key outside the message");
  demand(lies(out[OUT_OPAQUE_OFFSET]!, out[OUT_OPAQUE_LENGTH]!, at, end), "a reply's opaque outside the message");
  replies[kind]! += 1;
}

function judgeAt(place: number): void {
  const at = place * PLACE_BYTES + FIRST;
  const end = ends[place]!;
  judgeRequest(at, end);
  judgePlainGet(at, end);
  judgeReply(at, end);
}

function runBatch(batch: number): void {
  field.write(ends, FILLS[batch % FILLS.length]!);
  other.copy(field, ends, OTHER_FILLS[(batch >> 2) % OTHER_FILLS.length]!);
  let place = 0;
  try {
    for (; place < BATCH; place++) judgeAt(place);
    field.expectUntouched();
    other.expectUntouched();
  } catch (error) {
    const message = Buffer.from(field.bytes.slice(place * PLACE_BYTES + FIRST, ends[place])).toString('latin1');
    const where = `KEYSTEER_FUZZ_SEED=${SEED}, batch ${batch}, ${JSON.stringify(message)}`;
    throw new Error(`${(error as Error).message}: ${where}`, { cause: error });
  }
}

it(`holds for ${MESSAGES} messages (seed ${SEED})`, { timeout: 300_000 + MESSAGES / 10 }, () => {
  const [startMs, cpu] = [performance.now(), process.cpuUsage()];
  const batches = Math.ceil(MESSAGES / BATCH);
  for (let batch = 0; batch < batches; batch++) runBatch(batch);
  const seconds = (performance.now() - startMs) / 1000;
  const cpuSeconds = process.cpuUsage(cpu).user / 1e6;
  console.log(
    `parsers: ${batches * BATCH} messages in ${seconds.toFixed(1)} s (CPU ${cpuSeconds.toFixed(1)} s), seed ${SEED}`,
  );
  expect(MESSAGE_BYTES_MAX).toBeLessThan(PLACE_BYTES - FIRST);
});

it('reaches far: most refusals and verbs, a good part of good requests', () => {
  const all = results.reduce((sum, each) => sum + each, 0);
  console.log(`${kinds(results)} results of parseRequest, ${kinds(verbs)} verbs, ${kinds(replies)} kinds of replies`);
  expect(results[REQUEST_OK]! / all).toBeGreaterThan(0.1);
  expect(kinds(results)).toBeGreaterThan(10);
  expect(kinds(verbs)).toBeGreaterThan(20);
  expect(1 - replies[REPLY_OTHER]! / all).toBeGreaterThan(0.01);
});
