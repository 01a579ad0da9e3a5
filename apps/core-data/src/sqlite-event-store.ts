import { createGroupCommit, type BatchLimits, type GroupCommit } from '@antirio/host';
import type { EventStore } from './event-store.ts';
import { createEventReader } from './event-reader.ts';
import { createEventWriter } from './event-writer.ts';
import { createArrivals } from './forwarding/arrivals.ts';
import { openStore, storePath } from './import-events.ts';
import { createSources } from './sources.ts';

const EVENTS_AT_ONCE = 400;

/** Events in a SQLite file of the data folder. @throws AntirioError badConfig | unavailable */
export function openSqliteEventStore(dataDir: string, limits: BatchLimits): EventStore {
  const db = openStore(dataDir);
  const writer = createEventWriter(db);
  const hooks = { beforeCommit: () => writer.beforeCommit(), onRollback: () => writer.onRollback() };
  const commit: GroupCommit = createGroupCommit({ db, path: storePath(dataDir), ...limits, ...hooks });
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
    settled: () => commit.run(0, () => undefined),
    check: (clock) => commit.check(clock),
    async close() {
      await commit.close();
      db.close();
    },
  };
}
