/**
 * Real interfaces for ports that a test opens in its own process. Each is one end of a veth pair; the other ends lie in a
 * namespace made for the occasion, plugged into a bridge there, and the pairs vanish with it.
 *
 *     this process                      a namespace
 *       ks4711a ═══════════════════ a ┐
 *       ks4711b ═══════════════════ b ┴ bridge
 *
 * The kernel of this process must take no interest in what passes: no addresses here, and frames to MACs that are not the
 * interfaces'.
 */
import { writeFileSync } from 'node:fs';
import { BATCH_BYTES } from '../../src/dataplane/lane.ts';
import { ipBatch, NamespaceSet, removeLeftovers } from '../../src/experiment/namespaces.ts';
import { Arena } from '../../src/mem/arena.ts';
import { type AfPacketOptions, afPacketByteLength, describeAfPacket } from '../../src/port/af-packet.ts';
import { attachPort } from '../../src/port/open.ts';
import { DROP, PORT_COUNTERS, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../../src/port/port.ts';
import type { LanePort, PortDescription } from '../../src/port/shim-port.ts';

/** Neither interface's own: what is sent here is looked at by raw sockets only. */
export const NOBODY_MAC = '02:4b:53:00:00:99';

let bedsMade = 0;

export class VethBed {
  readonly set = new NamespaceSet();
  readonly namespace: string;
  readonly #interfaces: Record<string, string> = {};
  readonly #ports: LanePort[] = [];

  /** @param switches the cables plugged into each bridge, one letter a cable: `new VethBed('ab', 'cd')` */
  constructor(...switches: readonly string[]) {
    const ends = [...switches.join('')];
    removeLeftovers();
    bedsMade += 1;
    [this.namespace] = this.set.create(['cables']) as [string];
    for (const end of ends) this.#interfaces[end] = `ks${process.pid}${bedsMade}${end}`;
    ipBatch(ends.flatMap(end => this.#plugIn(end)));
    for (const end of ends) quietIpv6(this.interfaceOf(end));
    ipBatch(switches.flatMap(bridgeCommands), this.namespace);
    for (const end of ends) this.up(end);
  }

  /** The interface at this end of a cable. */
  interfaceOf(end: string): string {
    return this.#interfaces[end]!;
  }

  /** A port on this end, in an arena of its own, closed with the bed. */
  open(end: string, options: Partial<AfPacketOptions> = {}): TestPort {
    const ringFrames = options.ringFrames ?? 64;
    const arena = Arena.create(afPacketByteLength(ringFrames, options.mtuMax) + BATCH_BYTES * 4 + 65_536);
    const defaults = { id: 0, interfaceName: this.interfaceOf(end), arena, ringFrames };
    const port = new TestPort(describeAfPacket({ ...defaults, ...options }), arena);
    this.#ports.push(port.port);
    return port;
  }

  /** Closes a port before its time. */
  close({ port }: TestPort): void {
    this.#ports.splice(this.#ports.indexOf(port), 1);
    port.close();
  }

  up(end: string): void {
    ipBatch([`link set dev ${this.interfaceOf(end)} up`]);
  }

  down(end: string): void {
    ipBatch([`link set dev ${this.interfaceOf(end)} down`]);
  }

  /** Both ends of a cable. */
  setMtu(end: string, bytes: number): void {
    ipBatch([`link set dev ${this.interfaceOf(end)} mtu ${bytes}`]);
    ipBatch([`link set dev ${end} mtu ${bytes}`], this.namespace);
  }

  /** Takes an end out of the bridge and gives it an address, so that sockets in the namespace speak through it. */
  giveAddress(end: string, cidr: string): void {
    ipBatch([`link set dev ${end} nomaster`, `address add ${cidr} dev ${end}`], this.namespace);
  }

  /** Ethernet address of the interface at this end of a cable, and of the one in the namespace. */
  nearMac(end: string): string {
    return macOf(0, end);
  }

  farMac(end: string): string {
    return macOf(1, end);
  }

  async remove(): Promise<void> {
    for (const port of this.#ports.splice(0)) port.close();
    await this.set.close();
  }

  #plugIn(end: string): string[] {
    const name = this.interfaceOf(end);
    return [
      `link add ${name} address ${macOf(0, end)} type veth peer name ${end} address ${macOf(1, end)} netns ${this.namespace}`,
      `link set dev ${name} addrgenmode none`,
    ];
  }
}

function bridgeCommands(ends: string, i: number): string[] {
  return [
    `link add br${i} type bridge mcast_snooping 0 forward_delay 0`,
    `link set dev br${i} up`,
    ...[...ends].flatMap(end => [`link set dev ${end} master br${i}`, `link set dev ${end} up`]),
  ];
}

function macOf(side: number, end: string): string {
  return `02:4b:53:00:0${side}:${end.charCodeAt(0).toString(16)}`;
}

export interface Heard {
  readonly frame: Uint8Array;
  readonly flags: number;
}

/** A port with a batch, and the few things tests do with one. */
export class TestPort {
  readonly description: PortDescription;
  readonly port: LanePort;
  readonly arena: Arena;
  readonly batch: Int32Array;

  constructor(description: PortDescription, arena: Arena) {
    this.description = description;
    this.port = attachPort(description, arena);
    this.arena = arena;
    this.batch = new Int32Array(arena.buffer, arena.allocate(BATCH_BYTES * 4), BATCH_BYTES);
  }

  count(name: (typeof PORT_COUNTERS)[number]): number {
    return this.port.counters[PORT_COUNTERS.indexOf(name)]!;
  }

  /** Sends frames of our own, at most 64; returns how many were taken. */
  say(frames: readonly Uint8Array[], flags = 0): number {
    frames.forEach((frame, row) => {
      const offset = this.port.claim();
      this.arena.bytes.set(frame, offset);
      this.batch.set([offset, frame.length, flags, this.port.id], row * ROW_WORDS);
    });
    return this.port.transmit(this.batch, frames.length);
  }

  /** One batch, copied out and released. */
  take(rowsMax = 64): Heard[] {
    const rows = this.port.receive(this.batch, rowsMax);
    const heard = Array.from({ length: rows }, (_, i) => {
      const [offset, length, flags] = [ROW_OFFSET, ROW_LENGTH, ROW_FLAGS].map(
        word => this.batch[i * ROW_WORDS + word]!,
      );
      return { frame: this.arena.bytes.slice(offset!, offset! + length!), flags: flags! };
    });
    this.port.release(this.batch, rows);
    return heard;
  }

  /** What comes until there are `count`, or two seconds are over. */
  async listen(count: number): Promise<Heard[]> {
    const heard: Heard[] = [];
    const endMs = performance.now() + 2000;
    while (heard.length < count && performance.now() < endMs) {
      heard.push(...this.take());
      if (heard.length < count) await new Promise(resolve => setTimeout(resolve, 1));
    }
    return heard;
  }

  /** Describes a row by hand; verdict defaults to DROP. */
  row(row: number, offset: number, length: number, flags = 0, verdict = DROP): void {
    this.batch.set([offset, length, flags, verdict], row * ROW_WORDS);
  }

  verdict(row: number, verdict: number): void {
    this.batch[row * ROW_WORDS + ROW_VERDICT] = verdict;
  }
}

/** IPv6's greetings would be noise in a capture; a kernel without IPv6 has none to turn off. */
function quietIpv6(interfaceName: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${interfaceName}/disable_ipv6`, '1');
  } catch {}
}
