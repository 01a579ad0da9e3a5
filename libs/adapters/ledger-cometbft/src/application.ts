import {
  ResponseApplySnapshotChunk_Result as ChunkResult,
  ResponseOfferSnapshot_Result as OfferResult,
  ResponseProcessProposal_ProposalStatus as ProposalStatus,
  type ExecTxResult,
  type Request,
  type RequestFinalizeBlock,
  type RequestInitChain,
  type Response,
} from 'cosmjs-types/tendermint/abci/types';
import type { Log } from '@antirio/host';
import { AntirioError, canonicalBytes, describeError, fromUtf8 } from '@antirio/kernel';
import {
  MemoryState,
  answerWithoutTrace,
  genesis,
  genesisWrites,
  runBlock,
  type Receipt,
  type SignedTx,
} from '@antirio/ledger-machine';
import { answerQuery } from './queries.ts';
import { NO_RESULT, TX_CODES, refusalOf, refusedTx } from './refusals.ts';
import { SnapshotTaker, type Snapshots } from './snapshots.ts';
import type { AppHead, StateStore } from './state-store.ts';
import { TxReader, type ReadTx } from './transactions.ts';

export interface ApplicationOptions {
  readonly store: StateStore;
  readonly snapshots: Snapshots;
  readonly log: Log;
}

const APP_VERSION = 1n;
const NO_BYTES = new Uint8Array();
interface Time {
  readonly seconds: bigint;
  readonly nanos: number;
}

const millisOf = ({ seconds, nanos }: Time): number => Number(seconds) * 1000 + Math.floor(nanos / 1_000_000);

function resultOf(receipt: Receipt): ExecTxResult {
  const said = { data: canonicalBytes(receipt) };
  if (receipt.ok) return { ...NO_RESULT, ...said };
  const { code, message } = receipt;
  return { ...NO_RESULT, ...said, code: TX_CODES.refused, codespace: code, log: message };
}

const malformed = ({ code, message }: Extract<ReadTx, { code: unknown }>): ExecTxResult =>
  refusedTx(TX_CODES.malformed, code, message);

/**
 * The ledger's machine as an ABCI 0.38 application: CometBFT orders transactions, this says what they do. Its only time is the blocks'.
 * What a rule refuses is a receipt; what throws in a block is a bug, or a disk that refuses, after which nothing is answered any more: the
 * node stops. What throws where nothing is decided is answered with a refusal.
 */
export class LedgerApplication {
  readonly #store: StateStore;
  readonly #snapshots: Snapshots;
  readonly #taker: SnapshotTaker;
  readonly #log: Log;
  readonly #reader = new TxReader();
  #halted: AntirioError | undefined;

  constructor({ store, snapshots, log }: ApplicationOptions) {
    this.#store = store;
    this.#snapshots = snapshots;
    this.#taker = new SnapshotTaker(store);
    this.#log = log;
  }

  get head(): AppHead {
    return this.#store.head;
  }

  /** Why it answers no more. */
  get halted(): AntirioError | undefined {
    return this.#halted;
  }

  /** Requests come one at a time, whichever of CometBFT's connections they come on. */
  handle(request: Request): Response {
    if (request.echo !== undefined) return { echo: { message: request.echo.message } };
    if (request.flush !== undefined) return { flush: {} };
    if (this.#halted !== undefined) return { exception: { error: this.#halted.message } };
    try {
      return this.#answer(request);
    } catch (cause) {
      const refusal = refusalOf(request, cause);
      if (refusal === undefined) return this.#halt(cause);
      const said = { error: describeError(cause), height: this.head.height };
      this.#log.error(said, 'a request that changes nothing could not be answered');
      return refusal;
    }
  }

  #halt(cause: unknown): Response {
    this.#store.abandon();
    this.#halted = new AntirioError(
      'unavailable',
      `the ledger has halted: ${describeError(cause)}`,
      {},
      cause,
    );
    this.#log.fatal({ error: describeError(cause), height: this.head.height }, 'the ledger has halted');
    return { exception: { error: this.#halted.message } };
  }

  #answer(request: Request): Response {
    if (request.info !== undefined) return this.#info();
    if (request.initChain !== undefined) return this.#initChain(request.initChain);
    if (request.checkTx !== undefined) return { checkTx: this.#check(request.checkTx.tx) };
    if (request.finalizeBlock !== undefined) return this.#finalize(request.finalizeBlock);
    if (request.commit !== undefined) return this.#commit();
    if (request.query !== undefined) return this.#query(request.query);
    return this.#answerProposal(request) ?? this.#answerSnapshot(request);
  }

  #info(): Response {
    const { height, appHash } = this.head;
    const info = { data: 'antirio-ledger', version: '1', appVersion: APP_VERSION };
    return { info: { ...info, lastBlockHeight: BigInt(height), lastBlockAppHash: appHash } };
  }

  #initChain({ appStateBytes, time }: RequestInitChain): Response {
    if (this.head.height > 0)
      throw new AntirioError(
        'badConfig',
        `a chain begins, but this application is at block ${this.head.height} of one: give it an empty data folder`,
      );
    const start = genesis.safeParse(JSON.parse(fromUtf8(appStateBytes)));
    if (!start.success)
      throw new AntirioError('badConfig', `app_state of genesis.json is no ledger's: ${start.error.message}`);
    const writes = genesisWrites(new MemoryState(), start.data);
    const appHash = this.#store.stageGenesis(writes, millisOf(time));
    // Begun again as often as CometBFT wants, as long as there is no block.
    this.#store.commit();
    return { initChain: { validators: [], appHash } };
  }

  #check(bytes: Uint8Array): ExecTxResult {
    const read = this.#reader.read(bytes);
    if ('code' in read) return malformed(read);
    const { height, time, appHash } = this.head;
    // A node that takes over others' state answers its RPC already.
    if (appHash.length === 0)
      return refusedTx(TX_CODES.refused, 'unavailable', 'this node has no ledger yet');
    const env = { now: time, height: height + 1 };
    const answer = answerWithoutTrace(this.#store.state, read.tx, env, this.#reader.isVerified);
    // What is known already needs no place in a block: whoever asks again gets the first receipt.
    return answer === undefined ? NO_RESULT : { ...resultOf(answer), code: TX_CODES.refused };
  }

  #isProposable = (bytes: Uint8Array): boolean => {
    const read = this.#reader.read(bytes);
    return 'tx' in read && read.isVerified;
  };

  #answerProposal(request: Request): Response | undefined {
    if (request.prepareProposal !== undefined)
      return { prepareProposal: { txs: request.prepareProposal.txs.filter(this.#isProposable) } };
    if (request.processProposal !== undefined) {
      const isFit = request.processProposal.txs.every(this.#isProposable);
      return { processProposal: { status: isFit ? ProposalStatus.ACCEPT : ProposalStatus.REJECT } };
    }
    return undefined;
  }

  #finalize({ txs, height: big, time }: RequestFinalizeBlock): Response {
    const height = Number(big);
    const { head } = this;
    if (head.height > 0 && height !== head.height + 1)
      throw new AntirioError('internal', `block ${height} came behind block ${head.height}`);
    // As it stands: CometBFT's never goes back, and what a snapshot says of the time before it nobody has proven.
    const now = millisOf(time);
    const reads = txs.map((bytes) => this.#reader.read(bytes));
    const fit = reads.filter((read) => 'tx' in read);
    const run = runBlock(
      this.#store.state,
      fit.map(({ tx }): SignedTx => tx),
      { now, height },
      head.stateHash,
      this.#reader.isVerified,
    );
    const byHash = fit.map(({ hash }, i) => [hash, run.receipts[i] as Receipt] as const);
    const refusals = byHash.filter(([, { ok }]) => !ok);
    const appHash = this.#store.stage({ height, time: now, run, refusals });
    const receipts = run.receipts.values();
    const txResults = reads.map((read) =>
      'tx' in read ? resultOf(receipts.next().value as Receipt) : malformed(read),
    );
    return { finalizeBlock: { events: [], txResults, validatorUpdates: [], appHash } };
  }

  #commit(): Response {
    this.#store.commit();
    this.#snapshots.takeWhereDue(this.#store);
    return { commit: { retainHeight: 0n } };
  }

  #query({ path, data }: { readonly path: string; readonly data: Uint8Array }): Response {
    const height = BigInt(this.head.height);
    const common = { info: '', index: 0n, key: NO_BYTES, height };
    return { query: { ...common, ...answerQuery(this.#store, path, data) } };
  }

  #answerSnapshot(request: Request): Response {
    const { listSnapshots, loadSnapshotChunk, offerSnapshot, applySnapshotChunk } = request;
    if (listSnapshots !== undefined) return { listSnapshots: { snapshots: this.#snapshots.list() } };
    if (loadSnapshotChunk !== undefined)
      return { loadSnapshotChunk: { chunk: this.#snapshots.chunk(loadSnapshotChunk) } };
    if (offerSnapshot !== undefined) {
      const result = this.#taker.offer(offerSnapshot) ? OfferResult.ACCEPT : OfferResult.REJECT;
      return { offerSnapshot: { result } };
    }
    if (applySnapshotChunk !== undefined) return this.#applyChunk(applySnapshotChunk);
    throw new AntirioError('notImplemented', 'an ABCI request that this application does not know');
  }

  #applyChunk({ index, chunk, sender }: { index: number; chunk: Uint8Array; sender: string }): Response {
    const accepted = this.#taker.apply(index, chunk);
    return {
      applySnapshotChunk: accepted
        ? { result: ChunkResult.ACCEPT, refetchChunks: [], rejectSenders: [] }
        : { result: ChunkResult.RETRY, refetchChunks: [index], rejectSenders: [sender] },
    };
  }
}
