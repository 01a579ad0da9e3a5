import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import type { Checked } from './checks.ts';
import type { Retrievability, SentRecord, Standing, VersionCids } from './records.ts';
import { isOut } from './standing.ts';

/** What came of asking a provider for blocks. `unknown`: it could not be asked. */
export type Outcome = { readonly is: 'held' } | { readonly is: 'lost' | 'unknown'; readonly error: string };

export const HELD: Outcome = { is: 'held' };

export function failureOf(error: unknown): Outcome {
  const lost = isAntirioError(error, 'notFound') || isAntirioError(error, 'corrupt');
  return { is: lost ? 'lost' : 'unknown', error: describeError(error) };
}

export const outcomeOf = ({ state, reason = '' }: Standing): Outcome => ({
  is: 'lost',
  error: `${state}: ${reason}`,
});

const checkedOf = (outcome: Outcome, checkedAt: number): Retrievability =>
  outcome.is === 'held' ? { ok: true, checkedAt } : { ok: false, checkedAt, error: outcome.error };

export const isUnasked = (sent: SentRecord): boolean =>
  sent.state === 'SENT' && sent.heldByProvider === undefined;

/** A later version that was sent, and is neither running there nor given up, as far as is known. */
export const isOnItsWay = ({ state, atProvider, heldByProvider, previous }: SentRecord): boolean =>
  state === 'SENT' &&
  heldByProvider !== undefined &&
  previous !== undefined &&
  (atProvider === undefined || atProvider.state === 'COMING' || atProvider.state === 'LOADED');

/** It must be sent again to be had there: it was refused, given up or let go, or the provider has lost what it was given. */
export const isLost = ({ state, atProvider, alarmed, heldByProvider }: SentRecord): boolean =>
  state === 'REFUSED' ||
  (atProvider !== undefined && isOut(atProvider)) ||
  (alarmed === true && heldByProvider?.ok === false);

/** Whether the provider has what it runs: this version, or the one before as long as that one has its place. */
const isCovered = ({ heldByProvider, previousHeld }: SentRecord): boolean =>
  heldByProvider?.ok === true || previousHeld?.ok === true;

export interface Asked {
  readonly standing: Standing | undefined;
  readonly outcome: Outcome;
  /** The same of the version before, where that was asked for. */
  readonly before: Outcome | undefined;
  readonly checkedAt: number;
}

/** The record with what an answer says. That nobody could be asked leaves what was known of the version before, and alarms nobody. */
export function noted(sent: SentRecord, { standing, outcome, before, checkedAt }: Asked): SentRecord {
  const { previousHeld, ...rest } = sent;
  const isUnreached = outcome.is === 'unknown' && before?.is !== 'held';
  const kept = isUnreached ? previousHeld : undefined;
  const held = before === undefined ? kept : checkedOf(before, checkedAt);
  const now: SentRecord = {
    ...rest,
    heldByProvider: checkedOf(outcome, checkedAt),
    ...(held === undefined ? {} : { previousHeld: held }),
    atProvider: standing ?? sent.atProvider,
  };
  const isUnknown = isUnreached || before?.is === 'unknown';
  return { ...now, alarmed: isUnknown ? sent.alarmed === true : !isCovered(now) };
}

export interface News {
  readonly what: Checked;
  readonly held: Retrievability;
}

/** What its customer is to be told of it: whether the provider has what it runs, and that it gave a version up. */
export function newsOf(before: SentRecord, now: SentRecord): News {
  const { contractId, providerEdgeId, previous, previousHeld, heldByProvider, atProvider } = now;
  const [of, held] = previousHeld?.ok === true ? [previous ?? now, previousHeld] : [now, heldByProvider];
  const isGivenUp = atProvider?.state === 'GIVEN_UP' && before.atProvider?.state !== 'GIVEN_UP';
  const givenUp = { imageCid: now.imageCid, reason: atProvider?.reason ?? '' };
  const about = { at: 'provider', contractId, imageCid: of.imageCid, providerEdgeId } as const;
  return {
    what: isGivenUp ? { ...about, givenUp } : about,
    held: { checkedAt: 0, ...held, ok: now.alarmed !== true },
  };
}

/** Which version is the one to go back to: one that never came to run there is none. */
function replaced(known: SentRecord): Pick<SentRecord, 'previous' | 'previousHeld'> {
  const { previous, previousHeld, imageCid, configCid, heldByProvider, atProvider } = known;
  const ran = atProvider === undefined || atProvider.state === 'RUNS';
  if (!ran && previous !== undefined) return kept(previous, previousHeld);
  return kept({ imageCid, configCid }, heldByProvider);
}

const kept = (
  previous: VersionCids | undefined,
  previousHeld: Retrievability | undefined,
): Pick<SentRecord, 'previous' | 'previousHeld'> => ({
  ...(previous === undefined ? {} : { previous }),
  ...(previousHeld === undefined ? {} : { previousHeld }),
});

/** @throws AntirioError conflict where it is no other version of the same image for the same provider. */
export function versionBefore(
  known: SentRecord | undefined,
  asked: Omit<SentRecord, 'state' | 'createdAt'>,
): Pick<SentRecord, 'previous' | 'previousHeld' | 'alarmed'> {
  if (known === undefined) return {};
  const { contractId, providerEdgeId, imageName, alarmed, previous, previousHeld } = known;
  if (providerEdgeId !== asked.providerEdgeId || imageName !== asked.imageName)
    throw new AntirioError('conflict', `contract ${contractId} is about something else`, { contractId });
  const before = isSame(known, asked) ? kept(previous, previousHeld) : replaced(known);
  return alarmed === undefined ? before : { ...before, alarmed };
}

export function isSame(known: SentRecord, asked: Omit<SentRecord, 'state' | 'createdAt'>): boolean {
  return (['providerEdgeId', 'imageCid', 'configCid'] as const).every((key) => known[key] === asked[key]);
}
