import { z } from 'zod';
import type { MacState, SessionId } from '@antirio/lorawan';
import type { DeviceOptions } from '../options.ts';
import type { Session } from '../uplink/sessions.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import type { MacLayer } from './mac-layer.ts';
import { snapshotOf, type MacChanges } from './snapshot.ts';

/** Which of the sessions in use are asked for. */
export const macQuery = z.object({
  /** Of the answer before; only what changed since is told, where this is the same start of the service. */
  incarnation: z.string().max(64).default(''),
  since: z.coerce.number().int().min(0).default(0),
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
  /** With what waits to be sent to the devices, sealed, for an edge that would serve them. */
  queues: z.enum(['true', 'false']).default('false'),
});

export interface MacPage {
  readonly incarnation: string;
  readonly serial: number;
  readonly totalCount: number;
  readonly sessions: { session: SessionId; devEui: string; state: MacState; queue?: string }[];
}

/** Which sessions are told of, and what is told of their downlinks. */
export interface MacTold {
  readonly of: (session: Session) => boolean;
  readonly queueOf: (session: Session) => string | undefined;
}

export interface MacPagePorts {
  readonly devices: readonly DeviceOptions[];
  readonly sessions: () => SessionBook | undefined;
  readonly mac: MacLayer;
  readonly changes: MacChanges;
  /** Writes the sessions' states down: what is told must not be another after a crash. Durable when it returns. */
  readonly writeDown?: (told: readonly Session[]) => void;
}

/** How some of the devices listen and send now; nothing of it is a key. */
export function macPage(
  { devices, sessions, mac, changes, writeDown }: MacPagePorts,
  { incarnation, since, offset, limit }: z.output<typeof macQuery>,
  { of, queueOf }: MacTold,
): MacPage {
  const book = sessions();
  const after = incarnation === changes.incarnation ? since : -1;
  const inUse = devices
    .slice(offset, offset + limit)
    .flatMap(({ devEui }) => book?.currentOf(devEui) ?? [])
    .filter((session) => changes.since(session.id, after) && of(session));
  writeDown?.(inUse.filter((session) => mac.stateOf(session).number !== undefined));
  return {
    incarnation: changes.incarnation,
    serial: changes.serial,
    totalCount: devices.length,
    sessions: inUse.map((session) => {
      const queue = queueOf(session);
      const state = snapshotOf(mac.stateOf(session));
      const { devEui } = session.device;
      return { session: session.id, devEui, state, ...(queue === undefined ? {} : { queue }) };
    }),
  };
}
