import { rollDice } from './random.ts';
import { drawScenario, type Scenario } from './scenario.ts';

/** A device that hears none of its downlinks, and is sent many. */
export interface Unheard {
  /** Times, ms: between these it hears nothing. */
  readonly from: number;
  readonly until: number;
  /** For so many downlinks that nobody heard each of its downlinks stands: a short run has no time to send thousands. */
  readonly standsFor: number;
}

const OLD: readonly string[] = ['oldBackup', 'oldLedger', 'oldDisk'];

/**
 * A world as any other with one provider, in which the first device hears nothing for long while its edges go on sending to it. What its
 * counters' proofs were is then for all to know, so that no disk is old in it.
 */
export function drawUnheard(seed: number): Scenario {
  const dice = rollDice(seed, 'unheard');
  const scenario = drawScenario(seed);
  const from = dice.between(0, 0.4 * scenario.healAt);
  const until = dice.chance(0.5) ? scenario.endAt : dice.between(from + 5000, scenario.healAt);
  return {
    ...scenario,
    answers: 0.9,
    commandsEveryMs: 300,
    faults: scenario.faults.filter(({ kind }) => !OLD.includes(kind)),
    unheard: { from, until, standsFor: dice.pick([100, 400, 1600]) },
  };
}
