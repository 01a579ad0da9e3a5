import { AntirioError } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import type { DevEui, SessionId } from '@antirio/lorawan';

/** A downlink counter that somebody was told, to encrypt one payload for it. */
export interface Named {
  readonly session: SessionId;
  readonly fcnt: number;
  readonly devEui: DevEui;
  /** By which whoever asked may ask for the same one again. */
  readonly requestId: string | undefined;
  /** Wall ms. */
  readonly expiresAt: number;
}

/** Named counters that nobody has sent anything for yet. No transactions of its own. */
interface NamedStore {
  /** Those of its device that have expired are forgotten. */
  put(named: Named, now: number): void;
  /** Those that have not expired. */
  of(devEui: DevEui, now: number): Named[];
  /** It is taken: nobody else's payload goes by it. @throws AntirioError gone where it is not named (any more). */
  take(one: Pick<Named, 'session' | 'fcnt'>): void;
}

export function createNamedStore(db: Database): NamedStore {
  const insert = db.prepare('INSERT INTO named_counter VALUES (?, ?, ?, ?, ?)');
  const forget = db.prepare('DELETE FROM named_counter WHERE devEui = ? AND expiresAt <= ?');
  const ofDevice = db.prepare('SELECT * FROM named_counter WHERE devEui = ? AND expiresAt > ? ORDER BY fcnt');
  const remove = db.prepare('DELETE FROM named_counter WHERE session = ? AND fcnt = ?');
  return {
    put({ session, fcnt, devEui, requestId, expiresAt }, now) {
      forget.run(devEui, now);
      insert.run(session, fcnt, devEui, requestId ?? null, expiresAt);
    },
    of: (devEui, now) =>
      ofDevice.all(devEui, now).map((row) => ({
        session: String(row['session']) as SessionId,
        fcnt: Number(row['fcnt']),
        devEui,
        requestId: row['requestId'] === null ? undefined : String(row['requestId']),
        expiresAt: Number(row['expiresAt']),
      })),
    take({ session, fcnt }) {
      if (remove.run(session, fcnt).changes === 0)
        throw new AntirioError('gone', `counter ${fcnt} is not named for session ${session} (any more)`, {
          fCntDown: fcnt,
        });
    },
  };
}
