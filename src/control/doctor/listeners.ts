/** Kernel sockets that wait where clients send to. */
import { endianness } from 'node:os';
import { formatIpv4 } from '../../wire/ipv4-text.ts';
import type { Config } from '../config/normalise.ts';
import { type Check, ok, warn } from './check.ts';

export interface Listener {
  /** IPv4 address, or `*`. */
  readonly address: string;
  readonly port: number;
}

/** Of a socket: `  61: 0100007F:2BCB 00000000:0000 07 …`; the address as the CPU reads the bytes of the network's order. */
const SOCKET = /^\s*[0-9]+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:0000 /gm;

/** @param text /proc/net/udp, or /proc/net/udp6, where only those count that take IPv4 too */
export function parseUdpTable(text: string, order: 'LE' | 'BE' = endianness()): Listener[] {
  return [...text.matchAll(SOCKET)].flatMap(([, digits, port]) => {
    const address = addressOf(digits!, order);
    return address === undefined ? [] : [{ address, port: Number.parseInt(port!, 16) }];
  });
}

function addressOf(digits: string, order: 'LE' | 'BE'): string | undefined {
  if (/^0+$/.test(digits)) return '*';
  if (digits.length !== 8) return undefined;
  const bytes = Buffer.from(digits, 'hex');
  return formatIpv4(order === 'LE' ? bytes.readInt32LE() : bytes.readInt32BE());
}

/**
 * The kernel delivers no datagram for an address that it does not own: a listener on all addresses is in the way only
 * for who takes it for Keysteer.
 */
export function listenerCheck({ vip }: Config, listeners: readonly Listener[]): Check {
  const place = `${vip.text}:${vip.port}`;
  const there = listeners.filter(({ port }) => port === vip.port);
  const who = `ss -ulpn 'sport = :${vip.port}' names it`;
  if (there.some(({ address }) => address === vip.text)) {
    return warn(`a program of this machine listens on ${place}: it never hears what Keysteer takes`, who);
  }
  if (there.some(({ address }) => address === '*')) {
    return ok(`a program listens on UDP port ${vip.port} of all addresses, ${vip.text} is not among them`);
  }
  return ok(`no other program listens on ${place}`);
}
