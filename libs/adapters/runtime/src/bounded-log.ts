import { open, readFile, rename, type FileHandle } from 'node:fs/promises';

/** Output of a service in two files of half the limit each: the older is dropped when the newer is full. */
export interface BoundedLog {
  /** Never waits: what the disk does not take in time is dropped and counted. */
  write(chunk: Uint8Array): void;
  /** The newest bytes. */
  tail(maxBytes: number): Promise<string>;
  readonly droppedBytes: number;
  close(): Promise<void>;
}

const MAX_PENDING_BYTES = 256 * 1024;

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch {
    return Buffer.alloc(0);
  }
}

export function openBoundedLog(path: string, maxBytes: number): BoundedLog {
  const older = `${path}.1`;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let dropped = 0;
  let file: FileHandle | undefined;
  let size = 0;
  let working: Promise<void> | undefined;

  const put = async (bytes: Uint8Array): Promise<void> => {
    if (file !== undefined && size + bytes.length > maxBytes / 2) {
      await file.close();
      file = undefined;
      await rename(path, older);
    }
    if (file === undefined) {
      file = await open(path, 'a', 0o600);
      size = (await file.stat()).size;
    }
    await file.appendFile(bytes);
    size += bytes.length;
  };
  const drain = async (): Promise<void> => {
    while (pending.length > 0) {
      const batch = Buffer.concat(pending);
      pending = [];
      pendingBytes = 0;
      // A full disk takes the log, never the service
      await put(batch.subarray(-Math.floor(maxBytes / 2))).catch(() => (dropped += batch.length));
    }
    working = undefined;
  };
  return {
    get droppedBytes() {
      return dropped;
    },
    write(chunk) {
      if (pendingBytes + chunk.length > MAX_PENDING_BYTES) {
        dropped += chunk.length;
        return;
      }
      pending.push(chunk);
      pendingBytes += chunk.length;
      working ??= drain();
    },
    async tail(wanted) {
      await working;
      const all = Buffer.concat([await contentOf(older), await contentOf(path)]);
      return all.subarray(Math.max(0, all.length - wanted)).toString('utf8');
    },
    async close() {
      await working;
      await file?.close();
      file = undefined;
    },
  };
}
