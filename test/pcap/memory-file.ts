/** A file in memory, read in pieces of any size and written to. */
import type { CapturedFrame } from '../../src/pcap/frame.ts';
import type { ByteSource } from '../../src/pcap/input.ts';
import type { ByteOutput } from '../../src/pcap/output.ts';
import { CaptureReader } from '../../src/pcap/reader.ts';

/** @param pieceBytes most that one read gives */
export function memoryFile(bytes: Uint8Array, pieceBytes = 7): ByteSource {
  let at = 0;
  return {
    name: 'in.pcap',
    read(into) {
      const piece = bytes.subarray(at, at + Math.min(pieceBytes, into.length));
      into.set(piece);
      at += piece.length;
      return piece.length;
    },
    close() {},
  };
}

export class MemoryOutput implements ByteOutput {
  readonly #pieces: Uint8Array[] = [];
  flushed = 0;
  closed = false;

  write(bytes: Uint8Array): void {
    this.#pieces.push(bytes.slice());
  }

  flush(): void {
    this.flushed++;
  }

  close(): void {
    this.closed = true;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#pieces));
  }
}

/** All frames of a capture in memory, each copied out as it comes. */
export function readAll(file: Uint8Array, pieceBytes?: number): CapturedFrame[] {
  const reader = new CaptureReader(memoryFile(file, pieceBytes));
  const frames: CapturedFrame[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) frames.push({ ...frame, bytes: frame.bytes.slice() });
  return frames;
}
