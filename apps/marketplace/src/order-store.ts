import { join } from 'node:path';
import { inTransaction, openDatabase } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { SignedTx } from '@antirio/ledger-machine';
import type { OrderTerms } from '@antirio/market';

/**
 * accepted: here, not signed yet. submitting: signed, and sent until the ledger answers. placed: on the ledger.
 * withdrawing: to be withdrawn there. refused, withdrawn, ended: over.
 */
export type OwnOrderState =
  'accepted' | 'submitting' | 'placed' | 'withdrawing' | 'refused' | 'withdrawn' | 'ended';

export interface OwnOrder {
  readonly id: string;
  /** The caller's own name for it: the same order sent twice is one. */
  readonly reference?: string;
  readonly order: OrderTerms;
  readonly state: OwnOrderState;
  readonly tx?: SignedTx;
  readonly withdrawal?: SignedTx;
  /** On the ledger. */
  readonly orderId?: string;
  readonly refusal?: string;
  readonly createdAt: number;
}

export interface OrderStore {
  get(id: string): OwnOrder | undefined;
  all(): OwnOrder[];
  withState(...states: OwnOrderState[]): OwnOrder[];
  /** Durable when it returns; gives the order that has this reference already, where there is one. */
  add(order: OwnOrder): OwnOrder;
  put(order: OwnOrder): void;
  close(): void;
}

const OVER: readonly OwnOrderState[] = ['refused', 'withdrawn', 'ended'];

const MIGRATIONS = [
  `CREATE TABLE own_order (id TEXT PRIMARY KEY, reference TEXT UNIQUE, state TEXT NOT NULL, created_at INTEGER NOT NULL,
   body TEXT NOT NULL) STRICT; CREATE INDEX own_order_state ON own_order (state, created_at)`,
];

export function openOrderStore(dataDir: string, maxOrders: number): OrderStore {
  const db = openDatabase(join(dataDir, 'marketplace', 'orders.sqlite'), MIGRATIONS);
  const insert = db.prepare(
    'INSERT INTO own_order (id, reference, state, created_at, body) VALUES (?, ?, ?, ?, ?)',
  );
  const update = db.prepare('UPDATE own_order SET state = ?, body = ? WHERE id = ?');
  const byId = db.prepare('SELECT body FROM own_order WHERE id = ?');
  const byReference = db.prepare('SELECT body FROM own_order WHERE reference = ?');
  const newestFirst = db.prepare('SELECT body FROM own_order ORDER BY created_at DESC, id');
  const byState = db.prepare('SELECT body FROM own_order WHERE state = ? ORDER BY created_at, id');
  const count = db.prepare('SELECT count(*) AS n FROM own_order');
  const forget = db.prepare(
    `DELETE FROM own_order WHERE id = (SELECT id FROM own_order WHERE state IN ('${OVER.join("','")}') ORDER BY created_at LIMIT 1)`,
  );
  // Rows are written by `put` and `add` only.
  const parse = (row: unknown): OwnOrder | undefined =>
    row === undefined ? undefined : (JSON.parse((row as { body: string }).body) as OwnOrder);
  const parseAll = (rows: unknown[]): OwnOrder[] => rows.flatMap((row) => parse(row) ?? []);

  const makeRoom = (): void => {
    if (Number(count.get()?.['n'] ?? 0) < maxOrders) return;
    if (forget.run().changes === 0)
      throw new AntirioError('busy', `${maxOrders} orders are under way already`);
  };
  return {
    get: (id) => parse(byId.get(id)),
    all: () => parseAll(newestFirst.all()),
    withState: (...states) => states.flatMap((state) => parseAll(byState.all(state))),
    add: (order) =>
      inTransaction(db, () => {
        const known = order.reference === undefined ? undefined : parse(byReference.get(order.reference));
        if (known !== undefined) return known;
        makeRoom();
        insert.run(order.id, order.reference ?? null, order.state, order.createdAt, JSON.stringify(order));
        return order;
      }),
    put(order) {
      update.run(order.state, JSON.stringify(order), order.id);
    },
    close: () => db.close(),
  };
}
