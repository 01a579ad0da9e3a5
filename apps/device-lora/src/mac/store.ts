import type { Database } from '@antirio/host';
import type { MacState, SessionId } from '@antirio/lorawan';

/** What is known of the devices' MAC layers, by their sessions. */
export interface MacStore {
  load(session: SessionId): MacState | undefined;
  /** Within the caller's transaction, or durable when it returns. */
  put(session: SessionId, state: MacState): void;
}

export function createMacStore(db: Database): MacStore {
  const get = db.prepare('SELECT state FROM mac WHERE session = ?');
  const put = db.prepare('INSERT INTO mac VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state');
  return {
    load(session) {
      const row = get.get(session);
      return row === undefined ? undefined : (JSON.parse(String(row['state'])) as MacState);
    },
    put: (session, state) => void put.run(session, JSON.stringify(state)),
  };
}
