import { verifyDocument } from '@antirio/kernel';
import {
  DRILL_RECEIPT_KIND,
  MOST_DRILLS_A_MONTH,
  downlinkDrillProblem,
  drillAnswerHash,
  drillMonth,
  drillProblem,
  drillVerdict,
  drillsPerMonth,
  isDrillOver,
  isEnded,
  mayReleaseDrill,
  type ContractLife,
  type Drill,
  type DrillFacts,
  type DrillReason,
} from '@antirio/service-contract';
import { credit } from './accounts.ts';
import { findContract, type LiveContract } from './contracts.ts';
import type { Context } from './context.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord, type DrillCounts } from './records.ts';
import { strikeRent } from './rent.ts';
import { RING_ROOT_KIND, type PayloadOf } from './transaction.ts';

type Refusal = Outcome & { readonly ok: false };

/** Before READY a drill shows that there may be one; from then on it is what the contract demands. */
const DRILLED_IN: ReadonlySet<ContractLife['state']> = new Set(['VALIDATED', 'READY', 'READY_EXPOSED']);

const NO_DRILLS: DrillCounts = {
  started: 0,
  passed: 0,
  failed: 0,
  void: 0,
  month: 0,
  thisMonth: 0,
  judged: 0,
};

export function drillCounts({ drills = NO_DRILLS, validatedAt }: ContractRecord, now: number): DrillCounts {
  const month = drillMonth(validatedAt, now);
  return month === drills.month ? drills : { ...drills, month, thisMonth: 0, judged: 0 };
}

export function refuseDrills(
  terms: Parameters<typeof drillProblem>[0] & Parameters<typeof downlinkDrillProblem>[0],
): Refusal | undefined {
  const problem = drillProblem(terms) ?? downlinkDrillProblem(terms);
  return problem === undefined ? undefined : refuse('invalidInput', problem);
}

/** Why a contract whose terms demand drills is not READY yet. */
export function refuseUndrilled({ contract, terms }: LiveContract): Refusal | undefined {
  const lacking = drillsPerMonth(terms) > 0 && (contract.drills?.passed ?? 0) === 0;
  return lacking ? refuse('conflict', 'a drill is to be passed first') : undefined;
}

function drillFacts({ draft, env }: Context, { life, openings, setId }: ContractRecord): DrillFacts {
  const epoch = draft.read(keys.set(setId))?.epoch ?? 0;
  return { epoch, openings, over: isEnded(life), now: env.now };
}

function findDrill(
  { draft }: Context,
  tx: { readonly contractId: string; readonly drill: number },
): (LiveContract & { readonly drill: Drill }) | Refusal {
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const drill = draft.read(keys.drill(tx.contractId, tx.drill));
  return drill === undefined ? refuse('notFound', 'there is no such drill') : { ...found, drill };
}

function refuseStart(
  context: Context,
  { contract, terms }: LiveContract,
  tx: PayloadOf<'drill/start'>,
): Refusal | undefined {
  const perMonth = drillsPerMonth(terms);
  if (context.by !== contract.customer) return refuse('forbidden', 'only the customer asks for a drill');
  if (perMonth === 0) return refuse('forbidden', 'the provider has agreed to no drills');
  if (!DRILLED_IN.has(contract.life.state))
    return refuse('conflict', `the contract is ${contract.life.state}`);
  const counts = drillCounts(contract, context.env.now);
  if (tx.drill !== counts.started + 1)
    return refuse('conflict', `the next drill is number ${counts.started + 1}`);
  const last = context.draft.read(keys.drill(contract.id, counts.started));
  if (last !== undefined && !isDrillOver(last)) return refuse('conflict', `drill ${last.number} is not over`);
  return counts.thisMonth < MOST_DRILLS_A_MONTH
    ? undefined
    : refuse('busy', `at most ${MOST_DRILLS_A_MONTH} drills a month`);
}

/** Nobody can open a drill whose keys it was never given. */
function isReceived({ provider }: ContractRecord, tx: PayloadOf<'drill/start'>): boolean {
  const { receipt, contractId, keyVersion } = tx;
  return (
    receipt?.by === provider &&
    receipt.body.contractId === contractId &&
    receipt.body.keyVersion === keyVersion &&
    verifyDocument(receipt, DRILL_RECEIPT_KIND)
  );
}

export function startDrill(context: Context, tx: PayloadOf<'drill/start'>): Outcome {
  const { draft, env } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const refusal = refuseStart(context, found, tx);
  if (refusal !== undefined) return refusal;
  const { contract, terms } = found;
  const counts = drillCounts(contract, env.now);
  const { epoch, openings } = drillFacts(context, contract);
  const { drill: number, keyVersion, frames, answer } = tx;
  const drill: Drill = {
    ...{ number, state: 'asked', keyVersion, frames, answer, askedAt: env.now, epoch, openings },
    counts:
      contract.life.state !== 'VALIDATED' &&
      counts.judged < terms.drills.perMonth &&
      isReceived(contract, tx),
    releases: {},
  };
  draft.put(keys.drill(contract.id, number), drill);
  const drills = { ...counts, started: number, thisMonth: counts.thisMonth + 1 };
  draft.put(keys.contract(contract.id), { ...contract, drills });
  draft.emit('drill/started', keys.drill(contract.id, number), { contractId: contract.id, drill: number });
  return done({ drill: number });
}

function refuseOpen(
  context: Context,
  { contract, drill }: LiveContract & { drill: Drill },
): Refusal | undefined {
  if (context.by !== contract.provider) return refuse('forbidden', 'only the provider opens and reads');
  return isDrillOver(drill) ? refuse('conflict', `the drill is ${drill.state}`) : undefined;
}

/** What has come of it by now, where that is something. */
function judged(context: Context, found: LiveContract & { readonly drill: Drill }): Refusal | undefined {
  const verdict = drillVerdict(found.terms, found.drill, drillFacts(context, found.contract));
  return verdict.state === 'open'
    ? undefined
    : refuse('conflict', `the drill is over: ${verdict.reason ?? ''}`);
}

export function openDrill(context: Context, tx: PayloadOf<'drill/open'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { contract, drill } = found;
  const refusal = refuseOpen(context, found) ?? judged(context, found);
  if (refusal !== undefined) return refusal;
  const { root } = tx;
  const isOurs = root.by === contract.provider && root.body.contractId === contract.id;
  if (!isOurs || !verifyDocument(root, RING_ROOT_KIND))
    return refuse('unauthenticated', "the ring root is not the provider's for this contract");
  if (drill.openedAt !== undefined) return done();
  const opened: Drill = { ...drill, state: 'opened', openedAt: context.env.now, root: root.body.root };
  context.draft.put(keys.drill(contract.id, drill.number), opened);
  return done();
}

/** A holder says that it has given its share of the drill keys away. */
export function releaseDrillShare(context: Context, tx: PayloadOf<'drill/release'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { contract, terms, drill } = found;
  const refused = mayReleaseDrill({
    ...{ terms, asker: terms.provider, holder: context.by, drill },
    newest: contract.drills?.started ?? 0,
    ledger: drillFacts(context, contract),
  });
  if (refused !== undefined) return refuse('conflict', `the share may not be released: ${refused}`);
  if (drill.releases[context.by] !== undefined) return done();
  const releases = { ...drill.releases, [context.by]: context.env.now };
  context.draft.put(keys.drill(contract.id, drill.number), { ...drill, releases });
  return done();
}

type Ending = 'passed' | 'failed' | 'void';

/** Out of what the provider has at stake, once, and never more than there is. */
export function penalise({ draft }: Context, contract: ContractRecord, penalty: number): ContractRecord {
  const paid = Math.min(penalty, contract.escrow.provider);
  credit(draft, contract.customer, paid);
  return { ...contract, escrow: { ...contract.escrow, provider: contract.escrow.provider - paid } };
}

function conclude(
  context: Context,
  { contract, terms, drill }: LiveContract & { readonly drill: Drill },
  ending: Ending,
  reason: DrillReason,
  more: Partial<Drill> = {},
): Outcome {
  const { draft, env } = context;
  const costs = ending === 'failed' && drill.counts && !isEnded(contract.life);
  const { maxMs, penalty: due } = terms.drills;
  const after = costs ? strikeRent(context, penalise(context, contract, due), drill, maxMs) : contract;
  const penalty = contract.escrow.provider - after.escrow.provider;
  const counts = drillCounts(contract, env.now);
  const drills = {
    ...counts,
    [ending]: counts[ending] + 1,
    judged: counts.judged + (drill.counts && ending !== 'void' ? 1 : 0),
  };
  draft.put(keys.contract(contract.id), { ...after, drills });
  const over = { ...drill, ...more, state: ending, reason, endedAt: env.now, penalty };
  draft.put(keys.drill(contract.id, drill.number), over);
  draft.emit(`drill/${ending}`, keys.drill(contract.id, drill.number), {
    ...{ contractId: contract.id, drill: drill.number, reason, penalty },
  });
  return done({ state: ending, reason, penalty });
}

/** The provider gives what it read: passed where that is what the customer committed to, in time. */
export function readDrill(context: Context, tx: PayloadOf<'drill/read'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { drill } = found;
  if (drill.state === 'passed') return done({ state: drill.state });
  const refusal = refuseOpen(context, found) ?? judged(context, found);
  if (refusal !== undefined) return refusal;
  if (drill.openedAt === undefined) return refuse('conflict', 'the drill was not opened');
  if (drillAnswerHash(tx.answer) !== drill.answer)
    return refuse('invalidInput', 'this is not what the customer’s frames say');
  const { times } = tx;
  return drill.lastCallAt === undefined
    ? conclude(context, found, 'passed', 'read', { times })
    : conclude(context, found, 'void', 'late', { times });
}

/** The arbitrator has found that nobody could have read what the customer committed to. */
export function excuseDrill(context: Context, tx: PayloadOf<'drill/excuse'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { terms, drill } = found;
  if (context.by !== terms.central) return refuse('forbidden', 'only the central arbitrator excuses');
  if (isDrillOver(drill)) return done({ state: drill.state });
  return conclude(context, found, 'void', 'wrongFrames');
}

/** The time may be up only because nobody could act, the ledger being away or its clock set: before it costs, there is one last call. */
function endByVerdict(
  context: Context,
  found: LiveContract & { readonly drill: Drill },
  state: Ending,
  reason: DrillReason,
): Outcome {
  const { contract, drill } = found;
  if (state !== 'failed' || !drill.counts || drill.lastCallAt !== undefined)
    return conclude(context, found, state, reason);
  const lastCallAt = context.env.now;
  context.draft.put(keys.drill(contract.id, drill.number), { ...drill, lastCallAt });
  return done({ state: drill.state, lastCallAt });
}

export function endDrill(context: Context, tx: PayloadOf<'drill/end'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { contract, terms, drill } = found;
  const { by } = context;
  if (by !== contract.customer && by !== contract.provider)
    return refuse('forbidden', 'the contract is of others');
  if (isDrillOver(drill)) return done({ state: drill.state });
  const { state, reason } = drillVerdict(terms, drill, drillFacts(context, contract));
  if (state !== 'open') return endByVerdict(context, found, state, reason ?? 'givenUp');
  return tx.givenUp && by === contract.customer
    ? conclude(context, found, 'void', 'givenUp')
    : refuse('conflict', 'the provider still has time');
}
