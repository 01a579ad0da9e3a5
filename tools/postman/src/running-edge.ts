import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { claimOffsets } from '@antirio/testing/port-offsets';
import type { OpenApi } from './collection.ts';

const ANTIRIO = resolve(import.meta.dirname, '../../antirio.mjs');

/** An edge of its own, in a folder that goes with it. */
export interface RunningEdge {
  /** Of each room, by its name in the configuration. */
  readonly urls: Readonly<Record<string, string>>;
  /** Where they are by default, as an edge has them that nothing is said to. */
  readonly defaults: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

function shifted(urls: Readonly<Record<string, string>>, by: number): Record<string, string> {
  const entries = Object.entries(urls).map(([room, text]) => {
    const url = new URL(text);
    url.port = String(Number(url.port) - by);
    return [room, url.origin] as const;
  });
  return Object.fromEntries(entries);
}

export async function startEdge(): Promise<RunningEdge> {
  const claimed = await claimOffsets(1);
  const folder = mkdtempSync(join(tmpdir(), 'antirio-postman-'));
  const offset = String(claimed.offsets[0]);
  const args = [ANTIRIO, 'up', '--data-dir', folder, '--port-offset', offset, '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    }
    claimed.release();
    rmSync(folder, { recursive: true, force: true });
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const { urls } = JSON.parse(line) as { urls?: Record<string, string> };
    if (urls !== undefined) return { urls, defaults: shifted(urls, Number(offset)), stop };
  }
  await stop();
  throw new TypeError(`the edge ended with ${child.exitCode ?? 'a signal'}`);
}

/** The documents of its services, by the rooms' names. */
export async function documentsOf({
  urls,
}: Pick<RunningEdge, 'urls'>): Promise<ReadonlyMap<string, OpenApi>> {
  const documents = new Map<string, OpenApi>();
  for (const [room, url] of Object.entries(urls)) {
    const answer = await fetch(`${url}/api/v3/openapi.json`);
    if (answer.ok) documents.set(room, (await answer.json()) as OpenApi);
  }
  return documents;
}
