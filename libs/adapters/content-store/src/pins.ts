import { openDatabase } from '@antirio/host';
import type { Clock } from '@antirio/kernel';
import { parseCid, type CID } from './block.ts';

/** What is kept, and for whose sake. */
export interface Pin {
  /** Who wants it kept: `image/<id>`, `contract/<id>`; one name pins one root with all that is below it. */
  readonly name: string;
  readonly cid: CID;
  /** Milliseconds since the Unix epoch. */
  readonly since: number;
}

/** Durable names of roots. Unlike the index they cannot be derived from anything. */
export interface Pins {
  set(name: string, cid: CID): void;
  remove(name: string): boolean;
  all(): Pin[];
  close(): void;
}

export function openPins(path: string, clock: Clock): Pins {
  const db = openDatabase(path, [
    'CREATE TABLE pin (name TEXT PRIMARY KEY, cid TEXT NOT NULL, since INTEGER NOT NULL)',
  ]);
  // Two processes appending to the same packs would destroy them: the lock lasts until the file is closed.
  db.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; COMMIT');
  return {
    set(name, cid) {
      db.prepare('INSERT OR REPLACE INTO pin (name, cid, since) VALUES (?, ?, ?)').run(
        name,
        cid.toString(),
        clock.now(),
      );
    },
    remove: (name) => db.prepare('DELETE FROM pin WHERE name = ?').run(name).changes > 0,
    all: () =>
      db
        .prepare('SELECT name, cid, since FROM pin ORDER BY name')
        .all()
        .map((row) => ({
          name: String(row['name']),
          cid: parseCid(String(row['cid'])),
          since: Number(row['since']),
        })),
    close: () => {
      db.close();
    },
  };
}
