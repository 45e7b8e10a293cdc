/** Address texts of the configuration: what they look like, and what they say as numbers. */

import { parseIpv4 } from '../../wire/ipv4-text.ts';

/** UDP port of a memcached that names none. */
export const MEMCACHED_PORT = 11211;

/** 1–223 without 127: "this network", loopback, multicast and reserved ranges are no host's address (RFC 6890). */
const FIRST_PART = '(22[0-3]|2[01][0-9]|1[013-9][0-9]|12[0-689]|[1-9][0-9]?)';
const PART = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const ADDRESS = `${FIRST_PART}([.]${PART}){3}`;
/** 1–65535. */
const PORT = '(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})';
/** 1–31: a /32 has no neighbour to send to. */
const PREFIX_LENGTH = '(3[01]|[12][0-9]|[1-9])';

export const ADDRESS_PATTERN = new RegExp(`^${ADDRESS}$`);
export const ENDPOINT_PATTERN = new RegExp(`^${ADDRESS}(:${PORT})?$`);
/** Any block of addresses; a single one may go without its /32. */
export const BLOCK_PATTERN = new RegExp(`^${PART}([.]${PART}){3}(/(3[0-2]|[12]?[0-9]))?$`);
export const CIDR_PATTERN = new RegExp(`^${ADDRESS}/${PREFIX_LENGTH}$`);

/** What the admin interface may listen on beside a path: nobody but this machine can reach it. */
export const LOOPBACK_PATTERN = new RegExp(`^(127([.]${PART}){3}|\\[::1\\]):${PORT}$`);

/** Where a UDP service listens. */
export interface Endpoint {
  /** IPv4 address, int32. */
  readonly address: number;
  /** The same as text, without the port. */
  readonly text: string;
  readonly port: number;
}

/** An address of ours on an interface, and the subnet it lies in. */
export interface InterfaceAddress {
  /** IPv4 address, int32. */
  readonly address: number;
  /** The same as text, without the prefix length. */
  readonly text: string;
  readonly prefixLength: number;
}

/** @param text matches ENDPOINT_PATTERN */
export function parseEndpoint(text: string): Endpoint {
  const [address, port] = text.split(':') as [string, string?];
  return { address: parseIpv4(address), text: address, port: port === undefined ? MEMCACHED_PORT : Number(port) };
}

/** @param text matches BLOCK_PATTERN */
export function parseBlock(text: string): { readonly address: number; readonly prefixLength: number } {
  const [address, prefixLength = '32'] = text.split('/') as [string, string?];
  return { address: parseIpv4(address), prefixLength: Number(prefixLength) };
}

/** @param text matches CIDR_PATTERN */
export function parseCidr(text: string): InterfaceAddress {
  const [address, prefixLength] = text.split('/') as [string, string];
  return { address: parseIpv4(address), text: address, prefixLength: Number(prefixLength) };
}

/** Whether `address` is one that a host in the subnet of `own` can have: not the network's own nor its broadcast's. */
export function isHostOf(own: InterfaceAddress, address: number): boolean {
  const hostBits = ~(-1 << (32 - own.prefixLength));
  if (((own.address ^ address) & ~hostBits) !== 0) return false;
  const host = address & hostBits;
  // A /31 has two hosts and neither a network nor a broadcast address (RFC 3021).
  return own.prefixLength === 31 || (host !== 0 && host !== hostBits);
}
