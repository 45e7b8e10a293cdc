/** Lines of the text protocols: words and numbers, as memcached reads them. */

const KEY_BYTES_MAX = 250;
/** Fits in 32 bits for sure. */
const SHORT = /^\d{1,9}$/;

/** Words are apart by spaces, any number of them. */
export function wordsOf(line: string): string[] {
  const words = line.split(' ');
  return words.includes('') ? words.filter(word => word !== '') : words;
}

export function isKeyTooLong(key: string): boolean {
  return key.length > KEY_BYTES_MAX;
}

/** As safe_strtol: a number of 32 bits (wrapping, as C assigns it), or undefined. */
export function int32Of(text: string): number | undefined {
  if (SHORT.test(text)) return Number(text);
  return /^[-+]?\d+$/.test(text) ? Number(BigInt.asIntN(32, BigInt(text.replace('+', '')))) : undefined;
}

export function uint32Of(text: string): number | undefined {
  if (SHORT.test(text)) return Number(text);
  return /^\+?\d+$/.test(text) ? Number(BigInt.asUintN(32, BigInt(text.replace('+', '')))) : undefined;
}

/** CAS ids beyond 2^53 are none that the model gives out, so it does not matter which they become. */
export function casOf(text: string): number | undefined {
  return /^\+?\d+$/.test(text) ? Number(text) : undefined;
}
