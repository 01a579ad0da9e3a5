import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AntirioError, isAntirioError } from '@antirio/kernel';

export interface WrittenFile {
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
}

/** Files that this process is writing. */
const writing = new Set<string>();
const FULL = new Set(['ENOSPC', 'EDQUOT']);

/**
 * Writes a stream to a file that is there, whole and durable, once this returns; when it throws, what was there before
 * is untouched. Until then the bytes are in a file of its own beside it, whose name ends in `.part`.
 * @throws AntirioError busy while the same file is being written, storageFull where there is no room, and what the stream throws; unavailable otherwise
 */
export async function writeStreamDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
): Promise<WrittenFile> {
  const place = resolve(path);
  if (writing.has(place)) throw new AntirioError('busy', `${path} is being written`, { path });
  writing.add(place);
  const temporary = `${place}.${randomUUID()}.part`;
  try {
    await mkdir(dirname(place), { recursive: true });
    const written = await writeAll(temporary, source);
    await rename(temporary, place);
    const folder = await open(dirname(place), 'r');
    await folder.sync().finally(() => folder.close());
    return written;
  } catch (cause) {
    await rm(temporary, { force: true });
    if (isAntirioError(cause)) throw cause;
    throw new AntirioError(codeOf(cause), `cannot write ${path}`, { path }, cause);
  } finally {
    writing.delete(place);
  }
}

function codeOf(cause: unknown): 'storageFull' | 'unavailable' {
  const isFull = cause instanceof Error && 'code' in cause && FULL.has(String(cause.code));
  return isFull ? 'storageFull' : 'unavailable';
}

async function writeAll(path: string, source: AsyncIterable<Uint8Array>): Promise<WrittenFile> {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let size = 0;
    for await (const bytes of source) {
      hash.update(bytes);
      for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
      size += bytes.length;
    }
    await file.sync();
    return { size, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}
