import { z } from 'zod';
import { sleep, type Log } from '@antirio/host';
import { AntirioError, describeError, errorCodes, sha256Hex, type Clock, type Random } from '@antirio/kernel';
import {
  txIdOf,
  type Head,
  type LedgerEvent,
  type LedgerPort,
  type Receipt,
  type SignedTx,
} from '@antirio/ledger-machine';
import type { CometRpc, NodeStatus } from './rpc.ts';
import { MAX_TX_BYTES, encodeTx, readTx } from './transactions.ts';

const errorCode = z
  .string()
  .transform((code) => (Object.hasOwn(errorCodes, code) ? (code as keyof typeof errorCodes) : 'conflict'));
const common = { txId: z.string(), height: z.int(), time: z.int() };
const receiptSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), ...common, result: z.record(z.string(), z.unknown()) }),
  z.object({ ok: z.literal(false), ...common, code: errorCode, message: z.string() }),
]);
const headSchema = z.object({ height: z.int(), stateHash: z.string(), time: z.int() });
const receiptsSchema = z.object({ receipts: z.array(receiptSchema.nullable()) });
const stateSchema = z.object({ value: z.unknown().optional() });
const rangeSchema = z.object({ entries: z.array(z.tuple([z.string(), z.unknown()])) });
const blockSchema = z.object({ stateHash: z.string().optional() });
const eventsSchema = z.object({
  events: z.array(
    z.object({
      cursor: z.string(),
      height: z.int(),
      time: z.int(),
      txId: z.string(),
      type: z.string(),
      key: z.string(),
      data: z.record(z.string(), z.unknown()),
    }),
  ),
});

export interface CometLedgerOptions {
  readonly rpc: CometRpc;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  /** For how long a transaction is waited for. What becomes of it later can be asked for by submitting it again. */
  readonly submitMs: number;
}

/** A ledger that a federation agrees on, through the RPC of a CometBFT node that one trusts: one's own. */
export interface CometLedger extends LedgerPort {
  readonly finality: 'bft';
  page(prefix: string, after: string | undefined, limit: number): Promise<[string, unknown][]>;
  events(from: string | undefined, limit: number): Promise<LedgerEvent[]>;
  nextEvent(signal: AbortSignal): Promise<void>;
  stateHashAt(height: number): Promise<string | undefined>;
  status(): Promise<NodeStatus>;
  close(): void;
}

const MAX_WAITING = 1024;
const PAGE = 500;
/** A question for this many receipts at once. */
const ASKED_AT_ONCE = 200;
const LOOK_EVERY_MS = 30;
/** A mempool forgets what it had where its node ends: it is given again. */
const AGAIN_EVERY_MS = 2000;
const FAILED_MS = 500;
const EVENTS_EVERY_MS = 250;
const EVENTS_AT_LEAST_EVERY_MS = 2000;
const FOLLOW_PAGE = 100;

interface Waiting {
  readonly txId: string;
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly until: number;
  sendAt: number;
  readonly settled: Promise<Receipt>;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** @throws AntirioError invalidInput, tooLarge */
function toBytes(input: SignedTx): { tx: SignedTx; bytes: Uint8Array } {
  const tx = readTx(input);
  const bytes = encodeTx(tx);
  if (bytes.length > MAX_TX_BYTES)
    throw new AntirioError('tooLarge', `a transaction has ${MAX_TX_BYTES} bytes at most`, {
      bytes: bytes.length,
    });
  return { tx, bytes };
}

class RemoteFederation implements CometLedger {
  readonly finality = 'bft';
  readonly #options: CometLedgerOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #closed = new AbortController();
  readonly #watchers = new Set<() => void>();
  #isWorking = false;
  #isWatching = false;
  /** The state hash that those who wait for events have seen. */
  #seen: string | undefined;

  constructor(options: CometLedgerOptions) {
    this.#options = options;
  }

  /** About so many ms, so that many clients do not come at once. */
  #about(ms: number): number {
    const [byte = 0] = this.#options.random.bytes(1);
    return ms * (0.75 + byte / 512);
  }

  async submit(input: SignedTx): Promise<Receipt> {
    const { tx, bytes } = toBytes(input);
    const hash = sha256Hex(bytes);
    const already = this.#waiting.get(hash);
    if (already !== undefined) return already.settled;
    if (this.#closed.signal.aborted) throw new AntirioError('unavailable', 'the ledger is closed');
    if (this.#waiting.size >= MAX_WAITING) throw new AntirioError('busy', 'too many transactions wait');
    const { promise: settled, resolve, reject } = Promise.withResolvers<Receipt>();
    const now = this.#options.clock.monotonic();
    const until = now + this.#options.submitMs;
    this.#waiting.set(hash, { txId: txIdOf(tx), hash, bytes, until, sendAt: now, settled, resolve, reject });
    if (!this.#isWorking) void this.#work();
    return settled;
  }

  #settle(one: Waiting, receipt: Receipt): void {
    if (this.#waiting.delete(one.hash)) one.resolve(receipt);
  }

  #fail(one: Waiting, error: unknown): void {
    if (this.#waiting.delete(one.hash)) one.reject(error);
  }

  /** As long as any transaction waits: gives it to the node, and looks for what became of it. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    while (this.#waiting.size > 0 && !this.#closed.signal.aborted) {
      const failed = await this.#round().then(
        () => undefined,
        (error: unknown) => error,
      );
      this.#giveUpLate(failed);
      if (this.#waiting.size > 0)
        await sleep(this.#about(failed === undefined ? LOOK_EVERY_MS : FAILED_MS), this.#closed.signal);
    }
    this.#isWorking = false;
  }

  async #round(): Promise<void> {
    const now = this.#options.clock.monotonic();
    const due = [...this.#waiting.values()].filter(({ sendAt }) => sendAt <= now);
    for (const one of due) one.sendAt = now + this.#about(AGAIN_EVERY_MS);
    const sent = await Promise.allSettled(due.map((one) => this.#send(one)));
    await this.#look();
    for (const outcome of sent) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #send(one: Waiting): Promise<void> {
    const { rpc } = this.#options;
    try {
      const said = await rpc.broadcast(one.bytes);
      if (said.kind === 'answered') this.#settle(one, receiptSchema.parse(said.receipt));
      else if (said.kind === 'refused') this.#fail(one, new AntirioError(said.code, said.message));
    } catch (error) {
      // Nothing was taken, and nothing will be without this being asked again.
      if (error instanceof AntirioError && ['tooLarge', 'busy'].includes(error.code)) this.#fail(one, error);
      else throw error;
    }
  }

  async #look(): Promise<void> {
    const all = [...this.#waiting.values()];
    for (let at = 0; at < all.length; at += ASKED_AT_ONCE) {
      const some = all.slice(at, at + ASKED_AT_ONCE);
      const txs = some.map(({ txId, hash }) => ({ txId, hash }));
      const { receipts } = await this.#options.rpc.query(receiptsSchema, '/receipts', { txs });
      for (const [i, one] of some.entries()) {
        const receipt = receipts[i] ?? undefined;
        if (receipt !== undefined) this.#settle(one, receipt);
      }
    }
  }

  #giveUpLate(failure: unknown): void {
    const now = this.#options.clock.monotonic();
    for (const one of this.#waiting.values()) {
      if (one.until > now) continue;
      const why = failure === undefined ? 'the federation has not decided it' : describeError(failure);
      this.#fail(
        one,
        new AntirioError('timeout', `no receipt yet, ask again: ${why}`, { txId: one.txId }, failure),
      );
    }
  }

  async query<T>(key: string): Promise<T | undefined> {
    return (await this.#options.rpc.query(stateSchema, '/state', { key })).value as T | undefined;
  }

  async page(prefix: string, after: string | undefined, limit: number): Promise<[string, unknown][]> {
    const all: [string, unknown][] = [];
    let behind = after;
    while (all.length < limit) {
      const question = { prefix, after: behind, limit: Math.min(limit - all.length, PAGE) };
      const { entries } = await this.#options.rpc.query(rangeSchema, '/range', question);
      const last = entries.at(-1);
      if (last === undefined) break;
      all.push(...entries);
      behind = last[0];
    }
    return all;
  }

  range(prefix: string): Promise<[string, unknown][]> {
    return this.page(prefix, undefined, Number.MAX_SAFE_INTEGER);
  }

  async head(): Promise<Head> {
    const { height, stateHash, time } = await this.#options.rpc.query(headSchema, '/head', {});
    return { height: BigInt(height), stateHash, time };
  }

  async stateHashAt(height: number): Promise<string | undefined> {
    return (await this.#options.rpc.query(blockSchema, '/block', { height })).stateHash;
  }

  async events(from: string | undefined, limit: number): Promise<LedgerEvent[]> {
    return (await this.#options.rpc.query(eventsSchema, '/events', { from, limit })).events;
  }

  nextEvent(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#watchers.delete(wake);
        resolve();
      };
      // A block may have come between what was read and this.
      const timer = setTimeout(wake, this.#about(EVENTS_AT_LEAST_EVERY_MS));
      if (signal.aborted || this.#closed.signal.aborted) {
        wake();
        return;
      }
      signal.addEventListener('abort', wake);
      this.#watchers.add(wake);
      if (!this.#isWatching) void this.#watch();
    });
  }

  /** One look at the head for all who wait for events. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#watchers.size > 0 && !this.#closed.signal.aborted) {
      await sleep(this.#about(EVENTS_EVERY_MS), this.#closed.signal);
      const stateHash = await this.head().then(
        (head) => head.stateHash,
        () => this.#seen,
      );
      if (stateHash !== this.#seen) for (const wake of [...this.#watchers]) wake();
      this.#seen = stateHash;
    }
    this.#isWatching = false;
  }

  onEvent(from: string | undefined, fn: (event: LedgerEvent) => void | Promise<void>): { close(): void } {
    const stopped = new AbortController();
    const signal = AbortSignal.any([stopped.signal, this.#closed.signal]);
    void this.#follow(from, fn, signal);
    return { close: () => stopped.abort() };
  }

  async #follow(
    from: string | undefined,
    fn: (event: LedgerEvent) => unknown,
    signal: AbortSignal,
  ): Promise<void> {
    let cursor = from;
    const batch = async (): Promise<void> => {
      const events = await this.events(cursor, FOLLOW_PAGE);
      for (const event of events) {
        if (signal.aborted) return;
        await fn(event);
        cursor = event.cursor;
      }
      if (events.length === 0) await this.nextEvent(signal);
    };
    while (!signal.aborted) {
      try {
        await batch();
      } catch (error) {
        const said = { error: describeError(error), cursor };
        this.#options.log.warn(said, 'cannot follow the ledger, will try again');
        await sleep(this.#about(FAILED_MS), signal);
      }
    }
  }

  status(): Promise<NodeStatus> {
    return this.#options.rpc.status();
  }

  close(): void {
    this.#closed.abort();
    for (const wake of [...this.#watchers]) wake();
    for (const one of [...this.#waiting.values()])
      this.#fail(one, new AntirioError('unavailable', 'the ledger is closed'));
    this.#options.rpc.close();
  }
}

export function createCometLedger(options: CometLedgerOptions): CometLedger {
  return new RemoteFederation(options);
}
