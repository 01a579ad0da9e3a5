import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { collectionOf, environmentOf, type Folder } from './collection.ts';

const NEWMAN = fileURLToPath(import.meta.resolve('newman/bin/newman.js'));
const REQUEST_MS = 10_000;

export interface NewmanRun {
  readonly stats: Readonly<Record<'requests' | 'assertions', { total: number; failed: number }>>;
  readonly failures: readonly { readonly error: { message: string }; readonly source?: { name: string } }[];
}

export interface Asked {
  /** Of the rooms, by their names in the folders. */
  readonly urls: Readonly<Record<string, string>>;
  readonly token?: string;
  /** Whether certificates have to be for the addresses that are asked (default: they have). */
  readonly anyCertificate?: boolean;
}

function report(file: string, said: string): NewmanRun {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { run: NewmanRun }).run;
  } catch (cause) {
    throw new TypeError(`newman made no report: ${said}`, { cause });
  }
}

/** Runs folders of requests against services, as Postman would. What its files hold is gone with them. */
export async function runFolders(folders: readonly Folder[], asked: Asked): Promise<NewmanRun> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-newman-'));
  const [collection, environment, told] = ['collection', 'environment', 'report'].map((name) =>
    join(folder, `${name}.json`),
  ) as [string, string, string];
  const { urls, token, anyCertificate = false } = asked;
  writeFileSync(collection, JSON.stringify(collectionOf('all', folders)));
  writeFileSync(environment, JSON.stringify(environmentOf('all', urls, token)), { mode: 0o600 });
  const to = ['-e', environment, '--reporters', 'json', '--reporter-json-export', told];
  const how = ['--timeout-request', String(REQUEST_MS), ...(anyCertificate ? ['--insecure'] : [])];
  try {
    const child = spawn(process.execPath, [NEWMAN, 'run', collection, ...to, ...how], {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [said] = await Promise.all([text(child.stderr), once(child, 'close')]);
    return report(told, said);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
