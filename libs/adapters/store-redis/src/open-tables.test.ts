import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { redisTest, startRedis, type RedisServer } from '@antirio/testing';
import { openTables, storeOptions, type Tables } from './index.ts';

const TABLES: Tables = {
  migrations: [
    'CREATE TABLE item(seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, size REAL, note TEXT);' +
      ' CREATE TABLE word(text TEXT PRIMARY KEY) WITHOUT ROWID',
  ],
  keys: { item: ['name'] },
  afterLoading: "DELETE FROM word; INSERT OR IGNORE INTO word SELECT note FROM item WHERE note <> ''",
};

type Opened = Awaited<ReturnType<typeof openTables>>;

let folder: string;
let redis: RedisServer | undefined;
const opened = new Set<Opened>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-tables-'));
});
afterEach(async () => {
  for (const one of opened) await close(one);
  await redis?.kill('SIGKILL');
  redis = undefined;
  rmSync(folder, { recursive: true });
});

async function close(one: Opened): Promise<void> {
  opened.delete(one);
  await one.commit.close();
  one.db.close();
}

async function open(store: Record<string, unknown>, tables = TABLES): Promise<Opened> {
  const where = { name: 'case', path: join(folder, 'case.db'), tables };
  const ports = { clock: systemClock, random: systemRandom, log: silentLog };
  const one = await openTables(storeOptions.parse(store), where, ports);
  opened.add(one);
  return one;
}

const put = ({ commit, db }: Opened, name: string, note = ''): Promise<unknown> =>
  commit.run(0, () => {
    db.prepare('INSERT INTO item(name, size, note) VALUES(?, ?, ?)').run(name, 1.5, note);
    if (note !== '') db.prepare('INSERT OR IGNORE INTO word VALUES(?)').run(note);
    return name;
  });

const names = ({ db }: Opened): unknown[] =>
  db
    .prepare('SELECT name FROM item ORDER BY seq')
    .all()
    .map((row) => row['name']);

const failure = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

type Open = () => Promise<Opened>;

/** What each way of keeping tables does. */
const CASES: readonly (readonly [string, (open: Open) => Promise<void>])[] = [
  [
    'what was written, changed and deleted is so after a start, in its order',
    async (open) => {
      const first = await open();
      await Promise.all(['c', 'a', 'é "\u0001', 'b'].map((name) => put(first, name, `of ${name}`)));
      await first.commit.run(0, () => {
        first.db.prepare("DELETE FROM item WHERE name = 'a'").run();
        first.db.prepare("UPDATE item SET size = NULL, name = 'd' WHERE name = 'b'").run();
      });
      await close(first);
      const again = await open();
      expect(names(again)).toEqual(['c', 'é "\u0001', 'd']);
      expect(again.db.prepare("SELECT * FROM item WHERE name = 'd'").get()).toMatchObject({
        seq: 4,
        size: null,
      });
      await put(again, 'e');
      expect(names(again).at(-1)).toBe('e');
    },
  ],
  [
    'work that refuses, or breaks, leaves its neighbours alone',
    async (open) => {
      const one = await open();
      const refusal = one.commit.run(0, () => {
        throw new AntirioError('conflict', 'taken');
      });
      const broken = one.commit.run(0, () => {
        one.db.prepare("INSERT INTO item(name) VALUES('half')").run();
        throw new TypeError('a bug');
      });
      const outcomes = await Promise.all([put(one, 'x'), failure(refusal), failure(broken), put(one, 'y')]);
      expect(outcomes.map(String)).toEqual(['x', 'AntirioError: taken', 'TypeError: a bug', 'y']);
      await close(one);
      expect(names(await open())).toEqual(['x', 'y']);
    },
  ],
  [
    'what waits is bounded, and the close waits for what is under way',
    async (open) => {
      const one = await open();
      const first = one.commit.run(60 << 20, () => 'first');
      expect(String(await failure(one.commit.run(60 << 20, () => 'second')))).toContain('does not keep up');
      expect([await first, one.commit.refused, one.commit.pending]).toEqual(['first', 1, 0]);
      const last = put(one, 'last');
      await close(one);
      expect(await last).toBe('last');
      expect(String(await failure(put(one, 'late')))).toContain('closed');
    },
  ],
];

describe('SQLite', () => {
  for (const [name, run] of CASES) test(name, () => run(() => open({ kind: 'sqlite' })));
});

const redisOptions = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  kind: 'redis',
  url: redis?.url,
  ...more,
});

describe('Redis', () => {
  for (const [name, run] of CASES)
    redisTest(name, async () => {
      redis = await startRedis({ folder });
      await run(() => open(redisOptions()));
    });

  redisTest('other tables are made from those that are kept', async () => {
    redis = await startRedis({ folder });
    const one = await open(redisOptions());
    await put(one, 'a', 'word');
    await close(one);
    const { db } = await open(redisOptions());
    expect(db.prepare('SELECT text FROM word').all()).toMatchObject([{ text: 'word' }]);
  });

  redisTest('a SIGKILL of Redis while it is written loses nothing that was acknowledged', async () => {
    redis = await startRedis({ folder });
    const one = await open(redisOptions({ answerWithinMs: 30_000 }));
    const acknowledged: string[] = [];
    let isOver = false;
    const writer = async (side: number): Promise<void> => {
      for (let n = 0; !isOver; n++) acknowledged.push(String(await put(one, `${side} ${n}`)));
    };
    const writers = [0, 1, 2, 3].map(writer);
    for (const goal of [40, 120]) {
      while (acknowledged.length < goal) await new Promise((resolve) => setTimeout(resolve, 1));
      await redis.kill('SIGKILL');
      await redis.start();
    }
    const before = acknowledged.length;
    while (acknowledged.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
    isOver = true;
    await Promise.all(writers);
    await close(one);
    await redis.kill('SIGKILL');
    await redis.start();
    expect(names(await open(redisOptions())).sort()).toEqual(acknowledged.sort());
  });

  redisTest('what Redis does not take is undone, and is as Redis has it when it is back', async () => {
    redis = await startRedis({ folder });
    const one = await open(redisOptions({ answerWithinMs: 300 }));
    await put(one, 'a');
    await redis.kill('SIGKILL');
    expect(isAntirioError(await failure(put(one, 'b')), 'unavailable')).toBe(true);
    expect(names(one)).toEqual(['a']);
    expect((await one.commit.check(systemClock)).ok).toBe(false);
    await redis.start();
    const deadline = performance.now() + 5000;
    while (!(await one.commit.check(systemClock)).ok && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    // the one that was refused may have been done all the same: what is in memory is what a start would read
    const seen = names(one);
    await put(one, 'c');
    await close(one);
    expect(names(await open(redisOptions()))).toEqual([...seen, 'c']);
  });

  redisTest('what Redis has not taken yet is seen by nobody', async () => {
    redis = await startRedis({ folder });
    const one = await open(redisOptions({ answerWithinMs: 10_000 }));
    await put(one, 'a', 'first');
    process.kill(redis.pid, 'SIGSTOP');
    const ran = Promise.withResolvers<undefined>();
    const written = one.commit.run(0, () => {
      one.db.prepare("UPDATE item SET name = 'b' WHERE name = 'a'").run();
      one.db.prepare("INSERT INTO item(name) VALUES('a')").run();
      one.db.prepare("INSERT INTO word VALUES('second')").run();
      ran.resolve(undefined);
    });
    await ran.promise;
    await new Promise((resolve) => setImmediate(resolve));
    const words = () =>
      one.db
        .prepare('SELECT text FROM word')
        .all()
        .map((row) => row['text']);
    expect([names(one), words()]).toEqual([['a'], ['first']]);
    process.kill(redis.pid, 'SIGCONT');
    await written;
    expect([names(one), words()]).toEqual([
      ['b', 'a'],
      ['first', 'second'],
    ]);
    await close(one);
    expect(names(await open(redisOptions()))).toEqual(['b', 'a']);
  });

  redisTest('a row that cannot be read is a failure as long as it is there, and no longer', async () => {
    redis = await startRedis({ folder });
    const one = await open(redisOptions());
    await put(one, 'a');
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await failure(put(one, 'b'));
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    const key = 'antirio:case:item';
    await redis.command('HSET', key, '["odd"]', '{"odd":1}');
    for (let n = 0; n < 2; n++) expect(await failure(put(one, 'c'))).toMatchObject({ code: 'unavailable' });
    expect(names(one)).toEqual(['a']);
    await redis.command('HDEL', key, '["odd"]');
    await put(one, 'd');
    expect(names(one)).toEqual(['a', 'd']);
  });

  redisTest('a full memory is storageFull, and what is read is what was there before', async () => {
    redis = await startRedis({ folder });
    const one = await open(redisOptions());
    await put(one, 'a');
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(isAntirioError(await failure(put(one, 'b')), 'storageFull')).toBe(true);
    expect(names(one)).toEqual(['a']);
    expect(one.commit.failed).toBe(1);
    await close(one);
    const again = await open(redisOptions());
    expect(names(again)).toEqual(['a']);
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await put(again, 'c');
    expect(names(again)).toEqual(['a', 'c']);
  });

  redisTest('what a newer version wrote is refused', async () => {
    redis = await startRedis({ folder });
    const newer = { ...TABLES, migrations: [...TABLES.migrations, 'CREATE TABLE later(id INTEGER)'] };
    await close(await open(redisOptions(), newer));
    expect(String(await failure(open(redisOptions())))).toContain('written by a newer version');
  });
});
