import { canonicalJson } from '@antirio/kernel';
import {
  activeUntil,
  differences,
  disputeEndsAt,
  followsNewRules,
  opensWhenOffline,
  standsBy,
  volumeDifferences,
  type ContractTerms,
  type HandbackStatement,
} from '@antirio/service-contract';
import { findContract, step, type LiveContract } from './contracts.ts';
import { isCoverageOpen, isServed, openCoverage } from './coverage-claims.ts';
import type { Context } from './context.ts';
import { stoodByAt } from './degraded.ts';
import { closeOnDispute, leaveUndecided } from './dispute.ts';
import { concludeDrill, endService, isDrillsOwn } from './full-drills.ts';
import { refuseWrongKeys } from './key-records.ts';
import { settle } from './payout.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { awaitNewKeys, settleHonoured, settleWithoutKeys } from './rekeying.ts';
import { keys, type Activation, type ContractRecord, type Role } from './records.ts';
import { contradict, isProvidersRoot, type SignedRoot } from './ring-roots.ts';
import type { BreachEvidence, PayloadOf } from './transaction.ts';

/** A statement that has stood alone for so long counts as agreed. */
export const SILENCE_MS = 7 * 86_400_000;
const DIFFERENCES_KEPT = 32;
const SILENT = 'the other party kept silent';

function roleOf({ customer, provider }: ContractRecord, edge: string): Role | undefined {
  if (edge === customer) return 'customer';
  return edge === provider ? 'provider' : undefined;
}

/**
 * Who has served for `maxActiveS` and gives nothing back is given no lease any more: from then on it is stated, and so settled, as
 * if it had. Its epoch stays its own until somebody takes the next one.
 */
function endServedOut(context: Context, found: LiveContract): LiveContract {
  const { contract, terms } = found;
  const { life, activation } = contract;
  if (life.state !== 'ACTIVE' || activation === undefined || !followsNewRules(terms)) return found;
  if (context.env.now < activeUntil(activation, terms)) return found;
  endService(context, found, contract.provider);
  const back = step(context, contract, { step: 'release', epoch: life.epoch });
  return 'ok' in back ? found : { contract: back, terms };
}

function refuseStatement(
  { contract, terms }: LiveContract,
  statement: HandbackStatement,
): Outcome | undefined {
  if (contract.rekeying !== undefined) return refuse('gone', 'both statements agree');
  return refuseEpoch(contract, statement) ?? refuseForeign(contract, terms, statement);
}

function refuseEpoch(contract: ContractRecord, statement: HandbackStatement): Outcome | undefined {
  const { state } = contract.life;
  if (statement.epoch === 0) {
    if (contract.openings === 0) return refuse('conflict', 'no keys were opened under this contract');
  } else {
    if (state !== 'RETURNING' && state !== 'HANDED_BACK')
      return refuse('conflict', `the contract is ${state}`);
    const epoch = contract.activation?.epoch;
    if (statement.epoch !== epoch) return refuse('conflict', `the epoch to be stated is ${epoch ?? 0}`);
  }
  return undefined;
}

function refuseForeign(
  { settlement }: ContractRecord,
  terms: ContractTerms,
  statement: HandbackStatement,
): Outcome | undefined {
  if (settlement !== undefined) return refuse('gone', 'the contract is settled');
  const covered = new Set(terms.set.devices.map(({ devEui }) => devEui));
  const foreign = statement.devices.find(({ devEui }) => !covered.has(devEui));
  return foreign === undefined
    ? undefined
    : refuse('invalidInput', `device ${foreign.devEui} is not of the contract`);
}

/** Both sides say the same: the takeover is paid, or, where none was owed, the contract lives on with exposed keys. */
export function conclude(context: Context, { contract, terms }: LiveContract, reason: string): Outcome {
  const { life, activation } = contract;
  const back =
    life.state === 'HANDED_BACK'
      ? contract
      : step(context, contract, { step: 'handBack', epoch: activation?.epoch ?? 0 });
  if ('ok' in back) return back;
  return concludeBack(context, back, terms, reason);
}

function concludeBack(context: Context, back: ContractRecord, terms: ContractTerms, reason: string): Outcome {
  const { activation } = back;
  if (activation?.owed !== true) return rearm(context, back, terms);
  if (activation.epoch === back.served?.epoch) return done({ agreed: true });
  if (isMoreAgreed(context, back, terms)) return goOn(context, { ...back, activation }, terms);
  // what is owed for an outage is paid when nothing is claimed of it any more
  if (isCoverageOpen(back)) return done({ agreed: true });
  // who is silent for so long renews no keys either
  const waits = reason === SILENT ? undefined : awaitNewKeys(context, back, terms);
  return waits ?? settleHonoured(context, back, reason);
}

function isMoreAgreed({ env }: Context, { served }: ContractRecord, terms: ContractTerms): boolean {
  return (served?.takeovers ?? 0) + 1 < terms.activation.takeovers && env.now < terms.expiresAt;
}

/** One of several takeovers is done: what it is owed is paid with the others. */
function goOn(
  context: Context,
  contract: ContractRecord & { readonly activation: Activation },
  terms: ContractTerms,
): Outcome {
  const takeovers = (contract.served?.takeovers ?? 0) + 1;
  const counted = { ...contract, served: { takeovers, epoch: contract.activation.epoch } };
  context.draft.put(keys.contract(contract.id), counted);
  return rearm(context, counted, terms);
}

/** With keys that the provider has seen; where the contract bears none of these, out of READY until there are new ones. */
function rearm(context: Context, contract: ContractRecord, terms: ContractTerms): Outcome {
  if (terms.exposed === 'refuse') return done({ agreed: true });
  const rearmed = step(context, contract, { step: 'rearm', exposed: true });
  if ('ok' in rearmed) return rearmed;
  // it stands by from here on, and owes nothing for what was before
  if (followsNewRules(terms))
    context.draft.put(keys.contract(contract.id), { ...rearmed, readyAt: context.env.now });
  return done({ agreed: true });
}

/** They differ: from the first time on it is counted how long. */
function dispute(
  context: Context,
  { contract, terms }: LiveContract,
  epoch: number,
  found: readonly string[],
): Outcome {
  const { draft, env } = context;
  const back =
    contract.life.state === 'RETURNING' ? step(context, contract, { step: 'handBack', epoch }) : contract;
  if ('ok' in back) return back;
  const since = followsNewRules(terms) ? { disputedAt: contract.disputedAt ?? env.now } : {};
  draft.put(keys.contract(contract.id), { ...back, dispute: found, ...since });
  draft.emit('contract/disputed', keys.contract(contract.id), {
    contractId: contract.id,
    differences: found,
  });
  return done({ agreed: false, differences: found });
}

function compare(context: Context, { contract, terms }: LiveContract, epoch: number): Outcome {
  const { draft } = context;
  const [mine, theirs] = (['customer', 'provider'] as const).map((role) =>
    draft.read(keys.statement(contract.id, epoch, role)),
  );
  if (mine === undefined || theirs === undefined) return done({ agreed: false });
  const found = differences(mine.statement, theirs.statement).slice(0, DIFFERENCES_KEPT);
  if (found.length > 0) return dispute(context, { contract, terms }, epoch, found);
  const { dispute: _settled, disputedAt: _since, ...undisputed } = contract;
  const judged = epoch === 0 ? undisputed : concludeDrill(context, { contract: undisputed, terms });
  const agreed = isDrillsOwn(judged) ? judged : openCoverage(context, judged, terms, epoch);
  draft.put(keys.contract(contract.id), agreed);
  const volumes = volumeDifferences(mine.statement, theirs.statement);
  const noted = volumes.length === 0 ? {} : { differences: volumes };
  draft.emit('contract/agreed', keys.contract(contract.id), { contractId: contract.id, epoch, ...noted });
  return epoch === 0
    ? done({ agreed: true })
    : conclude(context, { contract: agreed, terms }, 'both statements agree');
}

/** What both have stated, and a claim may be about, stays as it is; the same word again, its answer lost, changes nothing. */
function isAgreedOn(
  { draft }: Context,
  contract: ContractRecord,
  role: Role,
  statement: HandbackStatement,
): Outcome | undefined {
  if (contract.coverage?.epoch !== statement.epoch) return undefined;
  const known = draft.read(keys.statement(contract.id, statement.epoch, role))?.statement;
  return known !== undefined && canonicalJson(known) === canonicalJson(statement)
    ? done({ agreed: true })
    : refuse('conflict', 'both have stated the same of this epoch');
}

/** One party's word on the handback. It may be bettered until both agree or the arbitrator has ruled. */
export function makeStatement(context: Context, tx: PayloadOf<'contract/statement'>): Outcome {
  const { draft, env, by } = context;
  const { statement, counters } = tx;
  const known = findContract(draft, statement.contractId);
  if ('ok' in known) return known;
  const role = roleOf(known.contract, by);
  if (role === undefined) return refuse('forbidden', 'the contract is of others');
  const found = statement.epoch === 0 ? known : endServedOut(context, known);
  const refusal = refuseStatement(found, statement);
  if (refusal !== undefined) return refusal;
  const { id } = found.contract;
  const agreed = isAgreedOn(context, found.contract, role, statement);
  if (agreed !== undefined) return agreed;
  draft.put(keys.statement(id, statement.epoch, role), { statement, counters, at: env.now });
  draft.emit('contract/stated', keys.contract(id), { contractId: id, role, epoch: statement.epoch });
  return compare(context, found, statement.epoch);
}

/** Ends a contract on one statement, where the other party has kept silent for the agreed time; or after the time for new keys, or for a dispute. */
export function closeContract(context: Context, tx: PayloadOf<'contract/close'>): Outcome {
  const { draft, by, genesis } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract } = found;
  if (roleOf(contract, by) === undefined && by !== genesis.arbitrator)
    return refuse('forbidden', 'the contract is of others');
  if (contract.rekeying !== undefined) return settleWithoutKeys(context, contract, contract.rekeying);
  const disputedTo = contract.life.state === 'HANDED_BACK' ? disputeEndsAt(contract, found.terms) : undefined;
  return disputedTo === undefined
    ? closeOnSilence(context, endServedOut(context, found))
    : closeOnDispute(context, found, disputedTo);
}

/** Neither has said anything since the time was over in which the provider could serve at most: both stakes go back. */
function closeUnstated(context: Context, found: LiveContract): Outcome {
  const { contract, terms } = found;
  const { activation } = contract;
  if (activation === undefined || !followsNewRules(terms))
    return refuse('conflict', 'neither party has made a statement');
  return context.env.now < activeUntil(activation, terms) + SILENCE_MS
    ? refuse('conflict', 'neither party has made a statement, and both still have time to speak')
    : leaveUndecided(context, found, 'neither party has made a statement');
}

function closeOnSilence(context: Context, found: LiveContract): Outcome {
  const { draft, env } = context;
  const { contract } = found;
  if (contract.life.state !== 'RETURNING')
    return refuse('conflict', `the contract is ${contract.life.state}`);
  const epoch = contract.activation?.epoch ?? 0;
  const stated = (['customer', 'provider'] as const).flatMap(
    (role) => draft.read(keys.statement(contract.id, epoch, role)) ?? [],
  );
  const [only] = stated;
  if (only === undefined) return closeUnstated(context, found);
  if (env.now < only.at + SILENCE_MS) return refuse('conflict', 'the other party still has time to speak');
  const judged = concludeDrill(context, found);
  return conclude(context, { ...found, contract: judged }, SILENT);
}

function refuseNeverTookOver(
  context: Context,
  { contract, terms }: LiveContract,
  endedAt: number,
): Outcome | undefined {
  const set = context.draft.read(keys.set(contract.setId));
  const { state } = contract.life;
  if (!standsBy(state)) return refuse('conflict', `the contract is ${state}`);
  if (!stoodByAt(contract, endedAt)) return refuse('conflict', 'the provider was not READY then');
  if (set?.holder !== contract.customer || set.takenAt > endedAt)
    return refuse('conflict', 'somebody took the epoch');
  if (endedAt >= terms.expiresAt) return refuse('conflict', 'the contract had expired then');
  return context.env.now - endedAt > terms.takeoverSlaMs
    ? undefined
    : refuse('conflict', 'the provider still has time');
}

function refuseContradiction(contract: ContractRecord, a: SignedRoot, b: SignedRoot): Outcome | undefined {
  if (!isProvidersRoot(contract, a) || !isProvidersRoot(contract, b))
    return refuse('unauthenticated', "a root is not the provider's");
  return contradict(a.body, b.body)
    ? undefined
    : refuse('conflict', 'the two roots do not contradict each other');
}

function refuseShortfall(
  { draft }: Context,
  contract: ContractRecord,
  root: SignedRoot,
): Outcome | undefined {
  if (!isProvidersRoot(contract, root)) return refuse('unauthenticated', "the root is not the provider's");
  const epoch = contract.activation?.epoch ?? 0;
  const said = draft.read(keys.statement(contract.id, epoch, 'provider'))?.statement;
  if (said === undefined) return refuse('conflict', 'the provider has made no statement');
  const short = said.through < root.body.through;
  return short ? undefined : refuse('conflict', 'the statement reaches as far as the root');
}

/** Whether the evidence bears the breach: signatures and records are checked, nothing is taken on trust that can be checked. */
function refuseEvidence(
  context: Context,
  found: LiveContract,
  evidence: BreachEvidence,
): Outcome | undefined {
  switch (evidence.kind) {
    case 'neverTookOver':
      if (!opensWhenOffline(found.terms))
        return refuse('conflict', 'the provider takes over on the customer’s word only');
      return refuseNeverTookOver(context, found, evidence.customerLeaseEndedAt);
    case 'contradictingRoots':
      if (isServed(context, found.contract))
        return refuse('conflict', 'the provider serves: it is ruled once that is over');
      return refuseContradiction(found.contract, ...evidence.roots);
    case 'statementBelowRoot':
      return refuseShortfall(context, found.contract, evidence.root);
  }
}

type BreachRuling = Exclude<PayloadOf<'contract/rule'>['ruling'], { row: 'undecided' }>;

function refuseRuling(context: Context, found: LiveContract, ruling: BreachRuling): Outcome | undefined {
  return ruling.row === 'customerBreach'
    ? refuseWrongKeys(context, found, ruling.evidence)
    : refuseEvidence(context, found, ruling.evidence);
}

export function rule(context: Context, tx: PayloadOf<'contract/rule'>): Outcome {
  const found = findContract(context.draft, tx.contractId);
  if ('ok' in found) return found;
  if (context.by !== found.terms.central) return refuse('forbidden', 'only the central arbitrator rules');
  const { ruling } = tx;
  if (found.contract.settlement !== undefined) return refuse('gone', 'the contract is settled');
  if (ruling.row === 'undecided') return leaveUndecided(context, found, ruling.reason);
  const refusal = refuseRuling(context, found, ruling);
  if (refusal !== undefined) return refusal;
  const by = ruling.row === 'customerBreach' ? 'customer' : 'provider';
  const breached = step(context, found.contract, { step: 'breach', by });
  if ('ok' in breached) return breached;
  const settled = step(context, breached, { step: 'settle', row: ruling.row });
  if ('ok' in settled) return settled;
  return settle(context, settled, ruling.row, ruling.evidence.kind, breachAt(found.contract, ruling));
}

/** When the provider was last what it said, by what shows its breach; undefined where that is now, or the breach is not its own. */
function breachAt({ activation }: ContractRecord, { row, evidence }: BreachRuling): number | undefined {
  if (row === 'customerBreach') return undefined;
  // of a word on its ring that is false it is known which outage it was for, not when it became so
  return evidence.kind === 'neverTookOver' ? evidence.customerLeaseEndedAt : activation?.at;
}
