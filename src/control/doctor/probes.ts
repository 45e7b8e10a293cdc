/** What the doctor asks the network: who has an address, and whether nodes answer. */
import { writeArpRequest } from '../../dataplane/host.ts';
import { PAYLOAD_AT, wrapDatagram, writeEchoFrame } from '../../dataplane/own-frames.ts';
import { FRAME_HEADER_BYTES, requestId, writeFrameHeader } from '../../memcached/frame-header.ts';
import * as arp from '../../wire/arp.ts';
import * as ethernet from '../../wire/ethernet.ts';
import * as icmp from '../../wire/icmp.ts';
import * as ipv4 from '../../wire/ipv4.ts';
import type { Mac } from '../../wire/mac-text.ts';
import * as udp from '../../wire/udp.ts';
import type { Endpoint } from '../config/addresses.ts';
import { isArp, type Station } from './station.ts';

/** Frames get lost: what is not answered is asked again. */
const ROUNDS = 3;
const ROUND_MS = 150;
/** Below all ports that Keysteer's requests can leave by (slots.source_port_base): a running one sees no reply of its own in these. */
const PROBE_PORT = 1023;
const ECHO_IDENTIFIER = 0x6b73;
/** Nodes that are asked before answers are taken in: theirs must fit the ring. */
const ASKED_AT_ONCE = 64;
const SAID_BYTES_MAX = 100;

const VERSION = Uint8Array.from(Buffer.from('version\r\n'));

/**
 * Who answers ARP for each of `targets`.
 * @param from our address, or 0: a probe, which nobody learns from (RFC 5227)
 */
export async function whoHas(station: Station, from: number, targets: readonly number[]): Promise<Map<number, Mac>> {
  const found = new Map<number, Mac>();
  const hear = (view: DataView, offset: number, length: number): void => {
    const packet = offset + ethernet.HEADER_BYTES;
    if (!isArp(view, offset, length)) return;
    const address = arp.senderAddress(view, packet);
    if (!targets.includes(address) || isOwn(station, view, packet)) return;
    found.set(address, { high: arp.senderMacHigh(view, packet), low: arp.senderMacLow(view, packet) });
  };
  const isDone = () => found.size === targets.length;
  for (let round = 0; round < ROUNDS && !isDone(); round++) {
    for (const [at, target] of targets.entries()) {
      if (found.has(target)) continue;
      station.say((view, offset, port) => writeArpRequest(view, offset, port, from, target));
      if ((at + 1) % ASKED_AT_ONCE === 0) await station.hear(0, hear, isDone);
    }
    await station.hear(ROUND_MS, hear, isDone);
  }
  return found;
}

/** What a bridge brings back to us, or a Keysteer beside us says. */
function isOwn({ port }: Station, view: DataView, packet: number): boolean {
  return arp.senderMacHigh(view, packet) === port.macHigh && arp.senderMacLow(view, packet) === port.macLow;
}

/** A node, and the Ethernet address its frames are sent to. */
export interface AskedNode extends Endpoint {
  readonly mac: Mac;
}

export interface Answer {
  said?: string;
  echoes: boolean;
  refuses: boolean;
}

/** Asks memcached's `version` over UDP and an ICMP echo of every node; an answer each, in their order. */
export async function askNodes(station: Station, source: number, nodes: readonly AskedNode[]): Promise<Answer[]> {
  const answers: Answer[] = nodes.map(() => ({ echoes: false, refuses: false }));
  const hear = (view: DataView, offset: number, length: number) =>
    hearNode(view, offset, length, source, nodes, answers);
  // A refusal is the answer; the echo that may come before it is not.
  const isDone = () => answers.every(({ said, refuses }) => said !== undefined || refuses);
  for (let round = 0; round < ROUNDS && !isDone(); round++) {
    for (const [at, node] of nodes.entries()) {
      if (answers[at].said !== undefined) continue;
      askNode(station, source, node, at);
      if ((at + 1) % ASKED_AT_ONCE === 0) await station.hear(0, hear, isDone);
    }
    await station.hear(ROUND_MS, hear, isDone);
  }
  return answers;
}

function askNode(station: Station, source: number, { mac, address, port: to }: AskedNode, id: number): void {
  station.say((view, offset, { macHigh, macLow }) => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset);
    writeFrameHeader(bytes, offset + PAYLOAD_AT, id, 0, 1);
    bytes.set(VERSION, offset + PAYLOAD_AT + FRAME_HEADER_BYTES);
    const payloadBytes = FRAME_HEADER_BYTES + VERSION.length;
    return wrapDatagram(
      view,
      offset,
      mac.high,
      mac.low,
      macHigh,
      macLow,
      source,
      PROBE_PORT,
      address,
      to,
      payloadBytes,
    );
  });
  station.say((view, offset, { macHigh, macLow }) =>
    writeEchoFrame(view, offset, mac.high, mac.low, macHigh, macLow, source, address, ECHO_IDENTIFIER, id),
  );
}

function hearNode(
  view: DataView,
  offset: number,
  length: number,
  source: number,
  nodes: readonly AskedNode[],
  answers: Answer[],
): void {
  const ip = offset + ethernet.HEADER_BYTES;
  const available = length - ethernet.HEADER_BYTES;
  if (ethernet.etherType(view, offset) !== ethernet.ETHERTYPE_IPV4 || ipv4.validate(view, ip, available) !== 0) return;
  if (ipv4.destination(view, ip) !== source || ipv4.isFragment(view, ip)) return;
  const bytes = ipv4.totalLength(view, ip) - ipv4.headerBytes(view, ip);
  const protocol = ipv4.protocol(view, ip);
  if (protocol === ipv4.PROTOCOL_UDP) hearDatagram(view, ip, bytes, nodes, answers);
  else if (protocol === ipv4.PROTOCOL_ICMP) hearIcmp(view, ip, bytes, nodes, answers);
}

function hearDatagram(
  view: DataView,
  ip: number,
  available: number,
  nodes: readonly AskedNode[],
  answers: Answer[],
): void {
  const at = ip + ipv4.headerBytes(view, ip);
  if (udp.validate(view, at, available) !== 0 || udp.destinationPort(view, at) !== PROBE_PORT) return;
  const payload = at + udp.HEADER_BYTES;
  const end = at + udp.length(view, at);
  if (end - payload <= FRAME_HEADER_BYTES) return;
  const bytes = new Uint8Array(view.buffer, view.byteOffset);
  const id = requestId(bytes, payload);
  const node = nodes[id];
  if (node?.address !== ipv4.source(view, ip) || node.port !== udp.sourcePort(view, at)) return;
  const text = Buffer.from(bytes.slice(payload + FRAME_HEADER_BYTES, end)).toString('latin1');
  answers[id].said = text.split('\r\n', 1)[0].slice(0, SAID_BYTES_MAX);
}

function hearIcmp(view: DataView, ip: number, bytes: number, nodes: readonly AskedNode[], answers: Answer[]): void {
  const message = ip + ipv4.headerBytes(view, ip);
  if (icmp.isEchoReply(view, message, bytes) && icmp.identifier(view, message) === ECHO_IDENTIFIER) {
    for (const [at, { address }] of nodes.entries()) {
      if (address === ipv4.source(view, ip)) answers[at].echoes = true;
    }
  }
  if (icmp.isPortUnreachable(view, message, bytes))
    hearRefusal(view, message + icmp.HEADER_BYTES, bytes, nodes, answers);
}

/** @param quoted our datagram's headers, as the host that refused it sends them back */
function hearRefusal(
  view: DataView,
  quoted: number,
  messageBytes: number,
  nodes: readonly AskedNode[],
  answers: Answer[],
): void {
  const headerBytes = ipv4.headerBytes(view, quoted);
  if (icmp.HEADER_BYTES + headerBytes + udp.HEADER_BYTES > messageBytes) return;
  const to = udp.destinationPort(view, quoted + headerBytes);
  const isOurs = udp.sourcePort(view, quoted + headerBytes) === PROBE_PORT;
  for (const [at, { address, port }] of nodes.entries()) {
    if (isOurs && address === ipv4.destination(view, quoted) && port === to) answers[at].refuses = true;
  }
}
