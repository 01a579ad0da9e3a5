import { createGroupCommit, type BatchLimits, type GroupCommit } from '@antirio/host';
import type { EventStore } from './event-store.ts';
import { createEventReader } from './event-reader.ts';
import { createEventWriter } from './event-writer.ts';
import { createArrivals } from './forwarding/arrivals.ts';
import { openStore, storePath } from './import-events.ts';
import { createSources } from './sources.ts';

const EVENTS_AT_ONCE = 400;
/** What `PRAGMA auto_vacuum` says of a file that can be made smaller. */
const INCREMENTAL = 2;
/** Given back in one transaction, which the events wait for. */
const PAGES_AT_ONCE = 256;
/** 4 MiB, for what comes next. */
const KEPT_PAGES = 1024;

/** Events in a SQLite file of the data folder. @throws AntirioError badConfig | unavailable */
export function openSqliteEventStore(dataDir: string, limits: BatchLimits): EventStore {
  const db = openStore(dataDir);
  const writer = createEventWriter(db);
  const hooks = { beforeCommit: () => writer.beforeCommit(), onRollback: () => writer.onRollback() };
  const commit: GroupCommit = createGroupCommit({ db, path: storePath(dataDir), ...limits, ...hooks });
  const pages = (what: string): number => Number(db.prepare(`PRAGMA ${what}`).get()?.[what]);
  return {
    get pending() {
      return commit.pending;
    },
    get refused() {
      return commit.refused;
    },
    get failed() {
      return commit.failed;
    },
    get broken() {
      return commit.broken;
    },
    reader: createEventReader(db, writer.keys),
    sources: createSources(db),
    arrivals: createArrivals(db),
    insert: (event, bytes, options) => commit.run(bytes, () => writer.insert(event), options),
    remove: (uuid) => commit.run(0, () => writer.deleteById(uuid)),
    noteDeletion: (deletion) =>
      commit.run(0, () => {
        writer.noteDeletion(deletion);
        writer.deleteSome(EVENTS_AT_ONCE);
      }),
    deleteSome: () => commit.run(0, () => writer.deleteSome(EVENTS_AT_ONCE)),
    removeAt: (arrivals) => commit.run(0, () => writer.deleteAll(arrivals), { bounded: true }),
    bytes: () => Promise.resolve((pages('page_count') - pages('freelist_count')) * pages('page_size')),
    async giveBack() {
      if (pages('auto_vacuum') !== INCREMENTAL || pages('freelist_count') <= KEPT_PAGES) return false;
      await commit.run(0, () => db.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`), { bounded: true });
      // the file itself gets smaller when the log is worked into it
      if (pages('freelist_count') <= KEPT_PAGES) db.exec('PRAGMA wal_checkpoint(PASSIVE)');
      return true;
    },
    settled: () => commit.run(0, () => undefined),
    check: (clock) => commit.check(clock),
    async close() {
      await commit.close();
      db.close();
    },
  };
}
