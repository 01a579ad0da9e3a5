import { inTransaction, type Database } from '@antirio/host';
import { createFcntSet, type FcntRange, type FcntSet, type MacState, type SessionId } from '@antirio/lorawan';
import { createMacStore } from './mac/store.ts';
import { createConflictStore, type Conflict } from './uplink/conflicts.ts';

/** Why a frame became no reading. */
export type Refused = 'badMic' | 'replay' | 'retransmission' | 'unknown' | 'conflict' | 'malformed';
export type Counted =
  Refused | 'stored' | 'parked' | 'undecodable' | 'otherGateway' | 'wrongRegion' | 'reset';

/** How far a ring has been read, in one of its lives. */
export interface Cursor {
  readonly incarnation: string;
  readonly seq: number;
}

/** A frame that was stored, as it is remembered to tell its like. */
export interface Remembered {
  readonly session: SessionId;
  readonly fcnt: number;
  /** Of the PHYPayload, hex. */
  readonly digest: string;
  /** Wall ms of the first reception. */
  readonly receivedAt: number;
}

/** An event that core-data refused, with what is needed to try again. */
export interface Parked {
  readonly id: string;
  readonly path: string;
  readonly body: string;
}

/** What one commit makes durable, all or nothing. */
export interface Commit {
  readonly ring: string;
  readonly cursor: Cursor | undefined;
  readonly counts: Readonly<Partial<Record<Counted, number>>>;
  readonly remembered: readonly Remembered[];
  /** Of devices that may reset their counters. */
  readonly digests: readonly Pick<Remembered, 'session' | 'digest'>[];
  /** The counters seen of each session touched. */
  readonly seen: ReadonlyMap<SessionId, FcntSet>;
  /** Sessions whose counters seen before are forgotten. */
  readonly cleared: ReadonlySet<SessionId>;
  readonly mac: ReadonlyMap<SessionId, MacState>;
  readonly parked: readonly (Parked & { readonly reason: string })[];
  readonly conflicts: readonly Conflict[];
}

export interface UplinkStore {
  cursor(ring: string): Cursor | undefined;
  seen(session: SessionId): FcntSet;
  /** The frame that was stored under a counter, where it is one of the newest. */
  remembered(session: SessionId, fcnt: number): Pick<Remembered, 'digest' | 'receivedAt'> | undefined;
  /** Of a device that may reset its counters: the newest frames, by their digests, the oldest of them first. */
  digests(session: SessionId): string[];
  counts(): Partial<Record<Counted, number>>;
  commit(commit: Commit): void;
  /** A page of them, from the place `after` on; the first page is after 0. */
  parked(limit: number, after: number): (Parked & { readonly place: number })[];
  parkedCount(): number;
  unpark(id: string): void;
}

/** Counters of one row of `seen`. */
const PAGE = 1024;
/** Digests older than this many counters are forgotten: the same counter again is a replay then, whatever its bytes. */
const DIGESTS = 2048;
/** Frames of a device that may reset its counters that are known by their bytes; core-data knows older ones by their ids. */
export const BYTES_KEPT = 4096;

function bitsOf(set: FcntSet, page: number): Uint8Array {
  const bits = new Uint8Array(PAGE / 8);
  const start = page * PAGE;
  for (const [first, last] of set.within(start, start + PAGE - 1))
    for (let i = first - start; i <= last - start; i++) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  return bits;
}

function rangesOf(pages: Iterable<{ page: number; bits: Uint8Array }>): FcntRange[] {
  const ranges: FcntRange[] = [];
  let open: [number, number] | undefined;
  for (const { page, bits } of pages)
    for (let i = 0; i < PAGE; i++) {
      if (((bits[i >> 3] ?? 0) & (1 << (i & 7))) === 0) continue;
      const fcnt = page * PAGE + i;
      if (open !== undefined && open[1] === fcnt - 1) open[1] = fcnt;
      else {
        if (open !== undefined) ranges.push(open);
        open = [fcnt, fcnt];
      }
    }
  if (open !== undefined) ranges.push(open);
  return ranges;
}

export function createUplinkStore(db: Database): UplinkStore {
  const macs = createMacStore(db);
  const conflicts = createConflictStore(db);
  const getCursor = db.prepare('SELECT incarnation, seq FROM cursor WHERE ring = ?');
  const putCursor = db.prepare(
    'INSERT INTO cursor VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET incarnation = excluded.incarnation, seq = excluded.seq',
  );
  const getSeen = db.prepare('SELECT page, bits FROM seen WHERE session = ? ORDER BY page');
  const putSeen = db.prepare(
    'INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bits = excluded.bits',
  );
  const getRemembered = db.prepare(
    'SELECT digest, receivedAt FROM remembered WHERE session = ? AND fcnt = ?',
  );
  const putRemembered = db.prepare('INSERT OR REPLACE INTO remembered VALUES (?, ?, ?, ?)');
  const forget = db.prepare('DELETE FROM remembered WHERE session = ? AND fcnt < ?');
  const putDigest = db.prepare(
    'INSERT INTO stored_bytes (session, digest) VALUES (?, ?) ON CONFLICT DO NOTHING',
  );
  const getDigests = db.prepare('SELECT digest FROM stored_bytes WHERE session = ? ORDER BY id DESC LIMIT ?');
  const forgetDigests = db.prepare(
    `DELETE FROM stored_bytes WHERE session = ? AND id <=
     (SELECT id FROM stored_bytes WHERE session = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
  );
  const clearSeen = db.prepare('DELETE FROM seen WHERE session = ?');
  const getCounts = db.prepare('SELECT name, value FROM counted');
  const addCount = db.prepare(
    'INSERT INTO counted VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value',
  );
  const putParked = db.prepare('INSERT OR REPLACE INTO parked VALUES (?, ?, ?, ?)');
  const getParked = db.prepare(
    'SELECT rowid AS place, id, path, body FROM parked WHERE rowid > ? ORDER BY rowid LIMIT ?',
  );
  const countParked = db.prepare('SELECT count(*) AS count FROM parked');
  const dropParked = db.prepare('DELETE FROM parked WHERE id = ?');

  const writeDigests = ({ digests }: Commit): void => {
    for (const { session, digest } of digests) putDigest.run(session, digest);
    const sessions = new Set(digests.map(({ session }) => session));
    for (const session of sessions) forgetDigests.run(session, session, BYTES_KEPT);
  };
  const writeSeen = ({ remembered, seen, cleared }: Commit): void => {
    for (const session of cleared) clearSeen.run(session);
    const pages = new Map<string, { session: SessionId; page: number }>();
    for (const { session, fcnt, digest, receivedAt } of remembered) {
      putRemembered.run(session, fcnt, digest, receivedAt);
      const page = Math.floor(fcnt / PAGE);
      pages.set(`${session}/${page}`, { session, page });
    }
    for (const { session, page } of pages.values()) {
      const set = seen.get(session);
      if (set !== undefined) putSeen.run(session, page, bitsOf(set, page));
    }
    for (const [session, set] of seen) forget.run(session, (set.highest ?? 0) - DIGESTS);
  };
  return {
    cursor(ring) {
      const row = getCursor.get(ring);
      return row === undefined
        ? undefined
        : { incarnation: String(row['incarnation']), seq: Number(row['seq']) };
    },
    seen: (session) =>
      createFcntSet(
        rangesOf(
          getSeen.all(session).map((row) => ({ page: Number(row['page']), bits: row['bits'] as Uint8Array })),
        ),
      ),
    remembered(session, fcnt) {
      const row = getRemembered.get(session, fcnt);
      return row === undefined
        ? undefined
        : { digest: String(row['digest']), receivedAt: Number(row['receivedAt']) };
    },
    digests: (session) =>
      getDigests
        .all(session, BYTES_KEPT)
        .map((row) => String(row['digest']))
        .reverse(),
    counts: () =>
      Object.fromEntries(getCounts.all().map((row) => [String(row['name']), Number(row['value'])])),
    commit: (commit) =>
      inTransaction(db, () => {
        writeSeen(commit);
        writeDigests(commit);
        for (const [session, state] of commit.mac) macs.put(session, state);
        for (const conflict of commit.conflicts) conflicts.put(conflict);
        for (const [name, count] of Object.entries(commit.counts)) addCount.run(name, count);
        for (const { id, path, body, reason } of commit.parked) putParked.run(id, path, body, reason);
        if (commit.cursor !== undefined)
          putCursor.run(commit.ring, commit.cursor.incarnation, commit.cursor.seq);
      }),
    parked: (limit, after) =>
      getParked.all(after, limit).map((row) => ({
        place: Number(row['place']),
        id: String(row['id']),
        path: String(row['path']),
        body: String(row['body']),
      })),
    parkedCount: () => Number(countParked.get()?.['count'] ?? 0),
    unpark: (id) => void dropParked.run(id),
  };
}
