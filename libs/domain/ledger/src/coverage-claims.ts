import { judgeClaim, refuseMarks, type ContractTerms } from '@antirio/service-contract';
import { findContract, step, type LiveContract } from './contracts.ts';
import type { Context } from './context.ts';
import { settle } from './payout.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord, type CoverageClaimRecord, type CoverageRecord } from './records.ts';
import { isAbandoned } from './speaker-record.ts';
import type { PayloadOf } from './transaction.ts';

/** What is left to do for a contract when nothing is claimed of its last outage any more. */
export type GoOn = (context: Context, found: LiveContract, reason: string) => Outcome;

type Refusal = Outcome & { readonly ok: false };
type About = Pick<PayloadOf<'coverage/waive'>, 'contractId' | 'epoch'>;

interface Open extends LiveContract {
  readonly coverage: CoverageRecord;
}

/** Both have stated the same: from here on the customer may claim for some time. */
export function openCoverage(
  { env }: Context,
  contract: ContractRecord,
  { coverage }: ContractTerms,
  epoch: number,
): ContractRecord {
  if (coverage.breach !== 'ruled' || epoch === 0 || isAsked(contract, epoch)) return contract;
  return { ...contract, coverage: { epoch, until: env.now + coverage.claimWithinMs } };
}

/** It is open already, or an earlier one is claimed and to be ruled first. */
function isAsked({ coverage }: ContractRecord, epoch: number): boolean {
  return coverage?.epoch === epoch || coverage?.claimedAt !== undefined;
}

/** Whether the newest outage may still be claimed, or any is to be ruled: what is owed waits for that. */
export function isCoverageOpen(contract: ContractRecord): boolean {
  const { coverage, activation } = contract;
  return coverage !== undefined && isAsked(contract, activation?.epoch ?? 0);
}

/** A contract that ended now would leave the set with a holder that its customer wants to take it back from. */
export function isServed(context: Context, { setId, provider }: ContractRecord): boolean {
  const set = context.draft.read(keys.set(setId));
  return set?.holder === provider && !isAbandoned(context, set);
}

function findOpen({ draft }: Context, { contractId, epoch }: About): Open | Refusal {
  const found = findContract(draft, contractId);
  if ('ok' in found) return found;
  const { coverage, settlement } = found.contract;
  if (settlement !== undefined) return refuse('gone', 'the contract is settled');
  if (coverage?.epoch !== epoch) return refuse('conflict', `no claim is open about epoch ${epoch}`);
  return { ...found, coverage };
}

function statementOf({ draft }: Context, { contract, coverage }: Open) {
  return draft.read(keys.statement(contract.id, coverage.epoch, 'provider'))?.statement;
}

export function claimCoverage(context: Context, tx: PayloadOf<'coverage/claim'>): Outcome {
  const { draft, env, by } = context;
  const found = findOpen(context, tx);
  if ('ok' in found) return found;
  const { contract, terms, coverage } = found;
  if (by !== contract.customer) return refuse('forbidden', 'only the customer claims');
  const key = keys.coverageClaim(contract.id, tx.epoch);
  if (draft.read(key) !== undefined) return refuse('conflict', 'it is claimed already');
  if (env.now > coverage.until) return refuse('gone', 'the time for a claim is over');
  const statement = statementOf(context, found);
  if (statement === undefined) return refuse('conflict', 'the provider has made no statement');
  const refused = refuseMarks({ terms, claim: tx.claim, statement });
  if (refused !== undefined) return refuse('invalidInput', refused);
  const until = env.now + terms.coverage.answerWithinMs;
  draft.put(key, { claim: tx.claim, at: env.now });
  draft.put(keys.contract(contract.id), {
    ...contract,
    coverage: { ...coverage, claimedAt: env.now, until },
  });
  draft.emit('coverage/claimed', keys.contract(contract.id), {
    contractId: contract.id,
    epoch: tx.epoch,
    until,
  });
  return done({ until });
}

export function answerCoverage(context: Context, tx: PayloadOf<'coverage/answer'>): Outcome {
  const { draft, env, by } = context;
  const found = findOpen(context, tx);
  if ('ok' in found) return found;
  const { contract, coverage } = found;
  if (by !== contract.provider) return refuse('forbidden', 'only the provider answers');
  const key = keys.coverageClaim(contract.id, tx.epoch);
  const claimed = draft.read(key);
  if (claimed === undefined) return refuse('conflict', 'nothing is claimed');
  if (claimed.answer !== undefined) return refuse('conflict', 'it is answered already');
  if (env.now > coverage.until) return refuse('gone', 'the time for an answer is over');
  draft.put(key, { ...claimed, answer: tx.answer });
  draft.put(keys.contract(contract.id), { ...contract, coverage: { ...coverage, until: env.now } });
  return done();
}

/** The outage is no matter any more. */
function close(context: Context, { contract, terms }: Open, reason: string, goOn: GoOn): Outcome {
  const { coverage: _closed, ...rest } = contract;
  context.draft.put(keys.contract(contract.id), rest);
  return rest.life.state === 'HANDED_BACK' && rest.dispute === undefined
    ? goOn(context, { contract: rest, terms }, reason)
    : done();
}

export function waiveCoverage(context: Context, tx: PayloadOf<'coverage/waive'>, goOn: GoOn): Outcome {
  const found = findOpen(context, tx);
  if ('ok' in found) return found;
  const { contract, coverage } = found;
  if (context.by !== contract.customer) return refuse('forbidden', 'only the customer waives its claim');
  if (coverage.claimedAt !== undefined) return refuse('conflict', 'it is claimed, and to be ruled');
  return close(context, found, 'both statements agree', goOn);
}

function refuseRuling(
  context: Context,
  { contract, coverage }: Open,
  claimed: CoverageClaimRecord | undefined,
): Refusal | undefined {
  const { by, env, genesis } = context;
  if (by !== contract.customer && by !== contract.provider && by !== genesis.arbitrator)
    return refuse('forbidden', 'the contract is of others');
  if (isServed(context, contract))
    return refuse('conflict', 'the provider serves: it is ruled once that is over');
  if (claimed?.answer !== undefined || env.now > coverage.until) return undefined;
  return refuse(
    'conflict',
    claimed === undefined ? 'the customer may still claim' : 'the provider may still answer',
  );
}

/** The claim is judged by what is on the ledger; without one, and once its time is over, there is nothing to be ruled. */
export function ruleCoverage(context: Context, tx: PayloadOf<'coverage/rule'>, goOn: GoOn): Outcome {
  const found = findOpen(context, tx);
  if ('ok' in found) return found;
  const claimed = context.draft.read(keys.coverageClaim(found.contract.id, tx.epoch));
  const refused = refuseRuling(context, found, claimed);
  if (refused !== undefined) return refused;
  if (claimed === undefined) return close(context, found, 'both statements agree', goOn);
  const isSilent = claimed.answer === undefined && found.coverage.remindedAt === undefined;
  return isSilent ? remind(context, found) : judge(context, found, claimed, goOn);
}

/** The ledger may have been away for all of the provider's time: it has as much again before its silence counts. */
function remind({ draft, env }: Context, { contract, terms, coverage }: Open): Outcome {
  const until = env.now + terms.coverage.answerWithinMs;
  draft.put(keys.contract(contract.id), {
    ...contract,
    coverage: { ...coverage, until, remindedAt: env.now },
  });
  return done({ until });
}

function judge(context: Context, found: Open, claimed: CoverageClaimRecord, goOn: GoOn): Outcome {
  const { contract, terms, coverage } = found;
  const { epoch } = coverage;
  const statement = statementOf(context, found);
  if (statement === undefined) return refuse('internal', 'the statement that was claimed about is gone');
  const finding = judgeClaim({ terms, claim: claimed.claim, statement, answer: claimed.answer });
  const said = finding.ok ? detailOf(finding.judgement) : { verdict: 'refused', reason: finding.reason };
  context.draft.put(keys.coverageClaim(contract.id, epoch), { ...claimed, ruled: said });
  const about = { contractId: contract.id, epoch, ...said };
  context.draft.emit('coverage/ruled', keys.contract(contract.id), about);
  return said.verdict === 'breach'
    ? punish(context, coverage, contract)
    : close(context, found, `both statements agree; the claim of too little heard: ${said.verdict}`, goOn);
}

function punish(
  context: Context,
  ruled: CoverageRecord,
  { coverage: _ruled, ...contract }: ContractRecord,
): Outcome {
  const breached = step(context, contract, { step: 'breach', by: 'provider' });
  if ('ok' in breached) return breached;
  const settled = step(context, breached, { step: 'settle', row: 'providerBreach' });
  // what the outage showed was so from its beginning
  const startedAt = context.draft.read(keys.activation(contract.id, ruled.epoch))?.at;
  return 'ok' in settled ? settled : settle(context, settled, 'providerBreach', 'coverage', startedAt);
}

const UNLIKELIEST = -1e6;

/** In whole thousandths of the logarithm: the same on every machine. */
function detailOf({
  verdict,
  devices,
  expected,
  heard,
  log10P,
}: Extract<ReturnType<typeof judgeClaim>, { ok: true }>['judgement']) {
  return { verdict, devices, expected, heard, log10PMilli: Math.round(Math.max(UNLIKELIEST, log10P) * 1000) };
}
