import { sleep, type Log } from '@antirio/host';
import { describeError, type EdgeId } from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import { cursorBehind, keys, type LedgerEvent, type MatchRecord } from '@antirio/ledger-machine';

/** This edge's matches as the ledger has them. */
export interface OwnMatches {
  all(): MatchRecord[];
  /** When they were last read from the ledger; undefined before the first time. */
  readAt(): number | undefined;
  /** Reads them now. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

export interface OwnMatchesParts {
  readonly ledger: LedgerClient;
  readonly edge: EdgeId;
  readonly now: () => number;
  readonly refreshIntervalMs: number;
  readonly retryIntervalMs: number;
  readonly log: Log;
  /** After something about this edge changed. */
  readonly changed: () => Promise<void>;
}

/** Ended matches are shown for a while, so that those who wait for them see why. */
const ENDED_KEPT = 64;

function concerns({ data }: LedgerEvent, edge: EdgeId): boolean {
  return data['customer'] === edge || data['provider'] === edge || data['edge'] === edge;
}

export function followOwnMatches(parts: OwnMatchesParts): OwnMatches {
  const { ledger, edge, log } = parts;
  const known = new Map<string, MatchRecord>();
  const stopped = new AbortController();
  let readAt: number | undefined;
  /** What is in the way, as it was logged last. */
  let obstacle = '';

  const forgetOld = (): void => {
    const ended = [...known.values()].filter(({ state }) => state !== 'reserved');
    for (const { id } of ended.slice(0, Math.max(0, ended.length - ENDED_KEPT))) known.delete(id);
  };
  const refresh = async (): Promise<void> => {
    const listed = await ledger.range(`party/${edge}/`);
    const live = listed.map(([key]) => key.slice(key.lastIndexOf('/') + 1));
    const open = [...known.values()].filter(({ state }) => state === 'reserved').map(({ id }) => id);
    for (const id of new Set([...live, ...open])) {
      const record = await ledger.read(keys.match(id));
      if (record === undefined) known.delete(id);
      else known.set(id, record);
    }
    forgetOld();
    readAt = parts.now();
    if (obstacle !== '') log.info('the market can be followed again');
    obstacle = '';
  };
  const followFrom = async (cursor: string): Promise<string> => {
    const events = await ledger.events(cursor, parts.refreshIntervalMs, stopped.signal);
    if (events.length > 0 && !events.some((event) => concerns(event, edge)))
      return events.at(-1)?.cursor ?? cursor;
    await refresh();
    await parts.changed();
    return events.at(-1)?.cursor ?? cursor;
  };
  const startingPoint = async (): Promise<string> => {
    const { height } = await ledger.head();
    await refresh();
    return cursorBehind(height);
  };
  const again = async (error: unknown): Promise<undefined> => {
    if (stopped.signal.aborted) return;
    const text = describeError(error);
    if (text !== obstacle) log.warn({ error: text }, 'cannot follow the market, will try again');
    obstacle = text;
    await sleep(parts.retryIntervalMs, stopped.signal);
  };
  const run = async (): Promise<void> => {
    let cursor: string | undefined;
    while (!stopped.signal.aborted)
      // Whatever fails, also a ledger that forgot our cursor: we begin again with its state, which tells all.
      cursor = await (cursor === undefined ? startingPoint() : followFrom(cursor)).catch(again);
  };
  const running = run();
  return {
    all: () => [...known.values()],
    readAt: () => readAt,
    refresh,
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
