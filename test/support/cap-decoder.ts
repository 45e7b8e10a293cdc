/**
 * A second opinion on frames: captured by libpcap and decoded by the package `cap`, in a process of its own
 * (cap-decoder-process.ts), in the namespace where the interface lies.
 *
 *     const capture = await startCapture({ interfaceName: 'eth0', namespace, filter: 'udp' });
 *     …
 *     const [frame] = await capture.until(1);     // { ethernet, ipv4, udp, payload, … }
 *     await capture.stop();
 *
 * A frame seen where it is sent may still have its partial checksum: capture where it arrives behind a bridge, or
 * believe `frame` only.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { enter } from '../../src/experiment/namespaces.ts';
import { ProcessGroup } from '../../src/experiment/process-group.ts';
import { requirePcap, skip } from './requirements.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/test/support/cap-decoder-process.js', import.meta.url));
const READY_MS_MAX = 10_000;

/** The names of fields are cap's own. */
export interface CapturedFrame {
  readonly frame: Uint8Array;
  readonly truncated: boolean;
  readonly ethernet: {
    readonly dstmac: string;
    readonly srcmac: string;
    readonly type?: number;
    readonly vlan?: { readonly VID: number };
  };
  readonly arp?: {
    readonly opcode: number;
    readonly sendermac: string;
    readonly senderip: string;
    readonly targetmac: string;
    readonly targetip: string;
  };
  readonly ipv4?: {
    readonly srcaddr: string;
    readonly dstaddr: string;
    readonly protocol: number;
    readonly ttl: number;
    readonly totallen: number;
    readonly id: number;
    readonly hdrchecksum: number;
  };
  /** `length` without the 8 bytes of the header. */
  readonly udp?: {
    readonly srcport: number;
    readonly dstport: number;
    readonly length: number;
    readonly checksum: number;
  };
  readonly payload?: Uint8Array;
}

export interface CaptureOptions {
  readonly interfaceName: string;
  /** Where the interface lies; default: this process's own. */
  readonly namespace?: string;
  /** As for tcpdump. */
  readonly filter?: string;
}

/** The reason why there can be no capture; undefined when there can. */
export function requireCapDecoder(): string | undefined {
  return requirePcap() ?? (existsSync(PROGRAM) ? undefined : skip('dist/ is not built (npm run build)'));
}

export class Capture {
  /** All that was captured so far, in order. */
  readonly frames: CapturedFrame[] = [];
  readonly #group: ProcessGroup;
  #rest = '';
  #isReady = false;
  #wake: () => void = () => {};

  constructor(group: ProcessGroup) {
    this.#group = group;
    group.child.stdout!.on('data', chunk => this.#read(String(chunk)));
    void group.ended.then(() => this.#wake());
  }

  /** Resolves to all frames once there are `count`. @throws Error when that takes longer than `timeoutMs` */
  async until(count: number, timeoutMs = 5000): Promise<readonly CapturedFrame[]> {
    await this.#waitFor(() => this.frames.length >= count, timeoutMs);
    if (this.frames.length >= count) return this.frames;
    throw new Error(`captured ${this.frames.length} of ${count} frames\n${this.#group.output.slice(-2000)}`);
  }

  async ready(): Promise<void> {
    await this.#waitFor(() => this.#isReady, READY_MS_MAX);
    if (!this.#isReady) throw new Error(`no capture: ${this.#group.output}`);
  }

  /** Ends the capture and returns what it saw. */
  async stop(): Promise<readonly CapturedFrame[]> {
    this.#group.child.stdin!.end();
    await this.#group.ended;
    return this.frames;
  }

  async #waitFor(holds: () => boolean, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!holds() && this.#group.running && performance.now() < endMs) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, endMs - performance.now());
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#note(JSON.parse(line));
    this.#wake();
  }

  #note(line: Record<string, unknown>): void {
    if (line.ready) this.#isReady = true;
    else this.frames.push(fromLine(line as unknown as HexFrame));
  }
}

type HexFrame = Omit<CapturedFrame, 'frame' | 'payload'> & { readonly frame: string; readonly payload?: string };

function fromLine({ frame, payload, ...decoded }: HexFrame): CapturedFrame {
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
  return { ...decoded, frame: bytes(frame), ...(payload === undefined ? {} : { payload: bytes(payload) }) };
}

/** Starts the process and waits until it captures. */
export async function startCapture({ interfaceName, namespace, filter = '' }: CaptureOptions): Promise<Capture> {
  const inside = namespace === undefined ? [] : ['nsenter', ...enter(namespace)];
  const argv = [...inside, process.execPath, PROGRAM, interfaceName, filter];
  const capture = new Capture(new ProcessGroup(argv, { stdin: 'pipe' }));
  await capture.ready();
  return capture;
}
