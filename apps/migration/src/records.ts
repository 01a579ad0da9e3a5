import { inTransaction, openDatabase, type Database } from '@antirio/host';
import {
  openRecordTable,
  OUTBOX_MIGRATION,
  recordTableMigration,
  type RecordTable,
} from '@antirio/durable-work';
import type { Configuration } from './configuration.ts';

/** Whether all blocks could be read and were what they should be, when that was last tried. */
export interface Retrievability {
  readonly ok: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly checkedAt: number;
  readonly error?: string;
}

/** An image of this edge's own with its configuration, on its way into the network or there. */
export interface ImageRecord {
  readonly imageId: string;
  readonly imageName: string;
  /** Where it comes from: a file of the images folder, or the container engine. */
  readonly fileName?: string | undefined;
  readonly image?: string | undefined;
  /** Days. */
  readonly storageDuration: number;
  readonly configuration: Configuration;
  readonly status: 'STORING' | 'STORED' | 'COMMITTED' | 'FAILED' | 'EXPIRED';
  readonly imageCid?: string;
  readonly configCid?: string;
  readonly error?: string;
  readonly retrievable?: Retrievability;
  readonly createdAt: number;
}

export interface VersionCids {
  readonly imageCid: string;
  readonly configCid: string;
}

/**
 * How a version is with its provider, in that one's own words. COMING: fetched or tried again. LOADED: it will run when it is needed, or comes up
 * beside the one before. GIVEN_UP, FAILED: it could not be brought to run. GONE: it was let go of.
 */
export interface Standing {
  readonly state: 'COMING' | 'LOADED' | 'RUNS' | 'GIVEN_UP' | 'FAILED' | 'GONE';
  readonly reason?: string;
  /** Milliseconds since the Unix epoch. */
  readonly checkedAt: number;
}

/** What was told a provider about the image of one contract. */
export interface SentRecord {
  readonly contractId: string;
  readonly providerEdgeId: string;
  readonly imageName: string;
  readonly imageCid: string;
  readonly configCid: string;
  readonly state: 'SENDING' | 'SENT' | 'REFUSED';
  readonly error?: string;
  /** Whether the provider gave, when last asked, the blocks of the image that it was asked for. */
  readonly heldByProvider?: Retrievability | undefined;
  /** Place of the block that it is asked for next, and how often it was asked for all of them in turn. */
  readonly askNext?: number;
  readonly rounds?: number;
  readonly atProvider?: Standing | undefined;
  /** The version before this one, which the provider runs until this one has taken its place. */
  readonly previous?: VersionCids;
  /** The same as `heldByProvider`, of the version before: asked for as long as that one runs. */
  readonly previousHeld?: Retrievability;
  /** Whether the orchestrator was told that the provider has lost what it runs. */
  readonly alarmed?: boolean;
  readonly createdAt: number;
}

/** One of the further images of a contract. */
export interface FetchedService {
  readonly name: string;
  readonly imageCid: string;
  /** The path of its docker archive, and its SHA-256 in hex: once all are DOWNLOADED. */
  readonly archive?: string;
  readonly archiveSha256?: string;
}

/** The image of a contract that this edge provides for, on its way here or here. */
export interface FetchRecord {
  readonly contractId: string;
  readonly customer: string;
  readonly imageCid: string;
  readonly configCid: string;
  readonly imageName: string;
  /** `/p2p/<edgeId>` */
  readonly providers: readonly string[];
  /** Bytes of blocks that came for it, and of those that were here already, once all are here. */
  readonly fetchedBytes?: number;
  readonly reusedBytes?: number;
  /**
   * READY2DOWNLOAD: all blocks are here and verified. DOWNLOADED: read again, verified, and written as an archive. ENDING: the contract is
   * over, what was fetched for it is let go.
   */
  readonly state: 'FETCHING' | 'READY2DOWNLOAD' | 'DOWNLOADED' | 'FAILED' | 'ENDING';
  /** Once DOWNLOADED: whether all blocks were still there when last read. */
  readonly retrievable?: Retrievability;
  readonly configuration?: Configuration;
  /** Further images that the configuration names. */
  readonly services?: readonly FetchedService[];
  /** The path of the docker archive. */
  readonly archive?: string;
  /** Of the archive, in hex. */
  readonly archiveSha256?: string;
  /** The engine's id of the image, in hex. */
  readonly imageId?: string;
  readonly architecture?: string;
  readonly error?: string;
  readonly createdAt: number;
}

/** All that was fetched for it. */
export const cidsOf = ({ configCid, imageCid, services = [] }: FetchRecord): string[] => [
  configCid,
  imageCid,
  ...services.map((one) => one.imageCid),
];

const MIGRATIONS = [
  recordTableMigration('image'),
  recordTableMigration('sent'),
  recordTableMigration('fetched'),
  OUTBOX_MIGRATION,
];

/** The room's durable memory. */
export interface Records {
  readonly db: Database;
  /** By imageId. */
  readonly images: RecordTable<ImageRecord>;
  /** By contractId. */
  readonly sent: RecordTable<SentRecord>;
  /** By contractId. */
  readonly fetched: RecordTable<FetchRecord>;
  transaction<T>(work: () => T): T;
  close(): void;
}

export function openRecords(path: string): Records {
  const db = openDatabase(path, MIGRATIONS);
  return {
    db,
    images: openRecordTable<ImageRecord>(db, 'image'),
    sent: openRecordTable<SentRecord>(db, 'sent'),
    fetched: openRecordTable<FetchRecord>(db, 'fetched'),
    transaction: (work) => inTransaction(db, work),
    close: () => {
      db.close();
    },
  };
}
