import { checkFrame, FRAME_BYTES_MAX, LINK_ETHERNET } from './frame.ts';
import type { ByteOutput } from './output.ts';
import {
  FILE_HEADER_BYTES,
  MAGIC_NS,
  MAGIC_US,
  NS_PER_S,
  NS_PER_US,
  RECORD_HEADER_BYTES,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './pcap-layout.ts';
import type { CaptureWriter, FrameToWrite, WriterOptions } from './writer.ts';

const SECONDS_MAX = 0xffffffffn;

/** Classic pcap: neither comments nor interfaces. */
export class PcapWriter implements CaptureWriter {
  readonly #output: ByteOutput;
  readonly #isLittle: boolean;
  readonly #nsPerUnit: bigint;

  constructor(output: ByteOutput, { endian = 'little', resolution = 'ns' }: WriterOptions = {}) {
    this.#output = output;
    this.#isLittle = endian === 'little';
    this.#nsPerUnit = resolution === 'ns' ? 1n : NS_PER_US;
    const header = new DataView(new ArrayBuffer(FILE_HEADER_BYTES));
    header.setUint32(0, resolution === 'ns' ? MAGIC_NS : MAGIC_US, this.#isLittle);
    header.setUint16(4, VERSION_MAJOR, this.#isLittle);
    header.setUint16(6, VERSION_MINOR, this.#isLittle);
    header.setUint32(16, FRAME_BYTES_MAX, this.#isLittle);
    header.setUint32(20, LINK_ETHERNET, this.#isLittle);
    output.write(new Uint8Array(header.buffer));
  }

  write({ bytes, timeNs, wireBytes = bytes.length }: FrameToWrite): void {
    checkFrame(bytes, timeNs);
    const seconds = timeNs / NS_PER_S;
    if (seconds > SECONDS_MAX)
      throw new RangeError(`pcap: ${timeNs} ns is later than 2106, which the format cannot hold`);
    const header = new DataView(new ArrayBuffer(RECORD_HEADER_BYTES));
    header.setUint32(0, Number(seconds), this.#isLittle);
    header.setUint32(4, Number((timeNs % NS_PER_S) / this.#nsPerUnit), this.#isLittle);
    header.setUint32(8, bytes.length, this.#isLittle);
    header.setUint32(12, wireBytes, this.#isLittle);
    this.#output.write(new Uint8Array(header.buffer));
    this.#output.write(bytes);
  }

  flush(): void {
    this.#output.flush();
  }

  close(): void {
    this.#output.close();
  }
}
