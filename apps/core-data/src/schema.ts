/**
 * Rows are appended in the order of arrival; origins and values are all that differs from row to row, the names stand once in `source`
 * (what events have in common) and `series` (what readings have in common), with the counts that totals are made of.
 * A reading's id is its event's id and its place in the event, so that neither a column nor an index joins the two.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE source(
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     device TEXT NOT NULL, profile TEXT NOT NULL, name TEXT NOT NULL,
     events INTEGER NOT NULL DEFAULT 0,
     UNIQUE(device, profile, name));
   CREATE TABLE series(
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     device TEXT NOT NULL, profile TEXT NOT NULL, resource TEXT NOT NULL,
     value_type TEXT NOT NULL, units TEXT NOT NULL, media_type TEXT NOT NULL,
     readings INTEGER NOT NULL DEFAULT 0,
     UNIQUE(device, resource, profile, value_type, units, media_type));
   CREATE INDEX series_resource ON series(resource);
   CREATE TABLE event(
     id INTEGER PRIMARY KEY,
     uuid BLOB NOT NULL UNIQUE,
     source INTEGER NOT NULL,
     origin INTEGER NOT NULL,
     tags TEXT);
   CREATE INDEX event_origin ON event(origin);
   CREATE INDEX event_source ON event(source, origin);
   CREATE TABLE reading(
     id INTEGER PRIMARY KEY,
     series INTEGER NOT NULL,
     origin INTEGER NOT NULL,
     value,
     tags TEXT);
   CREATE INDEX reading_origin ON reading(origin);
   CREATE INDEX reading_series ON reading(series, origin);
   CREATE TABLE deletion(
     id INTEGER PRIMARY KEY,
     device TEXT,
     before INTEGER,
     through INTEGER NOT NULL)`,
];

/** Places for readings in an event; a power of two. */
export const READINGS_PER_EVENT = 65_536;

export const firstReadingOf = (eventId: number): number => eventId * READINGS_PER_EVENT;
export const lastReadingOf = (eventId: number): number =>
  eventId * READINGS_PER_EVENT + READINGS_PER_EVENT - 1;
