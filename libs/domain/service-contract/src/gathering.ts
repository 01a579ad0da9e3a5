import { z } from 'zod';
import type { EdgeId } from '@antirio/kernel';
import { edgeId } from './edge-id.ts';
import { holdersOf } from './escrow.ts';
import { callOnce, type PartyEffect } from './party.ts';
import { nothingGathered, type ProviderState, type Step } from './provider-state.ts';
import { chain } from './step.ts';

const releases = z.object({
  opening: z.int().min(0).optional(),
  releases: z.array(z.object({ holder: edgeId, share: z.unknown() })),
  /** Holders whose share is not the one that the customer gave them. */
  badShares: z.array(edgeId).default([]),
});
const AGAIN_MS = 1000;

/** The opening is on the ledger, and the central arbitrator gave what it holds itself. */
export function openingRecorded(state: ProviderState, value: unknown, now: number): Step {
  const { opening = 0, releases: shares, badShares } = releases.parse(value);
  const [combined, effects] = combine(
    { ...state, gathering: { ...nothingGathered, opening, shares, openedAt: now } },
    now,
  );
  return [combined, [...effects, ...badShares.map(badShare)]];
}

export function shareReleased(state: ProviderState, holder: EdgeId, share: unknown, now: number): Step {
  const { gathering } = state;
  const others = gathering.shares.filter((one) => one.holder !== holder);
  return combine({ ...state, gathering: { ...gathering, shares: [...others, { holder, share }] } }, now);
}

export function isEnough({ gathering, terms }: ProviderState): boolean {
  return gathering.opening !== undefined && gathering.shares.length >= neededOf(terms);
}

function neededOf(terms: ProviderState['terms']): number {
  return terms.opening === 'autonomous' ? 0 : terms.escrow.threshold;
}

function combine(state: ProviderState, now: number): Step {
  if (!isEnough(state)) return [state, []];
  const shares = state.terms.opening === 'autonomous' ? null : state.gathering.shares;
  const open: PartyEffect = { type: 'openKeys', shares };
  return [{ ...state, gathering: { ...state.gathering, triedAt: now } }, [open]];
}

/** Asks the holders whose shares are lacking, all at once: the slowest of them is not waited for. */
export function askHolders(state: ProviderState, now: number): Step {
  const { gathering, terms } = state;
  const { opening, shares, refused } = gathering;
  if (opening === undefined || (isEnough(state) && !refused)) return [state, []];
  const lacking = holdersOf(terms).filter((holder) => !shares.some((one) => one.holder === holder));
  return lacking.reduce<Step>(
    (step, holder) =>
      chain(step, (one) => {
        const args = { contractId: terms.contractId, holder, opening };
        const [calls, effects] = callOnce(one.calls, holder, { method: 'share', args }, now);
        return [{ ...one, calls }, effects];
      }),
    [state, []],
  );
}

/** With what is here the keys do not open; whether anybody is left to be asked. */
export function sharesRefused(state: ProviderState): {
  readonly state: ProviderState;
  readonly hopeless: boolean;
} {
  const { gathering, terms } = state;
  const hopeless = gathering.shares.length >= holdersOf(terms).length;
  return { state: { ...state, gathering: { ...gathering, refused: true } }, hopeless };
}

/** What was gathered has led to nothing for a while: everything is asked for again. */
export function isStale({ gathering }: ProviderState, now: number): boolean {
  return now - gathering.triedAt >= AGAIN_MS;
}

/** Refusals after which only another opening helps. */
const outdated: ReadonlySet<string> = new Set(['noOpening', 'olderOpening', 'otherEpoch', 'openingTooOld']);

export function shareRefused(state: ProviderState, holder: EdgeId, code: string): Step {
  if (code === 'corrupt') return [state, [badShare(holder)]];
  return [outdated.has(code) ? { ...state, gathering: nothingGathered } : state, []];
}

const badShare = (holder: EdgeId): PartyEffect => ({
  type: 'note',
  milestone: 'badShare',
  detail: { holder },
});
