import { inTransaction, openDatabase } from '@antirio/host';
import { nextBlock, type LedgerSight, type Reservation } from '@antirio/service-contract';

/** What the central arbitrator must not forget: reserved counter blocks. */
export interface GrantorStore {
  /**
   * The slot's next block above every block reserved for that customer's device by anyone, in whichever set: the counters
   * are the session's. On the disk when this returns.
   */
  reserve(
    customer: string,
    wanted: readonly Reservation[],
  ): { readonly devAddr: string; readonly index: number }[];
  /** The highest block of the ledger that we saw. */
  seen(): LedgerSight | undefined;
  putSeen(seen: LedgerSight): void;
  writable(): boolean;
  close(): void;
}

const migrations = [
  `CREATE TABLE share (contract TEXT PRIMARY KEY, key_version INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
   CREATE TABLE block (customer TEXT NOT NULL, dev_addr TEXT NOT NULL, highest INTEGER NOT NULL, PRIMARY KEY (customer, dev_addr)) STRICT`,
  'DROP TABLE share',
  'CREATE TABLE seen (one INTEGER PRIMARY KEY CHECK (one = 1), height INTEGER NOT NULL, state_hash TEXT NOT NULL) STRICT',
];

export function openGrantorStore(path: string): GrantorStore {
  const db = openDatabase(path, migrations);
  const selectBlock = db.prepare('SELECT highest FROM block WHERE customer = ? AND dev_addr = ?');
  const upsertBlock = db.prepare(
    'INSERT INTO block (customer, dev_addr, highest) VALUES (?, ?, ?) ON CONFLICT (customer, dev_addr) DO UPDATE SET highest = excluded.highest',
  );
  const selectSeen = db.prepare('SELECT height, state_hash FROM seen');
  const upsertSeen = db.prepare('INSERT OR REPLACE INTO seen (one, height, state_hash) VALUES (1, ?, ?)');
  return {
    reserve: (customer, wanted) =>
      inTransaction(db, () =>
        wanted.map(({ devAddr, slot, above }) => {
          const highest = Number(selectBlock.get(customer, devAddr)?.['highest'] ?? -1);
          const index = nextBlock(slot, Math.max(highest, above));
          upsertBlock.run(customer, devAddr, index);
          return { devAddr, index };
        }),
      ),
    seen() {
      const row = selectSeen.get();
      return row === undefined
        ? undefined
        : { height: Number(row['height']), stateHash: String(row['state_hash']) };
    },
    putSeen: ({ height, stateHash }) => void upsertSeen.run(height, stateHash),
    writable() {
      try {
        db.exec('BEGIN IMMEDIATE; ROLLBACK');
        return true;
      } catch {
        return false;
      }
    },
    close: () => {
      db.close();
    },
  };
}
