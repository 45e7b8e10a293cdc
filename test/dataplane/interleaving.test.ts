/**
 * Two clients that use the same source port and the same request ids, a node that answers what it was asked, and a
 * network that delays, reorders, repeats and loses: nobody ever hears what another asked for.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, type Host, judge, LaneBed, MC1, MC2, type Outcome, reply, request } from '../support/lane-bed.ts';
import { type DecodedUdp, decodeReplyDatagram, decodeRequestDatagram } from '../support/strict-decoder.ts';

const CLIENTS = [ALICE, BOB];
const NODES = [MC1, MC2];
const LIFETIME_MS = 100;

type Step =
  | { readonly do: 'ask'; readonly client: number; readonly id: number; readonly pieces: number }
  | { readonly do: 'serve'; readonly which: number; readonly keep: boolean }
  | { readonly do: 'return'; readonly which: number; readonly keep: boolean }
  | { readonly do: 'lose'; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number };

const which = fc.nat(1000);
const keep = fc.boolean();

const step = (waitMs: number, piecesMax: number): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('ask' as const),
        client: fc.nat(1),
        id: fc.nat(2),
        pieces: fc.integer({ min: 1, max: piecesMax }),
      }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('serve' as const), which, keep }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('return' as const), which, keep }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), which }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(waitMs) }) },
  );

interface Asked {
  readonly client: Host;
  readonly id: number;
  readonly pieces: number;
  /** Datagrams heard, by sequence. */
  readonly heard: Set<number>;
}

/** Both clients, the network and the nodes around one lane. */
class World {
  readonly bed: LaneBed;
  /** Every key is asked for once: it names its request. */
  readonly asked = new Map<string, Asked>();
  readonly #atNode: DecodedUdp[] = [];
  readonly #onTheWayBack: Uint8Array[] = [];

  constructor(slots: number) {
    this.bed = new LaneBed({ slots, replyLifetimeMs: LIFETIME_MS, nodes: NODES });
  }

  play(doing: Step): void {
    if (doing.do === 'ask') this.#ask(doing.client, doing.id, doing.pieces);
    if (doing.do === 'serve') this.#serve(pick(this.#atNode, doing.which, doing.keep));
    if (doing.do === 'return') this.#return(pick(this.#onTheWayBack, doing.which, doing.keep));
    if (doing.do === 'lose') pick(this.#onTheWayBack, doing.which, false);
    if (doing.do === 'wait') this.#notice(this.bed.wait(doing.ms));
  }

  /** The network delivers all it still holds. */
  settle(): void {
    while (this.#atNode.length > 0) this.#serve(pick(this.#atNode, 0, false));
    while (this.#onTheWayBack.length > 0) this.#return(pick(this.#onTheWayBack, 0, false));
  }

  #ask(client: number, id: number, pieces: number): void {
    const host = CLIENTS[client]!;
    const key = `${client}/${id}/${pieces}/${this.asked.size}`;
    this.asked.set(key, { client: host, id, pieces, heard: new Set() });
    this.#notice(this.bed.hear('client', request(`get ${key}\r\n`, { client: host, id })));
  }

  /** What a node makes of a request: one datagram, or as many as the key says. */
  #serve(packet: DecodedUdp | undefined): void {
    if (!packet) return;
    const { id, body } = decodeRequestDatagram(packet.payload);
    const key = /^get (\S+)\r\n$/.exec(Buffer.from(body).toString())![1]!;
    const total = this.asked.get(key)!.pieces;
    const node = NODES.find(({ ip }) => ip === packet.dst)!;
    for (let sequence = 0; sequence < total; sequence++) {
      const text = sequence === 0 ? `VALUE ${key} 0 ${key.length}\r\n` : '';
      this.#onTheWayBack.push(reply(`${text}${key}\r\nEND\r\n`, { node, id, dport: packet.sport, sequence, total }));
    }
  }

  #return(frame: Uint8Array | undefined): void {
    if (frame) this.#notice(this.bed.hear('server', frame));
  }

  #notice({ sent }: Outcome): void {
    for (const { side, frame } of sent) {
      const packet = judge(frame, 0, side);
      if (packet.kind !== 'udp') continue;
      if (side === 'server') this.#atNode.push(packet);
      else this.#hear(packet);
    }
  }

  /** A client hears something: it must be the answer to a request of its own, under that request's id. */
  #hear(packet: DecodedUdp): void {
    const { id, sequence, total, body } = decodeReplyDatagram(packet.payload);
    const text = Buffer.from(body).toString();
    if (text.startsWith('SERVER_ERROR')) return;
    const key = /([\d/]+)\r\nEND\r\n$/.exec(text)![1]!;
    const { client, id: askedId, pieces, heard } = this.asked.get(key)!;
    expect([packet.dstMac, packet.dst, packet.dport, id, total]).toEqual([
      client.mac,
      client.ip,
      client.port,
      askedId,
      pieces,
    ]);
    expect(heard.has(sequence)).toBe(false);
    heard.add(sequence);
  }
}

/** Takes one out, or leaves it there to come again. */
function pick<T>(from: T[], at: number, keepIt: boolean): T | undefined {
  const i = at % Math.max(1, from.length);
  return keepIt ? from[i] : from.splice(i, 1)[0];
}

const RUNS = { numRuns: 120 };

describe('property: two clients with the same ports and ids', () => {
  /** Replies of one datagram: the rest of a longer one names no key, so only the distance of reuse guards it. */
  it('never hear each other’s answers, even when slots are few and soon reused', () => {
    const slots = fc.constantFrom(1, 2, 4, 16);
    fc.assert(
      fc.property(slots, fc.array(step(LIFETIME_MS, 1), { maxLength: 150, size: 'max' }), (count, steps) => {
        const world = new World(count);
        for (const doing of steps) world.play(doing);
        world.settle();
        expect(world.bed.unaccounted()).toBe(0);
      }),
      RUNS,
    );
  });

  it('hear every answer that was not lost, each datagram of it, when there are slots enough', () => {
    const lossless = step(0, 3).filter(({ do: what }) => what !== 'lose');
    fc.assert(
      fc.property(fc.array(lossless, { maxLength: 150, size: 'max' }), steps => {
        const world = new World(256);
        for (const doing of steps) world.play(doing);
        world.settle();
        for (const { heard, pieces } of world.asked.values()) expect(heard.size).toBe(pieces);
      }),
      RUNS,
    );
  });
});
