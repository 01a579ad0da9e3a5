import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import type { DeviceOptions } from '../options.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import type { MacLayer } from './mac-layer.ts';
import { snapshotOf, type MacChanges } from './snapshot.ts';

const query = z.object({
  /** Of the answer before; only what changed since is told, where this is the same start of the service. */
  incarnation: z.string().max(64).default(''),
  since: z.coerce.number().int().min(0).default(0),
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
});
const answer = z.object({
  incarnation: z.string(),
  serial: z.int(),
  totalCount: z.int(),
  sessions: z.array(z.object({ session: z.string(), devEui: z.string(), state: z.unknown() })),
});

/** How devices listen and send now, for whoever may have to go on with them; without keys. */
export function addMacRoutes(
  rim: HttpRim,
  ports: {
    readonly devices: readonly DeviceOptions[];
    readonly sessions: () => SessionBook | undefined;
    readonly mac: MacLayer;
    readonly changes: MacChanges;
  },
): void {
  const { devices, sessions, mac, changes } = ports;
  const about = { summary: 'MAC layers of the sessions in use', query, answer };
  rim.route('get', '/api/v3/lora/mac', about, ({ query: { incarnation, since, offset, limit } }) => {
    const book = sessions();
    const after = incarnation === changes.incarnation ? since : -1;
    const inUse = devices
      .slice(offset, offset + limit)
      .flatMap(({ devEui }) => book?.currentOf(devEui) ?? [])
      .filter(({ id }) => changes.since(id, after));
    return {
      incarnation: changes.incarnation,
      serial: changes.serial,
      totalCount: devices.length,
      sessions: inUse.map((session) => ({
        ...{ session: session.id, devEui: session.device.devEui },
        state: snapshotOf(mac.stateOf(session)),
      })),
    };
  });
}
