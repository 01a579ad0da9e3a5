import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { createGroupCommit, openDatabase, systemClock, type Database, type GroupCommit } from './index.ts';

let folder: string;
let db: Database;
let commit: GroupCommit;
let rolledBack = 0;

const open = (limits: Record<string, number> = {}): GroupCommit => {
  const path = join(folder, 'store.db');
  const onRollback = (): void => void (rolledBack += 1);
  return createGroupCommit({ db, path, onRollback, ...limits });
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-group-commit-'));
  db = openDatabase(join(folder, 'store.db'), ['CREATE TABLE t(n INTEGER PRIMARY KEY)']);
  commit = open();
  rolledBack = 0;
});
afterEach(async () => {
  await commit.close();
  db.close();
  rmSync(folder, { recursive: true });
});

const insert = (n: number) => () => db.prepare('INSERT INTO t VALUES(?)').run(n);
const stored = (): unknown[] =>
  db
    .prepare('SELECT n FROM t ORDER BY n')
    .all()
    .map((row) => row['n']);
const codeOf = (error: unknown): unknown => (isAntirioError(error) ? error.code : error);

const refusing = (): never => {
  throw new AntirioError('conflict', 'no');
};

test('work of one turn shares a transaction and is stored when it resolves', async () => {
  const inOne = new Set<unknown>();
  const begun = await Promise.all(
    [1, 2, 3].map((n) =>
      commit.run(1, () => {
        insert(n)();
        inOne.add(db.isTransaction);
        return n;
      }),
    ),
  );
  expect([begun, [...inOne], stored()]).toEqual([[1, 2, 3], [true], [1, 2, 3]]);
});

test('work that refuses harms none of its neighbours', async () => {
  const outcomes = await Promise.allSettled([
    commit.run(1, insert(1)),
    commit.run(1, refusing),
    commit.run(1, insert(2)),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(stored()).toEqual([1, 2]);
});

test('work that breaks after it has written is undone, and its neighbours are stored without it', async () => {
  const breaking = (n: number) => (): never => {
    insert(n)();
    throw new RangeError('planted');
  };
  const outcomes = await Promise.all(
    [insert(1), breaking(2), insert(3), breaking(4), refusing, insert(5)].map((work) =>
      commit.run<unknown>(1, work).then(() => 'stored', codeOf),
    ),
  );
  const planted = new RangeError('planted');
  expect(outcomes).toEqual(['stored', planted, 'stored', planted, 'conflict', 'stored']);
  expect([stored(), rolledBack, commit.failed]).toEqual([[1, 3, 5], 1, 0]);
});

test('a transaction that fails is undone as a whole, told to all, and the next one works', async () => {
  const outcomes = await Promise.all(
    [1, 2, 2].map((n) => commit.run(1, insert(n)).then(() => 'stored', codeOf)),
  );
  expect([outcomes, stored(), rolledBack]).toEqual([['unavailable', 'unavailable', 'unavailable'], [], 1]);
  await commit.run(1, insert(3));
  expect(stored()).toEqual([3]);
  expect(await commit.check(systemClock)).toEqual({
    ok: true,
    detail: '3 that the store failed to take',
  });
});

test.each([
  ['pieces', { maxPending: 2 }, 1],
  ['bytes', { maxPendingBytes: 10 }, 5],
])('more %s than may wait are refused and counted', async (_what, limits, bytes) => {
  await commit.close();
  commit = open(limits);
  const outcomes = await Promise.all(
    [1, 2, 3].map((n) => commit.run(bytes, insert(n)).then(() => 'stored', codeOf)),
  );
  expect(outcomes).toEqual(['stored', 'stored', 'unavailable']);
  expect(commit.refused).toBe(1);
  await commit.run(bytes, insert(4));
  expect(commit.pending).toBe(0);
});

test('a full store says so, in its health too, and recovers when there is room', async () => {
  db.exec('CREATE TABLE big(b)');
  const pages = Number(db.prepare('PRAGMA page_count').get()?.['page_count']);
  db.exec(`PRAGMA max_page_count=${pages + 1}`);
  const fill = (): unknown => db.prepare('INSERT INTO big VALUES(zeroblob(100000))').run();
  expect(await commit.run(1, fill).catch(codeOf)).toBe('storageFull');
  db.exec(`PRAGMA max_page_count=${pages + 1000}`);
  await commit.run(1, fill);
  expect(await commit.check(systemClock)).toEqual({
    ok: true,
    detail: '1 that the store failed to take',
  });
});

test('a store that takes no writes is not healthy', async () => {
  db.exec('PRAGMA query_only=1');
  expect((await commit.check(systemClock)).ok).toBe(false);
  db.exec('PRAGMA query_only=0');
  expect(await commit.check(systemClock)).toEqual({ ok: true });
});

test.each(['ROLLBACK', 'onRollback'])(
  'a store whose %s fails takes nothing until it is opened again',
  async (which) => {
    const path = join(folder, 'store.db');
    await commit.close();
    let failing = true;
    const fail = (): void => {
      if (failing) throw new Error('disk I/O error');
    };
    const faulty = new Proxy(db, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          const result: unknown = Reflect.apply(value, target, given);
          if (which === 'ROLLBACK' && given[0] === 'ROLLBACK') fail();
          return result;
        };
      },
    });
    const onRollback = (): void => (which === 'onRollback' ? fail() : undefined);
    commit = createGroupCommit({ db: faulty, path, onRollback });
    await commit.run(1, insert(1));
    expect(await commit.run(1, insert(1)).catch(codeOf)).toBe('unavailable');
    failing = false;
    expect(await commit.run(1, insert(2)).catch(codeOf)).toBe('unavailable');
    expect((await commit.check(systemClock)).ok).toBe(false);
    expect(commit.broken).toMatch(/the store failed|disk I\/O/);
    await commit.close();
    db.close();
    db = openDatabase(path, ['CREATE TABLE t(n INTEGER PRIMARY KEY)']);
    commit = open();
    await commit.run(1, insert(3));
    expect(stored()).toEqual([1, 3]);
  },
);

test('nothing is taken after the end', async () => {
  await commit.close();
  expect(await commit.run(1, insert(1)).catch(codeOf)).toBe('unavailable');
});

test('work that its caller bounds is taken beyond the bound, and does not count as refused', async () => {
  await commit.close();
  commit = open({ maxPending: 2 });
  const outcomes = await Promise.allSettled([
    ...[1, 2, 3].map((n) => commit.run(1, insert(n))),
    ...[4, 5].map((n) => commit.run(1, insert(n), { bounded: true })),
  ]);
  expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, true, false, true, true]);
  expect([stored(), commit.refused]).toEqual([[1, 2, 4, 5], 1]);
});
