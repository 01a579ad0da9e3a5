import { opensWhenOffline } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { SimContract, World } from './world.ts';

export interface BridgeDuties {
  /** For how long a customer may lack either while nothing else changes, ms. */
  readonly withinMs: number;
  /** Nothing keeps the customer from giving its word. */
  readonly mayGive: () => boolean;
  readonly serves: (contract: SimContract) => boolean;
  /** Hears the customer and its sensors, and is free to take over. */
  readonly wouldServe: (contract: SimContract) => boolean;
}

/** Watches that a customer which lacks its bridge, or room on its disk, and lives, is served by a provider that hears its sensors. */
export function watchBridge(world: World, judge: Judge, duties: BridgeDuties) {
  const { A, contracts, terms } = world;
  let lackedSince: number | undefined;
  let hasFailed = false;
  let phaseBefore = '';

  /** A word that nobody took is not given again at once. */
  const followWord = (): string => {
    const { at } = A.rooms().party.phase();
    hasFailed ||= at === 'guarded' && (phaseBefore === 'yielding' || phaseBefore === 'yielded');
    phaseBefore = at;
    return at;
  };
  const isOwed = (at: string): boolean => {
    if (!(A.disk.bridgeDead || A.host.full) || hasFailed || at !== 'guarded') return false;
    return opensWhenOffline(terms) && duties.mayGive() && !contracts.some(duties.serves);
  };
  return (now: number, changedAt: number): void => {
    lackedSince = isOwed(followWord()) ? (lackedSince ?? now) : undefined;
    if (lackedSince === undefined) return;
    const lackedMs = now - Math.max(lackedSince, changedAt);
    if (lackedMs < duties.withinMs) return;
    const idle = contracts.find(duties.wouldServe);
    if (idle !== undefined)
      judge.broken(
        'takeover',
        `the customer has had no bridge, or no room on its disk, for ${Math.round(lackedMs)} ms, and ${idle.name}, which hears its sensors, is ${idle.providerParty().phase().at}`,
      );
  };
}
