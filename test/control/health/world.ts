/**
 * A lane, the health monitor, and nodes that can die, on one virtual clock: what is simulated is the world, the rest is
 * the real code. Frames are lost by a seeded die.
 */

import { HealthMonitor } from '../../../src/control/health/monitor.ts';
import { HEALTH_NAMES } from '../../../src/control/health/node-health.ts';
import type { PoolTransition } from '../../../src/control/health/pool.ts';
import type { HealthSettings } from '../../../src/control/health/settings.ts';
import { NODE_COUNT, NODE_COUNTER_COUNT } from '../../../src/dataplane/counters.ts';
import { icmpEcho, ipv4Frame } from '../../support/frames.ts';
import { type BedNode, LaneBed, NF_SERVER_MAC, type Outcome, OWN, reply, request } from '../../support/lane-bed.ts';
import { type Decoded, decodeStrict } from '../../support/strict-decoder.ts';
import { SETTINGS } from './patient.ts';

const TICK_MS = 10;
/** Linux: six at once, then one a second. */
const REFUSALS_BURST = 6;
const REFUSAL_MS = 1000;

/** A memcached on a host of its own. */
export class SimulatedNode implements BedNode {
  readonly mac: string;
  readonly ip: string;
  readonly port = 11_211;
  /** The host's cable. */
  up = true;
  running = true;
  /** SIGSTOP: what comes waits. */
  paused = false;
  readonly items = new Map<string, string>();
  flushes = 0;
  readonly #waiting: Decoded[] = [];
  #tokens = REFUSALS_BURST;
  #tokensMs = 0;

  constructor(index: number) {
    this.ip = `10.77.1.${11 + index}`;
    this.mac = `02:00:00:00:01:${(11 + index).toString(16).padStart(2, '0')}`;
  }

  kill(): void {
    this.running = false;
    this.items.clear();
    this.#waiting.length = 0;
  }

  /** Frames that it sends in answer to one. */
  hear(frame: Uint8Array, nowMs: number): Uint8Array[] {
    const decoded = decodeStrict(frame);
    if (!this.up || decoded.kind === 'arp') return [];
    if (decoded.kind === 'echo request') return [icmpEcho({ ...this.#toUs(), type: 'reply', ...idsOf(decoded) })];
    if (!this.running) return this.#refuse(frame, nowMs);
    this.#waiting.push(decoded);
    return this.paused ? [] : this.resume();
  }

  /** What waited is answered. */
  resume(): Uint8Array[] {
    this.paused = false;
    return this.#waiting.splice(0).flatMap(decoded => this.#answer(decoded));
  }

  #answer(decoded: Decoded): Uint8Array[] {
    if (decoded.kind !== 'udp') return [];
    const text = Buffer.from(decoded.payload).toString('latin1');
    const id = decoded.payload[0]! * 256 + decoded.payload[1]!;
    const body = this.#execute(text.slice(8));
    return body === '' ? [] : [reply(body, { node: this, id, dport: decoded.sport })];
  }

  #execute(line: string): string {
    const [command, key = ''] = line.split(/\s+/);
    if (command === 'version') return 'VERSION 1.6.18\r\n';
    if (command === 'flush_all') {
      this.items.clear();
      this.flushes++;
      return 'OK\r\n';
    }
    if (command === 'set') {
      this.items.set(key, line.split('\r\n')[1]!);
      return line.includes('noreply') ? '' : 'STORED\r\n';
    }
    const value = this.items.get(key);
    return value === undefined ? 'END\r\n' : `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`;
  }

  #refuse(frame: Uint8Array, nowMs: number): Uint8Array[] {
    this.#tokens = Math.min(this.#tokens + (nowMs - this.#tokensMs) / REFUSAL_MS, REFUSALS_BURST);
    this.#tokensMs = nowMs;
    if (this.#tokens < 1) return [];
    this.#tokens--;
    const message = Uint8Array.from([3, 3, 0, 0, 0, 0, 0, 0, ...frame.slice(14, 14 + 36)]);
    let sum = 0;
    for (let at = 0; at < message.length; at += 2) sum += message[at]! * 256 + message[at + 1]!;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    message.set([(~sum >>> 8) & 255, ~sum & 255], 2);
    return [ipv4Frame({ ...this.#toUs(), protocol: 1, payload: message })];
  }

  #toUs() {
    return { srcMac: this.mac, dstMac: NF_SERVER_MAC, src: this.ip, dst: OWN };
  }
}

export interface WorldOptions {
  readonly nodes?: number;
  readonly settings?: Partial<HealthSettings>;
  /** Share of the frames that each way loses. */
  readonly loss?: number;
  readonly seed?: number;
}

export class World {
  readonly nodes: SimulatedNode[];
  readonly bed: LaneBed;
  readonly monitor: HealthMonitor;
  readonly transitions: (PoolTransition & { atMs: number })[] = [];
  /** Bodies of what clients got, by request id. */
  readonly answers = new Map<number, string[]>();
  loss: number;
  readonly #out = new Set<number>();
  #random: number;
  #tickMs = 0;
  #id = 0;

  constructor({ nodes = 3, settings = {}, loss = 0, seed = 1 }: WorldOptions = {}) {
    this.nodes = Array.from({ length: nodes }, (_, index) => new SimulatedNode(index));
    this.loss = loss;
    this.#random = seed;
    this.bed = new LaneBed({
      nodes: this.nodes,
      replyLifetimeMs: 2000,
      // No ARP in this world: what is known at the start stays known.
      neighbourTimes: { retryMs: 200, retries: 3, lifetimeMs: 1e9 },
      slots: 4096,
      missAfterMs: settings.missAfterMs ?? 0,
    });
    this.monitor = new HealthMonitor(
      { ...SETTINGS, ...settings },
      this.bed.health,
      { set: (node, available) => this.#setAvailable(node, available) },
      () => this.#census(),
      transition => this.transitions.push({ ...transition, atMs: this.bed.nowMs }),
    );
  }

  state(node: number): string {
    return this.monitor.figures(node).health;
  }

  get states(): string[] {
    return this.nodes.map((_, node) => this.monitor.figures(node).health);
  }

  /** Moves since the last call, as `1 suspect → out`. */
  takeMoves(): string[] {
    return this.transitions
      .splice(0)
      .map(({ node, from, to }) => `${node} ${HEALTH_NAMES[from]} → ${HEALTH_NAMES[to]}`);
  }

  /** Sends a request; its id, under which `answers` has what came. */
  ask(body: string): number {
    this.#id = (this.#id + 1) & 0xffff;
    this.answers.delete(this.#id);
    this.#deliver(this.bed.hear('client', request(body, { id: this.#id })));
    return this.#id;
  }

  /** Time passes, 1 ms a step; `each` may ask something in each. */
  async pass(ms: number, each: () => void = () => {}): Promise<void> {
    for (let i = 0; i < ms; i++) {
      this.bed.nowMs += 1;
      each();
      this.#deliver(this.bed.turn());
      if (this.bed.nowMs < this.#tickMs) continue;
      this.#tickMs = this.bed.nowMs + TICK_MS;
      this.monitor.tick(this.bed.nowMs);
      await Promise.resolve();
    }
  }

  resume(node: number): void {
    this.#hear(this.nodes[node]!.resume());
  }

  #deliver({ sent }: Outcome): void {
    for (const { side, frame } of sent) {
      if (side === 'client') this.#note(frame);
      else if (!this.#isLost()) this.#hear(this.#nodeOf(frame)?.hear(frame, this.bed.nowMs) ?? []);
    }
  }

  #hear(frames: readonly Uint8Array[]): void {
    const arriving = frames.filter(() => !this.#isLost());
    for (let at = 0; at < arriving.length; at += 64)
      this.#deliver(this.bed.hear('server', arriving.slice(at, at + 64)));
  }

  #note(frame: Uint8Array): void {
    const text = Buffer.from(frame).toString('latin1');
    const id = frame[42]! * 256 + frame[43]!;
    const length = frame[38]! * 256 + frame[39]!;
    this.answers.set(id, [...(this.answers.get(id) ?? []), text.slice(50, 34 + length)]);
  }

  #nodeOf(frame: Uint8Array): SimulatedNode | undefined {
    const to = frame.slice(30, 34).join('.');
    return this.nodes.find(({ ip }) => ip === to);
  }

  /** Linear congruential, Numerical Recipes. */
  #isLost(): boolean {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) | 0;
    return (this.#random >>> 0) / 2 ** 32 < this.loss;
  }

  #setAvailable(node: number, available: boolean): Promise<void> {
    if (available) this.#out.delete(node);
    else this.#out.add(node);
    const rows = this.nodes.map(({ mac, ip, port }, row) => ({ mac, ip, port, available: !this.#out.has(row) }));
    return this.bed.publish(rows) ? Promise.resolve() : Promise.reject(new Error('busy'));
  }

  #census() {
    const { nodeCounters } = this.bed.lane().path.memory;
    return this.nodes.map((_, node) => {
      const row = node * NODE_COUNTER_COUNT;
      return {
        node,
        weight: 1,
        requests: nodeCounters[row + NODE_COUNT.requests]! - nodeCounters[row + NODE_COUNT.silent_requests]!,
        replies: nodeCounters[row + NODE_COUNT.replies]!,
        resolved: true,
      };
    });
  }
}

function idsOf({ identifier, sequence }: { identifier: number; sequence: number }) {
  return { identifier, sequence, payload: '' };
}
