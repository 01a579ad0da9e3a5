import type { Database } from '@antirio/host';
import type { DevEui, SessionId } from '@antirio/lorawan';
import { createSeenConflicts, type SeenConflicts } from '../seen-conflicts.ts';

/** A frame with a right MIC under a counter that another one was stored under: no reading, but kept to be looked at. */
export interface Conflict {
  readonly devEui: DevEui;
  readonly session: SessionId;
  readonly fcnt: number;
  /** Of the PHYPayload, hex. */
  readonly digest: string;
  /** Wall ms. */
  readonly receivedAt: number;
  readonly gatewayId: string;
  readonly phyPayload: Uint8Array;
}

/** As it is kept; newer ones have higher ids. */
export interface KeptConflict extends Conflict {
  readonly id: number;
}

export interface ConflictStore extends SeenConflicts<KeptConflict> {
  /** The same bytes are kept once. Within the caller's transaction, or durable when it returns. */
  put(conflict: Conflict): void;
  /** The newest, newest first. */
  latest(devEui: DevEui, limit: number): KeptConflict[];
  count(devEui: DevEui): number;
}

/** Of each device. */
const KEPT = 64;

const toKept = (row: Record<string, unknown>): KeptConflict => ({
  id: Number(row['id']),
  devEui: String(row['devEui']) as DevEui,
  session: String(row['session']) as SessionId,
  fcnt: Number(row['fcnt']),
  digest: String(row['digest']),
  receivedAt: Number(row['receivedAt']),
  gatewayId: String(row['gatewayId']),
  phyPayload: row['phyPayload'] as Uint8Array,
});

export function createConflictStore(db: Database): ConflictStore {
  const insert = db.prepare(
    `INSERT INTO conflict (devEui, session, fcnt, digest, receivedAt, gatewayId, phyPayload) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
  );
  const prune = db.prepare(
    `DELETE FROM conflict WHERE devEui = ? AND id <= (SELECT id FROM conflict WHERE devEui = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
  );
  const latest = db.prepare('SELECT * FROM conflict WHERE devEui = ? ORDER BY id DESC LIMIT ?');
  const count = db.prepare('SELECT count(*) AS count FROM conflict WHERE devEui = ?');
  return {
    put({ devEui, session, fcnt, digest, receivedAt, gatewayId, phyPayload }) {
      insert.run(devEui, session, fcnt, digest, receivedAt, gatewayId, phyPayload);
      prune.run(devEui, devEui, KEPT);
    },
    latest: (devEui, limit) => latest.all(devEui, limit).map(toKept),
    count: (devEui) => Number(count.get(devEui)?.['count'] ?? 0),
    ...createSeenConflicts(db, toKept),
  };
}
