/**
 * Nodes that are slower than this machine: each may send so many datagrams a second and no more, whatever their length, by
 * a class of its own (Linux's HTB) on its way to the balancer. What cannot leave waits, and memcached with it. The same
 * classes count what each node has answered.
 *
 * `mpu` makes a short frame cost as much as one of FRAME_BYTES: a rate in bytes becomes a rate in frames.
 */
import { runIn } from './namespaces.ts';
import type { NodeHost, TestBed } from './topology.ts';

/** More than any reply that is to be counted as one. */
const FRAME_BYTES = 512;
/** Frames that may leave at once after a pause. */
const BURST_FRAMES = 8;
/** Both layouts lead to the balancer this way. */
const INTERFACE = 'eth0';
const CLASS_BASE = 0x10;
const PACKETS = /class htb 1:([0-9a-f]+) [^\n]*\n\s*Sent \d+ bytes (\d+) pkt/g;

/** Goes with the bed. */
export function limitNodes(bed: TestBed, framesPerSecond: number): NodeMeter {
  for (const host of hostsOf(bed)) runIn(host, ['tc', 'qdisc', 'add', 'dev', INTERFACE, 'root', 'handle', '1:', 'htb']);
  for (const [position, node] of bed.nodes.entries()) limit(node, position, framesPerSecond);
  return new NodeMeter(bed);
}

/** Frames that the nodes have sent, since they are limited. */
export class NodeMeter {
  readonly #bed: TestBed;

  constructor(bed: TestBed) {
    this.#bed = bed;
  }

  /** In the order of the bed. */
  frames(): number[] {
    const counts = new Map<number, number>();
    for (const host of hostsOf(this.#bed)) {
      const text = runIn(host, ['tc', '-s', 'class', 'show', 'dev', INTERFACE]);
      for (const [, id, packets] of text.matchAll(PACKETS)) counts.set(Number.parseInt(id!, 16), Number(packets));
    }
    return this.#bed.nodes.map((_, position) => counts.get(CLASS_BASE + position) ?? 0);
  }
}

function hostsOf({ nodes }: TestBed): string[] {
  return [...new Set(nodes.map(({ host }) => host))];
}

function limit({ host, address }: NodeHost, position: number, framesPerSecond: number): void {
  const id = `1:${(CLASS_BASE + position).toString(16)}`;
  const rate = `${framesPerSecond * FRAME_BYTES * 8}bit`;
  const burst = `${BURST_FRAMES * FRAME_BYTES}`;
  const sizes = ['burst', burst, 'cburst', burst, 'mpu', `${FRAME_BYTES}`, 'quantum', '1514'];
  const dev = ['dev', INTERFACE, 'parent', '1:'];
  runIn(host, ['tc', 'class', 'add', ...dev, 'classid', id, 'htb', 'rate', rate, 'ceil', rate, ...sizes]);
  const match = ['protocol', 'ip', 'prio', '1', 'u32', 'match', 'ip', 'src', `${address}/32`];
  runIn(host, ['tc', 'filter', 'add', ...dev, ...match, 'flowid', id]);
}
