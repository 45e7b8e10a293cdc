/** Bytes of a file in order, through a buffer of bounded size: no file is ever in memory as a whole. */
import { closeSync, openSync, readSync } from 'node:fs';
import { PcapError } from './error.ts';

/** Where bytes come from, one after another. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  /** Fills the start of `into`; returns the number of bytes, 0 at the end. */
  read(into: Uint8Array): number;
  close(): void;
}

/** @throws the file system's error */
export function openFile(path: string): ByteSource {
  const file = openSync(path, 'r');
  return {
    name: path,
    read: into => readSync(file, into, 0, into.length, null),
    close: () => closeSync(file),
  };
}

const BUFFER_BYTES = 1 << 16;

export class ByteInput {
  readonly #source: ByteSource;
  #buffer = new Uint8Array(BUFFER_BYTES);
  /** What is read and not yet taken: bytes #start … #end − 1 of the buffer. */
  #start = 0;
  #end = 0;
  #position = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Of the next byte, from the start of the file. */
  get position(): number {
    return this.#position;
  }

  get atEnd(): boolean {
    return this.#available(1) === 0;
  }

  /**
   * The next `bytes` bytes, valid until the next call. The caller has bounded their number.
   * @param what it is, for the message: "the file ends within <what>"
   * @throws PcapError when the file ends before
   */
  take(bytes: number, what: string): DataView {
    const view = this.peek(bytes, what);
    this.#start += bytes;
    this.#position += bytes;
    return view;
  }

  /** As `take`, and the bytes stay to be taken. */
  peek(bytes: number, what: string): DataView {
    const available = this.#available(bytes);
    if (available < bytes) throw this.#ended(available, bytes, what);
    return new DataView(this.#buffer.buffer, this.#start, bytes);
  }

  /** Passes over any number of bytes. @throws PcapError when the file ends before */
  skip(bytes: number, what: string): void {
    for (let left = bytes; left > 0; ) {
      const step = Math.min(left, BUFFER_BYTES);
      this.take(step, what);
      left -= step;
    }
  }

  fail(offset: number, rule: string): PcapError {
    return new PcapError(this.#source.name, offset, rule);
  }

  close(): void {
    this.#source.close();
  }

  /** Reads on until `wanted` bytes are there; returns how many are, fewer only at the end of the file. */
  #available(wanted: number): number {
    if (this.#end - this.#start < wanted) this.#makeRoom(wanted);
    while (this.#end - this.#start < wanted) {
      const read = this.#source.read(this.#buffer.subarray(this.#end));
      if (read === 0) break;
      this.#end += read;
    }
    return Math.min(this.#end - this.#start, wanted);
  }

  #makeRoom(wanted: number): void {
    const kept = this.#buffer.subarray(this.#start, this.#end);
    const into = wanted > this.#buffer.length ? new Uint8Array(wanted + BUFFER_BYTES) : this.#buffer;
    into.set(kept);
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = into;
  }

  #ended(available: number, wanted: number, what: string): PcapError {
    return this.fail(this.#position, `the file ends within ${what}: ${available} of ${wanted} bytes are there`);
  }
}
