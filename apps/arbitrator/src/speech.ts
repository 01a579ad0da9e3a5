import type { EdgeId } from '@antirio/kernel';
import {
  contradict,
  endsFrom,
  mayExpire,
  refuseSpeaker,
  type ContractRecord,
  type CoverageClaimRecord,
  type OpeningRecord,
  type SetRecord,
  type SpeakerAct,
  type SpeakerRecord,
  type Spoken,
  type StatementRecord,
} from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import { isBelowRoot } from './dispute-watch.ts';
import type { ContractReport } from './speaker-report.ts';

type SignedRoot = ContractReport['roots'][number];

/** What a speaker knows of a contract of its edge: all of it from the ledger, but for the roots. */
export interface Sight {
  readonly self: EdgeId;
  readonly appointed: SpeakerRecord | undefined;
  /** For how long the edge has not been heard here, ms; at most for as long as we are up. */
  readonly unheardMs: number;
  /** The ledger's. */
  readonly now: number;
  readonly contract: ContractRecord;
  readonly terms: ContractTerms;
  readonly set: SetRecord | undefined;
  /** The newest opening. */
  readonly opening: OpeningRecord | undefined;
  /** The provider's, of its newest epoch. */
  readonly statement: StatementRecord | undefined;
  readonly claim: CoverageClaimRecord | undefined;
  /** Signed by the provider. */
  readonly roots: readonly SignedRoot[];
}

export type Saying =
  | { readonly to: 'ledger'; readonly act: Spoken }
  | {
      readonly to: 'central';
      readonly about: 'contradicting-roots';
      readonly roots: [SignedRoot, SignedRoot];
    }
  | { readonly to: 'central'; readonly about: 'statement-below-root' };

type Say = (sight: Sight) => Saying | undefined;

/** Keys, drill or coverage are the edge's to bring: a contract that waits for them so long is never READY. */
const cancels: Say = ({ contract, appointed, now }) => {
  const { id: contractId, life, validatedAt } = contract;
  const waits = life.state === 'VALIDATED' && now - validatedAt >= (appointed?.silentMs ?? Infinity);
  return waits ? { to: 'ledger', act: { type: 'contract/cancel', contractId } } : undefined;
};

const expires: Say = ({ contract, terms, now }) =>
  now >= endsFrom(terms) && mayExpire(contract)
    ? { to: 'ledger', act: { type: 'contract/expire', contractId: contract.id } }
    : undefined;

/** Served still, and not let go. */
const isHeld = ({ contract, set }: Sight): boolean =>
  set?.holder === contract.provider && set.released?.epoch !== set.epoch;

const rulesCoverage: Say = (sight) => {
  const { contract, claim, now } = sight;
  const { coverage } = contract;
  if (coverage?.claimedAt === undefined || isHeld(sight)) return undefined;
  const isDue = claim?.answer !== undefined || now > coverage.until;
  const { id: contractId } = contract;
  return isDue
    ? { to: 'ledger', act: { type: 'coverage/rule', contractId, epoch: coverage.epoch } }
    : undefined;
};

const MAY_BREACH: ReadonlySet<string> = new Set([
  ...['READY', 'READY_EXPOSED', 'DEGRADED', 'RETURNING', 'HANDED_BACK'],
]);

function contradiction(roots: readonly SignedRoot[]): [SignedRoot, SignedRoot] | undefined {
  for (const [i, one] of roots.entries()) {
    const other = roots.slice(i + 1).find(({ body }) => contradict(one.body, body));
    if (other !== undefined) return [one, other];
  }
  return undefined;
}

const claimsRoots: Say = (sight) => {
  const { contract, roots, opening, statement } = sight;
  if (!MAY_BREACH.has(contract.life.state) || isHeld(sight)) return undefined;
  const found = contradiction(roots);
  if (found !== undefined) return { to: 'central', about: 'contradicting-roots', roots: found };
  return isBelowRoot(contract, opening, statement)
    ? { to: 'central', about: 'statement-below-root' }
    : undefined;
};

const SAYINGS: { readonly [A in SpeakerAct]: Say } = {
  roots: claimsRoots,
  coverage: rulesCoverage,
  cancel: cancels,
  expire: expires,
};

/**
 * What is to be said for an edge, one thing at a time. Nothing where the edge was heard, here or on the ledger, within the silence that it
 * named itself.
 */
export function whatToSay(sight: Sight): Saying | undefined {
  const { self, appointed, unheardMs, now, contract } = sight;
  if (appointed === undefined || unheardMs < appointed.silentMs) return undefined;
  if (contract.settlement !== undefined || self === contract.provider) return undefined;
  for (const act of ['roots', 'coverage', 'cancel', 'expire'] as const) {
    const saying = refuseSpeaker(appointed, self, act, now) === undefined ? SAYINGS[act](sight) : undefined;
    if (saying !== undefined) return saying;
  }
  return undefined;
}
