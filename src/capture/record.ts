/** Frames of an interface into a capture file, with a comment on each that is memcached's. */

import { type CaptureWriter, createCapture } from '../pcap/writer.ts';
import { CapReceiver } from '../port/cap.ts';
import { commentOn } from './comment.ts';
import { type Message, readMessage } from './message.ts';
import type { Places } from './places.ts';

export interface RecordOptions {
  readonly interfaceName: string;
  /** `-`: standard output. */
  readonly path: string;
  /** As for tcpdump; empty: everything. */
  readonly filter: string;
  readonly places: Places;
  /** Frames after which to end. */
  readonly count?: number;
  /** Time after which to end. */
  readonly seconds?: number;
}

export interface RecordSummary {
  readonly seconds: number;
  readonly frames: number;
  /** On the wire. */
  readonly bytes: number;
  readonly requests: number;
  readonly replies: number;
  /** Requests by verb. */
  readonly verbs: Readonly<Record<string, number>>;
  /** Keys asked for by the node they go to. */
  readonly nodes: Readonly<Record<string, number>>;
}

/** How long a frame may wait in our buffer until it is in the file, ms: who reads along sees it then. */
const FLUSH_MS = 200;

class Tally {
  frames = 0;
  bytes = 0;
  requests = 0;
  replies = 0;
  readonly verbs: Record<string, number> = {};
  readonly nodes: Record<string, number> = {};

  add(wireBytes: number, message: Message | undefined): void {
    this.frames++;
    this.bytes += wireBytes;
    if (message?.direction === 'reply') this.replies++;
    if (message?.direction !== 'request') return;
    this.requests++;
    this.verbs[message.verb] = (this.verbs[message.verb] ?? 0) + 1;
    for (const { home } of message.keys) if (home) this.nodes[home.name] = (this.nodes[home.name] ?? 0) + 1;
  }
}

/** A capture that goes on. */
export class Recording {
  /** Resolves when it has come to its end by itself: count, time, the file's reader gone, or libpcap's end. */
  readonly ended: Promise<void>;
  readonly #options: RecordOptions;
  readonly #tally = new Tally();
  readonly #writer: CaptureWriter;
  readonly #startedMs = performance.now();
  #isOver = false;
  readonly #receiver: CapReceiver;
  readonly #timers: NodeJS.Timeout[] = [];
  #end: () => void = () => {};
  #failure: Error | undefined;

  /** @throws CapError, or the file system's error */
  static async start(options: RecordOptions): Promise<Recording> {
    const { interfaceName: name, filter, path } = options;
    const receiver = await CapReceiver.open(name, filter);
    try {
      const comment = 'times as frames came out of libpcap';
      return new Recording(options, receiver, createCapture(path, { interfaces: [{ name, comment }] }));
    } catch (error) {
      await receiver.stop();
      throw error;
    }
  }

  private constructor(options: RecordOptions, receiver: CapReceiver, writer: CaptureWriter) {
    this.#options = options;
    this.#receiver = receiver;
    this.#writer = writer;
    this.ended = new Promise(resolve => {
      this.#end = resolve;
    });
    receiver.listen((bytes, wireBytes, timeNs) => this.#take(bytes, wireBytes, timeNs));
    void receiver.ended.then(this.#end);
    this.#timers.push(setInterval(() => this.#attempt(() => writer.flush()), FLUSH_MS));
    if (options.seconds !== undefined) this.#timers.push(setTimeout(this.#end, options.seconds * 1000));
  }

  /** Ends it and closes the file. @throws the file system's error, if that ended it */
  async stop(): Promise<RecordSummary> {
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#receiver.stop();
    this.#attempt(() => this.#writer.close());
    if (this.#failure !== undefined) throw this.#failure;
    const { frames, bytes, requests, replies, verbs, nodes } = this.#tally;
    return { seconds: (performance.now() - this.#startedMs) / 1000, frames, bytes, requests, replies, verbs, nodes };
  }

  #take(bytes: Uint8Array, wireBytes: number, timeNs: bigint): void {
    if (this.#isOver) return;
    const message = readMessage(bytes, this.#options.places);
    const comment = message === undefined ? '' : commentOn(message);
    this.#attempt(() => this.#writer.write({ bytes, wireBytes, timeNs, comment }));
    this.#tally.add(wireBytes, message);
    if (this.#tally.frames === this.#options.count) this.#finish();
  }

  /** The disk may be full. A reader of our output that has gone away is an end like any other. */
  #attempt(action: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      action();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') this.#failure = error as Error;
      this.#finish();
    }
  }

  #finish(): void {
    this.#isOver = true;
    this.#end();
  }
}
