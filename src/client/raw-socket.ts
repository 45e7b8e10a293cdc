/**
 * The optional package raw-socket: IPv4 datagrams with headers of our own. Loaded when asked for, never in a worker thread
 * (it is not made for that).
 *
 * Its traps: without a protocol the socket cannot be opened on Linux; a message lies in a buffer that the next one
 * overwrites; a send is one turn of the event loop, so there are some 18,000 a second.
 */
import { ClientError } from './errors.ts';

/** The part of the package that is used here; it brings no types. */
interface RawSocketModule {
  createSocket(options: { protocol: number; bufferSize: number }): RawSocket;
  readonly Protocol: { readonly UDP: number };
  readonly SocketLevel: { readonly IPPROTO_IP: number };
  readonly SocketOption: { readonly IP_HDRINCL: number };
}

export interface RawSocket {
  on(event: 'message', listener: (datagram: Buffer, source: string) => void): void;
  /** The socket is closed by then. A poll that fails names no error. */
  on(event: 'error', listener: (error?: Error) => void): void;
  setOption(level: number, option: number, value: number): void;
  /** The buffer must stay as it is until `after`. */
  send(
    buffer: Buffer,
    offset: number,
    length: number,
    address: string,
    after: (error: Error | null, bytes: number) => void,
  ): void;
  close(): void;
}

/** No raw sockets here: says what is lost without them and how to have them. */
export class RawSocketError extends ClientError {
  override readonly name = 'RawSocketError';
}

const LOST = 'only what needs clients at addresses of their own (--sources) is lost without it';
const INSTALL = 'apt-get install g++ make python3 && npm install raw-socket@^1.8.1';

/** The largest IPv4 datagram. */
const MESSAGE_BYTES_MAX = 65_535;
/** A turn of the event loop takes one datagram: what comes meanwhile must find room. */
const RECEIVE_BUFFER_BYTES = 16 << 20;
/** socket(7), numbers of Linux: SO_RCVBUF beyond net.core.rmem_max, for which CAP_NET_ADMIN is needed, and within it. */
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SO_RCVBUF = 8;

/** Sends whole IPv4 datagrams, and receives every UDP datagram that is delivered to this host. @throws RawSocketError */
export async function openRawUdp(): Promise<RawSocket> {
  const raw = await load();
  try {
    const socket = raw.createSocket({ protocol: raw.Protocol.UDP, bufferSize: MESSAGE_BYTES_MAX });
    socket.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
    enlargeBuffer(socket);
    return socket;
  } catch (error) {
    const reason = (error as Error).message;
    const command = ['sudo', process.execPath, ...process.argv.slice(1)].join(' ');
    throw new RawSocketError(`a raw socket needs CAP_NET_RAW (${reason}); ${LOST}. As root: ${command}`);
  }
}

function enlargeBuffer(socket: RawSocket): void {
  try {
    socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
  } catch {
    socket.setOption(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  }
}

async function load(): Promise<RawSocketModule> {
  try {
    const { default: raw } = (await import('raw-socket' as string)) as { default: RawSocketModule };
    return raw;
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new RawSocketError(
      `the optional package raw-socket is not usable (${reason}); ${LOST}. Install it: ${INSTALL}`,
    );
  }
}
