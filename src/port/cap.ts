/**
 * Frames through libpcap (the package `cap`), each direction in a process of its own. Slow beside the other transports,
 * 60,000 frames a second at best, and it needs nothing of ours that is native.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type CapNotice, type CapRequest, RECORD_HEADER_BYTES } from './cap-protocol.ts';
import { packageRoot } from './shim.ts';

/** How long a process that was asked to end may go on, ms: under load `cap` does not return to its event loop. */
const STOP_MS_MAX = 500;
/** Frames that wait for a slow sender, bytes; what comes then is refused. */
const UNSENT_BYTES_MAX = 1 << 20;

/** libpcap cannot be had, or refuses: what, why, and what to do. */
export class CapError extends Error {
  override readonly name = 'CapError';
}

type Failure = Extract<CapNotice, { type: 'failed' }>;

function errorOf({ interfaceName, filter }: CapRequest, { step, message }: Failure): CapError {
  if (step === 'load') {
    return new CapError(
      `the optional package cap (libpcap) cannot be loaded: install libpcap-dev, then npm install cap; capture and the transport pcap need it (${message.split('\n')[0]})`,
    );
  }
  if (step === 'link type') return new CapError(`interface ${interfaceName} speaks ${message}; it must be Ethernet`);
  if (/permi(ssion|tted)/i.test(message)) {
    return new CapError(`interface ${interfaceName}: ${message}; needs CAP_NET_RAW: run as root`);
  }
  if (/no such device/i.test(message)) {
    return new CapError(
      `interface ${interfaceName}: no such interface in this network namespace; \`ip link\` lists them`,
    );
  }
  const about =
    filter === '' ? `interface ${interfaceName}` : `interface ${interfaceName}, filter ${JSON.stringify(filter)}`;
  return new CapError(`${about}: ${message}`);
}

/** A process of cap-process.ts. */
class CapProcess {
  readonly child: ChildProcess;
  /** Resolves when the process is gone and all that it wrote was read. */
  readonly ended: Promise<void>;
  readonly #request: CapRequest;

  constructor(request: CapRequest) {
    this.#request = request;
    this.child = spawn(
      process.execPath,
      [join(packageRoot(), 'dist/src/port/cap-process.js'), JSON.stringify(request)],
      { stdio: ['pipe', 'pipe', 'ignore', 'ipc'], detached: true }, // a Ctrl-C is ours to pass on
    );
    this.child.stdin!.on('error', () => {});
    this.ended = new Promise(resolve => {
      this.child.once('close', () => resolve());
      this.child.once('error', () => resolve());
    });
  }

  /** @throws CapError */
  async open(): Promise<void> {
    const gone: Failure = { type: 'failed', step: 'open', message: 'the libpcap process ended' };
    const notice = await new Promise<CapNotice>(resolve => {
      this.child.once('message', message => resolve(message as CapNotice));
      void this.ended.then(() => resolve(gone));
    });
    if (notice.type === 'open') return;
    this.child.stdout!.resume();
    await this.ended;
    throw errorOf(this.#request, notice);
  }

  async stop(): Promise<void> {
    if (this.child.connected) this.child.send('stop', () => {});
    this.child.stdin!.end();
    this.child.stdout!.resume(); // it ends once it was read to its end
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS_MAX);
    await this.ended;
    clearTimeout(timer);
  }
}

/** @param bytes valid during the call only. @param timeNs since 1970, when the frame came out of libpcap */
export type FrameListener = (bytes: Uint8Array, wireBytes: number, timeNs: bigint) => void;

/** Frames that pass an interface. */
export class CapReceiver {
  /** Resolves when no more frames will come. */
  readonly ended: Promise<void>;
  readonly #process: CapProcess;

  private constructor(process: CapProcess) {
    this.#process = process;
    this.ended = process.ended;
  }

  /** @param filter as for tcpdump; empty: everything. @throws CapError */
  static async open(interfaceName: string, filter: string): Promise<CapReceiver> {
    const process = new CapProcess({ role: 'receive', interfaceName, filter });
    await process.open();
    return new CapReceiver(process);
  }

  /** Hands over the frames captured since `open`, and all that follow. */
  listen(listener: FrameListener): void {
    readRecords(this.#process.child.stdout!, listener);
  }

  /** Ends the capture; resolves once every frame captured until now was handed over. */
  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

/** Puts frames on an interface. */
export class CapSender {
  readonly #process: CapProcess;
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES);

  private constructor(process: CapProcess) {
    this.#process = process;
  }

  /** @throws CapError */
  static async open(interfaceName: string): Promise<CapSender> {
    const process = new CapProcess({ role: 'send', interfaceName, filter: '' });
    process.child.stdout!.resume();
    await process.open();
    return new CapSender(process);
  }

  /** Whether the process has ended: nothing will be sent any more. */
  get isGone(): boolean {
    return !this.#process.child.stdin!.writable;
  }

  /** Returns false when too much is waiting already, or the process is gone. */
  send(bytes: Uint8Array): boolean {
    const pipe = this.#process.child.stdin!;
    if (this.isGone || pipe.writableLength > UNSENT_BYTES_MAX) return false;
    this.#header.writeUInt32LE(bytes.length, 0);
    pipe.write(Buffer.concat([this.#header, bytes]));
    return true;
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

/** Cuts the stream into records. */
function readRecords(stream: Readable, listener: FrameListener): void {
  let rest = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= RECORD_HEADER_BYTES) {
      const end = at + RECORD_HEADER_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      listener(
        bytes.subarray(at + RECORD_HEADER_BYTES, end),
        bytes.readUInt32LE(at + 4),
        bytes.readBigUInt64LE(at + 8),
      );
      at = end;
    }
    rest = Buffer.from(bytes.subarray(at));
  });
}
