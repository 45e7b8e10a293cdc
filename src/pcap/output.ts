/** Where a capture's bytes go: a file, or standard output. */
import { closeSync, openSync, writeSync } from 'node:fs';

export interface ByteOutput {
  write(bytes: Uint8Array): void;
  /** Hands on what is still held back. */
  flush(): void;
  close(): void;
}

const BUFFER_BYTES = 1 << 16;
const STDOUT = 1;
/** Pause when a pipe is full and its reader slow, ms. */
const FULL_PIPE_MS = 1;

/** Gathers small writes into large ones. */
export class FileOutput implements ByteOutput {
  readonly #file: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #held = 0;

  /** @param path `-` for standard output */
  constructor(path: string) {
    this.#file = path === '-' ? STDOUT : openSync(path, 'w');
  }

  write(bytes: Uint8Array): void {
    if (this.#held + bytes.length > BUFFER_BYTES) this.flush();
    if (bytes.length > BUFFER_BYTES) return writeAll(this.#file, bytes);
    this.#buffer.set(bytes, this.#held);
    this.#held += bytes.length;
  }

  flush(): void {
    const held = this.#held;
    this.#held = 0;
    writeAll(this.#file, this.#buffer.subarray(0, held));
  }

  close(): void {
    try {
      this.flush();
    } finally {
      if (this.#file !== STDOUT) closeSync(this.#file);
    }
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(file, bytes, at);
    } catch (error) {
      // Standard output may be a pipe that does not block.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS);
    }
  }
}
