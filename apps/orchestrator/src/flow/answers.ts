import type { z } from 'zod';
import { issuesOf } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';

/** What another room answered. @throws AntirioError unavailable when it is not what was agreed: it may be on its way up or down. */
export function parseAnswer<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AntirioError('unavailable', `unexpected answer: ${issuesOf(parsed.error)}`);
}
