/** IPv4 addresses as text, for configuration and reports; on the data path they are int32. */

import { AddressError } from './address-error.ts';

const RULE = 'must be four decimal numbers from 0 to 255 with dots between, without leading zeros, like 10.0.0.1';

/** One part, 0 … 255. A leading zero is refused: some programs read it as octal. */
const PART = /^(?:0|[1-9][0-9]{0,2})$/;

/**
 * `'10.0.0.1'` → 0x0a000001 as int32.
 * @throws AddressError
 */
export function parseIpv4(text: string): number {
  const parts = text.split('.');
  if (parts.length !== 4) throw new AddressError('IPv4 address', text, RULE);
  return parts.reduce((address, part) => (address << 8) | parsePart(part, text), 0);
}

function parsePart(part: string, text: string): number {
  const value = PART.test(part) ? Number(part) : 256;
  if (value > 255) throw new AddressError('IPv4 address', text, RULE);
  return value;
}

/** int32 (or unsigned) → `'10.0.0.1'`. */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}
