import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AddressBlock,
  isInRanges,
  RANGE_WORDS,
  sourceRanges,
  writeRanges,
} from '../../src/dataplane/source-ranges.ts';
import { address } from '../support/lane-bed.ts';

const block = (text: string): AddressBlock => {
  const [host, prefix] = text.split('/');
  return { address: address(host!), prefixLength: Number(prefix) };
};

const shown = (number: number) => [24, 16, 8, 0].map(shift => (number >>> shift) & 255).join('.');

function ranges(allowed: readonly string[], denied: readonly string[] = []): string[] {
  return sourceRanges(allowed.map(block), denied.map(address)).map(([first, last]) => `${shown(first)}-${shown(last)}`);
}

describe('ranges', () => {
  test.each([
    [[], [], ['0.0.0.0-255.255.255.255']],
    [['10.77.0.0/24'], [], ['10.77.0.0-10.77.0.255']],
    [['10.77.0.9/24'], [], ['10.77.0.0-10.77.0.255']],
    [['10.0.0.1/32'], [], ['10.0.0.1-10.0.0.1']],
    [['192.168.0.0/16', '10.0.0.0/8'], [], ['10.0.0.0-10.255.255.255', '192.168.0.0-192.168.255.255']],
    [['10.0.0.0/8', '10.1.0.0/16'], [], ['10.0.0.0-10.255.255.255']],
    [['10.0.0.0/25', '10.0.0.128/25'], [], ['10.0.0.0-10.0.0.255']],
    [['0.0.0.0/0'], ['127.0.0.1'], ['0.0.0.0-127.0.0.0', '127.0.0.2-255.255.255.255']],
    [['10.0.0.0/30'], ['10.0.0.0', '10.0.0.3', '10.0.0.0'], ['10.0.0.1-10.0.0.2']],
    [['10.0.0.1/32'], ['10.0.0.1'], []],
    [['255.255.255.255/32'], ['9.9.9.9'], ['255.255.255.255-255.255.255.255']],
    [['255.255.255.0/24'], ['255.255.255.255'], ['255.255.255.0-255.255.255.254']],
  ])('%j less %j', (allowed, denied, expected) => {
    expect(ranges(allowed, denied)).toEqual(expected);
  });

  test('the search finds what a look at every block finds', () => {
    // Few addresses, at the ends of the space and of the sign, so that blocks meet and overlap.
    const near = fc.constantFrom(0, 0x7ffffff0, 0x80000000, 0xfffffff0, 0x0a4d0000);
    const someAddress = fc.tuple(near, fc.nat(15)).map(([base, offset]) => (base + offset) | 0);
    const someBlock = fc.record({
      address: someAddress,
      prefixLength: fc.oneof(fc.constant(0), fc.integer({ min: 26, max: 32 })),
    });
    const lists = fc.tuple(fc.array(someBlock, { maxLength: 6 }), fc.array(someAddress, { maxLength: 6 }));
    fc.assert(
      fc.property(lists, fc.array(someAddress, { minLength: 20, maxLength: 20 }), ([allowed, denied], asked) => {
        const found = sourceRanges(allowed, denied);
        const words = new Int32Array(3 + found.length * RANGE_WORDS);
        writeRanges(words, 3, found);
        for (const source of asked) {
          const isAllowed = allowed.length === 0 || allowed.some(candidate => isIn(candidate, source));
          expect(isInRanges(words, 3, found.length, source)).toBe(isAllowed && !denied.includes(source));
        }
      }),
      { numRuns: 500 },
    );
  });
});

function isIn({ address, prefixLength }: AddressBlock, source: number): boolean {
  return prefixLength === 0 || (address ^ source) >>> (32 - prefixLength) === 0;
}
