import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { inTransaction, openDatabase } from '@antirio/host';
import { createPostings } from './postings.ts';
import { MIGRATIONS } from './schema.ts';

test('what is posted is what the store says, also after a rollback that was not told', () => {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-postings-'));
  const db = openDatabase(join(folder, 'events.db'), MIGRATIONS);
  const insert = db.prepare("INSERT INTO single(id, uuid, source, origin, value) VALUES(?, x'00', 1, 1, 1)");
  const postings = createPostings(db);
  insert.run(1);
  db.exec('BEGIN');
  postings.post(1);
  db.exec('ROLLBACK');
  insert.run(2);
  inTransaction(db, () => postings.post(2));
  expect(
    db
      .prepare('SELECT id FROM single_source')
      .all()
      .map((row) => row['id']),
  ).toEqual([1, 2]);
  db.close();
  rmSync(folder, { recursive: true });
});
