import { AntirioError } from '@antirio/kernel';
import { openDatabase, type Database } from '@antirio/host';

/**
 * Rows are appended in the order of arrival under ids that only grow: an event takes as many ids as it has readings, and its own id is the
 * first of them. Names stand once, in `series` (what readings have in common) and `source` (what events have in common), with the counts that
 * totals are made of.
 *
 * `single` has the events with one reading of the event's own origin: one row is event and reading, and its source says of which series the
 * reading is. All others are in `event` and `reading`; their source has the series 0.
 *
 * `single_source`, `event_source` and `reading_series` are indexes by name and origin of the rows up to the id in `posted`, see postings.ts.
 *
 * `event_key` and `key_run` find an event by its UUID without a B-tree of random keys, see event-keys.ts.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE series(
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     device TEXT NOT NULL, profile TEXT NOT NULL, resource TEXT NOT NULL,
     value_type TEXT NOT NULL, units TEXT NOT NULL, media_type TEXT NOT NULL,
     readings INTEGER NOT NULL DEFAULT 0,
     UNIQUE(device, resource, profile, value_type, units, media_type));
   CREATE INDEX series_resource ON series(resource);
   CREATE TABLE source(
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     device TEXT NOT NULL, profile TEXT NOT NULL, name TEXT NOT NULL, series INTEGER NOT NULL,
     events INTEGER NOT NULL DEFAULT 0,
     UNIQUE(device, profile, name, series));
   CREATE INDEX source_series ON source(series);
   CREATE TABLE single(
     id INTEGER PRIMARY KEY,
     uuid BLOB NOT NULL,
     source INTEGER NOT NULL,
     origin INTEGER NOT NULL,
     value,
     tags TEXT);
   CREATE INDEX single_origin ON single(origin);
   CREATE TABLE single_source(source INTEGER NOT NULL, origin INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(source, origin, id)) WITHOUT ROWID;
   CREATE TABLE event(
     id INTEGER PRIMARY KEY,
     uuid BLOB NOT NULL,
     source INTEGER NOT NULL,
     origin INTEGER NOT NULL,
     readings INTEGER NOT NULL,
     tags TEXT);
   CREATE INDEX event_origin ON event(origin);
   CREATE TABLE event_source(source INTEGER NOT NULL, origin INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(source, origin, id)) WITHOUT ROWID;
   CREATE TABLE reading(
     id INTEGER PRIMARY KEY,
     series INTEGER NOT NULL,
     origin INTEGER NOT NULL,
     value,
     tags TEXT);
   CREATE INDEX reading_origin ON reading(origin);
   CREATE TABLE reading_series(series INTEGER NOT NULL, origin INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(series, origin, id)) WITHOUT ROWID;
   CREATE TABLE posted(through INTEGER NOT NULL);
   INSERT INTO posted VALUES(0);
   CREATE TABLE key_run(
     id INTEGER PRIMARY KEY,
     first INTEGER NOT NULL,
     last INTEGER NOT NULL,
     filter BLOB NOT NULL);
   CREATE TABLE event_key(
     id INTEGER PRIMARY KEY,
     entries BLOB NOT NULL);
   CREATE TABLE deletion(
     id INTEGER PRIMARY KEY,
     device TEXT,
     source TEXT,
     until INTEGER,
     through INTEGER NOT NULL)`,
];

/** Each index, and each table with its columns. */
function layoutOf(db: Database): string[] {
  const rows = db
    .prepare(
      "SELECT type || ' ' || name || coalesce((SELECT '(' || group_concat(name) || ')' FROM pragma_table_info(s.name)), '') AS part" +
        " FROM sqlite_schema s WHERE type IN ('table', 'index') ORDER BY name",
    )
    .all();
  return rows.map((row) => String(row['part']));
}

/**
 * `PRAGMA user_version` does not tell the layouts apart that there were before the first one was released.
 * @throws AntirioError badConfig when there is not all that this build reads and writes.
 */
export function checkLayout(db: Database, path: string): void {
  const fresh = openDatabase(':memory:', MIGRATIONS);
  const wanted = layoutOf(fresh);
  fresh.close();
  const there = new Set(layoutOf(db));
  const missing = wanted.filter((part) => !there.has(part));
  if (missing.length === 0) return;
  const what = `${path} was laid out by another build: it has no ${missing.join(', no ')}`;
  throw new AntirioError('badConfig', `${what}. Move it away to begin a new store`, { path, missing });
}
