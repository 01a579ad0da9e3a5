import { readFileSync } from 'node:fs';
import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';

const redis = z.strictObject({
  kind: z.literal('redis'),
  /** `redis://host:port/db`, or `rediss://` with TLS. A user's name may be in it, a password may not: see `passwordFile`. */
  url: z
    .string()
    .regex(
      /^rediss?:\/\/(?:[^:@/]+@)?[^@/]+(?:\/\d{1,3})?$/,
      'redis://[user@]host[:port][/db], without a password',
    ),
  /** A file of mode 0600 with the password alone. */
  passwordFile: z.string().min(1).optional(),
  /** What all keys begin with. Two edges that share a Redis have to have different ones. */
  keyPrefix: z
    .string()
    .regex(/^[A-Za-z0-9:_.-]{1,64}$/)
    .default('antirio:'),
  /** What takes longer than that, connecting anew included, is refused with 503. */
  answerWithinMs: z.int().min(100).max(60_000).default(5000),
  /** Runs with a Redis whose settings lose what was acknowledged, or that does not tell them: a warning in place of a refusal. */
  unchecked: z.boolean().default(false),
});

/** Where a service keeps what it stores: in a SQLite file of its data folder, or in Redis. */
export const storeOptions = z
  .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('sqlite') }), redis])
  .default({ kind: 'sqlite' });

export type RedisStoreOptions = z.output<typeof redis>;
export type StoreOptions = z.output<typeof storeOptions>;

/** @throws AntirioError badConfig */
export function passwordIn(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new AntirioError('badConfig', `the password of Redis cannot be read from ${path}`, { path }, cause);
  }
}
