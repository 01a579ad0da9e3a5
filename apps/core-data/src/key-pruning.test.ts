import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { inTransaction, openDatabase, systemRandom, type Database } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { createEventKeys } from './event-keys.ts';
import { createEventWriter, type EventWriter, type Place } from './event-writer.ts';
import { MIGRATIONS } from './schema.ts';

const RUN = 64;
let folder: string;
let db: Database;
let writer: EventWriter;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-keys-'));
  db = openDatabase(join(folder, 'events.db'), MIGRATIONS);
  writer = createEventWriter(db, createEventKeys(db, RUN));
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

const names = { deviceName: 'd', profileName: 'p' };

function insert(count: number): string[] {
  return inTransaction(db, () =>
    Array.from({ length: count }, (_, n) => {
      const id = uuidV4(systemRandom);
      const origin = BigInt(n);
      const reading = { ...names, origin, resourceName: 'r', valueType: 'String' as const, value: '1' };
      const readings = [{ ...reading, kind: 'simple' as const }];
      writer.insert({ ...names, apiVersion: 'v3', id, sourceName: 's', origin, readings });
      writer.beforeCommit();
      return id;
    }),
  );
}

const places = (from: number, through: number): Place[] =>
  Array.from({ length: through - from + 1 }, (_, n) => ({ table: 'single', id: from + n }));
const count = (table: string): number =>
  Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
const remove = (from: number, through: number): number =>
  inTransaction(db, () => {
    const gone = writer.deleteAll(places(from, through));
    writer.beforeCommit();
    return gone;
  });

test('keys go with the events that are taken away, by place and by id', () => {
  insert(10 * RUN);
  expect(count('key_run')).toBe(10);
  const buckets = count('event_key');
  expect(remove(1, 3 * RUN + 1)).toBe(3 * RUN + 1);
  expect(count('key_run')).toBe(7);
  expect(count('event_key')).toBeLessThan(buckets);
  // what an earlier version left
  db.exec(`DELETE FROM single WHERE id > ${5 * RUN} AND id <= ${6 * RUN}`);
  writer = createEventWriter(db, createEventKeys(db, RUN));
  expect(remove(3 * RUN + 2, 3 * RUN + 2)).toBe(1);
  expect(count('key_run')).toBe(6);
  // the last one tells which ids were given
  expect(remove(1, 10 * RUN)).toBe(6 * RUN - 2);
  expect([count('key_run'), count('event_key')]).toEqual([1, 1]);
  const ids = insert(RUN);
  expect(count('key_run')).toBe(2);
  insert(1);
  inTransaction(db, () => ids.forEach((id) => writer.deleteById(id)));
  expect(count('key_run')).toBe(1);
});

test('keys that were to go with what a transaction took back are there again', () => {
  const ids = insert(3 * RUN);
  const failing = (): void =>
    inTransaction(db, () => {
      writer.deleteAll(places(1, 2 * RUN));
      throw new RangeError('no');
    });
  expect(failing).toThrow(RangeError);
  writer.onRollback();
  expect(count('key_run')).toBe(3);
  inTransaction(db, () => writer.deleteById(ids[0] ?? ''));
  expect(count('single')).toBe(3 * RUN - 1);
});
