import { createGroupCommit, openDatabase, type Database, type GroupCommit } from '@antirio/host';
import type { Tables } from './mirror.ts';
import type { StoreOptions } from './options.ts';
import type { RedisStorePorts } from './redis-store.ts';

/** The tables of a service, and how they are written durably: in a SQLite file, or in Redis. */
export interface OpenedTables {
  readonly db: Database;
  readonly commit: GroupCommit;
}

/**
 * @param name of the service.
 * @param path of the file, where it is one.
 * @throws AntirioError badConfig | unavailable
 */
export async function openTables(
  options: StoreOptions,
  { name, path, tables }: { readonly name: string; readonly path: string; readonly tables: Tables },
  ports: RedisStorePorts,
): Promise<OpenedTables> {
  if (options.kind === 'sqlite') {
    const db = openDatabase(path, tables.migrations);
    return { db, commit: createGroupCommit({ db, path }) };
  }
  const { openMirror } = await import('./mirror.ts');
  return openMirror(options, name, tables, ports);
}
