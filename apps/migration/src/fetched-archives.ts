import { createHash } from 'node:crypto';
import { createReadStream, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { FetchRecord, FetchedService } from './records.ts';

/** No imported file has such a name by chance. */
export const archiveName = (contractId: string): string => `contract-${contractId}.tar`;

export const serviceArchiveName = (contractId: string, name: string): string =>
  `contract-${contractId}.${name}.tar`;

/** Where an archive of this name is. */
export const archivePath = (dataDir: string, name: string): string => join(dataDir, 'images', name);

/** All that were written for it, also those that are not yet told of. */
export function removeArchives(dataDir: string, { contractId, services = [] }: FetchRecord): void {
  const names = services.map(({ name }) => serviceArchiveName(contractId, name));
  for (const name of [archiveName(contractId), ...names]) rmSync(archivePath(dataDir, name), { force: true });
}

/** One that was downloaded is gone from the disk. */
export const hasLostArchive = ({ state, archive, services = [] }: FetchRecord): boolean =>
  state === 'DOWNLOADED' &&
  [archive, ...services.map((one) => one.archive)].some((path) => path !== undefined && !existsSync(path));

/** Every archive is what it was when it was written. */
export async function hasWholeArchive({
  archive,
  archiveSha256,
  services = [],
}: FetchRecord): Promise<boolean> {
  for (const one of [{ archive, archiveSha256 }, ...services]) if (!(await isWholeFile(one))) return false;
  return true;
}

async function isWholeFile({
  archive,
  archiveSha256,
}: Pick<FetchedService, 'archive' | 'archiveSha256'>): Promise<boolean> {
  if (archive === undefined || archiveSha256 === undefined) return false;
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(archive), hash);
  } catch {
    // What the disk does not give is not whole
    return false;
  }
  return hash.digest('hex') === archiveSha256;
}
