/**
 * Lane 0 asks the nodes whether they are there: the NF's own address is not the kernel's, so the questions are frames
 * of its own. What control orders and what is heard lies in the health block (health-block.ts).
 *
 *     probe   UDP, own address:probe port → node, memcached's `version`    every PERIOD ms
 *     echo    ICMP echo request to the node's host                         with each probe while ECHO is set
 *     flush   the same datagram with `flush_all`                           once for each number in FLUSH
 *
 * `version`, as every memcached answers it on every thread without touching an item; `mn` would need 1.6. The request id
 * tells what the answer belongs to, and the source address and port must be those of the row:
 *
 *     bits 6–15  row of the node      bit 5  flush      bits 0–4  round, or number of the flush, modulo 32
 *
 * A probe is settled when its round or a later one is answered, or when its time is over and the answer is not among the
 * frames that wait: the server side's queue was found empty in this cycle. A lane that is never done with it, as its
 * load is too high, waits BACKLOG_MS more; and as much again after a pause, when the clock tells nothing about the nodes.
 */
import { FRAME_HEADER_BYTES, requestId, writeFrameHeader } from '../memcached/frame-header.ts';
import { OUT_STATUS, OUT_WORDS } from '../memcached/located.ts';
import { parseReply, REPLY_OTHER, STATUS_OK } from '../memcached/reply.ts';
import { nodeAddress, nodeCount, nodeEnabled, nodeNeighbour, nodePort } from '../steer/lookup.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT } from './counters.ts';
import {
  ANSWERED,
  ECHO,
  ECHOES,
  FLUSH,
  FLUSHED,
  type HealthBlock,
  PERIOD,
  REFUSALS,
  RTT_US,
  SENT,
  SETTLED,
  UNFLUSHED,
} from './health-block.ts';
import { PAYLOAD_AT, wrapDatagram, writeEchoFrame } from './own-frames.ts';
import type { Path } from './path.ts';

/** Rounds that can be told apart by a request id. */
const ROUNDS = 32;
const ROUND_MASK = ROUNDS - 1;
const FLUSH_BIT = 32;
const ROW_SHIFT = 6;
/** How soon to look again for a next hop that is being resolved, ms. */
const RESOLVE_MS = 10;
/** Longer than a full ring lasts under load, ms. */
const BACKLOG_MS = 30;
/** First probes of the nodes are spread over one period, in so many steps. */
const STEPS = 64;

const VERSION = Uint8Array.from(Buffer.from('version\r\n'));
const FLUSH_ALL = Uint8Array.from(Buffer.from('flush_all\r\n'));

export class Prober {
  readonly #path: Path;
  readonly #block: HealthBlock;
  readonly #words: Int32Array;
  readonly #port: number;
  readonly #timeoutMs: number;
  readonly #located = new Int32Array(OUT_WORDS);
  /** Per row and round, µs of the lane's clock. */
  readonly #sentUs: Int32Array;
  /** Per row, ms: when the next probe is due. −1: was not probed so far. */
  readonly #dueMs: Float64Array;
  /** Per row: the last flush that was sent. */
  readonly #flushes: Int32Array;
  /** Per row, whom it was asked of last: a reload may have given the row to another node, or to none, since. */
  readonly #addresses: Int32Array;
  readonly #ports: Int32Array;
  #orders = -1;
  #nextMs = 0;
  #lastMs = 0;
  #judgeFromMs = 0;

  /**
   * @param port UDP port that probes leave by; its replies must reach this lane
   * @param timeoutMs a probe counts as unanswered after this
   */
  constructor(path: Path, block: HealthBlock, port: number, timeoutMs: number) {
    this.#path = path;
    this.#block = block;
    this.#words = block.words;
    this.#port = port;
    this.#timeoutMs = timeoutMs;
    this.#sentUs = new Int32Array(block.nodesMax * ROUNDS);
    this.#dueMs = new Float64Array(block.nodesMax).fill(-1);
    this.#flushes = new Int32Array(block.nodesMax);
    this.#addresses = new Int32Array(block.nodesMax);
    this.#ports = new Int32Array(block.nodesMax);
    for (let node = 0; node < block.nodesMax; node++) this.#takeOver(node);
  }

  /** What an earlier thread of this lane left unsettled is forgotten, and held against nobody. */
  #takeOver(node: number): void {
    const words = this.#words;
    const row = this.#block.row(node);
    words[row + ANSWERED] += words[row + SENT] - words[row + SETTLED];
    words[row + SETTLED] = words[row + SENT];
    this.#flushes[node] = words[row + FLUSH];
  }

  /** Once a cycle, after what came in was handled. Returns the number of frames queued for the server side. */
  turn(nowMs: number): number {
    if (nowMs - this.#lastMs > BACKLOG_MS) this.#judgeFromMs = nowMs + BACKLOG_MS;
    this.#lastMs = nowMs;
    const { orders } = this.#block;
    if (nowMs < this.#nextMs && orders === this.#orders) return 0;
    this.#orders = orders;
    this.#nextMs = Number.POSITIVE_INFINITY;
    const { steerWords, table } = this.#path;
    const nodes = Math.min(nodeCount(steerWords, table), this.#block.nodesMax);
    let frames = 0;
    for (let node = 0; node < nodes; node++) {
      if (nodeEnabled(steerWords, table, node)) frames += this.#serve(node, nowMs);
    }
    return frames;
  }

  #serve(node: number, nowMs: number): number {
    this.#settle(node, nowMs);
    const frames = this.#flush(node) + this.#probeIfDue(node, nowMs);
    this.#wakeToSettle(node, nowMs);
    return frames;
  }

  #settle(node: number, nowMs: number): void {
    const words = this.#words;
    const row = this.#block.row(node);
    const isDrained = this.#path.serverDrained;
    const timeoutUs = (isDrained ? this.#timeoutMs : this.#timeoutMs + BACKLOG_MS) * 1000;
    if (!isDrained && nowMs < this.#judgeFromMs) return;
    while (words[row + SETTLED] !== words[row + SENT]) {
      const next = (words[row + SETTLED] + 1) | 0;
      if (((this.#path.nowUs - this.#sentUs[sentAt(node, next)]) | 0) < timeoutUs) return;
      words[row + SETTLED] = next;
    }
  }

  /** Sees to it that the lane looks again when the oldest open probe's time is over. */
  #wakeToSettle(node: number, nowMs: number): void {
    const words = this.#words;
    const row = this.#block.row(node);
    if (words[row + SETTLED] === words[row + SENT]) return;
    const waitedUs = (this.#path.nowUs - this.#sentUs[sentAt(node, words[row + SETTLED] + 1)]) | 0;
    this.#wakeAt(nowMs + this.#timeoutMs - waitedUs / 1000);
  }

  #wakeAt(ms: number): void {
    if (ms < this.#nextMs) this.#nextMs = ms;
  }

  #probeIfDue(node: number, nowMs: number): number {
    const words = this.#words;
    const row = this.#block.row(node);
    const periodMs = words[row + PERIOD];
    if (periodMs === 0) return 0;
    this.#advanceDue(node, periodMs, nowMs);
    let frames = 0;
    if (nowMs >= this.#dueMs[node]) {
      const waits = this.#isBeingResolved(node);
      this.#dueMs[node] = nowMs + (waits ? Math.min(RESOLVE_MS, periodMs) : periodMs);
      if (!waits) frames = this.#probe(node, words[row + ECHO] !== 0);
    }
    this.#wakeAt(this.#dueMs[node]);
    return frames;
  }

  /** A period that has become shorter counts from the last probe on. */
  #advanceDue(node: number, periodMs: number, nowMs: number): void {
    const dueMs = this.#dueMs[node];
    if (dueMs < 0) {
      this.#dueMs[node] = nowMs + firstWaitMs(node, periodMs);
      return;
    }
    const sent = this.#words[this.#block.row(node) + SENT];
    const agoMs = ((this.#path.nowUs - this.#sentUs[sentAt(node, sent)]) | 0) / 1000;
    if (agoMs >= 0 && sent !== 0) this.#dueMs[node] = Math.min(dueMs, nowMs - agoMs + periodMs);
  }

  /** Its next hop is being asked after, and nothing can be held against the node. */
  #isBeingResolved(node: number): boolean {
    const { neighbours, steerWords, table } = this.#path;
    const neighbour = nodeNeighbour(steerWords, table, node);
    return !neighbours.hasFailed(neighbour) && !this.#reachable(node);
  }

  /** A node whose next hop does not answer is probed all the same: the probe is lost, as one on a dead wire would be. */
  #probe(node: number, withEcho: boolean): number {
    const words = this.#words;
    const row = this.#block.row(node);
    if (((words[row + SENT] - words[row + SETTLED]) | 0) >= ROUNDS - 1) return 0;
    const round = (words[row + SENT] + 1) | 0;
    const id = (node << ROW_SHIFT) | (round & ROUND_MASK);
    const isReachable = this.#reachable(node);
    if (isReachable && !this.#ask(node, id, VERSION)) return 0;
    this.#sentUs[sentAt(node, round)] = this.#path.nowUs;
    words[row + SENT] = round;
    if (!isReachable) return 0;
    this.#path.memory.counters[COUNT.probes_sent] += 1;
    return withEcho ? 1 + this.#echo(node, id) : 1;
  }

  #flush(node: number): number {
    const number = this.#words[this.#block.row(node) + FLUSH];
    if (number === this.#flushes[node] || !this.#reachable(node)) return 0;
    if (!this.#ask(node, (node << ROW_SHIFT) | FLUSH_BIT | (number & ROUND_MASK), FLUSH_ALL)) return 0;
    this.#flushes[node] = number;
    this.#path.memory.counters[COUNT.flushes_sent] += 1;
    return 1;
  }

  #reachable(node: number): boolean {
    const { neighbours, steerWords, table } = this.#path;
    const neighbour = nodeNeighbour(steerWords, table, node);
    if (neighbours.isUsable(neighbour)) return true;
    neighbours.want(neighbour);
    return false;
  }

  /** Queues a request to the node; false when there is no frame to write it into. */
  #ask(node: number, id: number, text: Uint8Array): boolean {
    const { memory, neighbours, serverOut, serverPort, setup, steerWords, table } = this.#path;
    const offset = serverOut.claim();
    if (offset < 0) return false;
    const payload = offset + PAYLOAD_AT;
    writeFrameHeader(memory.bytes, payload, id, 0, 1);
    for (let at = 0; at < text.length; at++) memory.bytes[payload + FRAME_HEADER_BYTES + at] = text[at];
    const neighbour = nodeNeighbour(steerWords, table, node);
    const length = wrapDatagram(
      memory.view,
      offset,
      neighbours.macHigh(neighbour),
      neighbours.macLow(neighbour),
      serverPort.macHigh,
      serverPort.macLow,
      setup.ownAddress,
      this.#port,
      nodeAddress(steerWords, table, node),
      nodePort(steerWords, table, node),
      FRAME_HEADER_BYTES + text.length,
    );
    this.#addresses[node] = nodeAddress(steerWords, table, node);
    this.#ports[node] = nodePort(steerWords, table, node);
    serverOut.send(offset, length, 0, node + 1);
    return true;
  }

  #echo(node: number, sequence: number): number {
    const { memory, neighbours, serverOut, serverPort, setup, steerWords, table } = this.#path;
    const offset = serverOut.claim();
    if (offset < 0) return 0;
    const neighbour = nodeNeighbour(steerWords, table, node);
    const length = writeEchoFrame(
      memory.view,
      offset,
      neighbours.macHigh(neighbour),
      neighbours.macLow(neighbour),
      serverPort.macHigh,
      serverPort.macLow,
      setup.ownAddress,
      nodeAddress(steerWords, table, node),
      this.#port,
      sequence,
    );
    serverOut.send(offset, length, 0, node + 1);
    memory.counters[COUNT.pings_sent] += 1;
    return 1;
  }

  /** A checked datagram to our address: whether it is to the probe port. It ends here then, as answer or as drop. */
  hears(ipOffset: number, udpOffset: number, end: number): boolean {
    const { view, counters } = this.#path.memory;
    if (udp.destinationPort(view, udpOffset) !== this.#port) return false;
    counters[this.#hear(ipOffset, udpOffset, end) ? COUNT.probe_answers : COUNT.drop_probe_answer] += 1;
    return true;
  }

  #hear(ipOffset: number, udpOffset: number, end: number): boolean {
    const { bytes, view } = this.#path.memory;
    const header = udpOffset + udp.HEADER_BYTES;
    const id = requestId(bytes, header);
    const node = id >>> ROW_SHIFT;
    if (!this.#wasAsked(node, ipv4.source(view, ipOffset), udp.sourcePort(view, udpOffset))) return false;
    if (parseReply(bytes, header + FRAME_HEADER_BYTES, end, this.#located) === REPLY_OTHER) return false;
    if (!this.#isStill(node)) return true;
    if ((id & FLUSH_BIT) === 0) return this.#noteAnswer(node, id);
    return this.#noteFlush(node, id, this.#located[OUT_STATUS] === STATUS_OK ? FLUSHED : UNFLUSHED);
  }

  #wasAsked(node: number, address: number, port: number): boolean {
    return node < this.#block.nodesMax && this.#addresses[node] === address && this.#ports[node] === port;
  }

  /** Whether the row is still that of the node that was asked. */
  #isStill(node: number): boolean {
    return this.#isNode(node, this.#addresses[node], this.#ports[node]);
  }

  #isNode(node: number, address: number, port: number): boolean {
    const { steerWords, table } = this.#path;
    if (node >= nodeCount(steerWords, table)) return false;
    return nodeAddress(steerWords, table, node) === address && nodePort(steerWords, table, node) === port;
  }

  /** False when it tells nothing new: a repeated answer, one overtaken by the next, or one to nothing. */
  #noteAnswer(node: number, id: number): boolean {
    const words = this.#words;
    const row = this.#block.row(node);
    const round = lastLike(words[row + SENT], id);
    if (((round - words[row + ANSWERED]) | 0) <= 0) return false;
    words[row + RTT_US] = (this.#path.nowUs - this.#sentUs[sentAt(node, round)]) | 0;
    if (((round - words[row + SETTLED]) | 0) > 0) words[row + SETTLED] = round;
    Atomics.store(words, row + ANSWERED, round);
    return true;
  }

  /** @param word FLUSHED or UNFLUSHED */
  #noteFlush(node: number, id: number, word: number): boolean {
    const at = this.#block.row(node) + word;
    const number = lastLike(this.#flushes[node], id);
    if (((number - this.#words[at]) | 0) <= 0) return false;
    Atomics.store(this.#words, at, number);
    return true;
  }

  /** A whole ICMP message to our address in a checked IPv4 packet: whether it was of use here, and counted. */
  hearsIcmp(ipOffset: number, message: number, messageBytes: number): boolean {
    const { view, counters } = this.#path.memory;
    const isEcho = icmp.isEchoReply(view, message, messageBytes);
    if (!isEcho && !icmp.isPortUnreachable(view, message, messageBytes)) return false;
    if (!icmp.verifyChecksum(view, message, messageBytes)) return false;
    const from = ipv4.source(view, ipOffset);
    const node = isEcho ? this.#echoedBy(message, from) : this.#refusedBy(message + icmp.HEADER_BYTES, from);
    if (node < 0) return false;
    this.#words[this.#block.row(node) + (isEcho ? ECHOES : REFUSALS)] += 1;
    counters[isEcho ? COUNT.ping_answers : COUNT.icmp_unreachable] += 1;
    return true;
  }

  /** Row of the node on host `from` that an echo reply belongs to, or −1. */
  #echoedBy(message: number, from: number): number {
    const { view } = this.#path.memory;
    const node = icmp.sequence(view, message) >>> ROW_SHIFT;
    if (icmp.identifier(view, message) !== this.#port) return -1;
    return node < this.#block.nodesMax && this.#addresses[node] === from ? node : -1;
  }

  /** Row of the node on host `from` that the quoted datagram of ours was for, or −1. */
  #refusedBy(quoted: number, from: number): number {
    const { memory, setup, steerWords, table } = this.#path;
    const { view } = memory;
    if (ipv4.headerBytes(view, quoted) !== ipv4.HEADER_BYTES_MIN) return -1;
    if (ipv4.protocol(view, quoted) !== ipv4.PROTOCOL_UDP || ipv4.source(view, quoted) !== setup.ownAddress) return -1;
    if (ipv4.destination(view, quoted) !== from) return -1;
    const port = udp.destinationPort(view, quoted + ipv4.HEADER_BYTES_MIN);
    const nodes = Math.min(nodeCount(steerWords, table), this.#block.nodesMax);
    for (let node = 0; node < nodes; node++) if (this.#isNode(node, from, port)) return node;
    return -1;
  }
}

function sentAt(node: number, round: number): number {
  return node * ROUNDS + (round & ROUND_MASK);
}

/** The latest number up to `last` that agrees with `id` in its lowest five bits. */
function lastLike(last: number, id: number): number {
  return (last - ((last - id) & ROUND_MASK)) | 0;
}

function firstWaitMs(node: number, periodMs: number): number {
  return ((node & (STEPS - 1)) * periodMs) / STEPS;
}
