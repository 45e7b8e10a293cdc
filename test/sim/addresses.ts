/** Who has which addresses in the simulated network. */
import { formatIpv4 } from '../../src/wire/ipv4-text.ts';
import type { Mac } from '../../src/wire/mac-text.ts';

export const MEMCACHED_PORT = 11_211;
export const VIP = ipv4(10, 77, 0, 100);
/** Source address towards the nodes. */
export const OWN = ipv4(10, 77, 1, 1);
export const NF_CLIENT_MAC: Mac = { high: 0x024b, low: 0x0a };
export const NF_SERVER_MAC: Mac = { high: 0x024b, low: 0x0b };

const HOST_MAC_HIGH = 0x0200;

export interface HostAddress {
  readonly mac: Mac;
  readonly ip: number;
}

export function clientAddress(index: number): HostAddress {
  return { mac: { high: HOST_MAC_HIGH, low: 0x0100 + index }, ip: ipv4(10, 77, 0, 110 + index) };
}

export function nodeAddress(index: number): HostAddress {
  return { mac: { high: HOST_MAC_HIGH, low: 0x0200 + index }, ip: ipv4(10, 77, 1, 11 + index) };
}

export function isClientMac(macLow: number): boolean {
  return (macLow & 0xff00) === 0x0100;
}

export function nodeName(index: number): string {
  return `mc${index + 1}`;
}

export function textOf(ip: number): string {
  return formatIpv4(ip);
}

function ipv4(a: number, b: number, c: number, d: number): number {
  return (a << 24) | (b << 16) | (c << 8) | d;
}
