import { constants, readdirSync } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';

/** An open file of a pack. */
export interface OpenFile {
  /** 0 at the end of the file. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  /** May write less than it was given. */
  writev(parts: readonly Uint8Array[], position: number): Promise<{ bytesWritten: number }>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** What packs need of a file system. Tests give one that is full, fails or loses power at any call. */
export interface FileLayer {
  /** Opens for reading and writing, creates where it is not there. */
  open(path: string): Promise<OpenFile>;
  remove(path: string): Promise<void>;
  /** Names in a folder. */
  list(folder: string): string[];
  /** Makes what was created in a folder, or removed from it, durable. */
  syncFolder(folder: string): Promise<void>;
}

export const nodeFiles: FileLayer = {
  open: async (path) => openFile(await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)),
  remove: (path) => rm(path, { force: true }),
  list: (folder) => readdirSync(folder),
  async syncFolder(path) {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  },
};

function openFile(file: FileHandle): OpenFile {
  return {
    read: (buffer, offset, length, position) => file.read(buffer, offset, length, position),
    writev: (parts, position) => file.writev(parts, position),
    datasync: () => file.datasync(),
    sync: () => file.sync(),
    truncate: (size) => file.truncate(size),
    size: async () => (await file.stat()).size,
    close: () => file.close(),
  };
}
