import { describe, expect, it } from 'vitest';
import { heatRows } from '../../src/cli/explain.ts';
import { quoted } from '../../src/control/hot/key-text.ts';
import type { KeyHeat } from '../../src/control/hot/report.ts';

const COLD: KeyHeat = {
  key: 'k',
  share: 0.1,
  shareError: 0,
  hot: null,
  hotFrom: 0.01,
  pinned: false,
  banned: false,
  leftAlone: null,
};

describe('why a key is not treated', () => {
  it.each<[Partial<KeyHeat>, string]>([
    [{ banned: true }, 'no: banned'],
    [{ share: 0.001 }, 'no: not hot, which begins at 1 % of the requests'],
    [
      { leftAlone: { why: 'it is written too much', seconds: 4.2 } },
      'no: left alone for 5 s yet: it is written too much',
    ],
    [{ pinned: true }, 'no: pinned, and waits for a place'],
  ])('%j: %s', (fields, text) => {
    expect(heatRows({ ...COLD, ...fields })[1]).toEqual(['treated', text]);
  });

  it('is that no keys are', () => {
    expect(heatRows({ off: 'hot.enabled is false' })).toEqual([['heat', 'off: hot.enabled is false']]);
  });
});

it('what was typed is quoted as it is', () => {
  expect(quoted(String.raw`counter\x01`)).toBe(String.raw`"counter\x01"`);
  expect(quoted('a\n')).toBe(String.raw`"a\x0a"`);
});
