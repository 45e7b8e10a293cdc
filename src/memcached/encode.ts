/** Requests from readable fields, in each protocol: for the test client, the load generator, probes and tests. */
import { BINARY_HEADER_BYTES, MAGIC_REQUEST } from './binary.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from './frame-header.ts';

export type EncodableProtocol = 'ascii' | 'meta' | 'binary';

export type EncodableVerb =
  | 'get'
  | 'gets'
  | 'gat'
  | 'set'
  | 'add'
  | 'replace'
  | 'append'
  | 'prepend'
  | 'cas'
  | 'incr'
  | 'decr'
  | 'delete'
  | 'touch'
  | 'noop'
  | 'version'
  | 'flush_all';

export interface RequestFields {
  /** Default ascii. */
  protocol?: EncodableProtocol;
  verb: EncodableVerb;
  /** A string is taken as UTF-8. */
  key?: string | Uint8Array;
  value?: string | Uint8Array;
  /** Client flags, unsigned 32 bits. */
  flags?: number;
  /** Seconds, or Unix time; 0 is never. */
  exptime?: number;
  /** incr, decr; default 1. */
  delta?: bigint | number;
  cas?: bigint | number;
  /** noreply, meta flag q, or the quiet opcode. */
  quiet?: boolean;
  /** Meta: token of flag O; binary: number of 32 bits. */
  opaque?: string | number;
  /** Frame header. */
  requestId?: number;
}

/** One datagram: frame header and request. The fields are not checked: a test may want a wrong one. */
export function encodeRequest(fields: RequestFields): Uint8Array {
  const payload = encodePayload(fields);
  const datagram = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(datagram, 0, fields.requestId ?? 0, 0, 1);
  datagram.set(payload, FRAME_HEADER_BYTES);
  return datagram;
}

/** What follows the frame header. */
export function encodePayload(fields: RequestFields): Uint8Array {
  if (fields.protocol === 'binary') return encodeBinary(fields);
  const key = bytesOf(fields.key);
  const [head, tail] = fields.protocol === 'meta' ? metaLine(fields) : asciiLine(fields);
  const value = isStore(fields.verb) ? [bytesOf(fields.value), bytesOf('\r\n')] : [];
  return Buffer.concat([bytesOf(head), key, bytesOf(tail), bytesOf('\r\n'), ...value]);
}

/** The line in front of the key and behind it. */
function asciiLine(fields: RequestFields): [head: string, tail: string] {
  const { verb, flags = 0, exptime = 0, delta = 1, cas = 0 } = fields;
  const noreply = fields.quiet ? ' noreply' : '';
  if (isStore(verb)) {
    const fence = verb === 'cas' ? ` ${cas}` : '';
    return [`${verb} `, ` ${flags} ${exptime} ${bytesOf(fields.value).length}${fence}${noreply}`];
  }
  if (verb === 'incr' || verb === 'decr') return [`${verb} `, ` ${delta}${noreply}`];
  if (verb === 'touch') return ['touch ', ` ${exptime}${noreply}`];
  if (verb === 'delete') return ['delete ', noreply];
  if (verb === 'gat') return [`gat ${exptime} `, ''];
  if (verb === 'get' || verb === 'gets') return [`${verb} `, ''];
  return [verb === 'noop' ? 'mn' : verb, verb === 'flush_all' ? noreply : ''];
}

const META_MODES: Partial<Record<EncodableVerb, string>> = {
  add: ' ME',
  replace: ' MR',
  append: ' MA',
  prepend: ' MP',
  decr: ' MD',
};

function metaLine(fields: RequestFields): [head: string, tail: string] {
  const { verb, flags = 0, exptime = 0, delta = 1 } = fields;
  const fence = fields.cas === undefined ? '' : ` C${fields.cas}`;
  const opaque = fields.opaque === undefined ? '' : ` O${fields.opaque}`;
  const common = `${META_MODES[verb] ?? ''}${fence}${opaque}${fields.quiet ? ' q' : ''}`;
  if (isStore(verb)) return ['ms ', ` ${bytesOf(fields.value).length} T${exptime} F${flags}${common}`];
  if (verb === 'incr' || verb === 'decr') return ['ma ', ` D${delta} v${common}`];
  if (verb === 'delete') return ['md ', common];
  if (verb === 'touch') return ['mg ', ` T${exptime}${common}`];
  if (verb === 'gat') return ['mg ', ` T${exptime} k v f${common}`];
  if (verb === 'get' || verb === 'gets') return ['mg ', ` k v f${verb === 'gets' ? ' c' : ''}${common}`];
  return [verb === 'noop' ? 'mn' : verb, ''];
}

/** verb → opcode, opcode of the quiet twin */
const OPCODES: Record<EncodableVerb, readonly [number, number]> = {
  get: [0x0c, 0x0d], // getk, getkq: the reply names its key
  gets: [0x0c, 0x0d],
  gat: [0x23, 0x24],
  set: [0x01, 0x11],
  add: [0x02, 0x12],
  replace: [0x03, 0x13],
  append: [0x0e, 0x19],
  prepend: [0x0f, 0x1a],
  cas: [0x01, 0x11],
  incr: [0x05, 0x15],
  decr: [0x06, 0x16],
  delete: [0x04, 0x14],
  touch: [0x1c, 0x1c],
  noop: [0x0a, 0x0a],
  version: [0x0b, 0x0b],
  flush_all: [0x08, 0x18],
};

function encodeBinary(fields: RequestFields): Uint8Array {
  const extras = binaryExtras(fields);
  const key = bytesOf(fields.key);
  const value = isStore(fields.verb) ? bytesOf(fields.value) : bytesOf('');
  const header = Buffer.alloc(BINARY_HEADER_BYTES);
  header[0] = MAGIC_REQUEST;
  header[1] = OPCODES[fields.verb][fields.quiet ? 1 : 0];
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt32BE(extras.length + key.length + value.length, 8);
  header.writeUInt32BE(Number(fields.opaque ?? 0), 12);
  header.writeBigUInt64BE(BigInt(fields.cas ?? 0), 16);
  return Buffer.concat([header, extras, key, value]);
}

function binaryExtras(fields: RequestFields): Uint8Array {
  const { verb, flags = 0, exptime = 0, delta = 1 } = fields;
  const extras = Buffer.alloc(20);
  if (verb === 'set' || verb === 'add' || verb === 'replace' || verb === 'cas') {
    extras.writeUInt32BE(flags, 0);
    extras.writeInt32BE(exptime | 0, 4);
    return extras.subarray(0, 8);
  }
  if (verb === 'touch' || verb === 'gat') {
    extras.writeInt32BE(exptime | 0, 0);
    return extras.subarray(0, 4);
  }
  if (verb !== 'incr' && verb !== 'decr') return extras.subarray(0, 0);
  extras.writeBigUInt64BE(BigInt(delta), 0);
  extras.writeUInt32BE(0xffffffff, 16); // do not create what is not there, as in ASCII
  return extras;
}

const STORES: ReadonlySet<EncodableVerb> = new Set(['set', 'add', 'replace', 'append', 'prepend', 'cas']);

function isStore(verb: EncodableVerb): boolean {
  return STORES.has(verb);
}

function bytesOf(text: string | Uint8Array = ''): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}
