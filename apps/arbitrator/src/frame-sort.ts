import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AntirioError } from '@antirio/kernel';

/** A frame by what it is sorted by; `group` is a device with one session. */
export interface SortedFrame {
  readonly group: number;
  readonly fcnt: number;
  /** SHA-256 of its PHYPayload. */
  readonly digest: Uint8Array;
}

/** Sorts any number of frames in little memory: what does not fit in it is in a file meanwhile. Each is there once. */
export interface FrameSort {
  add(frames: readonly SortedFrame[]): void;
  /** By group, FCnt, digest. */
  sorted(): Iterable<SortedFrame>;
  /** Removes the file. */
  close(): void;
}

/** Of pages that are not in the file yet, or were read from it. */
const CACHE_KB = 8192;

/** @throws AntirioError storageFull, when the file cannot be written. */
export function openFrameSort(path: string): FrameSort {
  mkdirSync(dirname(path), { recursive: true });
  // of a process that was killed; nothing of it is needed
  rmSync(path, { force: true });
  const db = new DatabaseSync(path);
  // it is lost with the process, and made again
  db.exec(`PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY;
    PRAGMA cache_size=-${CACHE_KB};
    CREATE TABLE frame (device INTEGER, fcnt INTEGER, digest BLOB, PRIMARY KEY (device, fcnt, digest)) WITHOUT ROWID`);
  const insert = db.prepare('INSERT OR IGNORE INTO frame VALUES (?, ?, ?)');
  const select = db.prepare('SELECT device, fcnt, digest FROM frame ORDER BY device, fcnt, digest');
  const addAll = (frames: readonly SortedFrame[]): void => {
    db.exec('BEGIN');
    for (const { group, fcnt, digest } of frames) insert.run(group, fcnt, digest);
    db.exec('COMMIT');
  };
  return {
    add(frames) {
      try {
        addAll(frames);
      } catch (cause) {
        throw new AntirioError('storageFull', 'a statement cannot be sorted', { path }, cause);
      }
    },
    *sorted() {
      for (const row of select.iterate())
        yield {
          group: Number(row['device']),
          fcnt: Number(row['fcnt']),
          digest: row['digest'] as Uint8Array,
        };
    },
    close() {
      db.close();
      rmSync(path, { force: true });
    },
  };
}
