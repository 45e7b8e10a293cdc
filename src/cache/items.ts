/**
 * The records of hot keys in shared memory: one item each, all of one size, so that memory is fixed and nothing is
 * ever moved. ITEM_WORDS words an item, an odd number of cache lines (a power of two would put all headers into a few
 * sets of the CPU's cache).
 *
 *     words  0–15  what the coherence protocol knows of the key             coherence/directory.ts
 *     words 16–31  what is cached                                            below
 *     words 28–31, and 32–95 with the nodes that have a copy                 coherence/directory.ts
 *     byte  384    key, KEY_BYTES_MAX at most
 *     byte  640    body, BODY_BYTES_MAX at most
 *
 *     word 16  KEY_HASH      murmur3 of the key
 *          17  KEY_LENGTH    bytes
 *          18  FLAGS         the client's, unsigned 32 bits
 *          19  VALUE_LENGTH  bytes
 *          20  VALUE_AT      of the value within the body, bytes
 *          21  BODY_LENGTH   bytes
 *          22  BODY_SUM      folded one's-complement sum of the body (wire/checksum.ts), as of an even offset
 *          23  CAS_HIGH      } of the value, as the home node counts
 *          24  CAS_LOW       }
 *          25  SERVE_UNTIL   ms of the lanes' clock, wrapping: from then on the slow path looks first
 *          26  EXPIRES       ms: when the item may be gone at its home; only with TTL_SET in STATE
 *          27  STAMP         of the flush epoch in which the value was asked for
 *
 * The body is what a classic `get` is answered with, `VALUE <key> <flags> <bytes>\r\n<value>\r\nEND\r\n`: one straight
 * copy into the frame that asked. Values whose body does not fit one datagram are not cached.
 *
 * Who writes: the keeper makes an item and takes it away (the key is written once, before the item is published); all
 * else is changed by the lane that holds the item's lock (directory.ts). Readers compare VERSION before and after.
 */
export const ITEM_WORDS = 528;
export const ITEM_BYTES = ITEM_WORDS * 4;

export const ITEM_KEY_HASH = 16;
export const ITEM_KEY_LENGTH = 17;
export const ITEM_FLAGS = 18;
export const ITEM_VALUE_LENGTH = 19;
export const ITEM_VALUE_AT = 20;
export const ITEM_BODY_LENGTH = 21;
export const ITEM_BODY_SUM = 22;
export const ITEM_CAS_HIGH = 23;
export const ITEM_CAS_LOW = 24;
export const ITEM_SERVE_UNTIL = 25;
export const ITEM_EXPIRES = 26;
export const ITEM_STAMP = 27;

/** First word of the list of copies, and how many words it has. */
export const ITEM_REPLICAS = 32;
export const ITEM_REPLICA_WORDS = 64;
/** Bytes from the start of the item. */
export const ITEM_KEY_AT = 384;
export const ITEM_BODY_AT = 640;
/** A datagram of memcached's has 1400 bytes at most, 8 of them the frame header. */
export const BODY_BYTES_MAX = 1392;

/** Bytes of `items` items. */
export function itemsByteLength(items: number): number {
  return items * ITEM_BYTES;
}

/** First word of item `item`. */
export function itemWord(base: number, item: number): number {
  return base + Math.imul(item, ITEM_WORDS);
}

/** Whether the item's key is the `length` bytes at `offset` of `view`. The item lies in `itemView`. */
export function isKeyOf(
  itemView: DataView,
  words: Int32Array,
  item: number,
  view: DataView,
  offset: number,
  length: number,
): boolean {
  if (words[item + ITEM_KEY_LENGTH] !== length) return false;
  const key = (item << 2) + ITEM_KEY_AT;
  let at = 0;
  for (; at + 4 <= length; at += 4) if (itemView.getInt32(key + at) !== view.getInt32(offset + at)) return false;
  for (; at < length; at++) if (itemView.getUint8(key + at) !== view.getUint8(offset + at)) return false;
  return true;
}
