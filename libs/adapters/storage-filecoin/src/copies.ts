import { setTimeout as sleep } from 'node:timers/promises';
import { AntirioError, isAntirioError, type Random } from '@antirio/kernel';
import { retry } from '@antirio/host';
import type { ChainDataSet, FilecoinChain, Hex } from './chain.ts';
import type { PieceProvider, ProviderTimes, TransactionState } from './provider.ts';
import type { Copy, FilecoinState, StoredPiece } from './state.ts';

export interface CopyOptions {
  readonly chain: FilecoinChain;
  readonly state: FilecoinState;
  readonly random: Random;
  readonly times: ProviderTimes;
  /** What our data sets are labelled with. */
  readonly source: string;
}

export interface CopyWatch {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** Gives the bytes of the piece; without it the provider must have them. */
export type OpenPiece = (() => AsyncIterable<Uint8Array>) | undefined;

const UPLOADS = 3;
const ADDITIONS = 3;

/** Puts pieces into data sets at providers, each step looked up before it is taken: whatever was broken off is gone on with. */
export class Copies {
  readonly #options: CopyOptions;
  /** Removals that were asked for and may still be on their way to the chain, and until when. */
  readonly #removing = new Map<string, number>();

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** Resolves once the provider has the piece and the chain has it in a data set of ours. */
  async make(stored: StoredPiece, provider: PieceProvider, open: OpenPiece, watch: CopyWatch): Promise<Copy> {
    const { chain, state } = this.#options;
    const known = state.copy(stored.root, provider.id);
    if (known?.pieceId !== undefined) {
      if (await this.#isThere(stored, known)) return known;
      // It was taken out by somebody: what added it once cannot add it again.
      this.#keep({ ...known, nonce: this.#draw(), transaction: undefined, pieceId: undefined });
    }
    const dataSet = await this.#dataSetAt(provider, watch);
    const [there] = await chain.pieceIds(dataSet.id, stored.piece.cid);
    if (there !== undefined) return this.#added(this.#plan(stored, provider, dataSet), there);
    await this.#bring(stored, provider, open, watch);
    return this.#add(stored, provider, dataSet, watch);
  }

  async #isThere({ piece }: StoredPiece, { dataSetId, pieceId }: Copy): Promise<boolean> {
    const ids = await this.#options.chain.pieceIds(dataSetId, piece.cid);
    return pieceId !== undefined && ids.includes(pieceId);
  }

  /** Sends the bytes unless they are there. */
  async #bring(
    { piece }: StoredPiece,
    provider: PieceProvider,
    open: OpenPiece,
    watch: CopyWatch,
  ): Promise<void> {
    const tries = {
      attempts: UPLOADS,
      firstDelayMs: this.#options.times.pollMs,
      maxDelayMs: 60_000,
      ...(watch.signal === undefined ? {} : { signal: watch.signal }),
      // One that takes its time is come back to later, by whoever asked.
      retryable: (error: unknown) => isAntirioError(error, 'unavailable'),
    };
    await retry(tries, async () => {
      if (await provider.find(piece.cid, watch.signal)) return;
      if (open === undefined)
        throw new AntirioError('notFound', `provider ${provider.id} does not have the piece ${piece.cid}`);
      await provider.upload(piece, open(), watch);
    });
  }

  #plan({ root }: StoredPiece, { id }: PieceProvider, dataSet: ChainDataSet): Copy {
    const planned = this.#options.state.copy(root, id);
    if (planned?.dataSetId === dataSet.id) return planned;
    return this.#keep({
      root,
      providerId: id,
      dataSetId: dataSet.id,
      nonce: this.#draw(),
      transaction: undefined,
      pieceId: undefined,
      isLeaving: planned?.isLeaving ?? false,
    });
  }

  /** 256 bits, which the chain keeps for every payer. */
  #draw(): bigint {
    return BigInt(`0x${Buffer.from(this.#options.random.bytes(32)).toString('hex')}`) | 1n;
  }

  #keep(copy: Copy): Copy {
    this.#options.state.keepCopy(copy);
    return copy;
  }

  /** The copy as it is known once it is in the data set; the state of its name may have changed meanwhile. */
  #added(copy: Copy, pieceId: bigint): Copy {
    const { isLeaving } = this.#options.state.copy(copy.root, copy.providerId) ?? copy;
    return this.#keep({ ...copy, pieceId, isLeaving });
  }

  async #add(
    stored: StoredPiece,
    provider: PieceProvider,
    dataSet: ChainDataSet,
    { signal }: CopyWatch,
  ): Promise<Copy> {
    const { chain } = this.#options;
    let copy = this.#plan(stored, provider, dataSet);
    for (let attempt = 1; ; attempt++) {
      const spent = await this.#isSpent(copy, stored);
      if (spent !== undefined) return this.#added(copy, spent);
      const state = await this.#stateOf(provider, copy);
      // A nonce that was signed for a transaction which failed has not been spent, so nothing can come of it twice.
      if (state === 'unknown' || state === 'rejected') {
        if (attempt > ADDITIONS)
          throw new AntirioError('unavailable', `provider ${provider.id} does not add the piece`);
        const { clientDataSetId } = dataSet;
        const { nonce, root } = copy;
        const ask = { clientDataSetId, nonce, pieceCid: stored.piece.cid, root };
        const signed = await chain.signAddPiece(ask);
        const transaction = await this.#unlessSpent(copy, stored, () =>
          provider.addPiece(dataSet.id, stored.piece.cid, signed),
        );
        copy = this.#keep({ ...copy, transaction });
      }
      await this.#settled(() => this.#stateOf(provider, copy), signal);
    }
  }

  /** A failure to send counts only if the chain does not have it: the answer may have been lost. */
  async #unlessSpent(copy: Copy, stored: StoredPiece, send: () => Promise<Hex>): Promise<Hex | undefined> {
    try {
      return await send();
    } catch (error) {
      if ((await this.#isSpent(copy, stored)) === undefined) throw error;
      return copy.transaction;
    }
  }

  /** The id that the piece got by the copy's nonce. @throws AntirioError conflict where it is no longer there */
  async #isSpent({ nonce, dataSetId }: Copy, { piece }: StoredPiece): Promise<bigint | undefined> {
    const { chain } = this.#options;
    const spent = await chain.spentNonce(nonce);
    if (spent === undefined) return undefined;
    const id = spent.nextPieceId - 1n;
    if (!(await chain.pieceIds(dataSetId, piece.cid)).includes(id))
      throw new AntirioError('conflict', `the piece ${piece.cid} is being removed`);
    return id;
  }

  async #stateOf(provider: PieceProvider, { dataSetId, transaction }: Copy): Promise<TransactionState> {
    return transaction === undefined ? 'unknown' : provider.addition(dataSetId, transaction);
  }

  /** Waits while a transaction is under way. @throws AntirioError timeout */
  async #settled(
    ask: () => Promise<TransactionState>,
    signal: AbortSignal | undefined,
  ): Promise<TransactionState> {
    const { pollMs, confirmMs } = this.#options.times;
    const until = Date.now() + confirmMs;
    for (;;) {
      const state = await ask();
      if (state !== 'pending') return state;
      if (Date.now() >= until)
        throw new AntirioError('timeout', 'a transaction is still not on the chain; it is looked for later');
      await sleep(pollMs, undefined, signal === undefined ? {} : { signal }).catch(() => {
        throw new AntirioError('timeout', 'the wait for a transaction was broken off');
      });
    }
  }

  /** Our data set at a provider: known, found on the chain, or made. */
  async #dataSetAt(provider: PieceProvider, { signal }: CopyWatch): Promise<ChainDataSet> {
    const { chain, state, source } = this.#options;
    const { clientDataSetId, id, transaction } = state.dataSet(provider.id) ?? {};
    const found = await this.#liveDataSet(id ?? (await this.#madeWith(clientDataSetId)));
    if (found !== undefined) return this.#keepDataSet(provider, found);
    const [other] = (await chain.dataSetsAt(provider.id)).filter(
      (set) => set.isLive && set.source === source,
    );
    if (other !== undefined) return this.#keepDataSet(provider, other);
    // One that was made and ended is not made again under the same name.
    const isOver = id !== undefined || (await this.#madeWith(clientDataSetId)) !== undefined;
    const planned = {
      clientDataSetId: isOver ? this.#draw() : (clientDataSetId ?? this.#draw()),
      transaction: isOver ? undefined : transaction,
      id: undefined,
    };
    state.keepDataSet(provider.id, planned);
    return this.#createDataSet(provider, planned, signal);
  }

  async #createDataSet(
    provider: PieceProvider,
    planned: { clientDataSetId: bigint; transaction: Hex | undefined },
    signal: AbortSignal | undefined,
  ): Promise<ChainDataSet> {
    const { chain, state, source } = this.#options;
    let { transaction } = planned;
    for (let attempt = 1; ; attempt++) {
      const found = await this.#liveDataSet(await this.#madeWith(planned.clientDataSetId));
      if (found !== undefined) return this.#keepDataSet(provider, found);
      if (attempt > ADDITIONS)
        throw new AntirioError('unavailable', `provider ${provider.id} does not make a data set`);
      const ask = (): Promise<TransactionState> =>
        transaction === undefined ? Promise.resolve('unknown') : provider.creation(transaction);
      const known = await ask();
      if (known === 'unknown' || known === 'rejected') {
        const { clientDataSetId } = planned;
        const signed = await chain.signCreateDataSet({ clientDataSetId, payee: provider.payee, source });
        transaction = await provider.createDataSet(chain.recordKeeper, signed);
        state.keepDataSet(provider.id, { clientDataSetId, transaction, id: undefined });
      }
      await this.#settled(ask, signal);
    }
  }

  async #madeWith(clientDataSetId: bigint | undefined): Promise<bigint | undefined> {
    if (clientDataSetId === undefined) return undefined;
    return (await this.#options.chain.spentNonce(clientDataSetId))?.dataSetId;
  }

  async #liveDataSet(id: bigint | undefined): Promise<ChainDataSet | undefined> {
    const found = id === undefined ? undefined : await this.#options.chain.dataSet(id);
    return found?.isLive === true ? found : undefined;
  }

  #keepDataSet({ id }: PieceProvider, set: ChainDataSet): ChainDataSet {
    const transaction = this.#options.state.dataSet(id)?.transaction;
    this.#options.state.keepDataSet(id, {
      clientDataSetId: set.clientDataSetId,
      transaction,
      id: set.id,
    });
    return set;
  }

  /**
   * Has a copy taken out of its data set. True once the chain shows that it is out; until then it may be asked again.
   * @throws AntirioError unavailable while it is still being added
   */
  async remove({ piece }: StoredPiece, copy: Copy, provider: PieceProvider): Promise<boolean> {
    const { chain, times } = this.#options;
    const pieceId = await this.#idOf(copy, provider);
    if (pieceId === undefined) return true;
    const isThere = async (): Promise<boolean> =>
      (await chain.pieceIds(copy.dataSetId, piece.cid)).includes(pieceId);
    const dataSet = (await isThere()) ? await chain.dataSet(copy.dataSetId) : undefined;
    if (dataSet === undefined) return true;
    const key = `${copy.dataSetId}:${pieceId}`;
    const until = this.#removing.get(key) ?? 0;
    if (Date.now() < until) return false;
    const { clientDataSetId } = dataSet;
    const signed = await chain.signRemovePiece({ clientDataSetId, pieceId });
    await provider.removePiece(copy.dataSetId, pieceId, signed);
    this.#removing.set(key, Date.now() + times.confirmMs);
    const isOut = !(await isThere());
    if (isOut) this.#removing.delete(key);
    return isOut;
  }

  /** Undefined where it never got into the data set. @throws AntirioError unavailable while it is on its way there */
  async #idOf(copy: Copy, provider: PieceProvider): Promise<bigint | undefined> {
    if (copy.pieceId !== undefined) return copy.pieceId;
    const spent = await this.#options.chain.spentNonce(copy.nonce);
    if (spent !== undefined) return spent.nextPieceId - 1n;
    if ((await this.#stateOf(provider, copy)) === 'pending')
      throw new AntirioError('unavailable', `provider ${copy.providerId} is still adding the piece`);
    return undefined;
  }
}
