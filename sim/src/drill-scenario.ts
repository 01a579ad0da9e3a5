import { contractTerms } from '@antirio/service-contract';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, type Fault, type Scenario } from './scenario.ts';

const MAX_MS = 10_000;
export const DRILL_PENALTY = 7;

/** A drill that an operator asks for, and often somebody who is lost in the middle of it. */
function drawDrill(dice: Dice, activeMs: number): Fault[] {
  const at = dice.between(4000, activeMs - 3000);
  const drill: Fault = { when: { at }, kind: 'drill' };
  const forMs = dice.chance(0.5) ? dice.between(200, 4000) : dice.between(11_000, 18_000);
  const when = { at: at + dice.between(0, 2500) };
  switch (dice.below(6)) {
    case 0:
      return [drill, { when, kind: 'kill', node: dice.pick(['A', 'B', 'B', 'central'] as const), forMs }];
    case 1:
      return [drill, { when, kind: 'freeze', node: dice.pick(['A', 'B'] as const), forMs }];
    case 2: {
      const links = [...(['A', 'B'] as const)].filter(() => dice.chance(0.6));
      const cut = links.flatMap((one) => [[one, 'central'] as const, ['central', one] as const]);
      return [drill, { when, kind: 'cut', links: cut, forMs }];
    }
    case 3:
      return [
        drill,
        {
          when,
          kind: 'killBetweenWrites',
          node: dice.pick(['A', 'B', 'central'] as const),
          steps: 1 + dice.below(40),
          forMs,
        },
      ];
    default:
      return [drill];
  }
}

/** The world of one provider whose contract demands drills: they happen amid everything else. Drills go by the ledger's time, which does not jump here. */
export function drawDrills(seed: number): Scenario {
  const scenario = drawScenario(seed);
  const dice = rollDice(seed, 'drills');
  const activeMs = scenario.healAt - 1000;
  const drills = { perMonth: 31, maxMs: MAX_MS, penalty: dice.pick([0, DRILL_PENALTY, DRILL_PENALTY, 60]) };
  const more = Array.from({ length: 1 + dice.below(3) }, () => drawDrill(dice, activeMs)).flat();
  const steady = scenario.faults.filter((fault) => fault.kind !== 'wallJump' || fault.node !== 'central');
  return {
    ...scenario,
    terms: (devices) => contractTerms.parse({ ...scenario.terms(devices), escrow: {}, drills }),
    faults: [...steady, ...more],
    drills: true,
  };
}
