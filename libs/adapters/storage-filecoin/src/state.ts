import { openDatabase, inTransaction, type Database } from '@antirio/host';
import type { CID } from '@antirio/content-store';
import type { Hex } from './chain.ts';
import type { Piece } from './piece-cid.ts';

/** What is known of a DAG that was stored, or is about to be. */
export interface StoredPiece {
  readonly root: string;
  readonly piece: Piece;
  /** Of its blocks. */
  readonly bytes: number;
}

/** One copy of a piece at one provider: wished for, under way, or there. */
export interface Copy {
  readonly root: string;
  readonly providerId: bigint;
  readonly dataSetId: bigint;
  /** Written down before it is used: the chain takes it once, so that nothing is added twice. */
  readonly nonce: bigint;
  /** The transaction that the provider named last. */
  readonly transaction: Hex | undefined;
  /** Once it is in the data set. */
  readonly pieceId: bigint | undefined;
  readonly isLeaving: boolean;
}

const MIGRATIONS = [
  `CREATE TABLE pieces (root TEXT PRIMARY KEY, piece_cid TEXT NOT NULL, car_bytes INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
   CREATE TABLE names (name TEXT PRIMARY KEY, root TEXT NOT NULL REFERENCES pieces) STRICT;
   CREATE INDEX names_by_root ON names (root);
   CREATE TABLE wishes (name TEXT PRIMARY KEY, root TEXT NOT NULL REFERENCES pieces) STRICT;
   CREATE TABLE copies (
     root TEXT NOT NULL REFERENCES pieces, provider TEXT NOT NULL, data_set TEXT NOT NULL, nonce TEXT NOT NULL,
     tx TEXT, piece_id TEXT, leaving INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (root, provider)) STRICT;
   CREATE TABLE data_sets (provider TEXT PRIMARY KEY, client_id TEXT NOT NULL, tx TEXT, data_set TEXT) STRICT;
   CREATE TABLE proofs (data_set TEXT NOT NULL, piece_id TEXT NOT NULL, epoch TEXT NOT NULL, PRIMARY KEY (data_set, piece_id)) STRICT;`,
];
/** Proofs of pieces that others stored are remembered too, but not forever. */
const MAX_PROOFS = 100_000;

/** What this adapter knows that it could not find out again cheaply, or not at all. Every change is durable when its call returns. */
export class FilecoinState {
  readonly #db: Database;

  constructor(path: string) {
    this.#db = openDatabase(path, MIGRATIONS);
  }

  piece(root: CID | string): StoredPiece | undefined {
    const row = this.#db.prepare('SELECT * FROM pieces WHERE root = ?').get(String(root));
    if (row === undefined) return undefined;
    const piece = { cid: String(row['piece_cid']), bytes: Number(row['car_bytes']) };
    return { root: String(row['root']), piece, bytes: Number(row['bytes']) };
  }

  keepPiece({ root, piece, bytes }: StoredPiece): void {
    this.#db
      .prepare('INSERT INTO pieces VALUES (?, ?, ?, ?) ON CONFLICT (root) DO NOTHING')
      .run(root, piece.cid, piece.bytes, bytes);
  }

  rootOf(name: string): string | undefined {
    return asText(this.#db.prepare('SELECT root FROM names WHERE name = ?').get(name)?.['root']);
  }

  /** That keep something, or are about to. */
  names(): string[] {
    const all = 'SELECT name FROM names UNION SELECT name FROM wishes';
    return this.#db
      .prepare(all)
      .all()
      .map((row) => String(row['name']));
  }

  namesOf(root: string): number {
    return Number(this.#db.prepare('SELECT count(*) AS n FROM names WHERE root = ?').get(root)?.['n']);
  }

  /** Whether it has a name, or is about to get one. */
  isNamed(root: string): boolean {
    const either = 'SELECT 1 FROM names WHERE root = ?1 UNION ALL SELECT 1 FROM wishes WHERE root = ?1';
    return this.#db.prepare(either).get(root) !== undefined;
  }

  /** A root is to get a name as soon as its copies are made: those that are there by then are not forgotten, whatever happens. */
  wish(name: string, root: string): void {
    inTransaction(this.#db, () => {
      const before = this.#db.prepare('SELECT root FROM wishes WHERE name = ?').get(name)?.['root'];
      this.#db.prepare('INSERT OR REPLACE INTO wishes VALUES (?, ?)').run(name, root);
      this.#db.prepare('UPDATE copies SET leaving = 0 WHERE root = ?').run(root);
      if (typeof before === 'string') this.#release(before);
    });
  }

  /** Gives a root a name; what no name keeps any more is to leave. */
  name(name: string, root: string): void {
    inTransaction(this.#db, () => {
      const before = this.rootOf(name);
      this.#db.prepare('INSERT OR REPLACE INTO names VALUES (?, ?)').run(name, root);
      this.#db.prepare('DELETE FROM wishes WHERE name = ? AND root = ?').run(name, root);
      this.#db.prepare('UPDATE copies SET leaving = 0 WHERE root = ?').run(root);
      if (before !== undefined) this.#release(before);
    });
  }

  /** False where nothing had the name. */
  unname(name: string): boolean {
    return inTransaction(this.#db, () => {
      const root = this.rootOf(name);
      const wished = this.#db.prepare('SELECT root FROM wishes WHERE name = ?').get(name)?.['root'];
      this.#db.prepare('DELETE FROM names WHERE name = ?').run(name);
      this.#db.prepare('DELETE FROM wishes WHERE name = ?').run(name);
      for (const released of [root, wished]) if (typeof released === 'string') this.#release(released);
      return root !== undefined;
    });
  }

  #release(root: string): void {
    if (!this.isNamed(root)) this.#db.prepare('UPDATE copies SET leaving = 1 WHERE root = ?').run(root);
  }

  copies(root: string): Copy[] {
    return this.#db.prepare('SELECT * FROM copies WHERE root = ? ORDER BY rowid').all(root).map(copyOf);
  }

  leaving(): Copy[] {
    return this.#db.prepare('SELECT * FROM copies WHERE leaving = 1').all().map(copyOf);
  }

  copy(root: string, providerId: bigint): Copy | undefined {
    const row = this.#db
      .prepare('SELECT * FROM copies WHERE root = ? AND provider = ?')
      .get(root, String(providerId));
    return row === undefined ? undefined : copyOf(row);
  }

  keepCopy({ root, providerId, dataSetId, nonce, transaction, pieceId, isLeaving }: Copy): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(
        root,
        String(providerId),
        String(dataSetId),
        String(nonce),
        transaction ?? null,
        pieceId === undefined ? null : String(pieceId),
        isLeaving ? 1 : 0,
      );
  }

  /** A copy that has left, and the piece with it where nothing is left of it. */
  dropCopy(root: string, providerId: bigint): void {
    inTransaction(this.#db, () => {
      this.#db
        .prepare('DELETE FROM copies WHERE root = ? AND provider = ? AND leaving = 1')
        .run(root, String(providerId));
      this.#db
        .prepare(
          'DELETE FROM pieces WHERE root = ?1 AND NOT EXISTS (SELECT 1 FROM copies WHERE root = ?1) AND NOT EXISTS (SELECT 1 FROM names WHERE root = ?1) AND NOT EXISTS (SELECT 1 FROM wishes WHERE root = ?1)',
        )
        .run(root);
    });
  }

  dataSet(providerId: bigint): PlannedDataSet | undefined {
    const row = this.#db.prepare('SELECT * FROM data_sets WHERE provider = ?').get(String(providerId));
    if (row === undefined) return undefined;
    const id = asText(row['data_set']);
    return {
      clientDataSetId: BigInt(String(row['client_id'])),
      transaction: asText(row['tx']) as Hex | undefined,
      id: id === undefined ? undefined : BigInt(id),
    };
  }

  keepDataSet(providerId: bigint, { clientDataSetId, transaction, id }: PlannedDataSet): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO data_sets VALUES (?, ?, ?, ?)')
      .run(
        String(providerId),
        String(clientDataSetId),
        transaction ?? null,
        id === undefined ? null : String(id),
      );
  }

  /** The epoch of the first proof that was seen to be about a piece. */
  firstProof(dataSetId: bigint, pieceId: bigint): bigint | undefined {
    const row = this.#db
      .prepare('SELECT epoch FROM proofs WHERE data_set = ? AND piece_id = ?')
      .get(String(dataSetId), String(pieceId));
    return row === undefined ? undefined : BigInt(String(row['epoch']));
  }

  keepProof(dataSetId: bigint, pieceId: bigint, epoch: bigint): void {
    this.#db
      .prepare('INSERT INTO proofs VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
      .run(String(dataSetId), String(pieceId), String(epoch));
    this.#db.prepare('DELETE FROM proofs WHERE rowid <= (SELECT max(rowid) FROM proofs) - ?').run(MAX_PROOFS);
  }

  close(): void {
    this.#db.close();
  }
}

/** A data set at a provider, from the moment that its name was drawn. */
export interface PlannedDataSet {
  readonly clientDataSetId: bigint;
  readonly transaction: Hex | undefined;
  readonly id: bigint | undefined;
}

const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function copyOf(row: Record<string, unknown>): Copy {
  const pieceId = asText(row['piece_id']);
  return {
    root: String(row['root']),
    providerId: BigInt(String(row['provider'])),
    dataSetId: BigInt(String(row['data_set'])),
    nonce: BigInt(String(row['nonce'])),
    transaction: asText(row['tx']) as Hex | undefined,
    pieceId: pieceId === undefined ? undefined : BigInt(pieceId),
    isLeaving: row['leaving'] === 1,
  };
}
