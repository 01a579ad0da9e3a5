import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { clockFault, folderFault, openDataFolder, spaceFault } from './preflight.ts';

const folder = mkdtempSync(join(tmpdir(), 'antirio-preflight-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('before a start', () => {
  test('the data folder is made', () => {
    const data = join(folder, 'some/where');
    openDataFolder(data);
    expect(statSync(data).isDirectory()).toBe(true);
  });

  test('a file in its place is told', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(() => openDataFolder(file)).toThrow(`${file} cannot be made: a file is in its place`);
    expect(() => openDataFolder(join(file, 'below'))).toThrow('a file is in its place');
  });

  test('a folder that another user owns is told with who and what to do', () => {
    const told = folderFault('/data', 'EACCES', { uid: 1000, owner: 0 });
    expect(told).toContain('(uid 1000) may not write the data folder /data, which belongs to uid 0');
    expect(told).toContain('chown -R 1000 /data');
  });

  test.each([
    ['EROFS', 'read-only file system: mount a volume'],
    ['ENOSPC', 'no room'],
  ])('%s is told as what it is', (code, told) => {
    expect(folderFault('/data', code, { uid: 1000, owner: 1000 })).toContain(told);
  });

  test('a full disk is told, and one with room is not', () => {
    expect(spaceFault('/data', 5_000_000)).toContain('/data has 4 MB left, and 32 MB are needed');
    expect(spaceFault('/data', 50_000_000)).toBeUndefined();
  });

  test('a clock that nobody has set is told, and one that is set is not', () => {
    expect(clockFault(0)).toContain('the clock says 1970-01-01T00:00 UTC');
    expect(clockFault(Date.UTC(2199, 1))).toContain('timedatectl');
    expect(clockFault(Date.UTC(2026, 10, 22))).toBeUndefined();
  });
});
