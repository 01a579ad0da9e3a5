import { chownSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { Runtime } from '@antirio/runtime';
import type { Folders } from './folders.ts';

/** What a service needs to read its sensors: session keys of one key version. */
export const secretsSchema = z.looseObject({
  keyVersion: z.int().min(0),
  sessions: z.array(z.looseObject({ devEui: z.string(), devAddr: z.string() })).max(10_000),
});
export type Secrets = z.output<typeof secretsSchema>;

export interface SecretsKeeper {
  /** @throws AntirioError forbidden where there is no memory to keep them in and disks are not allowed. */
  hold(contractId: string, secrets: Secrets): void;
  held(contractId: string): boolean;
  drop(contractId: string): void;
}

export const SECRETS_FILE = 'keys.json';

/** Secrets live in one file of the service's tmpfs folder, nowhere else: not in the store, the environment or the log. */
export function createSecretsKeeper(
  folders: Folders,
  user: Runtime['user'],
  allowDiskSecrets: boolean,
): SecretsKeeper {
  const fileOf = (contractId: string): string => join(folders.of(contractId).secretsDir, SECRETS_FILE);
  const drop = (contractId: string): void => {
    const file = fileOf(contractId);
    if (!existsSync(file)) return;
    writeFileSync(file, Buffer.alloc(statSync(file).size), { flag: 'r+' });
    rmSync(file);
  };
  return {
    hold(contractId, secrets) {
      if (!folders.secretsOnTmpfs && !allowDiskSecrets)
        throw new AntirioError(
          'forbidden',
          'this host has no tmpfs for secrets, and allowDiskSecrets is not set',
        );
      folders.make(contractId);
      drop(contractId);
      const file = fileOf(contractId);
      writeFileSync(file, JSON.stringify(secrets), { mode: 0o600, flag: 'wx' });
      if (user !== undefined) chownSync(file, user.uid, user.gid);
    },
    held: (contractId) => existsSync(fileOf(contractId)),
    drop,
  };
}
