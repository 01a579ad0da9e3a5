import { canonicalBytes, sha256Hex, toHex } from '@antirio/kernel';
import { inTransaction, writeFileDurably, type Database } from '@antirio/host';
import type { DevEui } from '@antirio/lorawan';
import type { JoinedSession, JoinReservation } from '../join/store.ts';

/** The file in the service's own folder; whoever seals the edge's keys for others reads it there. */
export const LIVE_SESSIONS_FILE = 'live-sessions.json';

/** What joins have made, for whoever seals it: readable for the edge's user alone. */
export interface LiveSessions {
  /** Counts the changes, for good; 0 before the first join. */
  readonly serial: number;
  /** The file says what is known now when this returns, durably: one change however many joins there were since the last. */
  refresh(): number;
}

export interface LiveSessionsPorts {
  readonly db: Database;
  readonly path: string;
  /** Those that are kept, oldest first for each device. */
  readonly joined: () => readonly JoinedSession[];
  /** What is used up of joins: who would answer the next one has to know. */
  readonly used: () => readonly JoinReservation[];
}

interface Exported {
  readonly devEui: string;
  readonly devAddr: string;
  readonly nwkSKey: string;
  readonly appSKey: string;
  /** Another edge made it, and knows its keys. */
  readonly broughtHome?: true;
}

/** Sessions of one device that a provider is given: a device may go on in the one before, and late frames are of the one before that. */
const OF_EACH = 3;

/** Of each device the newest ones, oldest first, and the one in use whatever came after it. */
export function exportedOf(joined: readonly JoinedSession[]): Exported[] {
  const byDevice = Map.groupBy(joined, ({ devEui }): DevEui => devEui);
  return [...byDevice].flatMap(([, sessions]) => {
    const newest = new Set(sessions.slice(-OF_EACH));
    return sessions
      .filter((one) => newest.has(one) || one.state === 'current')
      .map(({ devEui, devAddr, nwkSKey, appSKey, broughtHome }) => ({
        ...{ devEui, devAddr, ...(broughtHome === true ? { broughtHome } : {}) },
        ...{ nwkSKey: toHex(nwkSKey), appSKey: toHex(appSKey) },
      }));
  });
}

/** Opens what is told of the joins' sessions: the file is written anew, as a kill may have come before it was. */
export function openLiveSessions({ db, path, joined, used }: LiveSessionsPorts): LiveSessions {
  const select = db.prepare('SELECT serial, digest FROM live_sessions WHERE id = 1');
  const update = db.prepare(
    'INSERT INTO live_sessions VALUES (1, ?, ?) ON CONFLICT DO UPDATE SET serial = excluded.serial, digest = excluded.digest',
  );
  const row = select.get();
  let serial = Number(row?.['serial'] ?? 0);
  let digest = String(row?.['digest'] ?? '');
  let written = false;

  const refresh = (): number => {
    const sessions = exportedOf(joined());
    if (sessions.length === 0 && serial === 0) return 0;
    const joins = used();
    const now = sha256Hex(canonicalBytes([sessions, joins]));
    if (now === digest && written) return serial;
    if (now !== digest) {
      // the number first: no two contents ever have the same
      inTransaction(db, () => update.run(serial + 1, now));
      serial += 1;
      digest = now;
      written = false;
    }
    writeFileDurably(path, JSON.stringify({ serial, sessions, joins }));
    written = true;
    return serial;
  };
  refresh();
  return {
    get serial() {
      return serial;
    },
    refresh,
  };
}
