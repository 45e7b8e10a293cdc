/**
 * A lane bed with memcached on its nodes, as far as gets go: what the lane asks is answered from the model's items, a
 * datagram at a time, and the test delivers the datagrams as it likes.
 */
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
} from './lane-bed.ts';
import { answerBinary, answerText, cut, type Framed, type Item, packetsOf } from './memcached-model.ts';
import { type DecodedUdp, decodeReplyDatagram, decodeRequestDatagram } from './strict-decoder.ts';

/** What a node was asked. */
export interface Asked {
  readonly node: Host;
  readonly slot: number;
  readonly body: string;
}

const STEP_MS = 5;
/** A datagram that has reached a client. */
export interface Heard extends Framed {
  readonly client: string;
  readonly port: number;
}

/** Frames that one cycle of a lane takes. */
const FRAMES_AT_ONCE = 64;

export class MemcachedBed {
  readonly bed: LaneBed;
  readonly items = new Map<string, Item>();
  /** Every request of the nodes so far. */
  readonly asked: Asked[] = [];
  /** Datagrams that clients have heard so far. */
  readonly heard: Heard[] = [];
  /** Cycles that have sent to clients, with the number of their datagrams. */
  readonly bursts: number[] = [];
  readonly #nodes: readonly Host[];

  constructor(options: BedOptions = {}) {
    const { nodes = [MC1, MC2, MC3] } = options;
    this.#nodes = nodes;
    this.bed = new LaneBed({ ...options, nodes });
  }

  set(key: string, value: string, flags = 0, cas = 7): void {
    this.items.set(key, { flags, cas, value });
  }

  /** A client asks; returns what the nodes are asked now. */
  ask(body: string, fields: Parameters<typeof request>[1] = {}): readonly Asked[] {
    const before = this.asked.length;
    this.notice(this.bed.hear('client', request(body, fields)));
    return this.asked.slice(before);
  }

  /** What a node says to it, datagram by datagram, as frames. */
  answer({ node, slot, body }: Asked, text = this.answerOf(body)): Uint8Array[] {
    const pieces = cut(text);
    return pieces.map((piece, sequence) => reply(piece, { slot, node, sequence, total: pieces.length }));
  }

  /** What a memcached with these items says to a request for one key. */
  answerOf(body: string): string {
    return body.startsWith('\x80') ? answerBinary(this.items, packetsOf(body)) : answerText(this.items, body);
  }

  /** The network delivers frames of the nodes, in this order. */
  deliver(frames: readonly Uint8Array[]): void {
    for (let at = 0; at < frames.length; at += FRAMES_AT_ONCE) {
      this.notice(this.bed.hear('server', frames.slice(at, at + FRAMES_AT_ONCE)));
    }
  }

  /** Asks, lets all nodes answer, and returns the body of the one reply. */
  exchange(body: string, fields: Parameters<typeof request>[1] = {}): readonly Framed[] {
    const before = this.heard.length;
    for (const asked of this.ask(body, fields)) this.deliver(this.answer(asked));
    this.settle();
    return this.heard.slice(before);
  }

  /** Turns cycles until no reply is being sent any more. */
  settle(): void {
    while (this.#gathers.table.draining.count > 0) this.notice(this.bed.turn());
  }

  /** Time passes, with a cycle every few milliseconds. */
  wait(ms: number): void {
    for (let left = ms; left > 0; left -= STEP_MS) this.notice(this.bed.wait(Math.min(left, STEP_MS)));
  }

  notice({ sent }: Outcome): void {
    const before = this.heard.length;
    for (const { side, frame, flags } of sent) {
      const packet = judge(frame, flags, side);
      if (packet.kind !== 'udp') continue;
      if (side === 'server') this.#noticeAsked(packet);
      else this.#noticeHeard(packet);
    }
    if (this.heard.length > before) this.bursts.push(this.heard.length - before);
  }

  /** What gathers hold: all of it is free when none is in progress. */
  get held() {
    const { table, store } = this.#gathers;
    return { gathers: table.active, chunks: store.chunks - store.free };
  }

  get #gathers() {
    return this.bed.lane().path.gathers;
  }

  #noticeAsked(packet: DecodedUdp): void {
    const { id, body } = decodeRequestDatagram(packet.payload);
    const node = this.#nodes.find(({ ip }) => ip === packet.dst)!;
    const slot = ((packet.sport - FIRST_PORT) << 16) | id;
    this.asked.push({ node, slot, body: Buffer.from(body).toString('latin1') });
  }

  #noticeHeard({ dst, dport, payload }: DecodedUdp): void {
    const { body, ...framing } = decodeReplyDatagram(payload);
    this.heard.push({ ...framing, body: Buffer.from(body).toString('latin1'), client: dst, port: dport });
  }
}
