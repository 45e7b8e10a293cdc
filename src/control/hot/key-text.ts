/**
 * Keys as people read and type them: UTF-8, and what is no UTF-8 or cannot be seen as `\xNN`; a backslash is doubled.
 * `readKey(showKey(bytes))` is `bytes`.
 */

/** Control characters of both kinds, separators and marks of direction. */
const UNSEEN = /[\p{C}\p{Z}\\]/u;

export function showKey(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  const isText = Buffer.compare(Buffer.from(text), bytes) === 0;
  if (!isText) return Array.from(bytes, showByte).join('');
  return [...text].map(letter => (UNSEEN.test(letter) ? showUnseen(letter) : letter)).join('');
}

function showByte(byte: number): string {
  const letter = String.fromCharCode(byte);
  if (byte > 0x20 && byte < 0x7f) return letter === '\\' ? '\\\\' : letter;
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

function showUnseen(letter: string): string {
  return Array.from(Buffer.from(letter), showByte).join('');
}

/** The bytes that a text means. A backslash before anything but `\` and `xNN` stands for itself. */
export function readKey(text: string): Buffer {
  const parts = text.split(/(\\\\|\\x[0-9a-fA-F]{2})/);
  return Buffer.concat(
    parts.map(part => {
      if (part === '\\\\') return Buffer.from('\\');
      return /^\\x..$/.test(part) ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part);
    }),
  );
}

/** A text as it was typed, in quotes: control characters are shown, and nothing else is changed. */
export function quoted(text: string): string {
  return `"${text.replaceAll(/\p{Cc}/gu, showUnseen)}"`;
}

const KEY_BYTES_MAX = 250;

/** Why lanes would not treat this key, in words that complete "it …"; undefined when they would. */
export function keyFault(bytes: Uint8Array): string | undefined {
  if (bytes.length < 1 || bytes.length > KEY_BYTES_MAX) return `must have 1 to ${KEY_BYTES_MAX} bytes`;
  if (bytes.every(byte => byte > 0x20 && byte !== 0x7f)) return undefined;
  return 'must have no spaces and control characters';
}
