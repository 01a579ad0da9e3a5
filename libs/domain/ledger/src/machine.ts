import { AntirioError, type EdgeId } from '@antirio/kernel';
import { registerIdentity, transfer } from './accounts.ts';
import { cancelContract, contractReady, expireContract, validateContract } from './contracts.ts';
import type { Context, Env } from './context.ts';
import { answerCoverage, claimCoverage, ruleCoverage, waiveCoverage } from './coverage-claims.ts';
import { contractDegrade } from './degraded.ts';
import { Draft } from './draft.ts';
import { openContract, releaseEpoch, takeEpoch } from './epochs.ts';
import { noteDownlinks } from './downlink-drills.ts';
import {
  askBack,
  askFullDrill,
  askOpening,
  declineFullDrill,
  endFullDrill,
  noteAskedBack,
  noteFirstReading,
} from './full-drills.ts';
import { endDrill, excuseDrill, openDrill, readDrill, releaseDrillShare, startDrill } from './drills.ts';
import type { Genesis } from './genesis.ts';
import { confirmKeys, rekeyContract, releaseShare } from './key-records.ts';
import { holdMatch, placeOrder, releaseMatch, withdrawOrder } from './orders.ts';
import { refuse, type MachineEvent, type Outcome, type Receipt, type RecordedReceipt } from './receipt.ts';
import { keys } from './records.ts';
import { countRekeyed } from './rekeying.ts';
import { closeContract, conclude, makeStatement, rule } from './settlement.ts';
import { recordRoot } from './ring-roots.ts';
import { appointSpeaker, dismissSpeaker, speakFor } from './speaker.ts';
import { noteHeard } from './speaker-record.ts';
import { answerDoubt, doubtRent } from './rent-doubts.ts';
import type { StateView, Write } from './state.ts';
import { MAX_VALIDITY, isSigned, txIdOf, type Payload, type SignedTx } from './transaction.ts';

export interface Applied {
  readonly receipt: Receipt;
  /** Sorted by key; empty where nothing changed. */
  readonly writes: readonly Write[];
  readonly events: readonly MachineEvent[];
}

const FORGOTTEN_AT_ONCE = 8;

function dispatch(context: Context, tx: Payload): Outcome {
  switch (tx.type) {
    case 'identity/register':
      return registerIdentity(context, tx);
    case 'account/transfer':
      return transfer(context, tx);
    case 'order/place':
      return placeOrder(context, tx);
    case 'order/withdraw':
      return withdrawOrder(context, tx);
    case 'match/hold':
      return holdMatch(context, tx);
    case 'match/release':
      return releaseMatch(context, tx);
    case 'speaker/appoint':
      return appointSpeaker(context, tx);
    case 'speaker/dismiss':
      return dismissSpeaker(context);
    case 'speaker/speak':
      return speakFor(context, tx);
    default:
      return dispatchRights(context, tx);
  }
}

type ContractTx = Exclude<
  Payload,
  { type: `${'identity' | 'account' | 'order' | 'match' | 'speaker'}/${string}` }
>;

/** Who may act, and who may read. */
function dispatchRights(context: Context, tx: ContractTx): Outcome {
  switch (tx.type) {
    case 'epoch/take':
      return takeEpoch(context, tx);
    case 'ring/root':
      return recordRoot(context, tx);
    case 'epoch/release':
      return releaseEpoch(context, tx);
    case 'escrow/release':
      return releaseShare(context, tx);
    case 'keys/confirm':
      return confirmKeys(context, tx);
    case 'contract/rekey':
      return rekeyContract(context, tx);
    case 'contract/rekeyed':
      return countRekeyed(context, tx);
    default:
      return dispatchDrill(context, tx);
  }
}

type CoverageTx = Extract<ContractTx, { type: `coverage/${string}` }>;
type RentTx = Extract<ContractTx, { type: `rent/${string}` }>;
type DrillOrLifeTx = Extract<ContractTx, { type: `drill/${string}` }> | CoverageTx | RentTx | LifeTx;

function dispatchCoverage(context: Context, tx: CoverageTx | RentTx | LifeTx): Outcome {
  switch (tx.type) {
    case 'rent/doubt':
      return doubtRent(context, tx);
    case 'rent/answer':
      return answerDoubt(context, tx);
    case 'coverage/claim':
      return claimCoverage(context, tx);
    case 'coverage/answer':
      return answerCoverage(context, tx);
    case 'coverage/waive':
      return waiveCoverage(context, tx, conclude);
    case 'coverage/rule':
      return ruleCoverage(context, tx, conclude);
    default:
      return dispatchContract(context, tx);
  }
}

function dispatchDrill(context: Context, tx: DrillOrLifeTx): Outcome {
  switch (tx.type) {
    case 'drill/start':
      return startDrill(context, tx);
    case 'drill/open':
      return openDrill(context, tx);
    case 'drill/release':
      return releaseDrillShare(context, tx);
    case 'drill/read':
      return readDrill(context, tx);
    case 'drill/excuse':
      return excuseDrill(context, tx);
    case 'drill/downlinks':
      return noteDownlinks(context, tx);
    case 'drill/end':
      return endDrill(context, tx);
    default:
      return dispatchFullDrill(context, tx);
  }
}

type OwnKeysDrillTx = Extract<
  DrillOrLifeTx,
  { type: `drill/${'start' | 'open' | 'release' | 'read' | 'excuse' | 'downlinks' | 'end'}` }
>;

function dispatchFullDrill(context: Context, tx: Exclude<DrillOrLifeTx, OwnKeysDrillTx>): Outcome {
  switch (tx.type) {
    case 'drill/full':
      return askFullDrill(context, tx);
    case 'drill/full-open':
      return askOpening(context, tx);
    case 'drill/decline':
      return declineFullDrill(context, tx);
    case 'drill/back':
      return askBack(context, tx);
    case 'drill/back-asked':
      return noteAskedBack(context, tx);
    case 'drill/first-reading':
      return noteFirstReading(context, tx);
    case 'drill/full-end':
      return endFullDrill(context, tx);
    default:
      return dispatchCoverage(context, tx);
  }
}

type LifeTx = Exclude<
  Extract<ContractTx, { type: `contract/${string}` }>,
  { type: 'contract/rekey' | 'contract/rekeyed' }
>;

function dispatchContract(context: Context, tx: LifeTx): Outcome {
  switch (tx.type) {
    case 'contract/validate':
      return validateContract(context, tx);
    case 'contract/ready':
      return contractReady(context, tx);
    case 'contract/degrade':
      return contractDegrade(context, tx);
    case 'contract/cancel':
      return cancelContract(context, tx);
    case 'contract/expire':
      return expireContract(context, tx);
    case 'contract/open':
      return openContract(context, tx);
    case 'contract/statement':
      return makeStatement(context, tx);
    case 'contract/rule':
      return rule(context, tx);
    case 'contract/close':
      return closeContract(context, tx);
  }
}

/** Whether the ledger knows the signer. Strangers may register, and nothing else: what they send leaves no trace. */
function isKnown(state: StateView, genesis: Genesis, by: EdgeId): boolean {
  return by === genesis.arbitrator || state.get(keys.identity(by)) !== undefined;
}

function refuseTransaction(
  state: StateView,
  genesis: Genesis,
  tx: SignedTx,
  env: Env,
  isVerified: (tx: SignedTx) => boolean,
): (Outcome & { ok: false }) | undefined {
  const { expiryHeight, payload } = tx.body;
  if (!isVerified(tx))
    return refuse('unauthenticated', 'the signature is not of the edge that the transaction names');
  if (expiryHeight < env.height)
    return refuse('gone', `the transaction was valid up to block ${expiryHeight}`);
  if (expiryHeight > env.height + MAX_VALIDITY)
    return refuse('invalidInput', `valid for more than ${MAX_VALIDITY} blocks`);
  if (payload.type !== 'identity/register' && !isKnown(state, genesis, tx.by))
    return refuse('unauthenticated', 'the signer is not registered');
  return undefined;
}

function forgetOldReceipts(draft: Draft, height: number): void {
  let forgotten = 0;
  for (const [key, value] of draft.range('tx-expiry/')) {
    if (Number(key.split('/')[1]) >= height || forgotten >= FORGOTTEN_AT_ONCE) break;
    draft.remove(key);
    draft.remove(keys.transaction((value as { txId: string }).txId));
    forgotten += 1;
  }
}

const toReceipt = (txId: string, { now: time, height }: Env, outcome: Outcome): Receipt => ({
  ...outcome,
  txId,
  height,
  time,
});

function record(draft: Draft, receipt: Receipt, tx: SignedTx, height: number): void {
  forgetOldReceipts(draft, height);
  const { expiryHeight } = tx.body;
  draft.put(keys.transaction(receipt.txId), { receipt, expiryHeight });
  draft.put(keys.transactionExpiry(expiryHeight, receipt.txId), { txId: receipt.txId });
}

function genesisOf(state: StateView): Genesis {
  const genesis = state.get(keys.genesis()) as Genesis | undefined;
  if (genesis === undefined) throw new AntirioError('internal', 'the ledger has no genesis');
  return genesis;
}

function answerTo(
  state: StateView,
  tx: SignedTx,
  txId: string,
  env: Env,
  isVerified: (tx: SignedTx) => boolean,
): Receipt | undefined {
  const invalid = refuseTransaction(state, genesisOf(state), tx, env, isVerified);
  if (invalid !== undefined) return toReceipt(txId, env, invalid);
  return (state.get(keys.transaction(txId)) as RecordedReceipt | undefined)?.receipt;
}

/**
 * The receipt of a transaction that would change nothing: of one that is refused without a trace, or that was applied before. Undefined
 * where its rules have the word. `isVerified` says whether its signature stands.
 */
export function answerWithoutTrace(
  state: StateView,
  tx: SignedTx,
  env: Env,
  isVerified: (tx: SignedTx) => boolean = isSigned,
): Receipt | undefined {
  return answerTo(state, tx, txIdOf(tx), env, isVerified);
}

/**
 * One transaction on one state: the only way in which the ledger's state ever changes. The same state, transaction and
 * environment give the same writes on every engine. A transaction that comes again changes nothing and gets its first
 * receipt. Its shape must have been checked (`signedTx`).
 *
 * @throws AntirioError only for what is a bug or a state that no transaction can have made; the engine must then stop.
 */
export function apply(
  state: StateView,
  tx: SignedTx,
  env: Env,
  isVerified: (tx: SignedTx) => boolean = isSigned,
): Applied {
  const txId = txIdOf(tx);
  const answer = answerTo(state, tx, txId, env, isVerified);
  if (answer !== undefined) return { receipt: answer, writes: [], events: [] };
  const draft = new Draft(state);
  const outcome = dispatch({ draft, env, by: tx.by, txId, genesis: genesisOf(state) }, tx.body.payload);
  const receipt = toReceipt(txId, env, outcome);
  const kept = outcome.ok ? draft : new Draft(state);
  noteHeard(kept, env.now, tx, outcome.ok);
  record(kept, receipt, tx, env.height);
  return { receipt, writes: kept.writes(), events: kept.events() };
}
