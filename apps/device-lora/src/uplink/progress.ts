import { describeError } from '@antirio/kernel';
import type { Check, Log } from '@antirio/host';
import { createFcntSet, type MacState, type SessionId } from '@antirio/lorawan';
import { BYTES_KEPT, type Commit, type Counted, type Cursor, type UplinkStore } from '../store.ts';
import type { Conflict } from './conflicts.ts';
import type { Mark, Marks } from './marks.ts';
import type { Session } from './sessions.ts';
import { createTracker, type Tracker } from './tracker.ts';

/** How far a ring is read, in memory and on the disk. */
export interface Progress {
  /** Replaced when reading begins anew: what belongs to an earlier one moves nothing any more. */
  readonly tracker: Tracker;
  readonly incarnation: string | undefined;
  /** The cursor on the disk. */
  readonly cursor: number;
  count(name: Counted): void;
  /** The frame is stored, or kept here where core-data refuses it. */
  remember(session: Session, fcnt: number, mark: Mark): void;
  /** The same of a frame that is no part of the count of its device, which may reset it: known by its bytes alone. */
  rememberBytes(session: Session, mark: Mark): void;
  /** The device counts anew: what it counted before stands in no new counter's way. */
  reset(session: Session): void;
  /** What is known of the device's MAC layer is written with the next commit. */
  keepMac(session: Session): void;
  park(parked: Commit['parked'][number]): void;
  /** The frame is kept beside the one that was stored. */
  keepConflict(conflict: Conflict): void;
  /** The frame is done with; the cursor moves past it with the next commit. */
  finish(of: Tracker, seq: number): void;
  commit(): void;
  /** Forgets what was taken and is not done. */
  rewind(): void;
  /** Another life of the ring: it is read from its first frame. */
  restart(incarnation: string): void;
  counts(): Partial<Record<Counted, number>>;
  check(): Check;
}

export interface ProgressPorts {
  readonly store: UplinkStore;
  readonly ring: string;
  readonly commitIntervalMs: number;
  readonly log: Log;
  readonly onCommit: (movedTo: number | undefined) => void;
}

interface Batch {
  readonly counts: Partial<Record<Counted, number>>;
  readonly remembered: Commit['remembered'][number][];
  readonly digests: Commit['digests'][number][];
  readonly seen: Map<SessionId, Session['seen']>;
  /** Those of them that are not on the disk. */
  readonly marked: Set<Marks>;
  readonly cleared: Set<SessionId>;
  readonly mac: Map<SessionId, MacState>;
  readonly parked: Commit['parked'][number][];
  readonly conflicts: Conflict[];
  readonly done: { readonly of: Tracker; readonly seq: number }[];
}

const emptyBatch = (): Batch => ({
  counts: {},
  remembered: [],
  digests: [],
  seen: new Map(),
  marked: new Set(),
  cleared: new Set(),
  mac: new Map(),
  parked: [],
  conflicts: [],
  done: [],
});

const isEmpty = ({ counts, remembered, digests, parked, mac }: Batch): boolean =>
  mac.size === 0 &&
  [remembered, digests, parked].every(({ length }) => length === 0) &&
  Object.keys(counts).length === 0;

const COMMIT_AGAIN_MS = 1000;
const COMMIT_SOONER_AT = 128;
/** Gaps of a session that are remembered; more are taken for frames that will never come. */
const MAX_RANGES = 16_384;

/** A set keeps the order in which it was filled: the oldest goes. */
function addNewest(digests: Set<string>, digest: string): void {
  digests.add(digest);
  for (const oldest of digests)
    if (digests.size > BYTES_KEPT) digests.delete(oldest);
    else return;
}

/** Gathers what becomes of frames and writes it down together, cursor included. */
export function createProgress({ store, ring, commitIntervalMs, log, onCommit }: ProgressPorts): Progress {
  const stored: Cursor | undefined = store.cursor(ring);
  let { incarnation, seq: cursor } = stored ?? { incarnation: undefined, seq: 0 };
  let tracker = createTracker(cursor);
  let isNew = false;
  let batch = emptyBatch();
  let timer: NodeJS.Timeout | undefined;
  let failing: string | undefined;

  const write = (writing: Batch): boolean => {
    const { done: _done, marked, ...rest } = writing;
    const moved = isNew || tracker.cursor !== cursor;
    if (!moved && isEmpty(writing)) return true;
    const next = moved && incarnation !== undefined ? { incarnation, seq: tracker.cursor } : undefined;
    try {
      store.commit({ ring, cursor: next, ...rest });
    } catch (error) {
      failing = describeError(error);
      return false;
    }
    for (const marks of marked) marks.settle();
    failing = undefined;
    isNew = false;
    cursor = tracker.cursor;
    onCommit(moved ? cursor : undefined);
    return true;
  };
  const commit = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const writing = batch;
    batch = emptyBatch();
    for (const { of, seq } of writing.done) of.done(seq);
    if (write(writing)) return;
    // what is done stays done, and is written when the disk lets us
    batch = { ...writing, done: [] };
    timer = setTimeout(commit, COMMIT_AGAIN_MS);
  };
  const commitSoon = (): void => {
    if (batch.done.length >= COMMIT_SOONER_AT && failing === undefined) commit();
    else timer ??= setTimeout(commit, commitIntervalMs);
  };
  const rememberBytes: Progress['rememberBytes'] = (session, { digest }) => {
    if (session.digests === undefined) return;
    addNewest(session.digests, digest);
    batch.digests.push({ session: session.id, digest });
  };
  return {
    get tracker() {
      return tracker;
    },
    get incarnation() {
      return incarnation;
    },
    get cursor() {
      return cursor;
    },
    count(name) {
      batch.counts[name] = (batch.counts[name] ?? 0) + 1;
      commitSoon();
    },
    remember(session, fcnt, mark) {
      session.seen.add(fcnt);
      session.remembered.set(session.id, fcnt, mark);
      const givenUp = session.seen.closeLowestGaps(MAX_RANGES);
      if (givenUp > 0)
        log.warn({ device: session.device.name, counters: givenUp }, 'old gaps are not waited for any more');
      const { digest, receivedAt } = mark;
      rememberBytes(session, mark);
      batch.remembered.push({ session: session.id, fcnt, digest, receivedAt });
      batch.seen.set(session.id, session.seen);
      batch.marked.add(session.remembered);
    },
    rememberBytes,
    reset(session) {
      session.seen = createFcntSet();
      batch.counts.reset = (batch.counts.reset ?? 0) + 1;
      batch.cleared.add(session.id);
      // pages of frames before it in this commit are written of the new count: empty
      batch.seen.set(session.id, session.seen);
      commitSoon();
    },
    keepMac(session) {
      session.macUnsaved = false;
      if (session.mac !== undefined) batch.mac.set(session.id, session.mac);
      commitSoon();
    },
    park: (parked) => void batch.parked.push(parked),
    keepConflict: (conflict) => void batch.conflicts.push(conflict),
    finish(of, seq) {
      batch.done.push({ of, seq });
      commitSoon();
    },
    commit,
    rewind() {
      tracker = createTracker(tracker.cursor);
    },
    restart(life) {
      if (incarnation !== undefined)
        log.warn({ ring }, 'the ring is another one: it is read from its beginning');
      commit();
      incarnation = life;
      tracker = createTracker(0);
      cursor = 0;
      isNew = true;
    },
    counts() {
      const all = store.counts();
      for (const [name, value] of Object.entries(batch.counts) as [Counted, number][])
        all[name] = (all[name] ?? 0) + value;
      return all;
    },
    check: () => (failing === undefined ? { ok: true } : { ok: false, detail: failing }),
  };
}
