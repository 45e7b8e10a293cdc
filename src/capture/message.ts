/** What memcached says in a frame, for people: verb, keys, outcome. */
import type { NodeConfig } from '../control/config/normalise.ts';
import { decodeBase64Key } from '../memcached/base64-key.ts';
import { FRAME_HEADER_BYTES, requestId, sequence, total } from '../memcached/frame-header.ts';
import {
  parseReply,
  REPLY_BINARY,
  REPLY_META_VALUE,
  REPLY_NAMES,
  REPLY_OTHER,
  REPLY_VALUE,
} from '../memcached/reply.ts';
import {
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_STATUS,
  OUT_VALUE_LENGTH,
  OUT_VERB,
  OUT_WORDS,
  parseRequest,
  REFUSAL_NAMES,
  REQUEST_KEY_BASE64,
  REQUEST_MULTI_KEY,
} from '../memcached/request.ts';
import { VERB_GAT, VERB_GATS, VERB_NAMES } from '../memcached/verbs.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import type { Direction, Ends, Places } from './places.ts';

export interface MessageKey {
  /** Printable; other bytes as \xNN. */
  readonly text: string;
  /** Absent: not known, or no node takes keys. */
  readonly home?: NodeConfig;
}

/** A memcached datagram. */
export interface Message {
  readonly direction: Direction;
  readonly ends: Ends;
  readonly requestId: number;
  readonly sequence: number;
  readonly total: number;
  /** Of a request: its verb; of a reply: its first word, or what the binary protocol has in its place. */
  readonly verb: string;
  readonly keys: readonly MessageKey[];
  /** Why Keysteer's parser would turn the request away. */
  readonly refusal?: string;
  /** Bytes of the value that a reply declares. */
  readonly valueBytes?: number;
}

const located = new Int32Array(OUT_WORDS);

/** The memcached message in a frame; undefined when there is none, or it is not at its start (a later fragment). */
export function readMessage(frame: Uint8Array, places: Places): Message | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const ip = ethernet.networkOffset(view, 0, frame.length);
  if (ip < 0 || ethernet.networkEtherType(view, ip) !== ethernet.ETHERTYPE_IPV4) return undefined;
  if (frame.length - ip < ipv4.HEADER_BYTES_MIN || ipv4.protocol(view, ip) !== ipv4.PROTOCOL_UDP) return undefined;
  const datagram = ip + ipv4.headerBytes(view, ip);
  const start = datagram + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
  if (ipv4.version(view, ip) !== 4 || ipv4.fragmentOffset(view, ip) !== 0 || start > frame.length) return undefined;
  const ends = {
    from: ipv4.source(view, ip),
    fromPort: udp.sourcePort(view, datagram),
    to: ipv4.destination(view, ip),
    toPort: udp.destinationPort(view, datagram),
  };
  const direction = places.directionOf(ends);
  if (direction === undefined) return undefined;
  const end = Math.max(start, Math.min(datagram + udp.length(view, datagram), frame.length));
  const header = start - FRAME_HEADER_BYTES;
  return {
    direction,
    ends,
    requestId: requestId(frame, header),
    sequence: sequence(frame, header),
    total: total(frame, header),
    ...(direction === 'request' ? readRequest(frame, start, end, places) : readReply(frame, start, end, header)),
  };
}

type Said = Pick<Message, 'verb' | 'keys' | 'refusal' | 'valueBytes'>;

function readRequest(frame: Uint8Array, start: number, end: number, places: Places): Said {
  const reason = parseRequest(frame, start, end, located);
  const several = (located[OUT_FLAGS] & REQUEST_MULTI_KEY) !== 0;
  const keys = several ? keysOfLine(frame, start, end) : keyLocated(frame);
  return {
    verb: VERB_NAMES[located[OUT_VERB]],
    keys: keys.map(key => ({ text: printable(key), home: places.homeOf(key) })),
    ...(reason === 0 ? {} : { refusal: REFUSAL_NAMES[reason].replaceAll('_', ' ') }),
  };
}

/** The key that the parser has found, as memcached stores it. */
function keyLocated(frame: Uint8Array): Uint8Array[] {
  const bytes = located[OUT_KEY_LENGTH];
  const at = located[OUT_KEY_OFFSET];
  if (bytes === 0) return [];
  if ((located[OUT_FLAGS] & REQUEST_KEY_BASE64) === 0) return [frame.subarray(at, at + bytes)];
  const decoded = new Uint8Array(bytes);
  return [decoded.subarray(0, decodeBase64Key(frame, at, bytes, decoded, 0))];
}

/** Every key of a text request with more than one. */
function keysOfLine(frame: Uint8Array, start: number, end: number): Uint8Array[] {
  const line = Buffer.from(frame.subarray(start, end)).toString('latin1').split(/\r?\n/)[0];
  const [, ...words] = line.split(' ').filter(word => word !== '');
  const before = located[OUT_VERB] === VERB_GAT || located[OUT_VERB] === VERB_GATS ? 1 : 0; // the new time to live
  return words.slice(before).map(word => Uint8Array.from(Buffer.from(word, 'latin1')));
}

function readReply(frame: Uint8Array, start: number, end: number, header: number): Said {
  if (sequence(frame, header) !== 0) return { verb: 'continued', keys: [] };
  const kind = parseReply(frame, start, end, located);
  const keys = keyLocated(frame).map(key => ({ text: printable(key) }));
  const isValue = kind === REPLY_VALUE || kind === REPLY_META_VALUE;
  return {
    verb:
      kind === REPLY_BINARY ? binaryOutcome() : kind === REPLY_OTHER ? REPLY_NAMES[0] : firstWord(frame, start, end),
    keys,
    ...(isValue ? { valueBytes: located[OUT_VALUE_LENGTH] } : {}),
  };
}

function binaryOutcome(): string {
  const status = located[OUT_STATUS];
  return `${VERB_NAMES[located[OUT_VERB]]} ${status === 0 ? 'ok' : `status ${status}`}`;
}

function firstWord(frame: Uint8Array, start: number, end: number): string {
  return /^[!-~]*/.exec(Buffer.from(frame.subarray(start, end)).toString('latin1'))![0];
}

/** UTF-8 where it is; control bytes, and bytes that are none, as \xNN. */
export function printable(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  const readable = text.includes('\ufffd') ? Buffer.from(bytes).toString('latin1') : text;
  return readable.replaceAll(/[\u0000-\u001f\u007f-\u009f\\]/g, character =>
    character === '\\' ? '\\\\' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
