import { createReadStream } from 'node:fs';
import { AntirioError } from '@antirio/kernel';
import { forEachEntry } from './tar-entries.ts';

/** Where an entry's bytes stand in the file, so that they can be read in any order. */
export interface TarEntry {
  readonly type: string;
  readonly offset: number;
  readonly size: number;
  readonly linkName: string;
}

const MAX_ENTRIES = 4096;

/**
 * The entries of an uncompressed tar file by name; the last of one name counts.
 * @throws AntirioError corrupt when it is no tar, or one cut off.
 */
export async function indexTar(path: string): Promise<Map<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  await forEachEntry(createReadStream(path, { highWaterMark: 1 << 18 }), async ({ header, offset }) => {
    const { name, type, size, linkname } = header;
    entries.set(name.replace(/^\.\//, ''), { type, size, offset, linkName: linkname });
    if (entries.size > MAX_ENTRIES)
      throw new AntirioError('tooLarge', `the archive has more than ${MAX_ENTRIES} entries`);
  });
  return entries;
}
