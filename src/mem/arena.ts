/**
 * One block of page-aligned shared memory, carved up once at start.
 *
 * The block is the memory of a `WebAssembly.Memory({shared: true})`: its base is page-aligned, so the
 * shim can map kernel rings over parts of it (`mmap(MAP_FIXED)`), and its buffer is a SharedArrayBuffer,
 * so every thread that is handed `buffer` sees frames, tables and counters without a copy.
 * An offset is always a byte offset from the start of the block.
 */

declare const WebAssembly: {
  Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => { buffer: SharedArrayBuffer };
};

/** Page size of the Wasm memory, bytes. A multiple of every page size Linux uses on x86-64 and arm64 (4–64 KiB). */
export const WASM_PAGE_BYTES = 65536;

export class Arena {
  readonly buffer: SharedArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The block as 32-bit words: word index = byte offset / 4. */
  readonly words: Int32Array;
  /** The block as 64-bit floats (counters): index = byte offset / 8. */
  readonly floats: Float64Array;
  #used = 0;

  private constructor(buffer: SharedArrayBuffer, used: number) {
    this.buffer = buffer;
    this.#used = used;
    this.bytes = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
    this.words = new Int32Array(this.buffer);
    this.floats = new Float64Array(this.buffer);
  }

  /**
   * @param byteLength capacity, rounded up to whole 64 KiB pages; at most 2 GiB so that offsets stay int32.
   * @throws RangeError outside that range
   */
  static create(byteLength: number): Arena {
    if (!(byteLength > 0 && byteLength <= 0x7fff0000)) {
      throw new RangeError(`arena: byteLength is ${byteLength}; it must be 1 to ${0x7fff0000}`);
    }
    const pages = Math.ceil(byteLength / WASM_PAGE_BYTES);
    return new Arena(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer, 0);
  }

  /** The same block seen from another thread; it is full there: only its creator carves it up. */
  static attach(buffer: SharedArrayBuffer): Arena {
    return new Arena(buffer, buffer.byteLength);
  }

  /**
   * Takes `byteLength` bytes (zeroed, never given back) and returns their offset.
   * @param alignment a power of two, bytes
   * @throws RangeError when the block is full: capacities are a start-time decision.
   */
  allocate(byteLength: number, alignment = 64): number {
    const offset = (this.#used + alignment - 1) & -alignment;
    if (offset + byteLength > this.buffer.byteLength) {
      throw new RangeError(`arena: ${byteLength} bytes wanted, ${this.buffer.byteLength - offset} left`);
    }
    this.#used = offset + byteLength;
    return offset;
  }
}
