/**
 * The binary protocol, one packet at a time. An answer is one message; '' ("0 of 0") is what a quiet request gets that has
 * nothing to say.
 *
 *     byte 0  magic 0x80   1  opcode   2–3  key length   4  extras length   5  data type   6–7  vbucket, or status
 *          8–11  body length   12–15  opaque   16–23  CAS   24…  extras, key, value
 */
import { VERSION } from './classic.ts';
import { EXISTS, type Item, NON_NUMERIC, NOT_FOUND, parseU64, STORED, type Store, type StoreMode } from './store.ts';

const HEADER_BYTES = 24;
const KEY_BYTES_MAX = 250;
const TWO_32 = 4_294_967_296;

const NOT_FOUND_STATUS = 1;
const EXISTS_STATUS = 2;
const INVALID = 4;
const NOT_STORED_STATUS = 5;
const BAD_DELTA = 6;
const UNKNOWN = 0x81;

const ERRORS: Readonly<Record<number, string>> = {
  [NOT_FOUND_STATUS]: 'Not found',
  [EXISTS_STATUS]: 'Data exists for key.',
  [INVALID]: 'Invalid arguments',
  [NOT_STORED_STATUS]: 'Not stored.',
  [BAD_DELTA]: 'Non-numeric server-side value for incr or decr',
  [UNKNOWN]: 'Unknown command',
};

/** Quiet opcode → the one that speaks. */
const LOUD: Readonly<Record<number, number>> = {
  9: 0x00,
  13: 0x0c,
  17: 0x01,
  18: 0x02,
  19: 0x03,
  20: 0x04,
  21: 0x05,
  22: 0x06,
  23: 0x07,
  24: 0x08,
  25: 0x0e,
  26: 0x0f,
  30: 0x1d,
  36: 0x23,
};

interface Packet {
  /** As it came, and the one that speaks. */
  readonly opcode: number;
  readonly command: number;
  readonly isQuiet: boolean;
  readonly key: string;
  readonly extras: Buffer;
  readonly value: string;
  readonly opaque: number;
  readonly cas: number;
}

/** Length of the packet at `at`, header included. */
export function packetBytes(bytes: Buffer, at: number): number {
  return HEADER_BYTES + bytes.readUInt32BE(at + 8);
}

/** What the whole packet at `at` is answered with. */
export function binary(store: Store, bytes: Buffer, at: number): string {
  const keyBytes = bytes.readUInt16BE(at + 2);
  const extrasBytes = bytes[at + 4]!;
  const bodyBytes = bytes.readUInt32BE(at + 8);
  const opcode = bytes[at + 1]!;
  const keyAt = at + HEADER_BYTES + extrasBytes;
  const packet: Packet = {
    opcode,
    command: LOUD[opcode] ?? opcode,
    isQuiet: opcode in LOUD,
    key: bytes.toString('latin1', keyAt, keyAt + keyBytes),
    extras: bytes.subarray(at + HEADER_BYTES, keyAt),
    value: bytes.toString('latin1', keyAt + keyBytes, at + HEADER_BYTES + bodyBytes),
    opaque: bytes.readUInt32BE(at + 12),
    cas: bytes.readUInt32BE(at + 16) * TWO_32 + bytes.readUInt32BE(at + 20),
  };
  if (keyBytes + extrasBytes > bodyBytes) return failure(packet, UNKNOWN);
  if (keyBytes > KEY_BYTES_MAX) return failure(packet, INVALID);
  return execute(store, packet);
}

function execute(store: Store, packet: Packet): string {
  const { command, key, extras, value } = packet;
  const hasKeyAlone = extras.length === 0 && value === '' && key !== '';
  const isEmpty = extras.length === 0 && value === '' && key === '';
  switch (command) {
    case 0x00:
    case 0x0c:
      return hasKeyAlone ? get(packet, store.get(key)) : failure(packet, INVALID);
    case 0x01:
    case 0x02:
    case 0x03:
      return extras.length === 8 && key !== '' ? update(store, packet) : failure(packet, INVALID);
    case 0x04:
      return hasKeyAlone ? remove(store, packet) : failure(packet, INVALID);
    case 0x05:
    case 0x06:
      return extras.length === 20 && key !== '' && value === '' ? arithmetic(store, packet) : failure(packet, INVALID);
    case 0x07:
      return isEmpty ? success(packet) : failure(packet, INVALID);
    case 0x08:
      return flush(store, packet);
    case 0x0a:
      return isEmpty ? success(packet) : failure(packet, INVALID);
    case 0x0b:
      return isEmpty ? success(packet, 0, '', '', VERSION) : failure(packet, INVALID);
    case 0x0e:
    case 0x0f:
      return extras.length === 0 && key !== '' ? extend(store, packet) : failure(packet, INVALID);
    case 0x1c:
    case 0x1d:
    case 0x23:
      if (extras.length !== 4 || key === '') return failure(packet, INVALID);
      return get(packet, store.touch(key, store.realTime(extras.readUInt32BE(0))));
    default:
      return failure(packet, UNKNOWN);
  }
}

function get(packet: Packet, item: Item | undefined): string {
  const { command, key, isQuiet } = packet;
  const withKey = command === 0x0c || command === 0x23;
  if (item !== undefined) {
    const value = command === 0x1c ? '' : item.value;
    return message(packet, 0, item.cas, u32(item.flags), withKey ? key : '', value);
  }
  if (isQuiet) return '';
  return withKey ? message(packet, NOT_FOUND_STATUS, 0, '', key, '') : failure(packet, NOT_FOUND_STATUS);
}

const UPDATES: readonly StoreMode[] = ['set', 'set', 'add', 'replace'];

function update(store: Store, packet: Packet): string {
  const { command, key, extras, value, cas } = packet;
  const exptime = store.realTime(extras.readUInt32BE(4));
  const mode = cas === 0 ? UPDATES[command]! : 'cas';
  const result = store.store(mode, key, value, extras.readUInt32BE(0), exptime, cas);
  if (result === STORED) return quietly(packet, store.cas);
  if (result === EXISTS) return failure(packet, EXISTS_STATUS);
  if (result === NOT_FOUND) return failure(packet, NOT_FOUND_STATUS);
  return failure(packet, mode === 'add' ? EXISTS_STATUS : NOT_FOUND_STATUS);
}

function extend(store: Store, packet: Packet): string {
  const { command, key, value, cas } = packet;
  const result = store.store(command === 0x0e ? 'append' : 'prepend', key, value, 0, 0, cas);
  if (result === STORED) return quietly(packet, store.cas);
  return failure(packet, result === EXISTS ? EXISTS_STATUS : NOT_STORED_STATUS);
}

function remove(store: Store, packet: Packet): string {
  const item = store.find(packet.key);
  if (item === undefined) return failure(packet, NOT_FOUND_STATUS);
  if (packet.cas !== 0 && packet.cas !== item.cas) return failure(packet, EXISTS_STATUS);
  store.delete(packet.key);
  return quietly(packet, 0);
}

function arithmetic(store: Store, packet: Packet): string {
  const { command, key, extras, cas } = packet;
  const result = store.delta(key, command === 0x05, extras.readBigUInt64BE(0), cas);
  if (result === STORED) return quietly(packet, store.cas, numberBytes(parseU64(store.items.get(key)!.value)!));
  if (result === NON_NUMERIC) return failure(packet, BAD_DELTA);
  if (result === EXISTS) return failure(packet, EXISTS_STATUS);
  const exptime = extras.readUInt32BE(16);
  if (exptime === 0xffffffff) return failure(packet, NOT_FOUND_STATUS);
  const initial = extras.readBigUInt64BE(8);
  const item = store.create(key, initial.toString(), store.realTime(exptime));
  return quietly(packet, item.cas, numberBytes(initial));
}

function flush(store: Store, packet: Packet): string {
  const { key, extras, value } = packet;
  if (key !== '' || value !== '' || (extras.length !== 0 && extras.length !== 4)) return failure(packet, INVALID);
  store.flush(extras.length === 4 ? extras.readUInt32BE(0) : 0);
  return quietly(packet, 0);
}

/** Success, of which quiet requests hear nothing. */
function quietly(packet: Packet, cas: number, value = ''): string {
  return packet.isQuiet ? '' : message(packet, 0, cas, '', '', value);
}

function success(packet: Packet, cas = 0, extras = '', key = '', value = ''): string {
  return packet.isQuiet ? '' : message(packet, 0, cas, extras, key, value);
}

function failure(packet: Packet, status: number): string {
  return message(packet, status, 0, '', '', ERRORS[status]!);
}

const header = Buffer.alloc(HEADER_BYTES);

function message(packet: Packet, status: number, cas: number, extras: string, key: string, value: string): string {
  header[0] = 0x81;
  header[1] = packet.opcode;
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header[5] = 0;
  header.writeUInt16BE(status, 6);
  header.writeUInt32BE(extras.length + key.length + value.length, 8);
  header.writeUInt32BE(packet.opaque, 12);
  header.writeUInt32BE(Math.floor(cas / TWO_32), 16);
  header.writeUInt32BE(cas % TWO_32, 20);
  return header.toString('latin1', 0, HEADER_BYTES) + extras + key + value;
}

function u32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function numberBytes(value: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes.toString('latin1', 0, 8);
}
