/**
 * Clients on the kernel's own UDP sockets that ask by lot (test/sim/workload.ts) and record what they were told, an
 * operation a line. Each asks, waits, pauses, and asks the next; nothing is repeated, and what has no answer in time
 * stays open. Times are of the machine's monotonic clock, so that the records of several such programs can be laid together.
 *
 *     node history-clients.js
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { decode, decodeGets, encode, encodeGets } from '../../sim/dialects.ts';
import type { Operation, Output } from '../../sim/history.ts';
import { Random } from '../../sim/random.ts';
import { Workload, type WorkloadOptions } from '../../sim/workload.ts';
import { answerLines } from './answer-lines.ts';

/** What a run of the clients is like. */
export interface HistoryOrder {
  readonly to: { readonly address: string; readonly port: number };
  readonly workload: WorkloadOptions;
  /** Of the keys and what they hold: the same in all programs of a run. */
  readonly seed: number;
  /** Number of this program: of its own are the operations and the values. */
  readonly part: number;
  readonly clients: number;
  readonly seconds: number;
  /** From an answer to the next request, ms on average. */
  readonly pauseMs: number;
  /** After this an operation is left open, ms. */
  readonly timeoutMs: number;
  /** Where the record goes: JSON lines. */
  readonly file: string;
}

export interface HistoryTold {
  readonly operations: number;
  readonly answered: number;
  /** Answers that came too late, or twice. */
  readonly strays: number;
}

/** An operation, and whether it was one of several keys that were asked for at once. */
export type Recorded = Operation & { readonly isOfSeveral: boolean };

const HEADER_BYTES = 8;
const CLIENTS_MAX = 1000;
const VALUES_MAX = 1_000_000;

class Client {
  readonly #run: Run;
  readonly #number: number;
  readonly #socket: Socket;
  #id: number;
  #hear: ((id: number, sequence: number, total: number, text: string) => void) | undefined;

  private constructor(run: Run, number: number, socket: Socket) {
    this.#run = run;
    this.#number = number;
    this.#socket = socket;
    this.#id = run.random.below(0x10000);
    socket.on('message', message => {
      const text = message.toString('latin1', HEADER_BYTES);
      if (this.#hear === undefined) run.strays++;
      else this.#hear(message.readUInt16BE(0), message.readUInt16BE(2), message.readUInt16BE(4), text);
    });
  }

  static async open(run: Run, number: number): Promise<Client> {
    const socket = createSocket({ type: 'udp4', lookup: (address, _options, callback) => callback(null, address, 4) });
    const listening = once(socket, 'listening');
    socket.bind(0);
    await listening;
    return new Client(run, number, socket);
  }

  async work(): Promise<void> {
    const { random, order } = this.#run;
    while (!this.#run.isOver) {
      await sleep(random.exponential(order.pauseMs));
      await this.#next();
    }
    this.#socket.close();
  }

  async #next(): Promise<void> {
    const { workload, random } = this.#run;
    const choice = workload.next();
    if ('op' in choice) {
      const { op, key, input } = choice;
      const operation = this.#run.begin(this.#number, key, op, input, false);
      const body = await this.#ask(encode(choice), input.noreply !== true);
      if (body !== undefined) this.#run.end(operation, decode(choice, body));
      return;
    }
    const wantsCas = random.chance(0.3);
    const input = { protocol: 'classic', wantsCas } as const;
    const operations = choice.map(key => this.#run.begin(this.#number, key, 'get', input, true));
    const body = await this.#ask(encodeGets(choice, wantsCas), true);
    if (body === undefined) return;
    for (const [i, output] of decodeGets(choice, body).entries()) this.#run.end(operations[i]!, output);
  }

  /** The body of the whole answer; undefined: none in time, or none is wanted. */
  #ask(body: string, isAnswered: boolean): Promise<string | undefined> {
    const { to, timeoutMs } = this.#run.order;
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    const head = Buffer.from([id >> 8, id & 255, 0, 0, 0, 1, 0, 0]);
    this.#socket.send(Buffer.concat([head, Buffer.from(body, 'latin1')]), to.port, to.address);
    if (!isAnswered) return Promise.resolve(undefined);
    return new Promise(resolve => {
      const pieces = new Map<number, string>();
      const end = (answer: string | undefined) => {
        clearTimeout(timer);
        this.#hear = undefined;
        resolve(answer);
      };
      const timer = setTimeout(end, timeoutMs, undefined);
      this.#hear = (heard, sequence, total, text) => {
        if (heard !== id) this.#run.strays++;
        else if (pieces.set(sequence, text).size === total) end(joined(pieces));
      };
    });
  }
}

class Run {
  readonly order: HistoryOrder;
  readonly random: Random;
  readonly workload: Workload;
  readonly operations: Recorded[] = [];
  strays = 0;
  readonly #endMs: number;

  constructor(order: HistoryOrder) {
    const { seed, part } = order;
    this.order = order;
    this.random = Random.stream(seed, `clients ${part}`);
    const own = { random: Random.stream(seed, `operations ${part}`), firstValue: part * VALUES_MAX };
    this.workload = new Workload(order.workload, Random.stream(seed, 'keys'), own);
    this.#endMs = nowMs() + order.seconds * 1000;
  }

  get isOver(): boolean {
    return nowMs() >= this.#endMs;
  }

  begin(client: number, key: string, op: Operation['op'], input: Operation['input'], isOfSeveral: boolean): Recorded {
    const id = this.operations.length;
    const who = this.order.part * CLIENTS_MAX + client;
    const started = { id, client: who, key, op, input, invokedAt: nowMs(), returnedAt: undefined, output: undefined };
    this.operations.push({ ...started, isOfSeveral });
    return this.operations[id]!;
  }

  end(operation: Recorded, output: Output): void {
    operation.returnedAt = nowMs();
    operation.output = output;
    if ('cas' in output && output.cas !== undefined) this.workload.noteToken(operation.key, output.cas);
  }
}

async function record(order: HistoryOrder): Promise<HistoryTold> {
  const run = new Run(order);
  const clients = await Promise.all(Array.from({ length: order.clients }, (_, n) => Client.open(run, n)));
  await Promise.all(clients.map(client => client.work()));
  writeFileSync(order.file, run.operations.map(operation => `${JSON.stringify(operation)}\n`).join(''));
  const answered = run.operations.filter(({ returnedAt }) => returnedAt !== undefined).length;
  return { operations: run.operations.length, answered, strays: run.strays };
}

function joined(pieces: ReadonlyMap<number, string>): string {
  return [...pieces]
    .sort(([a], [b]) => a - b)
    .map(([, text]) => text)
    .join('');
}

/** Of the machine, the same in every process. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

await answerLines(record);
