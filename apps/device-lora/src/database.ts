import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { openDatabase, type Database } from '@antirio/host';

const MIGRATIONS = [
  `CREATE TABLE cursor (ring TEXT PRIMARY KEY, incarnation TEXT NOT NULL, seq INTEGER NOT NULL) STRICT;
   CREATE TABLE counted (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
   CREATE TABLE seen (session TEXT NOT NULL, page INTEGER NOT NULL, bits BLOB NOT NULL, PRIMARY KEY (session, page)) STRICT, WITHOUT ROWID;
   CREATE TABLE remembered (session TEXT NOT NULL, fcnt INTEGER NOT NULL, digest TEXT NOT NULL, receivedAt REAL NOT NULL,
     PRIMARY KEY (session, fcnt)) STRICT, WITHOUT ROWID;
   CREATE TABLE parked (id TEXT PRIMARY KEY, path TEXT NOT NULL, body TEXT NOT NULL, reason TEXT NOT NULL) STRICT;
   CREATE TABLE downlink (id INTEGER PRIMARY KEY AUTOINCREMENT, devEui TEXT NOT NULL, resource TEXT NOT NULL, fPort INTEGER,
     payload BLOB NOT NULL, confirmed INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, fcnt INTEGER, bytes BLOB,
     createdAt REAL NOT NULL, updatedAt REAL NOT NULL, error TEXT) STRICT;
   CREATE INDEX downlink_device ON downlink (devEui, id);
   CREATE TABLE fcnt_down (devAddr TEXT PRIMARY KEY, highest INTEGER NOT NULL) STRICT`,
  `CREATE TABLE joined (session TEXT PRIMARY KEY, devEui TEXT NOT NULL, devAddr TEXT NOT NULL, nwkSKey BLOB NOT NULL, appSKey BLOB NOT NULL,
     devNonce INTEGER NOT NULL, joinNonce INTEGER NOT NULL, state TEXT NOT NULL, joinedAt REAL NOT NULL) STRICT;
   CREATE INDEX joined_device ON joined (devEui, joinNonce);
   CREATE TABLE dev_nonces (devEui TEXT PRIMARY KEY, nonces TEXT NOT NULL) STRICT;
   CREATE TABLE mac (session TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
   CREATE TABLE join_nonce (devEui TEXT PRIMARY KEY, highest INTEGER NOT NULL) STRICT;
   CREATE TABLE given_address (devAddr TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
   CREATE TABLE stored_bytes (id INTEGER PRIMARY KEY, session TEXT NOT NULL, digest TEXT NOT NULL, UNIQUE (session, digest)) STRICT;
   ALTER TABLE downlink ADD COLUMN session TEXT`,
  `CREATE TABLE ring_name (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID`,
  `CREATE TABLE conflict (id INTEGER PRIMARY KEY, devEui TEXT NOT NULL, session TEXT NOT NULL, fcnt INTEGER NOT NULL, digest TEXT NOT NULL,
     receivedAt REAL NOT NULL, gatewayId TEXT NOT NULL, phyPayload BLOB NOT NULL, UNIQUE (session, digest)) STRICT;
   CREATE INDEX conflict_device ON conflict (devEui, id)`,
  `CREATE TABLE reach (devEui TEXT PRIMARY KEY, gateways TEXT NOT NULL) STRICT`,
  `CREATE INDEX downlink_open ON downlink (devEui, id) WHERE (state IN ('queued', 'sending') OR (state = 'sent' AND confirmed = 1))`,
  `CREATE TABLE live_sessions (id INTEGER PRIMARY KEY CHECK (id = 1), serial INTEGER NOT NULL, digest TEXT NOT NULL) STRICT`,
  // what was sent before anybody asked for proofs is taken for heard, as it was until then
  `CREATE TABLE fcnt_proven (devAddr TEXT PRIMARY KEY, proven INTEGER NOT NULL) STRICT;
   INSERT INTO fcnt_proven SELECT devAddr, highest FROM fcnt_down`,
  `CREATE TABLE mac_home (session TEXT PRIMARY KEY, setId TEXT NOT NULL, epoch INTEGER NOT NULL) STRICT`,
  // two who served one after the other may tell in any order
  `CREATE TABLE mac_homes (session TEXT NOT NULL, setId TEXT NOT NULL, epoch INTEGER NOT NULL,
     PRIMARY KEY (session, setId, epoch)) STRICT, WITHOUT ROWID;
   INSERT INTO mac_homes SELECT session, setId, epoch FROM mac_home;
   DROP TABLE mac_home`,
  `ALTER TABLE joined ADD COLUMN broughtHome INTEGER NOT NULL DEFAULT 0`,
  `CREATE TABLE conflict_seen (devEui TEXT PRIMARY KEY, upTo INTEGER NOT NULL) STRICT`,
  // who may have sent what a device acknowledges
  `ALTER TABLE downlink ADD COLUMN sentAfter INTEGER;
   ALTER TABLE downlink ADD COLUMN sentUnder TEXT;
   ALTER TABLE downlink ADD COLUMN ackHeard INTEGER NOT NULL DEFAULT 0`,
  `ALTER TABLE downlink ADD COLUMN aloneAfter INTEGER`,
  // what waits moves with a handover
  `ALTER TABLE downlink ADD COLUMN entrusted INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE downlink ADD COLUMN origin TEXT;
   ALTER TABLE downlink ADD COLUMN givenUnder TEXT;
   CREATE INDEX downlink_origin ON downlink (devEui, origin) WHERE origin IS NOT NULL`,
  // others encrypt for counters that are named: used, though no frame was made with them yet
  `CREATE TABLE named_counter (session TEXT NOT NULL, fcnt INTEGER NOT NULL, devEui TEXT NOT NULL, requestId TEXT, expiresAt REAL NOT NULL,
     PRIMARY KEY (session, fcnt)) STRICT, WITHOUT ROWID;
   ALTER TABLE downlink ADD COLUMN isEncrypted INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE fcnt_down ADD COLUMN made INTEGER;
   UPDATE fcnt_down SET made = highest`,
];

const OWNER_ONLY = 0o600;

/** Session keys are in it: nobody but the service's own user may read it. SQLite gives the files beside it the same mode. */
function keepPrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  closeSync(openSync(path, 'a', OWNER_ONLY));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, OWNER_ONLY);
}

/** Opens the service's one store. */
export function openStore(path: string): Database {
  if (path !== ':memory:') keepPrivate(path);
  return openDatabase(path, MIGRATIONS);
}
