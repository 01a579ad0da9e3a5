import { join } from 'node:path';
import { z } from 'zod';
import { openDatabase, type HttpRim, type Log } from '@antirio/host';
import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import { ruleName } from './forwarding/rules.ts';

/** Events that are owed to somebody who has not fetched them yet: retention takes none of them. */
export interface Hold {
  readonly id: string;
  /** Of devices whose names begin so. */
  readonly devicePrefix: string;
  /** For how much longer, in time that core-data runs; undefined until it is known when it ends. */
  readonly leftS: number | undefined;
}

export interface Holds {
  all(): Hold[];
  /** Durable when it returns; one that is there stays as it is. @throws AntirioError busy when there are too many */
  put(id: string, devicePrefix: string): void;
  /** It ends by itself in so long, or as was said before. Durable when it returns. @throws AntirioError notFound */
  endIn(id: string, ms: number): void;
  /** Durable when it returns. @throws AntirioError notFound */
  remove(id: string): void;
  isHeld(device: string): boolean;
  /** The same as long as `isHeld` says the same. */
  state(): string;
  close(): void;
}

interface Held {
  readonly devicePrefix: string;
  readonly forMs: number | undefined;
  readonly agedMs: number;
  /** When that was its age, monotonic ms. */
  readonly at: number;
}

const MIGRATIONS = [
  'CREATE TABLE hold (id TEXT PRIMARY KEY, prefix TEXT NOT NULL, forMs INTEGER, agedMs INTEGER NOT NULL) STRICT',
];
const MOST = 1000;
const SAVE_EVERY_MS = 600_000;

/**
 * No wall clock says when a hold is over, and no time in which core-data was down counts. On a disk that takes nothing holds end all the
 * same; what is not written of their ages by the next start makes them end that much later.
 */
export function openHolds(dataDir: string, clock: Pick<Clock, 'monotonic'>, log: Pick<Log, 'error'>): Holds {
  const db = openDatabase(join(dataDir, 'core-data', 'holds.db'), MIGRATIONS);
  const upsert = db.prepare(
    'INSERT INTO hold VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET prefix = excluded.prefix, forMs = excluded.forMs, agedMs = excluded.agedMs',
  );
  const erase = db.prepare('DELETE FROM hold WHERE id = ?');
  const held = new Map<string, Held>();
  /** Over, and not erased yet. */
  const over = new Set<string>();
  let changes = 0;
  let savedAt = clock.monotonic();
  for (const row of db.prepare('SELECT * FROM hold ORDER BY rowid').all()) {
    const forMs = typeof row['forMs'] === 'number' ? row['forMs'] : undefined;
    const known = { devicePrefix: String(row['prefix']), forMs, agedMs: Number(row['agedMs']), at: savedAt };
    held.set(String(row['id']), known);
  }

  const ageOf = ({ forMs, agedMs, at }: Held): number =>
    forMs === undefined ? 0 : agedMs + clock.monotonic() - at;
  const keep = (id: string, one: Held): void => {
    upsert.run(id, one.devicePrefix, one.forMs ?? null, Math.trunc(one.agedMs));
    held.set(id, one);
    over.delete(id);
  };
  const forget = (id: string): void => {
    held.delete(id);
    changes += 1;
  };
  const save = (): void => {
    savedAt = clock.monotonic();
    try {
      for (const id of over) {
        erase.run(id);
        over.delete(id);
      }
      for (const [id, one] of held)
        upsert.run(id, one.devicePrefix, one.forMs ?? null, Math.trunc(ageOf(one)));
    } catch (error) {
      const what = 'the ages of holds were not written, will try again: after a start they end later';
      log.error({ error: describeError(error) }, what);
    }
  };
  /** What is over goes. */
  const now = (): ReadonlyMap<string, Held> => {
    const before = over.size;
    for (const [id, one] of held)
      if (one.forMs !== undefined && ageOf(one) >= one.forMs) {
        forget(id);
        over.add(id);
      }
    if (over.size > before || clock.monotonic() - savedAt >= SAVE_EVERY_MS) save();
    return held;
  };
  const must = (id: string): Held => {
    const found = now().get(id);
    if (found === undefined) throw new AntirioError('notFound', `nothing is held as ${id}`);
    return found;
  };
  return {
    all: () =>
      [...now()].map(([id, one]) => {
        const leftS = one.forMs === undefined ? undefined : Math.round((one.forMs - ageOf(one)) / 1000);
        return { id, devicePrefix: one.devicePrefix, leftS };
      }),
    put(id, devicePrefix) {
      if (now().has(id)) return;
      if (held.size >= MOST) throw new AntirioError('busy', `${MOST} holds are all that there may be`);
      keep(id, { devicePrefix, forMs: undefined, agedMs: 0, at: clock.monotonic() });
      changes += 1;
    },
    endIn(id, ms) {
      const one = must(id);
      if (one.forMs === undefined) keep(id, { ...one, forMs: ms, agedMs: 0, at: clock.monotonic() });
    },
    remove(id) {
      must(id);
      erase.run(id);
      forget(id);
    },
    isHeld: (device) => [...now().values()].some(({ devicePrefix }) => device.startsWith(devicePrefix)),
    state() {
      now();
      return String(changes);
    },
    close() {
      save();
      db.close();
    },
  };
}

const params = z.object({ id: ruleName });

/** For the rooms of this edge that know what is owed to whom. */
export function addHoldRoutes(rim: HttpRim, holds: Holds): void {
  const path = '/api/v3/hold';
  rim.route('get', path, { summary: 'events that retention does not touch, and for how long' }, () => ({
    holds: holds.all(),
  }));
  const body = z.strictObject({ devicePrefix: z.string().min(1).max(256) });
  const put = { summary: 'retention leaves alone the events of devices whose names begin so', params, body };
  rim.route('put', `${path}/:id`, put, ({ params: { id }, body: { devicePrefix } }) => {
    holds.put(id, devicePrefix);
    return { id, devicePrefix };
  });
  const ending = z.strictObject({ forS: z.int().min(0).max(31_536_000) });
  const end = { summary: 'for so much longer, and no more', params, body: ending };
  rim.route('post', `${path}/:id/end`, end, ({ params: { id }, body: { forS } }) => {
    holds.endIn(id, forS * 1000);
    return { id, forS };
  });
  const remove = { summary: 'they age like all others', params, status: 204 };
  rim.route('delete', `${path}/:id`, remove, ({ params: { id } }) => holds.remove(id));
}
