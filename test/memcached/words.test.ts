import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ASCII_VERBS, CLASS_NAMES, VERB_CLASS, VERB_COUNT, VERB_NAMES } from '../../src/memcached/verbs.ts';
import { wordAt, wordTable } from '../../src/memcached/words.ts';
import { bytesOf } from './placed-message.ts';

function verbOf(text: string): string {
  const bytes = bytesOf(`  ${text}  `);
  const { ids, spellings, multiplier } = ASCII_VERBS;
  return VERB_NAMES[wordAt(ids, spellings, multiplier, bytes, 2, text.length)];
}

const TEXT_VERBS = VERB_NAMES.filter(name => !['unknown', 'noop', 'sasl'].includes(name));

test.each(TEXT_VERBS)('%s is known, and nothing that differs from it by one byte', verb => {
  expect(verbOf(verb)).toBe(verb);
  const near = [`${verb}x`, verb.slice(0, -1), verb.toUpperCase(), `x${verb.slice(1)}`, `${verb.slice(0, -1)}~`];
  for (const word of near) expect(TEXT_VERBS.includes(word) ? word : 'unknown').toBe(verbOf(word));
});

test('a random word is a verb only if it is spelled like one', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), word => {
      expect(verbOf(word)).toBe(TEXT_VERBS.includes(word) ? word : 'unknown');
    }),
  );
});

test('a word of the longest length, and more words than fit', () => {
  const { ids, spellings, multiplier } = wordTable({ abcdefghijklmno: 3, ab: 1 });
  expect(wordAt(ids, spellings, multiplier, bytesOf('abcdefghijklmno'), 0, 15)).toBe(3);
  const alike = { aab: 1, aac: 2 };
  expect(() => wordTable(alike)).toThrow(/no multiplier separates the words aab aac/);
});

test('every verb has a class', () => {
  expect(VERB_CLASS.length).toBe(VERB_COUNT);
  const classes = Object.fromEntries(VERB_NAMES.map((name, verb) => [name, CLASS_NAMES[VERB_CLASS[verb]]]));
  expect(classes).toMatchObject({
    get: 'read',
    gat: 'write',
    gats: 'write',
    touch: 'write',
    me: 'policy',
    mn: 'local',
  });
});
