import { inTransaction, openDatabase, type Database } from '@antirio/host';
import { AntirioError, type Clock } from '@antirio/kernel';
import { OUTBOX_MIGRATION } from '@antirio/durable-work';

export type ImageStatus = 'WAITING' | 'STORED' | 'COMMITTED' | 'FAILED' | 'EXPIRED';

/** An image of this edge's own, as the orchestrator ordered it. */
export interface ImageRecord {
  readonly imageId: string;
  readonly imageName: string;
  readonly fileName: string;
  /** Days. */
  readonly storageDuration: number;
  readonly status: ImageStatus;
  /** CID; once STORED. */
  readonly imageHash?: string;
  /** Bytes of the uncompressed layers; once STORED. */
  readonly size?: number;
  /** Why FAILED. */
  readonly error?: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

export type ObjectState = 'FETCHING' | 'STORED' | 'FAILED';

/** Anything that is kept, or on its way here, under its CID. */
export interface ObjectRecord {
  readonly cid: string;
  readonly state: ObjectState;
  /** Bytes of content, or of blocks where the content is not known; once STORED. */
  readonly size?: number;
  readonly providers: readonly string[];
  readonly error?: string;
  readonly createdAt: number;
}

/** What a storage backend said of an image. */
export interface BackendImage {
  readonly imageId: string;
  readonly imageHash: string;
  readonly status: string;
  readonly receivedAt: number;
}

export interface ErrorRecord {
  readonly errorObject: unknown;
  readonly code: number;
  readonly message: string;
  readonly receivedAt: number;
}

const MIGRATIONS = [
  `CREATE TABLE image (imageId TEXT PRIMARY KEY, createdAt INTEGER NOT NULL, record TEXT NOT NULL);
   CREATE TABLE object (cid TEXT PRIMARY KEY, createdAt INTEGER NOT NULL, record TEXT NOT NULL);
   CREATE TABLE backend (id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL);
   CREATE TABLE error (id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL);
   ${OUTBOX_MIGRATION}`,
];

const MAX_RECORDS = 10_000;
/** Of what backends said, and of errors: the newest are kept. */
const MAX_HISTORY = 1000;

/** The room's durable memory: all of a change is on the disk when a method returns. */
export interface Records {
  readonly db: Database;
  transaction<T>(work: () => T): T;
  images(): ImageRecord[];
  image(imageId: string): ImageRecord | undefined;
  /** @throws AntirioError busy when there are too many. */
  putImage(record: ImageRecord): void;
  objects(): ObjectRecord[];
  object(cid: string): ObjectRecord | undefined;
  putObject(record: ObjectRecord): void;
  removeObject(cid: string): boolean;
  backendImages(): BackendImage[];
  addBackendImage(record: BackendImage): void;
  errors(): ErrorRecord[];
  addError(record: Omit<ErrorRecord, 'receivedAt'>): ErrorRecord;
  close(): void;
}

export function openRecords(path: string, clock: Clock): Records {
  const db = openDatabase(path, MIGRATIONS);
  const images = keyed<ImageRecord>(db, 'image', 'imageId');
  const objects = keyed<ObjectRecord>(db, 'object', 'cid');
  const backend = history<BackendImage>(db, 'backend');
  const errors = history<ErrorRecord>(db, 'error');
  return {
    db,
    transaction: (work) => inTransaction(db, work),
    images: images.all,
    image: images.get,
    putImage: (record) => images.put(record.imageId, record),
    objects: objects.all,
    object: objects.get,
    putObject: (record) => objects.put(record.cid, record),
    removeObject: objects.remove,
    backendImages: backend.all,
    addBackendImage: backend.add,
    errors: errors.all,
    addError(error) {
      const record = { ...error, receivedAt: clock.now() };
      errors.add(record);
      return record;
    },
    close: () => {
      db.close();
    },
  };
}

function parse(row: Record<string, unknown>): unknown {
  return JSON.parse(String(row['record']));
}

function keyed<T extends { readonly createdAt: number }>(db: Database, table: string, key: string) {
  const count = (): number => Number(db.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()?.['n']);
  const get = (id: string): T | undefined => {
    const row = db.prepare(`SELECT record FROM ${table} WHERE ${key} = ?`).get(id);
    return row === undefined ? undefined : (parse(row) as T);
  };
  return {
    get,
    all: (): T[] =>
      db
        .prepare(`SELECT record FROM ${table} ORDER BY createdAt, rowid`)
        .all()
        .map((row) => parse(row) as T),
    put: (id: string, record: T): void => {
      if (get(id) === undefined && count() >= MAX_RECORDS)
        throw new AntirioError('busy', `there are already ${MAX_RECORDS} records of this kind`);
      db.prepare(
        `INSERT INTO ${table} (${key}, createdAt, record) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET record = excluded.record`,
      ).run(id, record.createdAt, JSON.stringify(record));
    },
    remove: (id: string): boolean => db.prepare(`DELETE FROM ${table} WHERE ${key} = ?`).run(id).changes > 0,
  };
}

function history<T>(db: Database, table: string) {
  return {
    all: (): T[] =>
      db
        .prepare(`SELECT record FROM ${table} ORDER BY id`)
        .all()
        .map((row) => parse(row) as T),
    add: (record: T): void => {
      db.prepare(`INSERT INTO ${table} (record) VALUES (?)`).run(JSON.stringify(record));
      db.prepare(`DELETE FROM ${table} WHERE id <= (SELECT MAX(id) FROM ${table}) - ?`).run(MAX_HISTORY);
    },
  };
}
