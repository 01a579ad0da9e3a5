import { statSync } from 'node:fs';
import { AntirioError, fromHex } from '@antirio/kernel';
import { openDatabase } from '@antirio/host';
import { createSessionCipher, sessionFingerprint } from '@antirio/lorawan';
import { readSecrets } from '../control.ts';

/** Sessions in a file as device-lora's secrets are, where its device-lora does not run: to encrypt for the edge that serves the devices. */
export interface KeyFile {
  /**
   * The FRMPayload, in hex, of one (hex) for a counter that was named. Each counter of a session is taken once, and no lower one after it:
   * which were is kept beside the file, durably before this returns.
   * @throws AntirioError notFound for a session that is not in the file, forbidden for one without AppSKey, conflict for a counter that was taken
   */
  encrypt(named: { readonly session: string; readonly fCntDown: number }, payload: string): string;
  close(): void;
}

const MIGRATIONS = ['CREATE TABLE used (session TEXT PRIMARY KEY, highest INTEGER NOT NULL) STRICT'];

/** @throws AntirioError badConfig for a file that is none, or that others may read */
export function openKeyFile(path: string): KeyFile {
  const { sessions } = readSecrets(path);
  if ((statSync(path).mode & 0o077) !== 0)
    throw new AntirioError('badConfig', `${path} may be read by others: chmod 600 it`, { path });
  const db = openDatabase(`${path}.used`, MIGRATIONS);
  const take = db.prepare(
    `INSERT INTO used VALUES (?, ?) ON CONFLICT DO UPDATE SET highest = excluded.highest WHERE excluded.highest > highest`,
  );
  return {
    encrypt({ session, fCntDown }, payload) {
      const found = sessions.find(
        (one) => sessionFingerprint(fromHex(one.nwkSKey, 16), one.devAddr) === session,
      );
      if (found === undefined) throw new AntirioError('notFound', `session ${session} is not in ${path}`);
      const { devAddr, nwkSKey, appSKey } = found;
      if (appSKey === undefined)
        throw new AntirioError('forbidden', `the AppSKey of session ${session} is not in ${path}`);
      const keys = { nwkSKey: fromHex(nwkSKey, 16), appSKey: fromHex(appSKey, 16) };
      const cipher = createSessionCipher(keys);
      if (take.run(session, fCntDown).changes === 0)
        throw new AntirioError('conflict', `counter ${fCntDown} of session ${session} was taken already`);
      return Buffer.from(cipher.encryptDown(devAddr, fCntDown, fromHex(payload))).toString('hex');
    },
    close: () => db.close(),
  };
}
