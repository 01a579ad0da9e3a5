import { inTransaction, type Database, type Log } from '@antirio/host';
import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import { broughtHome, eu868, parseMacState, type DevEui, type MacState } from '@antirio/lorawan';
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

/** `older`: of an epoch that is taken already, or an earlier one. `unknown`: no session of ours. */
export type HomeCounted = 'taken' | 'older' | 'unknown' | 'malformed';

/** Takes what was made of the devices' MAC layers by who served them in our place. */
export interface MacHome {
  /**
   * Durable when it returns; what is malformed leaves what is known here. The same again changes nothing.
   * @throws AntirioError unavailable while there are no keys; timeout after `until` (wall ms): devices may have been sent to again
   */
  take(
    from: { readonly setId: string; readonly epoch: number; readonly until?: number | undefined },
    coming: readonly ComingHome[],
  ): Readonly<Record<HomeCounted, number>>;
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
  const known = db.prepare('SELECT setId, epoch FROM mac_home WHERE session = ?');
  const note = db.prepare(
    'INSERT INTO mac_home VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET setId = excluded.setId, epoch = excluded.epoch',
  );
  const merged = (session: Session, state: unknown): MacState | undefined => {
    try {
      return broughtHome(eu868, mac.stateOf(session), parseMacState(state), highestOf(session));
    } catch (error) {
      const { name } = session.device;
      log.warn(
        { device: name, error: describeError(error) },
        'how it listens did not come home: no MAC state',
      );
      return undefined;
    }
  };
  const takeOne = (
    { setId, epoch }: Parameters<MacHome['take']>[0],
    { session: id, devEui, state }: ComingHome,
    taken: Map<Session, MacState>,
  ): HomeCounted => {
    const ours = sessions()?.sessionsOf(devEui.toLowerCase() as DevEui) ?? [];
    const session = ours.find((one) => one.id === id);
    if (session === undefined) return 'unknown';
    const last = known.get(id);
    if (last?.['setId'] === setId && Number(last['epoch']) >= epoch) return 'older';
    const next = merged(session, state);
    if (next === undefined) return 'malformed';
    store.put(session.id, next);
    note.run(session.id, setId, epoch);
    taken.set(session, next);
    return 'taken';
  };
  return {
    take(from, coming) {
      if (from.until !== undefined && clock.now() > from.until)
        throw new AntirioError('timeout', 'too late: nobody waits for how the devices listen any more');
      if (sessions() === undefined) throw new AntirioError('unavailable', 'the service has no keys yet');
      const counts = { taken: 0, older: 0, unknown: 0, malformed: 0 };
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
