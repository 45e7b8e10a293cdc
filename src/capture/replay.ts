/**
 * A capture through a real lane. The lane's clock is the capture's: the same frames at the same times give the same bytes,
 * on any machine.
 *
 * Which port a frame arrives by is told from its addresses. The lane asks for its next hops by ARP, as ever; the replay
 * answers in their place. What Keysteer itself had sent, where the capture holds that too, is passed over.
 *
 * A reply is accepted as ever: for an outstanding request, under the port and id that this lane gave to it. It gives them
 * out in order, so replies of a capture fit when that holds all requests since Keysteer's start, of one lane.
 */
import type { Config } from '../control/config/normalise.ts';
import { type CapturedFrame, TIME_UNKNOWN } from '../pcap/frame.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { formatIpv4 } from '../wire/ipv4-text.ts';
import { formatMac, type Mac } from '../wire/mac-text.ts';
import { Bed, type NodeFigures, type Outcome, type SentFrame, type Side } from './bed.ts';
import type { Survey } from './survey.ts';

/**
 * Where the next hops' Ethernet addresses come from.
 *
 * - `auto`: the capture where it knows them, else invented.
 * - `capture`: the capture alone. Requests to others wait, and end as drop_neighbour_unreachable.
 * - `synthetic`: invented, all of them.
 */
export type MacSource = 'auto' | 'capture' | 'synthetic';

export interface ReplayOptions {
  readonly macOfNodes?: MacSource;
  /** The port that every frame arrives by, instead of what its addresses say. */
  readonly side?: Side;
}

export interface AnsweredHop {
  readonly address: string;
  readonly mac: string;
  readonly isInvented: boolean;
}

/** What became of a frame of the capture. */
export interface Step {
  /** Undefined: Keysteer's own frame, passed over. */
  readonly side: Side | undefined;
  readonly timeNs: bigint;
  readonly outcome: Outcome;
}

export type Listener = (sent: SentFrame, timeNs: bigint) => void;

/** Where the lane's clock stands at the capture's first frame: a lane's 0 is "never". */
const START_MS = 1000;
/** How often the lane turns between two frames, so that its timers fire in time. */
const TICK_MS = 10;
/** Turns in one silence; after that the clock jumps. */
const TICKS_MAX = 1000;
const NS_PER_MS = 1_000_000n;
/** ARP answers to one event: more than there can be next hops, asked once each. */
const ANSWERS_MAX = 2048;
/** Upper 16 bits of an invented address, locally administered; the lower 32 are the IPv4 address. */
const INVENTED_HIGH = 0x024b;
const NOTHING: Outcome = { sent: [], counted: {} };

export class Replay {
  readonly bed: Bed;
  /** Frames of the capture that Keysteer itself had sent. */
  passedOver = 0;
  readonly #survey: Survey;
  readonly #options: ReplayOptions;
  readonly #macs: Readonly<Record<Side, Mac>>;
  readonly #listener: Listener;
  readonly #answered = new Map<number, AnsweredHop>();
  readonly #nextHops: ReadonlySet<number>;
  readonly #nodes: ReadonlySet<number>;
  #nowNs: bigint;

  /**
   * @param survey has looked at every frame
   * @param listener hears what the lane sends, in order
   */
  constructor(config: Config, survey: Survey, options: ReplayOptions, listener: Listener) {
    this.#survey = survey;
    this.#options = options;
    this.#macs = survey.macs;
    this.#listener = listener;
    this.#nextHops = new Set(config.nodes.map(({ nextHop }) => nextHop));
    this.#nodes = new Set(config.nodes.map(({ address }) => address));
    this.#nowNs = survey.firstNs;
    this.bed = new Bed(config, this.#macs);
    this.#settle(this.bed.turn(START_MS));
  }

  /** The next frame of the capture, at its time, or now when that has passed. */
  step({ bytes, wireBytes, timeNs }: CapturedFrame): Step {
    if (timeNs !== TIME_UNKNOWN) this.#advance(timeNs);
    const side = this.#sideOf(bytes);
    if (side === undefined) {
      this.passedOver++;
      return { side, timeNs: this.#nowNs, outcome: NOTHING };
    }
    const outcome = this.bed.hear(side, bytes, this.#nowMs, bytes.length < wireBytes);
    return { side, timeNs: this.#nowNs, outcome: this.#settle(outcome) };
  }

  /** Lets time pass after the last frame, so that what waits comes to its end. */
  finish(ms: number): void {
    this.#advance(this.#nowNs + BigInt(ms) * NS_PER_MS);
    this.#settle(this.bed.turn(this.#nowMs));
  }

  get counters(): Record<string, number> {
    return this.bed.counters;
  }

  get nodes(): NodeFigures[] {
    return this.bed.nodes;
  }

  /** Next hops that the replay has answered for. */
  get answered(): AnsweredHop[] {
    return [...this.#answered.values()];
  }

  get #nowMs(): number {
    return START_MS + Number(this.#nowNs - this.#survey.firstNs) / Number(NS_PER_MS);
  }

  #advance(toNs: bigint): void {
    const tickNs = BigInt(TICK_MS) * NS_PER_MS;
    for (let ticks = 0; ticks < TICKS_MAX && this.#nowNs + tickNs < toNs; ticks++) {
      this.#nowNs += tickNs;
      this.#settle(this.bed.turn(this.#nowMs));
    }
    if (toNs > this.#nowNs) this.#nowNs = toNs;
  }

  /** Hands on what was sent, answers what was asked; what that brings about belongs to the same outcome. */
  #settle(first: Outcome): Outcome {
    const sent: SentFrame[] = [];
    const counted: Record<string, number> = {};
    const answers: SentFrame[] = [];
    let { sent: latest, counted: moved } = first;
    for (let answered = 0; ; answered++) {
      for (const [name, by] of Object.entries(moved)) counted[name] = (counted[name] ?? 0) + by;
      for (const frame of latest) this.#listener(frame, this.#nowNs);
      sent.push(...latest);
      answers.push(...latest.flatMap(frame => this.#answer(frame)));
      const answer = answers.shift();
      if (answer === undefined || answered === ANSWERS_MAX) return { sent, counted };
      ({ sent: latest, counted: moved } = this.bed.hear(answer.side, answer.bytes, this.#nowMs));
    }
  }

  /** The ARP reply that a next hop would give; none to anything else. */
  #answer({ side, bytes }: SentFrame): SentFrame[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (ethernet.etherType(view, 0) !== ethernet.ETHERTYPE_ARP) return [];
    const at = ethernet.HEADER_BYTES;
    const target = arp.targetAddress(view, at);
    if (arp.operation(view, at) !== arp.OPERATION_REQUEST || !this.#nextHops.has(target)) return [];
    const mac = this.#macOf(target);
    if (mac === undefined) return [];
    const reply = bytes.slice();
    const replyView = new DataView(reply.buffer);
    arp.turnIntoReply(replyView, at, mac.high, mac.low);
    ethernet.turnToSender(replyView, 0, mac.high, mac.low);
    return [{ side, bytes: reply }];
  }

  #macOf(address: number): Mac | undefined {
    const { macOfNodes = 'auto' } = this.#options;
    const seen = macOfNodes === 'synthetic' ? undefined : this.#survey.macOf(address);
    if (seen === undefined && macOfNodes === 'capture') return undefined;
    const mac = seen ?? { high: INVENTED_HIGH, low: address };
    const hop = { address: formatIpv4(address), mac: formatMac(mac.high, mac.low), isInvented: seen === undefined };
    this.#answered.set(address, hop);
    return mac;
  }

  /** The port that a frame arrives by; undefined when it is one that Keysteer has sent. */
  #sideOf(frame: Uint8Array): Side | undefined {
    if (this.#options.side !== undefined) return this.#options.side;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const at = ethernet.networkOffset(view, 0, frame.length);
    if (at < 0) return 'client';
    const { client, server } = this.#macs;
    for (const { high, low } of [client, server]) if (ethernet.isFrom(view, 0, high, low)) return undefined;
    const type = ethernet.networkEtherType(view, at);
    const room = frame.length - at;
    if (type === ethernet.ETHERTYPE_IPV4 && room >= ipv4.HEADER_BYTES_MIN) {
      return this.#sideOfAddresses(ipv4.source(view, at), ipv4.destination(view, at), this.#nodes);
    }
    if (type !== ethernet.ETHERTYPE_ARP || !arp.isIpv4OverEthernet(view, at, room)) return 'client';
    return this.#sideOfAddresses(arp.senderAddress(view, at), arp.targetAddress(view, at), this.#nextHops);
  }

  #sideOfAddresses(from: number, to: number, nodeSide: ReadonlySet<number>): Side {
    const { vip, source } = this.bed.config;
    if (to === vip.address) return 'client';
    return to === source.address || nodeSide.has(from) ? 'server' : 'client';
  }
}
