/** The configuration as JSON Schema, for editors that complete and check YAML. */

import { z } from 'zod';
import { configSchema } from './schema.ts';

/**
 * Draft 7, which editors' YAML support reads. Rules that involve more than one field are not in it: `keysteer` itself
 * checks those.
 */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { target: 'draft-7', io: 'input' });
  return {
    $schema,
    $id: 'urn:keysteer:config',
    title: 'Keysteer configuration',
    ...schema,
  };
}
