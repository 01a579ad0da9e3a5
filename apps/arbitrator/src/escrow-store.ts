import { openDatabase } from '@antirio/host';
import type { GrantorStore, OldShare } from './grantor-store.ts';
import type { ShareDelivery } from './sealed-keys.ts';

/** The shares that an arbitrator keeps for contracts of others. */
export interface EscrowStore {
  put(contractId: string, keyVersion: number, delivery: ShareDelivery): void;
  versions(contractId: string): number[];
  /** Older ones are destroyed. */
  keepFrom(contractId: string, keyVersion: number): void;
  /** The share of this version alone is destroyed. */
  drop(contractId: string, keyVersion: number): void;
  /** Keeps a share that came without the customer's signature, where there is none of its version. */
  adopt(old: OldShare): void;
  get(contractId: string, keyVersion: number): ShareDelivery['share'] | undefined;
  /** The newest version that there is a share of. */
  newest(contractId: string): number | undefined;
  /** Keeps a share of drill keys; of each contract the newest `kept` versions. */
  putDrill(contractId: string, keyVersion: number, delivery: ShareDelivery, kept: number): void;
  drillShare(contractId: string, keyVersion: number): ShareDelivery['share'] | undefined;
  contracts(): string[];
  forget(contractId: string): void;
  close(): void;
}

const migrations = [
  `CREATE TABLE share (contract TEXT NOT NULL, key_version INTEGER NOT NULL, json TEXT NOT NULL, header TEXT NOT NULL, PRIMARY KEY (contract, key_version)) STRICT`,
  `CREATE TABLE drill_share (contract TEXT NOT NULL, key_version INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (contract, key_version)) STRICT`,
];

/** Every method that writes has reached the disk when it returns. */
export function openEscrowStore(path: string): EscrowStore {
  const db = openDatabase(path, migrations);
  const upsert = db.prepare(
    'INSERT INTO share (contract, key_version, json, header) VALUES (?, ?, ?, ?) ON CONFLICT (contract, key_version) DO UPDATE SET json = excluded.json, header = excluded.header',
  );
  const select = db.prepare('SELECT json FROM share WHERE contract = ? AND key_version = ?');
  const insertOld = db.prepare(
    "INSERT INTO share (contract, key_version, json, header) VALUES (?, ?, ?, 'null') ON CONFLICT DO NOTHING",
  );
  const selectNewest = db.prepare('SELECT max(key_version) AS newest FROM share WHERE contract = ?');
  const selectContracts = db.prepare('SELECT DISTINCT contract FROM share');
  const selectVersions = db.prepare('SELECT key_version FROM share WHERE contract = ? ORDER BY key_version');
  const outdate = db.prepare('DELETE FROM share WHERE contract = ? AND key_version < ?');
  const dropOne = db.prepare('DELETE FROM share WHERE contract = ? AND key_version = ?');
  const remove = db.prepare('DELETE FROM share WHERE contract = ?');
  const upsertDrill = db.prepare(
    'INSERT INTO drill_share (contract, key_version, json) VALUES (?, ?, ?) ON CONFLICT (contract, key_version) DO UPDATE SET json = excluded.json',
  );
  const outdateDrills = db.prepare(
    'DELETE FROM drill_share WHERE contract = ?1 AND key_version NOT IN (SELECT key_version FROM drill_share WHERE contract = ?1 ORDER BY key_version DESC LIMIT ?2)',
  );
  const selectDrill = db.prepare('SELECT json FROM drill_share WHERE contract = ? AND key_version = ?');
  const removeDrills = db.prepare('DELETE FROM drill_share WHERE contract = ?');
  return {
    putDrill(contractId, keyVersion, { share }, kept) {
      upsertDrill.run(contractId, keyVersion, JSON.stringify(share));
      outdateDrills.run(contractId, kept);
    },
    drillShare(contractId, keyVersion) {
      const row = selectDrill.get(contractId, keyVersion);
      return row === undefined ? undefined : (JSON.parse(String(row['json'])) as ShareDelivery['share']);
    },
    put(contractId, keyVersion, { header, share }) {
      upsert.run(contractId, keyVersion, JSON.stringify(share), JSON.stringify(header));
    },
    versions: (contractId) => selectVersions.all(contractId).map((row) => Number(row['key_version'])),
    keepFrom: (contractId, keyVersion) => void outdate.run(contractId, keyVersion),
    drop: (contractId, keyVersion) => void dropOne.run(contractId, keyVersion),
    get(contractId, keyVersion) {
      const row = select.get(contractId, keyVersion);
      return row === undefined ? undefined : (JSON.parse(String(row['json'])) as ShareDelivery['share']);
    },
    adopt: ({ contractId, keyVersion, share }) =>
      void insertOld.run(contractId, keyVersion, JSON.stringify(share)),
    newest(contractId) {
      const newest = selectNewest.get(contractId)?.['newest'];
      return typeof newest === 'number' ? newest : undefined;
    },
    contracts: () => selectContracts.all().map((row) => String(row['contract'])),
    forget(contractId) {
      removeDrills.run(contractId);
      remove.run(contractId);
    },
    close: () => {
      db.close();
    },
  };
}

/** Shares that the central arbitrator kept beside its counters are kept with all others. Done twice, it does no more than once. */
export function adoptOldShares(
  from: Pick<GrantorStore, 'oldShares' | 'forgetOldShares'>,
  to: EscrowStore,
): void {
  const old = from.oldShares();
  for (const share of old) to.adopt(share);
  if (old.length > 0) from.forgetOldShares();
}
