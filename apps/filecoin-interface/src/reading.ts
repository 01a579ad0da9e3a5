import {
  claimedBytes,
  fileSize,
  readDirectory,
  type BlockSource,
  type BlockStore,
  type CID,
} from '@antirio/content-store';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import type { Seen } from './progress.ts';

/** Told of what was read by now. */
export type OnSeen = (seen: Seen) => void;

/** @throws AntirioError timeout where nobody waits for it any more */
export function requireGoing(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new AntirioError('timeout', 'it was broken off');
}

/** Whether an object is a directory, as images are. @throws AntirioError notFound | corrupt */
export async function isDirectory(store: BlockStore, cid: CID): Promise<boolean> {
  try {
    await readDirectory(store, cid);
    return true;
  } catch (error) {
    if (isAntirioError(error, 'invalidInput')) return false;
    throw error;
  }
}

/** Bytes of content of a file, or of all files of a directory. */
async function contentBytes(store: BlockStore, cid: CID): Promise<number> {
  if (!(await isDirectory(store, cid))) return fileSize(store, cid);
  let sum = 0;
  for (const entry of await readDirectory(store, cid)) sum += await fileSize(store, entry.cid);
  return sum;
}

/** The same blocks; somebody is told how much of the content has been read. Nodes between the blocks of a file count as well. */
export async function watched(
  store: BlockStore,
  cid: CID,
  onSeen: OnSeen = () => undefined,
  signal?: AbortSignal,
): Promise<BlockSource> {
  const totalBytes = await contentBytes(store, cid);
  let read = 0;
  let blocks = 0;
  return {
    has: (one) => store.has(one),
    async get(one) {
      requireGoing(signal);
      const bytes = await store.get(one);
      read += bytes.length;
      blocks++;
      onSeen({ bytes: Math.min(read, totalBytes), totalBytes, blocks });
      return bytes;
    },
  };
}

/** What the root of a DAG says of all of it, as soon as it is here; undefined as long as it is not. */
export function totalOf(store: BlockStore, root: CID): () => number | undefined {
  let total: number | undefined;
  let isAsked = false;
  return () => {
    if (!isAsked && store.has(root)) {
      isAsked = true;
      store.get(root).then(
        (bytes) => (total = claimedBytes(root, bytes)),
        // then nobody knows
        () => undefined,
      );
    }
    return total;
  };
}
