import type { Clock } from '@antirio/kernel';
import { eu868, type DevEui, type ReceiveWindow } from '@antirio/lorawan';
import type { Session } from '../uplink/sessions.ts';
import type { Verdict } from './plan.ts';
import type { Downlink, DownlinkStore } from './store.ts';

/** What becomes of queued downlinks, whichever way they are sent. */
export interface Desk {
  /** Devices that something is being sent to: one frame at a time. */
  readonly busy: Set<DevEui>;
  /** Nothing is being sent to it any more. */
  release(devEui: DevEui): void;
  /** Who is told of each release. */
  onRelease(listener: (devEui: DevEui) => void): void;
  /** It was given its bytes just now: nobody has them yet. */
  made(downlink: Pick<Downlink, 'id'>): void;
  /** Whether its bytes surely were not on air: of what was made before a start nobody knows. */
  isUnsent(downlink: Downlink): boolean;
  /** Whether a higher counter was used since: the device would not take its bytes any more. */
  isPassed(session: Session, downlink: Downlink): boolean;
  end(downlink: Downlink, state: 'acknowledged' | 'failed', error?: string): void;
  /** As it is now; undefined where it has ended meanwhile. */
  openNow(downlink: Downlink): Downlink | undefined;
  /**
   * What became of one that was sent, or was not, to a device that listens at all times or only in its windows. `aloneAfter`: the uplink
   * after which it was, where nobody else can be heard before the next one.
   */
  settle(downlink: Downlink, verdict: Verdict, listensAlways: boolean, aloneAfter?: number): void;
  /**
   * Back into the queue, to go under another counter; whether there were any. One that is encrypted for its counter ends: whoever has the
   * AppSKey encrypts it again.
   */
  requeue(downlinks: readonly Downlink[], why: string): boolean;
  /** Ends those of the session's device whose payloads are encrypted for counters that a frame with a higher one has passed. */
  endPassed(session: Session): void;
  /**
   * Those of the session's device that are not at their end and may go by this right to act, oldest first; what was made with another
   * session is made anew. What another edge gave us for another right is ended: that edge has seen to it. Without the AppSKey only what
   * is encrypted goes.
   */
  openOf(session: Session, tenure: string | undefined): Downlink[];
  /** Without those that fit none of the windows; they are told so. */
  fitting(open: readonly Downlink[], windows: readonly ReceiveWindow[]): Downlink[];
  count(name: string): void;
  counts(): Readonly<Record<string, number>>;
}

export const UNKNOWN = 'nobody knows whether the device has it, and its counter can be used no more';
/** How what became of an encrypted one begins, where the device surely has not got it. */
export const ENCRYPT_AGAIN = 'its counter was passed before it was on air; encrypt it again for another';
const MAYBE_PASSED = `${UNKNOWN}; encrypted again for another, it may be done twice`;
export const WENT_HOME = 'it went home to the edge that it was given by, which sees to it';
export const TOO_LONG = 'too long for the data rates that the device uses';

export const fits = (length: number, windows: readonly ReceiveWindow[]): ReceiveWindow[] =>
  windows.filter((window) => length <= eu868.maxPayload(window));

const mayBeOnAir = (verdict: Verdict): boolean =>
  verdict.kind === 'onAir' || (verdict.kind === 'again' && verdict.isUnsure === true);

export function createDesk(store: DownlinkStore, clock: Pick<Clock, 'now'>): Desk {
  const counts: Record<string, number> = {
    sent: 0,
    acknowledged: 0,
    failed: 0,
    answered: 0,
    notSent: 0,
    passed: 0,
  };
  const count: Desk['count'] = (name) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const openNow: Desk['openNow'] = ({ id, devEui }) => store.open(devEui).find((one) => one.id === id);
  const unsent = new Set<number>();
  const listeners: ((devEui: DevEui) => void)[] = [];
  const busy = new Set<DevEui>();
  const end: Desk['end'] = (downlink, state, error) => {
    unsent.delete(downlink.id);
    store.update(downlink.id, { state, ...(error === undefined ? {} : { error }) }, clock.now());
    count(state);
  };
  /** What became of it was told: it is not named again, and may be given once more. */
  const letGo = (downlink: Downlink): void => {
    store.update(downlink.id, { given: undefined }, clock.now());
    end(downlink, 'failed', WENT_HOME);
  };
  const isUnsent: Desk['isUnsent'] = ({ id }) => unsent.has(id);
  const isPassed: Desk['isPassed'] = ({ devAddr }, { fcnt }) =>
    fcnt !== undefined && (store.highestMade(devAddr) ?? -1) > fcnt;
  const wasNeverOnAir = (one: Downlink): boolean => one.bytes === undefined || isUnsent(one);
  const endEncrypted = (downlink: Downlink, why: string): void => {
    const told = wasNeverOnAir(downlink) ? ENCRYPT_AGAIN : MAYBE_PASSED;
    count('passed');
    end(downlink, 'failed', `${told} (${why})`);
  };
  const endPassed: Desk['endPassed'] = (session) => {
    for (const one of store.open(session.device.devEui))
      if (one.isEncrypted && wasNeverOnAir(one) && isPassed(session, one))
        endEncrypted(one, 'by another frame');
  };
  const requeue: Desk['requeue'] = (downlinks, why) => {
    for (const one of downlinks) {
      if (one.isEncrypted) {
        endEncrypted(one, why);
        continue;
      }
      const { id } = one;
      unsent.delete(id);
      store.requeue(id, why, clock.now());
    }
    return downlinks.length > 0;
  };
  return {
    busy,
    release(devEui) {
      busy.delete(devEui);
      for (const listener of listeners) listener(devEui);
    },
    onRelease: (listener) => void listeners.push(listener),
    made: ({ id }) => void unsent.add(id),
    isUnsent,
    isPassed,
    endPassed,
    count,
    counts: () => ({ ...counts }),
    end,
    openNow,
    requeue,
    openOf(session, tenure) {
      const { id, device, cipher } = session;
      let open = store.open(device.devEui);
      // nearly always there is none
      if (open.some(({ isEncrypted }) => isEncrypted)) {
        endPassed(session);
        open = store.open(device.devEui);
      }
      const isMade = ({ bytes, isEncrypted }: Downlink): boolean => bytes !== undefined || isEncrypted;
      const stale = open.filter((one) => isMade(one) && (one.session ?? id) !== id);
      const now = requeue(stale, 'the device has another session') ? store.open(device.devEui) : open;
      return now.filter((one) => {
        if (!isMade(one) && !cipher.readsPayload) return false;
        if (one.given === undefined || one.given.under === tenure) return true;
        if (tenure !== undefined && tenure !== '') letGo(one);
        return false;
      });
    },
    fitting(open, windows) {
      const isTooLong = ({ payload }: Downlink): boolean => fits(payload.length, windows).length === 0;
      for (const { id, error } of open.filter(isTooLong))
        if (error !== TOO_LONG) store.update(id, { error: TOO_LONG }, clock.now());
      return open.filter((downlink) => !isTooLong(downlink));
    },
    settle(downlink, verdict, listensAlways, aloneAfter) {
      const now = clock.now();
      if (verdict.kind === 'onAir') count('sent');
      if (mayBeOnAir(verdict)) unsent.delete(downlink.id);
      // a newer value may have replaced it while it was at the gateway
      const current = openNow(downlink);
      if (current === undefined) return;
      if (verdict.kind === 'onAir') {
        const attempts = current.attempts + 1;
        const told = verdict.note === undefined ? {} : { error: verdict.note };
        store.update(downlink.id, { state: 'sent', attempts, aloneAfter, ...told }, now);
      } else if (verdict.kind === 'again') store.update(downlink.id, { error: verdict.why }, now);
      // listening at all times, the device may have it already
      else if (listensAlways && !unsent.has(current.id)) end(current, 'failed', UNKNOWN);
      else requeue([current], verdict.why);
    },
  };
}
