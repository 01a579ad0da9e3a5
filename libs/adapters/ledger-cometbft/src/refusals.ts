import {
  ResponseApplySnapshotChunk_Result as ChunkResult,
  ResponseOfferSnapshot_Result as OfferResult,
  ResponseProcessProposal_ProposalStatus as ProposalStatus,
  type ExecTxResult,
  type Request,
  type Response,
} from 'cosmjs-types/tendermint/abci/types';
import { AntirioError, describeError, type ErrorCode } from '@antirio/kernel';

/** Of transactions, in blocks and in CometBFT's answers; the receipt is in `data`. */
export const TX_CODES = { ok: 0, refused: 1, malformed: 2 } as const;

const NO_BYTES = new Uint8Array();

export const NO_RESULT: ExecTxResult = {
  code: TX_CODES.ok,
  data: NO_BYTES,
  log: '',
  info: '',
  gasWanted: 0n,
  gasUsed: 0n,
  events: [],
  codespace: '',
};

/** Without a receipt. */
export const refusedTx = (
  code: (typeof TX_CODES)['refused' | 'malformed'],
  codespace: ErrorCode,
  log: string,
): ExecTxResult => ({ ...NO_RESULT, code, codespace, log });

type Refusals = { readonly [K in keyof Request]-?: (said: string, codespace: ErrorCode) => Response };

const refusals: Omit<
  Refusals,
  'echo' | 'flush' | 'initChain' | 'finalizeBlock' | 'commit' | 'extendVote' | 'verifyVoteExtension'
> = {
  info: (error) => ({ exception: { error } }),
  checkTx: (log, codespace) => ({ checkTx: refusedTx(TX_CODES.malformed, codespace, log) }),
  query: (log, codespace) => ({
    query: { code: 1, codespace, log, info: '', index: 0n, key: NO_BYTES, value: NO_BYTES, height: 0n },
  }),
  prepareProposal: () => ({ prepareProposal: { txs: [] } }),
  processProposal: () => ({ processProposal: { status: ProposalStatus.REJECT } }),
  listSnapshots: () => ({ listSnapshots: { snapshots: [] } }),
  loadSnapshotChunk: () => ({ loadSnapshotChunk: { chunk: NO_BYTES } }),
  offerSnapshot: () => ({ offerSnapshot: { result: OfferResult.REJECT } }),
  applySnapshotChunk: () => ({
    applySnapshotChunk: { result: ChunkResult.REJECT_SNAPSHOT, refetchChunks: [], rejectSenders: [] },
  }),
};

/**
 * What is answered where the answer to a request threw. Undefined for those by which the state changes: there, one node that goes on without
 * what the others do is worse than one that halts. Anybody can have the others asked.
 */
export function refusalOf(request: Request, cause: unknown): Response | undefined {
  const codespace = cause instanceof AntirioError ? cause.code : 'internal';
  for (const kind of Object.keys(refusals) as (keyof typeof refusals)[])
    if (request[kind] !== undefined) return refusals[kind](describeError(cause), codespace);
  return undefined;
}
