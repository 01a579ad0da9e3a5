import type { StatementSync } from 'node:sqlite';
import { AntirioError, fromHex } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import { stringifyJson, type Event, type Reading } from '@antirio/edgex-contracts';
import { createEventKeys, type EventKeys } from './event-keys.ts';
import { createInterned, type Interned } from './interned.ts';
import { createPostings, type Postings } from './postings.ts';
import { storedValue } from './stored-value.ts';

export type Outcome = 'stored' | 'duplicate';

/** Writes events and takes them away again; every call within a transaction. */
export interface EventWriter {
  insert(event: Event): Outcome;
  /** @throws AntirioError notFound */
  deleteById(uuid: string): void;
  /** Notes that these events are to go, of those that are there now. */
  noteDeletion(of: Deletion): void;
  /** How many of them were there. */
  deleteAll(places: readonly Place[]): number;
  /** Carries out a bit of what was noted; false when nothing is left. */
  deleteSome(limit: number): boolean;
  readonly keys: EventKeys;
  beforeCommit(): void;
  onRollback(): void;
}

/** Where an event is. */
export interface Place {
  readonly table: 'single' | 'event';
  readonly id: number;
}

/** Events of a device, of one source of it, of an origin up to this one (nanoseconds), or what is all of these. */
export interface Deletion {
  readonly device?: string;
  readonly source?: string;
  readonly until?: bigint;
  /** Of those that arrived up to this place; by default of all that are there. */
  readonly through?: number;
}

function tagsText(tags: Readonly<Record<string, unknown>> | undefined): string | null {
  return tags === undefined || Object.keys(tags).length === 0 ? null : stringifyJson(tags);
}

export const uuidBytes = (uuid: string): Uint8Array => fromHex(uuid.replaceAll('-', ''), 16);

/** The reading of an event that is stored as one row with it. */
function onlyReading({ readings, origin }: Event): Reading | undefined {
  const [reading] = readings;
  if (reading === undefined || readings.length > 1 || reading.origin !== origin) return undefined;
  return tagsText(reading.tags) === null ? reading : undefined;
}

const SERIES = ['device', 'resource', 'profile', 'value_type', 'units', 'media_type'];
const SOURCE = ['device', 'profile', 'name', 'series'];
/** The series of a source whose events have their readings in rows of their own. */
const NO_SERIES = 0;

function prepareAll(db: Database) {
  const firstNote = db.prepare('SELECT * FROM deletion ORDER BY id LIMIT 1');
  firstNote.setReadBigInts(true);
  const old = (table: string): StatementSync =>
    db.prepare(
      `SELECT id, source FROM ${table} INDEXED BY ${table}_origin WHERE origin <= ? AND id <= ? LIMIT ?`,
    );
  const ofSource = (table: string): StatementSync =>
    db.prepare(`SELECT id, source FROM ${table}_source WHERE source = ? AND origin <= ? AND id <= ? LIMIT ?`);
  return {
    insertSingle: db.prepare('INSERT INTO single(id, uuid, source, origin, value, tags) VALUES(?,?,?,?,?,?)'),
    insertEvent: db.prepare(
      'INSERT INTO event(id, uuid, source, origin, readings, tags) VALUES(?,?,?,?,?,?)',
    ),
    insertReading: db.prepare('INSERT INTO reading(id, series, origin, value, tags) VALUES(?,?,?,?,?)'),
    single: db.prepare('SELECT id, source FROM single WHERE id = ?'),
    event: db.prepare('SELECT id, source FROM event WHERE id = ?'),
    readingsOf: db.prepare('SELECT readings FROM event WHERE id = ?'),
    seriesOfEvent: db.prepare(
      'SELECT series, count(*) AS n FROM reading WHERE id BETWEEN ? AND ? GROUP BY series',
    ),
    unpostReadings: db.prepare(
      'DELETE FROM reading_series WHERE (series, origin, id) IN (SELECT series, origin, id FROM reading WHERE id BETWEEN ? AND ?)',
    ),
    deleteReadings: db.prepare('DELETE FROM reading WHERE id BETWEEN ? AND ?'),
    unpostSingle: db.prepare('DELETE FROM single_source WHERE source = ? AND origin = ? AND id = ?'),
    deleteSingle: db.prepare('DELETE FROM single WHERE id = ? RETURNING CAST(origin AS TEXT) AS origin'),
    unpostEvent: db.prepare('DELETE FROM event_source WHERE source = ? AND origin = ? AND id = ?'),
    deleteEvent: db.prepare('DELETE FROM event WHERE id = ? RETURNING CAST(origin AS TEXT) AS origin'),
    note: db.prepare('INSERT INTO deletion(device, source, until, through) VALUES(?, ?, ?, ?)'),
    firstNote,
    forgetNote: db.prepare('DELETE FROM deletion WHERE id = ?'),
    oldSingles: old('single'),
    oldEvents: old('event'),
    singlesOfSource: ofSource('single'),
    eventsOfSource: ofSource('event'),
    sources: db.prepare('SELECT id, series FROM source WHERE device = ?1 AND name = coalesce(?2, name)'),
    dropSources: db.prepare('DELETE FROM source WHERE device = ? AND events = 0'),
    dropSeries: db.prepare(
      'DELETE FROM series WHERE device = ? AND readings = 0 AND id NOT IN (SELECT series FROM source)',
    ),
  };
}

interface Note {
  readonly id: bigint;
  readonly device: string | null;
  readonly source: string | null;
  readonly until: bigint | null;
  readonly through: bigint;
}

interface Row extends Place {
  readonly source: number;
}

const END = 2n ** 63n - 1n;

class SqliteEventWriter implements EventWriter {
  readonly keys: EventKeys;
  readonly #sql: ReturnType<typeof prepareAll>;
  readonly #sources: Interned;
  readonly #series: Interned;
  /** Ids only grow while the store is open: what is noted for deletion never reaches an event that came later. */
  #lastId: number;
  readonly #postings: Postings;

  constructor(db: Database, keys: EventKeys, postings: Postings) {
    this.#postings = postings;
    this.#sql = prepareAll(db);
    this.keys = keys;
    this.#sources = createInterned(db, 'source', SOURCE, 'events');
    this.#series = createInterned(db, 'series', SERIES, 'readings');
    const last = db.prepare(
      ['single', 'event', 'reading']
        .map((table) => `SELECT max(id) AS id FROM ${table}`)
        .concat('SELECT max(through) FROM deletion', 'SELECT through FROM posted')
        .join(' UNION ALL '),
    );
    this.#lastId = Math.max(keys.closedThrough, ...last.all().map((row) => Number(row['id'])));
  }

  insert(event: Event): Outcome {
    const uuid = uuidBytes(event.id);
    if (this.keys.find(uuid) !== undefined) return 'duplicate';
    const id = this.#lastId + 1;
    this.#lastId += Math.max(event.readings.length, 1);
    const only = onlyReading(event);
    if (only === undefined) this.#insertWithReadings(id, uuid, event);
    else this.#insertSingle(id, uuid, event, only);
    this.keys.add(uuid, id);
    return 'stored';
  }

  deleteById(uuid: string): void {
    const found = this.keys.find(uuidBytes(uuid));
    if (found === undefined) throw new AntirioError('notFound', `no event with id '${uuid}' found`);
    const row = this.#sql[found.table].get(found.id);
    this.#remove({ ...found, source: Number(row?.['source']) });
    this.keys.prune();
  }

  deleteAll(places: readonly Place[]): number {
    if (places.length === 0) return 0;
    // that way the ids of what goes are on record, and no other event has them after the next start
    this.#postings.post(this.#lastId);
    const rows = places.flatMap(({ table, id }) => {
      const source = this.#sql[table].get(id)?.['source'];
      return source === undefined ? [] : [{ table, id, source: Number(source) }];
    });
    for (const row of rows) this.#remove(row);
    this.keys.prune();
    return rows.length;
  }

  noteDeletion({ device, source, until, through = Infinity }: Deletion): void {
    // it is carried out by the indexes
    this.#postings.post(this.#lastId);
    this.#sql.note.run(device ?? null, source ?? null, until ?? null, Math.min(through, this.#lastId));
  }

  deleteSome(limit: number): boolean {
    const note = this.#sql.firstNote.get() as Note | undefined;
    if (note === undefined) return false;
    const rows = this.#selected(note, limit);
    for (const row of rows) this.#remove(row);
    if (rows.length < limit) this.#finish(note);
    return true;
  }

  beforeCommit(): void {
    this.#sources.flush();
    this.#series.flush();
    this.#postings.mayPost(this.#lastId);
  }

  onRollback(): void {
    this.#sources.forget();
    this.#series.forget();
    this.keys.rolledBack();
    this.#postings.rolledBack();
  }

  #sourceOf({ deviceName, profileName, sourceName }: Event, series: number): number {
    const source = this.#sources.idOf([deviceName, profileName, sourceName, series]);
    this.#sources.count(source, 1);
    return source;
  }

  #seriesOf(reading: Reading): number {
    const { deviceName, resourceName, profileName, valueType, units = '' } = reading;
    const mediaType = reading.kind === 'binary' ? reading.mediaType : '';
    return this.#series.idOf([deviceName, resourceName, profileName, valueType, units, mediaType]);
  }

  #insertSingle(id: number, uuid: Uint8Array, event: Event, reading: Reading): void {
    const source = this.#sourceOf(event, this.#seriesOf(reading));
    this.#sql.insertSingle.run(id, uuid, source, event.origin, storedValue(reading), tagsText(event.tags));
  }

  #insertWithReadings(id: number, uuid: Uint8Array, event: Event): void {
    const { origin, readings, tags } = event;
    const source = this.#sourceOf(event, NO_SERIES);
    this.#sql.insertEvent.run(id, uuid, source, origin, readings.length, tagsText(tags));
    readings.forEach((reading, place) => {
      const series = this.#seriesOf(reading);
      this.#sql.insertReading.run(
        id + place,
        series,
        reading.origin,
        storedValue(reading),
        tagsText(reading.tags),
      );
      this.#series.count(series, 1);
    });
  }

  /** At most so many events that a note means. */
  #selected({ device, source, until, through }: Note, limit: number): Row[] {
    const rows: Row[] = [];
    const take = (table: Row['table'], statement: StatementSync, ...values: (bigint | number)[]): void => {
      if (rows.length < limit)
        for (const row of statement.all(...values, until ?? END, through, limit - rows.length))
          rows.push({ table, id: Number(row['id']), source: Number(row['source']) });
    };
    if (device === null) {
      take('single', this.#sql.oldSingles);
      take('event', this.#sql.oldEvents);
      return rows;
    }
    for (const { id, series } of this.#sql.sources.all(device, source) as { id: number; series: number }[])
      if (series === NO_SERIES) take('event', this.#sql.eventsOfSource, id);
      else take('single', this.#sql.singlesOfSource, id);
    return rows;
  }

  #remove({ table, id, source }: Row): void {
    if (table === 'event') this.#removeReadings(id);
    const [remove, unpost] =
      table === 'single'
        ? [this.#sql.deleteSingle, this.#sql.unpostSingle]
        : [this.#sql.deleteEvent, this.#sql.unpostEvent];
    unpost.run(source, BigInt(String(remove.get(id)?.['origin'] ?? 0)), id);
    this.#sources.count(source, -1);
  }

  #removeReadings(id: number): void {
    const last = id + Number(this.#sql.readingsOf.get(id)?.['readings']) - 1;
    for (const row of this.#sql.seriesOfEvent.all(id, last))
      this.#series.count(Number(row['series']), -Number(row['n']));
    this.#sql.unpostReadings.run(id, last);
    this.#sql.deleteReadings.run(id, last);
  }

  /** Forgets the note, the names of a device that is gone as a whole, and keys that lead nowhere. */
  #finish({ id, device, source, until }: Note): void {
    this.#sql.forgetNote.run(id);
    this.keys.prune();
    if (device === null || source !== null || until !== null) return;
    this.beforeCommit();
    this.#sql.dropSources.run(device);
    this.#sql.dropSeries.run(device);
    this.#sources.forget();
    this.#series.forget();
  }
}

export function createEventWriter(
  db: Database,
  keys = createEventKeys(db),
  postings = createPostings(db),
): EventWriter {
  return new SqliteEventWriter(db, keys, postings);
}
