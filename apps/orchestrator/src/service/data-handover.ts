import { constants } from 'node:fs';
import { chmod, copyFile, lchown, lstat, mkdir, open, opendir, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';

export interface CopyLimits {
  readonly maxBytes: number;
  readonly maxEntries: number;
  /** Told to stop: what there is so far is for the caller to remove. */
  readonly signal: AbortSignal;
}

/** A service that has ended holds nothing back: what lies in its folder is what it would go on from itself. */
interface Copying extends CopyLimits {
  bytes: number;
  entries: number;
}

function count(copying: Copying, bytes: number): void {
  if (copying.signal.aborted)
    throw new AntirioError('timeout', 'copying the data of the version before takes too long');
  copying.entries++;
  copying.bytes += bytes;
  const { maxBytes, maxEntries, entries } = copying;
  if (copying.bytes > maxBytes)
    throw new AntirioError('tooLarge', `the data of the version before are over ${maxBytes} bytes`);
  if (entries > maxEntries)
    throw new AntirioError('tooLarge', `the data of the version before are over ${maxEntries} files`);
}

async function toDisk(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** For the user that owns the other one, where that is not this process's own. */
async function giveAway(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  const is = await lstat(path);
  if (is.uid !== uid || is.gid !== gid) await lchown(path, uid, gid);
}

async function copyEntry(from: string, to: string, copying: Copying): Promise<void> {
  const is = await lstat(from);
  count(copying, is.size);
  if (is.isDirectory()) return copyFolder(from, to, copying);
  // Never followed: it means what it meant, in the new folder
  if (is.isSymbolicLink()) await symlink(await readlink(from), to);
  else if (is.isFile()) {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await chmod(to, is.mode & 0o7777);
    await toDisk(to);
  } else return;
  await giveAway(to, is);
}

async function copyFolder(from: string, to: string, copying: Copying): Promise<void> {
  const is = await lstat(from);
  await mkdir(to, { mode: 0o700 });
  for await (const { name } of await opendir(from))
    await copyEntry(join(from, name), join(to, name), copying);
  await chmod(to, is.mode & 0o7777);
  await toDisk(to);
  await giveAway(to, is);
}

/**
 * Copies what a service left in its folder, durably: files, folders and symbolic links; sockets and the like mean nothing without who
 * made them. Nothing may write there meanwhile. @throws AntirioError tooLarge | timeout; and what the disk says
 */
export async function copyData(from: string, to: string, limits: CopyLimits): Promise<void> {
  await copyFolder(from, to, { ...limits, bytes: 0, entries: 0 });
}
