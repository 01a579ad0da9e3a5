import type { Database } from '@antirio/host';
import type { DevEui } from '@antirio/lorawan';

/** Of a device's conflicts those that nobody has said to have seen, by the newest of them. */
export interface Unseen<T> {
  readonly newest: T;
  readonly count: number;
}

export interface SeenConflicts<T> {
  /** Of each device that has any, newest first. */
  unseen(): Unseen<T>[];
  /** The device's with this id, and those before it, have been seen: they alarm nobody any more. Within the caller's transaction, or durable when it returns. */
  see(devEui: DevEui, upTo: number): void;
}

/** Over a table `conflict` whose newer rows have higher ids, and `conflict_seen`. `counted`: which rows alarm anybody, in SQL. */
export function createSeenConflicts<T>(
  db: Database,
  toKept: (row: Record<string, unknown>) => T,
  counted = 'TRUE',
): SeenConflicts<T> {
  const unseen = db.prepare(
    `SELECT conflict.*, unseen.count FROM conflict JOIN
       (SELECT max(id) AS newest, count(*) AS count FROM conflict LEFT JOIN conflict_seen USING (devEui)
        WHERE id > coalesce(upTo, 0) AND ${counted} GROUP BY devEui) AS unseen
     ON conflict.id = unseen.newest ORDER BY conflict.id DESC`,
  );
  // an id that no frame has yet would hide what is still to come
  const see = db.prepare(
    `INSERT INTO conflict_seen SELECT devEui, max(id) FROM conflict WHERE devEui = ? AND id <= ? GROUP BY devEui
     ON CONFLICT DO UPDATE SET upTo = max(upTo, excluded.upTo)`,
  );
  return {
    unseen: () => unseen.all().map((row) => ({ newest: toKept(row), count: Number(row['count']) })),
    see: (devEui, upTo) => void see.run(devEui, upTo),
  };
}
