/**
 * A lane bed with hot keys, and nodes that behave as memcached 1.6.18 (test/sim/memcached). The test decides which
 * datagrams between the lane and the nodes are delivered, and when.
 *
 *     const bed = new HotBed();
 *     bed.promote('k');
 *     bed.ask('get k\r\n')            // what the client hears, once all is quiet
 */

import { itemWord } from '../../../src/cache/items.ts';
import * as directory from '../../../src/coherence/directory.ts';
import { admitItem, order, orderPromotion } from '../../../src/control/hot/items.ts';
import { type HotSettings, ORDER_COPY, ORDER_DEMOTE } from '../../../src/dataplane/hot/setup.ts';
import { PIECE_BYTES, pieceCount, sentMessages } from '../../sim/memcached/framing.ts';
import { MemcachedServer } from '../../sim/memcached/server.ts';
import {
  type BedOptions,
  FIRST_PORT,
  type Host,
  judge,
  LaneBed,
  MC1,
  MC2,
  MC3,
  type Outcome,
  reply,
  request,
} from '../../support/lane-bed.ts';
import {
  type DecodedFragment,
  type DecodedUdp,
  decodeReplyDatagram,
  decodeRequestDatagram,
} from '../../support/strict-decoder.ts';

export interface NodeRequest {
  readonly node: number;
  readonly slot: number;
  readonly body: string;
}

export interface Heard {
  readonly client: string;
  readonly id: number;
  readonly body: string;
}

/** What may happen to a datagram for a node. */
export type Judge = (request: NodeRequest) => 'deliver' | 'lose' | 'hold';

const NODES = [MC1, MC2, MC3];
const UNIX_S = 1_700_000_000;
const TURNS_MAX = 100;

export class HotBed {
  readonly bed: LaneBed;
  readonly servers: readonly MemcachedServer[];
  /** All that nodes were sent, lost or not. */
  readonly asked: NodeRequest[] = [];
  /** Held back by the judge; the test delivers them. */
  readonly held: NodeRequest[] = [];
  readonly #nodes: readonly Host[];
  judge: Judge = () => 'deliver';
  readonly #fragments: Uint8Array[] = [];
  #items = 0;
  /** That clients' requests come to, and whose cycles turn. */
  #lane = 0;

  constructor(hot: Partial<HotSettings> = {}, options: BedOptions = {}) {
    const { nodes = NODES } = options;
    this.#nodes = nodes;
    this.bed = new LaneBed({ ...options, nodes, hot });
    this.servers = nodes.map(() => new MemcachedServer(this.bed.nowMs, 500, UNIX_S));
  }

  /** Keeper: the key is hot from now on, once the lanes in `seenBy` have turned a cycle. Returns its item. */
  promote(key: string, { cached = true, copies = 1, seenBy = [] as readonly number[] } = {}): number {
    const item = this.#items++;
    const area = this.bed.hot!;
    admitItem(
      this.bed.shared,
      area,
      this.bed.layers!,
      item,
      Buffer.from(key, 'latin1'),
      1000 + item,
      this.bed.nowMs | 0,
      { cached, copies },
    );
    for (const lane of seenBy) this.bed.turn(lane);
    orderPromotion(this.bed.shared, area, item, 0);
    this.turn();
    return item;
  }

  /** Keeper: the copies want to be brought up to date. */
  copy(item: number): void {
    order(this.bed.shared, this.bed.hot!, 0, ORDER_COPY, item);
    this.turn();
  }

  demote(item: number): void {
    order(this.bed.shared, this.bed.hot!, 0, ORDER_DEMOTE, item);
    this.turn();
  }

  /** Copies that may be read. */
  joined(item: number): number {
    const bits = this.bed.shared.words[this.word(item) + directory.REPLICAS_JOINED]!;
    return bits.toString(2).replaceAll('0', '').length;
  }

  /** Its home node, by its position. */
  home(item: number): number {
    return this.bed.shared.words[this.word(item) + directory.HOME]! - 1;
  }

  /** First word of the item. */
  word(item: number): number {
    return itemWord(this.bed.hot!.itemsOffset >> 2, item);
  }

  state(item: number): string {
    return directory.STATE_NAMES[directory.stateOf(this.bed.shared.words, this.word(item))]!;
  }

  /** As if another node had been its home until now. */
  moveHome(item: number): void {
    this.bed.shared.words[this.word(item) + directory.HOME_ADDRESS] = 1;
  }

  /** Another lane is asked from now on. */
  aim(lane: number): void {
    this.#lane = lane;
  }

  /** A client asks. Returns what clients hear until nothing moves any more. */
  ask(body: string, fields: Parameters<typeof request>[1] = {}): Heard[] {
    return this.#pump(this.bed.hear('client', request(body, fields), { lane: this.#lane }));
  }

  /** A client asks all this at once. */
  askTogether(bodies: readonly string[]): Heard[] {
    const frames = bodies.map((body, id) => request(body, { id }));
    const heard = this.#pump(this.bed.hear('client', frames, { lane: this.#lane }));
    return [...heard, ...this.turn()];
  }

  /** The answer to the one client that asks, or undefined. */
  say(body: string, fields: Parameters<typeof request>[1] = {}): string | undefined {
    const heard = this.ask(body, fields);
    return heard.length === 0 ? undefined : heard.map(({ body: said }) => said).join('');
  }

  /** A cycle of the lane. */
  turn(): Heard[] {
    return this.#pump(this.bed.turn(this.#lane));
  }

  /** Time passes, in steps that a lane would not sleep through. */
  wait(ms: number, stepMs = 5): Heard[] {
    const heard: Heard[] = [];
    for (let left = ms; left > 0; left -= stepMs)
      heard.push(...this.#pump(this.bed.wait(Math.min(left, stepMs), this.#lane)));
    return heard;
  }

  /** Until no read that went home before can still be under way. */
  outliveReads(): void {
    this.wait(this.bed.lane().path.hot!.readMs + 100, 100);
  }

  /** Delivers what is held back: to its node, and the answer to the lane. */
  release(): Heard[] {
    return this.held.splice(0).flatMap(held => this.#pump(this.#deliver(held)));
  }

  /** The node that a cold key's request goes to, by its position. */
  homeOf(key: string): number {
    const before = this.asked.length;
    this.say(`get ${key}\r\n`);
    return this.asked[before]!.node;
  }

  #pump(first: Outcome): Heard[] {
    const heard: Heard[] = [];
    let outcomes = [first];
    for (let turn = 0; outcomes.length > 0; turn++) {
      if (turn === TURNS_MAX) throw new Error('the bed does not come to rest');
      const next: Outcome[] = [];
      for (const outcome of outcomes) {
        for (const { side, frame, flags } of outcome.sent) {
          const decoded = judge(frame, flags, side);
          if (decoded.kind === 'fragment' && side === 'server') next.push(...this.#join(decoded));
          if (decoded.kind !== 'udp') continue;
          if (side === 'client') heard.push(heardOf(decoded));
          else next.push(...this.#toNode(decoded));
        }
      }
      outcomes = next;
    }
    return heard;
  }

  /** Fragments leave in order, one datagram behind another. */
  #join(fragment: DecodedFragment): Outcome[] {
    if (fragment.at === 0) this.#fragments.length = 0;
    this.#fragments.push(fragment.payload);
    if (fragment.more) return [];
    const whole = Buffer.concat(this.#fragments.splice(0));
    return this.#toNode({ dst: fragment.dst, sport: whole.readUInt16BE(0), payload: whole.subarray(8) });
  }

  #toNode(decoded: Pick<DecodedUdp, 'dst' | 'sport' | 'payload'>): Outcome[] {
    const { id, body } = decodeRequestDatagram(decoded.payload);
    const node = this.#nodes.findIndex(({ ip }) => ip === decoded.dst);
    const slot = ((decoded.sport - FIRST_PORT) << 16) | id;
    const asked = { node, slot, body: Buffer.from(body).toString('latin1') };
    this.asked.push(asked);
    const fate = this.judge(asked);
    if (fate === 'hold') this.held.push(asked);
    return fate === 'deliver' ? [this.#deliver(asked)] : [];
  }

  #deliver({ node, slot, body }: NodeRequest): Outcome {
    const bytes = Buffer.from(body, 'latin1');
    const messages = sentMessages(this.servers[node]!.answer(bytes, 0, bytes.length, this.bed.nowMs));
    const frames = messages.flatMap(message => datagramsOf(message, slot, this.#nodes[node]!));
    // A lane of the bed has one source port.
    return frames.length === 0 ? { sent: [], counted: {} } : this.bed.hear('server', frames, { lane: slot >> 16 });
  }
}

function heardOf(decoded: DecodedUdp): Heard {
  const { id, body } = decodeReplyDatagram(decoded.payload);
  return { client: decoded.dst, id, body: Buffer.from(body).toString('latin1') };
}

function datagramsOf(message: string, slot: number, node: Host): Uint8Array[] {
  const total = pieceCount(message);
  if (total === 0) return [reply('', { slot, node, sequence: 0, total: 0 })];
  return Array.from({ length: total }, (_, sequence) =>
    reply(message.slice(sequence * PIECE_BYTES, (sequence + 1) * PIECE_BYTES), { slot, node, sequence, total }),
  );
}
