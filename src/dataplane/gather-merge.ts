/**
 * Writes the one reply to a multi-key request: the values in the order of the keys and the tail, as one stream of bytes,
 * cut into datagrams of at most 1400 bytes, all under the client's request id with sequence and total.
 *
 * A long reply goes out over several cycles, a few datagrams in each: the lane's other traffic goes on in between, and
 * the client's socket is not flooded at once.
 */
import { copyBytes } from '../mem/copy.ts';
import { FRAME_HEADER_BYTES, REPLY_DATAGRAM_BYTES_MAX, writeFrameHeader } from '../memcached/frame-header.ts';
import { isQuietGet } from '../memcached/key-list.ts';
import * as ethernet from '../wire/ethernet.ts';
import { COUNT } from './counters.ts';
import type { ChunkStore } from './gather-store.ts';
import {
  GATHER_AT,
  GATHER_CHUNK,
  GATHER_CLIENT,
  GATHER_CLIENT_MAC,
  GATHER_CLIENT_PORT,
  GATHER_ID,
  GATHER_KEYS,
  GATHER_LEFT,
  GATHER_PART,
  GATHER_SEQUENCE,
  GATHER_TAIL,
  GATHER_TAIL_BYTES,
  GATHER_TOTAL,
  type GatherTable,
  ID_BINARY,
  KEY_BYTES,
  KEY_FIRST,
  KEY_HIT,
  KEY_OPCODE_SHIFT,
  KEY_STATE,
  KEY_STATE_MASK,
} from './gather-table.ts';
import { OWN_HEADERS_BYTES, writeOwnHeaders } from './own-datagram.ts';
import type { Path } from './path.ts';

export class Merger {
  readonly #path: Path;
  readonly #table: GatherTable;
  readonly #store: ChunkStore;
  /** Bytes of the stream that one datagram carries. */
  readonly #roomBytes: number;

  constructor(path: Path, table: GatherTable, store: ChunkStore) {
    this.#path = path;
    this.#table = table;
    this.#store = store;
    const fitting = path.clientPort.frameBytesMax - OWN_HEADERS_BYTES;
    this.#roomBytes = Math.min(REPLY_DATAGRAM_BYTES_MAX, fitting) - FRAME_HEADER_BYTES;
  }

  /** All keys are settled: how long will the reply be? Returns the bytes of its datagrams, frame headers included. */
  begin(gather: number): number {
    const { words } = this.#path.memory;
    if (this.#isAnsweredLast(gather)) words[gather + GATHER_TAIL_BYTES] = 0;
    const bytes = this.#valueBytes(gather) + words[gather + GATHER_TAIL_BYTES];
    const total = Math.ceil(bytes / this.#roomBytes);
    words[gather + GATHER_TOTAL] = total;
    words[gather + GATHER_SEQUENCE] = 0;
    words[gather + GATHER_PART] = -1;
    words[gather + GATHER_LEFT] = 0;
    return bytes + total * FRAME_HEADER_BYTES;
  }

  /** Sends the next datagrams, at most `most`; returns their number. */
  send(gather: number, most: number): number {
    const { words } = this.#path.memory;
    let sent = 0;
    while (sent < most && !this.isDone(gather)) {
      const offset = this.#path.clientOut.claim();
      if (offset < 0) break;
      this.#sendDatagram(gather, offset);
      words[gather + GATHER_SEQUENCE] += 1;
      sent++;
    }
    this.#path.memory.counters[COUNT.multiget_datagrams] += sent;
    return sent;
  }

  isDone(gather: number): boolean {
    const { words } = this.#path.memory;
    return words[gather + GATHER_SEQUENCE] >= words[gather + GATHER_TOTAL];
  }

  /** Whether a binary run ends in a get or getk (not a noop) and the node has found its key. */
  #isAnsweredLast(gather: number): boolean {
    const { words } = this.#path.memory;
    if ((words[gather + GATHER_ID] & ID_BINARY) === 0) return false;
    const state = words[this.#table.key(gather, words[gather + GATHER_KEYS] - 1) + KEY_STATE];
    return (state & KEY_STATE_MASK) === KEY_HIT && !isQuietGet(state >>> KEY_OPCODE_SHIFT);
  }

  #valueBytes(gather: number): number {
    const { words } = this.#path.memory;
    let bytes = 0;
    for (let i = 0; i < words[gather + GATHER_KEYS]; i++) {
      const key = this.#table.key(gather, i);
      if ((words[key + KEY_STATE] & KEY_STATE_MASK) === KEY_HIT) bytes += words[key + KEY_BYTES];
    }
    return bytes;
  }

  #sendDatagram(gather: number, offset: number): void {
    const { memory, setup, clientPort, clientOut } = this.#path;
    const { bytes, view, words } = memory;
    const payload = offset + OWN_HEADERS_BYTES;
    const id = words[gather + GATHER_ID] & 0xffff;
    writeFrameHeader(bytes, payload, id, words[gather + GATHER_SEQUENCE], words[gather + GATHER_TOTAL]);
    const payloadBytes = FRAME_HEADER_BYTES + this.#fill(gather, payload + FRAME_HEADER_BYTES);
    const client = words[gather + GATHER_CLIENT];
    const port = words[gather + GATHER_CLIENT_PORT];
    const own = this.#path.nextIdentification();
    const length = writeOwnHeaders(view, offset, own, setup.vip, setup.vipPort, client, port & 0xffff, payloadBytes);
    ethernet.setDestination(view, offset, port >>> 16, words[gather + GATHER_CLIENT_MAC]);
    ethernet.setSource(view, offset, clientPort.macHigh, clientPort.macLow);
    clientOut.send(offset, length, 0, 0);
  }

  /** The next bytes of the stream, as many as a datagram carries; returns their number. */
  #fill(gather: number, to: number): number {
    const { words } = this.#path.memory;
    const end = to + this.#roomBytes;
    let at = to;
    while (at < end && (words[gather + GATHER_LEFT] > 0 || this.#nextPart(gather))) {
      at += this.#copy(gather, at, end - at);
    }
    return at - to;
  }

  /** Goes on to the next part that has bytes; false behind the last. */
  #nextPart(gather: number): boolean {
    const { words } = this.#path.memory;
    const keys = words[gather + GATHER_KEYS];
    while (words[gather + GATHER_PART] < keys) {
      const part = words[gather + GATHER_PART] + 1;
      words[gather + GATHER_PART] = part;
      if (part === keys) return this.#startPart(gather, words[gather + GATHER_TAIL], words[gather + GATHER_TAIL_BYTES]);
      const key = this.#table.key(gather, part);
      const isHit = (words[key + KEY_STATE] & KEY_STATE_MASK) === KEY_HIT;
      if (isHit) return this.#startPart(gather, words[key + KEY_FIRST], words[key + KEY_BYTES]);
    }
    return false;
  }

  #startPart(gather: number, first: number, bytes: number): boolean {
    const { words } = this.#path.memory;
    words[gather + GATHER_CHUNK] = first;
    words[gather + GATHER_AT] = 0;
    words[gather + GATHER_LEFT] = bytes;
    return bytes > 0;
  }

  /** As many bytes as the chunk at hand has for it. */
  #copy(gather: number, to: number, room: number): number {
    const { words, view } = this.#path.memory;
    const chunk = words[gather + GATHER_CHUNK];
    const at = words[gather + GATHER_AT];
    const inChunk = this.#store.bytes(chunk) - at;
    const count = Math.min(room, words[gather + GATHER_LEFT], inChunk);
    copyBytes(view, this.#store.offset(chunk) + at, to, count);
    words[gather + GATHER_LEFT] -= count;
    words[gather + GATHER_AT] = count === inChunk ? 0 : at + count;
    if (count === inChunk) words[gather + GATHER_CHUNK] = this.#store.next(chunk);
    return count;
  }
}
