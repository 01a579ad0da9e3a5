import { AntirioError, fromHex } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import { stringifyJson, type Event, type Reading } from '@antirio/edgex-contracts';
import { createInterned, type Interned } from './interned.ts';
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

const SERIES = ['device', 'resource', 'profile', 'value_type', 'units', 'media_type'];

function prepareAll(db: Database) {
  const firstNote = db.prepare('SELECT id, device, before, through FROM deletion ORDER BY id LIMIT 1');
  firstNote.setReadBigInts(true);
  return {
    insertEvent: db.prepare('INSERT OR IGNORE INTO event(id, uuid, source, origin, tags) VALUES(?,?,?,?,?)'),
    insertReading: db.prepare('INSERT INTO reading(id, series, origin, value, tags) VALUES(?,?,?,?,?)'),
    eventByUuid: db.prepare('SELECT id, source FROM event WHERE uuid = ?'),
    seriesOfEvent: db.prepare(
      'SELECT series, count(*) AS n FROM reading WHERE id BETWEEN ? AND ? GROUP BY series',
    ),
    deleteReadings: db.prepare('DELETE FROM reading WHERE id BETWEEN ? AND ?'),
    deleteEvent: db.prepare('DELETE FROM event WHERE id = ?'),
    note: db.prepare('INSERT INTO deletion(device, before, through) VALUES(?, ?, ?)'),
    firstNote,
    forgetNote: db.prepare('DELETE FROM deletion WHERE id = ?'),
    oldEvents: db.prepare('SELECT id, source FROM event WHERE origin < ? AND id <= ? LIMIT ?'),
    eventsOfDevice: db.prepare(
      'SELECT e.id, e.source FROM source s JOIN event e ON e.source = s.id WHERE s.device = ? AND e.id <= ? LIMIT ?',
    ),
    dropSources: db.prepare('DELETE FROM source WHERE device = ? AND events = 0'),
    dropSeries: db.prepare('DELETE FROM series WHERE device = ? AND readings = 0'),
  };
}

interface Note {
  readonly id: bigint;
  readonly device: string | null;
  readonly before: bigint | null;
  readonly through: bigint;
}

class SqliteEventWriter implements EventWriter {
  readonly #sql: ReturnType<typeof prepareAll>;
  readonly #sources: Interned;
  readonly #series: Interned;
  /** Ids only grow while the store is open: what is noted for deletion never reaches an event that came later. */
  #lastId: number;

  constructor(db: Database) {
    this.#sql = prepareAll(db);
    this.#sources = createInterned(db, 'source', ['device', 'profile', 'name'], 'events');
    this.#series = createInterned(db, 'series', SERIES, 'readings');
    const last = db.prepare(
      'SELECT max((SELECT coalesce(max(id), 0) FROM event), (SELECT coalesce(max(through), 0) FROM deletion)) AS id',
    );
    this.#lastId = Number(last.get()?.['id'] ?? 0);
  }

  insert(event: Event): Outcome {
    if (event.readings.length > READINGS_PER_EVENT)
      throw new AntirioError('tooLarge', `more than ${READINGS_PER_EVENT} readings in one event`);
    const source = this.#sources.idOf([event.deviceName, event.profileName, event.sourceName]);
    const id = this.#lastId + 1;
    const uuid = uuidBytes(event.id);
    const done = this.#sql.insertEvent.run(id, uuid, source, event.origin, tagsText(event.tags));
    if (Number(done.changes) === 0) return 'duplicate';
    this.#lastId = id;
    this.#sources.count(source, 1);
    event.readings.forEach((reading, place) => this.#insertReading(firstReadingOf(id) + place, reading));
    return 'stored';
  }

  deleteById(uuid: string): void {
    const row = this.#sql.eventByUuid.get(uuidBytes(uuid));
    if (row === undefined) throw new AntirioError('notFound', `event ${uuid} does not exist`);
    this.#remove(Number(row['id']), Number(row['source']));
  }

  noteDeletion(of: Deletion): void {
    if ('device' in of) this.#sql.note.run(of.device, null, this.#lastId);
    else this.#sql.note.run(null, of.before, this.#lastId);
  }

  deleteSome(limit: number): boolean {
    const note = this.#sql.firstNote.get() as Note | undefined;
    if (note === undefined) return false;
    const { device, before, through } = note;
    const rows =
      device === null
        ? this.#sql.oldEvents.all(before, through, limit)
        : this.#sql.eventsOfDevice.all(device, through, limit);
    for (const row of rows) this.#remove(Number(row['id']), Number(row['source']));
    if (rows.length < limit) this.#finish(note);
    return true;
  }

  beforeCommit(): void {
    this.#sources.flush();
    this.#series.flush();
  }

  onRollback(): void {
    this.#sources.forget();
    this.#series.forget();
  }

  #insertReading(id: number, reading: Reading): void {
    const { deviceName, resourceName, profileName, valueType, units = '' } = reading;
    const mediaType = reading.kind === 'binary' ? reading.mediaType : '';
    const series = this.#series.idOf([deviceName, resourceName, profileName, valueType, units, mediaType]);
    this.#sql.insertReading.run(id, series, reading.origin, storedValue(reading), tagsText(reading.tags));
    this.#series.count(series, 1);
  }

  #remove(id: number, source: number): void {
    const range = [firstReadingOf(id), lastReadingOf(id)] as const;
    for (const row of this.#sql.seriesOfEvent.all(...range))
      this.#series.count(Number(row['series']), -Number(row['n']));
    this.#sql.deleteReadings.run(...range);
    this.#sql.deleteEvent.run(id);
    this.#sources.count(source, -1);
  }

  /** Forgets the note, and the names of a device that is gone as a whole. */
  #finish({ id, device }: Note): void {
    this.#sql.forgetNote.run(id);
    if (device === null) return;
    this.beforeCommit();
    this.#sql.dropSources.run(device);
    this.#sql.dropSeries.run(device);
    this.onRollback();
  }
}

export function createEventWriter(db: Database): EventWriter {
  return new SqliteEventWriter(db);
}
