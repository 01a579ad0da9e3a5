import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '@antirio/host';
import { openRecordHistory, openRecordTable, recordTableMigration } from './record-table.ts';

let folder: string;
let db: Database;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-records-'));
  db = openDatabase(join(folder, 'db.sqlite'), [recordTableMigration('thing')]);
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

test('records keep the place of their first put, are replaced and removed', () => {
  const things = openRecordTable<{ n: number }>(db, 'thing', 3);
  things.put('b', { n: 1 });
  things.put('a', { n: 2 });
  things.put('b', { n: 3 });
  expect(things.all()).toEqual([{ n: 3 }, { n: 2 }]);
  expect([things.get('a'), things.get('x')]).toEqual([{ n: 2 }, undefined]);
  things.put('c', { n: 4 });
  expect(() => things.put('d', { n: 5 })).toThrow('already 3');
  expect([things.remove('a'), things.remove('a')]).toEqual([true, false]);
  things.put('d', { n: 5 });
});

test('a history keeps the newest', () => {
  const things = openRecordHistory<number>(db, 'thing', 3);
  for (let n = 0; n < 10; n++) things.add(n);
  expect(things.all()).toEqual([7, 8, 9]);
});
