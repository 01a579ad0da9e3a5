import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openDatabase, silentLog, systemClock, systemRandom } from '@antirio/host';
import { openStore, storePath } from './import-events.ts';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-schema-'));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true });
});

const roomOf = (): CoreData =>
  createCoreData(coreDataOptions.parse({ dataDir, port: 0 }), {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });

function change(sql: string): void {
  const db = openStore(dataDir);
  db.exec(sql);
  db.close();
}

test.each([
  ['DROP TABLE posted', 'table posted(through)'],
  ['ALTER TABLE single DROP COLUMN tags', 'table single(id,uuid,source,origin,value,tags)'],
  ['ALTER TABLE reading ADD COLUMN unit TEXT', 'table reading(id,series,origin,value,tags)'],
  ['DROP INDEX event_origin', 'index event_origin'],
])('after %s the start fails, says where and why, and leaves the file', async (sql, missing) => {
  change(`CREATE TABLE kept(n); ${sql}`);
  const path = storePath(dataDir);
  await expect(roomOf().start()).rejects.toMatchObject({
    code: 'badConfig',
    message: expect.stringContaining(`${path} was laid out by another build: it has no ${missing}.`),
    details: { path, missing: [missing] },
  });
  const left = openDatabase(path, ['']);
  expect(left.prepare('SELECT count(*) AS n FROM kept').get()?.['n']).toBe(0);
  left.close();
});

test('a store that a room made is opened again, also with tables of others in it', async () => {
  for (let start = 0; start < 2; start++) {
    const room = roomOf();
    await room.start();
    await room.stop();
    change('CREATE TABLE IF NOT EXISTS others(n)');
  }
});
