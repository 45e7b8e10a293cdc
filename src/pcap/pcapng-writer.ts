import { checkFrame, FRAME_BYTES_MAX, LINK_ETHERNET } from './frame.ts';
import type { ByteOutput } from './output.ts';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_FRAMING_BYTES,
  BLOCK_INTERFACE,
  BLOCK_SECTION,
  BYTE_ORDER_MAGIC,
  DIRECTION_INBOUND,
  DIRECTION_OUTBOUND,
  OPTION_APPLICATION,
  OPTION_COMMENT,
  OPTION_FLAGS,
  OPTION_NAME,
  OPTION_TIME_RESOLUTION,
  padded,
  RESOLUTION_NS,
  VERSION_MAJOR,
} from './pcapng-layout.ts';
import type { CaptureInterface, CaptureWriter, FrameToWrite, WriterOptions } from './writer.ts';

const APPLICATION = 'keysteer';
const OPTION_BYTES_MAX = 0xffff;
const PACKET_FIELDS_BYTES = 20;

interface Option {
  readonly code: number;
  readonly value: Uint8Array;
}

/** pcapng: one section, times in ns, a comment a frame. */
export class PcapngWriter implements CaptureWriter {
  readonly #output: ByteOutput;
  readonly #isLittle: boolean;
  readonly #interfaceCount: number;

  constructor(output: ByteOutput, { interfaces = [{ name: '' }], endian = 'little' }: WriterOptions = {}) {
    this.#output = output;
    this.#isLittle = endian === 'little';
    this.#interfaceCount = interfaces.length;
    this.#section();
    for (const one of interfaces) this.#interface(one);
  }

  write(frame: FrameToWrite): void {
    const { bytes, timeNs, wireBytes = bytes.length, comment = '', direction } = frame;
    const { interface: position = 0 } = frame;
    checkFrame(bytes, timeNs);
    if (!(position < this.#interfaceCount)) {
      throw new RangeError(`pcapng: interface ${position}; the capture has ${this.#interfaceCount}`);
    }
    const options = [...text(OPTION_COMMENT, comment), ...this.#direction(direction)];
    this.#block(BLOCK_ENHANCED_PACKET, PACKET_FIELDS_BYTES + padded(bytes.length), options, (body, all) => {
      body.setUint32(0, position, this.#isLittle);
      body.setUint32(4, Number(timeNs >> 32n), this.#isLittle);
      body.setUint32(8, Number(timeNs & 0xffffffffn), this.#isLittle);
      body.setUint32(12, bytes.length, this.#isLittle);
      body.setUint32(16, wireBytes, this.#isLittle);
      all.set(bytes, 8 + PACKET_FIELDS_BYTES);
    });
  }

  flush(): void {
    this.#output.flush();
  }

  close(): void {
    this.#output.close();
  }

  #section(): void {
    this.#block(BLOCK_SECTION, 16, text(OPTION_APPLICATION, APPLICATION), body => {
      body.setUint32(0, BYTE_ORDER_MAGIC, this.#isLittle);
      body.setUint16(4, VERSION_MAJOR, this.#isLittle);
      body.setBigInt64(8, -1n, this.#isLittle);
    });
  }

  #interface({ name, comment = '' }: CaptureInterface): void {
    const resolution = { code: OPTION_TIME_RESOLUTION, value: Uint8Array.of(RESOLUTION_NS) };
    const options = [...text(OPTION_COMMENT, comment), ...text(OPTION_NAME, name), resolution];
    this.#block(BLOCK_INTERFACE, 8, options, body => {
      body.setUint16(0, LINK_ETHERNET, this.#isLittle);
      body.setUint32(4, FRAME_BYTES_MAX, this.#isLittle);
    });
  }

  #direction(direction: 'in' | 'out' | undefined): Option[] {
    if (direction === undefined) return [];
    const value = new Uint8Array(4);
    const flags = direction === 'in' ? DIRECTION_INBOUND : DIRECTION_OUTBOUND;
    new DataView(value.buffer).setUint32(0, flags, this.#isLittle);
    return [{ code: OPTION_FLAGS, value }];
  }

  /** @param fill writes the fixed part: `body` from behind the length, `all` the whole block */
  #block(
    type: number,
    fixedBytes: number,
    options: readonly Option[],
    fill: (body: DataView, all: Uint8Array) => void,
  ): void {
    const length = BLOCK_FRAMING_BYTES + fixedBytes + optionsBytes(options);
    const block = new Uint8Array(length);
    const view = new DataView(block.buffer);
    view.setUint32(0, type, this.#isLittle);
    view.setUint32(4, length, this.#isLittle);
    fill(new DataView(block.buffer, 8), block);
    let at = 8 + fixedBytes;
    for (const { code, value } of options) {
      view.setUint16(at, code, this.#isLittle);
      view.setUint16(at + 2, value.length, this.#isLittle);
      block.set(value, at + 4);
      at += 4 + padded(value.length);
    }
    view.setUint32(length - 4, length, this.#isLittle);
    this.#output.write(block);
  }
}

/** A text option; none for an empty text. @throws RangeError */
function text(code: number, value: string): Option[] {
  if (value === '') return [];
  const bytes = Buffer.from(value);
  if (bytes.length > OPTION_BYTES_MAX) {
    throw new RangeError(`pcapng: a text of ${bytes.length} bytes; at most ${OPTION_BYTES_MAX} fit`);
  }
  return [{ code, value: bytes }];
}

/** With the option that ends them, which is four zeros. */
function optionsBytes(options: readonly Option[]): number {
  if (options.length === 0) return 0;
  return options.reduce((sum, { value }) => sum + 4 + padded(value.length), 4);
}
