import { inTransaction, type Database } from '@antirio/host';
import type { Asked } from './own-ring.ts';

/** Kept in the service's store. */
export function createAsked(db: Database): Asked {
  const insert = db.prepare('INSERT INTO ring_name VALUES (?) ON CONFLICT DO NOTHING');
  const drop = db.prepare('DELETE FROM ring_name WHERE name = ?');
  let names: ReadonlySet<string> = new Set(
    db
      .prepare('SELECT name FROM ring_name')
      .all()
      .map((row) => String(row['name'])),
  );
  return {
    all: () => names,
    add(more) {
      if (more.length === 0) return;
      inTransaction(db, () => {
        for (const name of more) insert.run(name);
      });
      names = new Set([...names, ...more]);
    },
    remove(some) {
      if (some.length === 0) return;
      inTransaction(db, () => {
        for (const name of some) drop.run(name);
      });
      const gone = new Set(some);
      names = new Set([...names].filter((name) => !gone.has(name)));
    },
  };
}
