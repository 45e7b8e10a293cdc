/** A reply written over its request in the middle of shared memory, from an item that lies in other memory. */
import * as hits from '../../src/memcached/hit-reply.ts';
import { OUT_WORDS } from '../../src/memcached/located.ts';
import { parseRequest, REQUEST_OK } from '../../src/memcached/request.ts';
import { bytesOf, textOf } from './placed-message.ts';

export interface Item {
  key: string;
  value: string;
  flags: number;
  cas: bigint;
  /** Seconds; −1 never, −2 not known. */
  ttl: number;
  /** KEY_*; default KEY_TEXT. */
  keyForm?: number;
}

/** What the functions of hit-reply.ts and write-reply.ts have in common. */
export type Writer = (
  located: Int32Array,
  request: Uint8Array,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
) => number;

export interface Written {
  /** What the writer returned. */
  result: number;
  text: string;
}

const OFFSET = 51;
const FRAME_BYTES = 4000;
const CANARY = 0xc5;
/** Odd, and unlike OFFSET: words are not aligned. */
const KEY_AT = 7;
const VALUE_AT = 301;

/** The item's memory and fields. */
export function placeItem(item: Item): { hit: Int32Array; from: DataView } {
  const bytes = new Uint8Array(new SharedArrayBuffer(VALUE_AT + item.value.length));
  bytes.set(bytesOf(item.key), KEY_AT);
  bytes.set(bytesOf(item.value), VALUE_AT);
  const hit = new Int32Array(hits.HIT_WORDS);
  hit[hits.HIT_KEY_AT] = KEY_AT;
  hit[hits.HIT_KEY_LENGTH] = item.key.length;
  hit[hits.HIT_KEY_FORM] = item.keyForm ?? hits.KEY_TEXT;
  hit[hits.HIT_FLAGS] = item.flags;
  hit[hits.HIT_VALUE_AT] = VALUE_AT;
  hit[hits.HIT_VALUE_LENGTH] = item.value.length;
  hit[hits.HIT_CAS_HIGH] = Number(BigInt.asIntN(32, item.cas >> 32n));
  hit[hits.HIT_CAS_LOW] = Number(BigInt.asIntN(32, item.cas));
  hit[hits.HIT_TTL] = item.ttl;
  return { hit, from: new DataView(bytes.buffer) };
}

/** Throws when a byte outside the reply was changed, or any at all although nothing was written. */
export function writeOver(write: Writer, request: string, item: Item, room = FRAME_BYTES - OFFSET): Written {
  const bytes = new Uint8Array(new SharedArrayBuffer(FRAME_BYTES)).fill(CANARY);
  bytes.set(bytesOf(request), OFFSET);
  const located = new Int32Array(OUT_WORDS);
  const reason = parseRequest(bytes, OFFSET, OFFSET + request.length, located);
  if (reason !== REQUEST_OK) throw new Error(`${JSON.stringify(request)} is refused: ${reason}`);
  const { hit, from } = placeItem(item);
  const expected = Uint8Array.from(bytes);
  const result = write(located, bytes, hit, from, new DataView(bytes.buffer), OFFSET, room);
  const length = Math.max(0, result);
  expected.set(bytes.slice(OFFSET, OFFSET + length), OFFSET);
  if (!Buffer.from(expected).equals(Buffer.from(bytes))) throw new Error('bytes outside the reply were changed');
  if (length > room) throw new Error(`${length} bytes were written where there is room for ${room}`);
  return { result, text: textOf(bytes.slice(OFFSET, OFFSET + length)) };
}
