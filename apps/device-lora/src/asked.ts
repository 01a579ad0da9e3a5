import { inTransaction, type Database } from '@antirio/host';
import type { Asked } from './own-ring.ts';

/** Kept in the service's store. */
export function createAsked(db: Database): Asked {
  const all = db.prepare('SELECT name FROM ring_name');
  const clear = db.prepare('DELETE FROM ring_name');
  const insert = db.prepare('INSERT INTO ring_name VALUES (?)');
  return {
    all: () => new Set(all.all().map((row) => String(row['name']))),
    replace: (names) =>
      inTransaction(db, () => {
        clear.run();
        for (const name of names) insert.run(name);
      }),
  };
}
