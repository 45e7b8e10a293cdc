/** When the answer to a request is there, and what it is: asked after every datagram of the reply. */

import { ReplyError } from './errors.ts';
import type { Assembly, Message } from './reassembly.ts';
import { type Item, readRetrieved } from './replies.ts';

/** Boxed, as an answer may itself be undefined. */
export interface Answer<T> {
  readonly value: T;
}

export interface Reading<T> {
  /** The answer, or undefined as long as datagrams are missing. What it throws fails the request. */
  read(assembly: Assembly): Answer<T> | undefined;
  /** The answer if nothing more comes; asked again when nothing did for a while. */
  settle?(assembly: Assembly): Answer<T> | undefined;
}

/** The reply is one message. */
export function singleMessage<T>(parse: (payload: Buffer) => T): Reading<T> {
  return {
    read: ({ messages }) => {
      const message = messages.find(({ isWhole }) => isWhole);
      return message && { value: parse(message.payload()) };
    },
  };
}

export interface ManyItems {
  readonly items: ReadonlyMap<string, Item>;
  /** Keys whose value may be a splice of two: to be asked for alone. */
  readonly doubtful: readonly string[];
}

/**
 * A get of several keys, in whichever way the server frames its reply.
 *
 * One message with all hits and END (Keysteer) is complete when it is whole. Of memcached's own, one message a hit, END
 * may overtake a hit, and a lost hit looks like a miss: when keys are missing, what still comes is waited for, `settle`.
 *
 * Hits of several datagrams need more care, as nothing says which datagram belongs to which hit: when the tail of one
 * and the head of the next are lost, the rest reads as one hit. Such a hit is believed when no head can have been lost
 * (all keys are there) and nothing was overtaken, or when its message holds several hits, which only a correct framing
 * has. Otherwise its key is doubtful.
 */
export class ManyKeysReading implements Reading<ManyItems> {
  readonly #keys: ReadonlySet<string>;
  readonly #asked: string;
  readonly #items = new Map<string, Item>();
  /** Messages that were read, and the keys of those with several datagrams. */
  readonly #read = new Set<Message>();
  readonly #spread = new Map<Message, string>();
  #isEnded = false;
  #isFramedWhole = false;

  constructor(keys: ReadonlySet<string>, asked: string) {
    this.#keys = keys;
    this.#asked = asked;
  }

  read(assembly: Assembly): Answer<ManyItems> | undefined {
    for (const message of assembly.messages) {
      if (message.isWhole && !this.#read.has(message)) this.#take(message);
    }
    const isSure = this.#hasAll || (this.#isEnded && this.#isFramedWhole);
    return isSure && assembly.isWhole ? this.#answer(assembly) : undefined;
  }

  settle(assembly: Assembly): Answer<ManyItems> | undefined {
    return this.#isEnded && assembly.isWhole ? this.#answer(assembly) : undefined;
  }

  get #hasAll(): boolean {
    return this.#items.size === this.#keys.size;
  }

  #take(message: Message): void {
    this.#read.add(message);
    const payload = message.payload();
    const { items, isEnded } = readRetrieved(payload, this.#asked);
    for (const item of items) {
      if (!this.#keys.has(item.key)) throw new ReplyError(this.#asked, payload);
      this.#items.set(item.key, item);
      if (message.total > 1) this.#spread.set(message, item.key);
    }
    if (isEnded) this.#isEnded = true;
    if (items.length > 1) this.#isFramedWhole = true;
  }

  #answer(assembly: Assembly): Answer<ManyItems> {
    const spread = this.#isFramedWhole ? [] : [...this.#spread];
    const doubted = spread.filter(([{ total }]) => !(this.#hasAll && isUnmixed(assembly, total)));
    return { value: { items: this.#items, doubtful: [...new Set(doubted.map(([, key]) => key))] } };
  }
}

function isUnmixed(assembly: Assembly, total: number): boolean {
  return assembly.isInOrder(total) || assembly.messages.filter(message => message.total === total).length === 1;
}
