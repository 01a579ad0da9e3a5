import { repeat, type Log } from '@antirio/host';

/** Looks after a cache that is kept by messages which may be lost. */
export interface Refreshing {
  /** Before long: what is asked for many times in a moment is done once. */
  soon(): void;
  stop(): Promise<void>;
}

interface Options {
  readonly log: Log;
  /** At least this often; 0 for never by itself. */
  readonly intervalMs: number;
  readonly refresh: () => Promise<void>;
}

/** How long changes that come by the bus are given, so that most of what is read anew is known already. */
const SOON_MS = 500;
/** What failed is tried again, sooner than at the next interval. */
const AGAIN_MS = 5000;
const NEVER_MS = 2 ** 31 - 1;

/** Refreshes at intervals, and when asked to. */
export function createRefreshing({ log, intervalMs, refresh }: Options): Refreshing {
  let timer: NodeJS.Timeout | undefined;
  let first = true;
  let stopped = false;
  const refreshing = repeat(
    'reading core-metadata anew',
    intervalMs === 0 ? NEVER_MS : intervalMs,
    log,
    async () => {
      // it has just been read
      if (!first)
        await refresh().catch((error: unknown) => {
          after(AGAIN_MS);
          throw error;
        });
      first = false;
    },
  );
  const after = (ms: number): void => {
    if (stopped) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      refreshing.poke();
    }, ms);
  };
  return {
    soon: () => after(SOON_MS),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await refreshing.stop();
    },
  };
}
