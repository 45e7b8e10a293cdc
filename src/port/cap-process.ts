/**
 * libpcap, through the package `cap`, in a process of its own: `cap` crashes beside worker threads and starves the timers
 * of whoever shares its event loop. See cap-protocol.ts; cap.ts starts it.
 *
 * Sending has a process of its own, too: as long as frames arrive faster than `cap` hands them over, it never returns to
 * the event loop, and nothing would be sent.
 */
import { readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { CAPTURED_BYTES_MAX, type CapNotice, type CapRequest, RECORD_HEADER_BYTES } from './cap-protocol.ts';

/** The part of `cap` that is used here; the package brings no types. */
interface CapHandle {
  open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
  send(buffer: Buffer, bytes: number): void;
  close(): void;
  on(event: 'packet', listener: (bytes: number, truncated: boolean) => void): void;
}

const STDIN = 0;
const STDOUT = 1;
/** libpcap's own ring in the kernel, bytes. */
const KERNEL_BUFFER_BYTES = 16 << 20;
const GATHERED_BYTES = 1 << 16;
/** What no frame is: the process that sends must not gather what arrives. */
const FILTER_NOTHING = 'less 1';
const ETHERNET_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;

const request = JSON.parse(process.argv[2]!) as CapRequest;
/** libpcap's side of `cap` holds a bare pointer to it: it must live as long as the capture. */
const landing = Buffer.alloc(CAPTURED_BYTES_MAX);
const gathered = Buffer.alloc(GATHERED_BYTES + RECORD_HEADER_BYTES + CAPTURED_BYTES_MAX);
let gatheredBytes = 0;
let flushIsDue = false;
/** Nanoseconds since 1970 at hrtime 0. */
const epochNs = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)) - process.hrtime.bigint();

const handle = open();
if (handle !== undefined) {
  if (request.role === 'receive') receive(handle);
  notify({ type: 'open' });
  if (request.role === 'send') sendAll(handle);
}

function open(): CapHandle | undefined {
  let step: 'load' | 'open' | 'link type' = 'load';
  try {
    const opened: CapHandle = new (createRequire(import.meta.url)('cap').Cap)();
    step = 'open';
    const filter = request.role === 'send' ? FILTER_NOTHING : request.filter;
    const linkType = opened.open(request.interfaceName, filter, KERNEL_BUFFER_BYTES, landing);
    step = 'link type';
    if (linkType !== 'ETHERNET') throw new Error(linkType);
    return opened;
  } catch (error) {
    notify({ type: 'failed', step, message: (error as Error).message });
    process.disconnect();
    return undefined;
  }
}

function notify(notice: CapNotice): void {
  process.send!(notice);
}

function receive(from: CapHandle): void {
  from.on('packet', bytes => {
    if (gatheredBytes >= GATHERED_BYTES) flush();
    gather(bytes);
    if (flushIsDue) return;
    flushIsDue = true;
    setImmediate(() => {
      flushIsDue = false;
      flush();
    });
  });
  process.once('disconnect', () => process.exit());
  process.once('message', () => {
    from.close();
    flush();
    process.exit();
  });
}

function gather(bytes: number): void {
  gathered.writeUInt32LE(bytes, gatheredBytes);
  gathered.writeUInt32LE(Math.max(bytes, ipv4FrameBytes()), gatheredBytes + 4);
  gathered.writeBigUInt64LE(epochNs + process.hrtime.bigint(), gatheredBytes + 8);
  landing.copy(gathered, gatheredBytes + RECORD_HEADER_BYTES, 0, bytes);
  gatheredBytes += RECORD_HEADER_BYTES + bytes;
}

/** What the frame was on the wire: `cap` does not say when libpcap's limit has cut it, IPv4's total length does. */
function ipv4FrameBytes(): number {
  if (landing.readUInt16BE(12) !== ETHERTYPE_IPV4) return 0;
  return ETHERNET_BYTES + landing.readUInt16BE(ETHERNET_BYTES + 2);
}

/** Blocks while the pipe is full: then libpcap's ring in the kernel takes what arrives, or drops it. */
function flush(): void {
  try {
    for (let at = 0; at < gatheredBytes; ) at += writeSync(STDOUT, gathered, at, gatheredBytes - at);
  } catch {
    process.exit(); // nobody reads any more
  }
  gatheredBytes = 0;
}

/** Sends what comes until the parent closes the pipe. Nothing else happens in this process, so reads may block. */
function sendAll(through: CapHandle): void {
  for (;;) {
    if (!readWhole(RECORD_HEADER_BYTES)) break;
    const bytes = landing.readUInt32LE(0);
    if (bytes > CAPTURED_BYTES_MAX || !readWhole(bytes)) break;
    try {
      through.send(landing, bytes);
    } catch {
      // Too long for the interface, or it is down: lost, as on any wire.
    }
  }
  process.exit();
}

function readWhole(bytes: number): boolean {
  for (let at = 0; at < bytes; ) {
    const read = readSync(STDIN, landing, at, bytes - at, null);
    if (read === 0) return false;
    at += read;
  }
  return true;
}
