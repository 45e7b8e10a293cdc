/**
 * The native shim, loaded on first use: everything that needs no live interface runs without it.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';

export interface OpenAfPacketRequest {
  interface: string;
  /** View over the whole arena. */
  arena: Uint8Array;
  ringOffset: number;
  slotBytes: number;
  slots: number;
  blockBytes: number;
  reserveBytes: number;
  /** −1: no fanout. */
  fanoutGroup: number;
  fanoutType: number;
  /** struct sock_filter[] as bytes; empty for types that need none. */
  fanoutProgram: Uint8Array;
}

export interface OpenTapRequest {
  /** A name, or a pattern with %d for the kernel to number. */
  interface: string;
  arena: Uint8Array;
  persistent: boolean;
  /** User id; −1: none. */
  owner: number;
  /** Frames that wait in each queue of an interface made here. */
  queueFrames: number;
}

/** An opened port, and what the kernel says of its interface. */
export interface Opened {
  handle: number;
  name: string;
  mtu: number;
  mac: number[];
  driver: string;
}

/** What the shim's functions do is said beside them in native/keysteer.cc. */
export interface Shim {
  openAfPacket(request: OpenAfPacketRequest): Opened;
  openTap(request: OpenTapRequest): Opened;
  steerTap(handle: number, program: Uint8Array): void;
  interfaceMtu(name: string): number;
  setPromiscuous(handle: number): void;
  close(handle: number): void;
  receive(
    handle: number,
    batchByteOffset: number,
    rowsMax: number,
    frameByteOffset: number,
    slotBytes: number,
    frameBytes: number,
  ): number;
  transmit(
    handle: number,
    batchByteOffset: number,
    rows: number,
    id: number,
    frameBytesMax: number,
    vlan: number,
    joins: number,
  ): number;
  wait(handles: Int32Array, count: number, timeoutMicroseconds: number): number;
  statistics(handle: number, out: Int32Array): void;
  yieldThread(): void;
  pinThread(cpu: number): void;
}

/** A failed system call of the shim, with what the user can do about it. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly code: string;
  readonly syscall: string;

  constructor(what: string, code: string, syscall: string, advice: string) {
    super(`${what}: ${syscall} failed with ${code}${advice ? ` (${advice})` : ''}`);
    this.code = code;
    this.syscall = syscall;
  }
}

const ADVICE: Record<string, string> = {
  EPERM: 'needs CAP_NET_RAW: run as root, or in a user and network namespace of your own',
  EACCES: 'needs CAP_NET_RAW: run as root, or in a user and network namespace of your own',
  ENODEV: 'no such interface in this network namespace; `ip link` lists them',
  ENETDOWN: 'the interface is down; `ip link set <interface> up`',
  ENOMEM: 'no memory for the ring; make ports.*.ring.frames smaller',
  EMFILE: 'too many open ports or files; fewer lanes, or raise `ulimit -n`',
  EINVAL: 'the kernel refuses this combination; is it older than 4.20?',
  ENOPROTOOPT: 'the kernel is too old; 4.20 or newer is needed',
};

/** Where the same code means something else for a certain call. */
const ADVICE_OF_CALL: Record<string, string> = {
  'open(/dev/net/tun) ENOENT': 'no TUN/TAP driver here: `modprobe tun`; in a container `--device /dev/net/tun`',
  'open(/dev/net/tun) ENODEV': 'no TUN/TAP driver in this kernel: `modprobe tun`',
  'open(/dev/net/tun) ENXIO': 'no TUN/TAP driver in this kernel: `modprobe tun`',
  'open(/dev/net/tun) EACCES': 'this user may not open it: run as root, or `chmod 0666 /dev/net/tun`',
  'open(/dev/net/tun) EPERM': 'the container forbids it: `--device /dev/net/tun`',
  'ioctl(TUNSETIFF) EPERM':
    'needs CAP_NET_ADMIN to make or take a TAP: run as root, or let root make it for this user: `ip tuntap add <interface> mode tap multi_queue vnet_hdr user <user>`',
  'ioctl(TUNSETIFF) EINVAL':
    'the interface of this name is no TAP, or one of a single queue, which has no room for lanes (`multi_queue`): `ip -d link show <interface>`',
  'ioctl(TUNSETIFF) EBUSY': 'another process holds this TAP',
  'ioctl(TUNSETIFF) E2BIG': 'all queues of this TAP are taken: fewer lanes, or another process holds it too',
  'ioctl(SIOCSIFFLAGS) EPERM': 'needs CAP_NET_ADMIN: run as root, or `ip link set <interface> up` beforehand',
};

/** Turns an error thrown by the shim into one that says what to do. */
export function asPortError(what: string, thrown: unknown): unknown {
  const { errno, syscall } = thrown as { errno?: number; syscall?: string };
  if (errno === undefined || syscall === undefined) return thrown;
  const code = getSystemErrorName(-errno);
  return new PortError(what, code, syscall, ADVICE_OF_CALL[`${syscall} ${code}`] ?? ADVICE[code] ?? '');
}

/** The package's root, found from src/port and from dist/src/port alike. */
export function packageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return join(here, here.includes(`${join('dist', 'src')}`) ? '../../..' : '../..');
}

let shim: Shim | undefined;

/** @throws Error that names the build command when there is no built addon for this platform. */
export function loadShim(): Shim {
  if (shim) return shim;
  const require = createRequire(import.meta.url);
  const nativeFolder = join(packageRoot(), 'native');
  try {
    shim = require('node-gyp-build')(nativeFolder) as Shim;
    return shim;
  } catch (cause) {
    throw new Error('the native shim is not built; `npm run build` builds it (needs g++, make and python3)', { cause });
  }
}
