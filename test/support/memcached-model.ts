/**
 * What a memcached says, as protocol.txt has it, written without anything of src: answers to gets of one key, and what a
 * server whose UDP framing is right would say to a get of many. A character is a byte (latin1).
 */

export interface Item {
  readonly flags: number;
  readonly cas: number;
  readonly value: string;
}

export type Items = ReadonlyMap<string, Item>;

/** Bytes of a reply that one datagram carries beside its 8 of frame header. */
export const DATAGRAM_DATA_BYTES = 1392;

/** The whole answer to a classic get, gets, gat or gats, whatever the number of its keys. */
export function answerText(items: Items, request: string): string {
  const [, verb, rest] = /^ *(gets?|gats?) +(.*?) *\r?\n$/s.exec(request)!;
  const words = rest!.split(/ +/);
  const keys = verb!.startsWith('gat') ? words.slice(1) : words;
  return `${keys.map(key => textValue(items.get(key), key, verb!.endsWith('s'))).join('')}END\r\n`;
}

function textValue(item: Item | undefined, key: string, withCas: boolean): string {
  if (!item) return '';
  const cas = withCas ? ` ${item.cas}` : '';
  return `VALUE ${key} ${item.flags} ${item.value.length}${cas}\r\n${item.value}\r\n`;
}

export interface Packet {
  readonly opcode: number;
  readonly key: string;
  /** Four characters. */
  readonly opaque: string;
}

const QUIET = new Set([0x09, 0x0d]);
const KEYED = new Set([0x0c, 0x0d]);

/** The packets of a binary request or run. */
export function packetsOf(request: string): Packet[] {
  const bytes = Buffer.from(request, 'latin1');
  const packets: Packet[] = [];
  for (let at = 0; at < bytes.length; at += 24 + bytes.readUInt32BE(at + 8)) {
    const key = bytes.toString('latin1', at + 24, at + 24 + bytes.readUInt16BE(at + 2));
    packets.push({ opcode: bytes[at + 1]!, key, opaque: bytes.toString('latin1', at + 12, at + 16) });
  }
  return packets;
}

/** All that a server says to these gets and noops, one response behind another. */
export function answerBinary(items: Items, packets: readonly Packet[]): string {
  return packets.map(packet => binaryAnswer(items.get(packet.key), packet)).join('');
}

function binaryAnswer(item: Item | undefined, { opcode, key, opaque }: Packet): string {
  const named = KEYED.has(opcode) ? key : '';
  if (opcode === 0x0a) return binaryResponse(opcode, 0, opaque, 0, '', '', '');
  if (item) return binaryResponse(opcode, 0, opaque, item.cas, flagsOf(item), named, item.value);
  return QUIET.has(opcode) ? '' : binaryResponse(opcode, 1, opaque, 0, '', named, named === '' ? 'Not found' : '');
}

function flagsOf({ flags }: Item): string {
  const extras = Buffer.alloc(4);
  extras.writeUInt32BE(flags);
  return extras.toString('latin1');
}

function binaryResponse(
  opcode: number,
  status: number,
  opaque: string,
  cas: number,
  extras: string,
  key: string,
  value: string,
): string {
  const header = Buffer.alloc(24);
  header.set([0x81, opcode]);
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt16BE(status, 6);
  header.writeUInt32BE(extras.length + key.length + value.length, 8);
  header.write(opaque, 12, 'latin1');
  header.writeBigUInt64BE(BigInt(cas), 16);
  return header.toString('latin1') + extras + key + value;
}

/** The pieces that memcached cuts a reply into. */
export function cut(reply: string, bytes = DATAGRAM_DATA_BYTES): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < reply.length; at += bytes) pieces.push(reply.slice(at, at + bytes));
  return pieces;
}

export interface Framed {
  readonly id: number;
  readonly sequence: number;
  readonly total: number;
  readonly body: string;
}

/**
 * Puts the datagrams of one reply together.
 * @throws Error when they are not one message: another id, a total that changes, a sequence missing or twice, a datagram
 *   that is too long, or one before the last that is not full
 */
export function joined(datagrams: readonly Framed[], id: number, fullBytes = DATAGRAM_DATA_BYTES): string {
  const ordered = [...datagrams].sort((a, b) => a.sequence - b.sequence);
  for (const [at, { sequence, total, body, ...its }] of ordered.entries()) {
    if (its.id !== id) throw new Error(`a datagram with id ${its.id}; asked with ${id}`);
    if (total !== ordered.length)
      throw new Error(`"${sequence} of ${total}" in a reply of ${ordered.length} datagrams`);
    if (sequence !== at) throw new Error(`datagram ${sequence} where ${at} should be`);
    const isFull = body.length === fullBytes;
    if (at < total - 1 ? !isFull : body.length > fullBytes)
      throw new Error(`${body.length} bytes in ${at} of ${total}`);
  }
  return ordered.map(({ body }) => body).join('');
}
