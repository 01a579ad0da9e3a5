import type { HandbackStatement } from '@antirio/service-contract';
import { rollDice } from './random.ts';
import { drawScenario, type EdgeName, type Scenario } from './scenario.ts';

/** Whose statements are wrong, and how many of them: a disk that reads wrongly once, or one that says so for ever. */
export interface Misstated {
  readonly by: EdgeName;
  readonly times: number;
}

/** A world as any other with one provider, in which one party states what is not so. */
export function drawMisstated(seed: number): Scenario {
  const dice = rollDice(seed, 'misstated');
  const scenario = drawScenario(seed);
  const disputeS = dice.pick([4, 40]);
  return {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), disputeS }),
    // the time of a dispute is the ledger's: here it does not jump
    faults: scenario.faults.filter((one) => one.kind !== 'wallJump' || one.node !== 'central'),
    misstated: { by: dice.pick(['A', 'B'] as const), times: dice.pick([1, 2, Infinity]) },
    endAt: scenario.endAt + 120_000,
  };
}

/** What an edge makes of its own statements. */
export function misstating(
  { misstated }: Scenario,
  edge: EdgeName,
): (said: HandbackStatement) => HandbackStatement {
  let left = misstated?.by === edge ? misstated.times : 0;
  return (said) => {
    const [first, ...rest] = said.devices;
    if (left === 0 || first === undefined) return said;
    left -= 1;
    return { ...said, devices: [{ ...first, digest: 'f'.repeat(64) }, ...rest] };
  };
}
