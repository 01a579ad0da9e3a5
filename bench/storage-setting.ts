import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleProgram } from '@antirio/bundle';
import { bundledOnce } from './bundled-once.ts';
import type { Figure } from './figure.ts';
import { rounded } from './figure.ts';
import { openKubo, type Kubo } from './storage-kubo.ts';
import { startStorage, type StorageProcess, type StorageResult } from './storage-jobs.ts';

export const MB = 1e6;

/** A folder for the time of a benchmark, and processes of stores in it, which all end with it. */
export interface StorageSetting {
  path(name: string): string;
  /** A store of that name, or a new one. */
  start(store?: string): Promise<StorageProcess>;
  /** Where KUBO_BIN names its program. */
  readonly kubo: Kubo | undefined;
}

const bundleHost = (folder: string): Promise<string> =>
  bundleProgram('bench/storage-host.ts', join(folder, 'storage-host'));

export async function* inFolder<T = Figure>(
  signal: AbortSignal,
  work: (setting: StorageSetting) => AsyncGenerator<T>,
): AsyncGenerator<T> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-storage-'));
  const path = (name: string): string => join(folder, name);
  const started: StorageProcess[] = [];
  const kubo = openKubo(path, signal);
  let stores = 0;
  try {
    const program = await bundledOnce('storage-host', bundleHost);
    yield* work({
      path,
      kubo,
      async start(store = `store-${stores++}`) {
        const process = await startStorage(program, path(store), signal);
        started.push(process);
        return process;
      },
    });
  } finally {
    for (const process of started) await process.stop();
    await kubo?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether a figure has something to be compared with. */
export const referenceOf = ({ kubo }: StorageSetting): string =>
  kubo === undefined ? 'absent' : kubo.version;

/** MB/s. */
export const rateOf = ({ bytes = 0, ms = NaN }: StorageResult): number => bytes / MB / (ms / 1000);

/** Processor time for each MB, ms. */
export const cpuOf = (results: readonly StorageResult[]): number =>
  rounded(
    results.reduce((sum, { cpuMs = 0, bytes = 1 }) => sum + cpuMs / (bytes / MB), 0) / results.length,
    1,
  );
