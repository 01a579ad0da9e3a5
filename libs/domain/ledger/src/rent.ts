import {
  prepaidRent,
  rentFor,
  type ContractTerms,
  type LifeState,
  type SettlementRow,
} from '@antirio/service-contract';
import type { Context } from './context.ts';
import { keys, type ContractRecord, type RentRecord, type Stood } from './records.ts';

/** Stretches that are kept apart; older ones are counted as one. */
const STRETCHES_KEPT = 64;

/** A provider that is asked whether it is there has so long to say so, ms. */
export const RENT_ANSWER_MS = 120_000;

/** A provider stands by, or serves. What is on the way back, disputed or degraded is neither. */
const PAID_IN: ReadonlySet<LifeState> = new Set<LifeState>(['READY', 'READY_EXPOSED', 'ACTIVE']);

type Terms = Pick<ContractTerms, 'rent' | 'expiresAt' | 'maxActiveS'>;
type Counted = Pick<ContractRecord, 'life' | 'rent'>;

/** R, as it is kept in escrow: nothing where the terms have no rent. */
export function rentEscrow(terms: Terms, now: number): { readonly rent?: number } {
  return terms.rent === undefined ? {} : { rent: prepaidRent(terms, now) ?? 0 };
}

/** Standing by is paid to the end of the contract, serving for as long as an activation may last. */
function paidUntil({ life, rent }: Counted, { expiresAt, maxActiveS }: Terms): number {
  const most = expiresAt + maxActiveS * 1000;
  if (life.state !== 'ACTIVE') return expiresAt;
  return Math.min(most, (rent?.since ?? most) + maxActiveS * 1000);
}

const isWhole = ({ from, until, ms }: Stood): boolean => ms === until - from;

function append(stood: readonly Stood[], next: Stood): readonly Stood[] {
  const last = stood.at(-1);
  if (last?.until === next.from && isWhole(last) && isWhole(next))
    return [...stood.slice(0, -1), { from: last.from, until: next.until, ms: last.ms + next.ms }];
  const [first, second, ...rest] = stood;
  return stood.length < STRETCHES_KEPT || first === undefined || second === undefined
    ? [...stood, next]
    : [{ from: first.from, until: second.until, ms: first.ms + second.ms }, ...rest, next];
}

function stoodWithNow(contract: Counted, terms: Terms, now: number): readonly Stood[] {
  const { stood = [], since } = contract.rent ?? {};
  if (since === undefined) return stood;
  const until = Math.min(now, paidUntil(contract, terms));
  return until <= since ? stood : append(stood, { from: since, until, ms: until - since });
}

/** All that was stood by until now. Who was asked whether it is there, and has not said so in its time, was not there since. */
export function stoodUntil(contract: Counted, terms: Terms, now: number): readonly Stood[] {
  const all = stoodWithNow(contract, terms, now);
  const { doubt } = contract.rent ?? {};
  return doubt?.isOpen === true && now - doubt.at > RENT_ANSWER_MS
    ? all.flatMap((one) => without(one, doubt.at, now))
    : all;
}

/** A contract goes from one state to another: what is paid for begins or ends with that. */
export function countRent(
  { draft, env }: Context,
  before: ContractRecord,
  after: ContractRecord,
): ContractRecord {
  const terms = before.rent === undefined ? undefined : draft.read(keys.terms(before.id))?.terms;
  if (terms === undefined) return after;
  const stood = stoodUntil(before, terms, env.now);
  const since = PAID_IN.has(after.life.state) ? { since: env.now } : {};
  return { ...after, rent: { stood, ...since, ...answered(before.rent) } };
}

/** When it was doubted last is remembered: who doubts again and again is not heard. */
export function answered(rent: RentRecord | undefined): Pick<RentRecord, 'doubt'> {
  return rent?.doubt === undefined ? {} : { doubt: { at: rent.doubt.at, isOpen: false } };
}

/** What is left of a stretch when some of its time is not paid. Of several that are counted as one it is taken off the whole. */
function without(one: Stood, from: number, until: number): readonly Stood[] {
  const overlap = Math.min(one.until, until) - Math.max(one.from, from);
  if (overlap <= 0) return [one];
  if (!isWhole(one)) return [{ ...one, ms: Math.max(0, one.ms - overlap) }];
  const parts = [
    { from: one.from, until: Math.min(one.until, from) },
    { from: Math.max(one.from, until), until: one.until },
  ];
  return parts.flatMap((part) => (part.until > part.from ? [{ ...part, ms: part.until - part.from }] : []));
}

/** A failed drill shows that the provider did not stand by in the times that it had for it, `ms` each. */
export function strikeRent(
  { draft, env }: Context,
  contract: ContractRecord,
  drill: { readonly askedAt: number; readonly lastCallAt?: number | undefined },
  ms: number,
): ContractRecord {
  const terms = contract.rent === undefined ? undefined : draft.read(keys.terms(contract.id))?.terms;
  if (terms === undefined) return contract;
  const { askedAt, lastCallAt = askedAt } = drill;
  const stood = [askedAt, lastCallAt].reduce<readonly Stood[]>(
    (left, from) => left.flatMap((one) => without(one, from, from + ms)),
    stoodUntil(contract, terms, env.now),
  );
  const since = contract.rent?.since === undefined ? {} : { since: env.now };
  return { ...contract, rent: { ...contract.rent, stood, ...since } };
}

/** So long a contract's provider has stood by or served until `at`, by what is on the ledger now, ms. */
function provenMs(contract: Counted, terms: Terms, at: number, now: number): number {
  return stoodUntil(contract, terms, now).reduce(
    (sum, { from, until, ms }) => sum + Math.min(ms, Math.max(0, Math.min(until, at) - from)),
    0,
  );
}

/** What a provider has earned by standing by and serving until `at`: whole units, and never more than is in escrow. */
export function rentEarned(
  contract: Counted & Pick<ContractRecord, 'escrow'>,
  terms: Terms,
  now: number,
  at = now,
): { readonly earned: number; readonly provenMs: number } {
  const ms = provenMs(contract, terms, at, now);
  const earned = Math.min(contract.escrow.rent ?? 0, rentFor(terms.rent?.perHour ?? 0, ms));
  return { earned, provenMs: ms };
}

interface RentSoFar {
  readonly prepaid: number;
  readonly earned: number;
  readonly provenMs: number;
  /** The provider was asked then whether it is there, and has not answered. */
  readonly doubtedAt?: number;
}

function openDoubt(rent: RentRecord | undefined): Pick<RentSoFar, 'doubtedAt'> {
  return rent?.doubt?.isOpen === true ? { doubtedAt: rent.doubt.at } : {};
}

/** How the rent stands, or what became of it; undefined where the terms have none. */
export function rentSoFar(
  contract: Pick<ContractRecord, 'life' | 'rent' | 'escrow' | 'settlement'>,
  terms: Terms,
  now: number,
): RentSoFar | undefined {
  const { settlement, escrow, rent } = contract;
  if (terms.rent === undefined) return undefined;
  if (settlement === undefined)
    return { prepaid: escrow.rent ?? 0, ...rentEarned(contract, terms, now), ...openDoubt(rent) };
  const { prepaid = 0, paid = 0, provenMs = 0 } = settlement.rent ?? {};
  return { prepaid, earned: paid, provenMs };
}

/** What of R is the provider's; the rest goes back to the customer. */
export function rentPaid(row: SettlementRow, prepaid: number, earned: number): number {
  if (row === 'cancelled') return 0;
  return row === 'customerBreach' ? prepaid : earned;
}
