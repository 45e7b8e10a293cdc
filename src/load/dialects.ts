/** The dialects by name. */
import { BinaryDialect } from './binary-dialect.ts';
import type { Dialect, DialectParts } from './dialect.ts';
import { CLASSIC, META, TextDialect } from './text-dialect.ts';

export const DIALECT_NAMES = ['classic', 'meta', 'binary'] as const;
export type DialectName = (typeof DIALECT_NAMES)[number];

export function createDialect(name: DialectName, parts: DialectParts): Dialect {
  if (name === 'binary') return new BinaryDialect(parts);
  return new TextDialect(parts, name === 'classic' ? CLASSIC : META);
}
