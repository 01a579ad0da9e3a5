import { fork } from 'node:child_process';
import { once } from 'node:events';
import { nodeEnvironment, nodeFlags } from '@antirio/bundle';
import { BenchError } from './benchmark.ts';

/** What the process of a store is asked to do. */
export type StorageJob =
  | { readonly do: 'import'; readonly file: string; readonly as: 'v0' | 'v1' | 'tar' }
  | { readonly do: 'image'; readonly archive: string; readonly name: string }
  | { readonly do: 'fetch'; readonly cid: string; readonly url: string }
  | { readonly do: 'serve' }
  /** Asks a provider that lies for one block, then for a CAR of it and what is below. */
  | { readonly do: 'believe'; readonly cids: readonly string[]; readonly url: string };

export interface StorageResult {
  readonly cid?: string;
  readonly url?: string;
  /** Of content, and what of it came from the provider. */
  readonly bytes?: number;
  readonly fetchedBytes?: number;
  readonly blocks?: number;
  /** Of `believe`: how many of the CIDs are here now that were not to be had. */
  readonly accepted?: number;
  /** Until everything was durable. */
  readonly ms?: number;
  /** Processor time of the process. */
  readonly cpuMs?: number;
}

/** A store in a process of its own. */
export interface StorageProcess {
  readonly pid: number;
  run(job: StorageJob): Promise<StorageResult>;
  stop(): Promise<void>;
}

/** Runs the bundled program of a store with the flags of the product, on a folder that stays. */
export async function startStorage(
  program: string,
  folder: string,
  signal: AbortSignal,
): Promise<StorageProcess> {
  const child = fork(program, [folder], {
    execArgv: [...nodeFlags],
    env: { ...nodeEnvironment, ...process.env, NODE_OPTIONS: '' },
  });
  const ended = once(child, 'exit', { signal }).then((): never => {
    throw new BenchError('the process of the store has ended');
  });
  // It is told to whoever waits for an answer.
  ended.catch(() => undefined);
  const answer = async (): Promise<StorageResult> => {
    const [result] = (await Promise.race([once(child, 'message', { signal }), ended])) as [
      StorageResult & { readonly error?: string },
    ];
    if (result.error !== undefined) throw new BenchError(result.error);
    return result;
  };
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    if (child.connected) child.disconnect();
    await exited;
  };
  try {
    await answer();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    pid: child.pid ?? 0,
    run(job) {
      const result = answer();
      child.send(job);
      return result;
    },
    stop,
  };
}
