import { inTransaction, type Database, type Log } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, type Clock } from '@antirio/kernel';
import { broughtHome, eu868, isBehind, parseMacState, type DevEui, type MacState } from '@antirio/lorawan';
import type { SessionBook } from '../uplink/session-book.ts';
import { highestOf, type Session } from '../uplink/sessions.ts';
import type { MacLayer } from './mac-layer.ts';
import type { MacStore } from './store.ts';

/** A device's MAC layer as another edge left it. */
export interface ComingHome {
  readonly session: string;
  readonly devEui: string;
  readonly state: unknown;
}

/**
 * `behind`: taken, of somebody who began from an older state than the newest that was known here. `older`: of an epoch that is taken
 * already; of what has no number also of an earlier one, or too late. `unknown`: no session of ours.
 */
export type HomeCounted = 'taken' | 'behind' | 'older' | 'unknown' | 'malformed';

/** Under whose epoch another edge served; `until`: wall ms. */
interface From {
  readonly setId: string;
  readonly epoch: number;
  readonly until?: number | undefined;
}

/** Of a session so many are known to have been taken: older ones nobody tells any more. */
const EPOCHS_KEPT = 64;

/** Takes what was made of the devices' MAC layers by who served them in our place. */
export interface MacHome {
  /**
   * Durable when it returns; what is malformed leaves what is known here. The same again changes nothing. After `until` (wall ms) our
   * own devices may have been sent to again: what cannot be told apart from that is left.
   * @throws AntirioError unavailable while there are no keys
   */
  take(from: From, coming: readonly ComingHome[]): Readonly<Record<HomeCounted, number>>;
}

export interface MacHomePorts {
  readonly db: Database;
  readonly store: MacStore;
  readonly mac: MacLayer;
  readonly sessions: () => SessionBook | undefined;
  /** What waits to be written of the session is written as it is now. */
  readonly keep: (session: Session) => void;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

export function createMacHome({ db, store, mac, sessions, keep, clock, log }: MacHomePorts): MacHome {
  const isTaken = db.prepare('SELECT 1 FROM mac_homes WHERE session = ? AND setId = ? AND epoch = ?');
  const newest = db.prepare('SELECT max(epoch) AS epoch FROM mac_homes WHERE session = ? AND setId = ?');
  const note = db.prepare('INSERT INTO mac_homes VALUES (?, ?, ?)');
  const forget = db.prepare('DELETE FROM mac_homes WHERE session = ? AND setId = ? AND epoch <= ?');
  const merged = (session: Session, theirs: MacState): MacState => {
    const own = mac.stateOf(session);
    const home = broughtHome(eu868, own, theirs, highestOf(session));
    return { ...home, number: (own.number ?? 0) + 1 };
  };
  /** What has no number stands in our own's place: only in its time, and in its turn. */
  const isOlder = (
    session: Session,
    { setId, epoch, until = Infinity }: From,
    { number }: MacState,
  ): boolean => {
    if (isTaken.get(session.id, setId, epoch) !== undefined) return true;
    if (number !== undefined) return false;
    return clock.now() > until || Number(newest.get(session.id, setId)?.['epoch'] ?? 0) > epoch;
  };
  const keepNext = (session: Session, next: MacState, { setId, epoch }: From): void => {
    store.put(session.id, next);
    note.run(session.id, setId, epoch);
    forget.run(session.id, setId, epoch - EPOCHS_KEPT);
  };
  const takeOne = (from: From, coming: ComingHome, taken: Map<Session, MacState>): HomeCounted => {
    const ours = sessions()?.sessionsOf(coming.devEui.toLowerCase() as DevEui) ?? [];
    const session = ours.find((one) => one.id === coming.session);
    if (session === undefined) return 'unknown';
    try {
      const theirs = parseMacState(coming.state);
      if (isOlder(session, from, theirs)) return 'older';
      const next = merged(session, theirs);
      const counted = isBehind(mac.stateOf(session), theirs) ? 'behind' : 'taken';
      keepNext(session, next, from);
      taken.set(session, next);
      return counted;
    } catch (error) {
      if (!isAntirioError(error, 'corrupt')) throw error;
      const why = describeError(error);
      log.warn({ device: session.device.name, why }, 'how it listens did not come home: no MAC state');
      return 'malformed';
    }
  };
  return {
    take(from, coming) {
      if (sessions() === undefined) throw new AntirioError('unavailable', 'the service has no keys yet');
      const counts = { taken: 0, behind: 0, older: 0, unknown: 0, malformed: 0 };
      const taken = new Map<Session, MacState>();
      inTransaction(db, () => {
        for (const one of coming) counts[takeOne(from, one, taken)] += 1;
      });
      // what is not on the disk is not so
      for (const [session, next] of taken) {
        mac.replace(session, next);
        keep(session);
      }
      return counts;
    },
  };
}
