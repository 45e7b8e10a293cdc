/** Addresses that may send. */
import { describe, expect, it } from 'vitest';
import { maySend } from '../../src/dataplane/checks.ts';
import { address } from '../support/lane-bed.ts';

describe('who may send', () => {
  it.each([
    ['0.0.0.0', false],
    ['0.255.255.255', false],
    ['1.0.0.0', true],
    ['10.77.0.1', true],
    ['126.255.255.255', true],
    ['127.0.0.1', false],
    ['127.255.255.255', false],
    ['128.0.0.0', true],
    ['223.255.255.255', true],
    ['224.0.0.0', false],
    ['239.1.1.1', false],
    ['240.0.0.0', false],
    ['255.255.255.255', false],
  ])('%s: %s', (text, may) => {
    expect(maySend(address(text))).toBe(may);
  });
});
