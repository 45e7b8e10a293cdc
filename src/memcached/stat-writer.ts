/**
 * The reply to `stats`, written line by line, or packet by packet, into bytes of a fixed size.
 *
 *     ASCII    STAT <name> <value>\r\n …  END\r\n
 *     binary   a response for each, key = name, value = value, and one with neither at the end
 *
 * What does not fit makes the whole reply void (`isFull`): half of it would read as all of it.
 */
import { BINARY_HEADER_BYTES } from './binary.ts';
import { writeAddress, writeDecimal } from './decimal.ts';
import { copyInto, writeBinaryResponse } from './local-reply.ts';

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const STAT = latin1('STAT ');
const END = latin1('END\r\n');
const OPCODE_STAT = 0x10;
const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;
/** Longest thing that is written without a look at the room: a number, an address with its port. */
const SHORT_BYTES_MAX = 32;

export class StatWriter {
  readonly bytes: Uint8Array;
  /** Whether something did not fit. */
  isFull = false;
  readonly #stop: number;
  #at = 0;
  #isBinary = false;
  #opaque = 0;
  /** Where the packet under way began, and its value. */
  #packet = 0;
  #value = 0;

  constructor(capacityBytes: number) {
    this.bytes = new Uint8Array(capacityBytes);
    this.#stop = capacityBytes - SHORT_BYTES_MAX - BINARY_HEADER_BYTES;
  }

  /** Length of the reply so far. */
  get length(): number {
    return this.#at;
  }

  begin(isBinary: boolean, opaque: number): void {
    this.isFull = false;
    this.#at = 0;
    this.#isBinary = isBinary;
    this.#opaque = opaque;
  }

  /** Begins one figure; its value follows in as many pieces as it takes, then `close`. */
  open(name: Uint8Array): void {
    this.openFrom(name, 0, name.length);
  }

  /** `open` with a name that lies in other bytes. */
  openFrom(bytes: Uint8Array, start: number, length: number): void {
    this.#packet = this.#at;
    if (!this.#hasRoom(length + STAT.length)) return;
    this.#at = this.#isBinary ? this.#at + BINARY_HEADER_BYTES : copyInto(this.bytes, this.#at, STAT);
    this.textFrom(bytes, start, length);
    if (!this.#isBinary) this.bytes[this.#at++] = SPACE;
    this.#value = this.#at;
  }

  text(text: Uint8Array): void {
    this.textFrom(text, 0, text.length);
  }

  textFrom(bytes: Uint8Array, start: number, length: number): void {
    if (!this.#hasRoom(length)) return;
    for (let at = 0; at < length; at++) this.bytes[this.#at + at] = bytes[start + at];
    this.#at += length;
  }

  number(number: number): void {
    if (this.#hasRoom(0)) this.#at = writeDecimal(this.bytes, this.#at, number);
  }

  address(address: number): void {
    if (this.#hasRoom(0)) this.#at = writeAddress(this.bytes, this.#at, address);
  }

  close(): void {
    if (!this.#hasRoom(0)) return;
    if (this.#isBinary) return this.#closePacket(this.#value - this.#packet - BINARY_HEADER_BYTES);
    this.bytes[this.#at++] = CR;
    this.bytes[this.#at++] = LF;
  }

  /** The line, or the empty packet, that says that this was all. */
  end(): void {
    if (!this.#hasRoom(0)) return;
    if (!this.#isBinary) {
      this.#at = copyInto(this.bytes, this.#at, END);
      return;
    }
    this.#packet = this.#at;
    this.#at += BINARY_HEADER_BYTES;
    this.#value = this.#at;
    this.#closePacket(0);
  }

  #closePacket(keyBytes: number): void {
    const valueBytes = this.#at - this.#value;
    writeBinaryResponse(this.bytes, this.#packet, OPCODE_STAT, 0, this.#opaque, keyBytes, valueBytes);
  }

  #hasRoom(length: number): boolean {
    if (this.#at + length > this.#stop) this.isFull = true;
    return !this.isFull;
  }
}
