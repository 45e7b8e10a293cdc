/**
 * Tells which of a fixed set of words stands in the bytes, without making a string: one table load and one comparison.
 *
 * The slot of a word is the top byte of (first byte, second byte, length) × multiplier. The multiplier that keeps the set
 * free of collisions is searched once, at start. What lands in a slot is then compared byte by byte.
 */
const SLOTS = 256;
/** Room for a spelling: its length, then its bytes. */
const SPELLING_BYTES = 16;
/** 2^32 ÷ φ: its multiples are spread evenly. */
const GOLDEN_RATIO = 0x9e3779b9;
const ATTEMPTS_MAX = 100_000;

export interface WordTable {
  readonly multiplier: number;
  /** Slot → word id, 0 for none. */
  readonly ids: Uint8Array;
  /** Word id × SPELLING_BYTES → length and bytes. */
  readonly spellings: Uint8Array;
}

/** @param words spelling → id (1–255); spellings of 2 to 15 ASCII bytes */
export function wordTable(words: Readonly<Record<string, number>>): WordTable {
  const spellings = new Uint8Array(SPELLING_BYTES * (1 + Math.max(...Object.values(words))));
  for (const [word, id] of Object.entries(words)) {
    spellings[id * SPELLING_BYTES] = word.length;
    spellings.set(Buffer.from(word, 'latin1'), id * SPELLING_BYTES + 1);
  }
  for (let attempt = 1; attempt < ATTEMPTS_MAX; attempt++) {
    const multiplier = Math.imul(attempt, GOLDEN_RATIO) | 1;
    const ids = slotIds(words, multiplier);
    if (ids !== undefined) return { multiplier, ids, spellings };
  }
  throw new Error(`no multiplier separates the words ${Object.keys(words).join(' ')}`);
}

function slotIds(words: Readonly<Record<string, number>>, multiplier: number): Uint8Array | undefined {
  const ids = new Uint8Array(SLOTS);
  for (const [word, id] of Object.entries(words)) {
    const slot = slotOf(word.charCodeAt(0), word.charCodeAt(1), word.length, multiplier);
    if (ids[slot] !== 0) return undefined;
    ids[slot] = id;
  }
  return ids;
}

function slotOf(first: number, second: number, length: number, multiplier: number): number {
  return Math.imul(first | (second << 8) | (length << 16), multiplier) >>> 24;
}

/**
 * Id of the word that is exactly the `length` bytes at `at`, or 0. A table's parts come as arguments, from constants of
 * the caller's module, so that V8 folds them.
 */
export function wordAt(
  ids: Uint8Array,
  spellings: Uint8Array,
  multiplier: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): number {
  if (length < 2) return 0;
  const id = ids[slotOf(bytes[at], bytes[at + 1], length, multiplier)];
  const spelling = id << 4;
  if (spellings[spelling] !== length) return 0;
  let left = length;
  while (left > 0 && spellings[spelling + left] === bytes[at + left - 1]) left--;
  return left === 0 ? id : 0;
}
