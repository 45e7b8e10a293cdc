/**
 * The frames that pass a lane bed, in both directions, from what matters in them:
 *
 *     client ──request──▶ NF ──toNode──▶ node
 *     client ◀──toClient── NF ◀──reply── node
 */
import { type UdpFields, udpFrame } from './frames.ts';

export interface Host {
  readonly mac: string;
  readonly ip: string;
  readonly port: number;
}

export const VIP = '10.77.0.100';
export const MEMCACHED_PORT = 11211;
/** Addresses of Keysteer's ports; in one-arm the first is the only one. */
export const NF_CLIENT_MAC = '02:4b:00:00:00:0a';
export const NF_SERVER_MAC = '02:4b:00:00:00:0b';
/** Source address towards the nodes. */
export const OWN = '10.77.1.1';
/** First of the source ports; slot s has this port + (s >> 16) and id s & 0xffff. */
export const FIRST_PORT = 20_000;
/** Nodes are probed from the port below. */
export const PROBE_PORT = 19_999;

export const ALICE: Host = { mac: '02:00:00:00:00:01', ip: '10.77.0.1', port: 4000 };
/** Asks from the same port, and with the same ids. */
export const BOB: Host = { mac: '02:00:00:00:00:02', ip: '10.77.0.2', port: 4000 };
export const MC1: Host = { mac: '02:00:00:00:01:0b', ip: '10.77.1.11', port: MEMCACHED_PORT };
export const MC2: Host = { mac: '02:00:00:00:01:0c', ip: '10.77.1.12', port: MEMCACHED_PORT };
export const MC3: Host = { mac: '02:00:00:00:01:0d', ip: '10.77.1.13', port: MEMCACHED_PORT };

/** What a client calls its request, unless a test says otherwise. */
export const CLIENT_ID = 0xbeef;

type Fields = Partial<Omit<UdpFields, 'payload'>>;

interface Framing {
  /** Request id of the frame header. */
  id?: number;
  sequence?: number;
  total?: number;
}

/** The 8 bytes of memcached's UDP header and what follows, one latin1 character a byte. */
export function datagram(body: string, { id = CLIENT_ID, sequence = 0, total = 1 }: Framing = {}): string {
  const words = [id, sequence, total, 0].flatMap(word => [word >> 8, word & 0xff]);
  return String.fromCharCode(...words) + body;
}

/** A client asks the VIP. */
export function request(body: string, fields: Fields & Framing & { client?: Host } = {}): Uint8Array {
  const { client = ALICE, id, sequence, total, ...rest } = fields;
  return udpFrame({
    srcMac: client.mac,
    dstMac: NF_CLIENT_MAC,
    src: client.ip,
    dst: VIP,
    sport: client.port,
    dport: MEMCACHED_PORT,
    payload: datagram(body, { id, sequence, total }),
    ...rest,
  });
}

/** The same request on its way to its node: under the NF's own address, port and id, one hop older. */
export function toNode(body: string, fields: Fields & Framing & { slot?: number; node?: Host } = {}): Uint8Array {
  const { slot = 0, node = MC1, id = slot & 0xffff, sequence, total, ...rest } = fields;
  return udpFrame({
    srcMac: NF_SERVER_MAC,
    dstMac: node.mac,
    src: OWN,
    dst: node.ip,
    sport: FIRST_PORT + (slot >> 16),
    dport: node.port,
    ttl: 63,
    payload: datagram(body, { id, sequence, total }),
    ...rest,
  });
}

/** A node answers slot `slot`. */
export function reply(body: string, fields: Fields & Framing & { slot?: number; node?: Host } = {}): Uint8Array {
  const { slot = 0, node = MC1, id = slot & 0xffff, sequence, total, ...rest } = fields;
  return udpFrame({
    srcMac: node.mac,
    dstMac: NF_SERVER_MAC,
    src: node.ip,
    dst: OWN,
    sport: node.port,
    dport: FIRST_PORT + (slot >> 16),
    payload: datagram(body, { id, sequence, total }),
    ...rest,
  });
}

/** The same reply on its way to the client, under the client's own id. */
export function toClient(body: string, fields: Fields & Framing & { client?: Host } = {}): Uint8Array {
  const { client = ALICE, id, sequence, total, ...rest } = fields;
  return udpFrame({
    srcMac: NF_CLIENT_MAC,
    dstMac: client.mac,
    src: VIP,
    dst: client.ip,
    sport: MEMCACHED_PORT,
    dport: client.port,
    ttl: 63,
    payload: datagram(body, { id, sequence, total }),
    ...rest,
  });
}

/** What Keysteer itself answers in the request's own frame: a fresh TTL, not one hop less. */
export function errorAnswer(line: string, fields: Parameters<typeof toClient>[1] = {}): Uint8Array {
  return toClient(line, { ttl: 64, ...fields });
}

export interface BinaryFields {
  opcode: number;
  key?: string;
  extras?: string;
  value?: string;
  /** Four characters. */
  opaque?: string;
  /** Of a response. */
  status?: number;
  /** A lie: replaces the body length. */
  bodyLength?: number;
}

/** A request of the binary protocol: 24 bytes of header, extras, key, value. */
export function binaryRequest(fields: BinaryFields): string {
  return binaryMessage(0x80, fields);
}

export function binaryResponse(fields: BinaryFields): string {
  return binaryMessage(0x81, fields);
}

function binaryMessage(magic: number, fields: BinaryFields): string {
  const { opcode, key = '', extras = '', value = '', opaque = 'op4q', status = 0 } = fields;
  const header = Buffer.alloc(24);
  header.set([magic, opcode]);
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt16BE(status, 6);
  header.writeUInt32BE(fields.bodyLength ?? extras.length + key.length + value.length, 8);
  header.write(opaque, 12, 'latin1');
  return header.toString('latin1') + extras + key + value;
}
