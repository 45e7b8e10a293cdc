import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { closestWord } from '../../src/control/config/closest.ts';
import { ConfigError } from '../../src/control/config/error.ts';
import type { ConfigFlags } from '../../src/control/config/flags.ts';
import { configFromFlags, loadConfig } from '../../src/control/config/load.ts';

const SAMPLE = `vip: 10.77.0.100:11211
mode: nat
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11:11211 }
  - { name: mc2, address: 10.77.1.12:11211, weight: 2 }
`;

const FIELD_NAMES = [
  ...['vip', 'mode', 'ports', 'client', 'server', 'interface', 'address', 'gateway', 'ring', 'frames', 'nodes', 'name'],
  ...['weight', 'hash_name', 'steering', 'algorithm', 'hash', 'lanes', 'pin', 'slots', 'count', 'source_port_base'],
  ...['idle', 'spin_us', 'neighbours', 'retries', '__proto__', 'constructor', 'toString', ''],
];

/** Throws unless `load` succeeds or fails as it should; returns the problems. */
function problemsOf(load: () => unknown): ConfigError['problems'] {
  try {
    load();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    return error.problems;
  }
}

/** Every problem must point into the text. */
function checkPlaces(text: string, problems: ConfigError['problems']): void {
  const lines = text.split('\n');
  for (const { line, column, message } of problems) {
    expect(message).not.toBe('');
    expect(line).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(column).toBeLessThanOrEqual(lines[line! - 1]!.length + 1);
  }
}

/** Values with our field names in them, so that they get past the first check. */
const fieldLike = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      0,
      1,
      2,
      -1,
      0.5,
      64,
      65536,
      1e300,
      null,
      true,
      '',
      'nat',
      'cl0',
      'ketama',
      '10.77.1.11',
      '10.77.1.1/24',
      '224.0.0.1',
    ),
    fc.string(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...FIELD_NAMES), tie('value'), { maxKeys: 6 }),
  ),
})).value;

describe('whatever it is given, it answers with a Config or a ConfigError', () => {
  it('any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const text = JSON.stringify(value);
        checkPlaces(
          text,
          problemsOf(() => loadConfig(text, 'f')),
        );
      }),
    );
  });

  it('any value made of our field names', () => {
    fc.assert(
      fc.property(fieldLike, value => {
        const text = stringify(value);
        checkPlaces(
          text,
          problemsOf(() => loadConfig(text, 'f')),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('the sample with any value in the place of one of its own', () => {
    const paths = [['vip'], ['ports'], ['ports', 'client'], ['ports', 'server'], ['ports', 'server', 'address']];
    const more = [['nodes'], ['nodes', 0], ['nodes', 1, 'weight'], ['nodes', 1, 'address'], ['slots'], ['pin']];
    fc.assert(
      fc.property(fc.constantFrom<(string | number)[]>(...paths, ...more), fieldLike, (path, value) => {
        const file = parse(SAMPLE);
        path.slice(0, -1).reduce((at, part) => at[part], file)[path.at(-1)!] = value;
        const text = stringify(file, { aliasDuplicateObjects: false });
        checkPlaces(
          text,
          problemsOf(() => loadConfig(text, 'f')),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('the sample with any text in the place of a piece of it', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(...'&*!|>%@`{}[]:,#-?"\'\t\n\r\0', '- ', ': ', '&a ', '*a', '<<: '),
    );
    fc.assert(
      fc.property(fc.nat(SAMPLE.length), fc.nat(20), piece, (from, length, text) => {
        const whole = SAMPLE.slice(0, from) + text + SAMPLE.slice(from + length);
        problemsOf(() => loadConfig(whole, 'f'));
      }),
      { numRuns: 500 },
    );
  });

  it('any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => void problemsOf(() => loadConfig(text, 'f'))));
  });

  it.each([
    '[',
    '{',
    '- ',
    '? ',
    ': ',
    '{a: ',
    '[{',
    '- [',
    '&a ',
    '!t ',
    '- &a ',
    '? - ',
    '\n ',
    '\t',
    '"',
    '|\n',
    'a: ',
    '- ? a: ',
  ])('a great many of %j', piece => {
    expect(problemsOf(() => loadConfig(piece.repeat(20_000), 'f'))).not.toEqual([]);
  });

  it('a staircase of indented keys', () => {
    const text = Array.from({ length: 600 }, (_, level) => `${' '.repeat(level)}a:`).join('\n');
    expect(problemsOf(() => loadConfig(text, 'f'))[0]!.message).toContain('nested too deeply');
  });

  it('any flags', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom('1', '10.0.0.1', '10.0.0.1/24', 'a=10.0.0.2*3', 'nat'));
    const flags = fc.record(
      {
        vip: text,
        client: text,
        server: text,
        serverAddress: text,
        lanes: text,
        pin: text,
        slots: text,
        node: fc.array(text),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(flags, (given: ConfigFlags) => {
        const problems = problemsOf(() => configFromFlags(given));
        for (const { flag } of problems) expect(flag).toMatch(/^--/);
      }),
    );
  });
});

describe('the closest word', () => {
  const words = ['client', 'server', 'source_port_base', 'vip', 'hash', 'name'];
  it.each([
    ['cleint', 'client'],
    ['clients', 'client'],
    ['Server', 'server'],
    ['sevrer', 'server'],
    ['sourceportbase', 'source_port_base'],
    ['source-port', 'source_port_base'],
    ['port', undefined],
    ['vipp', 'vip'],
    ['v', undefined],
    ['', undefined],
    ['zzzzzz', undefined],
    ['x'.repeat(100), undefined],
  ])('%j → %j', (word, expected) => {
    expect(closestWord(word, words)).toBe(expected);
  });
});
