import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { inTransaction, openDatabase, silentLog, systemRandom } from '@antirio/host';
import { copyData, type CopyLimits } from './data-handover.ts';
import { openFolders } from './folders.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'handover-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const limits = (more: Partial<CopyLimits> = {}): CopyLimits => ({
  maxBytes: 1 << 20,
  maxEntries: 100,
  signal: new AbortController().signal,
  ...more,
});

/** What a service left. */
function left(): string {
  const from = join(dir, 'services', 'one');
  mkdirSync(join(from, 'device-lora', 'empty'), { recursive: true });
  writeFileSync(join(from, 'device-lora', 'keys'), 'secret', { mode: 0o600 });
  writeFileSync(join(from, 'run.sh'), '#!/bin/sh', { mode: 0o750 });
  symlinkSync('/etc/passwd', join(from, 'outside'));
  return from;
}

describe('the data of a version', () => {
  test('are copied as they are; links are not followed, sockets are left out', async () => {
    const from = left();
    const server = createServer().listen(join(from, 'svc.sock'));
    await once(server, 'listening');
    try {
      await copyData(from, join(dir, 'to'), limits());
    } finally {
      server.close();
    }
    const to = (...names: string[]): string => join(dir, 'to', ...names);
    expect(readdirSync(to(), { recursive: true }).sort()).toEqual(
      ['device-lora', 'device-lora/empty', 'device-lora/keys', 'outside', 'run.sh'].sort(),
    );
    expect(readFileSync(to('device-lora', 'keys'), 'utf8')).toBe('secret');
    expect(lstatSync(to('device-lora', 'keys')).mode & 0o777).toBe(0o600);
    expect(lstatSync(to('run.sh')).mode & 0o777).toBe(0o750);
    expect(readlinkSync(to('outside'))).toBe('/etc/passwd');
  });

  test('of a store whose process was killed are whole with its write-ahead log', async () => {
    const from = left();
    const db = openDatabase(join(from, 'state.db'), ['CREATE TABLE queued (id INTEGER PRIMARY KEY)']);
    inTransaction(db, () => db.prepare('INSERT INTO queued VALUES (7)').run());
    // Not closed: the log is what a kill leaves
    expect(existsSync(join(from, 'state.db-wal'))).toBe(true);
    await copyData(from, join(dir, 'to'), limits());
    db.close();
    const copy = openDatabase(join(dir, 'to', 'state.db'), ['CREATE TABLE queued (id INTEGER PRIMARY KEY)']);
    expect(copy.prepare('SELECT id FROM queued').all()).toEqual([{ id: 7 }]);
    copy.close();
  });

  test.each<[string, Partial<CopyLimits>, string]>([
    ['too many bytes', { maxBytes: 100 }, 'over 100 bytes'],
    ['too many files', { maxEntries: 3 }, 'over 3 files'],
    ['no time', { signal: AbortSignal.abort() }, 'takes too long'],
  ])('are not copied where that takes %s, and nothing is left of it', async (_what, more, message) => {
    const from = left();
    writeFileSync(join(from, 'large'), Buffer.alloc(200));
    linkSync(join(from, 'large'), join(from, 'large-too'));
    const runRoot = join(dir, 'run');
    const folders = openFolders({
      dataDir: dir,
      runRoot,
      user: undefined,
      random: systemRandom,
      log: silentLog,
    });
    await expect(folders.copyData('one', 'two', limits(more))).rejects.toThrow(message);
    expect(readdirSync(join(dir, 'services'))).toEqual(['one']);
    folders.close();
  });

  test('are in their place all at once; a copy that nobody came to use is gone after the next start', async () => {
    left();
    const runRoot = join(dir, 'run');
    const open = () =>
      openFolders({ dataDir: dir, runRoot, user: undefined, random: systemRandom, log: silentLog });
    const folders = open();
    writeFileSync(join(folders.make('two').dataDir, 'shadow'), 'of its own');
    const copy = await folders.copyData('one', 'two', limits());
    expect(readdirSync(folders.of('two').dataDir)).toEqual(['shadow']);
    copy.putInPlace();
    expect(readdirSync(folders.of('two').dataDir).sort()).toEqual(['device-lora', 'outside', 'run.sh']);
    expect(readdirSync(folders.of('one').dataDir).sort()).toEqual(['device-lora', 'outside', 'run.sh']);
    // Of one that never ran, nothing
    (await folders.copyData('never', 'three', limits())).putInPlace();
    expect(readdirSync(folders.of('three').dataDir)).toEqual([]);
    await folders.copyData('one', 'two', limits());
    expect(readdirSync(join(dir, 'services')).sort()).toEqual(['.copy-two', 'one', 'three', 'two']);
    folders.close();
    open().close();
    expect(readdirSync(join(dir, 'services')).sort()).toEqual(['one', 'three', 'two']);
  });
});
