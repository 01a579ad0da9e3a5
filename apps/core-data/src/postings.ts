import type { Database } from '@antirio/host';

/**
 * The indexes by source and by series. An index that each event changed would have each commit write as many pages as it has sources; so rows
 * are posted to them many at a time, in the order of the index, and those that are not posted yet are looked for among the newest rows.
 */
export interface Postings {
  /** Within a transaction, with the greatest id that was given: posts what is there, if it is much. */
  mayPost(lastId: number): void;
  /** Within a transaction: posts all that is there. */
  post(lastId: number): void;
  rolledBack(): void;
}

/** So many ids may be looked through by a query, a fraction of a millisecond; posting them takes some ten milliseconds. */
const MOST_UNPOSTED = 8192;

const INDEXES = [
  ['single', 'source'],
  ['event', 'source'],
  ['reading', 'series'],
] as const;

/** The greatest id that is posted. */
export function createPosted(db: Database): () => number {
  const through = db.prepare('SELECT through FROM posted');
  return () => Number(through.get()?.['through']);
}

export function createPostings(db: Database, most = MOST_UNPOSTED): Postings {
  const inserts = INDEXES.map(([table, key]) =>
    db.prepare(
      `INSERT INTO ${table}_${key} SELECT ${key}, origin, id FROM ${table} WHERE id > ? ORDER BY ${key}, origin, id`,
    ),
  );
  const posted = createPosted(db);
  const advance = db.prepare('UPDATE posted SET through = ?');
  let through = posted();
  const post = (lastId: number): void => {
    // not what is remembered: a row that is left out here would be missing for good
    through = posted();
    if (lastId <= through) return;
    for (const insert of inserts) insert.run(through);
    advance.run(lastId);
    through = lastId;
  };
  return {
    mayPost(lastId) {
      if (lastId - through >= most) post(lastId);
    },
    post,
    rolledBack() {
      through = posted();
    },
  };
}
