/**
 * One memcached process, seen from its UDP socket: a datagram in, messages out. What it does not model, it refuses to be
 * asked: a request that is cut short would make the real one read other clients' datagrams as values, so none may ever
 * reach a node through Keysteer (PoisonError).
 */
import { binary, packetBytes } from './binary.ts';
import { classic } from './classic.ts';
import { wordsOf } from './lines.ts';
import { meta } from './meta.ts';
import { Store } from './store.ts';

const BINARY_MAGIC = 0x80;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** A datagram after which the real memcached would wait for more of it. */
export class PoisonError extends Error {
  override readonly name = 'PoisonError';
}

export class MemcachedServer {
  readonly store: Store;
  /** When its timer ticks, ms of the clock; the first tick after the start. */
  readonly #startMs: number;

  /**
   * @param nowMs when it is started
   * @param phaseMs how long after that its clock ticks first, 0 … 1000
   * @param unixS what the wall clock says then
   */
  constructor(nowMs: number, phaseMs: number, unixS: number) {
    this.#startMs = nowMs + phaseMs - 1000;
    this.store = new Store(unixS);
  }

  /**
   * Carries out what stands in `bytes` from `start` to `end`, behind the frame header.
   * @returns messages, one character a byte; none for what is to be answered with silence
   * @throws PoisonError
   */
  answer(bytes: Buffer, start: number, end: number, nowMs: number): string[] {
    this.store.tick(Math.floor((nowMs - this.#startMs) / 1000));
    return bytes[start] === BINARY_MAGIC ? this.#packets(bytes, start, end) : this.#lines(bytes, start, end);
  }

  #packets(bytes: Buffer, start: number, end: number): string[] {
    const messages: string[] = [];
    for (let at = start; at < end; at += packetBytes(bytes, at)) {
      if (end - at < 24 || end - at < packetBytes(bytes, at)) throw new PoisonError('a binary request is cut short');
      messages.push(binary(this.store, bytes, at));
    }
    return messages;
  }

  #lines(bytes: Buffer, start: number, end: number): string[] {
    let messages: string[] | undefined;
    for (let at = start; at < end; ) {
      const newline = bytes.indexOf(NEWLINE, at);
      if (newline < 0 || newline >= end) throw new PoisonError('a line has no end');
      const stop = newline > at + 1 && bytes[newline - 1] === RETURN ? newline - 1 : newline;
      const words = wordsOf(bytes.toString('latin1', at, stop));
      at = newline + 1;
      const readData = (count: number): string => {
        if (end - at < count + 2) throw new PoisonError(`a value of ${count} bytes is cut short`);
        const data = bytes.toString('latin1', at, at + count);
        if (bytes[at + count] !== RETURN || bytes[at + count + 1] !== NEWLINE) {
          throw new PoisonError('a value is longer than was declared');
        }
        at += count + 2;
        return data;
      };
      const said = this.#line(words, readData);
      messages = messages === undefined ? said : [...messages, ...said];
    }
    return messages ?? [];
  }

  #line(words: readonly string[], readData: (bytes: number) => string): string[] {
    const command = words[0];
    if (command === undefined || command.length < 2) return ['ERROR\r\n'];
    if (command.length === 2 && command[0] === 'm') return meta(this.store, words, readData);
    return classic(this.store, words, readData);
  }
}
