import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { readFileIfThere, writeFileDurably } from './atomic-file.ts';
import { issuesOf } from './config.ts';
import type { Log } from './log.ts';
import { parseScope, type Scope } from './scopes.ts';
import { watchedFiles } from './watched-files.ts';

const isScope = (text: string): boolean => {
  try {
    parseScope(text);
    return true;
  } catch {
    return false;
  }
};

const entry = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{12}$/),
  name: z.string().max(128),
  scopes: z.array(z.string().refine(isScope, 'no scope')).min(1).max(64),
  /** Of the whole token, in hex: it has 256 random bits, so that nothing slower is needed. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Wall milliseconds. */
  createdAt: z.number(),
  expiresAt: z.number().optional(),
});

const MAX_TOKENS = 1000;
const tokenFile = z.strictObject({ tokens: z.array(entry).max(MAX_TOKENS) });

/** A token as it is kept: without what its bearer knows. */
export type TokenEntry = z.output<typeof entry>;

const TOKEN = /^antirio_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;
const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** @throws AntirioError badConfig */
export function readTokens(path: string): TokenEntry[] {
  const bytes = readFileIfThere(path);
  if (bytes === undefined) return [];
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new AntirioError('badConfig', `${path} holds no tokens`, { path }, cause);
  }
  const parsed = tokenFile.safeParse(found);
  if (!parsed.success)
    throw new AntirioError('badConfig', `${path} holds no tokens: ${issuesOf(parsed.error)}`, { path });
  return parsed.data.tokens;
}

const writeTokens = (path: string, tokens: readonly TokenEntry[]): void =>
  writeFileDurably(path, `${JSON.stringify({ tokens }, undefined, 2)}\n`, 0o600);

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt?: number | undefined;
}

/** A new secret for a bearer: `antirio_<id>_<256 random bits>`. */
export function makeToken(): { readonly id: string; readonly token: string } {
  const id = randomBytes(6).toString('hex');
  return { id, token: `antirio_${id}_${randomBytes(32).toString('base64url')}` };
}

/** Adds a token; only its hash is kept. @throws AntirioError invalidInput | storageFull */
export function addToken(
  path: string,
  { name, scopes, expiresAt }: NewToken,
  now: number,
): { readonly token: string; readonly entry: TokenEntry } {
  for (const scope of scopes) parseScope(scope);
  // what has expired makes room
  const kept = readTokens(path).filter((one) => one.expiresAt === undefined || one.expiresAt > now);
  if (kept.length >= MAX_TOKENS)
    throw new AntirioError('storageFull', `there are ${MAX_TOKENS} tokens: revoke some first`);
  const { id, token } = makeToken();
  const made: TokenEntry = {
    id,
    name,
    scopes: [...scopes],
    sha256: digestOf(token).toString('hex'),
    createdAt: now,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  writeTokens(path, [...kept, made]);
  return { token, entry: made };
}

/** @throws AntirioError notFound */
export function revokeToken(path: string, id: string): void {
  const tokens = readTokens(path);
  const kept = tokens.filter((one) => one.id !== id);
  if (kept.length === tokens.length) throw new AntirioError('notFound', `there is no token ${id}`);
  writeTokens(path, kept);
}

/** What a bearer may do, by its token. */
export interface Tokens {
  /** Undefined for what is no token, was revoked, or has expired. */
  scopesOf(token: string): readonly Scope[] | undefined;
}

interface Known {
  readonly digest: Buffer;
  readonly scopes: readonly Scope[];
  readonly expiresAt: number;
}

/** In a time that tells nothing of what differs. */
export const isSameToken = (a: string, b: string): boolean => timingSafeEqual(digestOf(a), digestOf(b));

const NOBODY = Buffer.alloc(32);

/** The tokens of a file, which may change: what is revoked counts no more a second later. @throws AntirioError badConfig */
export function openTokens(path: string, clock: { now(): number; monotonic(): number }, log: Log): Tokens {
  const known = watchedFiles(
    [path],
    () =>
      new Map<string, Known>(
        readTokens(path).map(({ id, sha256, scopes, expiresAt = Infinity }) => [
          id,
          { digest: Buffer.from(sha256, 'hex'), scopes: scopes.map(parseScope), expiresAt },
        ]),
      ),
    log,
    () => clock.monotonic(),
  );
  return {
    scopesOf(token) {
      const id = TOKEN.exec(token)?.[1];
      const found = id === undefined ? undefined : known().get(id);
      const same = timingSafeEqual(digestOf(token), found?.digest ?? NOBODY);
      return found !== undefined && same && clock.now() < found.expiresAt ? found.scopes : undefined;
    },
  };
}

/** The token that a file holds for those who call. @throws AntirioError badConfig */
export function readTokenFile(path: string): string {
  const bytes = readFileIfThere(path);
  const token = Buffer.from(bytes ?? [])
    .toString('utf8')
    .trim();
  if (!TOKEN.test(token))
    throw new AntirioError(
      'badConfig',
      `${path} ${bytes === undefined ? 'is not there' : 'holds no token'}: write there what antirio token create says`,
    );
  return token;
}

/** The same, read again when it has changed. @throws AntirioError badConfig */
export function tokenSource(path: string, clock: { monotonic(): number }, log: Log): () => string {
  return watchedFiles(
    [path],
    () => readTokenFile(path),
    log,
    () => clock.monotonic(),
  );
}
