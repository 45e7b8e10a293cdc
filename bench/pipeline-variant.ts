/**
 * One variant of `bench -- pipeline`, in a process of its own as a lane would be: a real Lane over ports in memory.
 *
 *     node pipeline-variant.bundle.js <variant>     → {"requests":[frames/s, …],"replies":[…],"bytesAllocatedPerFrame":…}
 *
 * A pass is FRAMES frames, each with a key of its own drawn uniformly from KEYS keys. Frames are put back to what they
 * were between passes, untimed.
 */

import { Layers } from '../src/cache/layers.ts';
import { configFromFlags } from '../src/control/config/load.ts';
import type { Config } from '../src/control/config/normalise.ts';
import { admitItem, orderPromotion } from '../src/control/hot/items.ts';
import { planLaneMemory, planSharedMemory, type SharedMemory } from '../src/control/memory-plan.ts';
import { type Instance, pathSetup } from '../src/control/path-setup.ts';
import { publishTables } from '../src/control/publish-tables.ts';
import { COUNT, LANE_COUNTERS } from '../src/dataplane/counters.ts';
import { HOT_THRESHOLDS } from '../src/dataplane/hot/setup.ts';
import { BATCH_BYTES, Lane } from '../src/dataplane/lane.ts';
import type { LaneMemory } from '../src/dataplane/memory.ts';
import type { Arena } from '../src/mem/arena.ts';
import { widenInlining } from '../src/mem/inlining.ts';
import { writeDecimal } from '../src/memcached/decimal.ts';
import * as ethernet from '../src/wire/ethernet.ts';
import * as ipv4 from '../src/wire/ipv4.ts';
import { parseIpv4 } from '../src/wire/ipv4-text.ts';
import * as udp from '../src/wire/udp.ts';
import { LENT_BYTES, MemoryPort } from './memory-port.ts';
import { VARIANTS, type Variant, type VariantResult, type Workload } from './pipeline-variants.ts';

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
const FOR_EVER_S = 1_000_000;
const NODE_MAC = { high: 0x024b, low: 0x77000002 } as const;
const CLIENT_ADDRESS = parseIpv4('10.77.0.1');
/** Virtual time between passes: the slot table comes round after 128, when its requests are past their lifetime. */
const PASS_MS = 25;
/** The same for writes, whose request ids must not come round within the life of a datagram. */
const WRITE_PASS_MS = 100;
const PAYLOAD_AT = ethernet.HEADER_BYTES + ipv4.HEADER_BYTES_MIN + udp.HEADER_BYTES;
const SEED = 0x9e3779b9;

/** The item that the hot workloads ask for; the others are used by keys that nobody asks for. */
const HOT_ITEM = 0;
const HOT_KEY = 'key:000000000000';
const VALUE = 'v'.repeat(64);
/** What a node says of it, in pieces: nothing is allocated on the way. */
const FETCHED = Buffer.from(`VA ${VALUE.length} t-1 f0 c`, 'latin1');
const STORED = Buffer.from('HD c', 'latin1');
const NONCE = Buffer.from(' O', 'latin1');
const NONCE_BYTES = 16;
const LINE_END = Buffer.from('\r\n', 'latin1');
const VALUE_BEHIND = Buffer.from(`\r\n${VALUE}\r\n`, 'latin1');
const LENT_FRAMES = 256;
const INSTANCE: Instance = { sourceSeeds: [SEED | 0, ~SEED], version: '', lanes: [], pid: 0, timeOrigin: 0 };

class Pipeline {
  readonly #arena: Arena;
  readonly #lane: Lane;
  readonly #client = new MemoryPort(0, 'client', MAC_LOW_CLIENT, STRIDE_BYTES);
  readonly #server = new MemoryPort(1, 'server', MAC_LOW_SERVER, STRIDE_BYTES);
  readonly #memory: LaneMemory;
  readonly #framesOffset: number;
  readonly #replyOffset: number;
  readonly #frames: Uint8Array;
  readonly #requests: Uint8Array;
  readonly #config: Config;
  readonly #flags: number;
  readonly #workload: Workload;
  readonly #requestBytes: number;
  #replyBytes = 0;
  #nowMs = 1000;
  #cas = 1;
  #writes = 0;
  #isTimed = true;

  constructor({ algorithm, hash, flags, hot, workload }: Variant) {
    const node = Array.from({ length: NODES }, (_, n) => `mc${n + 1}=10.77.1.${11 + n}:11211`);
    const config = configFromFlags({
      vip: '10.77.0.100:11211',
      client: 'cl0',
      server: 'sv0',
      serverAddress: '10.77.1.1/24',
      node,
      algorithm,
      hash,
      hot: hot ? 'on' : 'off',
    });
    // Nobody answers ARP.
    this.#config = { ...config, neighbours: { ...config.neighbours, lifetimeS: FOR_EVER_S } };
    this.#flags = flags;
    this.#workload = workload;
    const shared = planSharedMemory(this.#config, 16);
    const plan = planLaneMemory(
      this.#config,
      16,
      Array(2).fill({ transport: 'af_packet', ringFrames: 4096, mtu: 1500 }),
    );
    this.#arena = plan.arena;
    this.#framesOffset = plan.arena.allocate(FRAMES * STRIDE_BYTES) + HEADROOM_BYTES;
    this.#frames = plan.arena.bytes.subarray(this.#framesOffset, this.#framesOffset + FRAMES * STRIDE_BYTES);
    this.#replyOffset = plan.arena.allocate(LENT_BYTES) + HEADROOM_BYTES;
    for (const port of [this.#client, this.#server]) {
      port.lend(plan.arena.allocate((LENT_FRAMES + 1) * LENT_BYTES) + HEADROOM_BYTES, LENT_FRAMES);
    }
    const setup = {
      ...pathSetup(this.#config, 0, plan, shared, INSTANCE),
      // Nobody is asked whether a cached value is still so.
      ...(shared.hot && { hot: { ...shared.hot, laneOffset: plan.hotOffset, refreshMs: 1 << 30 } }),
    };
    if (shared.hot !== undefined) fillItems(shared, workload === 'hotGet' || workload === 'hotSet');
    publishTables(this.#config, shared, NODE_MAC);
    const batch = new Int32Array(plan.arena.buffer, plan.batchOffset, BATCH_BYTES / 4);
    this.#lane = new Lane(setup, plan.arena, shared.arena, [this.#client, this.#server], batch);
    this.#memory = this.#lane.path.memory;
    this.#requestBytes = this.#writeRequests();
    this.#requests = this.#frames.slice();
    if (shared.hot !== undefined) this.#promoteAll(shared);
  }

  /** One pass over all requests; returns its seconds. */
  requestPass(): number {
    if (this.#workload === 'hotSet') return this.#writePass();
    this.#frames.set(this.#requests);
    this.#client.offer(this.#framesOffset, FRAMES, this.#requestBytes, this.#flags);
    return this.#timedPass(this.#workload === 'hotGet' ? COUNT.hot_hits : COUNT.requests, FRAMES);
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

  /** Whether requests reach nodes that answer them. */
  get hasReplies(): boolean {
    return this.#workload === 'uniformGet';
  }

  #timedPass(counter: number, frames: number): number {
    const before = this.#memory.counters[counter];
    this.#nowMs += PASS_MS;
    const start = performance.now();
    while (this.#lane.cycle(this.#nowMs) !== 0);
    const seconds = (performance.now() - start) / 1000;
    const done = this.#memory.counters[counter] - before;
    if (done !== frames) throw new Error(`pipeline: ${done} of ${frames} frames came through: ${this.#figures()}`);
    return seconds;
  }

  #figures(): string {
    const { counters } = this.#memory;
    return JSON.stringify(
      Object.fromEntries(LANE_COUNTERS.flatMap((name, i) => (counters[i] === 0 ? [] : [[name, counters[i]]]))),
    );
  }

  /** Writes to one hot key, each once the one before is acknowledged. What the node in memory does is not timed. */
  #writePass(): number {
    this.#frames.set(this.#requests);
    this.#nowMs += WRITE_PASS_MS;
    const before = this.#memory.counters[COUNT.hot_writes];
    let ms = 0;
    for (let frame = 0; frame < FRAMES; frame++) {
      const at = this.#framesOffset + frame * STRIDE_BYTES;
      this.#arena.view.setUint16(at + PAYLOAD_AT, this.#writes++ & 0xffff);
      this.#client.offer(at, 1, this.#requestBytes, this.#flags);
      ms += this.#timedCycle();
      this.#acknowledge();
      ms += this.#timedCycle();
    }
    const done = this.#memory.counters[COUNT.hot_writes] - before;
    if (done !== FRAMES) throw new Error(`pipeline: ${done} of ${FRAMES} writes were carried out: ${this.#figures()}`);
    return ms / 1000;
  }

  /** From now on nothing is timed: reading the clock allocates. */
  stopClock(): void {
    this.#isTimed = false;
  }

  #timedCycle(): number {
    if (!this.#isTimed) {
      this.#lane.cycle(this.#nowMs);
      return 0;
    }
    const start = performance.now();
    this.#lane.cycle(this.#nowMs);
    return performance.now() - start;
  }

  /** Items are PROMOTING; a lane takes up so many orders a cycle, and fetches their values. */
  #promoteAll(shared: SharedMemory): void {
    const { counters } = this.#memory;
    const items = shared.hot!.items;
    for (let item = 0; item < items; item++) {
      orderPromotion(shared.arena, shared.hot!, item, 0);
      const sent = counters[COUNT.hot_fetches];
      for (let turn = 0; turn < 4; turn++) this.#lane.cycle(this.#nowMs);
      if (counters[COUNT.hot_fetches] === sent) continue;
      this.#acknowledge();
      this.#lane.cycle(this.#nowMs);
    }
    if (counters[COUNT.hot_fills] === 0) throw new Error('pipeline: nothing was cached');
  }

  /** A node's answer to the request of the lane's own that was sent last, as the next frame on the server side. */
  #acknowledge(): void {
    const { bytes, view } = this.#arena;
    const sent = this.#server.lastOffset;
    const payload = sent + ethernet.HEADER_BYTES + ipv4.HEADER_BYTES_MIN + udp.HEADER_BYTES;
    const end = sent + this.#server.lastLength;
    const newline = bytes.indexOf(0x0a, payload + 8);
    if (newline < 0 || newline > end) throw new Error("pipeline: no request of the lane's own was sent");
    const isFetch = bytes[payload + 9] === 0x67;
    this.#cas += isFetch ? 0 : 1;
    const at = this.#replyOffset;
    bytes.copyWithin(at, sent, payload + 8);
    const to = at + (payload - sent) + 8;
    let behind = writeText(bytes, to, isFetch ? FETCHED : STORED);
    behind = writeText(bytes, writeDecimal(bytes, behind, this.#cas), NONCE);
    bytes.copyWithin(behind, newline - NONCE_BYTES - 1, newline - 1);
    behind = writeText(bytes, behind + NONCE_BYTES, isFetch ? VALUE_BEHIND : LINE_END);
    const bodyBytes = behind - to;
    const ip = at + ethernet.HEADER_BYTES;
    const datagram = ip + ipv4.HEADER_BYTES_MIN;
    const udpBytes = udp.HEADER_BYTES + 8 + bodyBytes;
    const toPort = udp.sourcePort(view, datagram);
    ethernet.setDestination(view, at, 0x024b, MAC_LOW_SERVER);
    ethernet.setSource(view, at, 0x024b, 0x77000002);
    ipv4.swapAddresses(view, ip);
    ipv4.rewriteTotalLength(view, ip, ipv4.HEADER_BYTES_MIN + udpBytes);
    udp.writeHeader(view, datagram, udp.destinationPort(view, datagram), toPort, udpBytes);
    udp.setChecksum(view, datagram, udp.computeChecksum(view, ip, datagram, udpBytes));
    this.#server.offer(at, 1, ethernet.HEADER_BYTES + ipv4.HEADER_BYTES_MIN + udpBytes, this.#flags);
  }

  #writeRequests(): number {
    const random = nextRandom(SEED);
    let bytes = 0;
    for (let frame = 0; frame < FRAMES; frame++) {
      const payload = Buffer.from(`\0\0\0\0\0\u0001\0\0${this.#requestText(random)}`, 'latin1');
      payload.writeUInt16BE(frame & 0xffff, 0);
      bytes = this.#writeFrame(this.#framesOffset + frame * STRIDE_BYTES, payload, frame);
    }
    return bytes;
  }

  #requestText(random: () => number): string {
    if (this.#workload === 'hotGet') return `get ${HOT_KEY}\r\n`;
    if (this.#workload !== 'uniformGet') return `set ${HOT_KEY} 0 0 ${VALUE.length}\r\n${VALUE}\r\n`;
    return `get key:${String(1 + ((random() >>> 0) % (KEYS - 1))).padStart(12, '0')}\r\n`;
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

/** Every item is in use: the first by the key that is asked for, or none that is. */
function fillItems({ arena, hot }: SharedMemory, isAsked: boolean): void {
  const layers = new Layers(arena.words, hot!.layersOffset >> 2, hot!, nextRandom(SEED));
  for (let item = 0; item < hot!.items; item++) {
    const key = isAsked && item === HOT_ITEM ? HOT_KEY : `hot:${String(item).padStart(12, '0')}`;
    const score = hot!.items - item;
    admitItem(arena, hot!, layers, item, Buffer.from(key), score, 0, { cached: item === HOT_ITEM, copies: 1 });
  }
  layers.epoch(new Int32Array(1), 0);
  // Nothing that is asked for rises in the bench.
  arena.words[(hot!.controlOffset >> 2) + HOT_THRESHOLDS] = 0x7fffffff;
}

/** Returns the offset behind it. */
function writeText(bytes: Uint8Array, at: number, text: Uint8Array): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text[i];
  return at + text.length;
}

function nextRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state;
  };
}

function main(name: string | undefined): void {
  const variant = VARIANTS.find(candidate => candidate.name === name);
  if (variant === undefined) throw new Error(`pipeline: no variant ${name}`);
  widenInlining();
  const pipeline = new Pipeline(variant);
  for (let pass = 0; pass < WARM_UP_PASSES; pass++) {
    if (pass % 2 === 1 && pipeline.hasReplies) pipeline.replyPass();
    else pipeline.requestPass();
  }
  const requests: number[] = [];
  const replies: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    requests.push(rate(() => pipeline.requestPass(), PASSES_PER_ROUND));
    if (pipeline.hasReplies) replies.push(rate(() => pipeline.replyPass(), PASSES_PER_ROUND / 4));
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
  pipeline.stopClock();
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
