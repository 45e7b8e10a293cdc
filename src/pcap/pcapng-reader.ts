import { type CapturedFrame, FRAME_BYTES_MAX, faultOfLinkType, TIME_END_NS, TIME_UNKNOWN } from './frame.ts';
import type { ByteInput } from './input.ts';
import { NS_PER_S } from './pcap-layout.ts';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_FRAMING_BYTES,
  BLOCK_INTERFACE,
  BLOCK_PACKET_OBSOLETE,
  BLOCK_SECTION,
  BLOCK_SIMPLE_PACKET,
  BYTE_ORDER_MAGIC,
  OPTION_COMMENT,
  OPTION_END,
  OPTION_TIME_OFFSET,
  OPTION_TIME_RESOLUTION,
  padded,
  RESOLUTION_BINARY,
  RESOLUTION_US,
  VERSION_MAJOR,
} from './pcapng-layout.ts';

/** Shortest body of each block that is read, bytes; others are passed over. */
const BODY_BYTES_MIN: Readonly<Record<number, number>> = {
  [BLOCK_SECTION]: 16,
  [BLOCK_INTERFACE]: 8,
  [BLOCK_PACKET_OBSOLETE]: 20,
  [BLOCK_SIMPLE_PACKET]: 4,
  [BLOCK_ENHANCED_PACKET]: 20,
};
/** Longest block that is taken into memory, bytes. */
const BLOCK_BYTES_MAX = 1 << 24;
/** More interfaces than any section needs. */
const INTERFACES_MAX = 65_536;
const PACKET_FIELDS_BYTES = 20;

interface Interface {
  readonly linkType: number;
  /** Longest frame, bytes; 0: not limited. */
  readonly frameBytesMax: number;
  readonly unitsPerSecond: bigint;
  readonly offsetNs: bigint;
  /** Of its block in the file. */
  readonly start: number;
}

/** The body of a block and where it lies in the file. */
interface Body {
  readonly view: DataView;
  readonly start: number;
}

/** Reads the packet blocks of a pcapng file. */
export class PcapngReader {
  readonly #input: ByteInput;
  #isLittle = true;
  #interfaces: Interface[] = [];
  readonly #text = new TextDecoder();

  constructor(input: ByteInput) {
    this.#input = input;
  }

  next(): CapturedFrame | undefined {
    while (!this.#input.atEnd) {
      const frame = this.#nextBlock();
      if (frame !== undefined) return frame;
    }
    return undefined;
  }

  /** Reads one block; a frame when it holds one. */
  #nextBlock(): CapturedFrame | undefined {
    const input = this.#input;
    const start = input.position;
    const head = input.take(8, 'the header of a block');
    const [type, lengthField] = [head.getUint32(0, true), head.getUint32(4, true)];
    if (type === BLOCK_SECTION) return this.#section(start, lengthField);
    const length = this.#isLittle ? lengthField : swapped(lengthField);
    return this.#block(this.#isLittle ? type : swapped(type), length, start);
  }

  #block(type: number, length: number, start: number): CapturedFrame | undefined {
    const bytesMin = BODY_BYTES_MIN[type];
    this.#checkLength(length, start, bytesMin ?? 0, bytesMin === undefined ? 0xffffffff : BLOCK_BYTES_MAX);
    if (bytesMin === undefined) {
      this.#input.skip(length - BLOCK_FRAMING_BYTES, 'a block');
      this.#checkTrailer(length);
      return undefined;
    }
    const view = this.#input.take(length - 8, 'a block'); // with its trailer, so that the body stays valid
    this.#checkTrailerOf(view, length, start);
    const body = { view: new DataView(view.buffer, view.byteOffset, view.byteLength - 4), start: start + 8 };
    if (type === BLOCK_INTERFACE) return this.#interface(body);
    return type === BLOCK_SIMPLE_PACKET ? this.#simplePacket(body) : this.#packet(body, type);
  }

  /** A section header: from here on its byte order, and interfaces of its own. */
  #section(start: number, lengthField: number): undefined {
    const input = this.#input;
    const magic = input.take(4, 'a section header').getUint32(0, true);
    if (magic !== BYTE_ORDER_MAGIC && magic !== swapped(BYTE_ORDER_MAGIC)) {
      throw input.fail(start + 8, `byte-order magic is 0x${hex(magic)}; it must be 0x${hex(BYTE_ORDER_MAGIC)}`);
    }
    this.#isLittle = magic === BYTE_ORDER_MAGIC;
    this.#interfaces = [];
    const length = this.#isLittle ? lengthField : swapped(lengthField);
    this.#checkLength(length, start, BODY_BYTES_MIN[BLOCK_SECTION], BLOCK_BYTES_MAX);
    const major = input.take(4, 'a section header').getUint16(0, this.#isLittle);
    if (major !== VERSION_MAJOR) throw input.fail(start + 12, `major version is ${major}; it must be ${VERSION_MAJOR}`);
    input.skip(length - 20, 'a section header');
    this.#checkTrailer(length);
  }

  #interface({ view, start }: Body): undefined {
    if (this.#interfaces.length === INTERFACES_MAX) {
      throw this.#input.fail(start, `a section must have at most ${INTERFACES_MAX} interfaces`);
    }
    let resolution = RESOLUTION_US;
    let offsetS = 0n;
    this.#eachOption({ view, start }, 8, (code, at, bytes) => {
      if (code === OPTION_TIME_RESOLUTION && bytes === 1) resolution = view.getUint8(at);
      if (code === OPTION_TIME_OFFSET && bytes === 8) offsetS = view.getBigInt64(at, this.#isLittle);
    });
    this.#interfaces.push({
      linkType: view.getUint16(0, this.#isLittle),
      frameBytesMax: view.getUint32(4, this.#isLittle),
      unitsPerSecond: unitsPerSecond(resolution),
      offsetNs: offsetS * NS_PER_S,
      start,
    });
  }

  #packet(body: Body, type: number): CapturedFrame {
    const { view, start } = body;
    const isLittle = this.#isLittle;
    const position = type === BLOCK_ENHANCED_PACKET ? view.getUint32(0, isLittle) : view.getUint16(0, isLittle);
    const timeNs = this.#time(body, this.#interfaceAt(position, start));
    const captured = this.#captured(body, view.getUint32(12, isLittle), start + 12);
    let comment = '';
    this.#eachOption(body, PACKET_FIELDS_BYTES + padded(captured), (code, at, bytes) => {
      if (code !== OPTION_COMMENT) return;
      const text = this.#text.decode(new Uint8Array(view.buffer, view.byteOffset + at, bytes));
      comment = comment === '' ? text : `${comment}\n${text}`;
    });
    return {
      bytes: new Uint8Array(view.buffer, view.byteOffset + PACKET_FIELDS_BYTES, captured),
      wireBytes: view.getUint32(16, isLittle),
      timeNs,
      interface: position,
      comment,
    };
  }

  #time({ view, start }: Body, { unitsPerSecond, offsetNs }: Interface): bigint {
    const units = (BigInt(view.getUint32(4, this.#isLittle)) << 32n) | BigInt(view.getUint32(8, this.#isLittle));
    const timeNs = (units * NS_PER_S) / unitsPerSecond + offsetNs;
    if (timeNs >= 0n && timeNs < TIME_END_NS) return timeNs;
    throw this.#input.fail(start + 4, `time is ${timeNs} ns; it must be from 0 to ${TIME_END_NS - 1n}, since 1970`);
  }

  #captured({ view }: Body, captured: number, at: number): number {
    const room = view.byteLength - PACKET_FIELDS_BYTES;
    const bytesMax = Math.min(room, FRAME_BYTES_MAX);
    if (captured <= bytesMax) return captured;
    throw this.#input.fail(
      at,
      `captured length is ${captured}; its block must hold it, and ${FRAME_BYTES_MAX} bound it`,
    );
  }

  /** Neither time nor captured length: the frame fills its block, up to the interface's limit and the padding. */
  #simplePacket({ view, start }: Body): CapturedFrame {
    const { frameBytesMax } = this.#interfaceAt(0, start);
    const wireBytes = view.getUint32(0, this.#isLittle);
    const captured = Math.min(wireBytes, frameBytesMax === 0 ? wireBytes : frameBytesMax, FRAME_BYTES_MAX);
    if (captured > view.byteLength - 4) {
      throw this.#input.fail(start, `captured length is ${captured}; its block must hold it`);
    }
    const bytes = new Uint8Array(view.buffer, view.byteOffset + 4, captured);
    return { bytes, wireBytes, timeNs: TIME_UNKNOWN, interface: 0, comment: '' };
  }

  /** The interface of a frame. Its link type counts only now: one that nothing was captured on does no harm. */
  #interfaceAt(position: number, at: number): Interface {
    const found = this.#interfaces[position];
    if (found === undefined) {
      const count = this.#interfaces.length;
      throw this.#input.fail(at, `interface is ${position}; it must be one of the ${count} that the section describes`);
    }
    const fault = faultOfLinkType(found.linkType);
    if (fault !== undefined) throw this.#input.fail(found.start, fault);
    return found;
  }

  #eachOption({ view, start }: Body, from: number, use: (code: number, at: number, bytes: number) => void): void {
    for (let at = from; at + 4 <= view.byteLength; ) {
      const code = view.getUint16(at, this.#isLittle);
      const bytes = view.getUint16(at + 2, this.#isLittle);
      if (code === OPTION_END) return;
      if (at + 4 + bytes > view.byteLength) {
        throw this.#input.fail(start + at + 2, `option length is ${bytes}; it must end within its block`);
      }
      use(code, at + 4, bytes);
      at += 4 + padded(bytes);
    }
  }

  #checkLength(length: number, start: number, bodyBytesMin: number, bytesMax: number): void {
    const bytesMin = BLOCK_FRAMING_BYTES + bodyBytesMin;
    if (length % 4 === 0 && length >= bytesMin && length <= bytesMax) return;
    const rule = `it must be a multiple of 4, from ${bytesMin} to ${bytesMax}`;
    throw this.#input.fail(start + 4, `block length is ${length}; ${rule}`);
  }

  #checkTrailer(length: number): void {
    const at = this.#input.position;
    const trailer = this.#input.take(4, 'a block').getUint32(0, this.#isLittle);
    if (trailer !== length) throw this.#input.fail(at, trailerRule(trailer, length));
  }

  #checkTrailerOf(view: DataView, length: number, start: number): void {
    const trailer = view.getUint32(view.byteLength - 4, this.#isLittle);
    if (trailer !== length) throw this.#input.fail(start + length - 4, trailerRule(trailer, length));
  }
}

function trailerRule(trailer: number, length: number): string {
  return `the length at the end of the block is ${trailer}; it must be ${length}, as at its start`;
}

function unitsPerSecond(resolution: number): bigint {
  const exponent = BigInt(resolution & ~RESOLUTION_BINARY);
  return (resolution & RESOLUTION_BINARY) === 0 ? 10n ** exponent : 2n ** exponent;
}

export function swapped(word: number): number {
  return ((word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24)) >>> 0;
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
