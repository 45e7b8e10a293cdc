/**
 * The reply to `stats`: the balancer's own figures under memcached's names where they mean the same, and under names of
 * its own (keysteer_…) where they do not.
 *
 *     stats                general: uptime, version, requests, and every counter that is not zero
 *     stats nodes          each node: address, weight, requests and replies
 *     stats locate <key>   which node the key goes to
 *     stats settings       what can be told without a look at the configuration
 *     stats items, slabs, sizes, conns   nothing: no items are kept here
 *
 * Anything else is answered as memcached answers what it does not know.
 */
import { hashKey } from '../mem/murmur3.ts';
import { skipSpaces, tokenEnd } from '../memcached/line.ts';
import { readOpaque } from '../memcached/local-reply.ts';
import {
  KEY_BYTES_MAX,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_OPAQUE_OFFSET,
  OUT_PROTOCOL,
  PROTOCOL_BINARY,
} from '../memcached/located.ts';
import {
  REFUSED_ARGUMENTS,
  REFUSED_KEY,
  REFUSED_NO_NODE,
  REFUSED_STAT,
  REFUSED_STATS_SIZE,
} from '../memcached/refusals.ts';
import { StatWriter } from '../memcached/stat-writer.ts';
import { steerHash } from '../steer/hash.ts';
import { lookup, nodeAddress, nodeCount, nodePort, nodeWeight } from '../steer/lookup.ts';
import { COUNT, LANE_COUNTERS, NODE_COUNT, NODE_COUNTER_COUNT, REFUSED_FIRST } from './counters.ts';
import { nodeNameAt, nodeNameLength } from './node-names.ts';
import type { Path } from './path.ts';
import type { FiguresPlace } from './setup.ts';

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** Longest reply, bytes: some 800 nodes. */
const REPLY_BYTES_MAX = 65_536;
const MS_PER_SECOND = 1000;
const SPACE = 0x20;
const COLON = latin1(':');

const SUB_NODES = latin1('nodes');
const SUB_LOCATE = latin1('locate');
const SUB_SETTINGS = latin1('settings');
/** memcached has these, and says only END where it has nothing to tell. */
const SUB_EMPTY = ['items', 'slabs', 'sizes', 'conns'].map(latin1);

const COUNTER_NAMES = LANE_COUNTERS.map(name => latin1(`keysteer_${name}`));
const FIRST_DROP = LANE_COUNTERS.findIndex(name => name.startsWith('drop_'));
const IS_DROP = LANE_COUNTERS.map(name => name.startsWith('drop_'));

const NAME = {
  pid: latin1('pid'),
  uptime: latin1('uptime'),
  time: latin1('time'),
  version: latin1('version'),
  pointer_size: latin1('pointer_size'),
  threads: latin1('threads'),
  cmd_get: latin1('cmd_get'),
  cmd_set: latin1('cmd_set'),
  total_requests: latin1('total_requests'),
  bytes_read: latin1('bytes_read'),
  bytes_written: latin1('bytes_written'),
  curr_items: latin1('curr_items'),
  limit_maxbytes: latin1('limit_maxbytes'),
  nodes: latin1('keysteer_nodes'),
  slots: latin1('keysteer_slots'),
  dropped: latin1('keysteer_dropped'),
  refused: latin1('keysteer_refused'),
  node: latin1('node'),
  address: latin1('address'),
  udpport: latin1('udpport'),
  tcpport: latin1('tcpport'),
  num_threads: latin1('num_threads'),
};
const PART = { weight: latin1(' weight='), requests: latin1(' requests='), replies: latin1(' replies=') };

export class Stats {
  readonly writer = new StatWriter(REPLY_BYTES_MAX);
  readonly #path: Path;
  readonly #version: Uint8Array;
  readonly #counters: readonly Float64Array[];
  readonly #nodeCounters: readonly Float64Array[];

  constructor(path: Path, version: Uint8Array) {
    const { lanes, nodesMax } = path.setup;
    const rows = nodesMax * NODE_COUNTER_COUNT;
    const at = ({ arena }: FiguresPlace, offset: number, length: number) => new Float64Array(arena, offset, length);
    this.#path = path;
    this.#version = version;
    this.#counters = lanes.map(lane => at(lane, lane.countersOffset, LANE_COUNTERS.length));
    this.#nodeCounters = lanes.map(lane => at(lane, lane.nodeCountersOffset, rows));
  }

  /** Writes the reply to a request that `parseRequest` accepted. Returns 0, or why there is none. */
  write(located: Int32Array): number {
    const { bytes } = this.#path.memory;
    const isBinary = located[OUT_PROTOCOL] === PROTOCOL_BINARY;
    this.writer.begin(isBinary, readOpaque(bytes, located[OUT_OPAQUE_OFFSET]));
    const reason = this.#figures(located, isBinary);
    if (reason !== 0) return reason;
    this.writer.end();
    return this.writer.isFull ? REFUSED_STATS_SIZE : 0;
  }

  #figures(located: Int32Array, isBinary: boolean): number {
    const start = located[OUT_KEY_OFFSET];
    const length = located[OUT_KEY_LENGTH];
    if (length === 0) return this.#general();
    const word = isBinary ? this.#wordLength(start, length) : length;
    if (this.#is(SUB_NODES, start, word)) return this.#nodes();
    if (this.#is(SUB_LOCATE, start, word)) return this.#locate(start + word, isBinary ? length - word : -1);
    if (this.#is(SUB_SETTINGS, start, word)) return this.#settings();
    for (let i = 0; i < SUB_EMPTY.length; i++) if (this.#is(SUB_EMPTY[i], start, word)) return 0;
    return REFUSED_STAT;
  }

  /** Bytes of a binary argument up to its first space. */
  #wordLength(start: number, length: number): number {
    const { bytes } = this.#path.memory;
    let word = 0;
    while (word < length && bytes[start + word] !== SPACE) word++;
    return word;
  }

  #is(word: Uint8Array, start: number, length: number): boolean {
    const { bytes } = this.#path.memory;
    let at = 0;
    while (at < word.length && bytes[start + at] === word[at]) at++;
    return at === word.length && length === word.length;
  }

  #general(): number {
    const { setup, clockMs, steerWords, table } = this.#path;
    this.#number(NAME.pid, setup.pid);
    this.#number(NAME.uptime, Math.floor(clockMs / MS_PER_SECOND));
    this.#number(NAME.time, Math.floor((setup.timeOrigin + clockMs) / MS_PER_SECOND));
    this.#text(NAME.version, this.#version);
    this.#number(NAME.pointer_size, 64);
    this.#number(NAME.threads, setup.lanes.length);
    this.#number(NAME.cmd_get, this.#sum(COUNT.reads));
    this.#number(NAME.cmd_set, this.#sum(COUNT.writes));
    this.#number(NAME.total_requests, this.#totalRequests());
    this.#number(NAME.bytes_read, this.#sumOverNodes(NODE_COUNT.request_bytes));
    this.#number(NAME.bytes_written, this.#sumOverNodes(NODE_COUNT.reply_bytes));
    this.#number(NAME.curr_items, 0);
    this.#number(NAME.limit_maxbytes, 0);
    this.#number(NAME.nodes, nodeCount(steerWords, table));
    this.#number(NAME.slots, setup.slots * setup.lanes.length);
    return this.#counted();
  }

  /** Sums of drops and refusals, then each counter that has counted. */
  #counted(): number {
    this.#number(NAME.dropped, this.#sumOfDrops());
    this.#number(NAME.refused, this.#sumFrom(REFUSED_FIRST));
    for (let counter = 0; counter < COUNTER_NAMES.length; counter++) {
      const sum = this.#sum(counter);
      if (sum !== 0) this.#number(COUNTER_NAMES[counter], sum);
    }
    return 0;
  }

  #nodes(): number {
    const { steerWords, table } = this.#path;
    const count = nodeCount(steerWords, table);
    for (let node = 0; node < count; node++) {
      if (nodeAddress(steerWords, table, node) !== 0) this.#node(node);
    }
    return 0;
  }

  #node(node: number): void {
    const { writer } = this;
    const { steerWords, table } = this.#path;
    this.#openNamed(node);
    this.#place(node);
    writer.text(PART.weight);
    writer.number(nodeWeight(steerWords, table, node));
    writer.text(PART.requests);
    writer.number(this.#sumOfNode(node, NODE_COUNT.requests));
    writer.text(PART.replies);
    writer.number(this.#sumOfNode(node, NODE_COUNT.replies));
    writer.close();
  }

  /** @param length of what follows the word in a binary argument; −1: a line, which ends by itself */
  #locate(at: number, length: number): number {
    const { bytes } = this.#path.memory;
    const start = length < 0 ? skipSpaces(bytes, at) : at + 1;
    const keyBytes = length < 0 ? tokenEnd(bytes, start) - start : length - 1;
    if (keyBytes <= 0) return REFUSED_ARGUMENTS;
    if (keyBytes > KEY_BYTES_MAX) return REFUSED_KEY;
    const node = this.#home(start, keyBytes);
    if (node < 0) return REFUSED_NO_NODE;
    this.writer.open(NAME.node);
    this.#name(node);
    this.writer.close();
    this.writer.open(NAME.address);
    this.#place(node);
    this.writer.close();
    return 0;
  }

  #home(key: number, keyBytes: number): number {
    const { memory, steerWords, table } = this.#path;
    const { bytes, view } = memory;
    const keyHash = hashKey(bytes, view, key, keyBytes);
    return lookup(steerWords, table, steerHash(steerWords, table, keyHash, bytes, view, key, keyBytes));
  }

  #settings(): number {
    const { vipPort, lanes } = this.#path.setup;
    this.#number(NAME.udpport, vipPort);
    this.#number(NAME.tcpport, 0);
    this.#number(NAME.num_threads, lanes.length);
    return 0;
  }

  #openNamed(node: number): void {
    const { sharedBytes, setup } = this.#path;
    const base = setup.nodeNamesOffset;
    this.writer.openFrom(sharedBytes, nodeNameAt(base, node), nodeNameLength(sharedBytes, base, node));
  }

  #name(node: number): void {
    const { sharedBytes, setup } = this.#path;
    const base = setup.nodeNamesOffset;
    this.writer.textFrom(sharedBytes, nodeNameAt(base, node), nodeNameLength(sharedBytes, base, node));
  }

  #place(node: number): void {
    const { steerWords, table } = this.#path;
    this.writer.address(nodeAddress(steerWords, table, node));
    this.writer.text(COLON);
    this.writer.number(nodePort(steerWords, table, node));
  }

  #number(name: Uint8Array, number: number): void {
    this.writer.open(name);
    this.writer.number(number);
    this.writer.close();
  }

  #text(name: Uint8Array, text: Uint8Array): void {
    this.writer.open(name);
    this.writer.text(text);
    this.writer.close();
  }

  /** Steered, answered here, or turned away. */
  #totalRequests(): number {
    const steered = this.#sum(COUNT.reads) + this.#sum(COUNT.writes);
    return steered + this.#sum(COUNT.local_answers) + this.#sum(COUNT.broadcasts) + this.#sumFrom(REFUSED_FIRST);
  }

  #sum(counter: number): number {
    let sum = 0;
    for (let lane = 0; lane < this.#counters.length; lane++) sum += this.#counters[lane][counter];
    return sum;
  }

  #sumFrom(first: number): number {
    let sum = 0;
    for (let counter = first; counter < LANE_COUNTERS.length; counter++) sum += this.#sum(counter);
    return sum;
  }

  #sumOfDrops(): number {
    let sum = 0;
    for (let counter = FIRST_DROP; counter < REFUSED_FIRST; counter++) if (IS_DROP[counter]) sum += this.#sum(counter);
    return sum;
  }

  #sumOfNode(node: number, figure: number): number {
    let sum = 0;
    const at = node * NODE_COUNTER_COUNT + figure;
    for (let lane = 0; lane < this.#nodeCounters.length; lane++) sum += this.#nodeCounters[lane][at];
    return sum;
  }

  #sumOverNodes(figure: number): number {
    let sum = 0;
    for (let node = 0; node < this.#path.setup.nodesMax; node++) sum += this.#sumOfNode(node, figure);
    return sum;
  }
}
