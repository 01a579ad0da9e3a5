import type { Database } from '@antirio/host';
import type { DevEui } from '@antirio/lorawan';

/** By which gateways a device that always listens was heard last, the strongest first; kept over restarts. */
export interface Reach {
  of(devEui: DevEui): readonly string[];
  /** Durable when it returns. */
  note(devEui: DevEui, gateways: readonly string[]): void;
}

export function createReach(db: Database): Reach {
  const get = db.prepare('SELECT gateways FROM reach WHERE devEui = ?');
  const put = db.prepare(
    'INSERT INTO reach VALUES (?, ?) ON CONFLICT DO UPDATE SET gateways = excluded.gateways',
  );
  const read = (devEui: DevEui): string => String(get.get(devEui)?.['gateways'] ?? '');
  return {
    of: (devEui) => read(devEui).split(' ').filter(Boolean),
    note(devEui, gateways) {
      const next = gateways.join(' ');
      if (next !== read(devEui)) put.run(devEui, next);
    },
  };
}
