import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inTransaction, openDatabase, type Database } from '@antirio/host';
import type { Event } from '@antirio/edgex-contracts';
import { createEventWriter } from './event-writer.ts';
import { checkLayout, MIGRATIONS } from './schema.ts';

const EVENTS_AT_ONCE = 1000;

export const storePath = (dataDir: string): string => join(dataDir, 'core-data', 'events.db');

/**
 * Pages that many commits change are written to the file once for all of them. An event costs 3 KB of the log: at 12 000 events/s those
 * that wait while it is worked into the file are less than one in a hundred.
 */
const LOG_BYTES = 24 << 20;
/** What is written goes to the ends of many indexes. */
const CACHE_BYTES = 2 << 20;

/** @throws AntirioError badConfig when the file was laid out by another build; it is left as it is. */
export function openStore(dataDir: string): Database {
  const path = storePath(dataDir);
  const db = openDatabase(path, MIGRATIONS, {
    walBytes: LOG_BYTES,
    cacheBytes: CACHE_BYTES,
    givesBack: true,
  });
  try {
    checkLayout(db, path);
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

/**
 * Puts events into the store of a data folder that no room has open; those whose id is there already are left out. What was put in
 * before it was aborted stays.
 */
export async function importEvents(
  dataDir: string,
  events: Iterable<Event>,
  signal?: AbortSignal,
): Promise<void> {
  const db = openStore(dataDir);
  try {
    const writer = createEventWriter(db);
    const source: Iterator<Event> = events[Symbol.iterator]();
    const putSome = (): boolean => {
      for (let i = 0; i < EVENTS_AT_ONCE; i++) {
        const next = source.next();
        if (next.done === true) return false;
        writer.insert(next.value);
      }
      return true;
    };
    for (let more = true; more;) {
      signal?.throwIfAborted();
      more = inTransaction(db, () => {
        const left = putSome();
        writer.beforeCommit();
        return left;
      });
      await nextTurn();
    }
  } finally {
    db.close();
  }
}
