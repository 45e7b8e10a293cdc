/** What carries a run: a port, the memory it lies in, a clock, and a way to wait for frames. */
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { Arena } from '../mem/arena.ts';
import { afPacketByteLength, openAfPacket } from '../port/af-packet.ts';
import { besideMac } from '../port/mac.ts';
import type { Port } from '../port/port.ts';
import { loadShim } from '../port/shim.ts';
import { formatMac, parseMac } from '../wire/mac-text.ts';

export interface Transport {
  readonly arena: Arena;
  readonly port: Port;
  /** Whole nanoseconds of a clock that never goes back. */
  now_ns(): number;
  /** Returns when a frame has come, or the time is up. */
  wait(timeout_us: number): void;
  /** Returns when the time is up. */
  sleep(timeout_us: number): void;
}

/** `performance.now` counts from the start of the process in fractions of a millisecond, exact to the nanosecond. */
export function monotonic_ns(): number {
  return Math.trunc(performance.now() * 1e6);
}

/**
 * Makes the main thread's timed waits exact to the microsecond instead of 50 µs, Linux's default timer slack: in open
 * loop every request would leave that much too late.
 */
export function sharpenTimers(): void {
  try {
    writeFileSync('/proc/self/timerslack_ns', '1000');
  } catch {
    // Not permitted or no such file: the lag figures will show it.
  }
}

/** Whether the kernel's stack is a host on this interface, too. */
function hasKernelAddress(interfaceName: string): boolean {
  return networkInterfaces()[interfaceName]?.some(({ family }) => family === 'IPv4') ?? false;
}

/** The Ethernet address of a host on an interface that carries no address of the kernel's. */
export function bareHostMac(interfaceMac: string): string {
  const { high, low } = besideMac(parseMac(interfaceMac));
  return formatMac(high, low);
}

/**
 * Opens an interface of this network namespace as raw frames. Where the kernel has no address there, ours is another than the
 * interface's: its stack need not look up, for every frame, that nobody wants it.
 * @param bytes arena bytes wanted beside the port
 * @throws PortError with advice, e.g. without CAP_NET_RAW
 */
export function openTransport(interfaceName: string, ringFrames: number, bytes: number): Transport {
  const arena = Arena.create(afPacketByteLength(ringFrames) + bytes);
  const mac = hasKernelAddress(interfaceName) ? 'interface' : 'auto';
  const port = openAfPacket({ id: 0, interfaceName, arena, ringFrames, mac });
  const shim = loadShim();
  const handles = Int32Array.of(port.handle);
  return {
    arena,
    port,
    now_ns: monotonic_ns,
    wait: timeout_us => {
      shim.wait(handles, 1, timeout_us);
    },
    sleep: timeout_us => {
      shim.wait(handles, 0, timeout_us);
    },
  };
}
