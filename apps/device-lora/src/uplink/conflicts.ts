import type { Database } from '@antirio/host';
import type { DevEui, SessionId } from '@antirio/lorawan';

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

export interface ConflictStore {
  /** The same bytes are kept once. Within the caller's transaction, or durable when it returns. */
  put(conflict: Conflict): void;
  /** The newest, newest first. */
  latest(devEui: DevEui, limit: number): Conflict[];
  count(devEui: DevEui): number;
}

/** Of each device. */
const KEPT = 64;

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
    latest: (devEui, limit) =>
      latest.all(devEui, limit).map((row) => ({
        devEui,
        session: String(row['session']) as SessionId,
        fcnt: Number(row['fcnt']),
        digest: String(row['digest']),
        receivedAt: Number(row['receivedAt']),
        gatewayId: String(row['gatewayId']),
        phyPayload: row['phyPayload'] as Uint8Array,
      })),
    count: (devEui) => Number(count.get(devEui)?.['count'] ?? 0),
  };
}
