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

const apart = [
  ['A', 'B'],
  ['B', 'A'],
] as const;

/** The customer is back from a failure and cannot ask its provider, its disk fills up, and then its provider fails for a while. */
function drawBack(dice: Dice, healAt: number): Fault[] {
  const back = (least: number, most: number): Fault['when'] => ({
    ...{ node: 'A', enters: 'recovering' },
    delayMs: dice.between(least, most),
  });
  return [
    { when: { at: dice.between(4000, 6000) }, kind: 'kill', node: 'A', forMs: dice.between(3000, 6000) },
    { when: back(0, 0), kind: 'cut', links: apart, forMs: healAt },
    { when: back(0, 1500), kind: 'fullDisk', node: 'A', forMs: healAt },
    { when: back(2000, 6000), kind: 'kill', node: 'B', forMs: dice.between(4000, 12_000) },
  ];
}

/** The customer asks for its sensors, and its disk fills up before it has them, or before it has stated what its provider heard. */
function drawAsked(dice: Dice, healAt: number): Fault[] {
  const delayMs = dice.between(0, 400);
  const when: Fault['when'] = dice.chance(0.5)
    ? { node: 'B', enters: dice.pick(['releasing', 'released', 'stating', 'stated']), delayMs }
    : { node: 'A', enters: dice.pick(['retaken', 'stating', 'stated']), delayMs };
  const forMs = dice.chance(0.3) ? dice.between(4000, 12_000) : healAt;
  return [
    { when: { at: dice.between(4000, 6000) }, kind: 'kill', node: 'A', forMs: dice.between(3000, 6000) },
    { when, kind: 'fullDisk', node: 'A', forMs },
  ];
}

/** Worlds whose disks fill up. In some of them the customer's does, and nothing else happens: its provider then serves. */
export function drawFullDisks(seed: number): Scenario {
  const dice = rollDice(seed, 'full disks');
  const scenario = drawScenario(seed);
  const back = rollDice(seed, 'full when back');
  if (back.chance(0.1)) return { ...scenario, faults: drawBack(back, scenario.healAt) };
  const asked = rollDice(seed, 'full when asked');
  if (asked.chance(0.1)) return { ...scenario, faults: drawAsked(asked, scenario.healAt) };
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
