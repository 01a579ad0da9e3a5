import { AntirioError, fromHex } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import { stringifyJson, type Event, type Reading } from '@antirio/edgex-contracts';
import { createInterned } from './interned.ts';
import { firstReadingOf, lastReadingOf, READINGS_PER_EVENT } from './schema.ts';

export type Outcome = 'stored' | 'duplicate';

/** Writes events and takes them away again; every call within a transaction. */
export interface EventWriter {
  /** @throws AntirioError tooLarge for more readings than an event has places. */
  insert(event: Event): Outcome;
  /** @throws AntirioError notFound */
  deleteById(uuid: string): void;
  /** Notes that these events are to go, of those that are there now. */
  noteDeletion(of: Deletion): void;
  /** Carries out a bit of what was noted; false when nothing is left. */
  deleteSome(limit: number): boolean;
  beforeCommit(): void;
  onRollback(): void;
}

/** By device, or of an origin before this one (nanoseconds). */
export type Deletion = { readonly device: string } | { readonly before: bigint };

type Stored = string | Uint8Array | null;

function storedValue(reading: Reading): Stored {
  switch (reading.kind) {
    case 'simple':
      return reading.value;
    case 'binary':
      return reading.binaryValue;
    case 'object':
      return stringifyJson(reading.objectValue);
    case 'null':
      return null;
  }
}

function tagsText(tags: Readonly<Record<string, unknown>> | undefined): string | null {
  return tags === undefined || Object.keys(tags).length === 0 ? null : stringifyJson(tags);
}

export const uuidBytes = (uuid: string): Uint8Array => fromHex(uuid.replaceAll('-', ''), 16);

export function createEventWriter(db: Database): EventWriter {
  const sources = createInterned(db, 'source', ['device', 'profile', 'name'], 'events');
  const seriesColumns = ['device', 'resource', 'profile', 'value_type', 'units', 'media_type'];
  const series = createInterned(db, 'series', seriesColumns, 'readings');
  const insertEvent = db.prepare(
    'INSERT OR IGNORE INTO event(id, uuid, source, origin, tags) VALUES(?,?,?,?,?)',
  );
  const insertReading = db.prepare('INSERT INTO reading(id, series, origin, value, tags) VALUES(?,?,?,?,?)');
  const eventByUuid = db.prepare('SELECT id, source FROM event WHERE uuid = ?');
  const seriesOfEvent = db.prepare(
    'SELECT series, count(*) AS n FROM reading WHERE id BETWEEN ? AND ? GROUP BY series',
  );
  const deleteReadings = db.prepare('DELETE FROM reading WHERE id BETWEEN ? AND ?');
  const deleteEvent = db.prepare('DELETE FROM event WHERE id = ?');
  const note = db.prepare('INSERT INTO deletion(device, before, through) VALUES(?, ?, ?)');
  const firstNote = db.prepare('SELECT id, device, before, through FROM deletion ORDER BY id LIMIT 1');
  firstNote.setReadBigInts(true);
  const forgetNote = db.prepare('DELETE FROM deletion WHERE id = ?');
  const oldEvents = db.prepare('SELECT id, source FROM event WHERE origin < ? AND id <= ? LIMIT ?');
  const eventsOfDevice = db.prepare(
    'SELECT e.id, e.source FROM source s JOIN event e ON e.source = s.id WHERE s.device = ? AND e.id <= ? LIMIT ?',
  );
  const dropSources = db.prepare('DELETE FROM source WHERE device = ? AND events = 0');
  const dropSeries = db.prepare('DELETE FROM series WHERE device = ? AND readings = 0');

  // Ids only grow while the store is open: what is noted for deletion never reaches an event that came later.
  const last = db.prepare(
    'SELECT max((SELECT coalesce(max(id), 0) FROM event), (SELECT coalesce(max(through), 0) FROM deletion)) AS id',
  );
  let lastId = Number(last.get()?.['id'] ?? 0);

  const insertReadings = (eventId: number, readings: readonly Reading[]): void => {
    let id = firstReadingOf(eventId);
    for (const reading of readings) {
      const mediaType = reading.kind === 'binary' ? reading.mediaType : '';
      const { deviceName, resourceName, profileName, valueType, units = '' } = reading;
      const of = series.idOf([deviceName, resourceName, profileName, valueType, units, mediaType]);
      insertReading.run(id++, of, reading.origin, storedValue(reading), tagsText(reading.tags));
      series.count(of, 1);
    }
  };
  const remove = (id: number, source: number): void => {
    const range = [firstReadingOf(id), lastReadingOf(id)] as const;
    for (const row of seriesOfEvent.all(...range)) series.count(Number(row['series']), -Number(row['n']));
    deleteReadings.run(...range);
    deleteEvent.run(id);
    sources.count(source, -1);
  };
  const finishDeletion = (id: bigint, device: string | undefined): void => {
    forgetNote.run(id);
    if (device === undefined) return;
    sources.flush();
    series.flush();
    dropSources.run(device);
    dropSeries.run(device);
    sources.forget();
    series.forget();
  };
  return {
    insert(event) {
      if (event.readings.length > READINGS_PER_EVENT)
        throw new AntirioError('tooLarge', `more than ${READINGS_PER_EVENT} readings in one event`);
      const source = sources.idOf([event.deviceName, event.profileName, event.sourceName]);
      const id = lastId + 1;
      const done = insertEvent.run(id, uuidBytes(event.id), source, event.origin, tagsText(event.tags));
      if (Number(done.changes) === 0) return 'duplicate';
      lastId = id;
      sources.count(source, 1);
      insertReadings(id, event.readings);
      return 'stored';
    },
    deleteById(uuid) {
      const row = eventByUuid.get(uuidBytes(uuid));
      if (row === undefined) throw new AntirioError('notFound', `event ${uuid} does not exist`);
      remove(Number(row['id']), Number(row['source']));
    },
    noteDeletion(of) {
      if ('device' in of) note.run(of.device, null, lastId);
      else note.run(null, of.before, lastId);
    },
    deleteSome(limit) {
      const noted = firstNote.get();
      if (noted === undefined) return false;
      const { id, device, before, through } = noted as {
        id: bigint;
        device: string | null;
        before: bigint;
        through: bigint;
      };
      const rows =
        device === null ? oldEvents.all(before, through, limit) : eventsOfDevice.all(device, through, limit);
      for (const row of rows) remove(Number(row['id']), Number(row['source']));
      if (rows.length < limit) finishDeletion(id, device ?? undefined);
      return true;
    },
    beforeCommit() {
      sources.flush();
      series.flush();
    },
    onRollback() {
      sources.forget();
      series.forget();
    },
  };
}
