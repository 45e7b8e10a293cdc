/** A message in the middle of shared memory, as in a frame, and what a parser found there, in words. */
import {
  OUT_CLASS,
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_OPAQUE_LENGTH,
  OUT_OPAQUE_OFFSET,
  OUT_PROTOCOL,
  OUT_VALUE_LENGTH,
  OUT_VALUE_OFFSET,
  OUT_VERB,
  OUT_WORDS,
  PROTOCOL_NAMES,
  REQUEST_HAS_CAS,
  REQUEST_KEY_BASE64,
  REQUEST_KEY_RAW,
  REQUEST_MULTI_KEY,
  REQUEST_NOREPLY,
  REQUEST_QUIET,
} from '../../src/memcached/located.ts';
import { CLASS_NAMES, VERB_NAMES } from '../../src/memcached/verbs.ts';

type Parser = (bytes: Uint8Array, offset: number, end: number, out: Int32Array) => number;

/** Bytes outside the message: they must not matter. */
const FILLS = [0x00, 0x0a, 0x20, 0x30, 0x6b, 0xff];
const OFFSET = 42;

export const MARKS: Record<string, number> = {
  quiet: REQUEST_QUIET,
  noreply: REQUEST_NOREPLY,
  base64: REQUEST_KEY_BASE64,
  raw: REQUEST_KEY_RAW,
  multi: REQUEST_MULTI_KEY,
  cas: REQUEST_HAS_CAS,
};

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

export interface Found {
  result: number;
  out: Int32Array;
  protocol: string;
  verb: string;
  class: string;
  marks: string[];
  key?: string;
  value?: string;
  opaque?: string;
}

/**
 * Parses `message` amid each of several kinds of surroundings, and throws when the surroundings make a difference,
 * when a word of `out` was left unwritten, or when a byte of the memory was changed.
 */
export function parseAmidst(parse: Parser, message: Uint8Array): Found {
  const results = FILLS.map(fill => parseOnce(parse, message, fill));
  const [first] = results;
  for (const other of results) {
    if (other.result !== first.result || other.out.join() !== first.out.join()) {
      throw new Error(`bytes around ${JSON.stringify(textOf(message))} matter: ${first.out} and ${other.out}`);
    }
  }
  return first;
}

function parseOnce(parse: Parser, message: Uint8Array, fill: number): Found {
  const bytes = new Uint8Array(new SharedArrayBuffer(OFFSET + message.length + 300)).fill(fill);
  bytes.set(message, OFFSET);
  const before = Buffer.from(bytes);
  const out = new Int32Array(OUT_WORDS).fill(-77);
  const result = parse(bytes, OFFSET, OFFSET + message.length, out);
  if (!before.equals(Buffer.from(bytes))) throw new Error('the parser wrote into the frame');
  if (out.includes(-77)) throw new Error(`not every word was written: ${out}`);
  return { result, out, ...inWords(bytes, out) };
}

function inWords(bytes: Uint8Array, out: Int32Array) {
  const marks = Object.keys(MARKS).filter(mark => (out[OUT_FLAGS] & MARKS[mark]) !== 0);
  return {
    protocol: PROTOCOL_NAMES[out[OUT_PROTOCOL]],
    verb: VERB_NAMES[out[OUT_VERB]],
    class: CLASS_NAMES[out[OUT_CLASS]],
    marks,
    key: part(bytes, out[OUT_KEY_OFFSET], out[OUT_KEY_LENGTH]),
    value: part(bytes, out[OUT_VALUE_OFFSET], out[OUT_VALUE_LENGTH]),
    opaque: part(bytes, out[OUT_OPAQUE_OFFSET], out[OUT_OPAQUE_LENGTH]),
  };
}

function part(bytes: Uint8Array, offset: number, length: number): string | undefined {
  return offset < 0 || length < 0 ? undefined : textOf(bytes.slice(offset, offset + length));
}
