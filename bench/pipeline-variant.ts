/**
 * One variant of `bench -- pipeline`, in a process of its own as a lane would be: a real Lane over ports in memory.
 *
 *     node pipeline-variant.bundle.js <variant>     → {"requests":[frames/s, …],"replies":[…],"bytesAllocatedPerFrame":…}
 *
 * A pass is FRAMES frames, each with a key of its own drawn uniformly from KEYS keys. Frames are put back to what they
 * were between passes, untimed.
 */

import { configFromFlags } from '../src/control/config/load.ts';
import type { Config } from '../src/control/config/normalise.ts';
import { multigetSetup, planLaneMemory, planSharedMemory } from '../src/control/memory-plan.ts';
import { COUNT } from '../src/dataplane/counters.ts';
import { GateTable } from '../src/dataplane/gate-table.ts';
import { BATCH_BYTES, Lane } from '../src/dataplane/lane.ts';
import type { LaneMemory } from '../src/dataplane/memory.ts';
import { Neighbours } from '../src/dataplane/neighbours.ts';
import { MODE_NAT, type PathSetup } from '../src/dataplane/setup.ts';
import type { Arena } from '../src/mem/arena.ts';
import { widenInlining } from '../src/mem/inlining.ts';
import { SteerTable } from '../src/steer/table.ts';
import * as ethernet from '../src/wire/ethernet.ts';
import * as ipv4 from '../src/wire/ipv4.ts';
import { parseIpv4 } from '../src/wire/ipv4-text.ts';
import * as udp from '../src/wire/udp.ts';
import { MemoryPort } from './memory-port.ts';
import { VARIANTS, type Variant, type VariantResult } from './pipeline-variants.ts';

/** Like frames that the kernel has just written, they lie in the L2 cache. */
const FRAMES = 2048;
const STRIDE_BYTES = 192;
const HEADROOM_BYTES = 64;
const KEYS = 1_000_000;
const NODES = 4;
const ROUNDS = 3;
const PASSES_PER_ROUND = 320;
const WARM_UP_PASSES = 480;
const MAC_LOW_CLIENT = 0x53000001;
const MAC_LOW_SERVER = 0x53000002;
const CLIENT_ADDRESS = parseIpv4('10.77.0.1');
/** Virtual time between passes: the slot table comes round after 128, when its requests are past their lifetime. */
const PASS_MS = 25;
const SEED = 0x9e3779b9;

class Pipeline {
  readonly #arena: Arena;
  readonly #lane: Lane;
  readonly #client = new MemoryPort(0, 'client', MAC_LOW_CLIENT, STRIDE_BYTES);
  readonly #server = new MemoryPort(1, 'server', MAC_LOW_SERVER, STRIDE_BYTES);
  readonly #memory: LaneMemory;
  readonly #framesOffset: number;
  readonly #frames: Uint8Array;
  readonly #requests: Uint8Array;
  readonly #config: Config;
  readonly #flags: number;
  readonly #requestBytes: number;
  #replyBytes = 0;
  #nowMs = 1000;

  constructor({ algorithm, hash, flags }: Variant) {
    const node = Array.from({ length: NODES }, (_, n) => `mc${n + 1}=10.77.1.${11 + n}:11211`);
    this.#config = configFromFlags({
      vip: '10.77.0.100:11211',
      client: 'cl0',
      server: 'sv0',
      serverAddress: '10.77.1.1/24',
      node,
      algorithm,
      hash,
    });
    this.#flags = flags;
    const shared = planSharedMemory(this.#config, 16);
    const plan = planLaneMemory(
      this.#config,
      16,
      Array(2).fill({ transport: 'af_packet', ringFrames: 4096, mtu: 1500 }),
    );
    this.#arena = plan.arena;
    this.#framesOffset = plan.arena.allocate(FRAMES * STRIDE_BYTES) + HEADROOM_BYTES;
    this.#frames = plan.arena.bytes.subarray(this.#framesOffset, this.#framesOffset + FRAMES * STRIDE_BYTES);
    const setup = pathSetup(this.#config, plan, shared);
    publish(this.#config, shared.arena, setup, shared.capacity);
    const batch = new Int32Array(plan.arena.buffer, plan.batchOffset, BATCH_BYTES / 4);
    this.#lane = new Lane(setup, plan.arena, shared.arena, [this.#client, this.#server], batch);
    this.#memory = this.#lane.path.memory;
    this.#requestBytes = this.#writeRequests();
    this.#requests = this.#frames.slice();
  }

  /** One pass over all requests; returns its seconds. */
  requestPass(): number {
    this.#frames.set(this.#requests);
    this.#client.offer(this.#framesOffset, FRAMES, this.#requestBytes, this.#flags);
    return this.#timedPass(COUNT.requests, FRAMES);
  }

  /** A pass without frames: what the bench itself does. */
  emptyPass(): number {
    this.#frames.set(this.#requests);
    this.#client.offer(this.#framesOffset, 0, this.#requestBytes, this.#flags);
    return this.#timedPass(COUNT.requests, 0);
  }

  /** Makes replies out of the requests just forwarded, untimed, then one pass over them; returns its seconds. */
  replyPass(): number {
    this.requestPass();
    for (let frame = 0; frame < FRAMES; frame++) this.#replyBytes = this.#turnIntoReply(frame);
    this.#server.offer(this.#framesOffset, FRAMES, this.#replyBytes, this.#flags);
    return this.#timedPass(COUNT.replies, FRAMES);
  }

  #timedPass(counter: number, frames: number): number {
    const before = this.#memory.counters[counter];
    this.#nowMs += PASS_MS;
    const start = performance.now();
    while (this.#lane.cycle(this.#nowMs) !== 0);
    const seconds = (performance.now() - start) / 1000;
    const done = this.#memory.counters[counter] - before;
    if (done !== frames) throw new Error(`pipeline: ${done} of ${frames} frames came through`);
    return seconds;
  }

  #writeRequests(): number {
    let random = SEED;
    let bytes = 0;
    for (let frame = 0; frame < FRAMES; frame++) {
      random = (Math.imul(random, 1664525) + 1013904223) | 0;
      const key = `key:${String((random >>> 0) % KEYS).padStart(12, '0')}`;
      const payload = Buffer.from(`\0\0\0\0\0\u0001\0\0get ${key}\r\n`, 'latin1');
      payload.writeUInt16BE(frame & 0xffff, 0);
      bytes = this.#writeFrame(this.#framesOffset + frame * STRIDE_BYTES, payload, frame);
    }
    return bytes;
  }

  #writeFrame(offset: number, payload: Buffer, frame: number): number {
    const { view, bytes } = this.#arena;
    const { vip } = this.#config;
    const udpBytes = udp.HEADER_BYTES + payload.length;
    const total = ipv4.HEADER_BYTES_MIN + udpBytes;
    const ip = ethernet.writeHeader(view, offset, 0x024b, MAC_LOW_CLIENT, 0x024b, 0x77000001, ethernet.ETHERTYPE_IPV4);
    const datagram = ipv4.writeHeader(
      view,
      ip,
      total,
      frame & 0xffff,
      ipv4.DONT_FRAGMENT,
      64,
      ipv4.PROTOCOL_UDP,
      CLIENT_ADDRESS,
      vip.address,
    );
    bytes.set(payload, udp.writeHeader(view, datagram, 20_000 + (frame % 1000), vip.port, udpBytes));
    udp.setChecksum(view, datagram, udp.computeChecksum(view, ip, datagram, udpBytes));
    return ethernet.HEADER_BYTES + total;
  }

  /** The node's answer, "VALUE <key> 0 8" with 8 bytes, in the frame that would have reached it. */
  #turnIntoReply(frame: number): number {
    const { view, bytes } = this.#arena;
    const offset = this.#framesOffset + frame * STRIDE_BYTES;
    const ip = offset + ethernet.HEADER_BYTES;
    const datagram = ip + ipv4.HEADER_BYTES_MIN;
    const payload = datagram + udp.HEADER_BYTES;
    const key = Buffer.from(bytes.subarray(payload + 12, payload + 28)).toString('latin1');
    const text = Buffer.from(`VALUE ${key} 0 8\r\n01234567\r\nEND\r\n`, 'latin1');
    bytes.set(text, payload + 8);
    const udpBytes = udp.HEADER_BYTES + 8 + text.length;
    const toPort = udp.sourcePort(view, datagram);
    ethernet.setDestination(view, offset, 0x024b, MAC_LOW_SERVER);
    ethernet.setSource(view, offset, 0x024b, 0x77000002);
    ipv4.swapAddresses(view, ip);
    ipv4.rewriteTotalLength(view, ip, ipv4.HEADER_BYTES_MIN + udpBytes);
    udp.writeHeader(view, datagram, udp.destinationPort(view, datagram), toPort, udpBytes);
    udp.setChecksum(view, datagram, udp.computeChecksum(view, ip, datagram, udpBytes));
    return ethernet.HEADER_BYTES + ipv4.HEADER_BYTES_MIN + udpBytes;
  }
}

function pathSetup(
  config: Config,
  plan: ReturnType<typeof planLaneMemory>,
  shared: ReturnType<typeof planSharedMemory>,
): PathSetup {
  return {
    lane: 0,
    mode: MODE_NAT,
    clientPort: 0,
    serverPort: 1,
    vip: config.vip.address,
    vipPort: config.vip.port,
    ownAddress: config.source.address,
    firstSourcePort: config.slots.sourcePortBase,
    slots: config.slots.count,
    replyLifetimeMs: config.slots.replyLifetimeMs,
    neighbourTimes: { retryMs: 200, retries: 5, lifetimeMs: 1 << 30 },
    parkingFrames: config.neighbours.queueFrames,
    slotsOffset: plan.slotsOffset,
    parkingOffset: plan.parkingOffset,
    countersOffset: plan.countersOffset,
    nodeCountersOffset: plan.nodeCountersOffset,
    outboxOffset: plan.outboxOffset,
    fragments: config.fragments,
    fragmentsOffset: plan.fragmentsOffset,
    mailOffset: plan.mailOffset,
    laneCount: 1,
    honoursDontFragment: false,
    gathersOffset: plan.gathersOffset,
    multiget: multigetSetup(config),
    latencyOffset: plan.latencyOffset,
    nodesMax: 16,
    steerOffset: shared.steerOffset,
    neighboursOffset: shared.neighboursOffset,
    handoverOffset: shared.handoverOffset,
    newcomerSlots: config.slots.count / 4,
    sourceRows: config.gatekeeper.sources,
    sourceSeeds: [SEED | 0, ~SEED],
    version: '',
    lanes: [],
    pid: 0,
    timeOrigin: 0,
    sourcesOffset: plan.sourcesOffset,
    gateOffset: shared.gateOffset,
    nodeNamesOffset: shared.nodeNamesOffset,
    healthOffset: shared.healthOffset,
    clientsOffset: shared.clientsOffset,
    missNotesOffset: plan.missNotesOffset,
    probePort: 0,
    probeTimeoutMs: 20,
    missAfterMs: 0,
  };
}

function publish(
  config: Config,
  shared: Arena,
  setup: PathSetup,
  capacity: { nodesMax: number; lanesMax: number },
): void {
  const neighbours = new Neighbours(shared.words, setup.neighboursOffset >> 2, setup.neighbourTimes);
  const nodes = config.nodes.map(node => ({ ...node, neighbour: neighbours.add(node.nextHop) }));
  for (const { nextHop } of config.nodes) neighbours.learn(nextHop, 0x024b, 0x77000002, 0);
  new SteerTable(shared.buffer, setup.steerOffset, capacity).publish(nodes, config.steering);
  const { enabled: watches, ...budgets } = config.gatekeeper;
  const { commands } = config;
  const { broadcastMs } = commands;
  const rules = { ...budgets, watches, lanes: 1, commands, broadcastMs };
  new GateTable(shared.buffer, setup.gateOffset, capacity.lanesMax).publish(rules);
}

function main(name: string | undefined): void {
  const variant = VARIANTS.find(candidate => candidate.name === name);
  if (variant === undefined) throw new Error(`pipeline: no variant ${name}`);
  widenInlining();
  const pipeline = new Pipeline(variant);
  for (let pass = 0; pass < WARM_UP_PASSES; pass++) pass % 2 === 0 ? pipeline.requestPass() : pipeline.replyPass();
  const requests: number[] = [];
  const replies: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    requests.push(rate(() => pipeline.requestPass(), PASSES_PER_ROUND));
    replies.push(rate(() => pipeline.replyPass(), PASSES_PER_ROUND / 4));
  }
  const result: VariantResult = { requests, replies, bytesAllocatedPerFrame: bytesAllocatedPerFrame(pipeline) };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Frames per second over so many passes. */
function rate(pass: () => number, passes: number): number {
  let seconds = 0;
  for (let i = 0; i < passes; i++) seconds += pass();
  return (FRAMES * passes) / seconds;
}

/** What frames add to the growth of the JavaScript heap, passes without frames taken off. */
function bytesAllocatedPerFrame(pipeline: Pipeline): number {
  const passes = 1000;
  const grown = heapGrowth(() => pipeline.requestPass(), passes) - heapGrowth(() => pipeline.emptyPass(), passes);
  return Number((Math.max(grown, 0) / (passes * FRAMES)).toFixed(3));
}

/** Bytes; measured again where a collection inside would hide what was allocated. */
function heapGrowth(pass: () => number, passes: number): number {
  for (let attempt = 0; attempt < 10; attempt++) {
    pass();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < passes; i++) pass();
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) return grown;
  }
  throw new Error('pipeline: the heap was collected in each of ten measurements');
}

main(process.argv[2]);
