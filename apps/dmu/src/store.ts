import { join } from 'node:path';
import { inTransaction, openDatabase, type Database } from '@antirio/host';
import type { EdgeId } from '@antirio/kernel';
import type { Capacity, Negotiation, ReceiptBatch } from '@antirio/market';
import type { Confidentiality, ContractTerms, StandbyLevel } from '@antirio/service-contract';
import { isOver, type Demand } from './demand.ts';

/** As a provider: what is under way with the customer of one match. */
export interface Session {
  readonly matchId: string;
  readonly customer: EdgeId;
  readonly devAddrs: readonly string[];
  readonly standby: StandbyLevel;
  readonly confidentiality: Confidentiality;
  readonly capacity: Capacity;
  /** In the trial ring: receipts up to here are committed to. */
  readonly cursor: number;
  readonly batches: number;
  readonly startedAt: number;
  readonly negotiation?: Negotiation;
}

/** As a provider: terms that both sides agreed to, so that our arbitrator may sign them. */
export interface Agreed {
  readonly termsHash: string;
  readonly matchId: string;
  readonly terms: ContractTerms;
  readonly capacity: Capacity;
  readonly agreedAt: number;
  /** Ended on the ledger, or never brought there. */
  readonly over: boolean;
}

export interface DmuStore {
  demand(id: string): Demand | undefined;
  demands(): Demand[];
  underWay(): Demand[];
  putDemand(demand: Demand): void;
  session(matchId: string): Session | undefined;
  sessions(): Session[];
  /** With what was agreed in it, at once. */
  putSession(session: Session, agreed?: Agreed): void;
  removeSession(matchId: string): void;
  /** With the session's new cursor, at once. */
  addBatch(session: Session, batch: ReceiptBatch): void;
  batches(matchId: string, after: number, limit: number): ReceiptBatch[];
  agreed(termsHash: string): Agreed | undefined;
  allAgreed(): Agreed[];
  putAgreed(agreed: Agreed): void;
  close(): void;
}

const MIGRATIONS = [
  `CREATE TABLE demand (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, over INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
   CREATE TABLE session (match_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
   CREATE TABLE batch (match_id TEXT NOT NULL REFERENCES session ON DELETE CASCADE, batch INTEGER NOT NULL, body TEXT NOT NULL,
     PRIMARY KEY (match_id, batch)) STRICT, WITHOUT ROWID;
   CREATE TABLE agreed (terms_hash TEXT PRIMARY KEY, agreed_at INTEGER NOT NULL, over INTEGER NOT NULL, body TEXT NOT NULL) STRICT`,
];
/** Demands and agreements that are over, kept to be looked at. */
const OVER_KEPT = 200;

function statements(db: Database) {
  return {
    demand: db.prepare('SELECT body FROM demand WHERE id = ?'),
    demands: db.prepare('SELECT body FROM demand ORDER BY created_at DESC, id'),
    underWay: db.prepare('SELECT body FROM demand WHERE over = 0 ORDER BY created_at, id'),
    putDemand: db.prepare('INSERT OR REPLACE INTO demand (id, created_at, over, body) VALUES (?, ?, ?, ?)'),
    forgetDemands: db.prepare(
      'DELETE FROM demand WHERE id IN (SELECT id FROM demand WHERE over = 1 ORDER BY created_at DESC LIMIT -1 OFFSET ?)',
    ),
    session: db.prepare('SELECT body FROM session WHERE match_id = ?'),
    sessions: db.prepare('SELECT body FROM session ORDER BY match_id'),
    // An upsert, not a replacement: that would take the batches with it.
    putSession: db.prepare(
      'INSERT INTO session (match_id, body) VALUES (?, ?) ON CONFLICT (match_id) DO UPDATE SET body = excluded.body',
    ),
    removeSession: db.prepare('DELETE FROM session WHERE match_id = ?'),
    addBatch: db.prepare('INSERT INTO batch (match_id, batch, body) VALUES (?, ?, ?)'),
    batches: db.prepare('SELECT body FROM batch WHERE match_id = ? AND batch > ? ORDER BY batch LIMIT ?'),
    agreed: db.prepare('SELECT body FROM agreed WHERE terms_hash = ?'),
    allAgreed: db.prepare('SELECT body FROM agreed ORDER BY agreed_at'),
    putAgreed: db.prepare(
      'INSERT OR REPLACE INTO agreed (terms_hash, agreed_at, over, body) VALUES (?, ?, ?, ?)',
    ),
    forgetAgreed: db.prepare(
      'DELETE FROM agreed WHERE terms_hash IN (SELECT terms_hash FROM agreed WHERE over = 1 ORDER BY agreed_at DESC LIMIT -1 OFFSET ?)',
    ),
  };
}

export function openDmuStore(dataDir: string): DmuStore {
  const db = openDatabase(join(dataDir, 'dmu', 'dmu.sqlite'), MIGRATIONS);
  // Every body is written by this store, so that it is what its table is for.
  const parse = (row: unknown): unknown =>
    row === undefined ? undefined : JSON.parse((row as { body: string }).body);
  const parseAll = (rows: readonly unknown[]): unknown[] => rows.map(parse);
  const sql = statements(db);
  const putAgreed = (agreed: Agreed): void => {
    sql.putAgreed.run(agreed.termsHash, agreed.agreedAt, agreed.over ? 1 : 0, JSON.stringify(agreed));
    if (agreed.over) sql.forgetAgreed.run(OVER_KEPT);
  };
  const putSession = (session: Session): void => {
    sql.putSession.run(session.matchId, JSON.stringify(session));
  };
  return {
    demand: (id) => parse(sql.demand.get(id)) as Demand | undefined,
    demands: () => parseAll(sql.demands.all()) as Demand[],
    underWay: () => parseAll(sql.underWay.all()) as Demand[],
    putDemand(demand) {
      const over = isOver(demand);
      sql.putDemand.run(demand.id, demand.createdAt, over ? 1 : 0, JSON.stringify(demand));
      if (over) sql.forgetDemands.run(OVER_KEPT);
    },
    session: (matchId) => parse(sql.session.get(matchId)) as Session | undefined,
    sessions: () => parseAll(sql.sessions.all()) as Session[],
    putSession: (session, agreed) =>
      inTransaction(db, () => {
        putSession(session);
        if (agreed !== undefined) putAgreed(agreed);
      }),
    removeSession(matchId) {
      sql.removeSession.run(matchId);
    },
    addBatch: (session, batch) =>
      inTransaction(db, () => {
        putSession(session);
        sql.addBatch.run(batch.matchId, batch.batch, JSON.stringify(batch));
      }),
    batches: (matchId, after, limit) => parseAll(sql.batches.all(matchId, after, limit)) as ReceiptBatch[],
    agreed: (termsHash) => parse(sql.agreed.get(termsHash)) as Agreed | undefined,
    allAgreed: () => parseAll(sql.allAgreed.all()) as Agreed[],
    putAgreed,
    close: () => db.close(),
  };
}
