import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AntirioError } from '@antirio/kernel';

export interface WrittenFile {
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
}

/**
 * Writes a stream to a file that is there, whole and durable, once this returns; when it throws, what was there before
 * is untouched. @throws AntirioError storageFull, and what the stream throws.
 */
export async function writeStreamDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
): Promise<WrittenFile> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.part`;
  try {
    const written = await writeAll(temporary, source);
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r');
    await folder.sync().finally(() => folder.close());
    return written;
  } catch (cause) {
    await rm(temporary, { force: true });
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('storageFull', `cannot write ${path}`, { path }, cause);
  }
}

async function writeAll(path: string, source: AsyncIterable<Uint8Array>): Promise<WrittenFile> {
  const file = await open(path, 'w', 0o600);
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
