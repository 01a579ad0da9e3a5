import type { DevEui } from '@antirio/lorawan';
import type { SessionBook } from '../uplink/session-book.ts';
import type { Session } from '../uplink/sessions.ts';

/** A device that took the answer to its join has thrown the keys before it away; one that did not goes on with them. */
const OFFER_MS = 300_000;

type Sessions = Pick<SessionBook, 'currentOf' | 'offeredAt'>;

/** Whether a device was offered another session lately and was not heard in it; `now` in wall ms. */
export function isRejoining(sessions: Sessions, devEui: DevEui, now: number): boolean {
  const offeredAt = sessions.offeredAt(devEui);
  return offeredAt !== undefined && Math.abs(now - offeredAt) < OFFER_MS;
}

/** The session that something may be sent in before the device is heard again; undefined where there is none. */
export function sessionInUse(
  sessions: Sessions | undefined,
  devEui: DevEui,
  now: number,
): Session | undefined {
  const session = sessions?.currentOf(devEui);
  if (sessions === undefined || session === undefined) return undefined;
  return isRejoining(sessions, devEui, now) ? undefined : session;
}
