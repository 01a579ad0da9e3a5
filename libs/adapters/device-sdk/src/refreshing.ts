import { repeat, type Bus, type Log } from '@antirio/host';

/** Looks after a cache that is kept by messages which may be lost. */
export interface Refreshing {
  /** Before long: what is asked for many times in a moment is done once. */
  soon(): void;
  stop(): Promise<void>;
}

interface Options {
  readonly bus: Pick<Bus, 'health'>;
  readonly log: Log;
  /** At least this often; 0 for never by itself. */
  readonly intervalMs: number;
  readonly refresh: () => Promise<void>;
}

/** How long changes that come by the bus are given, so that most of what is read anew is known already. */
const SOON_MS = 500;
const LOOK_EVERY_MS = 500;
const NEVER_MS = 2 ** 31 - 1;

/** Refreshes at intervals, when asked to, and whenever the bus has come back. */
export function createRefreshing({ bus, log, intervalMs, refresh }: Options): Refreshing {
  let timer: NodeJS.Timeout | undefined;
  let first = true;
  let wasAway = false;
  const refreshing = repeat(
    'reading core-metadata anew',
    intervalMs === 0 ? NEVER_MS : intervalMs,
    log,
    async () => {
      // it has just been read
      if (first) first = false;
      else await refresh();
    },
  );
  const soon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      refreshing.poke();
    }, SOON_MS);
  };
  const looking = setInterval(() => {
    const isAway = !bus.health().ok;
    if (wasAway && !isAway) soon();
    wasAway = isAway;
  }, LOOK_EVERY_MS);
  looking.unref();
  return {
    soon,
    async stop() {
      clearTimeout(timer);
      clearInterval(looking);
      await refreshing.stop();
    },
  };
}
