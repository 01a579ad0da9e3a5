import { activationTerms } from '@antirio/service-contract';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, type Fault, type Scenario } from './scenario.ts';

function fill(node: 'A' | 'B', at: number, forMs: number): Fault {
  return { when: { at }, kind: 'fullDisk', node, forMs };
}

/** For a moment or for long, of either, amid everything else. */
function drawSome(dice: Dice, activeMs: number): Fault[] {
  const one = (): Fault => {
    const forMs = dice.chance(0.4) ? dice.between(50, 3500) : dice.between(5000, 25_000);
    return fill(dice.chance(0.7) ? 'A' : 'B', dice.between(2000, activeMs * 0.8), forMs);
  };
  return Array.from({ length: 1 + dice.below(3) }, one);
}

/** Worlds whose disks fill up. In some of them the customer's does, and nothing else happens: its provider then serves. */
export function drawFullDisks(seed: number): Scenario {
  const dice = rollDice(seed, 'full disks');
  const scenario = drawScenario(seed);
  if (!dice.chance(0.4))
    return { ...scenario, faults: [...scenario.faults, ...drawSome(dice, scenario.healAt)] };
  const at = dice.between(6000, 8000);
  const activation = activationTerms.parse({});
  return {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), activation }),
    faults: [fill('A', at, scenario.healAt - at)],
  };
}
