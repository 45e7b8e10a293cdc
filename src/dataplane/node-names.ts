/**
 * Names of the nodes, for lanes that speak of them. In shared memory, per row of the steering table: one byte length, then
 * the text. Control writes a row's name before it publishes a table that uses the row.
 */
const NAME_BYTES_MAX = 64;
const ROW_BYTES = 72;

/** Bytes for `rows` names. */
export function nodeNamesByteLength(rows: number): number {
  return rows * ROW_BYTES;
}

/** @param base byte offset of the names */
export function writeNodeName(bytes: Uint8Array, base: number, row: number, name: string): void {
  const text = Buffer.from(name, 'latin1').subarray(0, NAME_BYTES_MAX);
  const at = base + row * ROW_BYTES;
  bytes.set(text, at + 1);
  bytes[at] = text.length;
}

export function nodeNameLength(bytes: Uint8Array, base: number, row: number): number {
  return bytes[base + row * ROW_BYTES];
}

/** Offset of the name's first byte. */
export function nodeNameAt(base: number, row: number): number {
  return base + row * ROW_BYTES + 1;
}
