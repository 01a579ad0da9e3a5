import { accessSync, constants, mkdirSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { AntirioError } from '@antirio/kernel';

/** Below this the stores could not write what they acknowledge for long: nothing is started. */
const LEAST_FREE_BYTES = 32 * 1024 * 1024;
/** When this was written: a clock that is behind it is wrong. */
const EARLIEST_CLOCK = Date.UTC(2026, 0, 1);
/** Certificates and contracts end long before. */
const LATEST_CLOCK = Date.UTC(2100, 0, 1);

const megabytes = (bytes: number): string => `${Math.floor(bytes / 1024 / 1024)} MB`;

/** What is wrong with a clock that shows this time (ms since 1970), and what to do; undefined where nothing is. */
export function clockFault(wallMs: number): string | undefined {
  if (wallMs >= EARLIEST_CLOCK && wallMs < LATEST_CLOCK) return undefined;
  const shown = new Date(wallMs).toISOString().slice(0, 16);
  return `the clock says ${shown} UTC, which it is not: readings and contracts would carry wrong times. Set it (timedatectl set-ntp true, or the time of the host where this is a container)`;
}

/** What is wrong with so little room on a disk, and what to do; undefined where there is enough. */
export function spaceFault(folder: string, freeBytes: number): string | undefined {
  if (freeBytes >= LEAST_FREE_BYTES) return undefined;
  return `${folder} has ${megabytes(freeBytes)} left, and ${megabytes(LEAST_FREE_BYTES)} are needed to start: free some, or choose another --data-dir`;
}

interface Who {
  readonly uid: number;
  /** Of the folder, or of the nearest one above it that is there. */
  readonly owner: number;
}

/** Why a data folder cannot be used, and what to do, by the code of the system call that failed. */
export function folderFault(folder: string, code: string | undefined, { uid, owner }: Who): string {
  switch (code) {
    case 'EROFS':
      return `the data folder ${folder} is on a read-only file system: mount a volume there, or choose another --data-dir`;
    case 'ENOSPC':
      return `there is no room for the data folder ${folder}: free some, or choose another --data-dir`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `the data folder ${folder} cannot be made: a file is in its place`;
    default:
      return `this user (uid ${uid}) may not write the data folder ${folder}, which belongs to uid ${owner}: give it to this user (chown -R ${uid} ${folder}), or choose another --data-dir`;
  }
}

function nearestOwner(folder: string): number {
  const stats = statSync(folder, { throwIfNoEntry: false });
  return stats === undefined && dirname(folder) !== folder
    ? nearestOwner(dirname(folder))
    : (stats?.uid ?? 0);
}

/**
 * Makes the data folder, and makes sure that it can be worked in.
 * @throws AntirioError unavailable saying what is wrong with it and what to do
 */
export function openDataFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const who = { uid: process.getuid?.() ?? 0, owner: nearestOwner(folder) };
    throw new AntirioError('unavailable', folderFault(folder, code, who), { folder }, cause);
  }
  const { bavail, bsize } = statfsSync(folder);
  const fault = spaceFault(folder, bavail * bsize);
  if (fault !== undefined) throw new AntirioError('unavailable', fault, { folder });
}
