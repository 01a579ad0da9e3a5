import type { Dice } from './random.ts';
import type { Fault } from './scenario.ts';

/** The customer's bridge dies or hangs beside its arbitrator, which lives and beats. */
function drawDeath(dice: Dice, at: number, forMs: number): Fault {
  return { when: { at }, kind: 'deadBridge', hangs: dice.chance(0.5), forMs };
}

/** In few worlds, for a moment or for long; in half of these nothing else happens: whoever can serve the sensors then does. */
export function drawDeadBridge(dice: Dice, activeMs: number, others: readonly Fault[]): readonly Fault[] {
  if (!dice.chance(0.08)) return others;
  if (dice.chance(0.5)) {
    const at = dice.between(4000, 6000);
    return [drawDeath(dice, at, activeMs - at)];
  }
  const forMs = dice.chance(0.4) ? dice.between(200, 3500) : dice.between(6000, 25_000);
  return [...others, drawDeath(dice, dice.between(2000, activeMs * 0.7), forMs)];
}
