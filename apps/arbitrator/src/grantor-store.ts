import { inTransaction, openDatabase } from '@antirio/host';
import { nextBlock, type Reservation } from '@antirio/service-contract';
import type { SealedBox } from '@antirio/kernel';

/** What the central arbitrator must not forget: key shares and reserved counter blocks. */
export interface GrantorStore {
  putShare(contractId: string, keyVersion: number, share: SealedBox): void;
  share(contractId: string): { readonly keyVersion: number; readonly share: SealedBox } | undefined;
  /**
   * The slot's next block above every block reserved for that customer's device by anyone, in whichever set: the counters
   * are the session's. On the disk when this returns.
   */
  reserve(
    customer: string,
    wanted: readonly Reservation[],
  ): { readonly devAddr: string; readonly index: number }[];
  writable(): boolean;
  close(): void;
}

const migrations = [
  `CREATE TABLE share (contract TEXT PRIMARY KEY, key_version INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
   CREATE TABLE block (customer TEXT NOT NULL, dev_addr TEXT NOT NULL, highest INTEGER NOT NULL, PRIMARY KEY (customer, dev_addr)) STRICT`,
];

export function openGrantorStore(path: string): GrantorStore {
  const db = openDatabase(path, migrations);
  const upsertShare = db.prepare(
    'INSERT INTO share (contract, key_version, json) VALUES (?, ?, ?) ON CONFLICT (contract) DO UPDATE SET key_version = excluded.key_version, json = excluded.json WHERE excluded.key_version >= share.key_version',
  );
  const selectShare = db.prepare('SELECT key_version, json FROM share WHERE contract = ?');
  const selectBlock = db.prepare('SELECT highest FROM block WHERE customer = ? AND dev_addr = ?');
  const upsertBlock = db.prepare(
    'INSERT INTO block (customer, dev_addr, highest) VALUES (?, ?, ?) ON CONFLICT (customer, dev_addr) DO UPDATE SET highest = excluded.highest',
  );
  return {
    putShare: (contractId, keyVersion, share) =>
      void upsertShare.run(contractId, keyVersion, JSON.stringify(share)),
    share(contractId) {
      const row = selectShare.get(contractId);
      if (row === undefined) return undefined;
      return { keyVersion: Number(row['key_version']), share: JSON.parse(String(row['json'])) as SealedBox };
    },
    reserve: (customer, wanted) =>
      inTransaction(db, () =>
        wanted.map(({ devAddr, slot, above }) => {
          const highest = Number(selectBlock.get(customer, devAddr)?.['highest'] ?? -1);
          const index = nextBlock(slot, Math.max(highest, above));
          upsertBlock.run(customer, devAddr, index);
          return { devAddr, index };
        }),
      ),
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
