import type { Tables } from '@antirio/store-redis';

export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE kv(
     key TEXT PRIMARY KEY,
     value TEXT NOT NULL,
     created INTEGER NOT NULL,
     modified INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE registration(
     service_id TEXT PRIMARY KEY,
     status TEXT NOT NULL,
     host TEXT NOT NULL,
     port INTEGER NOT NULL,
     check_interval TEXT NOT NULL, check_path TEXT NOT NULL, check_type TEXT NOT NULL,
     created INTEGER NOT NULL,
     modified INTEGER NOT NULL,
     last_connected INTEGER NOT NULL) WITHOUT ROWID`,
];

export const TABLES: Tables = {
  migrations: MIGRATIONS,
  keys: { kv: ['key'], registration: ['service_id'] },
};
