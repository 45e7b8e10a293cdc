import { type CapturedFrame, FRAME_BYTES_MAX, faultOfLinkType } from './frame.ts';
import type { ByteInput } from './input.ts';
import {
  FILE_HEADER_BYTES,
  MAGIC_NS,
  NS_PER_S,
  NS_PER_US,
  RECORD_HEADER_BYTES,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './pcap-layout.ts';

/** Reads the records of a classic pcap file. */
export class PcapReader {
  readonly #input: ByteInput;
  readonly #isLittle: boolean;
  readonly #nsPerUnit: bigint;

  /**
   * Reads the file header.
   * @param isLittle as the magic, which the caller has looked at, says
   * @throws PcapError
   */
  constructor(input: ByteInput, isLittle: boolean) {
    const start = input.position;
    const header = input.take(FILE_HEADER_BYTES, 'the file header');
    const major = header.getUint16(4, isLittle);
    const minor = header.getUint16(6, isLittle);
    if (major !== VERSION_MAJOR || minor !== VERSION_MINOR) {
      throw input.fail(start + 4, `version is ${major}.${minor}; it must be ${VERSION_MAJOR}.${VERSION_MINOR}`);
    }
    const fault = faultOfLinkType(header.getUint32(20, isLittle) & 0xffff);
    if (fault !== undefined) throw input.fail(start + 20, fault);
    this.#input = input;
    this.#isLittle = isLittle;
    this.#nsPerUnit = header.getUint32(0, isLittle) === MAGIC_NS ? 1n : NS_PER_US;
  }

  next(): CapturedFrame | undefined {
    const input = this.#input;
    if (input.atEnd) return undefined;
    const start = input.position;
    const header = input.take(RECORD_HEADER_BYTES, 'the header of a record');
    const [seconds, fraction, captured, wireBytes] = [0, 4, 8, 12].map(at => header.getUint32(at, this.#isLittle));
    if (captured > FRAME_BYTES_MAX) {
      throw input.fail(start + 8, `captured length is ${captured}; it must be at most ${FRAME_BYTES_MAX}`);
    }
    const frame = input.take(captured, 'a frame');
    return {
      bytes: new Uint8Array(frame.buffer, frame.byteOffset, captured),
      wireBytes,
      timeNs: BigInt(seconds) * NS_PER_S + BigInt(fraction) * this.#nsPerUnit,
      interface: 0,
      comment: '',
    };
  }
}
