import { inTransaction, openDatabase } from '@antirio/host';
import { sha256Hex, utf8, canonicalJson } from '@antirio/kernel';

/** What a customer's arbitrator away from its edges keeps of one contract. */
export interface BookedContract {
  readonly contractId: string;
  readonly customer: string;
  /** As the ledger said last: its record of the contract. */
  readonly record: unknown;
  /** It is over, and all of it is here. */
  readonly closed: boolean;
}

export interface BookedFact {
  /** The ledger's key, or `root/<hash>` for a root that the edge told. */
  readonly name: string;
  /** When it came, wall ms of this arbitrator. */
  readonly at: number;
  readonly value: unknown;
}

export interface BookedReport {
  readonly at: number;
  readonly value: unknown;
}

export interface CustomerBook {
  /** Makes room for it where it is new. False where there is none. */
  admit(contractId: string): boolean;
  put(contract: BookedContract): void;
  get(contractId: string): BookedContract | undefined;
  all(): BookedContract[];
  /** Kept once, whoever tells it and how often; what changed is kept beside what it was. Of each kind, the name up to its slash, the newest ones. */
  note(contractId: string, fact: BookedFact): void;
  /** Oldest first. */
  facts(contractId: string): BookedFact[];
  /** The newest one takes the place of the one before. */
  putReport(contractId: string, report: BookedReport): void;
  report(contractId: string): BookedReport | undefined;
  close(): void;
}

/** Of one kind and contract. */
export const FACTS_KEPT = 64;

const migrations = [
  `CREATE TABLE contract (id TEXT PRIMARY KEY, customer TEXT NOT NULL, json TEXT NOT NULL, closed INTEGER NOT NULL) STRICT;
   CREATE TABLE fact (contract TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, hash TEXT NOT NULL, at INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (contract, name, hash)) STRICT;
   CREATE TABLE report (contract TEXT PRIMARY KEY, at INTEGER NOT NULL, json TEXT NOT NULL) STRICT`,
];

type Row = Record<string, unknown>;

const contractIn = (row: Row): BookedContract => ({
  contractId: String(row['id']),
  customer: String(row['customer']),
  record: JSON.parse(String(row['json'])) as unknown,
  closed: row['closed'] === 1,
});

const valueIn = (row: Row): BookedReport => ({
  at: Number(row['at']),
  value: JSON.parse(String(row['json'])) as unknown,
});

/** Every method that writes has reached the disk when it returns. Of more than `most` contracts those that are over go first. */
export function openCustomerBook(path: string, most: number): CustomerBook {
  const db = openDatabase(path, migrations);
  const upsert = db.prepare(
    'INSERT INTO contract (id, customer, json, closed) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json, closed = excluded.closed',
  );
  const select = db.prepare('SELECT * FROM contract WHERE id = ?');
  const selectAll = db.prepare('SELECT * FROM contract ORDER BY rowid');
  const count = db.prepare('SELECT count(*) AS n FROM contract');
  const oldestClosed = db.prepare('SELECT id FROM contract WHERE closed = 1 ORDER BY rowid LIMIT 1');
  const insertFact = db.prepare(
    'INSERT INTO fact (contract, name, kind, hash, at, json) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const outdate = db.prepare(
    'DELETE FROM fact WHERE contract = ?1 AND kind = ?2 AND rowid NOT IN (SELECT rowid FROM fact WHERE contract = ?1 AND kind = ?2 ORDER BY rowid DESC LIMIT ?3)',
  );
  const selectFacts = db.prepare('SELECT name, at, json FROM fact WHERE contract = ? ORDER BY rowid');
  const upsertReport = db.prepare(
    'INSERT INTO report (contract, at, json) VALUES (?, ?, ?) ON CONFLICT (contract) DO UPDATE SET at = excluded.at, json = excluded.json',
  );
  const selectReport = db.prepare('SELECT at, json FROM report WHERE contract = ?');
  const removals = ['contract WHERE id', 'fact WHERE contract', 'report WHERE contract'].map((where) =>
    db.prepare(`DELETE FROM ${where} = ?`),
  );
  const hasRoom = (): boolean => {
    if (Number(count.get()?.['n']) < most) return true;
    const oldest = oldestClosed.get()?.['id'];
    if (typeof oldest !== 'string') return false;
    for (const removal of removals) removal.run(oldest);
    return true;
  };
  return {
    admit: (contractId) => inTransaction(db, () => select.get(contractId) !== undefined || hasRoom()),
    put: ({ contractId, customer, record, closed }) =>
      void upsert.run(contractId, customer, JSON.stringify(record), closed ? 1 : 0),
    get(contractId) {
      const row = select.get(contractId);
      return row === undefined ? undefined : contractIn(row);
    },
    all: () => selectAll.all().map(contractIn),
    note(contractId, { name, at, value }) {
      const json = canonicalJson(value);
      inTransaction(db, () => {
        const [kind = name] = name.split('/');
        const { changes } = insertFact.run(contractId, name, kind, sha256Hex(utf8(json)), at, json);
        if (Number(changes) > 0) outdate.run(contractId, kind, FACTS_KEPT);
      });
    },
    facts: (contractId) =>
      selectFacts.all(contractId).map((row) => ({ name: String(row['name']), ...valueIn(row) })),
    putReport: (contractId, { at, value }) => void upsertReport.run(contractId, at, JSON.stringify(value)),
    report(contractId) {
      const row = selectReport.get(contractId);
      return row === undefined ? undefined : valueIn(row);
    },
    close: () => {
      db.close();
    },
  };
}
