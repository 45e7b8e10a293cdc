/**
 * The steering table: which nodes there are, and the ring that maps a key's hash to one of them. It lies twice in
 * shared memory (src/mem/generation.ts); `table` is always the word index of the half in use. Control fills it, lanes
 * read it.
 *
 *     word  0   RING_KIND     0 none: nothing to steer to; 1 ketama; 2 maglev
 *           1   KEY_HASH      HASH_* below
 *           2   NODE_COUNT    rows up to the last in use; rows between that are nobody's are zero
 *           3   SLOT_COUNT    ring slots: ketama, points; maglev, the prime
 *           4   RING          ketama: first word of the index; maglev: of the entries (from the start of the table)
 *           5   POINTS        ketama: first word of the points (from the start of the table)
 *           6   INDEX_SHIFT   ketama: 32 − bits of the index
 *        7–15   unused
 *          16   node rows, 16 words each, as many as the capacity says
 *           …   ring area
 *
 *     node row, word
 *           0   ADDRESS       IPv4, 10.77.1.11 = 0x0a4d010b
 *           1   PORT          UDP
 *           2   WEIGHT        0: drained, no ring slots but its replies are still accepted
 *           3   FLAGS         NODE_ENABLED
 *           4   NEIGHBOUR     row of the neighbour table that resolves the next hop
 *           5   SLOTS         ring slots that the node holds
 *        6–15   reserved for health and load
 *
 *     ring area, ketama                                     ring area, maglev
 *        index    2^bits words, each for one stretch of        entries   two to a word, the even slot in the
 *                 the hashes:                                            lower 16 bits: the node
 *                   bit  0      1: a point lies within, so
 *                               the points must be asked
 *                   bits 1–10   node of the first point
 *                               at or above the stretch
 *                   bits 11–28  that point's slot
 *        points   2 words each, by ascending hash:
 *                 hash ^ 0x80000000 (so that a signed
 *                 comparison orders it), node
 *        end      one more point with hash 0xffffffff and
 *                 the node of the first: the ring closes
 */

export const RING_KIND = 0;
export const KEY_HASH = 1;
export const NODE_COUNT = 2;
export const SLOT_COUNT = 3;
export const RING = 4;
export const POINTS = 5;
export const INDEX_SHIFT = 6;
export const NODE_ROWS = 16;

export const RING_NONE = 0;
export const RING_KETAMA = 1;
export const RING_MAGLEV = 2;

export const HASH_MURMUR3 = 0;
export const HASH_MD5 = 1;
export const HASH_ONE_AT_A_TIME = 2;

export const NODE_ROW_SHIFT = 4;
export const NODE_ADDRESS = 0;
export const NODE_PORT = 1;
export const NODE_WEIGHT = 2;
export const NODE_FLAGS = 3;
export const NODE_NEIGHBOUR = 4;
export const NODE_SLOTS = 5;

export const NODE_ENABLED = 1;

export const POINT_WORDS = 2;
export const POINT_HASH = 0;
export const POINT_NODE = 1;

export const INDEX_ASK_POINTS = 1;
export const INDEX_NODE_SHIFT = 1;
export const INDEX_SLOT_SHIFT = 11;
/** The index of a ketama ring never has more entries than this. */
export const INDEX_BITS_MAX = 16;
export const INDEX_BITS_MIN = 8;

/** Hard limit: a node must fit the 16 bits of a maglev entry, and 160 points of every node the ring. */
export const NODES_LIMIT = 1024;
/** Most points a ketama ring has per node, on average over the ring (libmemcached, KETAMA_WEIGHTED). */
export const POINTS_PER_NODE_MAX = 160;

/** Words of the ring area. */
export function ringWords(nodesMax: number, maglevSizeMax: number): number {
  const ketama = (1 << INDEX_BITS_MAX) + POINT_WORDS * (POINTS_PER_NODE_MAX * nodesMax + 1);
  return Math.max(ketama, (maglevSizeMax + 1) >> 1);
}

/** Words of one half. */
export function tableWords(nodesMax: number, maglevSizeMax: number): number {
  return ringWord(nodesMax) + ringWords(nodesMax, maglevSizeMax);
}

/** First word of the ring area, from the start of the table. */
export function ringWord(nodesMax: number): number {
  return NODE_ROWS + (nodesMax << NODE_ROW_SHIFT);
}
