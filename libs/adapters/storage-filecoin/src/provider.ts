import { setTimeout as sleep } from 'node:timers/promises';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { httpPeer } from '@antirio/host';
import { z } from 'zod';
import type { ChainProvider, Hex } from './chain.ts';
import type { Piece } from './piece-cid.ts';
import { codeOf, reasonIn } from './refusal.ts';
import type { Synapse } from './synapse.ts';
import { uploadPiece } from './upload.ts';

/** What became of a transaction that a provider sent for us; unknown where it never heard of it. */
export type TransactionState = 'pending' | 'confirmed' | 'rejected' | 'unknown';

export interface ProviderTimes {
  /** For a call with a small answer. */
  readonly callMs: number;
  /** An upload that the provider takes nothing of, or does not answer, for so long is given up. */
  readonly idleMs: number;
  /** Between questions about what is under way there. */
  readonly pollMs: number;
  /** For a piece to be taken in, and for a transaction to be on the chain. */
  readonly confirmMs: number;
}

export const defaultProviderTimes: ProviderTimes = {
  callMs: 30_000,
  idleMs: 60_000,
  pollMs: 4000,
  confirmMs: 300_000,
};

/**
 * A provider's HTTP interface (Curio's PDP), by the network's own client where that does what is wanted. Every call may fail with an
 * AntirioError.
 */
export interface PieceProvider {
  readonly id: bigint;
  readonly name: string;
  readonly url: string;
  readonly payee: Hex;
  readonly limits: { readonly min: number; readonly max: number };
  ping(): Promise<void>;
  /** Whether it has the piece: taken in, or in a data set. */
  find(pieceCid: string, signal?: AbortSignal): Promise<boolean>;
  /** Sends the bytes of a piece and waits until it is taken in; the provider makes its CID too, and refuses another. */
  upload(piece: Piece, bytes: AsyncIterable<Uint8Array>, watch: UploadWatch): Promise<void>;
  /** Asks it to make a data set; gives the transaction. */
  createDataSet(recordKeeper: Hex, extraData: Hex): Promise<Hex>;
  creation(transaction: Hex): Promise<TransactionState>;
  /** Asks it to add a piece that it has; gives the transaction. */
  addPiece(dataSetId: bigint, pieceCid: string, extraData: Hex): Promise<Hex>;
  addition(dataSetId: bigint, transaction: Hex): Promise<TransactionState>;
  removePiece(dataSetId: bigint, pieceId: bigint, extraData: Hex): Promise<void>;
}

export interface UploadWatch {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export function pieceProvider(
  synapse: Synapse,
  provider: ChainProvider,
  times: ProviderTimes = defaultProviderTimes,
): PieceProvider {
  return new SynapseProvider(synapse, provider, times);
}

const MAX_ANSWER_BYTES = 1 << 20;
const transactionShape = z.object({ txStatus: z.enum(['pending', 'confirmed', 'rejected']) });

class SynapseProvider implements PieceProvider {
  readonly id: bigint;
  readonly name: string;
  readonly url: string;
  readonly payee: Hex;
  readonly limits: { readonly min: number; readonly max: number };
  readonly #synapse: Synapse;
  readonly #times: ProviderTimes;

  constructor(synapse: Synapse, provider: ChainProvider, times: ProviderTimes) {
    this.id = provider.id;
    this.name = provider.name;
    this.url = provider.url;
    this.payee = provider.payee;
    this.limits = { min: Number(provider.minPieceBytes), max: Number(provider.maxPieceBytes) };
    this.#synapse = synapse;
    this.#times = times;
  }

  async ping(): Promise<void> {
    try {
      await this.#inTime(this.#synapse.sp.ping(this.url));
    } catch (cause) {
      throw this.#failed('does not serve', cause);
    }
  }

  async find(pieceCid: string, signal?: AbortSignal): Promise<boolean> {
    // The client's own call tells "not there" apart from "does not work" by nothing but a text.
    const { status } = await this.#get(`pdp/piece?pieceCid=${pieceCid}`, signal);
    if (status === 200) return true;
    if (status === 404 || status === 202) return false;
    throw this.#failed('does not say whether it has a piece', `status ${status}`);
  }

  async upload(piece: Piece, bytes: AsyncIterable<Uint8Array>, watch: UploadWatch): Promise<void> {
    const { idleMs } = this.#times;
    await uploadPiece(piece, { ...watch, bytes, idleMs, name: this.#who, url: this.url });
    await this.#awaitPiece(piece, watch.signal);
  }

  async #awaitPiece({ cid }: Piece, signal?: AbortSignal): Promise<void> {
    const isThere = await this.#poll(async () => (await this.find(cid, signal)) || undefined, signal);
    if (isThere === undefined)
      throw new AntirioError('timeout', `${this.#who} took a piece and does not have it yet`);
  }

  /** Undefined when the time is over. */
  async #poll<T>(ask: () => Promise<T | undefined>, signal?: AbortSignal): Promise<T | undefined> {
    const until = Date.now() + this.#times.confirmMs;
    for (;;) {
      const answer = await ask();
      if (answer !== undefined || Date.now() >= until) return answer;
      await sleep(this.#times.pollMs, undefined, signal === undefined ? {} : { signal }).catch(() => {
        throw new AntirioError('timeout', 'the wait was broken off');
      });
    }
  }

  async createDataSet(recordKeeper: Hex, extraData: Hex): Promise<Hex> {
    const { sp } = this.#synapse;
    return this.#sent('did not make a data set', () =>
      sp.createDataSetApiRequest({ serviceURL: this.url, recordKeeper, extraData }),
    );
  }

  async addPiece(dataSetId: bigint, pieceCid: string, extraData: Hex): Promise<Hex> {
    const { sp, piece } = this.#synapse;
    const pieces = [piece.parse(pieceCid)];
    return this.#sent('did not add the piece', () =>
      sp.addPiecesApiRequest({ serviceURL: this.url, dataSetId, pieces, extraData }),
    );
  }

  async #sent(what: string, send: () => Promise<{ txHash: Hex }>): Promise<Hex> {
    try {
      return (await this.#inTime(send())).txHash;
    } catch (cause) {
      throw this.#failed(what, cause);
    }
  }

  /** The client gives such a call five minutes and knows no signal; it is left to itself when it takes too long. */
  async #inTime<T>(call: Promise<T>): Promise<T> {
    const { callMs } = this.#times;
    const over = new AbortController();
    const late = sleep(callMs, undefined, { signal: over.signal }).then(() => {
      throw new AntirioError('timeout', `${this.#who} did not answer within ${callMs} ms`);
    });
    late.catch(() => undefined);
    call.catch(() => undefined);
    try {
      return await Promise.race([call, late]);
    } finally {
      over.abort();
    }
  }

  creation(transaction: Hex): Promise<TransactionState> {
    return this.#transaction(`pdp/data-sets/created/${transaction}`);
  }

  addition(dataSetId: bigint, transaction: Hex): Promise<TransactionState> {
    return this.#transaction(`pdp/data-sets/${dataSetId}/pieces/added/${transaction}`);
  }

  /** Asked directly: the client's own waiting takes a rejected transaction for one under way until its time is over. */
  async #transaction(path: string): Promise<TransactionState> {
    const { status, json } = await this.#get(path);
    if (status === 404) return 'unknown';
    const parsed = transactionShape.safeParse(status === 200 ? json() : undefined);
    if (!parsed.success) throw this.#failed('does not say what became of a transaction', `status ${status}`);
    return parsed.data.txStatus;
  }

  async removePiece(dataSetId: bigint, pieceId: bigint, extraData: Hex): Promise<void> {
    const { sp } = this.#synapse;
    try {
      await this.#inTime(sp.deletePiece({ serviceURL: this.url, dataSetId, pieceId, extraData }));
    } catch (cause) {
      throw this.#failed('did not remove the piece', cause);
    }
  }

  async #get(path: string, signal?: AbortSignal): Promise<{ status: number; json: () => unknown }> {
    const peer = httpPeer({ url: this.url });
    try {
      const answer = await peer.call({
        path: `/${path}`,
        timeoutMs: this.#times.callMs,
        maxAnswerBytes: MAX_ANSWER_BYTES,
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: answer.status, json: () => answer.json() };
    } finally {
      peer.close();
    }
  }

  get #who(): string {
    return `provider ${this.id} (${this.name.slice(0, 60)})`;
  }

  #failed(what: string, cause: unknown): AntirioError {
    if (isAntirioError(cause)) return cause;
    const text = textOf(cause);
    return new AntirioError(
      codeOf(text),
      `${this.#who} ${what}: ${text}`,
      { provider: String(this.id) },
      cause,
    );
  }
}

function textOf(cause: unknown): string {
  if (typeof cause === 'string') return cause;
  const { message, details } = (cause ?? {}) as { message?: unknown; details?: unknown };
  return reasonIn([message, details].filter((part) => typeof part === 'string').join(' '));
}
