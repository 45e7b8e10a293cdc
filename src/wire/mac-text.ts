/** MAC addresses as text, for configuration and reports; on the data path they are two numbers. */

import { AddressError } from './address-error.ts';

export interface Mac {
  /** First 16 bits, unsigned. */
  readonly high: number;
  /** Last 32 bits, int32. */
  readonly low: number;
}

const SIX_OCTETS = /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/i;

/**
 * `'02:00:00:00:00:01'`, or with hyphens, in either case.
 * @throws AddressError
 */
export function parseMac(text: string): Mac {
  if (!SIX_OCTETS.test(text)) {
    throw new AddressError('MAC address', text, 'must be six pairs of hex digits, like 02:00:00:00:00:01');
  }
  const digits = text.replaceAll(/[:-]/g, '');
  return { high: Number.parseInt(digits.slice(0, 4), 16), low: Number.parseInt(digits.slice(4), 16) | 0 };
}

/** (high, low) → `'02:00:00:00:00:01'`. */
export function formatMac(high: number, low: number): string {
  const digits = (high & 0xffff).toString(16).padStart(4, '0') + (low >>> 0).toString(16).padStart(8, '0');
  return digits.replaceAll(/..(?=.)/g, '$&:');
}
