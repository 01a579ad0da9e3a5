import { contractTerms } from '@antirio/service-contract';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, type EdgeName, type Fault, type NodeName, type Scenario } from './scenario.ts';

const FULL_DRILL_PENALTY = 11;

const enters = {
  A: ['yielding', 'yielded', 'recovering', 'retaken'],
  B: ['opening', 'reading', 'active', 'releasing', 'released'],
} as const;

/** Somebody is lost in the middle of one, or held when it is asked for. */
function drawTrouble(dice: Dice, at: number): Fault[] {
  const node: EdgeName = dice.pick(['A', 'B'] as const);
  const when = { node, enters: dice.pick(enters[node]), delayMs: dice.between(0, 2500), notBefore: at };
  const forMs = dice.chance(0.5) ? dice.between(200, 4000) : dice.between(8000, 18_000);
  switch (dice.below(6)) {
    case 0:
    case 1:
      return [{ when, kind: 'kill', node: dice.pick(['A', 'B', 'central'] as const), forMs }];
    case 2:
      return [{ when, kind: 'freeze', node, forMs }];
    case 3: {
      const links = dice.pick<readonly (readonly [NodeName, NodeName])[]>([
        [['A', 'B'] as const, ['B', 'A'] as const],
        [['A', 'central'] as const, ['central', 'A'] as const],
        [['B', 'central'] as const, ['central', 'B'] as const],
      ]);
      const early = { at: Math.max(100, at - dice.between(0, 1000)) };
      return [{ when: dice.chance(0.5) ? when : early, kind: 'cut', links, forMs }];
    }
    case 4:
      return [{ when: { at: at - 500 }, kind: 'hold', node, forMs: dice.between(1000, 8000) }];
    default:
      return [];
  }
}

/** The provider, or the centre alone, is away for as long as two words take, or nearly. */
function drawAbsence(dice: Dice, activeMs: number): Fault[] {
  const at = dice.between(4000, activeMs * 0.3);
  const away = { when: { at: at - dice.between(0, 4000) }, forMs: dice.between(18_000, 32_000) };
  const links = [['B', 'central'] as const, ['A', 'B'] as const, ['B', 'A'] as const];
  if (dice.chance(0.4))
    return [
      { when: { at }, kind: 'fullDrill' },
      { when: away.when, forMs: dice.between(24_000, 36_000), kind: 'muteCentre' },
    ];
  return [
    { when: { at }, kind: 'fullDrill' },
    dice.chance(0.5) ? { ...away, kind: 'kill', node: 'B' } : { ...away, kind: 'cut', links },
  ];
}

/** The world of one provider whose contract is drilled with its real keys, amid everything else. Drills go by the ledger's time, which does not jump here. */
export function drawFullDrills(seed: number): Scenario {
  const scenario = drawScenario(seed);
  const dice = rollDice(seed, 'full drills');
  const activeMs = scenario.healAt - 1000;
  const servesMs = dice.pick([1000, 2000, 5000]);
  const full = dice.chance(0.7) ? { everyS: 10 + dice.below(20), servesMs } : { servesMs };
  const drills = { maxMs: 10_000, penalty: dice.pick([0, FULL_DRILL_PENALTY, FULL_DRILL_PENALTY, 60]), full };
  const times = 1 + dice.below(3);
  const more = Array.from({ length: times }, (): Fault[] => {
    const at = dice.between(4000, activeMs - 3000);
    const drill: Fault = { when: { at }, kind: 'fullDrill' };
    return [drill, ...(dice.chance(0.6) ? drawTrouble(dice, at) : [])];
  }).flat();
  const absence = dice.chance(0.3) ? drawAbsence(dice, activeMs) : [];
  // half of them in a world where little else happens
  const calm = dice.chance(0.5);
  const steady = scenario.faults.filter((fault) => fault.kind !== 'wallJump' || fault.node !== 'central');
  return {
    ...scenario,
    terms: (devices) => {
      const terms = scenario.terms(devices);
      return contractTerms.parse({ ...terms, drills, yielding: { boundMs: 10_000 } });
    },
    faults: [...(calm ? steady.slice(0, 1) : steady), ...more, ...absence],
    fullDrills: true,
  };
}
