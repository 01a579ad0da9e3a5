import { chownSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
  hold(serviceId: string, secrets: Secrets): void;
  held(serviceId: string): boolean;
  /** Gives the secrets of one version to another, where they are held. */
  copy(from: string, to: string): void;
  drop(serviceId: string): void;
}

export const SECRETS_FILE = 'keys.json';

/** Secrets live in one file of the service's tmpfs folder, nowhere else: not in the store, the environment or the log. */
export function createSecretsKeeper(
  folders: Folders,
  user: Runtime['user'],
  allowDiskSecrets: boolean,
): SecretsKeeper {
  const fileOf = (serviceId: string): string => join(folders.of(serviceId).secretsDir, SECRETS_FILE);
  const drop = (serviceId: string): void => {
    const file = fileOf(serviceId);
    if (!existsSync(file)) return;
    writeFileSync(file, Buffer.alloc(statSync(file).size), { flag: 'r+' });
    rmSync(file);
  };
  const put = (serviceId: string, bytes: Uint8Array): void => {
    folders.make(serviceId);
    drop(serviceId);
    const file = fileOf(serviceId);
    writeFileSync(file, bytes, { mode: 0o600, flag: 'wx' });
    if (user !== undefined) chownSync(file, user.uid, user.gid);
  };
  return {
    hold(serviceId, secrets) {
      if (!folders.secretsOnTmpfs && !allowDiskSecrets)
        throw new AntirioError(
          'forbidden',
          'this host has no tmpfs for secrets, and allowDiskSecrets is not set',
        );
      put(serviceId, Buffer.from(JSON.stringify(secrets)));
    },
    held: (serviceId) => existsSync(fileOf(serviceId)),
    copy(from, to) {
      if (existsSync(fileOf(from))) put(to, readFileSync(fileOf(from)));
    },
    drop,
  };
}
