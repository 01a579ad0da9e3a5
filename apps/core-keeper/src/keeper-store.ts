import { join } from 'node:path';
import type { GroupCommit } from '@antirio/host';
import { openTables, type RedisStorePorts, type StoreOptions } from '@antirio/store-redis';
import { createKeyStore, type KeyStore } from './key-store.ts';
import { createRegistrations, type Registrations } from './registrations.ts';
import { TABLES } from './schema.ts';

/** Where keys and registrations are kept: what is read is there at once, what is written within the work of a commit is durable when that resolves. */
export interface KeeperStore {
  readonly keys: KeyStore;
  readonly registrations: Registrations;
  readonly commit: GroupCommit;
  close(): Promise<void>;
}

interface KeeperStoreOptions {
  readonly dataDir: string;
  readonly store: StoreOptions;
  readonly maxKeys: number;
  readonly maxRegistrations: number;
}

/** The store that the options name. @throws AntirioError badConfig | unavailable */
export async function openKeeperStore(
  { dataDir, store, maxKeys, maxRegistrations }: KeeperStoreOptions,
  ports: RedisStorePorts,
): Promise<KeeperStore> {
  const path = join(dataDir, 'core-keeper', 'keeper.db');
  const { db, commit } = await openTables(store, { name: 'core-keeper', path, tables: TABLES }, ports);
  return {
    keys: createKeyStore(db, maxKeys),
    registrations: createRegistrations(db, maxRegistrations),
    commit,
    async close() {
      await commit.close();
      db.close();
    },
  };
}
