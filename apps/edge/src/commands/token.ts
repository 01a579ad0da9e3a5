import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { addToken, parseScope, readTokens, revokeToken, systemClock, type TokenEntry } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { tokensFile } from '../access.ts';
import type { EdgeConfig } from '../config.ts';
import { lockRoom } from '../instance-lock.ts';
import { roomNames } from '../loaders.ts';
import { textTable } from '../text-table.ts';
import { print } from './ask-room.ts';

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^([1-9]\d{0,4})([mhd])$/;

/** `30m`, `12h`, `90d`, or a date (`2027-01-31`, `2027-01-31T12:00:00Z`), as wall milliseconds. @throws AntirioError invalidInput */
export function expiryOf(text: string, now: number): number {
  const [, count, unit] = DURATION.exec(text) ?? [];
  const at =
    count === undefined ? Date.parse(text) : now + Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  if (Number.isNaN(at))
    throw new AntirioError('invalidInput', `${text} is no time: 30m, 12h, 90d, or a date such as 2027-01-31`);
  if (at <= now) throw new AntirioError('invalidInput', `${text} is over already`);
  return at;
}

/** A service that there is none of would be a token for nothing, found out at night. */
function checkService(text: string): void {
  const scope = parseScope(text);
  if (scope.kind !== 'service' || scope.service === '*' || roomNames().includes(scope.service)) return;
  throw new AntirioError(
    'invalidInput',
    `there is no service ${scope.service}; there are: ${roomNames().join(' ')}`,
  );
}

/** One command at a time changes the file. */
async function changing<T>(config: EdgeConfig, change: (path: string) => T): Promise<T> {
  const lock = await lockRoom(config.dataDir, 'tokens');
  try {
    const path = tokensFile(config);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return change(path);
  } finally {
    await lock.release();
  }
}

export interface TokenFlags {
  readonly scope: readonly string[];
  readonly expires?: string | undefined;
  readonly name?: string | undefined;
  readonly json?: boolean | undefined;
}

const shown = ({ sha256: _, ...entry }: TokenEntry): object => entry;

/** The token itself is printed once, and kept nowhere. */
export async function createToken(config: EdgeConfig, flags: TokenFlags): Promise<void> {
  const { scope: scopes, expires, name = '', json } = flags;
  if (name.length > 128) throw new AntirioError('invalidInput', 'the name has more than 128 characters');
  for (const scope of scopes) checkService(scope);
  const now = systemClock.now();
  const expiresAt = expires === undefined ? undefined : expiryOf(expires, now);
  const { token, entry } = await changing(config, (path) =>
    addToken(path, { name, scopes: [...new Set(scopes)], expiresAt }, now),
  );
  if (json === true) {
    print(JSON.stringify({ ...shown(entry), token }));
    return;
  }
  print(token);
  process.stderr.write(
    `token ${entry.id}: it is shown this once; send it as Authorization: Bearer <token>\n`,
  );
}

const dateOf = (at: number | undefined): string => (at === undefined ? 'never' : new Date(at).toISOString());

export function listTokens(config: EdgeConfig, json: boolean): void {
  const tokens = readTokens(tokensFile(config));
  if (json) print(JSON.stringify({ tokens: tokens.map(shown) }));
  else if (tokens.length === 0) print('no tokens');
  else {
    const now = systemClock.now();
    const rows = tokens.map(({ id, name, scopes, createdAt, expiresAt }) => [
      id,
      name,
      scopes.join(' '),
      dateOf(createdAt),
      expiresAt !== undefined && expiresAt <= now ? `${dateOf(expiresAt)} (over)` : dateOf(expiresAt),
    ]);
    print(textTable([['ID', 'NAME', 'SCOPES', 'MADE', 'EXPIRES'], ...rows]));
  }
}

export async function revoke(config: EdgeConfig, id: string): Promise<void> {
  await changing(config, (path) => revokeToken(path, id));
  print(`${id} is revoked: within a second nobody may use it any more`);
}
