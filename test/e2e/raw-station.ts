/** Whole frames, said and heard in a namespace beside the kernel's own stack. */
import type { NamespaceSet } from '../../src/experiment/namespaces.ts';
import { icmpEcho } from '../support/frames.ts';
import { Program } from './program.ts';
import type { Heard, Telling } from './programs/raw-station.ts';

/** Offset of the identifier in an ICMP echo without IPv4 options. */
const IDENTIFIER_AT = 14 + 20 + 4;
const FENCE_IDENTIFIER = 0xfeed;
const TIMEOUT_MS = 3000;

export interface StationOptions {
  readonly host: string;
  readonly interface: string;
  /** Of the interface. */
  readonly mac: string;
  /** Not one that the kernel owns: it would answer too. */
  readonly ip: string;
  /** Who is spoken to. */
  readonly peer: { readonly mac: string; readonly ip: string };
}

export class RawStation {
  readonly options: StationOptions;
  readonly #program: Program<Telling, Heard>;

  private constructor(options: StationOptions, program: Program<Telling, Heard>) {
    this.options = options;
    this.#program = program;
  }

  static async start(namespaces: NamespaceSet, options: StationOptions): Promise<RawStation> {
    return new RawStation(options, await Program.start(namespaces, options.host, 'raw-station', [options.interface]));
  }

  /**
   * Says `frames` and then an echo request to the peer; returns what has come to our IP address since the last time,
   * without the reply to that. The peer takes frames in order, so what has not come from it by then never will: no test
   * has to wait for silence.
   */
  async say(frames: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { mac, ip, peer } = this.options;
    const link = { srcMac: mac, dstMac: peer.mac, src: ip, dst: peer.ip };
    const fence = icmpEcho({ ...link, identifier: FENCE_IDENTIFIER, sequence: 0 });
    const mark = Buffer.from([FENCE_IDENTIFIER >> 8, FENCE_IDENTIFIER & 255]);
    const heard = await this.#program.ask({
      send: [...frames, fence].map(frame => Buffer.from(frame).toString('base64')),
      until: { offset: IDENTIFIER_AT, bytes: mark.toString('base64') },
      timeoutMs: TIMEOUT_MS,
    });
    if (!heard.complete) throw new Error(`${peer.ip} did not answer an echo request within ${TIMEOUT_MS} ms`);
    const all = heard.frames.map(frame => Uint8Array.from(Buffer.from(frame, 'base64')));
    return all.filter(frame => addressee(frame) === ip && !isFence(frame));
  }
}

/** Target of an ARP packet, destination of an IPv4 packet. */
function addressee(frame: Uint8Array): string {
  const at = frame[12] === 0x08 && frame[13] === 0x06 ? 38 : 30;
  return frame.slice(at, at + 4).join('.');
}

function isFence(frame: Uint8Array): boolean {
  return frame[IDENTIFIER_AT] === FENCE_IDENTIFIER >> 8 && frame[IDENTIFIER_AT + 1] === (FENCE_IDENTIFIER & 255);
}
