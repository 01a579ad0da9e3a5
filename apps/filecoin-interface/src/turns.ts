import type { ServerResponse } from 'node:http';
import { AntirioError, isAntirioError } from '@antirio/kernel';

/** Long work that a client waits for. */
export type LongWork = 'import' | 'export' | 'verify' | 'sample';

/** How much long work goes on at once: it costs memory, and a disk that is asked for everything at once gives nothing. */
export interface Turns {
  /** @throws AntirioError busy where as much of it is under way as may be */
  run<T>(kind: LongWork, work: () => Promise<T>): Promise<T>;
}

/** @param onRefused told of each refusal */
export function createTurns(
  atOnce: Readonly<Record<LongWork, number>>,
  onRefused: (kind: LongWork) => void,
): Turns {
  const running = new Map<LongWork, number>();
  return {
    async run(kind, work) {
      const now = running.get(kind) ?? 0;
      if (now >= atOnce[kind]) {
        onRefused(kind);
        throw new AntirioError('busy', `${now} of ${kind} are under way, and no more go at once: ask later`, {
          limit: atOnce[kind],
        });
      }
      running.set(kind, now + 1);
      try {
        return await work();
      } finally {
        running.set(kind, (running.get(kind) ?? 1) - 1);
      }
    },
  };
}

/** Before a client that was refused is to ask again, in seconds. */
const RETRY_AFTER_S = 5;

/** Runs long work in its turn, as long as the client waits for it. */
export async function waitedFor<T>(
  response: ServerResponse,
  turns: Turns,
  kind: LongWork,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.once('close', () => {
    gone.abort();
  });
  try {
    return await turns.run(kind, () => work(gone.signal));
  } catch (error) {
    if (isAntirioError(error, 'busy')) response.setHeader('retry-after', RETRY_AFTER_S);
    throw error;
  }
}
