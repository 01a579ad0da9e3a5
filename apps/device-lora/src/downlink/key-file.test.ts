import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { toHex } from '@antirio/kernel';
import { holderOf } from '../holder.fixture.ts';
import { devAddr, devEui } from '../session.fixture.ts';
import { sessionFingerprint } from '@antirio/lorawan';
import { openKeyFile } from './key-file.ts';

test('a file of keys encrypts for each counter once, over restarts, and never for a lower one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  const path = join(folder, 'keys.json');
  const nwkSKey = '01'.repeat(16);
  const other = { devEui, devAddr, nwkSKey: '02'.repeat(16) };
  const sessions = [{ devEui, devAddr, nwkSKey, appSKey: '65'.repeat(16) }, other];
  writeFileSync(path, JSON.stringify({ keyVersion: 1, sessions }), { mode: 0o644 });
  expect(() => openKeyFile(path)).toThrow(/chmod 600/);
  chmodSync(path, 0o600);
  const idOf = (key: string): string => sessionFingerprint(Buffer.from(key, 'hex'), devAddr);
  const named = { session: idOf(nwkSKey), fCntDown: 16 };
  let file = openKeyFile(path);
  expect(file.encrypt(named, '0a0b')).toBe(
    toHex(holderOf(1).encryptDown(devAddr, 16, Uint8Array.of(10, 11))),
  );
  file.close();
  file = openKeyFile(path);
  for (const fCntDown of [16, 15])
    expect(() => file.encrypt({ ...named, fCntDown }, '0c')).toThrow(/taken already/);
  expect(file.encrypt({ ...named, fCntDown: 17 }, '0c')).toHaveLength(2);
  expect(() => file.encrypt({ session: idOf(other.nwkSKey), fCntDown: 1 }, '0c')).toThrow(/AppSKey/);
  expect(() => file.encrypt({ session: '00'.repeat(8), fCntDown: 1 }, '0c')).toThrow(/is not in/);
  file.close();
  rmSync(folder, { recursive: true });
});
