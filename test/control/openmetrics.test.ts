import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeText, type Family, formatOpenMetrics, numberText } from '../../src/control/metrics/openmetrics.ts';
import { parseOpenMetrics, requireOpenMetricsParser } from '../support/openmetrics.ts';

const FAMILIES: readonly Family[] = [
  {
    name: 'k_bytes',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of "all" kinds.\nTwo lines, one \\.',
    samples: [
      { suffix: '_total', labels: { node: 'a"b\\c\nd' }, value: 2 ** 53 },
      { suffix: '_total', labels: { node: '' }, value: 0 },
    ],
  },
  { name: 'k_gauge', type: 'gauge', help: 'Plain.', samples: [{ labels: {}, value: -1.5e-9 }] },
  { name: 'k_none', type: 'gauge', help: 'Has no samples.', samples: [] },
];

describe('formatOpenMetrics', () => {
  it('writes families in one piece, escaped, and closes with # EOF', () => {
    expect(formatOpenMetrics(FAMILIES)).toBe(
      [
        '# TYPE k_bytes counter',
        '# UNIT k_bytes bytes',
        '# HELP k_bytes Bytes of \\"all\\" kinds.\\nTwo lines, one \\\\.',
        'k_bytes_total{node="a\\"b\\\\c\\nd"} 9007199254740992',
        'k_bytes_total{node=""} 0',
        '# TYPE k_gauge gauge',
        '# HELP k_gauge Plain.',
        'k_gauge -1.5e-9',
        '# EOF',
        '',
      ].join('\n'),
    );
  });

  it('of nothing is # EOF', () => {
    expect(formatOpenMetrics([])).toBe('# EOF\n');
  });

  it.each([
    [1, '1'],
    [0.25, '0.25'],
    [1e21, '1e+21'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
  ])('spells %d as %s', (value, text) => {
    expect(numberText(value)).toBe(text);
  });

  it('property: an escaped text has no bare quote and no line end, and is the text again', () => {
    const texts = fc
      .array(fc.constantFrom('a', '"', '\\', '\n', 'n', 'é'), { maxLength: 20 })
      .map(parts => parts.join(''));
    fc.assert(
      fc.property(texts, text => {
        const escaped = escapeText(text);
        expect(escaped).not.toMatch(/\n/);
        expect(escaped).toMatch(/^(?:[^"\\]|\\["\\n])*$/);
        expect(escaped.replaceAll(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter))).toBe(text);
      }),
    );
  });

  it.skipIf(requireOpenMetricsParser())('is what the Python client reads', () => {
    const [bytes, gauge, ...more] = parseOpenMetrics(formatOpenMetrics(FAMILIES));
    expect(more).toEqual([]);
    expect(bytes).toMatchObject({ name: 'k_bytes', type: 'counter', unit: 'bytes', help: FAMILIES[0]!.help });
    expect(bytes!.samples[0]).toEqual({ name: 'k_bytes_total', labels: { node: 'a"b\\c\nd' }, value: 2 ** 53 });
    expect(gauge!.samples[0]!.value).toBe(-1.5e-9);
  });
});
