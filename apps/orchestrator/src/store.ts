import { join } from 'node:path';
import { inTransaction, openDatabase, type Database } from '@antirio/host';
import { parseJson, stringifyJson } from '@antirio/edgex-contracts';
import type { CustomerContract, CustomerImage, ProviderContract } from './flow/records.ts';
import type { ServiceRecord } from './service/service-record.ts';
import type { VolumeRecord } from './volume/volume-records.ts';

/** Records of one kind by key, each durable when `put` returns. */
export interface Records<T> {
  get(key: string): T | undefined;
  /** In the order in which they were first put. */
  all(): T[];
  put(record: T): T;
  remove(key: string): void;
}

export interface OrchestratorStore {
  readonly customers: Records<CustomerContract>;
  readonly images: Records<CustomerImage>;
  readonly providers: Records<ProviderContract>;
  /** By serviceId. */
  readonly services: Records<ServiceRecord>;
  readonly volumes: Records<VolumeRecord>;
  transaction<T>(work: () => T): T;
  close(): void;
}

const TABLES = ['customer_contract', 'customer_image', 'provider_contract', 'service'] as const;
const VOLUMES = 'volume';

const created = (name: string): string =>
  `CREATE TABLE ${name} (key TEXT PRIMARY KEY, place INTEGER NOT NULL, record TEXT NOT NULL)`;

const MIGRATIONS = [
  TABLES.map(created).join(';'),
  // From here on a contract may have more than one version of its service
  "UPDATE service SET record = json_set(record, '$.serviceId', key, '$.role', 'current')",
  created(VOLUMES),
];

function records<T>(
  db: Database,
  table: (typeof TABLES)[number] | typeof VOLUMES,
  keyOf: (record: T) => string,
): Records<T> {
  const select = db.prepare(`SELECT record FROM ${table} WHERE key = ?`);
  const every = db.prepare(`SELECT record FROM ${table} ORDER BY place`);
  const upsert = db.prepare(
    `INSERT INTO ${table} (key, place, record) VALUES (?, (SELECT coalesce(max(place), 0) + 1 FROM ${table}), ?)` +
      ' ON CONFLICT (key) DO UPDATE SET record = excluded.record',
  );
  const erase = db.prepare(`DELETE FROM ${table} WHERE key = ?`);
  const read = (row: Record<string, unknown>): T => parseJson(String(row['record'])) as T;
  return {
    get(key) {
      const row = select.get(key);
      return row === undefined ? undefined : read(row);
    },
    all: () => every.all().map(read),
    put(record) {
      upsert.run(keyOf(record), stringifyJson(record));
      return record;
    },
    remove(key) {
      erase.run(key);
    },
  };
}

export function openStore(dir: string): OrchestratorStore {
  const db = openDatabase(join(dir, 'orchestrator.db'), MIGRATIONS);
  return {
    customers: records(db, 'customer_contract', (record) => record.id),
    images: records(db, 'customer_image', (record) => record.imageId),
    providers: records(db, 'provider_contract', (record) => record.contractId),
    services: records(db, 'service', (record) => record.serviceId),
    volumes: records(db, VOLUMES, (record) => record.key),
    transaction: (work) => inTransaction(db, work),
    close: () => db.close(),
  };
}
