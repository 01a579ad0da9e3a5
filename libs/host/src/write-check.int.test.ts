import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { openDatabase } from './database.ts';
import { createWriteCheck } from './write-check.ts';

const folder = mkdtempSync(join(tmpdir(), 'antirio-writes-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('whether a store takes writes', () => {
  test('is seen of a disk that is full to the last byte, before anything was written and after, and no longer than it is', () => {
    // a file system of its own, in a mount namespace that is gone with the process
    const mount = 'set -e; mount -t tmpfs -o size=1m tmpfs "$1"; exec "$2" "$3" "$1"';
    const program = join(import.meta.dirname, 'write-check-host.fixture.ts');
    const under = ['--mount', 'sh', '-c', mount, 'sh', folder, process.execPath, program];
    const said = execFileSync('unshare', under, { encoding: 'utf8', timeout: 60_000 });
    expect(JSON.parse(said)).toEqual([true, 'ENOSPC', false, false, true, true]);
  });

  test('is found out by a write, once one has failed', () => {
    const db = openDatabase(join(folder, 'store.db'), []);
    const check = createWriteCheck(db);
    expect(check.ok()).toBe(true);
    check.failed();
    expect(check.ok()).toBe(true);
    check.failed();
    db.close();
    expect(check.ok()).toBe(false);
  });
});
