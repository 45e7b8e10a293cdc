/**
 * Before a lane touches its ports it works for a while on made-up traffic, in memory of its own: clients that ask, nodes that
 * answer, one key that is hot. V8 interprets what has not run often; a lane that starts cold takes several times as long for
 * a frame, for seconds under load, and at a trickle of requests for ever.
 *
 *     client wire ─gets, sets→ lane ─requests→ server wire: answered at once ─replies→ lane ─→ client wire: forgotten
 */
import { Arena } from '../mem/arena.ts';
import { FRAME_HEADER_BYTES } from '../memcached/frame-header.ts';
import { RehearsalWire } from '../port/rehearsal.ts';
import type { PortDescription } from '../port/shim-port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { BATCH_BYTES, Lane } from './lane.ts';
import { MODE_DSR, type PathSetup } from './setup.ts';

/** Plain data: it is posted to the worker with the rest. */
export interface RehearsalSetup {
  readonly path: PathSetup;
  readonly arena: SharedArrayBuffer;
  readonly shared: SharedArrayBuffer;
  readonly batchOffset: number;
  readonly ports: readonly PortDescription[];
  readonly hotKey: string;
  /** How long, ms. */
  readonly ms: number;
}

/** Addresses that only the two ends of the wires know. */
const CLIENT_MAC = { high: 0x0200, low: 0x00000001 } as const;
export const REHEARSAL_NODE_MAC = { high: 0x0200, low: 0x00000002 } as const;
/** Of 198.18.0.0/15, which is for benchmarks (RFC 2544). */
const FIRST_CLIENT = 0xc6120001 | 0;
const CLIENTS = 16;
const CLIENT_PORT_BASE = 40_000;
const FRAMES = 512;
/** Requests that come in one cycle, by turns: batches of all sizes. */
const SIZES = [1, 2, 1, 6, 20, 1, 60, 12] as const;
const VALUE = 'v'.repeat(64);
const PAYLOAD_AT = ethernet.HEADER_BYTES + ipv4.HEADER_BYTES_MIN + udp.HEADER_BYTES;
const HOPS = 64;

export class Rehearsal {
  readonly lane: Lane;
  readonly #setup: RehearsalSetup;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #wires: readonly RehearsalWire[];
  readonly #requests: readonly Uint8Array[];
  #cycles = 0;
  #asked = 0;
  #cas = 1;

  constructor(setup: RehearsalSetup) {
    const arena = Arena.attach(setup.arena);
    this.#setup = setup;
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    this.#wires = setup.ports.map(
      port => new RehearsalWire(port, arena, (offset, length) => this.#hear(offset, length)),
    );
    const ports = this.#wires.map(({ port }) => port);
    const batch = new Int32Array(setup.arena, setup.batchOffset, BATCH_BYTES / 4);
    this.lane = new Lane(setup.path, arena, Arena.attach(setup.shared), ports, batch);
    this.#requests = Array.from({ length: FRAMES }, (_, n) => this.#request(n));
  }

  /** Requests come, and the lane turns once. @param nowMs as a lane's clock has it: with fractions */
  cycle(nowMs: number): void {
    const requests = SIZES[this.#cycles++ % SIZES.length];
    for (let i = 0; i < requests; i++) {
      const number = this.#asked++ % FRAMES;
      const request = this.#requests[number];
      // A write that comes again under its id would be no other write. The partial checksum does not cover the id.
      if (isPartial(number)) request.set([this.#asked >> 8, this.#asked], PAYLOAD_AT);
      if (!this.#wires[0].offer(request, isPartial(number))) break;
    }
    this.lane.cycle(nowMs);
  }

  #request(number: number): Uint8Array {
    const { vip, vipPort } = this.#setup.path;
    const { macHigh: high, macLow: low } = this.#setup.ports[0];
    const client = FIRST_CLIENT + ((number ^ (number >> 4) ^ (number >> 7)) % CLIENTS);
    return frameOf(
      { mac: CLIENT_MAC, address: client, port: CLIENT_PORT_BASE + number },
      { mac: { high, low }, address: vip, port: vipPort },
      number,
      this.#requestText(number),
      isPartial(number),
    );
  }

  #requestText(number: number): string {
    const { hotKey } = this.#setup;
    const key = `rehearsal:${String(number).padStart(6, '0')}`;
    if (number % 128 === 0) return `set ${hotKey} 0 0 ${VALUE.length}\r\n${VALUE}\r\n`;
    if (number % 10 === 0) return `set ${key} 0 0 ${VALUE.length}\r\n${VALUE}\r\n`;
    return number % 3 === 0 ? `get ${hotKey}\r\n` : `get ${key}\r\n`;
  }

  /** The lane has sent a frame. What is for a node is answered; what is for a client is not looked at. */
  #hear(offset: number, length: number): void {
    const view = this.#view;
    if (length < PAYLOAD_AT + FRAME_HEADER_BYTES || ethernet.etherType(view, offset) !== ethernet.ETHERTYPE_IPV4)
      return;
    const ip = offset + ethernet.HEADER_BYTES;
    const datagram = ip + ipv4.HEADER_BYTES_MIN;
    if (ipv4.protocol(view, ip) !== ipv4.PROTOCOL_UDP) return;
    const from = { address: ipv4.source(view, ip), port: udp.sourcePort(view, datagram) };
    const to = { address: ipv4.destination(view, ip), port: udp.destinationPort(view, datagram) };
    const { mode, vipPort, ownAddress } = this.#setup.path;
    const isAnsweredElsewhere = mode === MODE_DSR && from.address !== ownAddress;
    if (from.port === vipPort || isAnsweredElsewhere) return;
    const body = this.#bytes.subarray(offset + PAYLOAD_AT + FRAME_HEADER_BYTES, offset + length);
    const answer = this.#answer(Buffer.from(body).toString('latin1'));
    if (answer === '') return;
    const { macHigh: high, macLow: low } = this.#setup.ports.at(-1)!;
    const id = view.getUint16(offset + PAYLOAD_AT);
    const frame = frameOf({ mac: REHEARSAL_NODE_MAC, ...to }, { mac: { high, low }, ...from }, id, answer, true);
    this.#wires.at(-1)!.offer(frame, true);
  }

  /** As memcached would, if every key were there; '' to what it is not asked here. */
  #answer(request: string): string {
    const [verb, key] = request.split(/[ \r]/, 2);
    if (verb === 'get') return `VALUE ${key} 0 ${VALUE.length}\r\n${VALUE}\r\nEND\r\n`;
    if (verb === 'set') return 'STORED\r\n';
    const nonce = / (O[0-9a-f]+)/.exec(request)?.[1] ?? '';
    if (verb === 'mg') return `VA ${VALUE.length} t-1 f0 c${this.#cas} ${nonce}\r\n${VALUE}\r\n`;
    return verb === 'ms' ? `HD c${++this.#cas} ${nonce}\r\n` : '';
  }
}

/** Rehearses for as long as the setup says, or until it is over. */
export function rehearse(setup: RehearsalSetup, isOver: () => boolean): void {
  const rehearsal = new Rehearsal(setup);
  const endMs = performance.now() + setup.ms;
  for (let nowMs = performance.now(); nowMs < endMs && !isOver(); nowMs = performance.now()) rehearsal.cycle(nowMs);
}

interface End {
  readonly mac: { readonly high: number; readonly low: number };
  readonly address: number;
  readonly port: number;
}

/** Every other request comes as a local stack sends it, its checksum left to the network card; the others as from afar. */
function isPartial(number: number): boolean {
  return (number & 1) === 0;
}

function frameOf(from: End, to: End, id: number, body: string, isPartialChecksum: boolean): Uint8Array {
  const udpBytes = udp.HEADER_BYTES + FRAME_HEADER_BYTES + body.length;
  const bytes = new Uint8Array(ethernet.HEADER_BYTES + ipv4.HEADER_BYTES_MIN + udpBytes);
  const view = new DataView(bytes.buffer);
  const { ETHERTYPE_IPV4 } = ethernet;
  const ip = ethernet.writeHeader(view, 0, to.mac.high, to.mac.low, from.mac.high, from.mac.low, ETHERTYPE_IPV4);
  const total = ipv4.HEADER_BYTES_MIN + udpBytes;
  const datagram = ipv4.writeHeader(
    view,
    ip,
    total,
    id,
    ipv4.DONT_FRAGMENT,
    HOPS,
    ipv4.PROTOCOL_UDP,
    from.address,
    to.address,
  );
  const payload = udp.writeHeader(view, datagram, from.port, to.port, udpBytes);
  view.setUint16(payload, id);
  view.setUint16(payload + 4, 1);
  bytes.set(Buffer.from(body, 'latin1'), payload + FRAME_HEADER_BYTES);
  const sum = isPartialChecksum
    ? ipv4.pseudoHeaderSum(view, ip, udpBytes)
    : udp.computeChecksum(view, ip, datagram, udpBytes);
  udp.setChecksum(view, datagram, sum);
  return bytes;
}
