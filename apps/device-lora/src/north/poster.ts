import { describeError, utf8 } from '@antirio/kernel';
import { sleep, type Check, type HttpPeer } from '@antirio/host';

export interface Post {
  readonly path: string;
  readonly body: string;
}

/** `stored`: core-data has it on its disk, now or before. `refused`: it said no so often that only a change will help. */
export type Posted =
  | { readonly kind: 'stored' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'stopped' };

/** Sends events to core-data, a few at once, and does not give up while it may still be stored. */
export interface Poster {
  /** Those that just came by radio go before those from the ring. */
  post(event: Post, urgent: boolean): Promise<Posted>;
  /** One attempt. */
  tryOnce(event: Post): Promise<Posted | { readonly kind: 'unavailable'; readonly why: string }>;
  readonly waiting: number;
  check(): Check;
  /** Gives up what is not stored yet. */
  cancel(): void;
}

export interface PosterPorts {
  readonly coreData: HttpPeer;
  readonly concurrency: number;
  readonly refusalsBeforeParking: number;
  readonly timeoutMs?: number;
}

const FIRST_DELAY_MS = 50;
const LAST_DELAY_MS = 3000;
// answers that may be others the next time, though the event is the same
const PASSING = new Set([401, 403, 408, 423, 425, 429]);

export function createPoster(ports: PosterPorts): Poster {
  const { coreData, concurrency } = ports;
  const urgentTurns: (() => void)[] = [];
  const turns: (() => void)[] = [];
  let stopping = new AbortController();
  let active = 0;
  let failing = new Map<symbol, string>();

  const acquire = async (urgent: boolean): Promise<void> => {
    if (active >= concurrency) {
      const turn = Promise.withResolvers<undefined>();
      (urgent ? urgentTurns : turns).push(() => turn.resolve(undefined));
      await turn.promise;
    } else active += 1;
  };
  const release = (): void => {
    const next = urgentTurns.shift() ?? turns.shift();
    // the turn is handed on with its place
    if (next === undefined) active -= 1;
    else next();
  };
  const tryOnce: Poster['tryOnce'] = async ({ path, body }) => {
    try {
      const call = {
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json' },
        body: utf8(body),
        // core-data knows the event by its id
        repeatable: true,
      } as const;
      const answer = await coreData.call({ ...call, timeoutMs: ports.timeoutMs ?? 5000 });
      if (answer.status === 201 || answer.status === 409) return { kind: 'stored' };
      const why = `core-data answered ${answer.status}: ${Buffer.from(answer.body).toString('utf8', 0, 200)}`;
      const lasting = answer.status >= 400 && answer.status < 500 && !PASSING.has(answer.status);
      return { kind: lasting ? 'refused' : 'unavailable', why };
    } catch (error) {
      return { kind: 'unavailable', why: describeError(error) };
    }
  };
  const persist = async (event: Post, signal: AbortSignal): Promise<Posted> => {
    const key = Symbol();
    let delay = FIRST_DELAY_MS;
    let refusals = 0;
    try {
      for (;;) {
        const outcome = await tryOnce(event);
        if (outcome.kind === 'stored') return outcome;
        if (outcome.kind === 'refused') refusals += 1;
        if (outcome.kind === 'refused' && refusals >= ports.refusalsBeforeParking) return outcome;
        if (signal.aborted) return { kind: 'stopped' };
        if (outcome.kind !== 'stopped') failing.set(key, outcome.why);
        await sleep(delay * (0.5 + Math.random()), signal);
        delay = Math.min(delay * 2, LAST_DELAY_MS);
      }
    } finally {
      failing.delete(key);
    }
  };
  return {
    async post(event, urgent) {
      const { signal } = stopping;
      await acquire(urgent);
      try {
        return signal.aborted ? { kind: 'stopped' } : await persist(event, signal);
      } finally {
        release();
      }
    },
    tryOnce,
    get waiting() {
      return urgentTurns.length + turns.length;
    },
    check() {
      const [why] = failing.values();
      return why === undefined
        ? { ok: true }
        : { ok: false, detail: `${failing.size} events cannot be stored: ${why}` };
    },
    cancel() {
      stopping.abort();
      stopping = new AbortController();
      failing = new Map();
    },
  };
}
