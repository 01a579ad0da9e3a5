import { openDatabase } from '@antirio/host';
import type { Clock } from '@antirio/kernel';

/** How long ago events arrived, in time that the service ran: no wall clock, here or in devices, makes an event older. */
export interface ArrivalAges {
  /** The newest place that is taken now. */
  note(newest: number): void;
  /** Everything up to this place arrived so many milliseconds ago, or before. */
  placeBefore(ageMs: number): number;
  close(): void;
}

/** The store whose places are marked. */
export interface MarkedStore {
  /** Another one's places say nothing of this one's. */
  readonly of: string;
  /** The newest place in it, before anything else is stored. */
  readonly newest: number;
}

const MIGRATIONS = [
  'CREATE TABLE mark(at INTEGER PRIMARY KEY, place INTEGER NOT NULL) STRICT',
  'CREATE TABLE marked(store TEXT NOT NULL) STRICT',
];
/** Of more marks every second one goes. */
const MOST = 4096;

/**
 * What is marked beyond the newest place is forgotten: the places may be given anew, and what has them then would be old at once.
 * @param path of a file; what a power cut costs of it only makes events younger.
 */
export function openArrivalAges(path: string, clock: Clock, { of, newest }: MarkedStore): ArrivalAges {
  const db = openDatabase(path, MIGRATIONS, { isDerived: true });
  const last = db.prepare('SELECT coalesce(max(at), 0) AS at FROM mark');
  const insert = db.prepare('INSERT OR REPLACE INTO mark VALUES(?, ?)');
  const before = db.prepare('SELECT at, place FROM mark WHERE at <= ? ORDER BY at DESC LIMIT 1');
  const prune = db.prepare('DELETE FROM mark WHERE at < ?');
  const count = db.prepare('SELECT count(*) AS n FROM mark');
  const fewer = db.prepare(
    'DELETE FROM mark WHERE at IN (SELECT at FROM (SELECT at, row_number() OVER (ORDER BY at) AS n FROM mark) WHERE n % 2 = 0)',
  );
  const forget = db.prepare('DELETE FROM mark WHERE place > ?');
  const known = db.prepare('SELECT store FROM marked').get()?.['store'] ?? of;
  forget.run(known === of ? newest : -1);
  db.exec('DELETE FROM marked');
  db.prepare('INSERT INTO marked VALUES(?)').run(of);
  const began = Number(last.get()?.['at']) - clock.monotonic();
  const now = (): number => Math.trunc(began + clock.monotonic());
  return {
    note(place) {
      forget.run(place);
      insert.run(now(), place);
      if (Number(count.get()?.['n']) > MOST) fewer.run();
    },
    placeBefore(ageMs) {
      const mark = before.get(now() - ageMs);
      if (mark === undefined) return 0;
      prune.run(Number(mark['at']));
      return Number(mark['place']);
    },
    close: () => db.close(),
  };
}
