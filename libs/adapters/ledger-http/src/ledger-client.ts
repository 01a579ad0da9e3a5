import { z } from 'zod';
import { callJson, parseInput, sleep, type HttpCall, type HttpPeer, type Log } from '@antirio/host';
import {
  AntirioError,
  describeError,
  errorCodes,
  isAntirioError,
  type Identity,
  type Random,
} from '@antirio/kernel';
import {
  MAX_VALIDITY,
  signTx,
  type Key,
  type LedgerEvent,
  type LedgerPort,
  type Receipt,
  type SignedTx,
  type payload,
} from '@antirio/ledger-machine';

export interface LedgerClientOptions {
  /** The ledger room, or the room that leads to it. */
  readonly peer: HttpPeer;
  /** Before the ledger's own paths: empty, or `/edge2edge/peer/central/ledger`. */
  readonly prefix: string;
  readonly identity: Identity;
  readonly random: Random;
  readonly log: Log;
}

/** A ledger behind HTTP, for one signer. */
export interface LedgerClient extends LedgerPort {
  /** What is kept under a typed key. */
  read<T>(key: Key<T>): Promise<T | undefined>;
  /** Signs, so that the result can be kept before it is submitted: submitted again after a crash it does no more. */
  prepare(request: z.input<typeof payload>): Promise<SignedTx>;
  /** Undefined where the ledger's log has no such block. */
  stateHashAt(height: number): Promise<string | undefined>;
  /** One batch of events; waits up to `waitMs` where there are none yet. */
  events(from: string | undefined, waitMs: number, signal?: AbortSignal): Promise<LedgerEvent[]>;
}

const errorCode = z
  .string()
  .transform((code) => (code in errorCodes ? (code as keyof typeof errorCodes) : 'conflict'));
const common = { txId: z.string(), height: z.int(), time: z.int() };
const receipt = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), ...common, result: z.record(z.string(), z.unknown()) }),
  z.object({ ok: z.literal(false), ...common, code: errorCode, message: z.string() }),
]);
const head = z.object({ height: z.coerce.bigint(), stateHash: z.string(), time: z.int() });
const block = z.object({ stateHash: z.string() });
const found = z.object({ value: z.unknown() });
const page = z.object({ entries: z.array(z.tuple([z.string(), z.unknown()])), next: z.string().optional() });
const event = z.object({
  cursor: z.string(),
  height: z.int(),
  time: z.int(),
  txId: z.string(),
  type: z.string(),
  key: z.string(),
  data: z.record(z.string(), z.unknown()),
});
const events = z.object({ events: z.array(event) });

const LONG_POLL_MS = 25_000;
const ANSWER_MS = 5000;
const AGAIN_MS = 1000;
const VALID_FOR = MAX_VALIDITY / 10;

function keyPath(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}

class RemoteLedger implements LedgerClient {
  readonly #options: LedgerClientOptions;

  constructor(options: LedgerClientOptions) {
    this.#options = options;
  }

  async #call<S extends z.ZodType>(schema: S, call: HttpCall): Promise<z.output<S>> {
    const path = `${this.#options.prefix}/ledger/v1/${call.path}`;
    return parseInput(schema, await callJson(this.#options.peer, { ...call, path }));
  }

  submit(tx: SignedTx): Promise<Receipt> {
    return this.#call(receipt, { method: 'POST', path: 'tx', json: tx, timeoutMs: ANSWER_MS });
  }

  async prepare(request: z.input<typeof payload>): Promise<SignedTx> {
    const { height } = await this.head();
    return signTx(this.#options.identity, this.#options.random, Number(height) + VALID_FOR, request);
  }

  async query<T>(key: string): Promise<T | undefined> {
    try {
      return (await this.#call(found, { path: `state/${keyPath(key)}` })).value as T;
    } catch (error) {
      if (isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  }

  read<T>(key: Key<T>): Promise<T | undefined> {
    return this.query<T>(key);
  }

  async range(prefix: string): Promise<[string, unknown][]> {
    const all: [string, unknown][] = [];
    let after: string | undefined;
    do {
      const query = new URLSearchParams({ prefix, ...(after === undefined ? {} : { after }) });
      const { entries, next } = await this.#call(page, { path: `range?${query.toString()}` });
      all.push(...entries);
      after = next;
    } while (after !== undefined);
    return all;
  }

  head(): Promise<{ height: bigint; stateHash: string; time: number }> {
    return this.#call(head, { path: 'head' });
  }

  async stateHashAt(height: number): Promise<string | undefined> {
    try {
      return (await this.#call(block, { path: `block/${height}` })).stateHash;
    } catch (error) {
      if (isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  }

  async events(from: string | undefined, waitMs: number, signal?: AbortSignal): Promise<LedgerEvent[]> {
    const query = new URLSearchParams({ waitMs: String(waitMs), ...(from === undefined ? {} : { from }) });
    const timeoutMs = waitMs + ANSWER_MS;
    return (await this.#call(events, { path: `events?${query.toString()}`, timeoutMs, signal })).events;
  }

  onEvent(from: string | undefined, fn: (event: LedgerEvent) => void | Promise<void>): { close(): void } {
    const stopped = new AbortController();
    void this.#follow(from, fn, stopped.signal);
    return { close: () => stopped.abort() };
  }

  async #follow(
    from: string | undefined,
    fn: (event: LedgerEvent) => unknown,
    signal: AbortSignal,
  ): Promise<void> {
    let cursor = from;
    const batch = async (): Promise<void> => {
      for (const next of await this.events(cursor, LONG_POLL_MS, signal)) {
        if (signal.aborted) return;
        await fn(next);
        cursor = next.cursor;
      }
    };
    while (!signal.aborted) {
      await batch().catch((error: unknown) => this.#again(error, cursor, signal));
    }
  }

  async #again(error: unknown, cursor: string | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#options.log.warn(
      { error: describeError(error), cursor },
      'cannot follow the ledger, will try again',
    );
    await sleep(AGAIN_MS, signal);
  }
}

export function createLedgerClient(options: LedgerClientOptions): LedgerClient {
  return new RemoteLedger(options);
}

/** The result of an accepted transaction. @throws AntirioError with the machine's code where it was refused. */
export function resultOf(got: Receipt): Readonly<Record<string, unknown>> {
  if (got.ok) return got.result;
  throw new AntirioError(got.code, got.message, { txId: got.txId });
}
