/** How memcached cuts its messages into datagrams. */

/** Bytes of a message in one datagram, beside the 8 of frame header. */
export const PIECE_BYTES = 1392;

/**
 * The messages that are sent: one without anything in it ("0 of 0") only where it comes first; behind another it is
 * taken for done with that one.
 */
export function sentMessages(messages: readonly string[]): readonly string[] {
  return messages.length < 2 ? messages : messages.filter((message, i) => i === 0 || message !== '');
}

/** Datagrams of a message; 0 stands for the one of an empty message, which says so. */
export function pieceCount(message: string): number {
  return message.length <= PIECE_BYTES ? Math.sign(message.length) : Math.ceil(message.length / PIECE_BYTES);
}
