/**
 * Captures on one interface with libpcap and decodes with the decoders of the package `cap`: nothing of src is in here. A
 * program of its own, as `cap` must not share a process with worker threads.
 *
 *     node dist/test/support/cap-decoder-process.js <interface> [<filter>]
 *
 * It prints `{"ready":true}`, then a JSON line for each frame (`CapturedFrame` of cap-decoder.ts, bytes as hex), and ends
 * when its standard input does.
 */
import { createRequire } from 'node:module';

/** The part of `cap` that is used here; the package brings no types. */
interface CapModule {
  readonly Cap: new () => {
    open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
    close(): void;
    on(event: 'packet', listener: (bytes: number, truncated: boolean) => void): void;
  };
  readonly decoders: {
    Ethernet(frame: Buffer): { readonly info: { readonly type?: number }; readonly offset: number };
    ARP(frame: Buffer, offset: number): { readonly info: unknown };
    IPV4(
      frame: Buffer,
      offset: number,
    ): {
      readonly info: { readonly protocol: number; readonly totallen: number };
      readonly hdrlen: number;
      readonly offset: number;
    };
    UDP(frame: Buffer, offset: number): { readonly info: { readonly length: number }; readonly offset: number };
    readonly PROTOCOL: {
      readonly ETHERNET: { readonly IPV4: number; readonly ARP: number };
      readonly IP: { readonly UDP: number };
    };
  };
}

const { Cap, decoders } = createRequire(import.meta.url)('cap') as CapModule;
const { ETHERNET, IP } = decoders.PROTOCOL;
const KERNEL_BUFFER_BYTES = 8 << 20;

const [device, filter = ''] = process.argv.slice(2);
const capture = new Cap();
/** libpcap's side of `cap` holds a bare pointer to it: it must live as long as the capture. */
const buffer = Buffer.alloc(65_535);

const linkType = capture.open(device!, filter, KERNEL_BUFFER_BYTES, buffer);
if (linkType !== 'ETHERNET') throw new Error(`${device} speaks ${linkType}, not Ethernet`);
capture.on('packet', (bytes, truncated) => print({ truncated, ...decode(Buffer.from(buffer.subarray(0, bytes))) }));
process.stdin.on('end', () => {
  capture.close();
  process.exit(0);
});
process.stdin.resume();
print({ ready: true });

function decode(frame: Buffer): object {
  const ethernet = decoders.Ethernet(frame);
  const base = { frame: frame.toString('hex'), ethernet: ethernet.info };
  if (ethernet.info.type === ETHERNET.ARP) return { ...base, arp: decoders.ARP(frame, ethernet.offset).info };
  return ethernet.info.type === ETHERNET.IPV4 ? { ...base, ...decodeIpv4(frame, ethernet.offset) } : base;
}

function decodeIpv4(frame: Buffer, at: number): object {
  const ipv4 = decoders.IPV4(frame, at);
  if (ipv4.info.protocol !== IP.UDP) return { ipv4: ipv4.info };
  const udp = decoders.UDP(frame, ipv4.offset);
  const payload = frame.toString('hex', udp.offset, udp.offset + udp.info.length);
  return { ipv4: ipv4.info, udp: udp.info, payload };
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
