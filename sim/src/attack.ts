import type { Dice } from './random.ts';
import type { Scenario } from './scenario.ts';

/** What attackers do in a run. */
export function drawAttack(dice: Dice): Scenario['attack'] {
  const framesEveryMs = dice.between(500, 3000);
  const all = ['beat', 'vigil', 'probe', 'probeReply', 'leaseRequest', 'leaseGrant', 'leaseRefused'];
  switch (dice.below(4)) {
    case 0: {
      const heldBack = dice.between(0.2, 0.45);
      return {
        framesEveryMs,
        datagramsEveryMs: dice.between(250, 450),
        kinds: ['beat'],
        heldBack,
        patient: true,
      };
    }
    case 1: {
      const heldBack = dice.between(0.05, 0.4);
      return {
        framesEveryMs,
        datagramsEveryMs: dice.between(100, 500),
        kinds: ['leaseRequest'],
        heldBack,
        patient: true,
      };
    }
    default: {
      const heldBack = dice.between(0, 0.05);
      return {
        framesEveryMs,
        datagramsEveryMs: dice.between(200, 2000),
        kinds: all,
        heldBack,
        patient: false,
      };
    }
  }
}
