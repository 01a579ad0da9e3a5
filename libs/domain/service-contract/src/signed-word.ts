import { z } from 'zod';

/** What somebody has signed as this kind. `by` is checked where the word is, against the contract or the keys that count: here it is only text. */
export const signedAs = <const Kind extends string, Body extends z.ZodType>(kind: Kind, body: Body) =>
  z.strictObject({
    kind: z.literal(kind),
    by: z.string().max(64),
    body,
    signature: z.string().max(128),
  });
