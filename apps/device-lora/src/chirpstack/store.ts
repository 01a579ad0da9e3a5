import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { createGroupCommit, openDatabase } from '@antirio/host';
import { sha256, toHex } from '@antirio/kernel';
import type { DevAddr, DevEui, SessionId } from '@antirio/lorawan';
import { createSeenConflicts, type Unseen } from '../seen-conflicts.ts';

const MIGRATIONS = [
  `CREATE TABLE own (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
   CREATE TABLE waiting (id INTEGER PRIMARY KEY AUTOINCREMENT, eventId TEXT NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL) STRICT;
   CREATE TABLE taken (id INTEGER PRIMARY KEY AUTOINCREMENT, eventId TEXT NOT NULL UNIQUE, digest TEXT NOT NULL) STRICT;
   CREATE TABLE device (devEui TEXT PRIMARY KEY, applicationId TEXT, devAddr TEXT, fcnt INTEGER) STRICT;
   CREATE TABLE conflict (id INTEGER PRIMARY KEY AUTOINCREMENT, devEui TEXT NOT NULL, eventId TEXT NOT NULL, at REAL NOT NULL,
     digest TEXT NOT NULL, message BLOB NOT NULL, UNIQUE (eventId, digest)) STRICT`,
  `CREATE TABLE gateway (gatewayId TEXT PRIMARY KEY, at REAL NOT NULL) STRICT`,
  `ALTER TABLE taken ADD COLUMN devEui TEXT;
   ALTER TABLE taken ADD COLUMN session TEXT;
   ALTER TABLE taken ADD COLUMN fcnt INTEGER;
   CREATE INDEX taken_device ON taken (devEui, id);
   CREATE TABLE forgotten (id INTEGER PRIMARY KEY AUTOINCREMENT, devEui TEXT NOT NULL, session TEXT NOT NULL, fcnt INTEGER NOT NULL,
     UNIQUE (devEui, session)) STRICT`,
  `CREATE TABLE conflict_seen (devEui TEXT PRIMARY KEY, upTo INTEGER NOT NULL) STRICT`,
];

/** An event that core-data has not taken yet. */
export interface Waiting {
  readonly place: number;
  readonly eventId: string;
  readonly path: string;
  readonly body: string;
}

/** What is known of a device by what ChirpStack told. */
export interface KnownDevice {
  readonly applicationId: string | undefined;
  readonly devAddr: DevAddr | undefined;
  /** Of its newest uplink. */
  readonly fcnt: number | undefined;
}

export interface NewReading {
  readonly eventId: string;
  readonly path: string;
  readonly body: string;
  readonly digest: string;
  /** What tells it in its session; undefined of a device that counts anew now and then. */
  readonly counter: { readonly session: SessionId; readonly fcnt: number } | undefined;
}

/**
 * `new`: it waits for core-data now. `known`: it was taken before. `conflict`: something else was, under the same counter; or the counter
 * is so old that nobody knows any more what was.
 */
export type Taken = 'new' | 'known' | 'conflict';

export interface Conflicting {
  readonly devEui: DevEui;
  /** Wall ms. */
  readonly at: number;
  /** As ChirpStack sent it. */
  readonly message: Uint8Array;
}

/** As it is kept; newer ones have higher ids. */
export interface KeptMessage extends Conflicting {
  readonly id: number;
}

/** What ChirpStack told and others have not taken yet. All of it is durable when its promise resolves. */
export interface ChirpStackStore {
  take(reading: NewReading, conflicting: Conflicting): Promise<Taken>;
  know(devEui: DevEui, known: KnownDevice): Promise<void>;
  device(devEui: DevEui): KnownDevice | undefined;
  /** A gateway that an uplink came by, and when (wall ms). */
  heardBy(gatewayId: string, at: number): Promise<void>;
  /** Those that were heard since, the longest ago first. */
  gateways(since: number): { readonly gatewayId: string; readonly at: number }[];
  waiting(after: number, limit: number): Waiting[];
  /** Core-data has it, or it is kept elsewhere. */
  done(place: number): Promise<void>;
  readonly waitingCount: number;
  readonly waitingBytes: number;
  /** An event that could not be made a reading by a fault of ours, beside the conflicts. */
  keep(faulty: Conflicting): Promise<void>;
  /** The newest, newest first. */
  conflicts(devEui: DevEui, limit: number): KeptMessage[];
  /** Of each device those that nobody has said to have seen, by the newest of them; without what a fault of ours did not read. */
  unseen(): Unseen<KeptMessage>[];
  /** The device's with this id, and those before it, have been seen: they alarm nobody any more. */
  see(devEui: DevEui, upTo: number): Promise<void>;
  /** A value that is made once. */
  once(name: string, make: () => string): string;
  close(): Promise<void>;
}

/** Readings of each device whose contents are known, to tell another one under the same counter. */
const TAKEN_KEPT = 1024;
/** Of each device: sessions of which it is known up to which counter contents were forgotten. */
const SESSIONS_KEPT = 16;
/** In place of the id of a reading. */
const FAULTY = 'faulty';
/** Of each device. */
const CONFLICTS_KEPT = 64;
const GATEWAYS_KEPT = 256;
const OWNER_ONLY = 0o600;

const toKept = (row: Record<string, unknown>): KeptMessage => ({
  id: Number(row['id']),
  devEui: String(row['devEui']) as DevEui,
  at: Number(row['at']),
  message: row['message'] as Uint8Array,
});

export function openChirpStackStore(path: string): ChirpStackStore {
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) closeSync(openSync(path, 'a', OWNER_ONLY));
  const db = openDatabase(path, MIGRATIONS);
  const commit = createGroupCommit({ db, path, maxPending: 2000 });
  const getTaken = db.prepare('SELECT digest FROM taken WHERE eventId = ?');
  const putTaken = db.prepare(
    'INSERT INTO taken (eventId, digest, devEui, session, fcnt) VALUES (?, ?, ?, ?, ?)',
  );
  const forgetTaken = db.prepare(
    `DELETE FROM taken WHERE devEui = ? AND id <= (SELECT id FROM taken WHERE devEui = ? ORDER BY id DESC LIMIT 1 OFFSET ${TAKEN_KEPT})
     RETURNING session, fcnt`,
  );
  const getForgotten = db.prepare('SELECT fcnt FROM forgotten WHERE devEui = ? AND session = ?');
  const putForgotten = db.prepare(
    `INSERT INTO forgotten (devEui, session, fcnt) VALUES (?, ?, ?)
     ON CONFLICT (devEui, session) DO UPDATE SET fcnt = max(fcnt, excluded.fcnt)`,
  );
  const pruneForgotten = db.prepare(
    `DELETE FROM forgotten WHERE devEui = ? AND id <= (SELECT id FROM forgotten WHERE devEui = ? ORDER BY id DESC LIMIT 1 OFFSET ${SESSIONS_KEPT})`,
  );
  const putWaiting = db.prepare('INSERT INTO waiting (eventId, path, body) VALUES (?, ?, ?)');
  const getWaiting = db.prepare(
    'SELECT id, eventId, path, body FROM waiting WHERE id > ? ORDER BY id LIMIT ?',
  );
  const dropWaiting = db.prepare('DELETE FROM waiting WHERE id = ? RETURNING path, body');
  const sumWaiting = db.prepare(
    'SELECT count(*) AS count, coalesce(sum(length(path) + length(body)), 0) AS bytes FROM waiting',
  );
  const getDevice = db.prepare('SELECT applicationId, devAddr, fcnt FROM device WHERE devEui = ?');
  const putDevice = db.prepare(
    `INSERT INTO device VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET applicationId = coalesce(excluded.applicationId, applicationId),
     devAddr = coalesce(excluded.devAddr, devAddr), fcnt = coalesce(excluded.fcnt, fcnt)`,
  );
  const putConflict = db.prepare(
    'INSERT INTO conflict (devEui, eventId, at, digest, message) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const pruneConflicts = db.prepare(
    'DELETE FROM conflict WHERE devEui = ? AND id <= (SELECT id FROM conflict WHERE devEui = ? ORDER BY id DESC LIMIT 1 OFFSET ?)',
  );
  const getConflicts = db.prepare(
    'SELECT id, devEui, at, message FROM conflict WHERE devEui = ? ORDER BY id DESC LIMIT ?',
  );
  const seen = createSeenConflicts(db, toKept, `eventId <> '${FAULTY}'`);
  const putGateway = db.prepare(
    'INSERT INTO gateway VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)',
  );
  const pruneGateways = db.prepare(
    'DELETE FROM gateway WHERE gatewayId NOT IN (SELECT gatewayId FROM gateway ORDER BY at DESC LIMIT ?)',
  );
  const getGateways = db.prepare('SELECT gatewayId, at FROM gateway WHERE at >= ? ORDER BY at');
  const getOwn = db.prepare('SELECT value FROM own WHERE name = ?');
  const putOwn = db.prepare('INSERT INTO own VALUES (?, ?)');
  const begun = sumWaiting.get();
  let count = Number(begun?.['count'] ?? 0);
  let bytes = Number(begun?.['bytes'] ?? 0);

  const insert = (devEui: DevEui, { eventId, path: at, body, digest, counter }: NewReading): void => {
    putTaken.run(eventId, digest, devEui, counter?.session ?? null, counter?.fcnt ?? null);
    for (const { session, fcnt } of forgetTaken.all(devEui, devEui)) {
      if (typeof session !== 'string' || typeof fcnt !== 'number') continue;
      putForgotten.run(devEui, session, fcnt);
      pruneForgotten.run(devEui, devEui);
    }
    putWaiting.run(eventId, at, body);
  };
  const isForgotten = (devEui: DevEui, { counter }: NewReading): boolean => {
    const upTo = counter === undefined ? undefined : getForgotten.get(devEui, counter.session)?.['fcnt'];
    return counter !== undefined && upTo !== undefined && counter.fcnt <= Number(upTo);
  };
  const optional = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return {
    async take(reading, { devEui, at, message }) {
      const size = reading.path.length + reading.body.length;
      const taken = await commit.run(size, (): Taken => {
        const known = getTaken.get(reading.eventId)?.['digest'];
        if (known === reading.digest) return 'known';
        if (known === undefined && !isForgotten(devEui, reading)) {
          insert(devEui, reading);
          return 'new';
        }
        putConflict.run(devEui, reading.eventId, at, reading.digest, message);
        pruneConflicts.run(devEui, devEui, CONFLICTS_KEPT);
        return 'conflict';
      });
      if (taken === 'new') {
        count += 1;
        bytes += size;
      }
      return taken;
    },
    know: (devEui, { applicationId, devAddr, fcnt }) =>
      commit.run(64, () => void putDevice.run(devEui, applicationId ?? null, devAddr ?? null, fcnt ?? null)),
    device(devEui) {
      const row = getDevice.get(devEui);
      if (row === undefined) return undefined;
      const { fcnt } = row;
      return {
        applicationId: optional(row['applicationId']),
        devAddr: optional(row['devAddr']) as DevAddr | undefined,
        fcnt: fcnt === null ? undefined : Number(fcnt),
      };
    },
    heardBy: (gatewayId, at) =>
      commit.run(64, () => {
        putGateway.run(gatewayId, at);
        pruneGateways.run(GATEWAYS_KEPT);
      }),
    gateways: (since) =>
      getGateways.all(since).map((row) => ({ gatewayId: String(row['gatewayId']), at: Number(row['at']) })),
    waiting: (after, limit) =>
      getWaiting.all(after, limit).map((row) => ({
        place: Number(row['id']),
        eventId: String(row['eventId']),
        path: String(row['path']),
        body: String(row['body']),
      })),
    async done(place) {
      const gone = await commit.run(0, () => dropWaiting.get(place), { bounded: true });
      if (gone === undefined) return;
      count -= 1;
      bytes -= String(gone['path']).length + String(gone['body']).length;
    },
    get waitingCount() {
      return count;
    },
    get waitingBytes() {
      return bytes;
    },
    keep: ({ devEui, at, message }) =>
      commit.run(message.length, () => {
        putConflict.run(devEui, FAULTY, at, toHex(sha256(message)), message);
        pruneConflicts.run(devEui, devEui, CONFLICTS_KEPT);
      }),
    conflicts: (devEui, limit) => getConflicts.all(devEui, limit).map(toKept),
    unseen: () => seen.unseen(),
    see: (devEui, upTo) => commit.run(64, () => seen.see(devEui, upTo)),
    once(name, make) {
      const known = getOwn.get(name)?.['value'];
      if (known !== undefined) return String(known);
      const made = make();
      putOwn.run(name, made);
      return made;
    },
    async close() {
      await commit.close();
      db.close();
    },
  };
}
