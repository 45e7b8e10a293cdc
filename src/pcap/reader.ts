/**
 * Frames of a capture, one after another, whichever format it has. The room's front door, with writer.ts.
 *
 *     const capture = CaptureReader.open('in.pcap');
 *     for (let frame = capture.next(); frame; frame = capture.next()) …
 *     capture.close();
 */
import type { CapturedFrame } from './frame.ts';
import { ByteInput, type ByteSource, openFile } from './input.ts';
import { MAGIC_NS, MAGIC_US } from './pcap-layout.ts';
import { PcapReader } from './pcap-reader.ts';
import { BLOCK_SECTION } from './pcapng-layout.ts';
import { PcapngReader, swapped } from './pcapng-reader.ts';

const MAGIC_BYTES = 4;

export class CaptureReader {
  readonly #input: ByteInput;
  readonly #reader: PcapReader | PcapngReader;

  /** @throws PcapError, or the file system's error */
  static open(path: string): CaptureReader {
    return new CaptureReader(openFile(path));
  }

  /** @throws PcapError when it is no capture; the source is closed then */
  constructor(source: ByteSource) {
    this.#input = new ByteInput(source);
    try {
      this.#reader = readerFor(this.#input);
    } catch (error) {
      this.#input.close();
      throw error;
    }
  }

  /**
   * The next frame, undefined at the end.
   * @throws PcapError at what breaks the format's rules; frames before it have been handed out
   */
  next(): CapturedFrame | undefined {
    return this.#reader.next();
  }

  /** Bytes of the file that have been read, for progress. */
  get position(): number {
    return this.#input.position;
  }

  close(): void {
    this.#input.close();
  }
}

function readerFor(input: ByteInput): PcapReader | PcapngReader {
  const magic = input.peek(MAGIC_BYTES, 'its first four bytes').getUint32(0, true);
  if (magic === BLOCK_SECTION) return new PcapngReader(input);
  if (magic === MAGIC_US || magic === MAGIC_NS) return new PcapReader(input, true);
  if (swapped(magic) === MAGIC_US || swapped(magic) === MAGIC_NS) return new PcapReader(input, false);
  const bytes = (swapped(magic) >>> 0).toString(16).padStart(8, '0');
  throw input.fail(0, `the file begins with 0x${bytes}, which is neither pcap nor pcapng`);
}
