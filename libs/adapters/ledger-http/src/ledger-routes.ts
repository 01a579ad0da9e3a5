import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { signedTx, type LedgerEvent, type LedgerPort } from '@antirio/ledger-machine';

const PAGE = 500;
const MAX_EVENTS = 500;
const MAX_WAIT_MS = 30_000;

const keyParam = z.object({ key: z.union([z.string(), z.array(z.string())]) });
const rangeQuery = z.object({
  prefix: z.string().max(256),
  after: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(PAGE).default(PAGE),
});
const eventsQuery = z.object({
  from: z
    .string()
    .regex(/^\d{12}-\d{6}$/)
    .optional(),
  waitMs: z.coerce.number().int().min(0).max(MAX_WAIT_MS).default(0),
  limit: z.coerce.number().int().min(1).max(MAX_EVENTS).default(MAX_EVENTS),
});

/** Whose word a receipt is: of one writer, of an ordering service that survives crashes, of more than two thirds of strangers. */
export type Finality = 'local' | 'cft' | 'bft';

type Soon<T> = T | Promise<T>;

/** What an engine must give besides the port, so that its ledger can be served. */
export interface ServedLedger extends LedgerPort {
  readonly finality: Finality;
  /** One page of a range, behind the key `after`. */
  page(prefix: string, after: string | undefined, limit: number): Soon<[string, unknown][]>;
  /** @throws AntirioError gone where they are no longer kept; conflict where the cursor is ahead of this ledger */
  events(from: string | undefined, limit: number): Soon<LedgerEvent[]>;
  stateHashAt(height: number): Soon<string | undefined>;
  /** Resolves at the next event, or when the signal is given. */
  nextEvent(signal: AbortSignal): Promise<void>;
}

export interface Limits {
  readonly followers: number;
  /** Given when the room stops: nobody waits any longer. */
  readonly stopped: AbortSignal;
}

/** Events behind the cursor, at once or as soon as there are some. */
async function waitForEvents(
  ledger: ServedLedger,
  query: z.output<typeof eventsQuery>,
  ended: AbortSignal,
): Promise<unknown[]> {
  const { from, waitMs, limit } = query;
  const signal = AbortSignal.any([ended, AbortSignal.timeout(waitMs)]);
  let found = await ledger.events(from, limit);
  while (found.length === 0 && waitMs > 0 && !signal.aborted) {
    await ledger.nextEvent(signal);
    found = await ledger.events(from, limit);
  }
  return found;
}

function addEventRoute(rim: HttpRim, ledger: () => ServedLedger, { followers, stopped }: Limits): void {
  let waiting = 0;
  const summary = 'what happened behind a cursor; waits for it up to waitMs';
  rim.route('get', '/ledger/v1/events', { summary, query: eventsQuery }, async ({ query, response }) => {
    if (waiting >= followers) throw new AntirioError('busy', `${followers} requests wait for events already`);
    const left = new AbortController();
    response.once('close', () => left.abort());
    waiting += 1;
    try {
      return { events: await waitForEvents(ledger(), query, AbortSignal.any([stopped, left.signal])) };
    } finally {
      waiting -= 1;
    }
  });
}

/** Transactions in, state and events out. Anyone may read; what changes anything is signed. */
export function addLedgerRoutes(rim: HttpRim, ledger: () => ServedLedger, limits: Limits): void {
  rim.route(
    'post',
    '/ledger/v1/tx',
    { summary: 'submit a signed transaction; answers at finality, a refusal with ok: false', body: signedTx },
    ({ body }) => ledger().submit(body),
  );
  rim.route(
    'get',
    '/ledger/v1/state/*key',
    { summary: 'one record', params: keyParam },
    async ({ params }) => {
      const key = Array.isArray(params.key) ? params.key.join('/') : params.key;
      const value = await ledger().query(key);
      if (value === undefined) throw new AntirioError('notFound', `the ledger has no ${key}`);
      return { key, value };
    },
  );
  rim.route(
    'get',
    '/ledger/v1/range',
    { summary: 'records by prefix, a page at a time', query: rangeQuery },
    async ({ query }) => {
      if (!query.prefix.includes('/'))
        throw new AntirioError('invalidInput', 'prefix: a family and its slash, such as `order/`');
      const entries = await ledger().page(query.prefix, query.after, query.limit);
      const last = entries.length === query.limit ? entries.at(-1)?.[0] : undefined;
      return last === undefined ? { entries } : { entries, next: last };
    },
  );
  rim.route(
    'get',
    '/ledger/v1/head',
    { summary: 'height, state hash and time of the newest block' },
    async () => {
      const { height, stateHash, time } = await ledger().head();
      return { height: Number(height), stateHash, time, finality: ledger().finality };
    },
  );
  const heightParam = z.object({ height: z.coerce.number().int().min(0) });
  const hashed = { summary: 'the state hash after a block', params: heightParam };
  rim.route('get', '/ledger/v1/block/:height', hashed, async ({ params }) => {
    const { height } = params;
    const stateHash = await ledger().stateHashAt(height);
    if (stateHash === undefined) throw new AntirioError('notFound', `the ledger has no block ${height}`);
    return { height, stateHash };
  });
  addEventRoute(rim, ledger, limits);
}
