import type { z } from 'zod';
import { sleep } from '@antirio/host';
import { AntirioError, isAntirioError, parseEdgeId, type SealKey } from '@antirio/kernel';
import { createLedgerClient, resultOf, type LedgerClientOptions } from '@antirio/ledger-http';
import { keys, type Key, type SignedTx, type payload as payloadSchema } from '@antirio/ledger-machine';
import { createLedgerWatch, type LedgerWatch, type LedgerWatchPorts } from './ledger-watch.ts';

type Payload = z.input<typeof payloadSchema>;

/** The ledger as a signer sees it. */
export interface LedgerClient {
  /** Resolves with what the transaction made. @throws AntirioError with the machine's own code when it was refused. */
  submit(payload: Payload): Promise<Readonly<Record<string, unknown>>>;
  /**
   * The same, but gives up for nothing but the machine's own word: the same signed transaction is sent until it is known what
   * became of it. Where an answer is lost, what was asked for may still happen later.
   */
  submitUntilKnown(payload: Payload): Promise<Readonly<Record<string, unknown>>>;
  read(key: string): Promise<unknown>;
  /** What is kept under a typed key. */
  fetch<T>(key: Key<T>): Promise<T | undefined>;
  /** The engine's time of the newest block. */
  time(): Promise<number>;
  /** The values under a prefix. */
  range(prefix: string): Promise<unknown[]>;
  /** With their keys. */
  entries(prefix: string): Promise<[string, unknown][]>;
  sealKeyOf(edgeId: string): Promise<SealKey>;
  /** Knows whether this is the ledger that was seen before: nothing is submitted to another. */
  readonly watch: LedgerWatch;
}

const LOOK_EVERY_MS = 1000;

const AGAIN_AFTER_MS = 50;
const AGAIN_AT_MOST_MS = 1000;

/** What arbitrators do with a ledger, wherever it is. */
export function ledgerClient(
  options: LedgerClientOptions,
  kept: LedgerWatchPorts['kept'],
  clock: LedgerWatchPorts['clock'],
): LedgerClient {
  const remote = createLedgerClient(options);
  const watch = createLedgerWatch({ ledger: remote, kept, clock, everyMs: LOOK_EVERY_MS, log: options.log });
  const prepare = async (payload: Payload): Promise<SignedTx> => {
    await watch.check();
    return remote.prepare(payload);
  };
  const send = async (tx: SignedTx): Promise<Readonly<Record<string, unknown>>> =>
    resultOf(await remote.submit(tx));
  return {
    watch,
    read: (key) => remote.query(key),
    fetch: (key) => remote.read(key),
    time: async () => (await remote.head()).time,
    range: async (prefix) => (await remote.range(prefix)).map(([, value]) => value),
    entries: (prefix) => remote.range(prefix),
    submit: async (payload) => send(await prepare(payload)),
    async submitUntilKnown(payload) {
      const tx = await prepare(payload);
      for (let attempt = 1; ; attempt++) {
        try {
          return await send(tx);
        } catch (error) {
          const unknown = isAntirioError(error, 'unavailable') || isAntirioError(error, 'timeout');
          if (!unknown) throw error;
          await sleep(Math.min(attempt * AGAIN_AFTER_MS, AGAIN_AT_MOST_MS));
        }
      }
    },
    async sealKeyOf(edgeId) {
      const record = await remote.read(keys.identity(parseEdgeId(edgeId)));
      if (record !== undefined) return record.sealKey;
      throw new AntirioError('notFound', 'that edge is not registered on the ledger', { edgeId });
    },
  };
}
