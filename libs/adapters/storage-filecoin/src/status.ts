import type { Holding } from '@antirio/storage-network';
import { describeError } from '@antirio/kernel';
import type { FilecoinChain } from './chain.ts';
import type { PieceProvider } from './provider.ts';
import type { FilecoinState } from './state.ts';

/** One copy as the provider and the chain have it. */
export interface CopyReport {
  readonly provider: string;
  /** parked: the provider has it, to be added to a data set. kept: it is in a data set that is paid for. */
  readonly state: 'absent' | 'parked' | 'kept' | 'proven' | 'unknown';
  /** Of the last proof, in milliseconds since the Unix epoch. */
  readonly provenAt?: number;
  readonly detail?: string;
}

export interface CopyPlace {
  readonly provider: PieceProvider;
  readonly pieceCid: string;
  readonly dataSetId: bigint | undefined;
  /** Whether it is on its way into a data set of ours. */
  readonly isUnderWay: boolean;
}

/** What is known of one copy now. Never throws. */
export async function reportCopy(
  chain: FilecoinChain,
  state: FilecoinState,
  place: CopyPlace,
): Promise<CopyReport> {
  const provider = String(place.provider.id);
  try {
    if (!(await place.provider.find(place.pieceCid))) return { provider, state: 'absent' };
    const kept = await keptAs(chain, place);
    if (kept === undefined)
      return {
        provider,
        state: place.isUnderWay ? 'parked' : 'absent',
        detail: `${provider}: has it, in no data set`,
      };
    const epoch = await provenEpoch(chain, state, kept);
    if (epoch === undefined) return { provider, state: 'kept', detail: `${provider}: not proven` };
    return { provider, state: 'proven', provenAt: chain.epochAt(epoch) };
  } catch (error) {
    return { provider, state: 'unknown', detail: `${provider}: ${describeError(error)}` };
  }
}

interface Kept {
  readonly dataSetId: bigint;
  readonly pieceId: bigint;
}

async function keptAs(
  chain: FilecoinChain,
  { provider, pieceCid, dataSetId }: CopyPlace,
): Promise<Kept | undefined> {
  if (dataSetId === undefined) return undefined;
  const dataSet = await chain.dataSet(dataSetId);
  if (dataSet?.isLive !== true || dataSet.providerId !== provider.id) return undefined;
  const [pieceId] = await chain.pieceIds(dataSetId, pieceCid);
  return pieceId === undefined ? undefined : { dataSetId, pieceId };
}

/**
 * The epoch of a data set's last proof, if it stands for the piece too and is not too old. A proof is about the pieces that were there
 * when its period began, so the first one that counts is that of a period in which the piece is challenged; it is remembered,
 * because a later period begins without a proof.
 */
async function provenEpoch(
  chain: FilecoinChain,
  state: FilecoinState,
  { dataSetId, pieceId }: Kept,
): Promise<bigint | undefined> {
  const [proof, head] = await Promise.all([chain.proof(dataSetId, pieceId), chain.head()]);
  const { lastEpoch } = proof;
  if (lastEpoch === undefined) return undefined;
  if (proof.isChallenged && proof.isProvenNow) state.keepProof(dataSetId, pieceId, lastEpoch);
  const first = state.firstProof(dataSetId, pieceId);
  if (first === undefined || lastEpoch < first) return undefined;
  const isFresh = head.epoch - lastEpoch <= proof.periodEpochs + proof.windowEpochs;
  return isFresh ? lastEpoch : undefined;
}

/** The state of all copies together, where so many were asked for. */
export function holdingOf(reports: readonly CopyReport[], copies: number): Holding {
  const there = reports.filter(({ state }) => state !== 'absent' && state !== 'unknown');
  const kept = there.filter(({ state }) => state !== 'parked');
  const proven = kept.filter(({ state }) => state === 'proven');
  const details = reports.flatMap(({ detail }) => detail ?? []);
  const isProven = proven.length >= copies;
  const state = isProven ? 'proven' : kept.length >= copies ? 'replicated' : 'stored';
  // What all of them have proven was last so when the oldest of their proofs was made.
  const provenAt = Math.min(...proven.map((report) => report.provenAt ?? Infinity));
  return {
    state: there.length === 0 ? 'absent' : state,
    providers: there.map(({ provider }) => provider),
    ...(isProven ? { provenAt } : {}),
    ...(details.length === 0 ? {} : { detail: details.join('; ') }),
  };
}
