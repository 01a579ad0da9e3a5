import { statfsSync } from 'node:fs';
import type { Database } from './database.ts';

/** A small change takes less. */
const ROOM_BYTES = 64 << 10;

/** Whether a SQLite file takes writes. */
export interface WriteCheck {
  /**
   * There is room on its disk; or, once a write has failed, a small one was made just now. Nothing is written while all is well: a commit
   * holds the process up, and wears cards out.
   */
  ok(): boolean;
  /** A write has failed, for want of room or otherwise. */
  failed(): void;
}

export function createWriteCheck(db: Database): WriteCheck {
  const path = db.location() ?? '';
  let isDoubtful = false;
  return {
    ok() {
      if (isDoubtful) isDoubtful = !takesWrites(db);
      return !isDoubtful && hasRoom(path);
    },
    failed() {
      isDoubtful = true;
    },
  };
}

/** A commit of what was there before: locks alone are taken on a full disk, too. */
function takesWrites(db: Database): boolean {
  try {
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
    db.exec(`PRAGMA user_version=${version}`);
    return true;
  } catch {
    return false;
  }
}

/** What is reserved for root is room only for root. A disk that cannot be asked, or says nothing of its size, may be well. */
function hasRoom(path: string): boolean {
  try {
    const { bavail, bfree, blocks, bsize } = statfsSync(path);
    const free = process.getuid?.() === 0 ? bfree : bavail;
    return blocks === 0 || free * bsize >= ROOM_BYTES;
  } catch {
    return true;
  }
}
