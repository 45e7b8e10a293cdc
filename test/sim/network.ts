/**
 * The network between clients, Keysteer and nodes: every hop loses, doubles, delays and reorders frames by lot. No frame
 * outlives the longest life of a datagram (`lifeMs`, coherence.md's L) on one hop, sockets included.
 */
import { isBroadcast } from '../../src/wire/ethernet.ts';
import { isClientMac } from './addresses.ts';
import type { EventQueue, EventTarget } from './events.ts';
import { FramePool } from './frame-pool.ts';
import { describeFrame } from './frame-text.ts';
import * as frames from './frames.ts';
import type { Random } from './random.ts';
import type { Trace } from './trace.ts';

/** What is joined to the network. */
export interface Host {
  readonly name: string;
  /** Takes over the frame in this slot of the pool. */
  hear(slot: number): void;
}

export const HOPS = ['client→nf', 'nf→node', 'node→nf', 'nf→client', 'node→client'] as const;
export type Hop = (typeof HOPS)[number];

/** What befalls the frames of one hop. */
export interface Weather {
  /** Shares of the frames. */
  loss: number;
  duplicate: number;
  /** The delay of most: at least `minMs`, `meanMs` more on average, `maxMs` at most. */
  minMs: number;
  meanMs: number;
  maxMs: number;
  /** Share that is late by anything up to the longest life of a datagram. */
  stragglers: number;
  /** Whether frames may overtake each other. */
  reorders: boolean;
}

export const FAIR: Readonly<Weather> = {
  loss: 0,
  duplicate: 0,
  minMs: 0.02,
  meanMs: 0.03,
  maxMs: 1,
  stragglers: 0,
  reorders: false,
};

/** Margin between the latest straggler and the longest life, ms. */
const MARGIN_MS = 50;

export class Network implements EventTarget {
  readonly pool = new FramePool();
  readonly events: EventQueue;
  /** Longest life of a datagram, ms. */
  readonly lifeMs: number;
  readonly weather: Record<Hop, Weather>;
  /** Hears of frames that were doubled. */
  onDuplicate: (slot: number, hop: Hop) => void = () => {};
  trace: Trace | undefined;
  lost = 0;
  sent = 0;
  duplicated = 0;
  readonly #random: Random;
  readonly #hosts: Host[] = [];
  readonly #macs = new Map<number, number>();
  readonly #ips = new Map<number, number>();
  /** Hosts whose cable is out. */
  readonly #cut = new Set<Host>();
  /** When the last frame on a way arrives: those that may not overtake it come later. */
  readonly #lastMs = new Map<number, number>();

  constructor(events: EventQueue, random: Random, lifeMs: number) {
    this.events = events;
    this.#random = random;
    this.lifeMs = lifeMs;
    this.weather = Object.fromEntries(HOPS.map(hop => [hop, { ...FAIR }])) as Record<Hop, Weather>;
  }

  /** @param macLow the upper 16 bits of addresses do not differ here */
  join(host: Host, macLow: number, ip: number): void {
    this.#macs.set(macLow, this.#hosts.length);
    if (!this.#ips.has(ip)) this.#ips.set(ip, this.#hosts.length);
    this.#hosts.push(host);
  }

  setCut(host: Host, isCut: boolean): void {
    if (isCut) this.#cut.add(host);
    else this.#cut.delete(host);
  }

  /**
   * Sends the frame in `slot`, which is the network's from now on.
   * @throws Error when it is for nobody
   */
  send(from: Host, slot: number, hop: Hop): void {
    const { pool, events } = this;
    const weather = this.weather[hop];
    const to = this.#receiverOf(from, slot);
    pool.sentMs[slot] = events.nowMs;
    this.sent++;
    events.digest.bytes(pool.view, pool.offset(slot), pool.lengths[slot]!);
    if (this.#random.chance(weather.duplicate)) this.#duplicate(from, to, slot, hop, weather);
    this.#deliver(from, to, slot, weather, '');
  }

  /** Whether the frame in this slot is for a client. */
  isClient(slot: number): boolean {
    return isClientMac(frames.toMacLow(this.pool.view, this.pool.offset(slot)));
  }

  /** Whether a datagram sent then may not be handed to anybody any more. */
  isTooOld(slot: number): boolean {
    return this.events.nowMs - this.pool.sentMs[slot]! > this.lifeMs;
  }

  happen(host: number, slot: number): void {
    const to = this.#hosts[host]!;
    if (this.#cut.has(to)) return this.#lose(to, slot, 'arrives where the cable is out');
    this.trace?.(to.name, `⇐ ${this.#text(slot)}`);
    to.hear(slot);
  }

  #duplicate(from: Host, to: number, slot: number, hop: Hop, weather: Weather): void {
    this.duplicated++;
    this.pool.hold(slot);
    this.onDuplicate(slot, hop);
    this.#deliver(from, to, slot, weather, ' (twice)');
  }

  #deliver(from: Host, to: number, slot: number, weather: Weather, note: string): void {
    if (this.#cut.has(from) || this.#random.chance(weather.loss)) return this.#lose(from, slot, 'is lost');
    const dueMs = this.events.nowMs + this.#delayMs(weather);
    const atMs = weather.reorders ? dueMs : this.#inOrder(from, to, dueMs);
    this.trace?.(from.name, `⇒ ${this.#text(slot)}${note}, ${(atMs - this.events.nowMs).toFixed(2)} ms on the way`);
    this.events.at(atMs, this, to, slot);
  }

  #delayMs({ minMs, meanMs, maxMs, stragglers }: Weather): number {
    if (this.#random.chance(stragglers)) return this.#random.between(maxMs, this.lifeMs - MARGIN_MS);
    const ms = minMs + this.#random.exponential(meanMs);
    return ms < maxMs ? ms : this.#random.between(minMs, maxMs);
  }

  #inOrder(from: Host, to: number, dueMs: number): number {
    const way = this.#hosts.indexOf(from) * 1024 + to;
    const atMs = Math.max(dueMs, (this.#lastMs.get(way) ?? 0) + 1e-6);
    this.#lastMs.set(way, atMs);
    return atMs;
  }

  #lose(at: Host, slot: number, why: string): void {
    this.trace?.(at.name, `✗ ${this.#text(slot)} ${why}`);
    this.lost++;
    this.pool.release(slot);
  }

  #receiverOf(from: Host, slot: number): number {
    const { view } = this.pool;
    const offset = this.pool.offset(slot);
    const isForAll = isBroadcast(view, offset);
    const to = isForAll ? this.#ips.get(frames.arpTarget(view, offset)) : this.#macs.get(frames.toMacLow(view, offset));
    if (to === undefined) throw new Error(`${from.name} sends to nobody: ${this.#text(slot)}`);
    return to;
  }

  #text(slot: number): string {
    const offset = this.pool.offset(slot);
    return describeFrame(this.pool.bytes, offset, this.pool.lengths[slot]!);
  }
}
