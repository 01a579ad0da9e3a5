import { createWriteCheck, inTransaction, openDatabase, type WriteCheck } from '@antirio/host';
import type { SealedBox } from '@antirio/kernel';
import {
  ABOVE_RECORD,
  nextBlock,
  provenWithin,
  type LeaseGrant,
  type LedgerSight,
  type Reservation,
} from '@antirio/service-contract';

/** A share of the time when they were kept here, without the customer's signature. */
export interface OldShare {
  readonly contractId: string;
  readonly keyVersion: number;
  readonly share: SealedBox;
}

/** What the central arbitrator must not forget: reserved counter blocks. */
export interface GrantorStore {
  /**
   * The slot's next block above every block reserved for that customer's device by anyone, in whichever set: the counters
   * are the session's. With it goes the highest counter that a device surely heard, as anyone has told. On the disk when this returns.
   */
  reserve(customer: string, wanted: readonly Reservation[]): LeaseGrant['blocks'];
  /** The highest block of the ledger that we saw. */
  seen(): LedgerSight | undefined;
  putSeen(seen: LedgerSight): void;
  oldShares(): OldShare[];
  /** Once they are kept elsewhere. */
  forgetOldShares(): void;
  readonly writes: WriteCheck;
  close(): void;
}

const SHARES = `CREATE TABLE IF NOT EXISTS share (contract TEXT PRIMARY KEY, key_version INTEGER NOT NULL, json TEXT NOT NULL) STRICT`;

const migrations = [
  `${SHARES};
   CREATE TABLE block (customer TEXT NOT NULL, dev_addr TEXT NOT NULL, highest INTEGER NOT NULL, PRIMARY KEY (customer, dev_addr)) STRICT`,
  SHARES,
  'CREATE TABLE seen (one INTEGER PRIMARY KEY CHECK (one = 1), height INTEGER NOT NULL, state_hash TEXT NOT NULL) STRICT',
  // the second step has dropped it once
  SHARES,
  'ALTER TABLE block ADD COLUMN proven INTEGER',
];

/** What is known of it, which never goes back; of a party that says more than can be, nothing. */
function highestOf(kept: unknown, told: number | undefined, given: number): number | undefined {
  const known = provenWithin(typeof kept === 'number' ? kept : undefined, given);
  const said = provenWithin(told, given);
  return known === undefined ? said : Math.max(known, said ?? known);
}

export function openGrantorStore(path: string): GrantorStore {
  const db = openDatabase(path, migrations);
  const writes = createWriteCheck(db);
  const selectBlock = db.prepare('SELECT highest, proven FROM block WHERE customer = ? AND dev_addr = ?');
  const upsertBlock = db.prepare(
    'INSERT INTO block (customer, dev_addr, highest, proven) VALUES (?, ?, ?, ?) ON CONFLICT (customer, dev_addr) DO UPDATE SET highest = excluded.highest, proven = excluded.proven',
  );
  const selectSeen = db.prepare('SELECT height, state_hash FROM seen');
  const upsertSeen = db.prepare('INSERT OR REPLACE INTO seen (one, height, state_hash) VALUES (1, ?, ?)');
  const selectShares = db.prepare('SELECT contract, key_version, json FROM share');
  return {
    oldShares: () =>
      selectShares.all().map((row) => ({
        contractId: String(row['contract']),
        keyVersion: Number(row['key_version']),
        share: JSON.parse(String(row['json'])) as SealedBox,
      })),
    forgetOldShares: () => {
      db.exec('DELETE FROM share');
    },
    reserve: (customer, wanted) =>
      inTransaction(db, () =>
        wanted.map(({ devAddr, slot, above, proven }) => {
          const row = selectBlock.get(customer, devAddr);
          // of a device that is new here the customer has given out blocks itself
          const given = Number(row?.['highest'] ?? above);
          const index = nextBlock(slot, Math.max(given, above));
          // what was used on promises is recorded with this
          const known = Math.max(given, Math.min(above, given + ABOVE_RECORD));
          const heard = highestOf(row?.['proven'], proven, known);
          upsertBlock.run(customer, devAddr, index, heard ?? null);
          return { devAddr, index, ...(heard === undefined ? {} : { proven: heard }) };
        }),
      ),
    seen() {
      const row = selectSeen.get();
      return row === undefined
        ? undefined
        : { height: Number(row['height']), stateHash: String(row['state_hash']) };
    },
    putSeen: ({ height, stateHash }) => void upsertSeen.run(height, stateHash),
    writes,
    close: () => {
      db.close();
    },
  };
}
