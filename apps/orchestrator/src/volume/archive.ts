import { constants, createReadStream } from 'node:fs';
import { chmod, lchown, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { extract, pack, type Header, type Pack } from 'tar-stream';
import { AntirioError, createSha256 } from '@antirio/kernel';
import { asGone, createTreeDigest, stampOf, walkTree, type TreeEntry, type TreeLimits } from './tree.ts';

export interface VolumeFolder {
  readonly name: string;
  readonly dir: string;
  readonly maxBytes: number;
}

export interface Packed {
  /** By volume: over paths, modes and contents. */
  readonly digests: Readonly<Record<string, string>>;
  /** Of all volumes together: equal where nothing has changed since. */
  readonly stamp: string;
  readonly bytes: number;
}

export const MOST_ENTRIES = 20_000;

const limitsOf = ({ maxBytes }: VolumeFolder): TreeLimits => ({ maxBytes, maxEntries: MOST_ENTRIES });

/** Undefined where a volume's folder is not there. @throws as walkTree does */
export async function stampOfAll(folders: readonly VolumeFolder[]): Promise<string> {
  const stamps: string[] = [];
  for (const one of folders) stamps.push(`${one.name}:${stampOf(await walkTree(one.dir, limitsOf(one)))}`);
  return stamps.join(' ');
}

interface Drainable {
  once(event: 'drain' | 'close', listener: () => void): unknown;
}

/** Also where nobody reads on: whoever writes next is told so. */
function drained(stream: Drainable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('close', resolve);
  });
}

async function addFile(tar: Pack, name: string, path: string, { mode, size }: TreeEntry): Promise<string> {
  const hash = createSha256();
  let sent = 0;
  const entry = tar.entry({ name, type: 'file', mode, size, mtime: new Date(0) });
  const written = new Promise<void>((resolve, reject) => {
    entry.once('finish', resolve);
    entry.once('error', reject);
    entry.once('close', resolve);
  });
  written.catch(() => undefined);
  for await (const chunk of createReadStream(path, { flags: 'r' })) {
    const bytes = chunk as Buffer;
    sent += bytes.length;
    if (sent > size) break;
    hash.update(bytes);
    if (entry.destroyed) throw new AntirioError('unavailable', `nobody takes ${name} any more`);
    if (!entry.write(bytes)) await drained(entry);
  }
  if (sent !== size) {
    const changed = new AntirioError('conflict', `${name} changed while it was read`);
    entry.destroy(changed);
    throw changed;
  }
  (entry as unknown as Writable).end();
  await written;
  return hash.hex();
}

async function addVolume(tar: Pack, folder: VolumeFolder, entries: readonly TreeEntry[]): Promise<string> {
  const digest = createTreeDigest();
  for (const entry of entries) {
    const name = entry.path === '' ? folder.name : `${folder.name}/${entry.path}`;
    if (entry.type === 'file')
      digest.add(entry, await addFile(tar, name, join(folder.dir, entry.path), entry));
    else {
      tar.entry({ name: `${name}/`, type: 'directory', mode: entry.mode, mtime: new Date(0) });
      digest.add(entry, '');
    }
  }
  return digest.hex();
}

async function fill(tar: Pack, folders: readonly VolumeFolder[]): Promise<Packed> {
  const walked = new Map<VolumeFolder, TreeEntry[]>();
  for (const one of folders) walked.set(one, await walkTree(one.dir, limitsOf(one)));
  const digests: Record<string, string> = {};
  let bytes = 0;
  for (const [one, entries] of walked) {
    digests[one.name] = await addVolume(tar, one, entries).catch((error: unknown) => {
      throw asGone(one.dir, error);
    });
    bytes += entries.reduce((sum, { size }) => sum + size, 0);
  }
  for (const [one, entries] of walked)
    if (stampOf(await walkTree(one.dir, limitsOf(one))) !== stampOf(entries))
      throw new AntirioError('conflict', `the volume ${one.name} changed while it was read`);
  const stamp = [...walked].map(([one, entries]) => `${one.name}:${stampOf(entries)}`).join(' ');
  return { digests, stamp, bytes };
}

/**
 * The volumes as one tar, to be read while `packed` is awaited. That rejects with `conflict` where anything changed meanwhile: what was read
 * is then of no moment at all and has to be thrown away.
 */
export function packVolumes(folders: readonly VolumeFolder[]): {
  readonly tar: AsyncIterable<Uint8Array>;
  readonly packed: Promise<Packed>;
} {
  const tar = pack();
  const packed = fill(tar, folders).then(
    (done) => {
      tar.finalize();
      return done;
    },
    (error: unknown) => {
      tar.destroy(error as Error);
      throw error;
    },
  );
  packed.catch(() => undefined);
  return { tar: tar as unknown as AsyncIterable<Uint8Array>, packed };
}

export interface UnpackTarget {
  /** Empty, and nobody else's. */
  readonly dir: string;
  readonly maxBytes: number;
  /** Whose the files shall be, where not this process's own. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

interface Unpacking {
  readonly targets: ReadonlyMap<string, UnpackTarget>;
  readonly bytes: Map<string, number>;
  readonly folders: string[];
  entries: number;
}

/** Where an entry goes. @throws AntirioError corrupt where its name leads anywhere else */
function placeOf({ name }: Header, targets: Unpacking['targets']): readonly [string, UnpackTarget, string] {
  const [volume = '', ...below] = name.replace(/\/$/, '').split('/');
  const target = targets.get(volume);
  const isPlain = below.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
  if (target === undefined || !isPlain)
    throw new AntirioError('corrupt', `the snapshot names a file outside of its volumes: ${name}`);
  return [volume, target, join(target.dir, ...below)];
}

async function writeFile(path: string, body: Readable, { owner }: UnpackTarget, mode: number): Promise<void> {
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants;
  const handle = await open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
  try {
    for await (const bytes of body) await handle.writeFile(bytes as Uint8Array);
    await handle.chmod(mode);
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function count({ size }: Header, volume: string, { maxBytes }: UnpackTarget, unpacking: Unpacking): void {
  unpacking.entries++;
  const bytes = (unpacking.bytes.get(volume) ?? 0) + size;
  unpacking.bytes.set(volume, bytes);
  if (bytes > maxBytes) throw new AntirioError('tooLarge', `the volume ${volume} has over ${maxBytes} bytes`);
  if (unpacking.entries > MOST_ENTRIES * unpacking.targets.size)
    throw new AntirioError('tooLarge', 'the snapshot has too many files');
}

async function takeFolder(path: string, { owner }: UnpackTarget, mode: number): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
  // Not before its files are in it
  await chmod(path, mode | 0o700);
}

async function takeEntry(header: Header, body: Readable, unpacking: Unpacking): Promise<void> {
  const [volume, target, path] = placeOf(header, unpacking.targets);
  count(header, volume, target, unpacking);
  const mode = header.mode & 0o777;
  if (header.type === 'file') return writeFile(path, body, target, mode);
  if (header.type !== 'directory')
    throw new AntirioError('corrupt', `the snapshot holds a ${header.type}: ${header.name}`);
  if (path === target.dir) return;
  await takeFolder(path, target, mode);
  unpacking.folders.push(path);
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Unpacks a snapshot into new folders, durably. @throws AntirioError corrupt | tooLarge; what the source and the disk say
 */
export async function unpackVolumes(
  source: AsyncIterable<Uint8Array>,
  targets: ReadonlyMap<string, UnpackTarget>,
): Promise<void> {
  const unpacking: Unpacking = { targets, bytes: new Map(), folders: [], entries: 0 };
  const tar = extract();
  const feeding = (async () => {
    try {
      for await (const bytes of source) if (!tar.write(bytes)) await drained(tar);
      (tar as unknown as Writable).end();
    } catch (error) {
      tar.destroy(error as Error);
      throw error;
    }
  })();
  feeding.catch(() => undefined);
  try {
    for await (const entry of tar) {
      await takeEntry(entry.header, entry as unknown as Readable, unpacking);
      entry.resume();
    }
    await feeding;
  } catch (error) {
    tar.destroy(error as Error);
    throw error instanceof AntirioError || isOfDisk(error)
      ? error
      : new AntirioError('corrupt', 'the snapshot is no tar, or is cut off', {}, error);
  }
  for (const path of [...unpacking.folders, ...[...targets.values()].map(({ dir }) => dir)])
    await syncFolder(path);
}

function isOfDisk(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException).syscall === 'string';
}
