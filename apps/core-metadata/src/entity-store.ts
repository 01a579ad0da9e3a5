import { join } from 'node:path';
import type { GroupCommit } from '@antirio/host';
import { openTables, type RedisStorePorts, type StoreOptions } from '@antirio/store-redis';
import { createEntities, type Entities } from './entities.ts';
import { TABLES } from './schema.ts';

/** Where entities are kept: what is read is there at once, what is written within the work of a commit is durable when that resolves. */
export interface EntityStore {
  readonly entities: Entities;
  readonly commit: GroupCommit;
  close(): Promise<void>;
}

/** The store that the options name. @throws AntirioError badConfig | unavailable */
export async function openEntityStore(
  { dataDir, store }: { readonly dataDir: string; readonly store: StoreOptions },
  ports: RedisStorePorts,
): Promise<EntityStore> {
  const path = join(dataDir, 'core-metadata', 'metadata.db');
  const { db, commit } = await openTables(store, { name: 'core-metadata', path, tables: TABLES }, ports);
  return {
    entities: createEntities(db),
    commit,
    async close() {
      await commit.close();
      db.close();
    },
  };
}
