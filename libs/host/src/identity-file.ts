import { statSync } from 'node:fs';
import {
  AntirioError,
  fromUtf8,
  generateIdentity,
  openIdentity,
  type Identity,
  type StoredIdentity,
} from '@antirio/kernel';
import { readFileIfThere, writeFileDurably } from './atomic-file.ts';

function isStored(value: unknown): value is StoredIdentity {
  if (typeof value !== 'object' || value === null) return false;
  const { edgeId, ed25519, x25519 } = value as Partial<Record<keyof StoredIdentity, unknown>>;
  return [edgeId, ed25519, x25519].every((text) => typeof text === 'string');
}

const noIdentity = (path: string): string =>
  `${path} holds no identity, or half of one: put your backup of it there; an edge that has none to put removes it and is a new edge from then on`;

/** @throws AntirioError badConfig when there is no such file, others may read it, or it holds no identity. */
export function readIdentityFile(path: string): Identity {
  const bytes = readFileIfThere(path);
  if (bytes === undefined)
    throw new AntirioError('badConfig', `there is no identity ${path}: make one with antirio init`);
  if ((statSync(path).mode & 0o077) !== 0)
    throw new AntirioError('badConfig', `${path} may be read by others: chmod 600 it`, { path });
  let stored: unknown;
  try {
    stored = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new AntirioError('badConfig', noIdentity(path), { path }, cause);
  }
  if (!isStored(stored)) throw new AntirioError('badConfig', noIdentity(path), { path });
  return openIdentity(stored);
}

/** Makes a new identity in a file of mode 0600. @throws AntirioError conflict when there is one already. */
export function makeIdentityFile(path: string): Identity {
  if (readFileIfThere(path) !== undefined)
    throw new AntirioError('conflict', `${path} is there already`, { path });
  const stored = generateIdentity();
  writeFileDurably(path, `${JSON.stringify(stored, undefined, 2)}\n`, 0o600);
  return openIdentity(stored);
}
