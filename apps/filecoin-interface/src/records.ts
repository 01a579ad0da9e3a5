import { inTransaction, openDatabase, type Database } from '@antirio/host';
import type { Clock } from '@antirio/kernel';
import {
  openRecordHistory,
  openRecordTable,
  OUTBOX_MIGRATION,
  recordTableMigration,
  type RecordHistory,
  type RecordTable,
} from '@antirio/durable-work';
import type { StorageNetwork } from '@antirio/storage-network';
import type { DeniedRecord } from './deny-list.ts';
import type { FilecoinInterfaceOptions } from './options.ts';

export type ImageStatus = 'WAITING' | 'STORED' | 'COMMITTED' | 'FAILED' | 'EXPIRED';

/** Whether all of an image is here. */
export const isStored = (status: ImageStatus): status is 'STORED' | 'COMMITTED' =>
  status === 'STORED' || status === 'COMMITTED';

/** What storing an image costs, as it was said when it was ordered. */
export interface ImageCost {
  /** In the currency's smallest unit: a whole number in decimal digits. */
  readonly amount: string;
  readonly currency: string;
  /** What the quote is for: the archive as it was ordered. */
  readonly bytes: number;
  readonly days: number;
}

/** An image of this edge's own, as the orchestrator ordered it. */
export interface ImageRecord {
  readonly imageId: string;
  readonly imageName: string;
  /** Where it comes from: a file of the images folder, or the container engine. */
  readonly fileName?: string | undefined;
  readonly engineImage?: string | undefined;
  /** Days. */
  readonly storageDuration: number;
  readonly status: ImageStatus;
  /** CID; once STORED. */
  readonly imageHash?: string;
  /** Bytes of the uncompressed layers; once STORED. */
  readonly size?: number;
  /** What it was before the disk changed it; while it is WAITING to be imported anew. */
  readonly mending?: 'STORED' | 'COMMITTED' | undefined;
  /** Why FAILED. */
  readonly error?: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** When its time is over; in milliseconds since the Unix epoch. */
  readonly expiresAt: number;
  readonly cost?: ImageCost;
  /** Another one each time that it is ordered: what still runs for an earlier order changes nothing. */
  readonly orderId?: string;
}

export type ObjectState = 'FETCHING' | 'STORED' | 'FAILED';

/** Anything that is kept, or on its way here, under its CID. */
export interface ObjectRecord {
  readonly cid: string;
  readonly state: ObjectState;
  /** Bytes of content, or of blocks where the content is not known; once STORED. */
  readonly size?: number;
  readonly providers: readonly string[];
  /** By which the storage network knows it, where that is another name than its CID. */
  readonly pieceCid?: string;
  readonly error?: string;
  /** Another one each time that it is ordered: what still runs for an earlier order changes nothing. */
  readonly orderId?: string | undefined;
  readonly createdAt: number;
}

/** PUSHING: on its way there. STORED: there, by fewer than are asked for. COMMITTED: as the network is asked to hold it. */
export type PushState = 'PUSHING' | 'STORED' | 'COMMITTED' | 'FAILED' | 'DROPPING';

/** What is to be in the storage network under a name. */
export interface PushRecord {
  readonly name: string;
  readonly cid: string;
  /** Which kind of network it was ordered for. */
  readonly network: StorageNetwork['kind'];
  readonly state: PushState;
  /** Once it was there: bytes of blocks, and by whom they were taken. */
  readonly ref?:
    | {
        readonly bytes: number;
        readonly providers: readonly string[];
        readonly pieceCid?: string;
        readonly dataSetId?: string;
      }
    | undefined;
  /** Of its different blocks, once they have been counted: that takes reading all of them. */
  readonly bytes?: number | undefined;
  /** What the network says beside the state, and what failed last. */
  readonly detail?: string;
  readonly error?: string;
  /** Milliseconds since the Unix epoch: when something is to be done about it, and when it was looked at. */
  readonly dueAt: number;
  readonly checkedAt?: number;
  /** Looks since it was put that found it held by too few. */
  readonly checks: number;
  /** Times in a row that it was given up for a while, because nothing could be learnt or done. */
  readonly unanswered?: number;
}

/** Where something is kept, or was before another network was chosen. */
export interface PlaceRecord {
  readonly id: string;
  /** As it is shown: its address without what may be a token. */
  readonly name: string;
  /** What opens it by itself, as it was configured. */
  readonly settings: FilecoinInterfaceOptions['network'];
  /** Of what is known of it, in that of all networks. */
  readonly folder: string;
  /** Names under which something may be kept there; of a place that was left. */
  readonly names: number;
  /** Since when it is chosen no longer; in milliseconds since the Unix epoch, as the next. */
  readonly leftAt?: number;
  /** When what is kept there is to be let go of. */
  readonly dueAt: number;
  /** Why it could not be. */
  readonly error?: string | undefined;
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

const EXPIRY_MIGRATION = `UPDATE image SET record = json_set(record, '$.expiresAt',
  json_extract(record, '$.createdAt') + 86400000 * json_extract(record, '$.storageDuration'))`;

const MIGRATIONS = [
  recordTableMigration('image'),
  recordTableMigration('object'),
  recordTableMigration('backend'),
  recordTableMigration('error'),
  OUTBOX_MIGRATION,
  recordTableMigration('denied'),
  EXPIRY_MIGRATION,
  recordTableMigration('push'),
  recordTableMigration('place'),
];

/** The room's durable memory: all of a change is on the disk when a method returns. */
export interface Records {
  readonly db: Database;
  transaction<T>(work: () => T): T;
  /** By imageId. */
  readonly images: RecordTable<ImageRecord>;
  /** By CID. */
  readonly objects: RecordTable<ObjectRecord>;
  /** By the name under which the network keeps it. */
  readonly pushes: RecordTable<PushRecord>;
  /** By their own ids. */
  readonly places: RecordTable<PlaceRecord>;
  readonly backendImages: RecordHistory<BackendImage>;
  /** By hash. */
  readonly denied: RecordTable<DeniedRecord>;
  errors(): ErrorRecord[];
  addError(record: Omit<ErrorRecord, 'receivedAt'>): ErrorRecord;
  close(): void;
}

export function openRecords(path: string, clock: Clock): Records {
  const db = openDatabase(path, MIGRATIONS);
  const images = openRecordTable<ImageRecord>(db, 'image');
  const objects = openRecordTable<ObjectRecord>(db, 'object');
  const backend = openRecordHistory<BackendImage>(db, 'backend');
  const errors = openRecordHistory<ErrorRecord>(db, 'error');
  return {
    db,
    transaction: (work) => inTransaction(db, work),
    images,
    objects,
    pushes: openRecordTable<PushRecord>(db, 'push'),
    places: openRecordTable<PlaceRecord>(db, 'place'),
    backendImages: backend,
    denied: openRecordTable<DeniedRecord>(db, 'denied'),
    errors: () => errors.all(),
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
