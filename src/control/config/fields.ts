/** Kinds of fields of the configuration: each states its rule in words that complete "<field> is <value>; it …". */

import { z } from 'zod';

/** A section with these fields and no others. */
export const mapping = <S extends z.core.$ZodLooseShape>(fields: S) =>
  z.strictObject(fields, { error: `must be a mapping with the fields ${Object.keys(fields).join(', ')}` });

export const textLike = (pattern: RegExp, error: string) => z.string({ error }).regex(pattern, { error });

export const oneOf = <const M extends readonly string[]>(members: M) =>
  z.enum(members, { error: `must be ${members.join(' or ')}` });

export const yesOrNo = () => z.boolean({ error: 'must be true or false' });

export const wholeNumber = (from: number, to: number, error = `must be a whole number from ${from} to ${to}`) =>
  z.int({ error }).min(from, { error }).max(to, { error });

/** A literal of all members, so that an editor can offer them. */
export const powerOfTwo = (from: number, to: number) => {
  const members: number[] = [];
  for (let member = from; member <= to; member *= 2) members.push(member);
  return z.literal(members, { error: `must be a power of two from ${from} to ${to}` });
};

/** A number between two, `from` and `to` among them. */
export const number = (from: number, to: number) => {
  const error = `must be a number from ${from} to ${to}`;
  return z.number({ error }).min(from, { error }).max(to, { error });
};

/** A part of a whole. */
export const share = () => number(0, 1);
