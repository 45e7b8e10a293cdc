/** A memcached message in one line. */
import type { Message, MessageKey } from './message.ts';

/** Keys that a line names. */
const KEYS_SHOWN = 8;

/**
 *     get user:7 → mc2 (10.77.1.12:11211)
 *     get a → mc1 (10.77.1.11:11211), b → mc2 (10.77.1.12:11211)
 *     set k, refused: wrong length
 *     VALUE user:7, 64 bytes, datagram 1 of 2
 */
export function commentOn(message: Message): string {
  const { direction, verb, keys, refusal, valueBytes, sequence, total } = message;
  const shown = keys.slice(0, KEYS_SHOWN).map(keyText).join(', ');
  const parts = [shown === '' ? verb : `${verb} ${shown}`];
  if (keys.length > KEYS_SHOWN) parts.push(`${keys.length - KEYS_SHOWN} more keys`);
  if (refusal !== undefined) parts.push(`refused: ${refusal}`);
  if (valueBytes !== undefined) parts.push(`${valueBytes} bytes`);
  if (direction === 'reply' && total !== 1) parts.push(`datagram ${sequence + 1} of ${total}`);
  if (direction === 'request' && total !== 1) parts.push(`refused: total is ${total}`);
  return parts.join(', ');
}

function keyText({ text, home }: MessageKey): string {
  return home === undefined ? text : `${text} → ${home.name} (${home.text}:${home.port})`;
}
