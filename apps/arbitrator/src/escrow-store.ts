import { inTransaction, openDatabase } from '@antirio/host';
import type { ShareDelivery } from './sealed-keys.ts';

/** The shares that an arbitrator keeps for contracts of others. */
export interface EscrowStore {
  put(contractId: string, keyVersion: number, delivery: ShareDelivery): void;
  get(contractId: string, keyVersion: number): ShareDelivery | undefined;
  contracts(): string[];
  forget(contractId: string): void;
  close(): void;
}

/** An opening may still be under way with the version before. */
const VERSIONS_KEPT = 2;

const migrations = [
  `CREATE TABLE share (contract TEXT NOT NULL, key_version INTEGER NOT NULL, json TEXT NOT NULL, header TEXT NOT NULL, PRIMARY KEY (contract, key_version)) STRICT`,
];

/** Every method that writes has reached the disk when it returns. */
export function openEscrowStore(path: string): EscrowStore {
  const db = openDatabase(path, migrations);
  const upsert = db.prepare(
    'INSERT INTO share (contract, key_version, json, header) VALUES (?, ?, ?, ?) ON CONFLICT (contract, key_version) DO UPDATE SET json = excluded.json, header = excluded.header',
  );
  const select = db.prepare('SELECT json, header FROM share WHERE contract = ? AND key_version = ?');
  const selectContracts = db.prepare('SELECT DISTINCT contract FROM share');
  const outdate = db.prepare('DELETE FROM share WHERE contract = ? AND key_version <= ?');
  const remove = db.prepare('DELETE FROM share WHERE contract = ?');
  return {
    put(contractId, keyVersion, { header, share }) {
      inTransaction(db, () => {
        upsert.run(contractId, keyVersion, JSON.stringify(share), JSON.stringify(header));
        outdate.run(contractId, keyVersion - VERSIONS_KEPT);
      });
    },
    get(contractId, keyVersion) {
      const row = select.get(contractId, keyVersion);
      if (row === undefined) return undefined;
      // written by `put`
      return {
        share: JSON.parse(String(row['json'])) as ShareDelivery['share'],
        header: JSON.parse(String(row['header'])) as ShareDelivery['header'],
      };
    },
    contracts: () => selectContracts.all().map((row) => String(row['contract'])),
    forget: (contractId) => void remove.run(contractId),
    close: () => {
      db.close();
    },
  };
}
