import type { BigIntStats } from 'node:fs';
import { createReadStream } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AntirioError, createSha256, sha256Hex, utf8 } from '@antirio/kernel';

export interface TreeEntry {
  /** Below the volume, with slashes; empty for the volume itself. */
  readonly path: string;
  readonly type: 'file' | 'directory';
  /** Permissions only. */
  readonly mode: number;
  readonly size: number;
  /** Whatever of the disk's word for it changes with its content. */
  readonly stamp: string;
}

export interface TreeLimits {
  readonly maxBytes: number;
  readonly maxEntries: number;
}

const SEGMENT_BYTES = 200;

function entryOf(path: string, is: BigIntStats): TreeEntry | undefined {
  // They mean nothing without who made them
  if (is.isSocket() || is.isFIFO()) return undefined;
  if (!is.isFile() && !is.isDirectory())
    throw new AntirioError(
      'invalidInput',
      `${path} is neither a file nor a folder: volumes hold nothing else`,
      {
        path,
      },
    );
  const type = is.isFile() ? 'file' : 'directory';
  const mode = Number(is.mode & 0o777n);
  const size = is.isFile() ? Number(is.size) : 0;
  // A folder's own times change with what is put beside its files and taken away again
  const stamp = is.isFile() ? `${is.ino}/${is.mtimeNs}/${is.ctimeNs}/${is.size}` : `${is.ino}`;
  return { path, type, mode, size, stamp };
}

/**
 * Everything in a volume, by path. @throws AntirioError invalidInput (a link, a device, a name that is too long) | tooLarge | notFound
 */
export async function walkTree(root: string, { maxBytes, maxEntries }: TreeLimits): Promise<TreeEntry[]> {
  const found: TreeEntry[] = [];
  let bytes = 0;
  const visit = async (path: string): Promise<void> => {
    const entry = entryOf(path, await lstat(join(root, path), { bigint: true }));
    if (entry === undefined) return;
    found.push(entry);
    bytes += entry.size;
    if (bytes > maxBytes)
      throw new AntirioError('tooLarge', `over ${maxBytes} bytes in ${root}`, { maxBytes });
    if (found.length > maxEntries)
      throw new AntirioError('tooLarge', `over ${maxEntries} files in ${root}`, { maxEntries });
    if (entry.type === 'file') return;
    for (const name of (await readdir(join(root, path))).sort()) {
      if (utf8(name).length > SEGMENT_BYTES)
        throw new AntirioError('invalidInput', `a name of over ${SEGMENT_BYTES} bytes`, { name });
      await visit(path === '' ? name : `${path}/${name}`);
    }
  };
  try {
    await visit('');
  } catch (cause) {
    throw asGone(root, cause);
  }
  return found;
}

const codeOf = (cause: unknown): string => (cause as NodeJS.ErrnoException).code ?? '';

/** A file that goes while it is read is a change like any other. */
export function asGone(root: string, cause: unknown): unknown {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(codeOf(cause))
    ? new AntirioError('conflict', `${root} changed while it was read`, {}, cause)
    : cause;
}

/** Equal where nothing has changed; said without reading any content. */
export function stampOf(entries: readonly TreeEntry[]): string {
  const lines = entries.map(({ path, type, mode, stamp }) => `${type} ${mode} ${stamp} ${path}`);
  return sha256Hex(utf8(lines.join('\n')));
}

/** Hash over paths, modes and contents, made entry by entry in their order. */
export interface TreeDigest {
  add(entry: Pick<TreeEntry, 'path' | 'type' | 'mode'>, contentHash: string): void;
  hex(): string;
}

export function createTreeDigest(): TreeDigest {
  const hash = createSha256();
  return {
    add({ path, type, mode }, contentHash) {
      // Who owns the volume itself, and with which rights, is the host's matter
      hash.update(utf8(`${type} ${path === '' ? '' : mode} ${contentHash} ${JSON.stringify(path)}\n`));
    },
    hex: () => hash.hex(),
  };
}

async function hashOf(path: string): Promise<string> {
  const hash = createSha256();
  for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  return hash.hex();
}

/** Undefined where the volume is not there, or empty. @throws as walkTree does */
export async function digestTree(root: string, limits: TreeLimits): Promise<string | undefined> {
  if ((await lstat(root).catch(() => undefined)) === undefined) return undefined;
  const entries = await walkTree(root, limits);
  if (entries.length <= 1) return undefined;
  const digest = createTreeDigest();
  for (const entry of entries)
    digest.add(entry, entry.type === 'file' ? await hashOf(join(root, entry.path)) : '');
  return digest.hex();
}
