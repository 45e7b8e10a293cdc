/**
 * A TAP between two ports of this process: its queues, and a raw socket on the interface that is the kernel's end. What a
 * queue sends, the raw socket hears, and the other way round.
 *
 * As with VethBed, the kernel of this process takes no interest: no addresses, frames to nobody's MAC.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { BATCH_BYTES } from '../../src/dataplane/lane.ts';
import { ipBatch } from '../../src/experiment/namespaces.ts';
import { Arena } from '../../src/mem/arena.ts';
import { type AfPacketOptions, afPacketByteLength, describeAfPacket } from '../../src/port/af-packet.ts';
import { describeTap, type TapDescription, type TapOptions, tapByteLength } from '../../src/port/tap.ts';
import { TestPort } from './lane-bed-veth.ts';
import { skip } from './requirements.ts';

let bedsMade = 0;

/** A TUN/TAP driver that we may use. */
export function requireTap(): string | undefined {
  const name = `kst${process.pid}try`;
  if (spawnSync('ip', ['tuntap', 'add', name, 'mode', 'tap']).status !== 0) {
    return skip('no TAP can be made here (/dev/net/tun, CAP_NET_ADMIN)');
  }
  spawnSync('ip', ['tuntap', 'del', name, 'mode', 'tap']);
  return undefined;
}

export class TapBed {
  readonly name: string;
  readonly #ports: TestPort[] = [];
  readonly #isMade: boolean;

  /**
   * @param made how `ip tuntap` makes the interface before any queue is opened, so that IPv6 never speaks there;
   * null: not at all, the first queue will make it
   */
  constructor(made: string | null = 'multi_queue') {
    bedsMade += 1;
    this.name = `kst${process.pid}x${bedsMade}`;
    this.#isMade = made !== null;
    if (!this.#isMade) return;
    removeLeftovers();
    ipBatch([`tuntap add ${this.name} mode tap ${made}`]);
    quietIpv6(this.name);
  }

  /** One more queue. */
  queue(options: Partial<TapOptions> = {}): TestPort & { readonly description: TapDescription } {
    const arena = Arena.create(tapByteLength(options.mtuMax) + BATCH_BYTES * 4 + 65_536);
    const description = describeTap({ id: 0, interfaceName: this.name, arena, queueFrames: 64, ...options });
    return this.#keep(new TestPort(description, arena)) as TestPort & { readonly description: TapDescription };
  }

  /** A raw socket at the kernel's end. */
  wire(options: Partial<AfPacketOptions> = {}): TestPort {
    const ringFrames = options.ringFrames ?? 512;
    const arena = Arena.create(afPacketByteLength(ringFrames, options.mtuMax) + BATCH_BYTES * 4 + 65_536);
    const description = describeAfPacket({ id: 0, interfaceName: this.name, arena, ringFrames, ...options });
    return this.#keep(new TestPort(description, arena));
  }

  /** `ip` on the interface: `set('mtu 9000')`. */
  set(what: string): void {
    ipBatch([`link set dev ${this.name} ${what}`]);
  }

  close(port: TestPort): void {
    this.#ports.splice(this.#ports.indexOf(port), 1);
    port.port.close();
  }

  remove(): void {
    for (const { port } of this.#ports.splice(0)) port.close();
    if (this.#isMade) spawnSync('ip', ['link', 'delete', this.name]); // unless the test did, or moved it away
  }

  #keep(port: TestPort): TestPort {
    this.#ports.push(port);
    return port;
  }
}

/** The interfaces of beds whose process was killed. */
function removeLeftovers(): void {
  for (const name of readdirSync('/sys/class/net')) {
    const owner = /^kst(\d+)x/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) spawnSync('ip', ['link', 'delete', name]);
  }
}

/** As in a namespace of the test bed: its greetings would be noise. */
function quietIpv6(interfaceName: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${interfaceName}/disable_ipv6`, '1');
  } catch {}
}
