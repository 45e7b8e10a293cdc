/**
 * A memcached of few words for tests, at the far end of a loopback, and the simulated time both ends live in. It shares
 * no code with src/load: requests are read with Buffer, replies built by test/support/frames.ts.
 */
import { GENERATOR_BYTES, Generator } from '../../src/load/generator.ts';
import { type LoadOptionsInput, parseLoadOptions } from '../../src/load/options.ts';
import { Arena } from '../../src/mem/arena.ts';
import { type LoopbackPort, loopbackByteLength, openLoopback } from '../../src/port/loopback.ts';
import { ROW_LENGTH, ROW_OFFSET, ROW_WORDS } from '../../src/port/port.ts';
import { arpReply, type UdpFields, udpFrame } from '../support/frames.ts';

export const GENERATOR_MAC = '02:00:00:00:00:01';
export const SERVER_MAC = '02:00:00:00:00:02';
export const SERVER = '10.0.0.2';
export const CLIENT = '10.0.0.1';

const RING_FRAMES = 1024;
const TICK_NS = 10_000;
/** Short, so that lost requests do not take long. */
export const TIMEOUT_MS = 20;

/** A reply about to be sent; `payload` begins with the 8-byte frame header. */
export interface Reply extends UdpFields {
  payload: Buffer;
}

/** What happens to the reply to a request: copies of it, each after `afterMs`, changed or not. No copies: lost. */
export type Fate = { afterMs?: number; change?: (reply: Reply) => void }[];

export interface Request {
  /** 0 for the first request ever received, and so on. */
  number: number;
  at_ns: number;
  src: string;
  dst: string;
  sport: number;
  id: number;
  text: string;
}

export interface WorldOptions {
  /** Addresses that answer ARP; default SERVER alone. */
  addresses?: string[];
  /** How many ARP requests go unanswered first. */
  deafTo?: number;
  /** Default: every reply arrives once, after 0.1 ms. */
  fate?: (request: Request) => Fate;
}

const AS_IT_SHOULD: Fate = [{}];
const DELAY_MS = 0.1;

export class World {
  readonly arena = Arena.create(2 * loopbackByteLength(RING_FRAMES) + GENERATOR_BYTES);
  readonly near: LoopbackPort;
  readonly far: LoopbackPort;
  readonly requests: Request[] = [];
  readonly values = new Map<string, Buffer>();
  arpRequests = 0;
  now_ns = 1e9;
  /** Replies handed to the generator's port. */
  delivered = 0;
  readonly #options: WorldOptions;
  readonly #inFlight: { at_ns: number; frame: Uint8Array }[] = [];
  readonly #batch = new Int32Array(256 * ROW_WORDS);

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    const { near, far } = openLoopback({
      near: { arena: this.arena },
      far: { arena: this.arena },
      ringFrames: RING_FRAMES,
    });
    this.near = near;
    this.far = far;
  }

  /** The server's turn: takes requests, and delivers the replies whose time has come. */
  turn(): void {
    this.now_ns += TICK_NS;
    const rows = this.far.receive(this.#batch, 256);
    for (let row = 0; row < rows; row++) {
      const offset = this.#batch[row * ROW_WORDS + ROW_OFFSET] as number;
      this.#receive(
        Buffer.from(this.arena.bytes.slice(offset, offset + (this.#batch[row * ROW_WORDS + ROW_LENGTH] ?? 0))),
      );
    }
    this.far.release(this.#batch, rows);
    const due = this.#inFlight.filter(({ at_ns }) => at_ns <= this.now_ns);
    this.#inFlight.splice(0, this.#inFlight.length, ...this.#inFlight.filter(({ at_ns }) => at_ns > this.now_ns));
    for (const { frame } of due) this.near.inject(frame);
    this.delivered += due.length;
  }

  #receive(frame: Buffer): void {
    const type = frame.readUInt16BE(12);
    if (type === 0x0806) this.#receiveArp(frame);
    else if (type === 0x0800) this.#receiveRequest(frame);
  }

  #receiveArp(frame: Buffer): void {
    if (frame.readUInt16BE(20) !== 1) return;
    const targetIp = ipText(frame, 38);
    const { addresses = [SERVER], deafTo = 0 } = this.#options;
    if (this.arpRequests++ < deafTo || !addresses.includes(targetIp)) return;
    this.near.inject(
      arpReply({ srcMac: SERVER_MAC, dstMac: GENERATOR_MAC, senderIp: targetIp, targetIp: ipText(frame, 28) }),
    );
  }

  #receiveRequest(frame: Buffer): void {
    const request: Request = {
      number: this.requests.length,
      at_ns: this.now_ns,
      src: ipText(frame, 26),
      dst: ipText(frame, 30),
      sport: frame.readUInt16BE(34),
      id: frame.readUInt16BE(42),
      text: frame.toString('latin1', 50),
    };
    this.requests.push(request);
    const header = Buffer.from([request.id >> 8, request.id & 0xff, 0, 0, 0, 1, 0, 0]);
    const payload = Buffer.concat([header, Buffer.from(this.#execute(request.text), 'latin1')]);
    const fate = this.#options.fate?.(request) ?? AS_IT_SHOULD;
    for (const { afterMs = DELAY_MS, change } of fate) {
      const reply: Reply = {
        srcMac: SERVER_MAC,
        dstMac: GENERATOR_MAC,
        src: request.dst,
        dst: request.src,
        sport: frame.readUInt16BE(36),
        dport: request.sport,
        payload: Buffer.from(payload),
      };
      change?.(reply);
      this.#inFlight.push({ at_ns: this.now_ns + afterMs * 1e6, frame: udpFrame(reply) });
    }
  }

  #execute(text: string): string {
    const get = /^get (\S+)\r\n$/.exec(text);
    if (get) {
      const value = this.values.get(get[1] as string)?.toString('latin1');
      return value === undefined ? 'END\r\n' : `VALUE ${get[1]} 0 ${value.length}\r\n${value}\r\nEND\r\n`;
    }
    const set = /^set (\S+) 0 0 (\d+)\r\n([\s\S]*)\r\n$/.exec(text);
    if (set === null || Number(set[2]) !== set[3]?.length) return 'ERROR\r\n';
    this.values.set(set[1] as string, Buffer.from(set[3] as string, 'latin1'));
    return 'STORED\r\n';
  }
}

export function loadOptions(options: Partial<LoadOptionsInput> = {}): LoadOptionsInput {
  return {
    interface: 'loop0',
    clients: [CLIENT],
    targets: [`${SERVER}:11211`],
    keyCount: 50,
    flowsPerClient: 16,
    slots: 4096,
    window: 8,
    timeoutMs: TIMEOUT_MS,
    ...options,
  };
}

/** A generator in a world, and turns for both. */
export function generatorIn(world: World, options: Partial<LoadOptionsInput> = {}) {
  const parsed = parseLoadOptions(loadOptions(options));
  const generator = new Generator(world.near, world.arena, parsed, () => world.now_ns);
  const turn = () => {
    generator.cycle(world.now_ns);
    world.turn();
  };
  /** Turns until `isDone`. @throws when it takes more than `turns` */
  const until = (isDone: () => boolean, turns = 1_000_000) => {
    for (let i = 0; i < turns; i++) {
      if (isDone()) return;
      turn();
    }
    throw new Error(`not done after ${turns} turns`);
  };
  return { generator, turn, until };
}

function ipText(frame: Buffer, offset: number): string {
  return [...frame.subarray(offset, offset + 4)].join('.');
}
